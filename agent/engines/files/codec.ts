/**
 * Bytes out and in: the few shapes that journal records, commits and snapshots are made of.
 *
 * Numbers are LEB128 (7 bits a byte, low first) up to 2^53 - 1, because most are small; times are 8 bytes, little-endian.
 * A reader checks every bound and says `COMMIT_MALFORMED`, so that a hostile length costs nothing.
 */
import { assert } from '../../base/assert.ts'
import { NodeError } from '../../base/errors.ts'
import { bytesOfName, nameOfBytes } from '../../base/name-text.ts'

const FIRST_BYTES = 256

/** Collects bytes in a buffer that doubles. */
export class ByteWriter {
  #buffer: Buffer
  #length = 0

  constructor(firstBytes = FIRST_BYTES) {
    this.#buffer = Buffer.allocUnsafeSlow(firstBytes)
  }

  get lengthBytes(): number {
    return this.#length
  }

  /** Forgets what was written, keeps the memory. */
  clear(): void {
    this.#length = 0
  }

  byte(value: number): void {
    this.#reserve(1)
    this.#buffer[this.#length++] = value
  }

  number(value: number): void {
    assert(value >= 0 && Number.isSafeInteger(value), `a number to encode is whole: ${value}`)
    this.#reserve(8)
    let rest = value
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80
      rest = rest < 0x80000000 ? rest >>> 7 : Math.floor(rest / 0x80)
    }
    this.#buffer[this.#length++] = rest
  }

  time(ns: bigint): void {
    this.#reserve(8)
    this.#length = this.#buffer.writeBigInt64LE(ns, this.#length)
  }

  /** A name, byte for byte. */
  text(value: string): void {
    if (!value.isWellFormed()) {
      this.bytes(bytesOfName(value))
      return
    }
    const most = value.length * 3
    this.#reserve(most + 8)
    if (value.length < 40) {
      // The length of short text fits one byte, so it is written after the text.
      const lengthBytes = this.#buffer.write(value, this.#length + 1, most, 'utf8')
      this.#buffer[this.#length] = lengthBytes
      this.#length += 1 + lengthBytes
      return
    }
    this.number(Buffer.byteLength(value, 'utf8'))
    this.#length += this.#buffer.write(value, this.#length, most, 'utf8')
  }

  /** Bytes without their length. */
  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.byteLength)
    this.#buffer.set(bytes, this.#length)
    this.#length += bytes.byteLength
  }

  /** Bytes after their length. */
  bytes(bytes: Uint8Array): void {
    this.number(bytes.byteLength)
    this.raw(bytes)
  }

  /** What was written, valid until the next call. */
  view(): Uint8Array {
    return this.#buffer.subarray(0, this.#length)
  }

  /** A copy of what was written. */
  take(): Uint8Array {
    return Uint8Array.prototype.slice.call(this.#buffer, 0, this.#length)
  }

  #reserve(bytes: number): void {
    const need = this.#length + bytes
    if (need <= this.#buffer.byteLength) return
    const bigger = Buffer.allocUnsafeSlow(Math.max(need, this.#buffer.byteLength * 2))
    bigger.set(this.#buffer.subarray(0, this.#length))
    this.#buffer = bigger
  }
}

/** Reads what {@link ByteWriter} wrote. */
export class ByteReader {
  readonly #buffer: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get offset(): number {
    return this.#at
  }

  get isAtEnd(): boolean {
    return this.#at === this.#buffer.byteLength
  }

  byte(): number {
    const value = this.#buffer[this.#at]
    if (value === undefined) throw malformed('ends early')
    this.#at++
    return value
  }

  number(): number {
    let value = 0
    let factor = 1
    for (;;) {
      const next = this.byte()
      value += (next & 0x7f) * factor
      if (next < 0x80) break
      factor *= 0x80
      if (factor > Number.MAX_SAFE_INTEGER) throw malformed('a number is too long')
    }
    if (!Number.isSafeInteger(value)) throw malformed('a number is too big')
    return value
  }

  time(): bigint {
    if (this.#at + 8 > this.#buffer.byteLength) throw malformed('ends early')
    const value = this.#buffer.readBigInt64LE(this.#at)
    this.#at += 8
    return value
  }

  text(): string {
    const bytes = this.bytes()
    return nameOfBytes(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  }

  /** `length` bytes, a view. */
  raw(length: number): Uint8Array {
    if (length > this.#buffer.byteLength - this.#at) throw malformed('ends early')
    const out = this.#buffer.subarray(this.#at, this.#at + length)
    this.#at += length
    return out
  }

  /** Bytes after their length, a view. */
  bytes(): Uint8Array {
    return this.raw(this.number())
  }
}

/** The failure of a reader. */
export function malformed(what: string): NodeError<'COMMIT_MALFORMED'> {
  return new NodeError('COMMIT_MALFORMED', what)
}
