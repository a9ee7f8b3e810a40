/**
 * The tests cut into items that can run side by side: small files in bundles, large ones alone, seeded ones by ranges of seeds.
 * How long each file took is in `test/durations.json`; it only decides the order, so it may be old.
 */
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../run/step.ts'

/** What one process runs. */
export interface TestItem {
  readonly title: string
  readonly command: 'mocha' | 'hardhat'
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Files of ours whose time it is; empty for what is not told by file. */
  readonly files: readonly string[]
  /** Expected seconds. */
  readonly seconds: number
  /** True if it starts whole grids of agents, of which few run at once. */
  readonly isGrid: boolean
}

/** Seconds by file, or by {@link TestItem.title} for items that are no files. */
export type Durations = Readonly<Record<string, number>>

export const DURATIONS_PATH = join(root, 'test/durations.json')

const FILES = ['test/{unit,conformance,integration,e2e}/**/*.test.ts', 'test/sim/**/*.sim.ts']
/** Suites that start agents: a dozen processes each. */
const GRIDS = /^test\/(e2e\/|integration\/agent\/agent\.test)/
/** Loops of a developer run these only. */
const QUICK = /^test\/(unit|conformance|sim)\//
const QUICK_SECONDS_MAX = 8
const QUICK_SEEDS = 20

/** Seeded tests that take minutes: `SEED` is the first seed, `CAMPAIGN_SEEDS` how many. */
const SEEDED: Readonly<Record<string, { first: number; seeds: number; shard: number }>> = {
  'test/sim/grid.sim.ts': { first: 1, seeds: 200, shard: 50 },
}

/** Files share a process until they take so long together: starting one costs half a second. */
const BUNDLE_SECONDS = 15
/** For a file that nobody has measured yet. */
const UNKNOWN_SECONDS = 5

/** What to run. */
export interface Choice {
  /** Only what takes a moment. */
  readonly isQuick: boolean
  /** Only files whose path holds one of these; everything if empty. */
  readonly words: readonly string[]
  /** False: each file in a process of its own. */
  readonly isBundled: boolean
}

/** @returns The committed durations, empty if there are none. */
export function readDurations(): Durations {
  return existsSync(DURATIONS_PATH)
    ? (JSON.parse(readFileSync(DURATIONS_PATH, 'utf8')) as Durations)
    : {}
}

/**
 * Cuts the tests into items.
 *
 * @param durations - Seconds by file.
 * @param choice - Which of them.
 * @returns Items, longest first.
 */
export function testItems(durations: Durations, choice: Choice): TestItem[] {
  const secondsOf = (file: string): number => durations[file] ?? UNKNOWN_SECONDS
  const isChosen = (file: string): boolean =>
    (choice.words.length === 0 || choice.words.some((word) => file.includes(word))) &&
    (!choice.isQuick ||
      (QUICK.test(file) && (file in SEEDED || secondsOf(file) <= QUICK_SECONDS_MAX)))
  const files = globSync(FILES, { cwd: root }).filter(isChosen).sort()
  const seeded = files.filter((file) => file in SEEDED)
  const alone = files.filter((file) => !(file in SEEDED) && isAlone(file, secondsOf(file)))
  const shared = files.filter((file) => !seeded.includes(file) && !alone.includes(file))
  return [
    ...contractItems(durations, choice),
    ...seeded.flatMap((file) => seededItems(file, secondsOf(file), choice.isQuick)),
    ...alone.map((file) => mochaItem([file], secondsOf(file))),
    ...bundles(shared, secondsOf, choice.isBundled ? BUNDLE_SECONDS : 0).map((bundle) =>
      mochaItem(
        bundle,
        bundle.reduce((sum, file) => sum + secondsOf(file), 0),
      ),
    ),
  ].sort((a, b) => b.seconds - a.seconds)
}

const isAlone = (file: string, seconds: number): boolean =>
  GRIDS.test(file) || seconds > BUNDLE_SECONDS / 2

/** Hardhat's tests are two items: that every error was raised can only be told of all of its Mocha tests together. */
function contractItems(durations: Durations, choice: Choice): TestItem[] {
  const isChosen =
    choice.words.length === 0 || choice.words.some((w) => 'test/solidity'.includes(w))
  if (!isChosen) return []
  return ['mocha', 'solidity'].map((runner) => {
    const title = `contracts (${runner})`
    return {
      ...{ title, command: 'hardhat', args: ['test', runner, '--no-compile'], env: {}, files: [] },
      ...{ seconds: durations[title] ?? 60, isGrid: false },
    }
  })
}

function seededItems(file: string, seconds: number, isQuick: boolean): TestItem[] {
  const { first = 0, seeds = 0, shard = 1 } = SEEDED[file] ?? {}
  const count = isQuick ? Math.min(QUICK_SEEDS, seeds) : seeds
  const items: TestItem[] = []
  for (let done = 0; done < count; done += shard) {
    const size = Math.min(shard, count - done)
    const from = first + done
    items.push({
      ...mochaItem([file], (seconds * size) / seeds),
      title: `${file}, seeds ${from} to ${from + size - 1}`,
      env: { SEED: String(from), CAMPAIGN_SEEDS: String(size) },
    })
  }
  return items
}

function mochaItem(files: readonly string[], seconds: number): TestItem {
  const [first = '', ...more] = files
  return {
    title: more.length === 0 ? first : `${first} and ${more.length} more`,
    ...{ command: 'mocha', args: files, env: {}, files, seconds },
    isGrid: files.some((file) => GRIDS.test(file)),
  }
}

/** Neighbours stay together, so that a failure says which part is ill. */
function bundles(
  files: readonly string[],
  secondsOf: (file: string) => number,
  secondsMax: number,
): string[][] {
  const all: string[][] = []
  let left = 0
  for (const file of files) {
    const seconds = secondsOf(file)
    if (left < seconds || all.length === 0) {
      all.push([])
      left = secondsMax
    }
    all.at(-1)?.push(file)
    left -= seconds
  }
  return all
}
