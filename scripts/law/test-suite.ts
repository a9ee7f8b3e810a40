/**
 * The contracts' Mocha tests, loaded once and run as often as wanted: all of them, or a few in a given order, until the
 * first failure.
 */
import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import Mocha from 'mocha'
import { root } from '../run/step.ts'

/** Where the tests are. */
export const TEST_FOLDER = 'test/solidity'
/** Compares generated files, or two chains with each other: any change of the contracts' text or none would show. */
const BLIND_TESTS = new Set(['generated.test.ts', 'second-evm.test.ts'])

/** Names of the files of tests that count. */
export function testFiles(): string[] {
  return readdirSync(join(root, TEST_FOLDER)).filter(
    (name) => name.endsWith('.test.ts') && !BLIND_TESTS.has(name),
  )
}

/** Longer than the slowest honest test on a busy machine. */
const TEST_MS_MAX = 60_000

/** What one run gave. */
export interface RunResult {
  readonly passed: number
  /** Full title of the first test, or hook, that failed. */
  readonly failed?: string
}

/** What a run tells while it goes on. */
export interface RunListener {
  /** A hook that many tests share begins; its suite is named. */
  onSetup?(suite: string): void
  onTest?(title: string): void
  onTestEnd?(title: string, seconds: number): void
}

/** Loads the tests; once a process, because modules are loaded once. */
export async function loadTests(): Promise<TestSuite> {
  const mocha = new Mocha({ reporter: 'dot', timeout: TEST_MS_MAX })
  mocha.cleanReferencesAfterRun(false)
  const setups = { kept: false }
  mocha.suite.on('pre-require', (context) => {
    const before = context.before
    context.before = ((act: (this: Mocha.Context) => unknown) =>
      before(async function () {
        if (!setups.kept) await act.call(this)
      })) as typeof before
  })
  for (const name of testFiles()) mocha.addFile(join(root, TEST_FOLDER, name))
  await mocha.loadFilesAsync()
  return new TestSuite(mocha, setups)
}

/** See {@link loadTests}. */
export class TestSuite {
  readonly #mocha: Mocha
  readonly #setups: { kept: boolean }

  constructor(mocha: Mocha, setups: { kept: boolean }) {
    this.#mocha = mocha
    this.#setups = setups
  }

  /** From now on, whether `before` hooks are left out, because what they made is still there. */
  keepSetups(kept: boolean): void {
    this.#setups.kept = kept
  }

  /** Full titles of the tests of a file. */
  titlesOf(file: string): string[] {
    const titles: string[] = []
    for (const suite of this.#mocha.suite.suites) {
      if (basename(suite.file ?? '') === file)
        suite.eachTest((test) => titles.push(test.fullTitle()))
    }
    return titles
  }

  /** Runs tests by full title in this order as far as their nesting allows; all if no list is given. */
  async run(titles?: readonly string[], listener: RunListener = {}): Promise<RunResult> {
    const wanted = titles?.map((title) => title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|')
    this.#mocha.grep(new RegExp(wanted === undefined ? '' : `^(?:${wanted})$`))
    this.#mocha.bail(titles !== undefined)
    if (titles) sortSuite(this.#mocha.suite, new Map(titles.map((title, rank) => [title, rank])))
    let failed: string | undefined
    let passed = 0
    await new Promise<void>((resolve) => {
      const runner = this.#mocha.run(() => resolve())
      runner.on('fail', (test) => {
        failed ??= test.fullTitle()
      })
      runner.on('pass', (test) => {
        passed += 1
        listener.onTestEnd?.(test.fullTitle(), (test.duration ?? 0) / 1000)
      })
      runner.on('test', (test) => listener.onTest?.(test.fullTitle()))
      runner.on('hook', (hook) => {
        if (hook.title.startsWith('"before all"')) {
          listener.onSetup?.(hook.parent?.fullTitle() ?? '')
        }
      })
    })
    return { passed, ...(failed === undefined ? {} : { failed }) }
  }
}

/** Puts what comes first in the list first; returns the best rank within. */
function sortSuite(suite: Mocha.Suite, ranks: ReadonlyMap<string, number>): number {
  const last = ranks.size
  const rankOf = new Map<object, number>()
  for (const test of suite.tests) rankOf.set(test, ranks.get(test.fullTitle()) ?? last)
  for (const inner of suite.suites) rankOf.set(inner, sortSuite(inner, ranks))
  const byRank = (a: object, b: object) => (rankOf.get(a) ?? last) - (rankOf.get(b) ?? last)
  suite.tests.sort(byRank)
  suite.suites.sort(byRank)
  return Math.min(last, ...rankOf.values())
}
