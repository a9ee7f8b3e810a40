/** Bytes to text and back, compare and join: the few operations that every format here needs. */
import { assert } from './assert.ts'
import { NodeError } from './errors.ts'

/**
 * Writes bytes as lower-case hexadecimal, without prefix.
 *
 * @param bytes - `[n]`.
 * @returns `2n` digits.
 * @example
 * toHex(Uint8Array.of(1, 255)) // '01ff'
 */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

/**
 * Reads hexadecimal, with or without `0x`.
 *
 * @param text - An even number of digits, any case.
 * @returns `[n]` bytes.
 * @throws NodeError `HEX_INVALID` if `text` is anything else.
 * @example
 * fromHex('0x01ff') // Uint8Array [1, 255]
 */
export function fromHex(text: string): Uint8Array {
  const digits = text.startsWith('0x') ? text.slice(2) : text
  if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits)) {
    throw new NodeError('HEX_INVALID', 'expected an even number of hexadecimal digits')
  }
  return new Uint8Array(Buffer.from(digits, 'hex'))
}

/**
 * Tells whether two byte strings are the same.
 *
 * @param a - `[n]`.
 * @param b - `[m]`.
 * @returns True if `n == m` and every byte agrees. Not in constant time: never for secrets.
 * @example
 * bytesEqual(a, b)
 */
export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && Buffer.compare(a, b) === 0
}

/**
 * Joins byte strings.
 *
 * @param parts - `[n]` byte strings.
 * @returns Their bytes, one after another, in a new array.
 * @example
 * concatBytes([Uint8Array.of(1), Uint8Array.of(2)]) // Uint8Array [1, 2]
 */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.byteLength
  const out = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.byteLength
  }
  assert(at === length, 'every byte was placed')
  return out
}
