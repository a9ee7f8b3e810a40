/**
 * Builds replies of the redis protocol, version 2 or 3, in buffers from a pool; large values get a buffer of their own,
 * into which they are read from the disk, so that they are copied only by the kernel.
 */
import { assert } from '../../../base/assert.ts'
import type { BufferPool } from './buffer-pool.ts'

/** Larger values are read into a buffer of their own. */
const PACKED_BYTES_MAX = 64 * 1024
/** Largest buffer taken in the hope of more replies. */
const PART_BYTES_MAX = 256 * 1024
/** Longest line before a value: `$8388608\r\n`. */
const LENGTH_LINE_BYTES = 12

/** Replies ready to be sent. */
export interface Output {
  readonly parts: readonly Buffer[]
  readonly lengthBytes: number
  /** Gives the buffers back; the parts may not be used after. */
  release(): void
}

/** Collects the replies of a session until they are taken. */
export class ReplyWriter {
  /** 2 or 3. */
  protocol = 2
  /** Whether errors begin with a code in capitals, as clients of redis expect. */
  hasErrorCodes = false
  /** Replies (of whole commands) collected, as the session counts them. */
  replies = 0
  readonly #pool: BufferPool
  #parts: Buffer[] = []
  #buffers: Buffer[] = []
  #fullBytes = 0
  #current: Buffer | undefined
  /** First byte of the current buffer that belongs to no part yet, and after the last one written. */
  #start = 0
  #at = 0

  constructor(pool: BufferPool) {
    this.#pool = pool
  }

  get lengthBytes(): number {
    return this.#fullBytes + this.#at - this.#start
  }

  /** `+OK` and the like. */
  status(text: string): void {
    this.#line(43, text)
  }

  /** `-words`; line ends in the text become spaces. */
  error(text: string): void {
    const line = text.replace(/[\r\n]+/g, ' ')
    this.#line(45, this.hasErrorCodes ? withCode(line) : line)
  }

  integer(value: number): void {
    this.#line(58, String(value))
  }

  nil(): void {
    this.raw(this.protocol === 3 ? NIL3 : NIL2)
  }

  /** Opens an array of `count` replies. */
  array(count: number): void {
    this.#line(42, String(count))
  }

  /** Opens a map of `count` pairs: an array of twice as many in version 2. */
  map(count: number): void {
    if (this.protocol === 3) this.#line(37, String(count))
    else this.array(2 * count)
  }

  /** Opens a set of `count` replies: an array in version 2. */
  set(count: number): void {
    if (this.protocol === 3) this.#line(126, String(count))
    else this.array(count)
  }

  /** A string of bytes. */
  bulk(value: Uint8Array): void {
    this.bulkPart(value, 0, value.byteLength)
  }

  /** A string of bytes out of a buffer. */
  bulkPart(value: Uint8Array, start: number, end: number): void {
    const length = end - start
    const buffer = this.#room(length + LENGTH_LINE_BYTES + 2)
    let at = this.#lengthLine(buffer, this.#at, length)
    if (length <= 24) {
      for (let from = start; from < end; from++) buffer[at++] = value[from] as number
    } else {
      buffer.set(start === 0 && end === value.byteLength ? value : value.subarray(start, end), at)
      at += length
    }
    buffer[at] = 13
    buffer[at + 1] = 10
    this.#at = at + 2
  }

  text(value: string): void {
    this.bulk(Buffer.from(value))
  }

  /**
   * A string of bytes that the caller reads straight into its place.
   *
   * @param length - Bytes of the value.
   * @param slack - Bytes before the value that `fill` may overwrite.
   * @param fill - Puts the value at the given offset; if it throws, nothing is written.
   */
  fillBulk(length: number, slack: number, fill: (into: Buffer, at: number) => void): void {
    if (length > PACKED_BYTES_MAX) {
      this.#fillLarge(length, slack, fill)
      return
    }
    assert(slack === 0, 'only large values need slack')
    const buffer = this.#room(length + LENGTH_LINE_BYTES + 2)
    const at = this.#lengthLine(buffer, this.#at, length)
    fill(buffer, at)
    buffer[at + length] = 13
    buffer[at + length + 1] = 10
    this.#at = at + length + 2
  }

  /** Bytes as they are. */
  raw(bytes: Uint8Array): void {
    const buffer = this.#room(bytes.byteLength)
    buffer.set(bytes, this.#at)
    this.#at += bytes.byteLength
  }

  /** Takes what was collected. @returns It, or undefined if there is nothing. */
  take(): Output | undefined {
    this.replies = 0
    if (this.lengthBytes === 0) return undefined
    this.#closePart()
    const output = new PooledOutput(this.#parts, this.#buffers, this.#fullBytes, this.#pool)
    this.#parts = []
    this.#buffers = []
    this.#fullBytes = 0
    this.#current = undefined
    this.#start = 0
    this.#at = 0
    return output
  }

  #fillLarge(length: number, slack: number, fill: (into: Buffer, at: number) => void): void {
    const lead = slack + LENGTH_LINE_BYTES
    const buffer = this.#pool.take(lead + length + 2)
    try {
      fill(buffer, lead)
    } catch (caught) {
      this.#pool.give(buffer)
      throw caught
    }
    // The line goes right before the value, over what was slack.
    const line = `$${length}\r\n`
    buffer.write(line, lead - line.length, 'latin1')
    buffer[lead + length] = 13
    buffer[lead + length + 1] = 10
    this.#closePart()
    this.#start = this.#at
    this.#parts.push(buffer.subarray(lead - line.length, lead + length + 2))
    this.#buffers.push(buffer)
    this.#fullBytes += line.length + length + 2
  }

  #closePart(): void {
    if (this.#current && this.#at > this.#start) {
      this.#parts.push(this.#current.subarray(this.#start, this.#at))
      this.#fullBytes += this.#at - this.#start
      this.#start = this.#at
    }
  }

  #room(bytes: number): Buffer {
    const current = this.#current
    if (current && this.#at + bytes <= current.byteLength) return current
    this.#closePart()
    // What is more than a few replies is likely to become many: fewer, larger parts make the write cheaper.
    const buffer = this.#pool.take(Math.max(bytes, Math.min(4 * this.#fullBytes, PART_BYTES_MAX)))
    this.#buffers.push(buffer)
    this.#current = buffer
    this.#start = 0
    this.#at = 0
    return buffer
  }

  #lengthLine(buffer: Buffer, from: number, length: number): number {
    let at = from
    buffer[at++] = 36
    at = writeNumber(buffer, at, length)
    buffer[at] = 13
    buffer[at + 1] = 10
    return at + 2
  }

  #line(kind: number, text: string): void {
    const buffer = this.#room(3 + text.length * 3)
    buffer[this.#at] = kind
    const end = this.#at + 1 + buffer.write(text, this.#at + 1)
    buffer[end] = 13
    buffer[end + 1] = 10
    this.#at = end + 2
  }
}

class PooledOutput implements Output {
  readonly parts: readonly Buffer[]
  readonly lengthBytes: number
  readonly #buffers: Buffer[]
  readonly #pool: BufferPool
  #isReleased = false

  constructor(parts: Buffer[], buffers: Buffer[], lengthBytes: number, pool: BufferPool) {
    this.parts = parts
    this.lengthBytes = lengthBytes
    this.#buffers = buffers
    this.#pool = pool
  }

  release(): void {
    assert(!this.#isReleased, 'an output is released once')
    this.#isReleased = true
    for (const buffer of this.#buffers) this.#pool.give(buffer)
  }
}

/** Words of refusals that redis has a code for. */
const CODES: Readonly<Record<string, string>> = {
  'Permission denied': 'NOPERM',
  'Access denied': 'NOPERM',
  'Namespace is in read-only mode': 'READONLY',
  'Namespace is temporarily locked (read-only)': 'READONLY',
}

function withCode(words: string): string {
  return /^[A-Z]{2,}( |$)/.test(words) ? words : `${CODES[words] ?? 'ERR'} ${words}`
}

const NIL2 = Buffer.from('$-1\r\n')
const NIL3 = Buffer.from('_\r\n')

/** Writes a number `>= 0` in decimal. @returns After its last digit. */
function writeNumber(buffer: Buffer, from: number, value: number): number {
  let digits = 1
  for (let limit = 10; value >= limit; limit *= 10) digits++
  let rest = value
  for (let at = from + digits - 1; at >= from; at--) {
    buffer[at] = 48 + (rest % 10)
    rest = (rest / 10) | 0
  }
  return from + digits
}
