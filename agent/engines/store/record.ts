/**
 * The one record format, byte by byte (docs/reference/store.md, "On disk").
 *
 * A record is a 40-byte header, the key, for long values a table of block checksums, the value, and zeros up to a multiple of
 * 8. Everything is little-endian. The header's checksum covers header, key and table; the value has its own, which the
 * index keeps in memory, so that reading a value needs neither header nor key. Serials count the records of a
 * namespace from 0 without gap and never change, also not when compaction moves a record. The lag tells recovery which
 * records had been fsynced (and may have been acknowledged) when a later one was written.
 */
import { assert } from '../../base/assert.ts'
import { BLOCK_BYTES, VALUE_BYTES_MAX } from './constants.ts'
import { crc32c } from './crc32c.ts'

/** Bytes before the key. */
export const HEADER_BYTES = 40
/** "VRR1": where to take up again after damage. */
export const RECORD_MAGIC = 0x31525256
/** Records start at multiples of this. */
export const ALIGN_BYTES = 8

/** The key has this value from here on. */
export const KIND_SET = 1
/** The key has no value from here on. */
export const KIND_DELETE = 2
/** What kinds there are. */
export type RecordKind = typeof KIND_SET | typeof KIND_DELETE

assert(new Uint8Array(Uint32Array.of(1).buffer)[0] === 1, 'this program runs on little-endian CPUs')

/** A decoded header. */
export interface RecordHeader {
  readonly kind: RecordKind
  readonly keyBytes: number
  readonly valueBytes: number
  /** Of the value, or of its table where it has one. */
  readonly valueCrc: number
  /** Seconds since 1970. */
  readonly timeSeconds: number
  readonly serial: number
  /** How many records before this one were not yet durable when it was written; 65535 for unknown or more. */
  readonly lag: number
  /** Where the previous record of the key is; segment 0 where there is none. */
  readonly previousSegment: number
  readonly previousOffset: number
}

/** What is needed to write a record besides key and value. */
export interface RecordStamp {
  kind: RecordKind
  timeSeconds: number
  serial: number
  /** `0..65535`. */
  lag: number
  previousSegment: number
  previousOffset: number
}

/** The lag that says nothing. */
export const LAG_UNKNOWN = 0xffff

/**
 * Bytes of the table of block checksums.
 *
 * @param valueBytes - Length of the value.
 * @returns 0 for values of at most 64 KiB, else 4 a block of 64 KiB.
 * @example
 * tableBytesOf(65537) // 8
 */
export function tableBytesOf(valueBytes: number): number {
  return valueBytes > BLOCK_BYTES ? 4 * Math.ceil(valueBytes / BLOCK_BYTES) : 0
}

/**
 * Bytes from the start of a record to its value.
 *
 * @param keyBytes - Length of the key.
 * @param valueBytes - Length of the value.
 * @returns Header, key and table.
 * @example
 * valueStartOf(16, 100) // 56
 */
export function valueStartOf(keyBytes: number, valueBytes: number): number {
  return HEADER_BYTES + keyBytes + tableBytesOf(valueBytes)
}

/**
 * Bytes of a record on disk.
 *
 * @param keyBytes - Length of the key.
 * @param valueBytes - Length of the value.
 * @returns A multiple of 8.
 * @example
 * recordBytesOf(16, 100) // 160
 */
export function recordBytesOf(keyBytes: number, valueBytes: number): number {
  return (valueStartOf(keyBytes, valueBytes) + valueBytes + ALIGN_BYTES - 1) & -ALIGN_BYTES
}

/**
 * Checksum of a value as the header and the index hold it.
 *
 * @param bytes - Where the value is.
 * @param start - Its first byte.
 * @param end - After its last byte.
 * @returns CRC-32C of the value; for values with a table, of the table.
 * @example
 * valueCrcOf(value, 0, value.length)
 */
export function valueCrcOf(bytes: Uint8Array, start: number, end: number): number {
  if (end - start <= BLOCK_BYTES) return crc32c(bytes, start, end)
  const table = blockTable(bytes, start, end)
  return crc32c(table, 0, table.byteLength)
}

/**
 * Checksums of the blocks of a value.
 *
 * @param bytes - Where the value is.
 * @param start - Its first byte.
 * @param end - After its last byte.
 * @returns 4 bytes a block, little-endian.
 * @example
 * blockTable(value, 0, value.length)
 */
export function blockTable(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const table = new Uint32Array(Math.ceil((end - start) / BLOCK_BYTES))
  for (let block = 0, at = start; at < end; block++, at += BLOCK_BYTES) {
    table[block] = crc32c(bytes, at, Math.min(end, at + BLOCK_BYTES))
  }
  return new Uint8Array(table.buffer)
}

/**
 * Writes header, key and table (all that comes before the value).
 *
 * @param into - Same memory as `words`.
 * @param words - `into` as u32.
 * @param at - Where the record starts, a multiple of 8.
 * @param stamp - Kind, time, serial and previous record.
 * @param key - Where the key is: `bytes[start, end)`.
 * @param valueBytes - Length of the value.
 * @param valueCrc - {@link valueCrcOf} the value.
 * @param table - {@link blockTable} where {@link tableBytesOf} is not 0.
 * @returns Where the value goes.
 */
export function writeRecordStart(
  into: Uint8Array,
  words: Uint32Array,
  at: number,
  stamp: RecordStamp,
  key: Uint8Array,
  keyStart: number,
  keyEnd: number,
  valueBytes: number,
  valueCrc: number,
  table: Uint8Array | undefined,
): number {
  const keyBytes = keyEnd - keyStart
  const word = at >>> 2
  words[word] = RECORD_MAGIC
  words[word + 2] = stamp.kind | (keyBytes << 8) | (stamp.lag << 16)
  words[word + 3] = valueBytes
  words[word + 4] = valueCrc
  words[word + 5] = stamp.timeSeconds
  words[word + 6] = stamp.serial >>> 0
  words[word + 7] = Math.floor(stamp.serial / 2 ** 32)
  words[word + 8] = stamp.previousSegment
  words[word + 9] = stamp.previousOffset
  let end = at + HEADER_BYTES
  // A loop beats a view for what is mostly 8 to 40 bytes.
  for (let from = keyStart; from < keyEnd; from++) into[end++] = key[from] as number
  if (table) {
    into.set(table, end)
    end += table.byteLength
  }
  words[word + 1] = crc32c(into, at + 8, end)
  return end
}

/**
 * Reads and checks a header, key and table.
 *
 * @param bytes - Where the record is.
 * @param at - Its first byte.
 * @param end - After the last byte that may belong to it.
 * @returns The header; `undefined` if the bytes are not the start of a record; a number if that many bytes from
 *   `at` are needed to tell.
 * @example
 * const header = readRecordStart(bytes, 64, bytes.length)
 */
export function readRecordStart(
  bytes: Uint8Array,
  at: number,
  end: number,
): RecordHeader | number | undefined {
  if (end - at < HEADER_BYTES) return HEADER_BYTES
  if (word32(bytes, at) !== RECORD_MAGIC) return undefined
  const kind = bytes[at + 8]
  const keyBytes = bytes[at + 9] as number
  const valueBytes = word32(bytes, at + 12)
  if ((kind !== KIND_SET && kind !== KIND_DELETE) || keyBytes === 0) return undefined
  if (valueBytes > VALUE_BYTES_MAX) return undefined
  const startBytes = valueStartOf(keyBytes, valueBytes)
  if (end - at < startBytes) return startBytes
  if (crc32c(bytes, at + 8, at + startBytes) !== word32(bytes, at + 4)) return undefined
  return {
    kind,
    keyBytes,
    valueBytes,
    valueCrc: word32(bytes, at + 16),
    timeSeconds: word32(bytes, at + 20),
    serial: word32(bytes, at + 24) + word32(bytes, at + 28) * 2 ** 32,
    lag: word32(bytes, at + 8) >>> 16,
    previousSegment: word32(bytes, at + 32),
    previousOffset: word32(bytes, at + 36),
  }
}

/**
 * Checks a value against its header.
 *
 * @param header - The record's header.
 * @param bytes - Where the value is.
 * @param start - Its first byte.
 * @returns True if the checksum holds.
 * @example
 * valueIsIntact(header, bytes, at + valueStartOf(header.keyBytes, header.valueBytes))
 */
export function valueIsIntact(header: RecordHeader, bytes: Uint8Array, start: number): boolean {
  return valueCrcOf(bytes, start, start + header.valueBytes) === header.valueCrc
}

/** A little-endian u32 at any offset. */
export function word32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  )
}
