/**
 * The journal of the local ledger: every raw transaction before the engine sees it, and every block's time before it is
 * mined, in the order in which the engine gets them, each durable before it is acted on.
 *
 * Given the same journal the engine makes the same blocks, hash for hash, so replaying it restores the ledger exactly.
 * A record is `u32 length, u32 crc32c(type and payload), u8 type, payload`, big-endian. A torn record at the end was
 * never acknowledged and is cut; a bad one with good ones after it is damage and is reported.
 */
import {
  closeSync,
  fdatasync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { crc32c } from '@node-rs/crc32'
import { NodeError } from '../../agent/base/errors.ts'

const dataSync = promisify(fdatasync)

const HEADER_BYTES = 9
/** Longest record: the proxy refuses larger requests (2 MiB of hexadecimal is 1 MiB of transaction). */
const PAYLOAD_BYTES_MAX = 2 * 1024 * 1024

const TYPE_TRANSACTION = 1
const TYPE_BLOCK = 2
const TYPE_MINED = 3

/** One thing that happened to the ledger. */
export type JournalRecord =
  /** A signed transaction was handed to the engine, which may have refused it. */
  | { readonly kind: 'transaction'; readonly raw: Uint8Array }
  /** The engine was told to mine this block with this time (seconds since 1970). */
  | { readonly kind: 'block'; readonly number: number; readonly timestamp: number }
  /** The block was mined and has this hash (32 bytes). */
  | { readonly kind: 'mined'; readonly number: number; readonly hash: Uint8Array }

/**
 * Writes a record as bytes.
 *
 * @param record - The record.
 * @returns Header and payload.
 * @example
 * encodeRecord({ kind: 'block', number: 1, timestamp: 1_700_000_000 })
 */
export function encodeRecord(record: JournalRecord): Uint8Array {
  const payload = payloadOf(record)
  const out = Buffer.alloc(HEADER_BYTES + payload.byteLength)
  out.writeUInt8(typeOf(record), 8)
  out.set(payload, HEADER_BYTES)
  out.writeUInt32BE(payload.byteLength, 0)
  out.writeUInt32BE(crc32c(out.subarray(8)), 4)
  return out
}

function typeOf(record: JournalRecord): number {
  if (record.kind === 'transaction') return TYPE_TRANSACTION
  return record.kind === 'block' ? TYPE_BLOCK : TYPE_MINED
}

function payloadOf(record: JournalRecord): Uint8Array {
  if (record.kind === 'transaction') return record.raw
  const bytes = Buffer.alloc(record.kind === 'block' ? 16 : 40)
  bytes.writeBigUInt64BE(BigInt(record.number), 0)
  if (record.kind === 'block') bytes.writeBigUInt64BE(BigInt(record.timestamp), 8)
  else bytes.set(record.hash, 8)
  return bytes
}

/**
 * Reads the records of a journal.
 *
 * @param bytes - The whole file.
 * @returns The records in order, and how many bytes of the file they take; the rest is a torn tail.
 * @throws NodeError `DEVNET_JOURNAL_CORRUPT` if a bad record has good ones behind it.
 * @example
 * const { records, validBytes } = decodeJournal(readFileSync(path))
 */
export function decodeJournal(bytes: Uint8Array): {
  records: JournalRecord[]
  validBytes: number
} {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const records: JournalRecord[] = []
  let at = 0
  for (;;) {
    const found = recordAt(view, at)
    if (found === undefined) break
    records.push(found.record)
    at = found.end
  }
  refuseDamage(view, at)
  return { records, validBytes: at }
}

function recordAt(view: Buffer, at: number): { record: JournalRecord; end: number } | undefined {
  if (at + HEADER_BYTES > view.byteLength) return undefined
  const length = view.readUInt32BE(at)
  const end = at + HEADER_BYTES + length
  if (length > PAYLOAD_BYTES_MAX || end > view.byteLength) return undefined
  if (crc32c(view.subarray(at + 8, end)) !== view.readUInt32BE(at + 4)) return undefined

  const type = view.readUInt8(at + 8)
  const payload = view.subarray(at + HEADER_BYTES, end)
  if (type === TYPE_TRANSACTION) {
    return { record: { kind: 'transaction', raw: new Uint8Array(payload) }, end }
  }
  if (type === TYPE_BLOCK && length === 16) {
    const number = Number(payload.readBigUInt64BE(0))
    return { record: { kind: 'block', number, timestamp: Number(payload.readBigUInt64BE(8)) }, end }
  }
  if (type === TYPE_MINED && length === 40) {
    const number = Number(payload.readBigUInt64BE(0))
    return { record: { kind: 'mined', number, hash: new Uint8Array(payload.subarray(8)) }, end }
  }
  return undefined
}

/**
 * A record is written with one call, so what a kill tears is the last one alone: its header may say more bytes than
 * there are, or its bytes may be wrong, but no good record stands where the next would.
 */
function refuseDamage(view: Buffer, tail: number): void {
  if (tail + HEADER_BYTES > view.byteLength) return
  const length = view.readUInt32BE(tail)
  const next = tail + HEADER_BYTES + length
  if (length <= PAYLOAD_BYTES_MAX && recordAt(view, next) === undefined) return
  throw new NodeError('DEVNET_JOURNAL_CORRUPT', `a bad record at byte ${tail} of a journal`, {
    details: { at: tail, length },
  })
}

/** A journal that is being written. Calls must not overlap; the supervisor's queue sees to that. */
export class Journal {
  readonly #file: number
  #sizeBytes: number

  private constructor(file: number, sizeBytes: number) {
    this.#file = file
    this.#sizeBytes = sizeBytes
  }

  /**
   * Opens a journal at its end, cutting a torn tail, or makes an empty one, durable with its name.
   *
   * @param path - The file.
   * @returns The journal, and the records that it holds already.
   * @throws NodeError `DEVNET_JOURNAL_CORRUPT`.
   */
  static open(path: string): { journal: Journal; records: JournalRecord[] } {
    const file = openSync(path, 'a+', 0o600)
    const bytes = fstatSync(file).size === 0 ? new Uint8Array() : readFileSync(path)
    const { records, validBytes } = decodeJournal(bytes)
    if (validBytes < bytes.byteLength) ftruncateSync(file, validBytes)
    fsyncSync(file)
    syncDirectory(dirname(path))
    return { journal: new Journal(file, validBytes), records }
  }

  /** Adds a record without making it durable. */
  append(record: JournalRecord): void {
    const bytes = encodeRecord(record)
    try {
      const written = writeSync(this.#file, bytes)
      if (written < bytes.byteLength) throw new NodeError('DEVNET_JOURNAL_FULL', 'a short write')
    } catch (caught) {
      // A part of a record must not stay: later ones would stand behind damage.
      ftruncateSync(this.#file, this.#sizeBytes)
      throw caught
    }
    this.#sizeBytes += bytes.byteLength
  }

  /** Adds a record and waits until it is durable. */
  async appendDurably(record: JournalRecord): Promise<void> {
    this.append(record)
    await dataSync(this.#file)
  }

  close(): void {
    fsyncSync(this.#file)
    closeSync(this.#file)
  }
}

/** Makes the names in a directory durable. */
export function syncDirectory(path: string): void {
  const directory = openSync(path, 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}
