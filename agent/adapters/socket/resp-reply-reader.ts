/**
 * Reads replies of the redis protocol (version 2) from a stream, the client's side of the store's protocol.
 *
 * Long values are received straight into a buffer of their size, so that they are copied once. Lengths are checked
 * before memory is spent on them.
 */
import { NodeError } from '../../base/errors.ts'

/** The largest value of a store is 8 MiB. */
const BULK_BYTES_MAX = 8 * 1024 * 1024
/** Longest list of keys that we ask for, with room. */
const ARRAY_LENGTH_MAX = 65_536
/** Errors and numbers are short. */
const LINE_BYTES_MAX = 16 * 1024
const DEPTH_MAX = 4

/** An error that the store replied. */
export class ReplyError {
  readonly words: string

  constructor(words: string) {
    this.words = words
  }
}

/** A reply: a status, a number, bytes, nil, an error, or several. */
export type Reply = string | number | Buffer | null | ReplyError | Reply[]

/** Reads replies; one for each connection. */
export class ReplyReader {
  readonly #onReply: (reply: Reply) => void
  readonly #bulkBytesMax: number
  #line: Buffer = Buffer.alloc(0)
  /** The value being received, and how much of it is there, its line end included. */
  #bulk: Buffer | undefined
  #bulkBytes = 0
  /** Arrays being received, outermost first. */
  readonly #open: { items: Reply[]; missing: number }[] = []

  /** @param bulkBytesMax - Longest string to be received; a value of a store if left out. */
  constructor(onReply: (reply: Reply) => void, bulkBytesMax = BULK_BYTES_MAX) {
    this.#onReply = onReply
    this.#bulkBytesMax = bulkBytesMax
  }

  /**
   * Takes what was received.
   *
   * @param data - The next bytes of the stream.
   * @throws NodeError `STORE_REFUSED` if they are not of this protocol; the stream is of no use any more.
   */
  receive(data: Buffer): void {
    let at = 0
    while (at < data.byteLength) {
      at = this.#bulk ? this.#receiveBulk(this.#bulk, data, at) : this.#receiveLine(data, at)
    }
  }

  #receiveBulk(bulk: Buffer, data: Buffer, at: number): number {
    const total = bulk.byteLength + 2
    const take = Math.min(total - this.#bulkBytes, data.byteLength - at)
    data.copy(bulk, this.#bulkBytes, at, at + take)
    this.#bulkBytes += take
    if (this.#bulkBytes === total) {
      this.#bulk = undefined
      this.#complete(bulk)
    }
    return at + take
  }

  #receiveLine(data: Buffer, at: number): number {
    const end = data.indexOf(10, at)
    const part = data.subarray(at, end < 0 ? data.byteLength : end)
    const line = this.#line.byteLength > 0 ? Buffer.concat([this.#line, part]) : part
    if (line.byteLength > LINE_BYTES_MAX) throw badReply('a line is too long')
    if (end < 0) {
      this.#line = Buffer.from(line)
      return data.byteLength
    }
    this.#line = Buffer.alloc(0)
    if (line.at(-1) !== 13) throw badReply('a line ends without CR')
    this.#takeLine(line.toString('latin1', 0, line.byteLength - 1))
    return end + 1
  }

  #takeLine(line: string): void {
    const rest = line.slice(1)
    const kind = line[0]
    if (kind === '+') this.#complete(rest)
    else if (kind === '-')
      this.#complete(new ReplyError(Buffer.from(rest, 'latin1').toString('utf8')))
    else if (kind === ':') this.#complete(wholeNumber(rest))
    else if (kind === '_') this.#complete(null)
    else if (kind === '$') this.#startBulk(wholeNumber(rest))
    else if (kind === '*') this.#startArray(wholeNumber(rest))
    else throw badReply('unknown kind of reply')
  }

  #startBulk(length: number): void {
    if (length === -1) {
      this.#complete(null)
      return
    }
    if (length < 0 || length > this.#bulkBytesMax) throw badReply(`a value of ${length} bytes`)
    this.#bulk = Buffer.allocUnsafe(length)
    this.#bulkBytes = 0
  }

  #startArray(length: number): void {
    if (length < -1 || length > ARRAY_LENGTH_MAX) throw badReply(`an array of ${length}`)
    if (this.#open.length >= DEPTH_MAX) throw badReply('arrays too deep')
    if (length === -1) this.#complete(null)
    else if (length === 0) this.#complete([])
    else this.#open.push({ items: [], missing: length })
  }

  #complete(reply: Reply): void {
    let done = reply
    for (;;) {
      const array = this.#open.at(-1)
      if (!array) {
        this.#onReply(done)
        return
      }
      array.items.push(done)
      if (--array.missing > 0) return
      this.#open.pop()
      done = array.items
    }
  }
}

function wholeNumber(text: string): number {
  if (!/^-?\d{1,16}$/.test(text)) throw badReply('expected a number')
  return Number(text)
}

function badReply(problem: string): NodeError {
  return new NodeError('STORE_REFUSED', `not a store on the other end: ${problem}`)
}
