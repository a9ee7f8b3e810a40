/**
 * A whole grid under a seed: eight machines with the production agent, a ledger, links, disks and a tenant, through a time of
 * faults and then a time of quiet.
 *
 * Safety is checked at every step by {@link GridOracle}; liveness when the faults have stopped. What happened is a trace, of
 * which the same seed gives the same hash.
 */
import { createHash } from 'node:crypto'
import { toHex } from '../../agent/base/bytes.ts'
import { codeOf, describeError, isNodeError } from '../../agent/base/errors.ts'
import type { Chance } from '../../agent/base/ports.ts'
import { seal } from '../../agent/base/sealing.ts'
import { volumeKeyCommitment, volumeKeyContext } from '../../agent/base/volume-keys.ts'
import { aPolicy, identityOf, VOLUME_KEY } from '../support/fake-orders.ts'
import { Crash } from '../support/fault-disk.ts'
import {
  describeFiles,
  digestOf,
  type FileChange,
  FileHistory,
  nextChanges,
  perform,
  readAll,
  readPath,
} from '../support/sim-files.ts'
import {
  GENESIS_SECONDS,
  SIM_CHAIN_ID,
  SIM_CONTRACTS,
  type SimCall,
  SimLedger,
  type SimNode,
  type SimOrder,
  simSpecs,
  stateAt,
} from '../support/sim-ledger.ts'
import { type Shown, SimMachine } from '../support/sim-machine.ts'
import { SimNetwork } from '../support/sim-network.ts'
import type { SimProcess } from '../support/sim-process.ts'
import { HONEST_FAULTS, LIES, SimEndpoint } from '../support/sim-rpc.ts'
import { seededChance, settle, VirtualClock } from '../support/virtual-clock.ts'
import { GridOracle, Violation, type VolumeShape } from './grid-oracle.ts'

const MACHINES = 8
/** Endpoints that nodes rely on alone; one more may lie to the nodes that compare several. */
const HONEST_ENDPOINTS = 2
/** The machine that mounts; it also holds slots. */
const CONSUMER = 8
/** The one that is not in the registry yet, and registers itself. */
const NEWCOMER = 7
const GIB = 2 ** 30
const TENANT = identityOf(99).account
const BLOCK_SECONDS = 2
const FINAL_LAG = 2
const POLL_MS = 5_000
const SHAPES: readonly VolumeShape[] = [
  { dataShards: 2, parityShards: 1, metaStores: 3 },
  { dataShards: 2, parityShards: 2, metaStores: 3 },
  { dataShards: 3, parityShards: 2, metaStores: 3 },
]
/** A node whose last heartbeat is older counts as lost when the adversary reckons what it may still break. */
const SILENT_SECONDS = 15
/** Time from the order to move a slot to its final block, chain stalls included. */
const MOVE_MS_MAX = 40_000
/** An endpoint tells false times for so long: two polls and the time to become final. */
const FALSE_TIME_MS = 15_000
/** Time that quiet is given to repair everything. */
const QUIET_SECONDS_MAX = 400
/** A reader looks every 2 s, and after a minute of trouble every minute. */
const FOLLOW_SECONDS_MAX = 130

interface SlotSeen {
  readonly index: number
  readonly generation: number
}

/** How long, and how rough. */
export interface GridOptions {
  readonly seed: number
  readonly chaosSeconds?: number
  /** Told every line of the trace. */
  readonly trace?: (line: string) => void
}

/** What a run came to. */
export interface GridResult {
  readonly seed: number
  /** SHA-256 of the trace. */
  readonly hash: string
  readonly virtualSeconds: number
  /** How often each thing happened. */
  readonly counts: ReadonlyMap<string, number>
}

/**
 * Runs one grid.
 *
 * @param options - Its seed.
 * @returns What happened.
 * @throws Violation where a rule was broken, with the seed.
 */
export async function runGrid(options: GridOptions): Promise<GridResult> {
  return await new GridRun(options).run()
}

class GridRun {
  readonly #options: GridOptions
  readonly #clock = new VirtualClock()
  readonly #chance: Chance
  readonly #work: Chance
  readonly #ledger: SimLedger
  readonly #network: SimNetwork
  readonly #endpoints: readonly SimEndpoint[]
  readonly #machines: readonly SimMachine[]
  readonly #oracle: GridOracle
  readonly #shape: VolumeShape
  readonly #history = new FileHistory()
  readonly #hash = createHash('sha256')
  readonly #counts = new Map<string, number>()
  #violation: unknown
  #isQuiet = false
  #isOver = false
  #tenantNonce = 0
  /** What the tenant asked for last and when, so that it is asked again only if it got lost. */
  #asked = new Map<string, number>()
  /** The mount that the workload trusts, and where it was. */
  #writer: Shown | undefined
  #lastPlace = ''
  /** Epoch from which on a writer is waited for, while the mount moves. */
  #epochWanted = 0
  #busy: symbol | undefined
  #lostEver = 0
  #destroyUntil = 0
  #noHarmUntil = 0

  constructor(options: GridOptions) {
    const { seed } = options
    this.#options = options
    const chanceOf = (stream: number) => seededChance(seed * 1000 + stream)
    this.#chance = chanceOf(1)
    this.#work = chanceOf(2)
    this.#shape = SHAPES[seed % SHAPES.length] as VolumeShape
    this.#ledger = new SimLedger({
      chance: chanceOf(3),
      policy: aPolicy({
        finalityDepth: 2,
        heartbeatSeconds: 12,
        lostSeconds: 34,
        graceSeconds: 30,
        dispersalAgeSeconds: 4,
        maxSeconds: 1_000_000,
      }).values,
      finalLag: FINAL_LAG,
      blockSeconds: BLOCK_SECONDS,
      nodes: genesisNodes(),
      sponsors: new Map([[identityOf(NEWCOMER).account, NEWCOMER]]),
    })
    this.#network = new SimNetwork(this.#clock, chanceOf(4))
    this.#endpoints = range(1, HONEST_ENDPOINTS + 1).map(
      (n) => new SimEndpoint(`rpc-${n}`, this.#ledger, chanceOf(10 + n)),
    )
    this.#machines = range(1, MACHINES).map((number) =>
      this.#machine(number, chanceOf(20 + number)),
    )
    this.#oracle = new GridOracle(this.#ledger, this.#machines, this.#clock, this.#shape)
  }

  async run(): Promise<GridResult> {
    try {
      await this.#settleIn()
      await this.#chaos()
      await this.#quiet()
      await this.#verify()
    } catch (caught) {
      throw this.#explained(caught)
    } finally {
      this.#isOver = true
      for (const machine of this.#machines) machine.crash()
    }
    return {
      seed: this.#options.seed,
      hash: this.#hash.digest('hex'),
      virtualSeconds: Math.round(this.#clock.monotonic() / 1000),
      counts: this.#counts,
    }
  }

  #machine(number: number, chance: Chance): SimMachine {
    // One node in four compares several endpoints, the one that may lie first; the others have one.
    const isCareful = number % 4 === this.#options.seed % 4
    const own = this.#endpoints[number % HONEST_ENDPOINTS] as SimEndpoint
    return new SimMachine({
      number,
      identity: identityOf(number),
      clock: this.#clock,
      chance,
      network: this.#network,
      endpoints: isCareful ? [...this.#endpoints].reverse() : [own],
      pollMs: POLL_MS,
      stallSeconds: 20,
      capacityBytes: GIB,
      witness: {
        provisioned: (machine, what) => {
          this.#note('provisioned', `${machine.number} ${what}`)
          this.#guard(() => this.#oracle.checkProvisioned(machine, what))
        },
        removed: (machine, what) => {
          this.#note('removed', `${machine.number} ${what}`)
          this.#guard(() => this.#oracle.checkRemoved(machine, what))
        },
        persisting: (machine, changes) =>
          this.#guard(() => this.#oracle.checkPersisted(machine, changes)),
        complained: (machine, message, fields) => {
          this.#note('complained', `${machine.number} ${message}`)
          if (!/bug/.test(message)) return
          this.#guard(() => {
            throw new Violation(`node ${machine.number}: ${message} ${JSON.stringify(fields)}`)
          })
        },
      },
    })
  }

  /** Boots everything and waits for the mount. */
  async #settleIn(): Promise<void> {
    for (const machine of this.#machines) machine.boot()
    void this.#mineForEver()
    for (let step = 0; step < 120 && !this.#writer; step++) {
      this.#tend()
      await this.#advance(1_000)
      this.#workload()
    }
    if (!this.#writer) throw new Violation('the first mount never came')
  }

  async #mineForEver(): Promise<void> {
    while (!this.#isOver) {
      await this.#clock.sleep(BLOCK_SECONDS * 1000)
      this.#ledger.mine()
    }
  }

  async #chaos(): Promise<void> {
    const chaosMs = (this.#options.chaosSeconds ?? 30) * 1000
    const until = this.#clock.monotonic() + chaosMs
    this.#destroyUntil = until - chaosMs / 3
    let nextLook = this.#clock.monotonic() + 15_000
    while (this.#clock.monotonic() < until) {
      if (this.#chance.below(2) === 0) this.#fault()
      if (this.#chance.below(4) === 0) this.#tenant()
      this.#tend()
      this.#workload()
      await this.#advance(50 + this.#chance.below(1_200))
      this.#workload()
      if (this.#clock.monotonic() < nextLook) continue
      nextLook += 20_000
      await this.#checkRemote()
    }
  }

  /** No more faults: everything that was not destroyed comes back, and all must become well. */
  async #quiet(): Promise<void> {
    this.#isQuiet = true
    this.#note('quiet', '')
    this.#ledger.isStalled = false
    this.#ledger.isFinalityStalled = false
    for (const endpoint of this.#endpoints) endpoint.fault = 'none'
    this.#network.mendAll()
    for (const machine of this.#machines) {
      machine.disk.onOperation = undefined
      machine.boot()
      machine.startAgent()
    }
    const until = this.#clock.monotonic() + QUIET_SECONDS_MAX * 1000
    let ill = ['nobody looked']
    while (ill.length > 0) {
      if (this.#clock.monotonic() >= until) throw new Violation(`never well: ${ill.join('; ')}`)
      this.#tend()
      await this.#advance(2_000)
      if (ill.length > 1 || this.#history.newest < 10) this.#workload()
      else this.#findWriter()
      ill = this.#ills()
    }
  }

  /** What is not as it must be once faults have stopped. */
  #ills(): string[] {
    const ills: string[] = []
    const { settled, final } = this.#ledger
    const volume = this.#volume(settled.state.orders)
    const writer = this.#writer
    if (this.#busy) ills.push('the workload waits')
    if (!volume) return [...ills, 'there is no volume']
    for (const machine of this.#machines) {
      if (machine.isDestroyed) continue
      const behind = settled.number - this.#oracle.cursorOf(machine)
      if (behind > 6) ills.push(`node ${machine.number} is ${behind} blocks behind`)
      ills.push(...this.#unprovisioned(machine, settled.number - 6))
    }
    for (const [index, slot] of volume.slots.entries()) {
      if (this.#oracle.machineOf(slot.node)?.isDestroyed) ills.push(`slot ${index} is lost`)
    }
    if (!writer || writer.process.isDead) return [...ills, 'nobody writes']
    if (writer.config.writerEpoch !== volume.writerEpoch) ills.push('the writer is an old one')
    const { state, problem, undispersedBytes } = writer.volume.figures()
    if (state !== 'ok') ills.push(`the volume is ${state}: ${problem}`)
    if (undispersedBytes > 0) ills.push(`${undispersedBytes} B are not dispersed`)
    const machine = this.#machines.find(({ shown }) => shown.get(writer.config.order) === writer)
    const status = machine?.unitStatus(writer.process.name) as
      | { missingShards?: number; dispersal?: { packsInFlight: number; slots: SlotSeen[] } }
      | undefined
    if (status?.missingShards !== 0) ills.push(`${status?.missingShards} shards are missing`)
    if (status?.dispersal?.packsInFlight !== 0) ills.push('packs are in flight')
    const newest = this.#volume(this.#ledger.head.state.orders)?.slots
    for (const { index, generation } of status?.dispersal?.slots ?? []) {
      if (newest?.[index]?.generation !== generation) ills.push(`slot ${index} moved since`)
    }
    if (!this.#oracle.everyMetaIsWhole(this.#volume(final.state.orders) ?? volume)) {
      ills.push('a metadata store is not whole')
    }
    return ills
  }

  /** Live orders that an agent has had time to see and does not serve. */
  #unprovisioned(machine: SimMachine, number: number): string[] {
    const block = this.#ledger.chain[Math.max(0, number)]
    const node = this.#oracle.nodeOf(machine)
    if (!block || node === 0) return [`node ${machine.number} is not registered`]
    const { settled } = this.#ledger
    const isLive = (order: SimOrder | undefined, at: typeof block) =>
      order !== undefined && stateAt(order, at.timestamp, at.state.policy.graceSeconds) === 'live'
    return block.state.orders.flatMap((order) => {
      const now = settled.state.orders[order.id - 1]
      if (!isLive(order, block) || !isLive(now, settled)) return []
      if (order.kind === 'mount') {
        const parent = settled.state.orders[order.parent - 1]
        const isWanted = now?.slots[0]?.node === node && isLive(parent, settled)
        return isWanted && !machine.shown.has(order.id) ? [`mount ${order.id} is not shown`] : []
      }
      return order.slots.flatMap((slot, index) => {
        if (slot.node !== node || now?.slots[index]?.node !== node) return []
        const name = `o${order.id}.${index}`
        const found = machine.store.namespaces.get(name)
        return found?.config.state === 'live' ? [] : [`${name} is not served by node ${node}`]
      })
    })
  }

  /** At the end: the writer, an empty machine and every metadata store alone show what the model holds. */
  async #verify(): Promise<void> {
    const writer = this.#writer
    const volume = this.#volume(this.#ledger.settled.state.orders)
    if (!writer || !volume) throw new Violation('there is nothing to verify')
    writer.volume.dropCache()
    const files = await this.#drive(readAll(writer.volume)).catch((caught: unknown) => {
      throw new Violation(`the mount cannot be read: ${describeError(caught)}`)
    })
    this.#mustBe(digestOf(files), 'the mount')
    for (const meta of range(0, this.#shape.metaStores - 1)) {
      const found = await this.#drive(this.#oracle.readRemote(volume, [meta]))
      this.#mustBe(found.digest, `an empty machine with metadata store ${meta} alone`)
      if (found.shardsLacking === 0) continue
      throw new Violation(`repaired, and ${found.shardsLacking} shards are not there`)
    }
    for (const shown of this.#followers()) await this.#verifyFollower(shown)
    this.#note('verified', `${this.#history.newest} ${this.#history.digest}`)
  }

  #followers(): Shown[] {
    const volume = this.#volume(this.#ledger.settled.state.orders)
    return this.#machines
      .flatMap(({ shown }) => [...shown.values()])
      .filter(({ config }) => config.readOnly && config.volume === volume?.id)
  }

  /** A reader comes to what the writer shows, in its own time. */
  async #verifyFollower(shown: Shown): Promise<void> {
    const until = this.#clock.monotonic() + FOLLOW_SECONDS_MAX * 1000
    // It may end meanwhile, because its order does.
    while (this.#followers().includes(shown)) {
      const digest = await this.#look(shown)
      if (digest === this.#history.digest) return this.#count('read-only mount verified')
      if (this.#clock.monotonic() >= until) {
        const { commitSequence, problem } = shown.volume.figures()
        const who = `a read-only mount at commit ${commitSequence} (${problem})`
        return this.#mustBe(digest ?? 'nothing', who)
      }
      await this.#advance(5_000)
    }
  }

  /**
   * What a reader shows, which must be something that was there once.
   *
   * @returns Undefined if it cannot tell now: its stores are away, or what it refers to was swept since it last looked.
   */
  async #look(shown: Shown): Promise<string | undefined> {
    let isGone = false
    shown.process.onDeath(() => {
      isGone = true
    })
    const commit = () => shown.volume.figures().commitSequence
    const before = commit()
    const reading = readAll(shown.volume).then(
      // Files read one by one across a commit are of two states.
      (files) => (commit() === before ? digestOf(files) : undefined),
      (caught: unknown) => {
        if (isNodeError(caught)) return undefined
        throw caught
      },
    )
    const gone = (async () => {
      while (!isGone) await this.#clock.sleep(1_000)
      return undefined
    })()
    const digest = await this.#drive(Promise.race([reading, gone]))
    isGone = true
    if (digest === undefined || this.#history.find(digest, 0) !== undefined) return digest
    throw new Violation('a read-only mount shows what was never written')
  }

  #mustBe(digest: string, who: string): void {
    if (digest === this.#history.digest) return
    const at = this.#history.find(digest, 0)
    const found = at === undefined ? 'something never written' : `state ${at}`
    throw new Violation(`${who} shows ${found} instead of state ${this.#history.newest}`)
  }

  /** In the middle of everything: what the stores hold is a prefix, not before what is certain there, and whole. */
  async #checkRemote(): Promise<void> {
    const volume = this.#volume(this.#ledger.settled.state.orders)
    if (!volume || this.#history.dispersed === 0) return
    const from = this.#history.dispersed
    const metas = range(0, this.#shape.metaStores - 1)
    const { digest, sequence } = await this.#drive(this.#oracle.readRemote(volume, metas), 0)
    const at = this.#history.find(digest, from)
    this.#note('remote', `commit ${sequence} state ${at}`)
    if (at === undefined) {
      const earlier = this.#history.find(digest, 0)
      throw new Violation(`the stores show state ${earlier} and ${from} is certain there`)
    }
    for (const shown of this.#followers()) await this.#look(shown)
  }

  // The workload

  #workload(): void {
    this.#findWriter()
    const writer = this.#writer
    if (!writer || this.#busy || this.#epochWanted > writer.config.writerEpoch) return
    const dice = this.#work.below(12)
    if (dice < 6) this.#change(writer)
    else if (dice < 8) this.#sync(writer)
    else if (dice < 10) this.#read(writer)
    else if (dice === 10) this.#flush(writer)
    else writer.volume.dropCache()
  }

  /** Looks for the mount that writes, and trusts it once what it shows was checked. */
  #findWriter(): void {
    const writer = this.#writer
    const all = this.#machines.flatMap(({ number, shown }) =>
      [...shown.values()].map((one) => ({ number, one })),
    )
    if (writer && !all.some(({ one }) => one === writer)) this.#writer = undefined
    const volume = this.#volume(this.#ledger.settled.state.orders)
    const able = all
      .filter(({ one }) => !one.config.readOnly && one.config.volume === volume?.id)
      .sort((a, b) => a.one.config.writerEpoch - b.one.config.writerEpoch)
    const newest = able.at(-1)
    if (!newest || newest.one === this.#writer || this.#busy) return
    if (newest.one.config.writerEpoch < this.#epochWanted) return
    this.#writer = undefined
    this.#verifyWriter(newest.number, newest.one)
  }

  #verifyWriter(number: number, shown: Shown): void {
    const place = `${number}/${shown.config.order}`
    this.#during(shown.process, async () => {
      const files = await readAll(shown.volume)
      const digest = digestOf(files)
      const from = place === this.#lastPlace ? this.#history.acknowledged : this.#history.dispersed
      const at = this.#history.find(digest, from)
      this.#note('opened', `${place} epoch ${shown.config.writerEpoch} state ${at} from ${from}`)
      if (at === undefined) {
        const earlier = this.#history.find(digest, 0)
        throw new Violation(
          `after opening at ${place} the files are ${
            earlier === undefined ? `never written: ${describeFiles(files)}` : `state ${earlier}`
          }, certain are ${from}: ${this.#history.describe(from)}; newest ${this.#history.newest}`,
        )
      }
      this.#history.resume(at)
      this.#lastPlace = place
      this.#writer = shown
    })
  }

  #change(writer: Shown): void {
    const changes = nextChanges(this.#history.files, this.#work)
    this.#during(writer.process, async () => {
      for (const change of changes) await this.#do(writer, change)
    })
  }

  async #do(writer: Shown, change: FileChange): Promise<void> {
    this.#count(`file ${change.kind}`)
    this.#history.add(change)
    try {
      await perform(writer.volume, change)
    } catch (caught) {
      // Whether it took effect is seen when the mount is looked at anew.
      this.#note('refused', `${change.kind} ${codeOf(caught) ?? 'crash'}`)
      if (this.#writer === writer) this.#writer = undefined
      throw caught
    }
  }

  #sync(writer: Shown): void {
    const at = this.#history.newest
    this.#count('fsync')
    this.#during(writer.process, async () => {
      await writer.volume.sync(1, false)
      this.#history.acknowledged = Math.max(this.#history.acknowledged, at)
    })
  }

  #flush(writer: Shown): void {
    const at = this.#history.newest
    this.#count('flush')
    writer.volume.syncDispersed().then(
      () => {
        if (this.#writer !== writer || writer.process.isDead) return
        this.#guard(() => this.#checkDispersed(writer))
        this.#history.dispersed = Math.max(this.#history.dispersed, at)
        this.#history.acknowledged = Math.max(this.#history.acknowledged, at)
        this.#note('dispersed', String(at))
      },
      () => undefined,
    )
  }

  /** What is said to be dispersed is on a majority of the metadata stores at that moment. */
  #checkDispersed(writer: Shown): void {
    const volume = this.#volume(this.#ledger.settled.state.orders)
    const { commitSequence } = writer.volume.figures()
    if (!volume || commitSequence === 0) return
    const holding = this.#oracle.metasHolding(volume, commitSequence)
    if (holding * 2 > this.#shape.metaStores) return
    throw new Violation(`commit ${commitSequence} was said to be dispersed and is on ${holding}`)
  }

  #read(writer: Shown): void {
    const paths = [...this.#history.files.keys()].filter((path) => !path.endsWith('/'))
    const path = paths[this.#work.below(Math.max(1, paths.length))]
    if (path === undefined) return
    const expected = this.#history.files.get(path)
    this.#count('read')
    this.#during(writer.process, async () => {
      const bytes = await readPath(writer.volume, path)
      if (expected?.equals(bytes)) return
      throw new Violation(`a read of ${path} gave ${bytes.length} other bytes than were written`)
    })
  }

  /** One thing at a time; if its process dies it never ends. A failure of the volume is no violation. */
  #during(process: SimProcess, work: () => Promise<void>): void {
    const token = Symbol('work')
    this.#busy = token
    const done = () => {
      if (this.#busy === token) this.#busy = undefined
    }
    process.onDeath(done)
    work().then(done, (caught: unknown) => {
      done()
      if (isNodeError(caught) || caught instanceof Crash) return
      this.#violation ??= caught
    })
  }

  // The tenant

  /** Keeps what the tenant must have: the volume, and one mount that may write on a node that lives. */
  #tend(): void {
    const { settled, head } = this.#ledger
    // The first mount is ordered in the hope that the volume stays where it is.
    const volume = this.#volume(settled.state.orders) ?? this.#volume(head.state.orders)
    if (!volume) {
      this.#ask('volume', () => this.#placeVolume(1))
      return
    }
    const mount = settled.state.orders
      .filter((one) => one.kind === 'mount' && one.parent === volume.id && !one.readOnly)
      .at(-1)
    const now = head.state.orders[volume.id - 1] ?? volume
    if (!mount && head.state.orders.length < 2) {
      this.#ask('mount 1', () => this.#placeMount(volume, CONSUMER, false))
      return
    }
    if (!mount) return
    const at = this.#oracle.machineOf(mount.slots[0]?.node ?? 0)
    if (!at?.isDestroyed || now.writerEpoch > volume.writerEpoch) return
    const next = this.#machines.find((one) => !one.isDestroyed && this.#isHeard(one))
    if (!next) return
    this.#move(volume.writerEpoch + 1)
    this.#ask(`mount ${volume.writerEpoch + 1}`, () => this.#placeMount(volume, next.number, false))
  }

  /** From now on only a writer of this epoch counts, and it starts from what is on the stores. */
  #move(epoch: number): void {
    if (this.#epochWanted >= epoch) return
    this.#epochWanted = epoch
    this.#history.acknowledged = this.#history.dispersed
    this.#note('moves', `to epoch ${epoch}`)
  }

  /** Something that tenants do. */
  #tenant(): void {
    const { settled } = this.#ledger
    const { orders } = settled.state
    const volume = this.#volume(orders)
    if (!volume) return
    const mine = orders.filter((order) => order.id !== volume.id && !this.#isNeeded(order, volume))
    const some = mine[this.#chance.below(Math.max(1, mine.length))]
    const machine = this.#pick(this.#machines)
    switch (this.#chance.below(10)) {
      case 0:
      case 1:
        this.#placeStore(machine)
        return
      case 2:
      case 3:
        if (some) this.#submit(`cancel ${some.id}`, (call) => call.cancel(some.id))
        return
      case 4:
        if (some) this.#submit(`extend ${some.id}`, (call) => call.extend(some.id, 30))
        return
      case 5:
        if (some) this.#submit(`settle ${some.id}`, (call) => call.settle(some.id))
        return
      case 6:
        if (orders.some((one) => one.kind === 'mount' && one.readOnly)) return
        this.#placeMount(volume, machine.number, true)
        return
      case 7:
        this.#secondVolume(orders, volume)
        return
      case 8:
        this.#replaceSlot(volume)
        return
      default: {
        const dispersalAgeSeconds = 2 + this.#chance.below(6)
        const finalityDepth = 1 + this.#chance.below(4)
        this.#submit('policy', (call) => call.setPolicy({ dispersalAgeSeconds, finalityDepth }))
      }
    }
  }

  /** Takes a slot from a node that lives, where the volume can do without what it holds. */
  #replaceSlot(volume: SimOrder): void {
    const index = this.#chance.below(volume.slots.length)
    const machine = this.#oracle.machineOf(volume.slots[index]?.node ?? 0)
    if (!machine || !this.#mayLose(volume, machine)) return
    const node = this.#pick(this.#aliveNodes())
    // What is on its way must not meet another loss.
    this.#noHarmUntil = this.#clock.monotonic() + MOVE_MS_MAX
    this.#submit(`replace slot ${index} by ${node}`, (call) => {
      call.replace(TENANT, volume.id, index, node)
    })
  }

  /** A volume that lives for a while on the side, with a mount, so that both are seen to end. */
  #secondVolume(orders: readonly SimOrder[], volume: SimOrder): void {
    const second = orders.find((one) => one.kind === 'volume' && one.id !== volume.id)
    if (!second) {
      this.#placeVolume(2)
      return
    }
    if (orders.some((one) => one.kind === 'mount' && one.parent === second.id)) return
    this.#placeMount(second, CONSUMER, false)
  }

  #isNeeded(order: SimOrder, volume: SimOrder): boolean {
    return order.kind === 'mount' && order.parent === volume.id && !order.readOnly
  }

  #placeVolume(number: number): void {
    const { dataShards, parityShards, metaStores } = this.#shape
    const spec = { ...this.#shape, sizeBytes: GIB * number }
    const nodes = this.#aliveNodes()
    const total = dataShards + parityShards
    if (nodes.length < total) return
    const data = shuffled(nodes, this.#chance).slice(0, total)
    const metas = shuffled(nodes, this.#chance).slice(0, metaStores)
    const slots = [...data, ...metas].map((node) => ({ node, sizeBytes: 1_000_000 }))
    const keyCommitment = volumeKeyCommitment(VOLUME_KEY)
    this.#submit(`volume ${number} on ${slots.map(({ node }) => node)}`, (call) => {
      // A tenant looks before it orders again what it may have ordered already.
      if (call.draft.orders.filter((one) => one.kind === 'volume').length >= number) return
      call.place({
        kind: 'volume',
        tenant: TENANT,
        parent: 0,
        spec: simSpecs.volume({ ...spec, keyCommitment }),
        slots,
        seconds: number === 1 ? 1_000_000 : 40,
        dataSlots: total,
        readOnly: false,
      })
    })
  }

  #placeMount(volume: SimOrder, number: number, readOnly: boolean): void {
    const machine = this.#machines[number - 1]
    const node = machine ? this.#oracle.nodeOf(machine) : 0
    if (!machine || node === 0) return
    const { account, sealingKey } = identityOf(number)
    const name = { chainId: SIM_CHAIN_ID, grid: SIM_CONTRACTS.grid, volume: volume.id, account }
    const sealed = seal(sealingKey, VOLUME_KEY, volumeKeyContext(name))
    const path = `v${volume.id}-${volume.writerEpoch}${readOnly ? 'r' : 'w'}`
    this.#submit(`mount of ${volume.id} on ${node} ${readOnly ? 'ro' : 'rw'}`, (call) => {
      if (!readOnly && call.order(volume.id).writerEpoch > volume.writerEpoch) return
      call.place({
        kind: 'mount',
        tenant: TENANT,
        parent: volume.id,
        spec: simSpecs.mount(path, readOnly, sealed),
        slots: [{ node, sizeBytes: 1 }],
        seconds: readOnly ? 150 : 1_000_000,
        dataSlots: 1,
        readOnly,
      })
    })
  }

  #placeStore(machine: SimMachine): void {
    const node = this.#oracle.nodeOf(machine)
    const seconds = this.#chance.below(3) === 0 ? 1_000 : 5 + this.#chance.below(60)
    if (node === 0) return
    // Now and then nobody tells of the order for a while.
    if (this.#chance.below(3) === 0) this.#withhold(12_000)
    this.#submit(`store on ${node} for ${seconds} s`, (call) =>
      call.place({
        kind: 'store',
        tenant: TENANT,
        parent: 0,
        spec: simSpecs.store([TENANT]),
        slots: [{ node, sizeBytes: 1000 }],
        seconds,
        dataSlots: 1,
        readOnly: false,
      }),
    )
  }

  /** Asks once, and again when nothing came of it for a while. */
  #ask(what: string, act: () => void): void {
    const now = this.#clock.monotonic()
    if (now - (this.#asked.get(what) ?? Number.NEGATIVE_INFINITY) < 30_000) return
    this.#asked.set(what, now)
    act()
  }

  #submit(what: string, apply: (call: SimCall) => void): void {
    this.#note('tenant', what)
    this.#count(`tenant ${what.split(' ')[0]}`)
    this.#ledger.submit({ hash: `tenant ${this.#tenantNonce++}`, from: undefined, apply })
  }

  /** The volume under test is the first there is. */
  #volume(orders: readonly SimOrder[]): SimOrder | undefined {
    return orders.find(({ kind }) => kind === 'volume')
  }

  #aliveNodes(): number[] {
    return this.#machines
      .filter((machine) => this.#isHeard(machine))
      .map((machine) => this.#oracle.nodeOf(machine))
      .filter((node) => node > 0)
  }

  // Faults

  #fault(): void {
    const machine = this.#pick(this.#machines)
    switch (this.#chance.below(15)) {
      case 0:
      case 1:
        this.#crash(machine, 500 + this.#chance.below(10_000))
        return
      case 2:
        this.#crashConsumer()
        return
      case 3:
        this.#killAgent(machine)
        return
      case 4:
        this.#killUnit(machine)
        return
      case 5:
        this.#crashInTheMiddle(machine)
        return
      case 6:
        this.#destroy(this.#chance.below(3) === 0 ? this.#consumer(machine) : machine)
        return
      case 7:
        this.#cut()
        return
      case 8:
        this.#network.lossPerMille = this.#chance.below(60)
        this.#network.delayMsMax = 1 + this.#chance.below(this.#chance.below(4) === 0 ? 2_000 : 50)
        this.#note('weather', `${this.#network.lossPerMille} ${this.#network.delayMsMax}`)
        return
      case 9:
      case 10:
        this.#endpointFault()
        return
      case 11:
        this.#note('reorg', String(this.#ledger.reorganise(1 + this.#chance.below(5))))
        return
      case 12:
        this.#stall()
        return
      case 13:
        this.#rot()
        return
      default: {
        const ms = this.#chance.below(20_000) - 10_000
        this.#clock.step(ms)
        this.#note('clock', String(ms))
        return
      }
    }
  }

  /** A machine loses power for a while; never so many at once that the ledger would call more than m of them lost. */
  #crash(machine: SimMachine, forMs: number): void {
    if (!machine.isOn || !this.#maySilence(machine)) return
    this.#note('crash', `${machine.number} for ${forMs}`)
    machine.crash()
    this.#later(forMs, () => this.#boot(machine))
  }

  #crashConsumer(): void {
    const consumer = this.#consumer(undefined)
    if (consumer) this.#crash(consumer, 300 + this.#chance.below(6_000))
  }

  /** The machine whose mount the workload uses now. */
  #consumer<T>(otherwise: T): SimMachine | T {
    const writer = this.#writer
    const isThere = ({ shown }: SimMachine) => writer && [...shown.values()].includes(writer)
    return this.#machines.find(isThere) ?? otherwise
  }

  #boot(machine: SimMachine): void {
    if (machine.isDestroyed || machine.isOn) return
    this.#note('boot', String(machine.number))
    machine.boot()
  }

  #killAgent(machine: SimMachine): void {
    if (!machine.isOn) return
    this.#note('kill', `agent of ${machine.number}`)
    machine.killAgent()
    this.#later(100 + this.#chance.below(6_000), () => machine.startAgent())
  }

  #killUnit(machine: SimMachine): void {
    const { units } = machine
    const name = units[this.#chance.below(Math.max(1, units.length))]
    if (name === undefined) return
    this.#note('kill', `${name} of ${machine.number}`)
    machine.killUnit(name)
  }

  /** Power goes at one of the next changes of the disk. */
  #crashInTheMiddle(machine: SimMachine): void {
    const mounting = this.#machines.filter(({ shown, isOn }) => isOn && shown.size > 0)
    const target = mounting[this.#chance.below(Math.max(1, mounting.length))] ?? machine
    if (!target.isOn || !this.#maySilence(target)) return
    let left = 1 + this.#chance.below(30)
    target.disk.onOperation = ({ kind, path }) => {
      if (--left > 0) return
      this.#note('crash', `${target.number} at ${kind} of ${path.replace(/[0-9a-f]{16,}/g, '…')}`)
      target.crash()
      this.#later(300 + this.#chance.below(6_000), () => this.#boot(target))
      throw new Crash('power went')
    }
  }

  /** A machine never comes back: at most m of the volume's slots at a time, and never the last copy of anything. */
  #destroy(machine: SimMachine): void {
    const volume = this.#volume(this.#ledger.settled.state.orders)
    // Late losses would only make every run wait for the ledger to call them lost.
    if (this.#clock.monotonic() > this.#destroyUntil) return
    if (!volume || machine.isDestroyed || this.#lostEver >= this.#shape.parityShards) return
    const isConsumer = [...machine.shown.values()].some((one) => !one.config.readOnly)
    // The mount moves once at most: each move costs the workload half a minute.
    if (isConsumer && this.#epochWanted > 0) return
    if (!this.#mayLose(volume, machine)) return
    if (isConsumer && !this.#oracle.everyMetaIsWhole(volume)) return
    this.#lostEver++
    this.#note('destroyed', String(machine.number))
    machine.destroy()
  }

  /** Whether the volume outlives the loss of a machine beside those that are gone or silent already. */
  #mayLose(volume: SimOrder, machine: SimMachine): boolean {
    if (this.#clock.monotonic() < this.#noHarmUntil) return false
    const gone = this.#machines.filter((one) => one.isDestroyed || !this.#isHeard(one))
    const lost = [...new Set([...gone, machine])]
    const isFew = this.#slotsOn(volume, lost) <= this.#shape.parityShards
    return isFew && this.#oracle.survives(volume, lost)
  }

  #slotsOn(volume: SimOrder, machines: readonly SimMachine[]): number {
    const total = this.#shape.dataShards + this.#shape.parityShards
    const held = (from: number, to: number) =>
      volume.slots
        .slice(from, to)
        .filter(({ node }) => machines.some((one) => this.#oracle.nodeOf(one) === node)).length
    // Of the metadata stores a minority may be lost, whose commits the majority has.
    const metasMax = Math.floor((this.#shape.metaStores - 1) / 2) || 1
    const metas = held(total, volume.slots.length)
    return metas > metasMax ? Number.POSITIVE_INFINITY : held(0, total)
  }

  #maySilence(machine: SimMachine): boolean {
    const silent = this.#machines.filter(
      (one) => one === machine || one.isDestroyed || !one.isOn || !this.#isHeard(one),
    )
    return silent.length <= this.#shape.parityShards
  }

  /** Whether the ledger heard of a machine lately. */
  #isHeard(machine: SimMachine): boolean {
    const { state, timestamp } = this.#ledger.head
    const node = state.nodes.find(({ account }) => account === machine.account)
    return node !== undefined && timestamp - node.lastHeartbeat <= SILENT_SECONDS
  }

  #cut(): void {
    const [one, other] = [this.#pick(this.#machines), this.#pick(this.#machines)]
    if (one === other) return
    if (this.#chance.below(4) === 0) {
      this.#note('mend', '')
      this.#network.mendAll()
      return
    }
    this.#note('cut', `${one.number} ${other.number}`)
    this.#network.cut(one.account, other.account)
    this.#later(2_000 + this.#chance.below(20_000), () => this.#network.mendAll())
  }

  #withhold(forMs: number): void {
    this.#note('endpoint', 'all withholding')
    for (const endpoint of this.#endpoints) endpoint.fault = 'withholding'
    this.#later(forMs, () => {
      for (const endpoint of this.#endpoints) endpoint.fault = 'none'
    })
  }

  #endpointFault(): void {
    const endpoint = this.#pick(this.#endpoints)
    // Where there are several endpoints one may lie; those that are alone for some node may not.
    const mayLie = endpoint === this.#endpoints.at(-1)
    const kinds = mayLie ? LIES : HONEST_FAULTS
    const fault = kinds[this.#chance.below(kinds.length)] ?? 'away'
    this.#note('endpoint', `${endpoint.name} ${fault}`)
    if (fault === 'false-time') this.#count('false time')
    endpoint.fault = fault
    // A false time must last some polls to be adopted where nothing prevents it.
    const forMs = fault === 'false-time' ? FALSE_TIME_MS : 1_000 + this.#chance.below(9_000)
    this.#later(forMs, () => {
      endpoint.fault = 'none'
    })
  }

  /** A bit of a shard turns over on some disk, where the pack can do without that shard. */
  #rot(): void {
    const volume = this.#volume(this.#ledger.settled.state.orders)
    if (this.#clock.monotonic() < this.#noHarmUntil) return
    const what = volume && this.#oracle.rot(volume, this.#chance)
    if (what !== undefined) this.#note('rot', what)
  }

  #stall(): void {
    const isFinality = this.#chance.below(2) === 0
    this.#note('stall', isFinality ? 'finality' : 'chain')
    if (isFinality) this.#ledger.isFinalityStalled = true
    else this.#ledger.isStalled = true
    this.#later(2_000 + this.#chance.below(14_000), () => {
      this.#ledger.isFinalityStalled = false
      this.#ledger.isStalled = false
    })
  }

  // Time

  /** Does something later, unless it is quiet by then. */
  #later(ms: number, act: () => void): void {
    this.#clock.sleep(ms).then(
      () => {
        if (!this.#isQuiet) act()
      },
      () => undefined,
    )
  }

  async #advance(ms: number): Promise<void> {
    await this.#clock.advance(ms)
    if (this.#violation !== undefined) throw this.#violation
  }

  /** Lets time pass until a promise settles. */
  async #drive<T>(work: Promise<T>, stepMs = 100): Promise<T> {
    let isSettled = false
    const settled = () => {
      isSettled = true
    }
    work.then(settled, settled)
    await settle()
    for (let step = 0; step < 2_000 && !isSettled; step++) await this.#advance(stepMs)
    if (!isSettled) throw new Violation('a read never ended')
    return await work
  }

  #guard(check: () => void): void {
    try {
      check()
    } catch (caught) {
      this.#violation ??= caught
    }
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#chance.below(items.length)] as T
  }

  #count(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1)
  }

  #note(what: string, about: string): void {
    const line = `${this.#clock.monotonic()} ${what} ${about}`
    this.#hash.update(`${line}\n`)
    this.#options.trace?.(line)
    if (!what.startsWith('tenant')) this.#count(what)
  }

  #explained(caught: unknown): Error {
    const { seed } = this.#options
    const seconds = Math.round(this.#clock.monotonic() / 1000)
    const stack = caught instanceof Violation ? '' : `\n${(caught as Error).stack}`
    return new Violation(
      `SEED=${seed} after ${seconds} s: ${describeError(caught)}${stack}\n` +
        `Repeat it: SEED=${seed} npx mocha test/sim/grid.sim.ts`,
    )
  }
}

function genesisNodes(): SimNode[] {
  const numbers = range(1, MACHINES).filter((number) => number !== NEWCOMER)
  return numbers.map((number, index) => {
    const { account, publicKey, sealingKey } = identityOf(number)
    return {
      id: index + 1,
      farm: number,
      account,
      state: 2,
      capacityBytes: GIB,
      usedBytes: 0,
      registeredAt: GENESIS_SECONDS,
      lastHeartbeat: GENESIS_SECONDS,
      publicKey: `0x${toHex(publicKey)}`,
      // Agents do not read it, only clients do, so a piece of it will do.
      sealingKey: `0x${toHex(sealingKey.subarray(0, 32))}`,
      addresses: [`/ip4/192.0.2.${number}/tcp/4100`],
    }
  })
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, at) => from + at)
}

function shuffled<T>(items: readonly T[], chance: Chance): T[] {
  const result = [...items]
  for (let at = result.length - 1; at > 0; at--) {
    const other = chance.below(at + 1)
    const [one, two] = [result[at] as T, result[other] as T]
    result[at] = two
    result[other] = one
  }
  return result
}
