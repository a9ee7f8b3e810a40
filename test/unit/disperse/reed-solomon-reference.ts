/** The erasure code again, byte by byte and by the book, to hold the kernel against. */

import { assert } from '../../../agent/base/assert.ts'

/** Product in GF(2^8) mod 0x11D, bit by bit. */
export function slowMultiply(a: number, b: number): number {
  let product = 0
  let left = a
  for (let right = b; right > 0; right >>= 1) {
    if (right & 1) product ^= left
    left <<= 1
    if (left & 0x100) left ^= 0x11d
  }
  return product
}

/**
 * Parity by Lagrange interpolation: shard r is the value at r of the polynomial of degree < k that is data shard c at c.
 * That is what a systematic Vandermonde matrix computes, found without any matrix.
 *
 * @param data - `[k]` shards of one length.
 * @param shard - `0..254`.
 */
export function interpolate(
  known: readonly { shard: number; bytes: Uint8Array }[],
  shard: number,
): Uint8Array {
  const out = new Uint8Array(known[0]?.bytes.length ?? 0)
  for (const here of known) {
    let factor = 1
    for (const other of known) {
      if (other === here) continue
      factor = slowMultiply(factor, shard ^ other.shard)
      factor = slowMultiply(factor, slowInverse(here.shard ^ other.shard))
    }
    const products = Uint8Array.from({ length: 256 }, (_, byte) => slowMultiply(factor, byte))
    for (let at = 0; at < out.length; at++) out[at]! ^= products[here.bytes[at]!]!
  }
  return out
}

function slowInverse(a: number): number {
  for (let candidate = 1; candidate < 256; candidate++) {
    if (slowMultiply(a, candidate) === 1) return candidate
  }
  assert(false, 'zero has no inverse')
}
