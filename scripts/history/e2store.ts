/**
 * e2store framing, shared by era1 files and our own: records of a 2-byte type, a 4-byte little-endian length, 2 zero bytes,
 * and data. Files are read as a stream, so that a file of any size costs one buffer.
 *
 * @see https://github.com/eth-clients/e2store-format-specs
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { setImmediate as yieldToOthers } from 'node:timers/promises'
import { NodeError } from '../../agent/base/errors.ts'

/** Types of records, as little-endian numbers. */
export const RECORD = {
  version: 0x3265,
  header: 0x03,
  body: 0x04,
  receipts: 0x05,
  totalDifficulty: 0x06,
  accumulator: 0x07,
  blockIndex: 0x3266,
} as const

export const RECORD_HEADER_BYTES = 8
/** Longest record read: mainnet's largest body is below 8 MiB, an index of 8,192 blocks takes 64 KiB. */
const RECORD_BYTES_MAX = 32 * 1024 * 1024
const BUFFER_BYTES = 1024 * 1024
/** Records between two pauses, so that reading a file does not hold up the rest of the process. */
const RECORDS_A_TURN = 512

/** One record. */
export interface E2Record {
  readonly type: number
  /** Where its header starts in the file. */
  readonly offset: number
  /** Valid until the next record is asked for. */
  readonly data: Uint8Array
}

/**
 * Reads the records of a file one after another.
 *
 * @param path - The file.
 * @param onBytes - Called with every piece of the file as it is read, for hashing.
 * @throws NodeError `HISTORY_FRAMING` if a header is not one, a record is too long, or the file ends inside one.
 * @example
 * for await (const record of readE2Records(path)) console.log(record.type, record.data.byteLength)
 */
export async function* readE2Records(
  path: string,
  onBytes?: (bytes: Uint8Array) => void,
): AsyncGenerator<E2Record> {
  const file = openSync(path, 'r')
  try {
    const source = new Source(file, onBytes)
    for (let count = 1; source.position < source.sizeBytes; count++) {
      const offset = source.position
      const { type, length } = readHeader(source.take(RECORD_HEADER_BYTES), offset)
      yield { type, offset, data: source.take(length) }
      if (count % RECORDS_A_TURN === 0) await yieldToOthers()
    }
  } finally {
    closeSync(file)
  }
}

function readHeader(bytes: Buffer, offset: number): { type: number; length: number } {
  const length = bytes.readUInt32LE(2)
  if (bytes.readUInt16LE(6) !== 0) {
    throw new NodeError('HISTORY_FRAMING', `no record starts at byte ${offset}`)
  }
  if (length > RECORD_BYTES_MAX) {
    throw new NodeError('HISTORY_FRAMING', `a record of ${length} bytes at byte ${offset}`)
  }
  return { type: bytes.readUInt16LE(0), length }
}

/** Bytes of a file in order, through one buffer that grows to the longest record. */
class Source {
  readonly sizeBytes: number
  readonly #file: number
  readonly #onBytes: ((bytes: Uint8Array) => void) | undefined
  #buffer = Buffer.allocUnsafe(BUFFER_BYTES)
  #start = 0
  #end = 0
  #filePosition = 0

  constructor(file: number, onBytes: ((bytes: Uint8Array) => void) | undefined) {
    this.sizeBytes = fstatSync(file).size
    this.#file = file
    this.#onBytes = onBytes
  }

  get position(): number {
    return this.#filePosition - (this.#end - this.#start)
  }

  take(length: number): Buffer {
    if (this.position + length > this.sizeBytes) {
      throw new NodeError('HISTORY_FRAMING', `the file ends inside a record at ${this.position}`)
    }
    if (this.#end - this.#start < length) this.#fill(length)
    const bytes = this.#buffer.subarray(this.#start, this.#start + length)
    this.#start += length
    return bytes
  }

  #fill(length: number): void {
    const kept = this.#buffer.subarray(this.#start, this.#end)
    const target = length > this.#buffer.byteLength ? Buffer.allocUnsafe(length) : this.#buffer
    target.set(kept)
    this.#buffer = target
    this.#start = 0
    this.#end = kept.byteLength
    while (this.#end < length) {
      const read = readSync(
        this.#file,
        target,
        this.#end,
        target.byteLength - this.#end,
        this.#filePosition,
      )
      if (read === 0) throw new NodeError('HISTORY_FRAMING', 'the file became shorter while read')
      this.#onBytes?.(target.subarray(this.#end, this.#end + read))
      this.#end += read
      this.#filePosition += read
    }
  }
}

/**
 * Frames one record.
 *
 * @param type - See {@link RECORD}.
 * @param data - Its data.
 * @returns Header and data.
 */
export function encodeE2Record(type: number, data: Uint8Array): Buffer {
  const out = Buffer.alloc(RECORD_HEADER_BYTES + data.byteLength)
  out.writeUInt16LE(type, 0)
  out.writeUInt32LE(data.byteLength, 2)
  out.set(data, RECORD_HEADER_BYTES)
  return out
}

/** A block index: where each block's header record is. */
export interface BlockIndex {
  readonly startBlock: number
  /** `[n]` file offsets of the header records. */
  readonly offsets: readonly number[]
}

/**
 * Reads a block index.
 *
 * @param data - Data of the record: start, offsets relative to the record, count; 8 bytes each, little-endian.
 * @param recordOffset - Where the record starts in its file.
 * @throws NodeError `HISTORY_INDEX` if the length does not fit the count.
 */
export function decodeBlockIndex(data: Uint8Array, recordOffset: number): BlockIndex {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  const count = bytes.byteLength / 8 - 2
  const isWhole = Number.isInteger(count) && count >= 1
  if (!isWhole || bytes.readBigInt64LE(bytes.byteLength - 8) !== BigInt(count)) {
    throw new NodeError('HISTORY_INDEX', `a block index of ${bytes.byteLength} bytes`)
  }
  const offsets = Array.from(
    { length: count },
    (_, at) => recordOffset + Number(bytes.readBigInt64LE(8 + at * 8)),
  )
  return { startBlock: Number(bytes.readBigInt64LE(0)), offsets }
}

/**
 * Writes a block index.
 *
 * @param index - Offsets in the file.
 * @param recordOffset - Where the record will start.
 * @returns Data of the record.
 */
export function encodeBlockIndex(index: BlockIndex, recordOffset: number): Buffer {
  const out = Buffer.alloc((index.offsets.length + 2) * 8)
  out.writeBigInt64LE(BigInt(index.startBlock), 0)
  index.offsets.forEach((offset, at) => {
    out.writeBigInt64LE(BigInt(offset - recordOffset), 8 + at * 8)
  })
  out.writeBigInt64LE(BigInt(index.offsets.length), out.byteLength - 8)
  return out
}
