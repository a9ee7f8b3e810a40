/**
 * The local journal: an append-only row of segment files that holds every operation and all data not yet dispersed.
 *
 * Extents point into it, so data is written once. A record reaches the page cache at once; `sync` makes all before it
 * durable, one flush for all who wait. A segment names the end of the one before, so that after a power loss, which may
 * keep a later file and tear an earlier one, recovery stops at the first gap: what is left is always a prefix.
 *
 * Segment: 96-byte header, then records of `crc32c u32 | length u32 | bytes`, the checksum begun with the header's own,
 * so that no record of another file is ever taken for one of this.
 */
import { crc32c } from '@node-rs/crc32'
import { assert, required } from '../../base/assert.ts'
import { bytesEqual } from '../../base/bytes.ts'
import type { Disk, DiskFile } from '../../base/disk.ts'
import { describeError, NodeError } from '../../base/errors.ts'
import type { Log } from '../../base/ports.ts'
import { HASH_BYTES, JOURNAL_ID_BYTES } from './commit-format.ts'
import { RECORD_BYTES_MAX, SEGMENT_BYTES, SEGMENT_SPAN } from './constants.ts'

/** Where the journal lives, under the disk's root. */
export const JOURNAL_DIRECTORY = 'journal'

const MAGIC = Buffer.from('VARVEJ01')
const HEADER_BYTES = 96
/** Bytes before each record: its checksum and its length. */
export const RECORD_HEADER_BYTES = 8

/** Which history a journal continues. */
export interface JournalBase {
  readonly id: Uint8Array
  /** The writer's epoch when the segment was made. */
  readonly epoch: number
  /** The commit that the journal's first record follows. */
  readonly sequence: number
  readonly hash: Uint8Array
}

/** What opening found. */
export interface JournalReport {
  /** Bytes cut off the end: a torn tail, never acknowledged. */
  readonly cutBytes: number
  /** True if what was cut holds whole records or later segments: then it is kept aside. */
  readonly isSuspicious: boolean
}

interface Segment {
  readonly number: number
  readonly file: DiskFile
  readonly seed: number
  sizeBytes: number
}

interface SegmentHeader {
  readonly number: number
  readonly previousEnd: number
  readonly base: JournalBase
  readonly seed: number
}

/** Append-only local log of operations. Positions are `segment * SEGMENT_SPAN + offset`, ascending for ever. */
export class Journal {
  readonly #disk: Disk
  readonly #log: Log
  readonly #segmentBytes: number
  readonly #segments = new Map<number, Segment>()
  readonly #unsynced = new Set<Segment>()
  readonly #head = Buffer.allocUnsafeSlow(RECORD_HEADER_BYTES)
  #base: JournalBase | undefined
  #last: Segment | undefined
  #end = 0
  #durableEnd = 0
  #writtenBytes = 0
  #diskBytes = 0
  #isDirectoryDirty = false
  #flushing: Promise<void> | undefined
  #queued: Promise<void> | undefined
  #syncing: Segment | undefined
  #failure: unknown

  private constructor(disk: Disk, log: Log, segmentBytes: number) {
    this.#disk = disk
    this.#log = log
    this.#segmentBytes = segmentBytes
  }

  /**
   * Opens what is there and cuts a torn end.
   *
   * @param disk - The volume's local directory.
   * @param aside - Called with the names of segments before something suspicious is cut from them.
   * @throws NodeError `DISK_*`.
   */
  static open(
    disk: Disk,
    log: Log,
    aside: (paths: readonly string[]) => void,
    segmentBytes = SEGMENT_BYTES,
  ): { journal: Journal; report: JournalReport } {
    disk.makeDirectory(JOURNAL_DIRECTORY)
    const journal = new Journal(disk, log, segmentBytes)
    const report = journal.#recover(aside)
    return { journal, report }
  }

  /** Which history it continues; undefined while it has no segment. */
  get base(): JournalBase | undefined {
    return this.#base
  }

  /** Position behind the last record. */
  get end(): number {
    return this.#end
  }

  /** Record bytes appended in all, for measuring how much lies behind a point. */
  get writtenBytes(): number {
    return this.#writtenBytes
  }

  /** Bytes of all segments on disk. */
  get diskBytes(): number {
    return this.#diskBytes
  }

  /** Whether all that was appended is durable. */
  get isDurable(): boolean {
    return this.#durableEnd === this.#end && !this.#failure
  }

  /** Begins a journal that continues the given history, or says that the one there is continued by a newer epoch. */
  begin(base: JournalBase, firstPosition: number): void {
    assert(
      this.#base === undefined || bytesEqual(base.id, this.#base.id),
      'a journal continues one history',
    )
    this.#base = base
    this.#roll(Math.max(this.#nextNumber(), Math.floor(firstPosition / SEGMENT_SPAN) + 1))
  }

  /**
   * Appends a record.
   *
   * @param payload - The encoded operation; copied.
   * @param data - Bytes that follow it; copied.
   * @returns Position of the record's first payload byte.
   * @throws NodeError `DISK_FULL`, `DISK_IO`, `JOURNAL_FAILED`.
   */
  append(payload: Uint8Array, data: Uint8Array | undefined): number {
    this.#checkHealthy()
    let segment = required(this.#last, 'a journal is begun before it is written')
    const length = payload.byteLength + (data?.byteLength ?? 0)
    assert(length > 0 && length <= RECORD_BYTES_MAX, 'a record has a bounded size')
    if (segment.sizeBytes >= this.#segmentBytes) segment = this.#roll(segment.number + 1)

    let crc = crc32c(asBuffer(payload), segment.seed)
    if (data && data.byteLength > 0) crc = crc32c(asBuffer(data), crc)
    this.#head.writeUInt32LE(crc, 0)
    this.#head.writeUInt32LE(length, 4)
    const at = segment.sizeBytes
    this.#write(segment, data ? [this.#head, payload, data] : [this.#head, payload], at)

    const total = RECORD_HEADER_BYTES + length
    segment.sizeBytes = at + total
    this.#diskBytes += total
    this.#writtenBytes += total
    this.#unsynced.add(segment)
    this.#end = segment.number * SEGMENT_SPAN + segment.sizeBytes
    return segment.number * SEGMENT_SPAN + at + RECORD_HEADER_BYTES
  }

  /** Reads bytes of a record. @throws NodeError `DISK_IO`. */
  read(position: number, into: Uint8Array): void {
    const number = Math.floor(position / SEGMENT_SPAN)
    const segment = required(this.#segments.get(number), 'an extent points into a live segment')
    const got = segment.file.read(into, position - number * SEGMENT_SPAN)
    if (got !== into.byteLength) {
      throw new NodeError('DISK_IO', `journal segment ${number} is shorter than its records`)
    }
  }

  /**
   * Makes everything appended so far durable.
   *
   * @returns Resolves then; all who call during one flush share the next.
   * @throws NodeError `JOURNAL_FAILED`, for good: after a failed flush the kernel may have dropped the pages.
   */
  sync(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failed())
    if (this.isDurable) return Promise.resolve()
    if (!this.#flushing) {
      this.#flushing = this.#flush().finally(() => {
        this.#flushing = undefined
      })
      return this.#flushing
    }
    this.#queued ??= this.#flushing
      .catch(() => undefined)
      .then(() => {
        this.#queued = undefined
        return this.sync()
      })
    return this.#queued
  }

  /**
   * Calls `visit` for each record from a position on, in order.
   *
   * @param from - A position between two records.
   */
  replay(from: number, visit: (payload: Uint8Array, position: number) => void): void {
    for (const segment of this.#segments.values()) {
      const first = segment.number * SEGMENT_SPAN
      if (first + segment.sizeBytes <= from) continue
      const start = Math.max(from - first, HEADER_BYTES)
      scan(segment, start, segment.sizeBytes, (payload, offset) => visit(payload, first + offset))
    }
  }

  /** Whether there is a record at or behind a position. */
  hasRecordsFrom(position: number): boolean {
    return [...this.#segments.values()].some((segment) => {
      const first = segment.number * SEGMENT_SPAN
      return segment.sizeBytes > HEADER_BYTES && first + segment.sizeBytes > position
    })
  }

  /** Removes segments that end at or before a position; the one being written stays. */
  drop(position: number): void {
    for (const segment of [...this.#segments.values()]) {
      if (segment === this.#last || segment.number * SEGMENT_SPAN + segment.sizeBytes > position) {
        continue
      }
      this.#forget(segment)
      this.#disk.remove(pathOf(segment.number))
    }
  }

  /** Paths of all segments, oldest first. */
  paths(): string[] {
    return [...this.#segments.keys()].map(pathOf)
  }

  /** Closes all files; the journal is not used afterwards. */
  close(): void {
    for (const segment of [...this.#segments.values()]) this.#forget(segment)
    this.#last = undefined
  }

  #write(segment: Segment, parts: readonly Uint8Array[], at: number): void {
    try {
      segment.file.write(parts, at)
    } catch (caught) {
      try {
        segment.file.truncate(at)
      } catch (again) {
        // A part of a record may be there now, and nothing may follow it.
        this.#failure = again
      }
      throw caught
    }
  }

  async #flush(): Promise<void> {
    const target = this.#end
    const segments = [...this.#unsynced]
    this.#unsynced.clear()
    const isDirectoryDirty = this.#isDirectoryDirty
    this.#isDirectoryDirty = false
    try {
      for (const segment of segments) {
        if (this.#segments.get(segment.number) === segment) await this.#syncSegment(segment)
      }
      if (isDirectoryDirty) await this.#disk.syncDirectory(JOURNAL_DIRECTORY)
    } catch (caught) {
      this.#failure ??= caught
      this.#log.error({ error: describeError(caught) }, 'journal cannot be made durable')
      throw this.#failed()
    }
    this.#durableEnd = Math.max(this.#durableEnd, target)
  }

  async #syncSegment(segment: Segment): Promise<void> {
    this.#syncing = segment
    try {
      await segment.file.sync()
    } finally {
      this.#syncing = undefined
      // Dropped while it was being flushed: closed only now, because the flush needed the descriptor.
      if (this.#segments.get(segment.number) !== segment) segment.file.close()
    }
  }

  #checkHealthy(): void {
    if (this.#failure) throw this.#failed()
  }

  #failed(): NodeError<'JOURNAL_FAILED'> {
    return new NodeError('JOURNAL_FAILED', 'the journal cannot be written', {
      cause: this.#failure,
    })
  }

  #nextNumber(): number {
    return (this.#last?.number ?? 0) + 1
  }

  #roll(number: number): Segment {
    const base = required(this.#base, 'a journal is begun before it is written')
    const header = encodeSegmentHeader({ number, previousEnd: this.#end, base, seed: 0 })
    const path = pathOf(number)
    const file = this.#disk.open(path, 'new')
    try {
      file.write([header], 0)
    } catch (caught) {
      file.close()
      this.#disk.remove(path)
      throw caught
    }
    const segment = {
      number,
      file,
      seed: header.readUInt32LE(HEADER_BYTES - 4),
      sizeBytes: HEADER_BYTES,
    }
    this.#adopt(segment)
    this.#unsynced.add(segment)
    this.#isDirectoryDirty = true
    this.#end = number * SEGMENT_SPAN + HEADER_BYTES
    return segment
  }

  #adopt(segment: Segment): void {
    this.#segments.set(segment.number, segment)
    this.#last = segment
    this.#diskBytes += segment.sizeBytes
  }

  #forget(segment: Segment): void {
    this.#segments.delete(segment.number)
    this.#unsynced.delete(segment)
    this.#diskBytes -= segment.sizeBytes
    if (segment !== this.#syncing) segment.file.close()
  }

  #recover(aside: (paths: readonly string[]) => void): JournalReport {
    const numbers = this.#disk
      .list(JOURNAL_DIRECTORY)
      .map(numberOf)
      .filter((n) => n !== undefined)
    let cutBytes = 0
    let isSuspicious = false
    for (const [index, number] of numbers.entries()) {
      const file = this.#disk.open(pathOf(number), 'write')
      const header = readHeader(file)
      const isFirst = this.#last === undefined
      const follows =
        header?.number === number &&
        (isFirst || (header.previousEnd === this.#end && this.#isSameJournal(header.base)))
      if (!header || !follows) {
        // A gap: nothing behind it was ever acknowledged, unless the disk lost what it had promised to keep.
        const rest = numbers.slice(index).map(pathOf)
        const isTornHeader = index === numbers.length - 1 && file.sizeBytes <= HEADER_BYTES
        cutBytes += file.sizeBytes
        file.close()
        if (!isTornHeader) {
          isSuspicious = true
          aside(rest)
        }
        for (const path of rest) this.#disk.remove(path)
        break
      }
      this.#base = header.base
      const segment = { number, file, seed: header.seed, sizeBytes: file.sizeBytes }
      const end = scan(segment, HEADER_BYTES, file.sizeBytes, () => undefined)
      if (end < file.sizeBytes) {
        const isLast = index === numbers.length - 1
        if (!isLast || hasRecordBehind(segment, end)) {
          isSuspicious = true
          aside([pathOf(number)])
        }
        cutBytes += file.sizeBytes - end
        file.truncate(end)
        segment.sizeBytes = end
      }
      this.#adopt(segment)
      this.#unsynced.add(segment)
      this.#writtenBytes += end - HEADER_BYTES
      this.#end = number * SEGMENT_SPAN + end
    }
    this.#isDirectoryDirty = true
    return { cutBytes, isSuspicious }
  }

  #isSameJournal(base: JournalBase): boolean {
    return this.#base !== undefined && bytesEqual(base.id, this.#base.id)
  }
}

/**
 * Walks the records of a segment.
 *
 * @returns Offset behind the last record that is whole and has its checksum.
 */
function scan(
  segment: { readonly file: DiskFile; readonly seed: number },
  from: number,
  until: number,
  visit: (payload: Uint8Array, offset: number) => void,
): number {
  // Read in pieces that hold at least one record of any size; records are handed out as views of the piece.
  const PIECE_BYTES = 2 * RECORD_BYTES_MAX
  let piece: Buffer = Buffer.alloc(0)
  let pieceAt = from
  let at = from
  for (;;) {
    const have = pieceAt + piece.byteLength - at
    const need = RECORD_HEADER_BYTES + (have >= 8 ? piece.readUInt32LE(at - pieceAt + 4) : 0)
    if (need > RECORD_HEADER_BYTES + RECORD_BYTES_MAX) return at
    if (have < 8 || have < need) {
      const wanted = Math.min(PIECE_BYTES, until - at)
      if (wanted < need || wanted <= RECORD_HEADER_BYTES || wanted <= have) return at
      piece = Buffer.allocUnsafe(wanted)
      pieceAt = at
      if (segment.file.read(piece, at) !== wanted) return at
      continue
    }
    if (need === RECORD_HEADER_BYTES) return at
    const payload = piece.subarray(at - pieceAt + RECORD_HEADER_BYTES, at - pieceAt + need)
    if (crc32c(payload, segment.seed) !== piece.readUInt32LE(at - pieceAt)) return at
    visit(payload, at + RECORD_HEADER_BYTES)
    at += need
  }
}

/** Whether a whole record follows the one at `offset`, were its length to be believed: then it was not torn but changed. */
function hasRecordBehind(segment: Segment, offset: number): boolean {
  const head = Buffer.alloc(RECORD_HEADER_BYTES)
  if (segment.file.read(head, offset) !== RECORD_HEADER_BYTES) return false
  const length = head.readUInt32LE(4)
  if (length === 0 || length > RECORD_BYTES_MAX) return false
  const next = offset + RECORD_HEADER_BYTES + length
  let isFound = false
  scan(segment, next, segment.file.sizeBytes, () => {
    isFound = true
  })
  return isFound
}

function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES)
  MAGIC.copy(bytes, 0)
  bytes.writeDoubleLE(header.number, 8)
  bytes.writeDoubleLE(header.previousEnd, 16)
  bytes.writeDoubleLE(header.base.epoch, 24)
  bytes.writeDoubleLE(header.base.sequence, 32)
  bytes.set(header.base.id, 40)
  bytes.set(header.base.hash, 40 + JOURNAL_ID_BYTES)
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, HEADER_BYTES - 4)), HEADER_BYTES - 4)
  return bytes
}

function readHeader(file: DiskFile): SegmentHeader | undefined {
  const bytes = Buffer.alloc(HEADER_BYTES)
  if (file.read(bytes, 0) !== HEADER_BYTES) return undefined
  const seed = bytes.readUInt32LE(HEADER_BYTES - 4)
  if (!bytes.subarray(0, 8).equals(MAGIC)) return undefined
  if (crc32c(bytes.subarray(0, HEADER_BYTES - 4)) !== seed) return undefined
  const hashAt = 40 + JOURNAL_ID_BYTES
  return {
    number: bytes.readDoubleLE(8),
    previousEnd: bytes.readDoubleLE(16),
    base: {
      epoch: bytes.readDoubleLE(24),
      sequence: bytes.readDoubleLE(32),
      id: Uint8Array.from(bytes.subarray(40, hashAt)),
      hash: Uint8Array.from(bytes.subarray(hashAt, hashAt + HASH_BYTES)),
    },
    seed,
  }
}

const NUMBER_DIGITS = 12
const SUFFIX = '.seg'

function pathOf(number: number): string {
  return `${JOURNAL_DIRECTORY}/${number.toString(16).padStart(NUMBER_DIGITS, '0')}${SUFFIX}`
}

function numberOf(name: string): number | undefined {
  const match = /^([0-9a-f]{12})\.seg$/.exec(name)
  return match?.[1] === undefined ? undefined : Number.parseInt(match[1], 16)
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
