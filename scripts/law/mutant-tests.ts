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
  /** Those that take so long that all others are tried before. */
  readonly slowTitles: readonly string[]
  /** What must be done with the mutant, beside the tests. */
  readonly reachedIn: ReachedIn
}

/** Where a mutant is reached: the later ones cost more, since more must be done anew for it. */
export type ReachedIn = (typeof REACHED_IN)[number]
/** What comes first in a suite is run before what comes first in the next, so a slow test would hold all others up. */
const SLOW_SECONDS = 4
const SETUPS_PAY = 30
const REACHED_IN = ['testsAlone', 'setups', 'deployments'] as const

/**
 * Plans the runs of mutants.
 *
 * @param mutants - Which.
 * @param reach - What the tests reached without a mutant.
 * @returns One plan each; those that keep the most come first, and of these the quick ones.
 */
export function planTests(mutants: readonly Mutant[], reach: Reach): TestPlan[] {
  const tests = Object.entries(reach.tests).map(([title, { seconds, reached }]) => ({
    ...{ title, seconds, reached: new Set(reached) },
  }))
  const deployed = new Set(reach.deployments)
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
    const reachedIn: ReachedIn = deployed.has(mutant.number)
      ? 'deployments'
      : suites.length > 0
        ? 'setups'
        : 'testsAlone'
    const titlesOf = (areSlow: boolean) =>
      chosen.filter(({ seconds }) => seconds > SLOW_SECONDS === areSlow).map(({ title }) => title)
    return { mutant, titles: titlesOf(false), slowTitles: titlesOf(true), reachedIn }
  })
  // To keep set-ups a worker first runs all tests, which does not pay for a few mutants.
  const isFew = plans.filter(({ reachedIn }) => reachedIn === 'testsAlone').length < SETUPS_PAY
  const cheapest = plans.map((plan) =>
    isFew && plan.reachedIn === 'testsAlone' ? { ...plan, reachedIn: 'setups' as const } : plan,
  )
  return cheapest.toSorted(
    (a, b) =>
      REACHED_IN.indexOf(a.reachedIn) - REACHED_IN.indexOf(b.reachedIn) ||
      a.titles.length - b.titles.length,
  )
}

/** Suites are named after their contract. */
function contractOf({ file }: Mutant): string {
  return /(\w+)\.sol$/.exec(file)?.[1] ?? ''
}
