/**
 * Names of files as text, whatever their bytes are.
 *
 * Linux takes any bytes but `/` and NUL. What is UTF-8 is the text that it says; each byte that is not becomes one lone
 * surrogate, U+DC00 more than the byte, which no UTF-8 gives. So every name has its own text and comes back byte for byte, and
 * text of well-formed names stays as it is (as Python's `surrogateescape`, PEP 383).
 */
import { Buffer } from 'node:buffer'

const REPLACEMENT = '\ufffd'
const ESCAPE = 0xdc00
/** Of the shortest and longest sequences of UTF-8 beyond ASCII. */
const SEQUENCE_BYTES_MAX = 4

/**
 * The text of a name.
 *
 * @param bytes - Any bytes.
 * @returns Text; {@link bytesOfName} gives the bytes again.
 * @example
 * nameOfBytes(Buffer.from([0x61, 0xff])) // 'a\udcff'
 */
export function nameOfBytes(bytes: Buffer): string {
  const text = bytes.toString('utf8')
  if (!text.includes(REPLACEMENT) || bytes.equals(Buffer.from(text))) return text
  let escaped = ''
  for (let at = 0; at < bytes.length; ) {
    const lengthBytes = sequenceAt(bytes, at)
    if (lengthBytes === 0) escaped += String.fromCharCode(ESCAPE + (bytes[at] ?? 0))
    else escaped += bytes.toString('utf8', at, at + lengthBytes)
    at += Math.max(1, lengthBytes)
  }
  return escaped
}

/**
 * The bytes of a name.
 *
 * @param name - As {@link nameOfBytes} gives it.
 * @returns Its bytes; a copy.
 */
export function bytesOfName(name: string): Buffer {
  if (name.isWellFormed()) return Buffer.from(name)
  const parts: Buffer[] = []
  for (const point of name) {
    const code = point.codePointAt(0) ?? 0
    const isEscape = code >= ESCAPE + 0x80 && code <= ESCAPE + 0xff
    parts.push(isEscape ? Buffer.of(code - ESCAPE) : Buffer.from(point))
  }
  return Buffer.concat(parts)
}

/** Bytes of a name. @param name - As {@link nameOfBytes} gives it. */
export function nameBytes(name: string): number {
  return name.isWellFormed() ? Buffer.byteLength(name) : bytesOfName(name).length
}

/** @returns Bytes of the whole UTF-8 sequence at a place, 0 if there is none. */
function sequenceAt(bytes: Buffer, at: number): number {
  for (let lengthBytes = 1; lengthBytes <= SEQUENCE_BYTES_MAX; lengthBytes++) {
    if (at + lengthBytes > bytes.length) return 0
    const text = bytes.toString('utf8', at, at + lengthBytes)
    if (Buffer.from(text).equals(bytes.subarray(at, at + lengthBytes))) return lengthBytes
  }
  return 0
}
