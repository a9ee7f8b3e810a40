/** Chance from the operating system, fit for keys. */
import { randomBytes, randomInt } from 'node:crypto'
import type { Chance } from '../../base/ports.ts'

/**
 * Makes the source of chance that production uses.
 *
 * @returns Bytes and numbers that nobody can foretell.
 * @example
 * const jitterMs = systemChance().below(1000)
 */
export function systemChance(): Chance {
  return {
    bytes: (n) => new Uint8Array(randomBytes(n)),
    below: (bound) => randomInt(bound),
  }
}
