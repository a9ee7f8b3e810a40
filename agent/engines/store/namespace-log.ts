/**
 * The log of one namespace: where records are appended, and the parts that do the rest of the work.
 *
 * Records of one burst gather in an arena and go to the disk in one write at its end; the index already points to them, and
 * reads of them are served from the arena. If that write fails, the burst is taken back out of the index, newest first, so
 * memory never says more than the disk.
 */
import { assert } from '../../base/assert.ts'
import { describeError, isNodeError, NodeError } from '../../base/errors.ts'
import type { BlockCache } from './block-cache.ts'
import { ARENA_BYTES, ARENA_VALUE_BYTES_MAX } from './constants.ts'
import { crc32c } from './crc32c.ts'
import { HintWriter } from './hint-file.ts'
import { LiveBytes } from './live-bytes.ts'
import { LogCommit, type Waiter, writeFailed } from './log-commit.ts'
import { LogFiles, PADDING } from './log-files.ts'
import type { LogPorts, SyncMode } from './ports.ts'
import {
  blockTable,
  KIND_DELETE,
  KIND_SET,
  LAG_UNKNOWN,
  type RecordKind,
  type RecordStamp,
  recordBytesOf,
  tableBytesOf,
  writeRecordStart,
} from './record.ts'
import type { Entry, RecordIndex } from './record-index.ts'
import { RecordReader } from './record-reader.ts'
import { recoverLog } from './recovery.ts'
import { SEGMENT_HEADER_BYTES, type Segment } from './segment.ts'

/** What a log is made with. */
export interface NamespaceLogOptions {
  readonly ports: LogPorts
  readonly directory: string
  readonly index: RecordIndex
  readonly cache: BlockCache
  readonly segmentBytes: number
  readonly keepsDeleted: boolean
  readonly readOnly: boolean
  readonly sync: SyncMode
  /** Called when the first record of a burst is appended. */
  readonly onAppend: () => void
  /** Called each time more is durable. */
  readonly onDurable: () => void
}

/** Where a record is. */
export interface LogPlace {
  readonly segment: number
  readonly offset: number
}

/** Counters of a log. */
export interface LogCounts {
  readonly segments: number
  readonly dataBytes: number
  readonly liveBytes: number
  readonly damagedBytes: number
  readonly cutBytes: number
  /** Records that are known to be gone without a trace. */
  readonly missingRecords: number
  readonly lastTimeSeconds: number
}

/** An append-only log with its index. Keys and values are handed in as parts of buffers and copied or written at once. */
export class NamespaceLog {
  readonly index: RecordIndex
  readonly files: LogFiles
  readonly commit: LogCommit
  /** Reads and verifies. */
  readonly records: RecordReader
  /** First sequential key not yet handed out. */
  nextSeq: number

  readonly #options: NamespaceLogOptions
  readonly #live: LiveBytes
  #keepsDeleted: boolean
  /** Of the active segment. */
  #hint: HintWriter | undefined
  #appended: number
  readonly #stamp: RecordStamp = {
    kind: KIND_SET,
    timeSeconds: 0,
    serial: 0,
    lag: 0,
    previousSegment: 0,
    previousOffset: 0,
  }
  readonly #damagedBytes: number
  readonly #cutBytes: number
  readonly #missingRecords: number
  #lastTimeSeconds: number

  constructor(options: NamespaceLogOptions) {
    const { ports, directory, index, readOnly, sync } = options
    this.#options = options
    this.#keepsDeleted = options.keepsDeleted
    this.index = index
    const recovered = recoverLog({ ...options, disk: ports.disk, log: ports.log })
    const { segments, hints, nextSerial } = recovered
    this.files = new LogFiles(options, segments)
    this.records = new RecordReader(this.files, index, ports, directory)
    this.#live = new LiveBytes(index, this.files, recovered.valueBytes)
    this.nextSeq = recovered.nextSeq
    this.#appended = nextSerial
    this.#damagedBytes = recovered.damagedBytes
    this.#cutBytes = recovered.cutBytes
    const { end } = recovered
    // What was missing at the end once is not seen again, because its serials are used again.
    this.#missingRecords = end.lost + recovered.missingRecords
    const lost = end.lost + Math.max(0, end.durable - nextSerial)
    this.#lastTimeSeconds = recovered.lastTimeSeconds
    this.commit = new LogCommit({
      ports,
      directory,
      readOnly,
      sync,
      files: this.files,
      written: nextSerial,
      end,
      lost,
      hintFacts: () => ({ nextSeq: this.nextSeq, lastTimeSeconds: this.#lastTimeSeconds }),
      onDurable: options.onDurable,
    })
    const { active } = this.files
    segments.forEach((segment, at) => {
      const hint = hints.get(segment.number)
      if (!hint) return
      if (segment === active) this.#hint = hint
      else {
        const endSerial = segments[at + 1]?.firstSerial ?? nextSerial
        this.commit.seal({ segment, hint, endSerial })
      }
    })
  }

  /** Count of records ever appended. */
  get appended(): number {
    return this.#appended
  }

  /** Count of records that are in files. */
  get written(): number {
    return this.commit.written
  }

  /** Count of records that survive a power loss. */
  get durable(): number {
    return this.commit.durable
  }

  /** Count of records that may be acknowledged. */
  get acknowledged(): number {
    return this.commit.acknowledged
  }

  /** Why writes are refused, if they are. */
  get failure(): NodeError | undefined {
    return this.commit.failure
  }

  get sync(): SyncMode {
    return this.commit.sync
  }

  set sync(sync: SyncMode) {
    this.commit.sync = sync
  }

  /** Bytes of all live values. */
  get valueBytes(): number {
    return this.#live.valueBytes
  }

  /** Bytes of all segments. */
  get dataBytes(): number {
    return this.files.dataBytes
  }

  /** The segments, oldest first. */
  get segments(): readonly Segment[] {
    return this.files.segments
  }

  /** Segments in which something was replaced or deleted since this was last reset. */
  get dirtySegments(): Set<number> {
    return this.#live.dirtySegments
  }

  /** The most bytes a segment may have. */
  get segmentBytes(): number {
    return this.#options.segmentBytes
  }

  get keepsDeleted(): boolean {
    return this.#keepsDeleted
  }

  /** Looks anew at what may go, after less history is wanted than before. */
  recountLive(): void {
    this.#live.recount()
  }

  /** From here on the index knows which keys were deleted, until the log is opened anew. */
  keepDeleted(): void {
    this.#keepsDeleted = true
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

  get counts(): LogCounts {
    return {
      segments: this.files.segments.length,
      dataBytes: this.files.dataBytes,
      liveBytes: this.files.liveBytes,
      damagedBytes: this.#damagedBytes,
      cutBytes: this.#cutBytes,
      missingRecords: this.#missingRecords,
      lastTimeSeconds: this.#lastTimeSeconds,
    }
  }

  /** True while something written is not yet durable. */
  get isDirty(): boolean {
    return this.commit.isDirty
  }

  /**
   * Appends a value for a key; `entry` is what the index finds for the key. Room for it has been checked.
   *
   * @param serial - Of a record that has one already, at least {@link NamespaceLog.appended}: what lies between is gone.
   */
  set(
    entry: Entry,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    value: Buffer,
    valueStart: number,
    valueEnd: number,
    timeSeconds: number,
    serial = this.#appended,
  ): void {
    const bytes = recordBytesOf(keyEnd - keyStart, valueEnd - valueStart)
    const at = this.#reserve(bytes, valueEnd - valueStart)
    const stamp = this.#stampFor(KIND_SET, entry, timeSeconds, serial)
    const crc = this.#put(at, stamp, key, keyStart, keyEnd, value, valueStart, valueEnd, bytes)
    const target = entry >= 0 ? entry : this.index.add(key, keyStart, keyEnd)
    if (entry >= 0) this.#live.release(entry)
    const active = this.files.active as Segment
    active.liveBytes += bytes
    this.#live.valueBytes += valueEnd - valueStart
    this.index.place(target, active.number, at, valueEnd - valueStart, crc, false)
  }

  /**
   * Appends the deletion of a key.
   *
   * @param entry - Of the key; -1 where its values are gone already, as they may be in the copy of a compacted log.
   * @param serial - As for {@link NamespaceLog.set}.
   */
  delete(entry: Entry, key: Uint8Array, timeSeconds: number, serial = this.#appended): void {
    const bytes = recordBytesOf(key.byteLength, 0)
    const at = this.#reserve(bytes, 0)
    const stamp = this.#stampFor(KIND_DELETE, entry, timeSeconds, serial)
    this.#put(at, stamp, key, 0, key.byteLength, EMPTY, 0, 0, bytes)
    if (entry >= 0) this.#live.release(entry)
    if (this.#keepsDeleted) {
      const target = entry >= 0 ? entry : this.index.add(key, 0, key.byteLength)
      this.index.place(target, (this.files.active as Segment).number, at, 0, 0, true)
    } else if (entry >= 0) {
      this.index.remove(entry)
    }
  }

  /** Where the newest record of a key is. */
  placeOf(entry: Entry): LogPlace {
    return { segment: this.index.segmentOf(entry), offset: this.index.offsetOf(entry) }
  }

  /** True if the newest record of a key is not yet acknowledged to whoever wrote it. */
  isUnacknowledged(entry: Entry): boolean {
    const { commit } = this
    if (commit.sync !== 'always' || commit.durable === this.#appended) return false
    const segment = this.index.segmentOf(entry)
    if (segment !== commit.durableSegment) return segment > commit.durableSegment
    return this.index.offsetOf(entry) >= commit.durableOffset
  }

  /** Waits for a position; `settled` is never called inside this call. */
  wait(waiter: Waiter): void {
    this.commit.wait(waiter)
  }

  /** Writes what is pending. On failure the burst is taken back and whoever waits for it is told. */
  flush(): void {
    const { arena } = this.files
    if (arena.usedBytes > 0) this.#writeOut([arena.pending])
  }

  /** End of a burst: writes, then acknowledges or starts a sync. @returns False if the write failed. */
  settle(): boolean {
    try {
      this.flush()
    } catch (caught) {
      if (!isNodeError(caught)) throw caught
      return false
    } finally {
      this.commit.wake()
    }
    this.commit.syncForWaiters()
    return true
  }

  /**
   * Makes everything written so far durable; concurrent callers share syncs.
   *
   * @returns Resolves when it is, or when the log has failed.
   */
  makeDurable(): Promise<void> {
    return this.commit.makeDurable()
  }

  /** Writes and syncs what is left, and closes the files. */
  async close(): Promise<void> {
    if (!this.#options.readOnly && !this.failure) {
      this.settle()
      while (this.isDirty) await this.makeDurable()
    }
    await this.commit.close()
    this.#hint?.abandon()
    this.files.close()
  }

  /** Segments that are not written any more and durable, oldest first. */
  fullSegments(): Segment[] {
    const { active, segments } = this.files
    return segments.filter((one) => one !== active && this.commit.isDurable(one))
  }

  /**
   * Puts a segment in the place of those that it stands for, and removes their files.
   *
   * @param run - Neighbours; nothing in the index points into them any more but by the last one's number.
   * @param segment - What compaction made of them, valid on disk.
   * @returns Bytes given back to the disk.
   */
  replaceSegments(run: readonly Segment[], segment: Segment): number {
    for (const old of run) this.dirtySegments.delete(old.number)
    this.commit.forget(run)
    return this.files.replace(run, segment)
  }

  /** Ends the active segment; the next record opens a new one. */
  rotate(): void {
    this.flush()
    const { active } = this.files
    if (active && this.#hint) {
      this.commit.seal({ segment: active, hint: this.#hint, endSerial: this.#appended })
    }
    this.files.active = undefined
    this.#hint = undefined
    // Also under `sync: never` what is full becomes durable, and gets its hint.
    void this.makeDurable()
  }

  /** Makes room for a record. @returns The offset in the active segment at which it will be. */
  #reserve(bytes: number, valueBytes: number): number {
    if (this.#options.readOnly) throw new NodeError('LOG_READ_ONLY', this.#options.directory)
    if (this.commit.failure) throw this.commit.failure
    const { files } = this
    const { arena } = files
    const end = files.writtenBytes + arena.usedBytes
    const isFull = end + bytes > this.#options.segmentBytes && end > SEGMENT_HEADER_BYTES
    if (files.active && isFull) this.rotate()
    if (!files.active) this.#openSegment()
    const arenaBytes = valueBytes <= ARENA_VALUE_BYTES_MAX ? bytes : bytes - valueBytes
    if (arena.usedBytes + arenaBytes > ARENA_BYTES) this.flush()
    if (arena.usedBytes === 0) this.#options.onAppend()
    return files.writtenBytes + arena.usedBytes
  }

  #openSegment(): void {
    const segment = this.files.open(this.#appended, this.nextSeq, this.dirtySegments)
    const { ports, directory } = this.#options
    this.#hint = new HintWriter(ports.disk, directory, segment)
    this.commit.opened(segment)
  }

  #stampFor(kind: RecordKind, entry: Entry, time: number, serial: number): RecordStamp {
    assert(serial >= this.#appended, 'serials grow')
    const stamp = this.#stamp
    stamp.kind = kind
    stamp.timeSeconds = time
    stamp.serial = serial
    stamp.lag = Math.min(serial - this.commit.durable, LAG_UNKNOWN)
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
    const { files } = this
    const { arena } = files
    const into = arena.bytes
    const at = arena.usedBytes
    assert(offset === files.writtenBytes + at, 'a record goes where it was reserved')
    const valueBytes = valueEnd - valueStart
    const table = tableBytesOf(valueBytes) > 0 ? blockTable(value, valueStart, valueEnd) : undefined
    const crc = table ? crc32c(table, 0, table.byteLength) : crc32c(value, valueStart, valueEnd)
    const end = writeRecordStart(
      into,
      arena.words,
      at,
      stamp,
      key,
      keyStart,
      keyEnd,
      valueBytes,
      crc,
      table,
    )
    this.#appended = stamp.serial + 1
    files.dataBytes += bytes
    this.#hint?.add(stamp.kind, offset, valueBytes, crc, key, keyStart, keyEnd)
    if (valueBytes <= ARENA_VALUE_BYTES_MAX) {
      value.copy(into, end, valueStart, valueEnd)
      for (let pad = end + valueBytes; pad < at + bytes; pad++) into[pad] = 0
      arena.usedBytes = at + bytes
      return crc
    }
    // The index does not know this record yet, so a failed write takes back only those before it.
    const padding = bytes - (end - at) - valueBytes
    this.#writeOut([
      into.subarray(0, end),
      value.subarray(valueStart, valueEnd),
      PADDING.subarray(0, padding),
    ])
    return crc
  }

  #writeOut(parts: readonly Uint8Array[]): void {
    const { files } = this
    const active = files.active as Segment
    try {
      files.append(parts)
    } catch (caught) {
      this.#takeBack(caught)
      throw writeFailed(caught)
    }
    files.arena.usedBytes = 0
    this.commit.wrote(active, this.#appended)
    this.#hint?.mark()
  }

  /** Undoes what the index took over since the last write, newest first, and cuts what the disk took of it. */
  #takeBack(cause: unknown): void {
    const { files, commit } = this
    this.#live.takeBack(files.arena, this.records)
    this.#appended = commit.written
    this.#hint?.rewind()
    this.#options.ports.log.error(
      { directory: this.#options.directory, cause: describeError(cause) },
      'write failed and was taken back',
    )
    try {
      files.cutBack()
    } catch (caught) {
      // Half a record may stay behind the end; writing on top of it could leave two truths.
      commit.fail(writeFailed(caught))
    }
    files.recount()
    if (!isNodeError(cause, 'DISK_FULL')) commit.fail(writeFailed(cause))
    commit.failPending(writeFailed(cause))
  }
}

const EMPTY = Buffer.alloc(0)
