/**
 * Mutation testing of the contracts: every place is changed as a slip of the author would, and the tests run; a mutant
 * that no test notices points at a hole in the tests.
 *
 * `npm run mutate [-- --file PART] [--workers N] [--sample N] [--seed S] [--fresh] [--json]`. All mutants are compiled at
 * once, each behind a choice made at run time, and each runs only the tests that reach it. What was found is kept under
 * `cache/law`, so an interrupted run goes on where it stopped; after a change of the tests only survivors are tried again,
 * unless `--fresh`. Survivors that behave as the original does are listed, each with its reason, in
 * `contracts/mutants.json`.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { libraryTestOf } from './law/library-tests.ts'
import { planTests, type TestPlan } from './law/mutant-tests.ts'
import type { Task } from './law/mutant-worker.ts'
import { reachOf } from './law/reach.ts'
import { type Mutant, weaveMutants } from './law/schemata.ts'
import { parseContracts } from './law/syntax.ts'
import { Verdicts } from './law/verdicts.ts'
import { share, Worker } from './law/worker-pool.ts'
import { buildWoven, type WovenBuild } from './law/woven-build.ts'
import { root } from './run/step.ts'

interface Options {
  readonly file: string
  readonly workers: string
  readonly sample: string
  readonly seed: string
  readonly fresh?: boolean
  readonly json?: boolean
}

/** As many tests as look closely at one function, about. */
const LIKELY = 8

if (import.meta.main) {
  const options = new Command('mutate')
    .description('Changes the contracts one place at a time and runs their tests.')
    .option(
      '--file <part>',
      'only files whose path contains this, or one of these with commas between',
      '',
    )
    .option('--workers <count>', 'processes at once', '2')
    .option('--sample <count>', 'mutants to try, 0 for all', '0')
    .option('--seed <number>', 'which ones', '1')
    .option('--fresh', 'forget what earlier runs found')
    .option('--json', 'print the result as data')
    .parse()
    .opts<Options>()
  await run(options)
}

async function run(options: Options): Promise<void> {
  const { mutants, sources, refused } = weaveMutants(parseContracts())
  const build = buildWoven('mutants', sources)
  const parts = options.file.split(',')
  const chosen = sampleOf(
    mutants.filter(({ file }) => parts.some((part) => file.includes(part))),
    Number(options.sample),
    Number(options.seed),
  )
  const verdicts = new Verdicts(build, options.fresh === true)
  const equivalent = equivalentMutants()
  const open = chosen.filter(
    (mutant) => !equivalent.has(mutant.name) && !verdicts.isSettled(mutant),
  )
  process.stderr.write(`${mutants.length} mutants, ${open.length} of ${chosen.length} to try\n`)
  if (open.length > 0) await tryMutants(open, build, verdicts, options)
  report(chosen, verdicts, equivalent, refused, options.json === true)
}

async function tryMutants(
  mutants: readonly Mutant[],
  build: WovenBuild,
  verdicts: Verdicts,
  options: Options,
): Promise<void> {
  const plans = planTests(mutants, await reachOf(build))
  const workers = Array.from(
    { length: Number(options.workers) },
    () => new Worker(build.environment),
  )
  const killers = verdicts.killers(placeOf)
  let done = 0
  const tell = (name: string, killedBy: string | undefined) => {
    done += 1
    const outcome = killedBy === undefined ? 'SURVIVED' : 'killed  '
    process.stderr.write(`${done}/${plans.length} ${outcome} ${name}\n`)
  }
  try {
    await share(workers, plans, async (worker, plan) => {
      const known = killers.get(placeOf(plan.mutant)) ?? []
      const killedBy = await killerOf(worker, plan, known)
      if (killedBy !== undefined) killers.set(placeOf(plan.mutant), [killedBy, ...known])
      verdicts.add(plan.mutant, killedBy)
      tell(plan.mutant.name, killedBy)
    })
  } finally {
    for (const worker of workers) worker.stop()
  }
}

/** Contract and function: what stands before the colon of a name. */
function placeOf({ name }: { readonly name: string }): string {
  return name.slice(0, name.indexOf(':'))
}

/** Tries first what killed other mutants of the same function, then a library's own tests, the quick tests, the slow ones. */
async function killerOf(
  worker: Worker,
  { mutant, reachedIn, ...plan }: TestPlan,
  killers: readonly string[],
): Promise<string | undefined> {
  const reaching = new Set([...plan.titles, ...plan.slowTitles])
  const likely = new Set(
    [...new Set(killers)].filter((title) => reaching.has(title)).slice(0, LIKELY),
  )
  const others = (titles: readonly string[]) => titles.filter((title) => !likely.has(title))
  const mocha = (titles: readonly string[]): Task[] =>
    titles.length === 0 ? [] : [{ kind: 'mocha', mutant: mutant.number, titles, reachedIn }]
  const file = libraryTestOf(mutant.file)
  const tasks: Task[] = [
    ...mocha([...likely]),
    ...(file === undefined ? [] : [{ kind: 'solidity' as const, mutant: mutant.number, file }]),
    ...mocha(others(plan.titles)),
    ...mocha(others(plan.slowTitles)),
  ]
  for (const task of tasks) {
    const failed = await failureOf(worker, task)
    if (failed !== undefined) return failed
  }
  return undefined
}

async function failureOf(worker: Worker, task: Task): Promise<string | undefined> {
  let answer = await worker.do(task)
  // By itself, or ended by a system that is out of memory: then the second time shows who was to blame.
  if (answer.died) answer = await worker.do(task)
  return answer.died ? 'the process that ran it ended, twice' : answer.failed
}

/** Mutants known to behave as the original does, by name. */
function equivalentMutants(): ReadonlySet<string> {
  const path = join(root, 'contracts/mutants.json')
  return new Set(Object.keys(JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>))
}

function report(
  chosen: readonly Mutant[],
  verdicts: Verdicts,
  equivalent: ReadonlySet<string>,
  refused: readonly string[],
  asData: boolean,
): void {
  const survivors = chosen.filter(
    (mutant) => !verdicts.isKilled(mutant) && !equivalent.has(mutant.name),
  )
  const files = [...new Set(chosen.map(({ file }) => file))].map((file) => {
    const own = chosen.filter((mutant) => mutant.file === file)
    const killed = own.filter((mutant) => verdicts.isKilled(mutant)).length
    const listed = own.filter(({ name }) => equivalent.has(name)).length
    return { file, mutants: own.length, killed, equivalent: listed }
  })
  const sum = (key: 'mutants' | 'killed' | 'equivalent') =>
    files.reduce((total, row) => total + row[key], 0)
  const all = { file: 'all', mutants: sum('mutants'), killed: sum('killed') }
  const total = { ...all, equivalent: sum('equivalent') }
  const unknown = [...equivalent].filter((name) => !chosen.some((mutant) => mutant.name === name))
  if (asData) {
    const data = { files, total, survivors, refused, unknown }
    process.stdout.write(`${JSON.stringify(data, null, 2)}\n`)
    return
  }
  for (const { file, line, name } of survivors) {
    process.stdout.write(`survived: ${file}:${line} ${name}\n`)
  }
  for (const row of [...files, total]) {
    const percent = ((100 * row.killed) / Math.max(row.mutants, 1)).toFixed(1)
    const counts = `${row.killed} of ${row.mutants} killed (${percent} %)`
    process.stdout.write(`${row.file.padEnd(36)} ${counts}, ${row.equivalent} equivalent\n`)
  }
}

/** A spread sample: the same for the same seed. */
function sampleOf(mutants: readonly Mutant[], count: number, seed: number): Mutant[] {
  if (count === 0 || count >= mutants.length) return [...mutants]
  const step = mutants.length / count
  // The golden ratio: successive seeds fall far apart.
  const offset = (seed * 0.618_034) % 1
  return Array.from({ length: count }, (_, i) => mutants[Math.floor((i + offset) * step)]).filter(
    (mutant) => mutant !== undefined,
  )
}
