/**
 * The log of one namespace: where records are appended, found and read.
 *
 * Records of one burst gather in an arena and go to the disk in one write at its end; the index already points to them, and
 * reads of them are served from the arena. If that write fails, the burst is taken back out of the index, newest first, so
 * memory never says more than the disk. Acknowledgement is a position (count of records): whoever appended waits
 * until the log is written, or under `sync: always` durable, up to it. One sync serves all who wait.
 */
import { assert } from '../../base/assert.ts'
import { describeError, isNodeError, NodeError } from '../../base/errors.ts'
import { type BlockCache, CACHED_VALUE_BYTES_MAX } from './block-cache.ts'
import { deadBytesOf } from './compaction.ts'
import { ARENA_BYTES, ARENA_VALUE_BYTES_MAX, BLOCK_BYTES } from './constants.ts'
import { crc32c } from './crc32c.ts'
import { HintWriter, hintPath } from './hint-file.ts'
import type { LogPorts, SyncMode } from './ports.ts'
import {
  ALIGN_BYTES,
  blockTable,
  HEADER_BYTES,
  KIND_DELETE,
  KIND_SET,
  LAG_UNKNOWN,
  type RecordHeader,
  type RecordStamp,
  readRecordStart,
  recordBytesOf,
  tableBytesOf,
  valueIsIntact,
  valueStartOf,
  writeRecordStart,
} from './record.ts'
import type { Entry, RecordIndex } from './record-index.ts'
import { recoverLog } from './recovery.ts'
import { createSegment, SEGMENT_HEADER_BYTES, type Segment } from './segment.ts'

/** Someone who may not go on before the log has reached a position. */
export interface Waiter {
  /** Count of records that must be written or durable. */
  position: number
  /** Called once: reached, or why it never will be. */
  settled(failure: NodeError | undefined): void
}

/** What a log is made with. */
export interface NamespaceLogOptions {
  readonly ports: LogPorts
  readonly directory: string
  readonly index: RecordIndex
  readonly cache: BlockCache
  readonly segmentBytes: number
  readonly keepsDeleted: boolean
  readonly readOnly: boolean
  sync: SyncMode
  /** Called when the first record of a burst is appended. */
  readonly onAppend: () => void
}

/** Where a record is. */
export interface LogPlace {
  readonly segment: number
  readonly offset: number
}

/** A record with all it holds. */
export interface StoredRecord {
  readonly header: RecordHeader
  readonly key: Buffer
  readonly value: Buffer
}

/** Counters of a log. */
export interface LogCounts {
  readonly segments: number
  readonly dataBytes: number
  readonly liveBytes: number
  readonly damagedBytes: number
  readonly cutBytes: number
  readonly lastTimeSeconds: number
}

const PADDING = new Uint8Array(ALIGN_BYTES)

/** An append-only log with its index. Keys and values are handed in as parts of buffers and copied or written at once. */
export class NamespaceLog {
  readonly index: RecordIndex
  sync: SyncMode
  /** Why writes are refused, if they are. */
  failure: NodeError | undefined
  /** First sequential key not yet handed out. */
  nextSeq: number

  readonly #options: NamespaceLogOptions
  readonly #segments: Segment[]
  readonly #byNumber = new Map<number, Segment>()
  #active: Segment | undefined
  /** Bytes of the active segment that are in its file. */
  #writtenBytes = 0
  /** Bytes of all segments, arena included. */
  #dataBytes = 0
  #arena: Buffer | undefined
  #arenaWords: Uint32Array = new Uint32Array(0)
  #arenaUsed = 0

  /** Counts of records: appended, in files, durable. */
  #appended: number
  #written: number
  #durable: number
  #valueBytes: number
  /** Where the durable part ends. */
  #durableSegment = 0
  #durableOffset = 0
  #unsynced = new Set<Segment>()
  /** True at first: recovery may have renamed or removed files, which must not come back after what is served then. */
  #directoryIsDirty = true
  /** Of the active segment. */
  #hint: HintWriter | undefined
  /** Segments that are full and whose hints await their sync. */
  #sealed: { segment: Segment; hint: HintWriter; endSerial: number }[] = []
  #syncing: Promise<void> | undefined
  #waiters: Waiter[] = []
  readonly #stamp: RecordStamp
  /** Segments in which something was replaced or deleted since this was last reset. */
  readonly dirtySegments = new Set<number>()
  readonly #damagedBytes: number
  readonly #cutBytes: number
  #lastTimeSeconds: number

  constructor(options: NamespaceLogOptions) {
    this.#options = options
    this.index = options.index
    this.sync = options.sync
    const { disk, log } = options.ports
    const recovered = recoverLog({ ...options, disk, log })
    this.#segments = recovered.segments
    for (const segment of this.#segments) {
      segment.cacheFile = options.cache.nextFile()
      this.#byNumber.set(segment.number, segment)
      this.#dataBytes += segment.file.sizeBytes
      // What was found may still be only in the page cache of a machine that lives on.
      if (!options.readOnly) this.#unsynced.add(segment)
    }
    const last = this.#segments.at(-1)
    if (last && last.generation === 0 && last.file.sizeBytes < options.segmentBytes) {
      this.#active = last
      this.#writtenBytes = last.file.sizeBytes
      this.#padActive()
      this.#hint = recovered.hints.get(last.number)
    }
    for (const [number, hint] of recovered.hints) {
      const segment = this.#byNumber.get(number)
      if (!segment || segment === this.#active) continue
      const next = this.#segments[this.#segments.indexOf(segment) + 1]
      const endSerial = next?.firstSerial ?? recovered.nextSerial
      this.#sealed.push({ segment, hint, endSerial })
    }
    this.nextSeq = recovered.nextSeq
    this.#appended = recovered.nextSerial
    this.#written = this.#appended
    this.#durable = 0
    this.#damagedBytes = recovered.damagedBytes
    this.#valueBytes = recovered.valueBytes
    this.#cutBytes = recovered.cutBytes
    this.#lastTimeSeconds = recovered.lastTimeSeconds
    this.#stamp = {
      kind: KIND_SET,
      timeSeconds: 0,
      serial: 0,
      lag: 0,
      previousSegment: 0,
      previousOffset: 0,
    }
  }

  /** Count of records ever appended. */
  get appended(): number {
    return this.#appended
  }

  /** Records before this serial may be gone by compaction. */
  get compactedSerial(): number {
    return this.#segments.reduce((max, segment) => Math.max(max, segment.endSerial), 0)
  }

  /** Share of all bytes that nothing points to. */
  get deadShare(): number {
    const dead = this.#segments.reduce((sum, segment) => sum + deadBytesOf(segment), 0)
    return this.#dataBytes === 0 ? 0 : dead / this.#dataBytes
  }

  /** Count of records that are in files. */
  get written(): number {
    return this.#written
  }

  /** Count of records that survive a power loss. */
  get durable(): number {
    return this.#durable
  }

  /** Count of records that may be acknowledged. */
  get acknowledged(): number {
    return this.sync === 'always' ? this.#durable : this.#written
  }

  /** Bytes of all live values. */
  get valueBytes(): number {
    return this.#valueBytes
  }

  /** Bytes of all segments. */
  get dataBytes(): number {
    return this.#dataBytes
  }

  /** The segments, oldest first. */
  get segments(): readonly Segment[] {
    return this.#segments
  }

  /** The most bytes a segment may have. */
  get segmentBytes(): number {
    return this.#options.segmentBytes
  }

  get keepsDeleted(): boolean {
    return this.#options.keepsDeleted
  }

  get directory(): string {
    return this.#options.directory
  }

  get ports(): LogPorts {
    return this.#options.ports
  }

  /** A number for a new file in the block cache. */
  nextCacheFile(): number {
    return this.#options.cache.nextFile()
  }

  get segmentCount(): number {
    return this.#segments.length
  }

  get counts(): LogCounts {
    return {
      segments: this.#segments.length,
      dataBytes: this.#dataBytes,
      liveBytes: this.#segments.reduce((sum, segment) => sum + segment.liveBytes, 0),
      damagedBytes: this.#damagedBytes,
      cutBytes: this.#cutBytes,
      lastTimeSeconds: this.#lastTimeSeconds,
    }
  }

  /** True while something appended is not yet in a file. */
  get isPending(): boolean {
    return this.#arenaUsed > 0
  }

  /** True while something written is not yet durable. */
  get isDirty(): boolean {
    return this.#written > this.#durable && !this.failure
  }

  /** Appends a value for a key; `entry` is what the index finds for the key. Room for it has been checked. */
  set(
    entry: Entry,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Buffer,
    valueStart: number,
    valueEnd: number,
    timeSeconds: number,
  ): void {
    const bytes = recordBytesOf(keyEnd - keyStart, valueEnd - valueStart)
    const at = this.#reserve(bytes, valueEnd - valueStart)
    const stamp = this.#stampFor(KIND_SET, entry, timeSeconds)
    const crc = this.#put(at, stamp, key, keyStart, keyEnd, value, valueStart, valueEnd, bytes)
    const target = entry >= 0 ? entry : this.index.add(key, keyStart, keyEnd)
    if (entry >= 0) this.#releaseLive(entry)
    const active = this.#active as Segment
    active.liveBytes += bytes
    this.#valueBytes += valueEnd - valueStart
    this.index.place(target, active.number, at, valueEnd - valueStart, crc, false)
  }

  /** Appends the deletion of a key that has a value. */
  delete(entry: Entry, key: Uint8Array, timeSeconds: number): void {
    const bytes = recordBytesOf(key.byteLength, 0)
    const at = this.#reserve(bytes, 0)
    const stamp = this.#stampFor(KIND_DELETE, entry, timeSeconds)
    this.#put(at, stamp, key, 0, key.byteLength, EMPTY, 0, 0, bytes)
    this.#releaseLive(entry)
    if (this.#options.keepsDeleted) {
      this.index.place(entry, (this.#active as Segment).number, at, 0, 0, true)
    } else {
      this.index.remove(entry)
    }
  }

  /**
   * Reads and verifies a whole value.
   *
   * @param into - Where it goes, from `at`; at least {@link readSlackBytes} must be free before `at`.
   * @throws NodeError `LOG_RECORD_CORRUPT`, `DISK_IO`.
   */
  read(entry: Entry, into: Buffer, at: number): void {
    const valueBytes = this.index.valueBytesOf(entry)
    const table = tableBytesOf(valueBytes)
    const start = this.index.offsetOf(entry) + HEADER_BYTES + this.index.keyBytesOf(entry)
    this.#readPart(entry, start, into, at - table, table + valueBytes)
    const isIntact =
      table === 0
        ? crc32c(into, at, at + valueBytes) === this.index.valueCrcOf(entry)
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
    const valueBytes = this.index.valueBytesOf(entry)
    const tableBytes = tableBytesOf(valueBytes)
    if (tableBytes === 0) {
      const whole = Buffer.allocUnsafe(valueBytes)
      this.read(entry, whole, 0)
      return whole.subarray(from, from + lengthBytes)
    }
    const start = this.index.offsetOf(entry) + HEADER_BYTES + this.index.keyBytesOf(entry)
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

  /** Free bytes that {@link NamespaceLog.read} needs before the value. */
  readSlackBytes(entry: Entry): number {
    return tableBytesOf(this.index.valueBytesOf(entry))
  }

  /** Time of the newest record of a key, in seconds. @throws NodeError `LOG_RECORD_CORRUPT`. */
  timeOf(entry: Entry): number {
    return this.headerAt(this.index.segmentOf(entry), this.index.offsetOf(entry)).timeSeconds
  }

  /** Reads and checks the header of a record. @throws NodeError `LOG_RECORD_CORRUPT`, `DISK_IO`. */
  headerAt(segment: number, offset: number): RecordHeader {
    let bytes = Buffer.allocUnsafe(HEADER_BYTES + 256)
    for (;;) {
      const read = this.#readAt(segment, offset, bytes, 0, bytes.byteLength)
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
    const found = this.#byNumber.get(segment)
    if (!found || offset < SEGMENT_HEADER_BYTES || offset % ALIGN_BYTES !== 0) return undefined
    const isActive = found === this.#active
    const end = isActive ? this.#writtenBytes + this.#arenaUsed : found.file.sizeBytes
    if (offset >= end) return undefined
    return this.rawRecord(segment, offset)
  }

  /** Reads and verifies a record that is known to be there, with its bytes on disk. @throws NodeError `LOG_RECORD_CORRUPT`. */
  rawRecord(segment: number, offset: number): StoredRecord & { readonly bytes: Buffer } {
    const header = this.headerAt(segment, offset)
    const start = valueStartOf(header.keyBytes, header.valueBytes)
    const end = start + header.valueBytes
    const bytes = Buffer.alloc(recordBytesOf(header.keyBytes, header.valueBytes))
    const read = this.#readAt(segment, offset, bytes, 0, bytes.byteLength)
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

  /**
   * The part of a segment in which a record is.
   *
   * @param serial - Count of records before it, `< written`.
   * @param segment - Segment in which the one before it ends at `offset`, if that is known; else 0.
   * @returns Where to look for it; up to the end of what is written.
   */
  stretchFrom(
    serial: number,
    segment: number,
    offset: number,
  ): {
    segment: number
    name: string
    fromOffset: number
    toOffset: number
    endSerial: number
    isActive: boolean
  } {
    let at = this.#segments.length - 1
    while (at > 0 && (this.#segments[at] as Segment).firstSerial > serial) at--
    const found = this.#segments[at] as Segment
    const isActive = found === this.#active
    const toOffset = isActive ? this.#writtenBytes : found.file.sizeBytes
    const isKnown = found.number === segment && offset < toOffset
    return {
      segment: found.number,
      name: found.name,
      fromOffset: isKnown ? offset : SEGMENT_HEADER_BYTES,
      toOffset,
      endSerial: this.#segments[at + 1]?.firstSerial ?? this.#written,
      isActive,
    }
  }

  /** The header and key of a record that is known to be there. @throws NodeError `LOG_RECORD_CORRUPT`. */
  keyAt(segment: number, offset: number): { header: RecordHeader; key: Buffer } {
    const header = this.headerAt(segment, offset)
    const key = Buffer.allocUnsafe(header.keyBytes)
    this.#readAt(segment, offset + HEADER_BYTES, key, 0, key.byteLength)
    return { header, key }
  }

  /** Where the newest record of a key is. */
  placeOf(entry: Entry): LogPlace {
    return { segment: this.index.segmentOf(entry), offset: this.index.offsetOf(entry) }
  }

  /** True if the newest record of a key is not yet acknowledged to whoever wrote it. */
  isUnacknowledged(entry: Entry): boolean {
    if (this.sync !== 'always' || this.#durable === this.#appended) return false
    const segment = this.index.segmentOf(entry)
    if (segment !== this.#durableSegment) return segment > this.#durableSegment
    return this.index.offsetOf(entry) >= this.#durableOffset
  }

  /** Waits for a position; `settled` is never called inside this call. */
  wait(waiter: Waiter): void {
    this.#waiters.push(waiter)
  }

  /** Writes what is pending. On failure the burst is taken back and whoever waits for it is told. */
  flush(): void {
    if (this.#arenaUsed > 0) this.#writeOut([(this.#arena as Buffer).subarray(0, this.#arenaUsed)])
  }

  /** End of a burst: writes, then acknowledges or starts a sync. @returns False if the write failed. */
  settle(): boolean {
    try {
      this.flush()
    } catch (caught) {
      if (!isNodeError(caught)) throw caught
      return false
    } finally {
      this.#wake()
    }
    if (this.sync === 'always' && this.isDirty) void this.makeDurable()
    return true
  }

  /**
   * Makes everything written so far durable; concurrent callers share syncs.
   *
   * @returns Resolves when it is, or when the log has failed.
   */
  async makeDurable(): Promise<void> {
    if (this.#syncing) {
      await this.#syncing
      if (!this.isDirty) return
      return this.makeDurable()
    }
    if (this.#options.readOnly || this.failure) return
    this.#syncing = this.#syncOnce().then(() => {
      this.#syncing = undefined
      this.#wake()
      if (this.sync === 'always' && this.isDirty) void this.makeDurable()
    })
    await this.#syncing
  }

  /** Writes and syncs what is left, and closes the files. */
  async close(): Promise<void> {
    if (!this.#options.readOnly && !this.failure) {
      this.settle()
      while (this.isDirty) await this.makeDurable()
    }
    await this.#syncing
    this.#fail(new NodeError('LOG_WRITE_FAILED', 'the namespace is closed'))
    this.#hint?.abandon()
    for (const { hint } of this.#sealed) hint.abandon()
    for (const segment of this.#segments) segment.file.close()
  }

  /** Segments that are not written any more and durable, oldest first. */
  fullSegments(): Segment[] {
    return this.#segments.filter((one) => one !== this.#active && !this.#unsynced.has(one))
  }

  /**
   * Puts a segment in the place of those that it stands for, and removes their files.
   *
   * @param run - Neighbours; nothing in the index points into them any more but by the last one's number.
   * @param segment - What compaction made of them, valid on disk.
   * @returns Bytes given back to the disk.
   */
  replaceSegments(run: readonly Segment[], segment: Segment): number {
    const { ports, directory } = this.#options
    let freedBytes = -segment.file.sizeBytes
    for (const old of run) {
      freedBytes += old.file.sizeBytes
      this.#byNumber.delete(old.number)
      this.dirtySegments.delete(old.number)
      old.file.close()
      ports.disk.remove(hintPath(directory, old))
      ports.disk.remove(`${directory}/${old.name}`)
    }
    this.#sealed = this.#sealed.filter((one) => !run.includes(one.segment))
    this.#byNumber.set(segment.number, segment)
    this.#segments.splice(this.#segments.indexOf(run[0] as Segment), run.length, segment)
    this.#dataBytes -= freedBytes
    return freedBytes
  }

  /** Ends the active segment; the next record opens a new one. */
  rotate(): void {
    this.flush()
    if (this.#active && this.#hint) {
      this.#sealed.push({ segment: this.#active, hint: this.#hint, endSerial: this.#appended })
    }
    this.#active = undefined
    this.#hint = undefined
    // Also under `sync: never` what is full becomes durable, and gets its hint.
    void this.makeDurable()
  }

  async #syncOnce(): Promise<void> {
    const target = this.#written
    const segments = [...this.#unsynced]
    const directoryIsDirty = this.#directoryIsDirty
    const endSegment = this.#active?.number ?? this.#segments.at(-1)?.number ?? 0
    const endOffset = this.#writtenBytes
    this.#unsynced = new Set()
    this.#directoryIsDirty = false
    try {
      for (const segment of segments) await segment.file.sync()
      if (directoryIsDirty) await this.#options.ports.disk.syncDirectory(this.#options.directory)
      this.#durable = target
      this.#durableSegment = endSegment
      this.#durableOffset = endOffset
      await this.#finishHints()
    } catch (caught) {
      // After a failed sync the kernel may drop the pages and call the next sync a success: never try again.
      this.#fail(writeFailed(caught))
    }
  }

  /** Makes the hints of full segments valid; what fails here only costs time at the next start. */
  async #finishHints(): Promise<void> {
    const sealed = this.#sealed.filter((one) => !this.#unsynced.has(one.segment))
    this.#sealed = this.#sealed.filter((one) => this.#unsynced.has(one.segment))
    for (const { segment, hint, endSerial } of sealed) {
      const { nextSeq } = this
      const lastTimeSeconds = this.#lastTimeSeconds
      try {
        await hint.finish(segment.file.sizeBytes, { endSerial, nextSeq, lastTimeSeconds })
      } catch (caught) {
        if (!isNodeError(caught)) throw caught
        const cause = describeError(caught)
        this.#options.ports.log.warn({ segment: segment.name, cause }, 'hint not written')
      }
    }
  }

  #fail(failure: NodeError): void {
    this.failure ??= failure
    this.#settleWaiters(this.acknowledged, this.failure)
  }

  #wake(): void {
    if (this.#waiters.length > 0) this.#settleWaiters(Number.POSITIVE_INFINITY, undefined)
  }

  /** Settles who waits for what is acknowledged, and who waits for more than `failedFrom` with the failure. */
  #settleWaiters(failedFrom: number, failure: NodeError | undefined): void {
    const waiters = this.#waiters
    this.#waiters = []
    const acknowledged = this.acknowledged
    for (const waiter of waiters) {
      if (waiter.position <= acknowledged) waiter.settled(undefined)
      else if (waiter.position > failedFrom) waiter.settled(failure)
      else this.#waiters.push(waiter)
    }
  }

  /** Makes room for a record. @returns The offset in the active segment at which it will be. */
  #reserve(bytes: number, valueBytes: number): number {
    if (this.#options.readOnly) throw new NodeError('LOG_READ_ONLY', this.#options.directory)
    if (this.failure) throw this.failure
    const end = this.#writtenBytes + this.#arenaUsed
    const isFull = end + bytes > this.#options.segmentBytes && end > SEGMENT_HEADER_BYTES
    if (this.#active && isFull) this.rotate()
    if (!this.#active) this.#openSegment()
    const arenaBytes = valueBytes <= ARENA_VALUE_BYTES_MAX ? bytes : bytes - valueBytes
    if (this.#arenaUsed + arenaBytes > ARENA_BYTES) this.flush()
    if (!this.#arena) {
      this.#arena = Buffer.allocUnsafeSlow(ARENA_BYTES)
      this.#arenaWords = new Uint32Array(this.#arena.buffer)
    }
    if (this.#arenaUsed === 0) this.#options.onAppend()
    return this.#writtenBytes + this.#arenaUsed
  }

  #stampFor(kind: typeof KIND_SET | typeof KIND_DELETE, entry: Entry, time: number): RecordStamp {
    const stamp = this.#stamp
    stamp.kind = kind
    stamp.timeSeconds = time
    stamp.serial = this.#appended
    stamp.lag = Math.min(this.#appended - this.#durable, LAG_UNKNOWN)
    stamp.previousSegment = entry >= 0 ? this.index.segmentOf(entry) : 0
    stamp.previousOffset = entry >= 0 ? this.index.offsetOf(entry) : 0
    this.#lastTimeSeconds = time
    return stamp
  }

  /** Writes a record into the arena; a large value goes straight to the disk behind it. @returns The value's checksum. */
  #put(
    offset: number,
    stamp: RecordStamp,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Buffer,
    valueStart: number,
    valueEnd: number,
    bytes: number,
  ): number {
    const arena = this.#arena as Buffer
    const at = this.#arenaUsed
    assert(offset === this.#writtenBytes + at, 'a record goes where it was reserved')
    const valueBytes = valueEnd - valueStart
    const table = tableBytesOf(valueBytes) > 0 ? blockTable(value, valueStart, valueEnd) : undefined
    const crc = table ? crc32c(table, 0, table.byteLength) : crc32c(value, valueStart, valueEnd)
    const end = writeRecordStart(
      arena,
      this.#arenaWords,
      at,
      stamp,
      key,
      keyStart,
      keyEnd,
      valueBytes,
      crc,
      table,
    )
    this.#appended++
    this.#dataBytes += bytes
    this.#hint?.add(stamp.kind, offset, valueBytes, crc, key, keyStart, keyEnd)
    if (valueBytes <= ARENA_VALUE_BYTES_MAX) {
      value.copy(arena, end, valueStart, valueEnd)
      for (let pad = end + valueBytes; pad < at + bytes; pad++) arena[pad] = 0
      this.#arenaUsed = at + bytes
      return crc
    }
    // The index does not know this record yet, so a failed write takes back only those before it.
    const padding = bytes - (end - at) - valueBytes
    this.#writeOut([
      arena.subarray(0, end),
      value.subarray(valueStart, valueEnd),
      PADDING.subarray(0, padding),
    ])
    return crc
  }

  #writeOut(parts: Uint8Array[]): void {
    const active = this.#active as Segment
    const from = this.#writtenBytes
    const used = this.#arenaUsed
    this.#arenaUsed = 0
    try {
      active.file.write(parts, from)
    } catch (caught) {
      this.#arenaUsed = used
      this.#takeBack(active, caught)
      throw writeFailed(caught)
    }
    this.#writtenBytes = active.file.sizeBytes
    this.#written = this.#appended
    this.#unsynced.add(active)
    this.#hint?.mark()
  }

  /** Undoes what the index took over since the last write, newest first, and cuts what the disk took of it. */
  #takeBack(active: Segment, cause: unknown): void {
    const arena = this.#arena as Buffer
    const starts: number[] = []
    for (let at = 0; at < this.#arenaUsed; ) {
      const header = readRecordStart(arena, at, this.#arenaUsed)
      assert(typeof header === 'object', 'the arena holds whole records')
      starts.push(at)
      at += recordBytesOf(header.keyBytes, header.valueBytes)
    }
    for (const at of starts.reverse()) this.#takeBackRecord(arena, at)
    this.#arenaUsed = 0
    this.#appended = this.#written
    this.#hint?.rewind()
    this.#options.ports.log.error(
      { directory: this.#options.directory, cause: describeError(cause) },
      'write failed and was taken back',
    )
    try {
      active.file.truncate(this.#writtenBytes)
    } catch (caught) {
      // Half a record may stay behind the end; writing on top of it could leave two truths.
      this.#fail(writeFailed(caught))
    }
    this.#dataBytes = this.#segments.reduce((sum, one) => sum + one.file.sizeBytes, 0)
    if (!isNodeError(cause, 'DISK_FULL')) this.#fail(writeFailed(cause))
    this.#settleWaiters(this.#written, writeFailed(cause))
  }

  #takeBackRecord(arena: Buffer, at: number): void {
    const header = readRecordStart(arena, at, this.#arenaUsed) as RecordHeader
    const keyEnd = at + HEADER_BYTES + header.keyBytes
    let entry = this.index.find(arena, at + HEADER_BYTES, keyEnd)
    if (entry >= 0) this.#releaseLive(entry)
    if (header.previousSegment === 0) {
      if (entry >= 0) this.index.remove(entry)
      return
    }
    const { previousSegment, previousOffset } = header
    const previous = this.headerAt(previousSegment, previousOffset)
    const wasDeleted = previous.kind === KIND_DELETE
    if (entry < 0) entry = this.index.add(arena, at + HEADER_BYTES, keyEnd)
    const { valueBytes, valueCrc } = previous
    this.index.place(entry, previousSegment, previousOffset, valueBytes, valueCrc, wasDeleted)
    const segment = this.#byNumber.get(previousSegment)
    if (wasDeleted) return
    this.#valueBytes += valueBytes
    if (segment) segment.liveBytes += recordBytesOf(previous.keyBytes, valueBytes)
  }

  #releaseLive(entry: Entry): void {
    if (this.index.isDeleted(entry)) return
    this.#valueBytes -= this.index.valueBytesOf(entry)
    const segment = this.#byNumber.get(this.index.segmentOf(entry))
    const bytes = recordBytesOf(this.index.keyBytesOf(entry), this.index.valueBytesOf(entry))
    if (!segment) return
    segment.liveBytes -= bytes
    this.dirtySegments.add(segment.number)
  }

  #openSegment(): void {
    const number = (this.#segments.at(-1)?.number ?? 0) + 1
    const { ports, directory } = this.#options
    const segment = createSegment(ports.disk, directory, {
      number,
      firstNumber: number,
      generation: 0,
      createdMs: ports.clock.now(),
      firstSerial: this.#appended,
      endSerial: 0,
      nextSeq: this.nextSeq,
    })
    segment.cacheFile = this.#options.cache.nextFile()
    this.#segments.push(segment)
    this.#byNumber.set(number, segment)
    this.#active = segment
    this.#hint = new HintWriter(ports.disk, directory, segment)
    this.#writtenBytes = segment.file.sizeBytes
    this.#dataBytes += segment.file.sizeBytes
    this.#directoryIsDirty = true
    this.#unsynced.add(segment)
  }

  /** Brings the end of the file to a multiple of 8, where a crash tore off padding only. */
  #padActive(): void {
    const rest = this.#writtenBytes % ALIGN_BYTES
    if (rest === 0 || this.#options.readOnly) return
    const active = this.#active as Segment
    active.file.write([PADDING.subarray(0, ALIGN_BYTES - rest)], this.#writtenBytes)
    this.#writtenBytes = active.file.sizeBytes
  }

  #readPart(entry: Entry, offset: number, into: Buffer, at: number, bytes: number): void {
    if (this.#readAt(this.index.segmentOf(entry), offset, into, at, bytes) < bytes) {
      throw this.#corrupt(entry)
    }
  }

  /** Reads from a segment, or from the arena what is not yet in it. @returns Bytes read. */
  #readAt(segment: number, offset: number, into: Buffer, at: number, bytes: number): number {
    const active = this.#active
    if (active && segment === active.number && offset >= this.#writtenBytes) {
      const from = offset - this.#writtenBytes
      const arena = this.#arena as Buffer
      return arena.copy(into, at, from, Math.min(from + bytes, this.#arenaUsed))
    }
    const found = active && segment === active.number ? active : this.#byNumber.get(segment)
    assert(found, 'the index points into segments that exist')
    if (bytes <= CACHED_VALUE_BYTES_MAX) {
      const { cache } = this.#options
      const { cacheFile, file } = found
      if (cache.copy(cacheFile, file, file.sizeBytes, offset, into, at, bytes)) return bytes
    }
    return found.file.read(into.subarray(at, at + bytes), offset)
  }

  #tableIsIntact(entry: Entry, bytes: Buffer, at: number, tableBytes: number): boolean {
    return crc32c(bytes, at, at + tableBytes) === this.index.valueCrcOf(entry)
  }

  #corrupt(entry: Entry): NodeError {
    const details = { segment: this.index.segmentOf(entry), offset: this.index.offsetOf(entry) }
    this.#options.ports.log.error(
      { directory: this.#options.directory, ...details },
      'a value does not match its checksum',
    )
    return new NodeError('LOG_RECORD_CORRUPT', 'a value does not match its checksum', { details })
  }
}

const EMPTY = Buffer.alloc(0)

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

function writeFailed(cause: unknown): NodeError {
  if (isNodeError(cause, 'LOG_WRITE_FAILED', 'DISK_FULL')) return cause
  return new NodeError('LOG_WRITE_FAILED', describeError(cause), { cause })
}
