/**
 * Writes and reads compact binary records: bytes, variable-length integers, byte strings.
 *
 * The reader believes nothing: every read is checked against what is left, and a count is checked against the bytes that so
 * many items need at least, before anything of that size is allocated.
 */
import { assert } from './assert.ts'
import { NodeError } from './errors.ts'

const FIRST_BYTES = 1024

/** Collects a record. */
export class ByteWriter {
  #bytes = new Uint8Array(FIRST_BYTES)
  #length = 0

  /** Bytes written so far. */
  get lengthBytes(): number {
    return this.#length
  }

  /** One byte, `0..255`. */
  byte(value: number): this {
    this.#reserve(1)
    this.#bytes[this.#length++] = value
    return this
  }

  /** A whole number `0..2^53-1` in 1 to 8 bytes, seven bits each, low ones first (LEB128). */
  integer(value: number): this {
    assert(Number.isSafeInteger(value) && value >= 0, 'only whole numbers are written')
    this.#reserve(8)
    let rest = value
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.#bytes[this.#length++] = rest
    return this
  }

  /** Bytes as they are, without their length. */
  bytes(value: Uint8Array): this {
    this.#reserve(value.byteLength)
    this.#bytes.set(value, this.#length)
    this.#length += value.byteLength
    return this
  }

  /** @returns A copy of everything written. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.byteLength) return
    const grown = new Uint8Array(Math.max(this.#bytes.byteLength * 2, this.#length + more))
    grown.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = grown
  }
}

/**
 * Reads a record.
 *
 * @example
 * const reader = new ByteReader(bytes, 'PACK_TABLE_INVALID')
 * const count = reader.count(35)
 */
export class ByteReader {
  readonly #bytes: Uint8Array
  readonly #code: string
  #at = 0

  /**
   * @param bytes - The record, not trusted.
   * @param code - Code of the failure that a malformed record is.
   */
  constructor(bytes: Uint8Array, code: string) {
    this.#bytes = bytes
    this.#code = code
  }

  /** Bytes not read yet. */
  get leftBytes(): number {
    return this.#bytes.byteLength - this.#at
  }

  /** One byte. */
  byte(): number {
    const value = this.#bytes[this.#at]
    if (value === undefined) throw this.fault('it ends early')
    this.#at++
    return value
  }

  /**
   * A whole number.
   *
   * @param max - Greatest that is accepted, `<= 2^53-1`.
   */
  integer(max: number): number {
    let value = 0
    for (let factor = 1; factor <= 2 ** 49; factor *= 0x80) {
      const byte = this.byte()
      value += (byte & 0x7f) * factor
      if (byte < 0x80) {
        if (value > max) throw this.fault(`${value} is above ${max}`)
        return value
      }
    }
    throw this.fault('a number is too long')
  }

  /**
   * A number of items that follow.
   *
   * @param itemBytesMin - Least bytes that each takes, `>= 1`.
   */
  count(itemBytesMin: number): number {
    const count = this.integer(Number.MAX_SAFE_INTEGER)
    if (count > this.leftBytes / itemBytesMin) throw this.fault(`${count} items cannot follow`)
    return count
  }

  /** @returns A view of the next bytes. */
  bytes(lengthBytes: number): Uint8Array {
    if (lengthBytes > this.leftBytes) throw this.fault('it ends early')
    const view = this.#bytes.subarray(this.#at, this.#at + lengthBytes)
    this.#at += lengthBytes
    return view
  }

  /** Says that the record ends here. */
  end(): void {
    if (this.leftBytes > 0) throw this.fault(`${this.leftBytes} bytes follow its end`)
  }

  /** The failure that this record is malformed. */
  fault(why: string): NodeError {
    return new NodeError(this.#code, `malformed at byte ${this.#at}: ${why}`)
  }
}
