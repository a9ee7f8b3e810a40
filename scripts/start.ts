/**
 * `npm start`: a whole grid on this machine, history on a mount, the loss of two stores, an audit and a vote
 * (docs/design/0012-main-job.md). Stays up unless told `--once`; started again it goes on with what is there.
 */
import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Command } from 'commander'
import { giveUpAllMountPoints } from '../agent/adapters/process/mount-claims.ts'
import { describeError, NodeError } from '../agent/base/errors.ts'
import { GIB } from '../agent/base/units.ts'
import { MOUNT_BYTES } from '../client/sdk/index.ts'
import type { GridParameters } from './deploy/parameters.ts'
import { isOfThisCheckout } from './deploy.ts'
import { lockLedger } from './devnet/devnet.ts'
import { endLeftovers, machineDirs } from './grid/leftovers.ts'
import { LocalGrid, nodeNumber } from './grid/local-grid.ts'
import { buildContracts } from './run/build-contracts.ts'
import { root } from './run/step.ts'
import { banner } from './start/banner.ts'
import { JobNotes } from './start/job-notes.ts'
import { MainJob } from './start/main-job.ts'
import { missingFor } from './start/preflight.ts'
import { Report } from './start/report.ts'

interface Options {
  readonly history?: string
  readonly once?: boolean
  readonly fresh?: boolean
  readonly json?: string
  readonly data?: string
}

const values = new Command('npm start --')
  .description(
    'Brings up a local ledger, the contracts and nine agents, keeps history on a 4+2 volume, loses two stores, repairs, audits, votes. Started again it goes on with what is there.',
  )
  .option(
    '--history <dir>',
    "files to keep (default: the ledger's own blocks and those of a busier one)",
  )
  .option('--once', 'clean up and exit; exit code 0 only if all of it held')
  .option('--fresh', 'begin anew; what is there is kept aside')
  .option('--json <file>', 'write every figure of the table to a file')
  .option(
    '--data <dir>',
    'where ledger and nodes live (default: .varve, or a temporary directory with --once)',
  )
  .addHelpText(
    'after',
    `
Examples:
  $ npm start
  $ npm start -- --history ../shared/data
  $ npm start -- --once --json figures.json`,
  )
  .showHelpAfterError('(add --help for help)')
  .parse()
  .opts<Options>()

/** Eight farms of stores and one consumer. */
const AGENTS = 9
/** Time to vote by hand; with `--once` nobody does. */
const VOTING_SECONDS = values.once ? 90 : 180

const parameters = (usual: GridParameters): GridParameters => ({
  ...usual,
  votingPeriodSeconds: VOTING_SECONDS,
  policy: {
    ...usual.policy,
    // An epoch a minute, with a window as long: a busy machine misses none, and people see several.
    ...{ AuditEpochSeconds: 60n, AuditWindowSeconds: 60n, AuditWindowBlocks: 20n },
    ...{ AuditAnswerSeconds: 60n, AuditSamples: 16n, AuditOpenOdds: 2n },
  },
})
/** The last node is for mounts: the main job's, and those that people order by hand. */
const capacityBytesOf = (agent: number): number =>
  (agent === AGENTS - 1 ? 8 : 256) * (agent === AGENTS - 1 ? MOUNT_BYTES : GIB)

const started = performance.now()
const say = (what: string): void => {
  const seconds = ((performance.now() - started) / 1000).toFixed(1).padStart(6)
  console.error(`[${seconds} s] ${what}`)
}

async function main(): Promise<number> {
  const dataDir = values.data
    ? resolve(values.data)
    : values.once
      ? mkdtempSync(join(tmpdir(), 'varve-'))
      : join(root, '.varve')
  checkInput(dataDir)
  const stopping = new Stopping(dataDir)
  const built = await buildContracts({ tests: false, say })
  if (built.exitCode !== 0) throw new NodeError('BUILD_FAILED', 'the contracts do not build')
  if (values.fresh) await putAside(dataDir)
  if (existsSync(join(dataDir, 'ledger'))) say(`going on with the grid in ${dataDir}`)

  const report = new Report()
  const grid = await LocalGrid.start({ dataDir, agents: AGENTS, say, capacityBytesOf, parameters })
  stopping.grid = grid
  if (!isOfThisCheckout(grid.deployed)) {
    say(
      'this grid was deployed from other contracts than those of this checkout; if it does not work, begin anew with npm start -- --fresh',
    )
  }
  try {
    await runJob(grid, report)
    if (values.json) report.write(values.json)
    if (!values.once) {
      console.log(await bannerOf(grid))
      await stopping.asked
    }
  } finally {
    say('stopping')
    await stopping.stop()
    if (values.once && !values.data) await removeGrid(dataDir)
  }
  console.log(report.held ? 'all of it held' : 'NOT all of it held')
  return report.held ? 0 : 1
}

/** What goes wrong is said and counts, but tears nothing down that people could look at. */
async function runJob(grid: LocalGrid, report: Report): Promise<void> {
  const { dataDir } = grid.options
  try {
    const job = new MainJob(grid, report, new JobNotes(dataDir), say)
    await job.run(values.history ? resolve(values.history) : undefined)
  } catch (caught) {
    tellFailure(caught)
    const met = { text: 'to its end', met: false }
    report.add({ name: 'main job', value: describeError(caught), unit: 'text', goal: met })
  }
  report.add({ name: 'whole run', value: (performance.now() - started) / 1000, unit: 'seconds' })
  console.log(`\n${report.table()}\n`)
}

function checkInput(dataDir: string): void {
  const missing = missingFor(dataDir)
  if (missing.length > 0) {
    throw new NodeError(
      'START_IMPOSSIBLE',
      `this machine lacks what a grid needs:\n  - ${missing.join('\n  - ')}`,
    )
  }
  if (values.history && !existsSync(values.history)) {
    throw new NodeError('HISTORY_MISSING', `${values.history} does not exist`, {
      hint: 'Give --history a directory, as seen from the checkout.',
    })
  }
}

/** Moves a grid out of the way, whole; what still runs of it is ended, unless somebody else runs it. */
async function putAside(dataDir: string): Promise<void> {
  const ledgerDir = join(dataDir, 'ledger')
  if (!existsSync(ledgerDir)) return
  const unlock = lockLedger(ledgerDir)
  await endLeftovers(dataDir)
  await giveUpPoints(dataDir)
  unlock()
  const aside = `${dataDir}.${new Date().toISOString().replace(/[:.]/g, '-')}`
  renameSync(dataDir, aside)
  say(`what was in ${dataDir} is in ${aside} now; remove it when you do not need it`)
}

/** Mount points take no writes, nor can they be removed, until they are given up; their notes name paths of before a move. */
async function giveUpPoints(dataDir: string): Promise<void> {
  for (const directory of machineDirs(dataDir)) await giveUpAllMountPoints(directory)
}

async function removeGrid(dataDir: string): Promise<void> {
  await giveUpPoints(dataDir)
  rmSync(dataDir, { recursive: true, force: true })
}

/** Ends the grid on Ctrl-C whatever is going on: whole if it is up, by force if it is only coming up, or on a second Ctrl-C. */
class Stopping {
  grid: LocalGrid | undefined
  readonly #asked = Promise.withResolvers<void>()
  readonly #dataDir: string
  #stopped: Promise<void> | undefined
  #signals = 0

  constructor(dataDir: string) {
    this.#dataDir = dataDir
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => this.#onSignal())
    }
  }

  /** Resolves when somebody asks for the end. */
  get asked(): Promise<void> {
    return this.#asked.promise
  }

  stop(): Promise<void> {
    this.#stopped ??= this.grid === undefined ? Promise.resolve() : this.grid.stop()
    return this.#stopped
  }

  #onSignal(): void {
    this.#asked.resolve()
    this.#signals++
    const ended =
      this.grid === undefined || this.#signals > 1 ? endLeftovers(this.#dataDir) : this.stop()
    void ended.finally(() => process.exit(130))
  }
}

async function bannerOf(grid: LocalGrid): Promise<string> {
  const consumer = await grid.agent(AGENTS - 1).status()
  const node = (consumer && nodeNumber(consumer)) ?? AGENTS
  const tenant = await grid.connect(grid.tenantKey)
  try {
    const orders = await tenant.orders()
    const mount = orders.find(({ spec }) => spec?.kind === 'mount' && spec.name === 'history')
    const { dataDir } = grid.options
    return banner({
      ...{ ledgerUrl: grid.ledger.url, grid: grid.deployed.grid, dataDir, consumer: node },
      mountPath: mount && join(dataDir, `node${node}`, 'mnt', 'history'),
      nextOrder: Math.max(0, ...orders.map(({ id }) => id)) + 1,
    })
  } finally {
    tenant.close()
  }
}

function tellFailure(caught: unknown): void {
  console.error(`\nvarve: ${describeError(caught)}`)
  if (caught instanceof NodeError && caught.hint) console.error(`       ${caught.hint}`)
}

try {
  process.exitCode = await main()
} catch (caught) {
  tellFailure(caught)
  process.exitCode = 1
}
