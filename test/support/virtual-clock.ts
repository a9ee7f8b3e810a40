/**
 * Time that only moves when the test says so, and chance that a seed decides: the same seed gives the same run.
 *
 * `advance` wakes sleepers one by one, in the order of their due time and then of falling asleep, and lets all that a
 * woken sleeper set going settle before it wakes the next.
 */
import { assert } from '../../agent/base/assert.ts'
import type { Chance, Clock } from '../../agent/base/ports.ts'

interface Sleeper {
  readonly dueMs: number
  readonly number: number
  wake(): void
}

/** 2026-01-01, so that no test believes in 1970. */
const STARTS_AT_MS = 1_767_225_600_000

/** A clock for tests and simulation. */
export class VirtualClock implements Clock {
  #elapsedMs = 0
  #skewMs = 0
  #count = 0
  #sleepers: Sleeper[] = []

  now(): number {
    return STARTS_AT_MS + this.#elapsedMs + this.#skewMs
  }

  monotonic(): number {
    return this.#elapsedMs
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    assert(ms >= 0, 'nobody sleeps backwards')
    if (signal?.aborted) return Promise.reject(signal.reason)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const onAbort = () => {
      this.#sleepers = this.#sleepers.filter((other) => other !== sleeper)
      reject(signal?.reason)
    }
    const sleeper: Sleeper = {
      dueMs: this.#elapsedMs + ms,
      number: this.#count++,
      wake: () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      },
    }
    this.#sleepers.push(sleeper)
    signal?.addEventListener('abort', onAbort, { once: true })
    return promise
  }

  /** Sleepers now, for tests that look for leaks. */
  get sleeping(): number {
    return this.#sleepers.length
  }

  /** Milliseconds until the next sleeper is due, or undefined if nobody sleeps. */
  get nextDueInMs(): number | undefined {
    const next = this.#next()
    return next && next.dueMs - this.#elapsedMs
  }

  /** Makes the wall clock jump, as NTP may; durations are not affected. */
  step(ms: number): void {
    this.#skewMs += ms
  }

  /**
   * Moves time on and runs everybody due on the way, in order.
   *
   * @param ms - `>= 0`.
   */
  async advance(ms: number): Promise<void> {
    assert(ms >= 0, 'time never runs backwards')
    const untilMs = this.#elapsedMs + ms
    await settle()
    for (let next = this.#next(); next && next.dueMs <= untilMs; next = this.#next()) {
      const { number } = next
      this.#elapsedMs = Math.max(this.#elapsedMs, next.dueMs)
      this.#sleepers = this.#sleepers.filter((other) => other.number !== number)
      next.wake()
      await settle()
    }
    this.#elapsedMs = untilMs
  }

  #next(): Sleeper | undefined {
    let next: Sleeper | undefined
    for (const sleeper of this.#sleepers) {
      const isEarlier = next === undefined || sleeper.dueMs < next.dueMs
      if (isEarlier || (sleeper.dueMs === next?.dueMs && sleeper.number < next.number))
        next = sleeper
    }
    return next
  }
}

/** Runs until every promise that can settle without time has settled: `setImmediate` comes after all microtasks. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/**
 * Chance decided by a seed (SplitMix64).
 *
 * @param seed - Any whole number.
 * @returns The same bytes and numbers for the same seed.
 */
export function seededChance(seed: number): Chance {
  const MASK = (1n << 64n) - 1n
  let state = BigInt.asUintN(64, BigInt(Math.trunc(seed)))
  const next = (): bigint => {
    state = (state + 0x9e3779b97f4a7c15n) & MASK
    let z = state
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK
    return z ^ (z >> 31n)
  }
  return {
    bytes(n) {
      const bytes = Buffer.alloc(Math.ceil(n / 8) * 8)
      for (let at = 0; at < bytes.length; at += 8) bytes.writeBigUInt64LE(next(), at)
      return new Uint8Array(bytes.subarray(0, n))
    },
    below(bound) {
      assert(Number.isInteger(bound) && bound >= 1 && bound <= 2 ** 32, 'a bound is in [1, 2^32]')
      return Number(((next() >> 32n) * BigInt(bound)) >> 32n)
    },
  }
}
