/**
 * `npm start`: a whole grid on this machine, history on a mount, the loss of two stores, and a vote
 * (docs/design/0012-main-job.md). Stays up unless told `--once`.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Command } from 'commander'
import { giveUpAllMountPoints } from '../agent/adapters/process/mount-claims.ts'
import { describeError, NodeError } from '../agent/base/errors.ts'
import { GIB } from '../agent/base/units.ts'
import { MOUNT_BYTES } from '../client/sdk/index.ts'
import type { GridParameters } from './deploy/parameters.ts'
import { LocalGrid, nodeNumber } from './grid/local-grid.ts'
import { root, step } from './run/step.ts'
import { MainJob } from './start/main-job.ts'
import { Report } from './start/report.ts'

interface Options {
  readonly history?: string
  readonly once?: boolean
  readonly json?: string
  readonly data?: string
}

const values = new Command('npm start --')
  .description(
    'Brings up a local ledger, the contracts and nine agents, keeps history on a 4+2 volume, loses two stores, repairs, votes.',
  )
  .option('--history <dir>', "files to keep (default: the ledger's own blocks, exported)")
  .option('--once', 'clean up and exit; exit code 0 only if all of it held')
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
/** Time to type a vote by hand, and not long to wait for. */
const parameters = (usual: GridParameters): GridParameters => ({
  ...usual,
  votingPeriodSeconds: 15,
})
/** The last node offers room for one mount and nothing else, so that it holds no slot of what it mounts. */
const capacityBytesOf = (agent: number): number => (agent === AGENTS - 1 ? MOUNT_BYTES : 256 * GIB)

const started = performance.now()
const say = (what: string): void => {
  const seconds = ((performance.now() - started) / 1000).toFixed(1).padStart(6)
  console.error(`[${seconds} s] ${what}`)
}

async function main(): Promise<number> {
  checkInput()
  // Takes a second where nothing changed.
  const built = await step('build contracts', 'hardhat', ['build', '--quiet'])
  if (built.exitCode !== 0) throw new NodeError('BUILD_FAILED', 'the contracts do not build')
  const dataDir = values.data
    ? resolve(values.data)
    : values.once
      ? mkdtempSync(join(tmpdir(), 'varve-'))
      : join(root, '.varve')
  const report = new Report()
  const grid = await LocalGrid.start({ dataDir, agents: AGENTS, say, capacityBytesOf, parameters })
  const stopping = stopOnSignal(grid)
  try {
    const job = new MainJob(grid, report, say)
    const state = await job.run(values.history ? resolve(values.history) : undefined)
    report.add({ name: 'whole run', value: (performance.now() - started) / 1000, unit: 'seconds' })
    console.log(`\n${report.table()}\n`)
    if (values.json) report.write(values.json)
    if (!values.once) await stayUp(grid, state.path, stopping)
  } finally {
    say('stopping')
    await grid.stop()
    if (values.once && !values.data) await removeGrid(dataDir)
  }
  console.log(report.held ? 'all of it held' : 'NOT all of it held')
  return report.held ? 0 : 1
}

/** Mount points take no writes, nor can they be removed, until they are given up. */
async function removeGrid(dataDir: string): Promise<void> {
  for (const node of readdirSync(dataDir)) await giveUpAllMountPoints(join(dataDir, node))
  rmSync(dataDir, { recursive: true, force: true })
}

function checkInput(): void {
  if (process.getuid?.() !== 0 || !existsSync('/dev/fuse')) {
    throw new NodeError('START_UNPRIVILEGED', 'mounting needs root and /dev/fuse')
  }
  if (values.history && !existsSync(values.history)) {
    throw new NodeError('HISTORY_MISSING', `${values.history} does not exist`, {
      hint: 'Give --history a directory, as seen from the checkout.',
    })
  }
}

function stopOnSignal(grid: LocalGrid): Promise<void> {
  return new Promise((resolveSignal) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        resolveSignal()
        // While a step runs nobody waits for the promise: stop here then, too.
        void grid.stop().finally(() => process.exit(130))
      })
    }
  })
}

async function stayUp(grid: LocalGrid, path: string, stopping: Promise<void>): Promise<void> {
  const consumer = await grid.agent(AGENTS - 1).status()
  const node = (consumer && nodeNumber(consumer)) ?? 'NODE'
  console.log(`The grid stays up until Ctrl-C.

  history       ls -l ${path}
  by hand       export VARVE_LEDGER=${grid.ledger.url} VARVE_GRID=${grid.deployed.grid}
                export VARVE_PRIVATE_KEY=$(npx node scripts/grid/key.ts tenant)
  look          npx varve nodes; npx varve orders; npx varve policy
  order         npx varve order volume --size 1GiB --time 1d
  mount         npx varve order mount --volume N --node ${node} --name mine --time 1d
  vote          npx varve propose set graceSeconds 20s   (with the key of scripts/grid/key.ts holder)
`)
  await stopping
}

try {
  process.exitCode = await main()
} catch (caught) {
  console.error(`\nvarve: ${describeError(caught)}`)
  if (caught instanceof NodeError && caught.hint) console.error(`       ${caught.hint}`)
  process.exitCode = 1
}
