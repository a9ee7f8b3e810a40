/** Reads records and values of a log and verifies what is read, wherever it is: in a segment, in the cache or still in memory. */
import { NodeError } from '../../base/errors.ts'
import { BLOCK_BYTES } from './constants.ts'
import { crc32c } from './crc32c.ts'
import type { LogFiles } from './log-files.ts'
import type { LogPorts } from './ports.ts'
import {
  HEADER_BYTES,
  type RecordHeader,
  readRecordStart,
  recordBytesOf,
  tableBytesOf,
  valueIsIntact,
  valueStartOf,
} from './record.ts'
import type { Entry, RecordIndex } from './record-index.ts'

/** Enough for the header and the key of any record whose value has no table. */
const START_BYTES = HEADER_BYTES + 256

/** A record with all it holds. */
export interface StoredRecord {
  readonly header: RecordHeader
  readonly key: Buffer
  readonly value: Buffer
}

/** The reading side of a log. */
export class RecordReader {
  readonly #files: LogFiles
  readonly #index: RecordIndex
  readonly #ports: LogPorts
  readonly #directory: string

  constructor(files: LogFiles, index: RecordIndex, ports: LogPorts, directory: string) {
    this.#files = files
    this.#index = index
    this.#ports = ports
    this.#directory = directory
  }

  /**
   * Reads and verifies a whole value.
   *
   * @param into - Where it goes, from `at`; at least {@link readSlackBytes} must be free before `at`.
   * @throws NodeError `LOG_RECORD_CORRUPT`, `DISK_IO`.
   */
  read(entry: Entry, into: Buffer, at: number): void {
    const valueBytes = this.#index.valueBytesOf(entry)
    const table = tableBytesOf(valueBytes)
    const start = this.#index.offsetOf(entry) + HEADER_BYTES + this.#index.keyBytesOf(entry)
    this.#readPart(entry, start, into, at - table, table + valueBytes)
    const isIntact =
      table === 0
        ? crc32c(into, at, at + valueBytes) === this.#index.valueCrcOf(entry)
        : this.#tableIsIntact(entry, into, at - table, table) &&
          blocksAreIntact(into, at - table, 0, into, at, valueBytes)
    if (!isIntact) throw this.#corrupt(entry)
  }

  /**
   * Reads and verifies a part of a value; only the blocks that hold it are read.
   *
   * @param from - First byte of the part.
   * @param lengthBytes - Its length; the part lies within the value.
   * @returns The part.
   * @throws NodeError `LOG_RECORD_CORRUPT`, `DISK_IO`.
   */
  readRange(entry: Entry, from: number, lengthBytes: number): Buffer {
    const valueBytes = this.#index.valueBytesOf(entry)
    const tableBytes = tableBytesOf(valueBytes)
    if (tableBytes === 0) {
      const whole = Buffer.allocUnsafe(valueBytes)
      this.read(entry, whole, 0)
      return whole.subarray(from, from + lengthBytes)
    }
    const start = this.#index.offsetOf(entry) + HEADER_BYTES + this.#index.keyBytesOf(entry)
    const table = Buffer.allocUnsafe(tableBytes)
    this.#readPart(entry, start, table, 0, tableBytes)
    const firstBlock = Math.floor(from / BLOCK_BYTES)
    const blocksStart = firstBlock * BLOCK_BYTES
    const end = Math.min(valueBytes, Math.ceil((from + lengthBytes) / BLOCK_BYTES) * BLOCK_BYTES)
    const blocks = Buffer.allocUnsafe(end - blocksStart)
    this.#readPart(entry, start + tableBytes + blocksStart, blocks, 0, blocks.byteLength)
    const isIntact =
      this.#tableIsIntact(entry, table, 0, tableBytes) &&
      blocksAreIntact(table, 0, firstBlock, blocks, 0, blocks.byteLength)
    if (!isIntact) throw this.#corrupt(entry)
    return blocks.subarray(from - blocksStart, from - blocksStart + lengthBytes)
  }

  /** Free bytes that {@link RecordReader.read} needs before the value. */
  readSlackBytes(entry: Entry): number {
    return tableBytesOf(this.#index.valueBytesOf(entry))
  }

  /** Time of the newest record of a key, in seconds. @throws NodeError `LOG_RECORD_CORRUPT`. */
  timeOf(entry: Entry): number {
    return this.headerAt(this.#index.segmentOf(entry), this.#index.offsetOf(entry)).timeSeconds
  }

  /** Reads and checks the header of a record. @throws NodeError `LOG_RECORD_CORRUPT`, `DISK_IO`. */
  headerAt(segment: number, offset: number): RecordHeader {
    let bytes = Buffer.allocUnsafe(START_BYTES)
    for (;;) {
      const read = this.#files.read(segment, offset, bytes, 0, bytes.byteLength)
      const header = readRecordStart(bytes, 0, read)
      if (typeof header === 'object') return header
      if (header === undefined || header <= bytes.byteLength) {
        throw new NodeError('LOG_RECORD_CORRUPT', `no record at ${segment}:${offset}`, {
          details: { segment, offset },
        })
      }
      bytes = Buffer.allocUnsafe(header)
    }
  }

  /**
   * Reads and verifies a record wherever it is.
   *
   * @returns Its header, key and value; undefined if there is no such segment (any more) or nothing at the offset.
   * @throws NodeError `LOG_RECORD_CORRUPT`, `DISK_IO`.
   */
  recordAt(segment: number, offset: number): StoredRecord | undefined {
    if (!this.#files.holds(segment, offset)) return undefined
    return this.rawRecord(segment, offset)
  }

  /** Reads and verifies a record that is known to be there, with its bytes on disk. @throws NodeError `LOG_RECORD_CORRUPT`. */
  rawRecord(segment: number, offset: number): StoredRecord & { readonly bytes: Buffer } {
    const header = this.headerAt(segment, offset)
    const start = valueStartOf(header.keyBytes, header.valueBytes)
    const end = start + header.valueBytes
    const bytes = Buffer.alloc(recordBytesOf(header.keyBytes, header.valueBytes))
    const read = this.#files.read(segment, offset, bytes, 0, bytes.byteLength)
    if (read < end || !valueIsIntact(header, bytes, start)) {
      throw new NodeError('LOG_RECORD_CORRUPT', `record at ${segment}:${offset}`)
    }
    return {
      header,
      bytes,
      key: bytes.subarray(HEADER_BYTES, HEADER_BYTES + header.keyBytes),
      value: bytes.subarray(start, end),
    }
  }

  /** The header and key of a record that is known to be there. @throws NodeError `LOG_RECORD_CORRUPT`. */
  keyAt(segment: number, offset: number): { header: RecordHeader; key: Buffer } {
    const header = this.headerAt(segment, offset)
    const key = Buffer.allocUnsafe(header.keyBytes)
    this.#files.read(segment, offset + HEADER_BYTES, key, 0, key.byteLength)
    return { header, key }
  }

  #readPart(entry: Entry, offset: number, into: Buffer, at: number, bytes: number): void {
    if (this.#files.read(this.#index.segmentOf(entry), offset, into, at, bytes) < bytes) {
      throw this.#corrupt(entry)
    }
  }

  #tableIsIntact(entry: Entry, bytes: Buffer, at: number, tableBytes: number): boolean {
    return crc32c(bytes, at, at + tableBytes) === this.#index.valueCrcOf(entry)
  }

  #corrupt(entry: Entry): NodeError {
    const details = { segment: this.#index.segmentOf(entry), offset: this.#index.offsetOf(entry) }
    this.#ports.log.error(
      { directory: this.#directory, ...details },
      'a value does not match its checksum',
    )
    return new NodeError('LOG_RECORD_CORRUPT', 'a value does not match its checksum', { details })
  }
}

/** Checks blocks of a value, the first of which has number `firstBlock`, against the table of checksums. */
function blocksAreIntact(
  table: Buffer,
  tableAt: number,
  firstBlock: number,
  bytes: Buffer,
  at: number,
  lengthBytes: number,
): boolean {
  for (let done = 0, block = firstBlock; done < lengthBytes; done += BLOCK_BYTES, block++) {
    const end = at + Math.min(lengthBytes, done + BLOCK_BYTES)
    if (crc32c(bytes, at + done, end) !== table.readUInt32LE(tableAt + 4 * block)) return false
  }
  return true
}
