/**
 * Branch coverage of the contracts: which ways their conditions went in the tests.
 *
 * `npm run coverage [-- --json]`: prints how many branches of each contract were taken, and each that was not; fails unless
 * all were. Branches that nothing can take are listed, each with its reason, in `contracts/branches.json`. Hardhat's own
 * `--coverage` counts lines and statements only, and forge sees only tests in Solidity.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { type Branch, weaveBranches } from './law/branches.ts'
import { libraryTests } from './law/library-tests.ts'
import { reachOf } from './law/reach.ts'
import { parseContracts } from './law/syntax.ts'
import { buildWoven, type WovenBuild } from './law/woven-build.ts'
import { root } from './run/step.ts'

/** Where Hardhat keeps what tests in Solidity reported. */
const REPORTED = join(root, 'coverage/data')

/** A line of the table. */
interface Row {
  readonly file: string
  readonly branches: number
  readonly taken: number
  readonly unreachable: number
}

if (import.meta.main) {
  const options = new Command('coverage')
    .description('Counts which branches of the contracts the tests take.')
    .option('--json', 'print the result as data')
    .parse()
    .opts<{ json?: boolean }>()
  await run(options.json === true)
}

async function run(asData: boolean): Promise<void> {
  const { branches, sources } = weaveBranches(parseContracts())
  const build = buildWoven('branches', sources)
  const taken = new Set([...(await marksOfMocha(build)), ...marksOfSolidity(build)])
  const unreachable = unreachableBranches()
  const missed = branches.filter(({ mark, name }) => !taken.has(mark) && !unreachable.has(name))
  const stale = branches.filter(({ mark, name }) => taken.has(mark) && unreachable.has(name))
  const rows = rowsOf(branches, taken, unreachable)
  if (asData) process.stdout.write(`${JSON.stringify({ rows, missed, stale }, null, 2)}\n`)
  else print(rows, missed, stale)
  process.exitCode = missed.length + stale.length === 0 ? 0 : 1
}

async function marksOfMocha(build: WovenBuild): Promise<number[]> {
  const { setups, tests } = await reachOf(build)
  const reached = Object.values(tests).flatMap((test) => test.reached)
  return [...Object.values(setups).flat(), ...reached]
}

function marksOfSolidity({ environment }: WovenBuild): number[] {
  const hardhat = join(root, 'node_modules/hardhat/dist/src/cli.js')
  const flags = ['test', 'solidity', '--coverage', '--no-compile', ...libraryTests()]
  rmSync(REPORTED, { recursive: true, force: true })
  const { status, stderr } = spawnSync(process.execPath, [hardhat, ...flags], {
    ...{ cwd: root, encoding: 'utf8', env: { ...process.env, ...environment } },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  if (status !== 0) throw new TypeError(`tests in Solidity failed: ${stderr}`)
  const files = readdirSync(REPORTED, { recursive: true, encoding: 'utf8' })
  return files
    .filter((path) => path.endsWith('.json'))
    .map((path) => JSON.parse(readFileSync(join(REPORTED, path), 'utf8')) as object)
    .flatMap((counts) => Object.keys(counts).map((tag) => Number(BigInt(`0x${tag}`))))
}

/** Branches that nothing can take, by name. */
function unreachableBranches(): ReadonlySet<string> {
  const path = join(root, 'contracts/branches.json')
  return new Set(Object.keys(JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>))
}

function rowsOf(
  branches: readonly Branch[],
  taken: ReadonlySet<number>,
  unreachable: ReadonlySet<string>,
): Row[] {
  const files = [...new Set(branches.map(({ file }) => file))]
  const rowOf = (file: string, own: readonly Branch[]): Row => ({
    file,
    branches: own.length,
    taken: own.filter(({ mark }) => taken.has(mark)).length,
    unreachable: own.filter(({ name }) => unreachable.has(name)).length,
  })
  const rows = files.map((file) =>
    rowOf(
      file,
      branches.filter((branch) => branch.file === file),
    ),
  )
  return [...rows, rowOf('all', branches)]
}

function print(rows: readonly Row[], missed: readonly Branch[], stale: readonly Branch[]): void {
  for (const { file, line, name } of missed) {
    process.stdout.write(`not taken: ${file}:${line} ${name}\n`)
  }
  for (const { name } of stale) process.stdout.write(`taken, though listed: ${name}\n`)
  for (const row of rows) {
    const percent = ((100 * row.taken) / Math.max(row.branches - row.unreachable, 1)).toFixed(1)
    const counts = `${row.taken} of ${row.branches} branches (${percent} %)`
    process.stdout.write(`${row.file.padEnd(36)} ${counts}, ${row.unreachable} unreachable\n`)
  }
}
