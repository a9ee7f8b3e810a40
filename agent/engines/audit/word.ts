/** A number as a word of the ledger: 32 bytes, big-endian. */

/**
 * Writes a number as a word.
 *
 * @param value - `0..2^256 - 1`.
 * @returns 32 bytes.
 * @example
 * wordOf(7n)
 */
export function wordOf(value: bigint): Uint8Array {
  return new Uint8Array(Buffer.from(value.toString(16).padStart(64, '0'), 'hex'))
}
