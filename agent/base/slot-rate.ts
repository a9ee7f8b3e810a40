/** What a slot costs a second. */
import { GIB } from './units.ts'

/**
 * Computes what a slot costs a second.
 *
 * @param sizeBytes - Bytes of the slot.
 * @param pricePerGibSecond - What its node asks.
 * @returns Smallest token units, rounded up as the registry does.
 * @example
 * slotRate(2 ** 30, 5n) // 5n
 */
export function slotRate(sizeBytes: number, pricePerGibSecond: bigint): bigint {
  const gib = BigInt(GIB)
  return (BigInt(sizeBytes) * pricePerGibSecond + gib - 1n) / gib
}
