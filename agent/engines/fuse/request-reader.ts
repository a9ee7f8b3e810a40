/**
 * Reads the fields of one request in order, never past its end.
 *
 * One reader is used again for every request, so that decoding costs no memory; what must outlive the request (names, data
 * of an asynchronous write) is copied or held by the caller.
 */
import { NodeError } from '../../base/errors.ts'
import { nameOfBytes } from '../../base/name-text.ts'
import { IN_HEADER_BYTES, NAME_BYTES_MAX } from './protocol.ts'
import { readUnique } from './unique.ts'

const HIGH_WORD = 2 ** 32
const SLASH = 0x2f
const DOT = 0x2e

/** The header of a request. */
export interface RequestHeader {
  readonly opcode: number
  /** Names the request in its reply; negative if it is sent again (`unique.ts`). */
  readonly unique: number
  readonly ino: number
  readonly uid: number
  readonly gid: number
  readonly pid: number
}

/** Reads one request after another. */
export class RequestReader {
  #bytes: Buffer = Buffer.alloc(0)
  #end = 0
  #at = 0

  /**
   * Begins a request.
   *
   * @param bytes - A buffer that begins with it.
   * @param lengthBytes - What was received.
   * @returns Its header, or undefined if not even that is there: such a request cannot be answered.
   */
  begin(bytes: Buffer, lengthBytes: number): RequestHeader | undefined {
    if (lengthBytes < IN_HEADER_BYTES || lengthBytes > bytes.length) return undefined
    this.#bytes = bytes
    this.#end = lengthBytes
    this.#at = IN_HEADER_BYTES
    return {
      opcode: bytes.readUInt32LE(4),
      unique: readUnique(bytes, 8),
      ino: bytes.readUInt32LE(16) + bytes.readUInt32LE(20) * HIGH_WORD,
      uid: bytes.readUInt32LE(24),
      gid: bytes.readUInt32LE(28),
      pid: bytes.readUInt32LE(32),
    }
  }

  /** Checks the length that the header states; apart from `begin`, so that the failure can be answered. */
  checkLength(): void {
    if (this.#bytes.readUInt32LE(0) !== this.#end) throw malformed('length differs from the header')
  }

  u32(): number {
    return this.#bytes.readUInt32LE(this.#take(4))
  }

  /** A 64-bit number that counts or places something: `0..2^53 - 1`. */
  u64(): number {
    const at = this.#take(8)
    const value = this.#bytes.readUInt32LE(at) + this.#bytes.readUInt32LE(at + 4) * HIGH_WORD
    if (!Number.isSafeInteger(value)) throw new NodeError('INVALID', 'number beyond 2^53')
    return value
  }

  /** The number of another request. */
  unique(): number {
    return readUnique(this.#bytes, this.#take(8))
  }

  /**
   * An offset, a length or a size: what is wider than the numbers here is as wide as they go, `2^53 - 1`, which no file reaches, so
   * that it is refused for what it is.
   */
  extent(): number {
    const at = this.#take(8)
    const value = this.#bytes.readUInt32LE(at) + this.#bytes.readUInt32LE(at + 4) * HIGH_WORD
    return Math.min(value, Number.MAX_SAFE_INTEGER)
  }

  /** A signed 64-bit number, whole: seconds of a time. */
  i64(): bigint {
    return this.#bytes.readBigInt64LE(this.#take(8))
  }

  skip(bytes: number): void {
    this.#take(bytes)
  }

  /** A name in a directory, with its NUL. @throws NodeError `NAME_TOO_LONG`, `INVALID`. */
  name(): string {
    const { start, end } = this.#untilNul()
    if (end - start > NAME_BYTES_MAX) throw new NodeError('NAME_TOO_LONG', 'name beyond 255 bytes')
    if (end === start) throw new NodeError('INVALID', 'empty name')
    if (this.#isReserved(start, end)) throw new NodeError('INVALID', 'not a name in a directory')
    return nameOfBytes(this.#bytes.subarray(start, end))
  }

  /** Any text with its NUL: the target of a link, the name of an attribute. */
  text(): string {
    const { start, end } = this.#untilNul()
    return nameOfBytes(this.#bytes.subarray(start, end))
  }

  /** `length` bytes, not copied: they go when the request buffer is given back. */
  view(length: number): Buffer {
    const at = this.#take(length)
    return this.#bytes.subarray(at, at + length)
  }

  #take(bytes: number): number {
    const at = this.#at
    if (bytes > this.#end - at) throw malformed('ends too early')
    this.#at = at + bytes
    return at
  }

  #untilNul(): { start: number; end: number } {
    const start = this.#at
    const end = this.#bytes.indexOf(0, start)
    if (end < 0 || end >= this.#end) throw malformed('text without an end')
    this.#at = end + 1
    return { start, end }
  }

  #isReserved(start: number, end: number): boolean {
    const slash = this.#bytes.indexOf(SLASH, start)
    if (slash >= 0 && slash < end) return true
    for (let at = start; at < end; at++) if (this.#bytes[at] !== DOT) return false
    return end - start <= 2
  }
}

const malformed = (what: string): NodeError =>
  new NodeError('FUSE_MESSAGE_MALFORMED', `request ${what}`)
