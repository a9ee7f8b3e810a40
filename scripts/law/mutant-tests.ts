/**
 * Chooses the tests of a mutant: those that reach it, likeliest killers first. The others behave as without it.
 */
import type { Reach } from './reach.ts'
import type { Mutant } from './schemata.ts'

/** What to run for one mutant. */
export interface TestPlan {
  readonly mutant: Mutant
  /** Full titles, in the order to try. */
  readonly titles: readonly string[]
  /** The mutant is reached in what these tests set up, so that must be done with it. */
  readonly fresh: boolean
}

/**
 * Plans the runs of mutants.
 *
 * @param mutants - Which.
 * @param reach - What the tests reached without a mutant.
 * @returns One plan each; those that keep setups come first, and of these the quick ones.
 */
export function planTests(mutants: readonly Mutant[], reach: Reach): TestPlan[] {
  const tests = Object.entries(reach.tests).map(([title, { seconds, reached }]) => ({
    ...{ title, seconds, reached: new Set(reached) },
  }))
  const setups = Object.entries(reach.setups).map(([suite, reached]) => ({
    ...{ suite, reached: new Set(reached) },
  }))
  const plans = mutants.map((mutant) => {
    const suites = setups.filter(({ reached }) => reached.has(mutant.number))
    const isUnder = (title: string) => suites.some(({ suite }) => title.startsWith(`${suite} `))
    const own = contractOf(mutant)
    const chosen = tests
      .map((test) => ({ ...test, isHit: test.reached.has(mutant.number) }))
      .filter(({ title, isHit }) => isHit || isUnder(title))
      .map((test) => ({ ...test, isOwn: test.title.startsWith(own) }))
      .sort(
        (a, b) =>
          Number(b.isHit) - Number(a.isHit) ||
          Number(b.isOwn) - Number(a.isOwn) ||
          a.seconds - b.seconds,
      )
    return { mutant, titles: chosen.map(({ title }) => title), fresh: suites.length > 0 }
  })
  return plans.toSorted(
    (a, b) => Number(a.fresh) - Number(b.fresh) || a.titles.length - b.titles.length,
  )
}

/** Suites are named after their contract. */
function contractOf({ file }: Mutant): string {
  return /(\w+)\.sol$/.exec(file)?.[1] ?? ''
}
