/**
 * How a part that runs in another process says that something is wrong: `problem` where it cannot do its work, `problems` where
 * it does its work and something about it is ill. Read from what a unit told, so nothing is believed of its shape.
 */
import { fieldOf } from './json.ts'

/** Something that is wrong, as a unit tells it. */
export interface ReportedProblem {
  readonly code: string
  readonly message: string
  /** Undefined where the catalogue's hint says all. */
  readonly hint: string | undefined
  /** Number of the order that it concerns, undefined if it concerns the node. */
  readonly order: number | undefined
}

/** Problems of one unit that are shown; one that reports more is as ill as can be. */
const PROBLEMS_MAX = 64
/** Longest code, message or hint that is taken over, in characters. */
const TEXT_MAX = 1000

/**
 * Reads why a unit cannot do its work.
 *
 * @param figures - What the unit said of itself.
 * @returns Its field `problem`; undefined if it has none.
 * @example
 * reportedFailure({ problem: { code: 'STORE_FULL', message: 'no room' } })?.code // 'STORE_FULL'
 */
export function reportedFailure(figures: unknown): ReportedProblem | undefined {
  return problemFrom(fieldOf(figures, 'problem'))
}

/**
 * Reads what is ill about a unit that does its work.
 *
 * @param figures - What the unit said of itself.
 * @returns Its field `problems`, at most 64.
 */
export function reportedProblems(figures: unknown): readonly ReportedProblem[] {
  const listed = fieldOf(figures, 'problems')
  if (!Array.isArray(listed)) return []
  const problems = listed.slice(0, PROBLEMS_MAX).map(problemFrom)
  return problems.filter((problem) => problem !== undefined)
}

function problemFrom(value: unknown): ReportedProblem | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const text = (name: string) => {
    const field = fieldOf(value, name)
    return typeof field === 'string' && field !== '' ? field.slice(0, TEXT_MAX) : undefined
  }
  const order = fieldOf(value, 'order')
  return {
    code: text('code') ?? 'UNIT_FAILED',
    message: text('message') ?? 'it does not say why',
    hint: text('hint'),
    order: typeof order === 'number' ? order : undefined,
  }
}
