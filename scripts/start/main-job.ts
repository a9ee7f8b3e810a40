/**
 * The main job: from an order on the ledger to history on a mount, through the loss of two stores, to a vote that every
 * agent obeys. Each step is a method; all figures are measured where the thing happens.
 */
import { randomBytes } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describeError, NodeError } from '../../agent/base/errors.ts'
import { formatBytes, GIB, MIB } from '../../agent/base/units.ts'
import type { AgentStatus } from '../grid/agent-process.ts'
import { type LocalGrid, nodeNumber, until } from '../grid/local-grid.ts'
import { exportLedger } from '../history/export-ledger.ts'
import { verifyHistory } from '../history/verify-history.ts'
import { compareHistory, copyHistory, type HistoryFile, listHistory } from './history.ts'
import type { JobNotes } from './job-notes.ts'
import { makeHistory } from './make-history.ts'
import { Progress } from './progress.ts'
import type { Report } from './report.ts'
import { auditFigures, type MountFigures, mountFigures, storedBytes } from './status-view.ts'

/** Shards of the volume: what the mission promises to lose without loss. */
const DATA_SHARDS = 4
const PARITY_SHARDS = 2
const SLOTS = DATA_SHARDS + PARITY_SHARDS
/** Random bytes that show what incompressible history costs on the stores. */
const PROBE_BYTES = 32 * MIB
const PROBE_NAME = 'incompressible.bin'
const MOUNT_NAME = 'history'
const ORDER_TIME = '30d'
/** Votes are open for seconds only: what comes next must not wait for finality. */
const SOON = ['--until', 'mined']
/** Longer than it takes a store's figures to reach its agent's status. */
const STILL_MS = 2_500
const MOUNTED_SECONDS_MAX = 3
const OVERHEAD_MAX = 1.55
/** Of the grid's own ledger: the deployment and the registration of the nodes are in them. */
const EXPORTED_BLOCKS = 64
/** What audits count in. */
const AUDIT_UNIT_BYTES = 32
/** Many times what it takes on a busy machine: waiting longer would not help. */
const WAIT_MS_MAX = 600_000
/** Five epochs of audits: slots are in the second at the latest. */
const PROVEN_MS_MAX = 300_000
/** What the proposal makes of HeartbeatSeconds, and the text by which a later start finds it. */
const VOTED_SECONDS = 2
const PROPOSAL = 'Nodes say every two seconds that they live'
const OPEN_STATES: ReadonlySet<string> = new Set(['pending', 'active', 'succeeded', 'queued'])

interface VoteUnderWay {
  readonly id: bigint
  /** Version of the policy before it is carried out. */
  readonly versionBefore: number
}

/** What the steps hand on to each other. */
export interface MainJobState {
  /** Where the history comes from. */
  readonly historyDir: string
  readonly volume: number
  readonly mount: number
  /** Path of the mount. */
  readonly path: string
}

/** See the file's comment. */
export class MainJob {
  readonly #grid: LocalGrid
  readonly #report: Report
  readonly #notes: JobNotes
  readonly #say: (what: string) => void
  #gas = 0n
  #price = 0n
  /** Bytes written to the mount so far: what its figures must show before they are about now. */
  #writtenBytes = 0

  constructor(grid: LocalGrid, report: Report, notes: JobNotes, say: (what: string) => void) {
    this.#grid = grid
    this.#notes = notes
    this.#report = report
    this.#say = say
  }

  /** Index of the agent that mounts; all others are stores. */
  get #consumer(): number {
    return this.#grid.agents.length - 1
  }

  /**
   * Runs what was not done before: a grid that was stopped or killed at any moment goes on where it was.
   *
   * @param historyDir - Files to keep; the ledger's own blocks are exported if undefined.
   * @returns Where things ended up.
   */
  async run(historyDir: string | undefined): Promise<MainJobState> {
    const directory = historyDir ?? this.#notes.now.historyDir ?? (await this.#exportOwnLedger())
    const isFilled = this.#notes.has('filled') && directory === this.#notes.now.historyDir
    await this.#checkHistory(directory)
    const vote = this.#notes.has('voted') ? undefined : await this.#beginVote()
    const ordered = await this.#order(directory)
    const files = isFilled ? await this.#findAgain(ordered) : await this.#fill(ordered)
    await this.#notes.note({ historyDir: directory, done: 'filled' })
    if (!this.#notes.has('repaired')) {
      const lost = await this.#loseTwoStores(ordered, files)
      await this.#repair(ordered, lost)
      await this.#notes.note({ done: 'repaired' })
    }
    await this.#showAudit(ordered)
    if (vote !== undefined) await this.#endVote(vote)
    await this.#notes.note({ done: 'voted' })
    this.#report.add({ name: 'gas spent by the tenant', value: Number(this.#gas), unit: 'gas' })
    this.#report.add({ name: 'cost of the orders', value: tokens(this.#price), unit: 'tokens' })
    return ordered
  }

  async #exportOwnLedger(): Promise<string> {
    const directory = join(this.#grid.options.dataDir, 'history')
    rmSync(directory, { recursive: true, force: true })
    await mkdir(directory, { recursive: true })
    const height = Math.min((await this.#grid.ledger.figures()).height, EXPORTED_BLOCKS)
    this.#say(`exporting the ledger's own blocks 0 to ${height}`)
    await exportLedger({ url: this.#grid.ledger.url, from: 0, to: height, file: directory })
    this.#say('making the history of a busier chain, so that the ratios mean something')
    await makeHistory(join(this.#grid.options.dataDir, 'busy-ledger'), directory)
    await this.#notes.note({ historyDir: directory })
    return directory
  }

  async #checkHistory(directory: string): Promise<void> {
    this.#say(`checking the history in ${directory}`)
    const { files } = await verifyHistory(directory)
    const bad = files.filter((file) => file.problem !== undefined)
    if (bad.length > 0) {
      throw new NodeError(
        'HISTORY_BAD',
        bad.map((file) => `${file.name}: ${file.problem}`).join('; '),
      )
    }
    const official = files.filter((file) => file.official === 'match').length
    const blocks = files.reduce(
      (sum, { blocks: held }) => sum + (held ? held.lastBlock - held.firstBlock + 1 : 0),
      0,
    )
    this.#report.add({ name: 'files that match the official sums', value: official, unit: 'count' })
    this.#report.add({ name: 'blocks checked', value: blocks, unit: 'count' })
  }

  async #order(historyDir: string): Promise<MainJobState> {
    const found = await this.#findOrders()
    const volume = found.volume ?? (await this.#orderVolume(historyDir))
    const mount = found.mount ?? (await this.#orderMount(volume))
    const finalAt = performance.now()
    const figures = await until(
      'the mount to be usable',
      async () => {
        const status = mountFigures(await this.#statusOf(this.#consumer), mount)
        return status?.state === 'mounted' ? status : undefined
      },
      { timeoutMs: WAIT_MS_MAX },
    )
    const seconds = (performance.now() - finalAt) / 1000
    this.#report.add({
      name: found.mount ? 'grid up to mount usable' : 'order final to mount usable',
      ...{ value: seconds, unit: 'seconds' },
      ...(found.mount
        ? {}
        : {
            goal: {
              text: `<= ${MOUNTED_SECONDS_MAX} s`,
              met: seconds <= MOUNTED_SECONDS_MAX,
              isOfTime: true,
            },
          }),
    })
    return { historyDir, volume, mount, path: figures.path }
  }

  /** What an earlier start ordered: the ledger knows it, but for which volume was meant while it has no mount. */
  async #findOrders(): Promise<{ volume?: number; mount?: number }> {
    const tenant = await this.#grid.connect(this.#grid.tenantKey)
    try {
      const all = await tenant.orders()
      const orders = all.filter(({ state }) => state === 'live')
      const mount = orders.find(({ spec }) => spec?.kind === 'mount' && spec.name === MOUNT_NAME)
      const after = this.#notes.now.ordersBefore
      const volume =
        mount?.volume ??
        (after === undefined
          ? undefined
          : orders.find(({ kind, id }) => kind === 'volume' && id > after)?.id)
      if (after === undefined) {
        const last = Math.max(0, ...all.map(({ id }) => id))
        await this.#notes.note({ ordersBefore: last })
      }
      return { ...(volume && { volume }), ...(mount && { mount: mount.id }) }
    } finally {
      tenant.close()
    }
  }

  async #orderVolume(historyDir: string): Promise<number> {
    const bytes = (await listHistory(historyDir)).reduce((sum, file) => sum + file.sizeBytes, 0)
    const size = `${Math.max(64, Math.ceil(((bytes + PROBE_BYTES) * 2) / GIB))}GiB`
    this.#say(`ordering a ${DATA_SHARDS}+${PARITY_SHARDS} volume of ${size} and a mount`)
    const shape = ['--shards', `${DATA_SHARDS}+${PARITY_SHARDS}`]
    const consumer = nodeNumber(await this.#statusOf(this.#consumer))
    return await this.#place(
      ...['order', 'volume', '--size', size, '--time', ORDER_TIME, '--avoid', String(consumer)],
      ...shape,
    )
  }

  async #orderMount(volume: number): Promise<number> {
    const node = nodeNumber(await this.#statusOf(this.#consumer))
    const where = ['--node', String(node), '--name', MOUNT_NAME, '--time', ORDER_TIME]
    return await this.#place('order', 'mount', '--volume', String(volume), ...where)
  }

  async #place(...args: readonly string[]): Promise<number> {
    const placed = await this.#grid.varve(this.#grid.tenantKey, ...args)
    this.#gas += BigInt(String(placed['gasUsed'] ?? 0))
    this.#price += BigInt(String(placed['price'] ?? 0))
    return Number(placed['order'])
  }

  /** Copies, compares and waits for dispersal; then measures what the stores hold for random bytes. */
  async #fill(ordered: MainJobState): Promise<HistoryFile[]> {
    const files = await listHistory(ordered.historyDir)
    const bytes = files.reduce((sum, file) => sum + file.sizeBytes, 0)
    this.#report.add({ name: 'bytes in', value: bytes, unit: 'bytes' })

    const started = performance.now()
    const copying = new Progress('copy', bytes)
    await copyHistory(files, ordered.historyDir, ordered.path, copying)
    copying.end()
    this.#writtenBytes += bytes
    await this.#compare('compare', files, ordered)
    await this.#untilDispersed(ordered)
    this.#report.add({
      ...{ name: 'copy, compare and disperse', unit: 'seconds' },
      value: (performance.now() - started) / 1000,
    })
    const stored = await this.#storedBytes(ordered)
    const figures = await this.#mountFigures(ordered)
    this.#report.add({ name: 'bytes stored', value: stored, unit: 'bytes' })
    this.#report.add({ name: 'stored / in', value: stored / bytes, unit: 'ratio' })
    this.#report.add({ name: 'dedup (in / unique)', value: figures.dedupRatio, unit: 'ratio' })

    await this.#probe(ordered, stored)
    return [...files, ...(await listHistory(ordered.path).then((all) => all.filter(isProbe)))]
  }

  /** What an earlier start wrote is there still, byte for byte. */
  async #findAgain(ordered: MainJobState): Promise<HistoryFile[]> {
    const files = await listHistory(ordered.historyDir)
    await this.#compare('read again', files, ordered)
    const probe = (await listHistory(ordered.path)).filter(isProbe)
    this.#report.add({
      name: 'files identical after the start',
      value: files.length,
      unit: 'count',
    })
    return [...files, ...probe]
  }

  async #probe(ordered: MainJobState, storedBefore: number): Promise<void> {
    this.#say(
      `writing ${formatBytes(PROBE_BYTES)} of random bytes, to see what incompressible history costs`,
    )
    writeFileSync(join(ordered.path, PROBE_NAME), randomBytes(PROBE_BYTES), { flush: true })
    this.#writtenBytes += PROBE_BYTES
    await this.#untilDispersed(ordered)
    const overhead = ((await this.#storedBytes(ordered)) - storedBefore) / PROBE_BYTES
    this.#report.add({
      ...{ name: 'stored / in, incompressible', value: overhead, unit: 'ratio' },
      goal: { text: `<= ${OVERHEAD_MAX}`, met: overhead <= OVERHEAD_MAX },
    })
  }

  async #compare(
    title: string,
    files: readonly HistoryFile[],
    ordered: MainJobState,
  ): Promise<void> {
    const bytes = files.reduce((sum, file) => sum + file.sizeBytes, 0)
    const progress = new Progress(title, bytes)
    const different = await compareHistory(files, ordered.path, progress)
    progress.end()
    if (different.length > 0) throw new NodeError('HISTORY_DIFFERS', different.join('; '))
  }

  async #untilDispersed(ordered: MainJobState): Promise<void> {
    await until(
      'everything to be dispersed',
      async () => {
        const { bytes, undispersedBytes, missingShards } = await this.#mountFigures(ordered)
        return bytes >= this.#writtenBytes && undispersedBytes === 0 && missingShards === 0
      },
      { timeoutMs: 2 * WAIT_MS_MAX },
    )
  }

  /** Cuts the power of two machines that hold data, kills the mount, drops its cache, and reads everything again. */
  async #loseTwoStores(ordered: MainJobState, files: readonly HistoryFile[]): Promise<number[]> {
    const holders = await this.#dataNodes(ordered)
    const victims = holders.slice(0, 2)
    this.#say(`cutting the power of nodes ${victims.join(' and ')}, and dropping the mount's cache`)
    for (const node of victims) this.#grid.agent(await this.#agentOf(node)).cutPower(false)
    await this.#dropCache(ordered)
    await this.#compare('read after loss', files, ordered)
    this.#report.add({
      name: 'files identical after losing 2 of 6 stores and the cache',
      value: files.length,
      unit: 'count',
    })
    return victims
  }

  /** The cache on disk goes while the mount is down; killing its process empties the kernel's and its own memory too. */
  async #dropCache(ordered: MainJobState): Promise<void> {
    const { pid } = await this.#mountFigures(ordered)
    process.kill(pid, 'SIGKILL')
    rmSync(
      join(this.#grid.agent(this.#consumer).options.dataDir, `mounts/${ordered.mount}/cache`),
      {
        recursive: true,
        force: true,
      },
    )
    await until(
      'the mount to come back',
      async () => {
        const found = mountFigures(await this.#statusOf(this.#consumer), ordered.mount)
        return found?.state === 'mounted' && found.pid !== pid
      },
      { timeoutMs: WAIT_MS_MAX },
    )
  }

  async #repair(ordered: MainJobState, lost: readonly number[]): Promise<void> {
    this.#say('waiting until the volume is repaired on spare nodes')
    const started = performance.now()
    await until(
      'the volume to be repaired',
      async () => {
        const holders = await this.#dataNodes(ordered)
        if (holders.some((node) => lost.includes(node))) return false
        const { missingShards } = await this.#mountFigures(ordered)
        return missingShards === 0
      },
      { timeoutMs: 2 * WAIT_MS_MAX },
    )
    const seconds = (performance.now() - started) / 1000
    const whole = new Set(await this.#dataNodes(ordered)).size
    this.#report.add({ name: 'seconds to repair', value: seconds, unit: 'seconds' })
    this.#report.add({
      ...{ name: 'stores after repair', value: whole, unit: 'count' },
      goal: { text: `${SLOTS} of ${SLOTS}`, met: whole === SLOTS },
    })
  }

  /**
   * One sample of what audits do: a node that holds a slot proves an epoch of what it keeps. Slots count from the epoch after
   * the one that they came in; if nobody is proven some epochs later, the report says so and the job goes on.
   */
  async #showAudit(ordered: MainJobState): Promise<void> {
    this.#say('waiting until a node has proven what it keeps')
    const name = 'proven to the ledger'
    const seen = await until('a node to be proven', () => this.#proven(ordered), {
      timeoutMs: PROVEN_MS_MAX,
    }).catch((caught: unknown) => describeError(caught))
    if (typeof seen === 'string') {
      const goal = { text: 'a node that holds a slot', met: false }
      this.#report.add({ name, value: `${seen}; ${await this.#auditStates()}`, unit: 'text', goal })
      return
    }
    const kept = formatBytes(seen.units * AUDIT_UNIT_BYTES)
    const text = `node ${seen.node} keeps ${kept}, epoch ${seen.epoch}`
    this.#report.add({ name, value: text, unit: 'text' })
  }

  /** A node that holds a slot now and is proven, if there is one. */
  async #proven(ordered: MainJobState) {
    const holders = new Set(await this.#dataNodes(ordered))
    for (const agent of this.#grid.agents) {
      const status = await agent.status()
      const [node, audits] = [status && nodeNumber(status), auditFigures(status)]
      if (node !== undefined && holders.has(node) && audits !== undefined)
        return { ...audits, node }
    }
    return undefined
  }

  /** What each node says of its audits, for a report that nobody was proven. */
  async #auditStates(): Promise<string> {
    const told = await Promise.all(
      this.#grid.agents.map(async (agent) => {
        const status = await agent.status()
        return status && `node ${nodeNumber(status)}: ${JSON.stringify(status['audits'])}`
      }),
    )
    return told.filter((one) => one !== undefined).join('; ')
  }

  /** Proposes how often nodes must say that they live and votes for it; an earlier start may have. */
  async #beginVote(): Promise<VoteUnderWay> {
    const holder = this.#grid.holderKey
    const version = Number((await this.#grid.varve(holder, 'policy'))['version'])
    const sdk = await this.#grid.connect(holder)
    try {
      const ours = (await sdk.proposals()).filter((one) => one.description.startsWith(PROPOSAL))
      const open = ours.find(({ state }) => OPEN_STATES.has(state))
      const done = ours.find(({ state }) => state === 'executed')
      if (done !== undefined) return { id: done.id, versionBefore: version - 1 }
      let id = open?.id
      if (id === undefined) {
        this.#say(`proposing that HeartbeatSeconds becomes ${VOTED_SECONDS}`)
        const value = BigInt(VOTED_SECONDS)
        const actions = [{ kind: 'parameter', parameter: 'heartbeatSeconds', value } as const]
        const text = `${PROPOSAL} (${ours.length + 1})`
        id = (await sdk.propose(actions, text, { until: 'mined' })).proposal
      }
      if (id === undefined) throw new NodeError('PROPOSAL_LOST', 'the proposal has no number')
      // One that an earlier start proposed may be past its vote.
      const isNew = open === undefined || open.state === 'pending'
      if (isNew) await sdk.untilProposal(id, 'active')
      const { votes, state } = await sdk.proposal(id)
      if (state === 'active' && votes.for === 0n)
        await this.#grid.varve(holder, 'vote', String(id), 'for', ...SOON)
      return { id, versionBefore: version }
    } finally {
      sdk.close()
    }
  }

  /** Waits for the end of the vote, carries it out, and waits until each agent that lives obeys. */
  async #endVote({ id, versionBefore }: VoteUnderWay): Promise<void> {
    const alive = this.#grid.agents.filter((agent) => agent.pid !== undefined)
    const holder = this.#grid.holderKey
    const sdk = await this.#grid.connect(holder)
    try {
      this.#say('waiting for the end of the vote')
      const { state } = await sdk.proposal(id)
      if (state === 'active' || state === 'succeeded') {
        await this.#grid.varve(holder, 'queue', String(id), '--wait', ...SOON)
      }
      if (state !== 'executed') await this.#grid.varve(holder, 'execute', String(id), '--wait')
    } finally {
      sdk.close()
    }
    const started = performance.now()
    const obeying = await until(
      'every agent to obey the vote',
      async () => {
        const statuses = await Promise.all(alive.map((agent) => agent.status()))
        const all = statuses.every((status) => obeys(status, versionBefore, VOTED_SECONDS))
        return all ? statuses.length : undefined
      },
      { timeoutMs: WAIT_MS_MAX },
    )
    this.#report.add({ name: 'agents that obey the vote', value: obeying, unit: 'count' })
    this.#report.add({
      ...{ name: 'vote executed to obeyed by all', unit: 'seconds' },
      value: (performance.now() - started) / 1000,
    })
  }

  async #statusOf(agent: number): Promise<AgentStatus> {
    return await until(`agent ${agent} to answer`, () => this.#grid.agent(agent).status(), {
      timeoutMs: 30_000,
    })
  }

  async #mountFigures(ordered: MainJobState): Promise<MountFigures> {
    return await until(
      'the mount to answer',
      async () => mountFigures(await this.#statusOf(this.#consumer), ordered.mount),
      { timeoutMs: WAIT_MS_MAX },
    )
  }

  /** What all stores together hold for the volume, once their figures stand still: agents ask their stores twice a second. */
  async #storedBytes(ordered: MainJobState): Promise<number> {
    let last = { bytes: -1, sinceMs: 0 }
    return await until(
      'the stores to agree on what they hold',
      async () => {
        const statuses = await Promise.all(this.#grid.agents.map((agent) => agent.status()))
        const bytes = statuses.reduce(
          (sum, status) => sum + (status ? storedBytes(status, ordered.volume) : 0),
          0,
        )
        const now = performance.now()
        if (bytes !== last.bytes) last = { bytes, sinceMs: now }
        return now - last.sinceMs >= STILL_MS ? bytes : undefined
      },
      { timeoutMs: WAIT_MS_MAX },
    )
  }

  /** Nodes that hold the data slots now, by slot. */
  async #dataNodes(ordered: MainJobState): Promise<number[]> {
    const tenant = await this.#grid.connect(this.#grid.tenantKey)
    try {
      const { slots } = await tenant.order(ordered.volume)
      return slots.slice(0, SLOTS).map((slot) => slot.node)
    } finally {
      tenant.close()
    }
  }

  async #agentOf(node: number): Promise<number> {
    for (const [index, agent] of this.#grid.agents.entries()) {
      const status = await agent.status()
      if (status && nodeNumber(status) === node) return index
    }
    throw new NodeError('AGENT_UNKNOWN', `no agent speaks for node ${node}`)
  }
}

const isProbe = (file: HistoryFile): boolean => file.path === PROBE_NAME

const tokens = (units: bigint): number => Number(units / 10n ** 12n) / 1e6

function obeys(status: AgentStatus | undefined, versionBefore: number, seconds: number): boolean {
  const policy = status?.['policy']
  if (typeof policy !== 'object' || policy === null) return false
  const { version, values } = policy as { version?: unknown; values?: Record<string, unknown> }
  return (
    typeof version === 'number' &&
    version > versionBefore &&
    Number(values?.['HeartbeatSeconds']) === seconds
  )
}
