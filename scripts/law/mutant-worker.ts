/**
 * A process that holds the woven contracts and their tests, and runs the tests for one mutant after another as it is told.
 *
 * What the tests set up is kept from mutant to mutant as long as none is reached in it: then the first set-up is the same
 * as the mutant's own would be. Where only the deployment is not reached, that alone is kept.
 */
import hre from 'hardhat'
import { deployedGrids } from '../../test/solidity/support/grid.ts'
import type { ReachedIn } from './mutant-tests.ts'
import { MUTANT_VARIABLE } from './probe.ts'
import type { Reach } from './reach.ts'
import { loadTests, type TestSuite } from './test-suite.ts'
import { wovenChain } from './woven-chain.ts'

/** What a worker is asked. */
export type Task =
  | { readonly kind: 'record'; file: string }
  /** Tests by full title, likeliest killers first. `reachedIn` says where the mutant is reached beside the tests. */
  | { readonly kind: 'mocha'; mutant: number; titles: readonly string[]; reachedIn: ReachedIn }
  | { readonly kind: 'solidity'; mutant: number; file: string }

/** What a worker answers: which test failed, if any; or what the tests of a file reached. */
export interface Answer {
  readonly failed?: string
  readonly reach?: Reach
}

let suite: TestSuite | undefined
let areSetupsKept = false

// An interrupted run leaves nobody behind.
process.on('disconnect', () => process.exit())

process.on('message', (task: Task) => {
  void answer(task).then((result) => process.send?.(result))
})

async function answer(task: Task): Promise<Answer> {
  if (task.kind === 'solidity') return runSolidity(task.mutant, task.file)
  suite ??= await loadTests()
  if (task.kind === 'record') return { reach: await recordReach(suite, suite.titlesOf(task.file)) }
  return runMocha(suite, task)
}

async function runMocha(
  tests: TestSuite,
  { mutant, titles, reachedIn }: Extract<Task, { kind: 'mocha' }>,
): Promise<Answer> {
  const keepsSetups = reachedIn === 'testsAlone'
  if (keepsSetups && !areSetupsKept) {
    wovenChain.mutant = 0
    const { failed } = await tests.run()
    if (failed !== undefined) throw new TypeError(`fails without any mutant: ${failed}`)
  }
  areSetupsKept = keepsSetups
  tests.keepSetups(keepsSetups)
  deployedGrids.areKept = reachedIn === 'setups'
  wovenChain.mutant = mutant
  const { failed } = await tests.run(titles)
  tests.keepSetups(false)
  deployedGrids.giveBack()
  if (!keepsSetups) await wovenChain.closeAllBut(deployedGrids.connections)
  return failed === undefined ? {} : { failed }
}

/** Solidity tests run in a chain of their own, which reads the choice from the environment. */
async function runSolidity(mutant: number, file: string): Promise<Answer> {
  process.env[MUTANT_VARIABLE] = String(mutant)
  const task = hre.tasks.getTask(['test', 'solidity'])
  const result: unknown = await task.run({ testFiles: [file], noCompile: true })
  const hasPassed = typeof result === 'object' && result !== null && 'success' in result
  return hasPassed && result.success === true ? {} : { failed: file }
}

async function recordReach(tests: TestSuite, titles: readonly string[]): Promise<Reach> {
  const setups: Record<string, Set<number>> = {}
  const reached: Record<string, Set<number>> = {}
  const seconds: Record<string, number> = {}
  const deployments = new Set<number>()
  let current = new Set<number>()
  wovenChain.record((marks) => {
    for (const mark of marks) {
      current.add(mark)
      if (deployedGrids.areDeploying) deployments.add(mark)
    }
  })
  const { failed } = await tests.run(titles, {
    onSetup: (title) => {
      current = setups[title] ??= new Set()
    },
    onTest: (title) => {
      current = reached[title] ??= new Set()
    },
    onTestEnd: (title, taken) => {
      seconds[title] = taken
    },
  })
  if (failed !== undefined) throw new TypeError(`fails while recording: ${failed}`)
  await wovenChain.closeAllBut(new Set())
  const testsOf = Object.entries(reached).map(
    ([title, numbers]) => [title, { seconds: seconds[title] ?? 0, reached: [...numbers] }] as const,
  )
  return {
    deployments: [...deployments],
    setups: Object.fromEntries(Object.entries(setups).map(([title, set]) => [title, [...set]])),
    tests: Object.fromEntries(testsOf),
  }
}
