/** How long to wait after failures in a row: twice as long after each, up to a limit. The one place that reckons it. */
import { assert } from './assert.ts'

/** Doublings at most: beyond it every limit is reached, and powers of two would lose their meaning. */
const DOUBLINGS_MAX = 30

/** Shortest and longest wait, milliseconds. */
export interface BackoffRange {
  readonly minMs: number
  readonly maxMs: number
}

/**
 * The wait after a number of failures.
 *
 * @param failures - Failures in a row, `>= 1`.
 * @param range - `0 < minMs <= maxMs`.
 * @returns Milliseconds, `minMs..maxMs`.
 * @example
 * backoffMs(3, { minMs: 200, maxMs: 15_000 }) // 800
 */
export function backoffMs(failures: number, { minMs, maxMs }: BackoffRange): number {
  assert(failures >= 1 && minMs > 0 && minMs <= maxMs, 'a back-off follows a failure')
  return Math.min(maxMs, minMs * 2 ** Math.min(failures - 1, DOUBLINGS_MAX))
}

/** Counts failures in a row, for those that try again. */
export class Backoff {
  readonly #range: BackoffRange
  #failures = 0

  constructor(range: BackoffRange) {
    this.#range = range
  }

  /** Notes a failure. @returns Milliseconds to wait before the next attempt. */
  next(): number {
    this.#failures++
    return backoffMs(this.#failures, this.#range)
  }

  /** Notes that it went well. */
  reset(): void {
    this.#failures = 0
  }
}
