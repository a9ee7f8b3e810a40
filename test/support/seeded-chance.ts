/** Chance that a seed decides, so that a failing run can be repeated. */
import type { Chance } from '../../agent/base/ports.ts'

/**
 * Makes a source of chance (mulberry32).
 *
 * @param seed - Any number.
 * @returns The same sequence for the same seed.
 * @example
 * const chance = seededChance(1)
 */
export function seededChance(seed: number): Chance {
  let state = seed >>> 0
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  return {
    bytes: (n) => Uint8Array.from({ length: n }, () => next() & 255),
    below: (bound) => Math.floor((next() / 2 ** 32) * bound),
  }
}
