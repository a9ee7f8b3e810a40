/**
 * One namespace: its properties, its log, and the rules for writing to it.
 *
 * The rules are checked here and not in the protocol, so that every way in obeys them: lock, freeze, WORM, quota in bytes on
 * disk, key lengths.
 */
import { randomInt } from 'node:crypto'
import { describeError, isNodeError, NodeError } from '../../base/errors.ts'
import type { BlockCache } from './block-cache.ts'
import { compactLog, keepsByAge } from './compact-log.ts'
import {
  ANCESTORS_MAX,
  COMPACT_DEAD_SHARE,
  DELETE_RESERVE_BYTES,
  KEY_BYTES_MAX,
  QUOTA_OVERHEAD_BYTES,
  SEGMENT_BYTES_QUOTA_MIN,
  VALUE_BYTES_MAX,
} from './constants.ts'
import { keyIndex } from './key-index.ts'
import { NamespaceLog } from './namespace-log.ts'
import { type NamespaceProperties, writeProperties } from './namespace-properties.ts'
import type { LogPorts } from './ports.ts'
import { KIND_DELETE, type RecordKind, recordBytesOf, valueCrcOf } from './record.ts'
import { SEQ_KEY_BYTES, seqIndex, seqKeyOf, seqNumberOf } from './seq-index.ts'
import { RecordTree } from './tree/record-tree.ts'

/** What a namespace is opened with. */
export interface NamespaceOptions {
  readonly ports: LogPorts
  readonly directory: string
  readonly properties: NamespaceProperties
  readonly cache: BlockCache
  readonly segmentBytes: number
  readonly readOnly: boolean
  /** Called when the first record of a burst is appended. */
  readonly onAppend: (namespace: Namespace) => void
  /** Called when a write does not fit in the quota. */
  readonly onFull: (namespace: Namespace) => void
}

/** Counters since the namespace was opened. */
export interface NamespaceCounters {
  commands: number
  failedReads: number
  failedWrites: number
}

/** Someone who reads a log as it grows. */
export interface LogFollower {
  /** More is durable, or the namespace changed. */
  wake(): void
}

/** A record of another log, to be kept under its own serial. */
export interface ReplayedRecord {
  readonly kind: RecordKind
  readonly key: Buffer
  readonly value: Buffer
  readonly timeSeconds: number
  readonly serial: number
}

/** What became of a write. */
export type SetOutcome = 'stored' | 'same'

/** A namespace that is open. */
export class Namespace {
  readonly directory: string
  readonly counters: NamespaceCounters = { commands: 0, failedReads: 0, failedWrites: 0 }
  /** Grows with every change of properties, so that sessions look again at what they may do. */
  revision = 0
  /** True once it was removed; sessions that had selected it are told. */
  isGone = false
  /** Count of segments when it was last looked at whether compaction is due. */
  segmentsSeen = 0
  /** Where it was emptied: the namespace that took its place. */
  replacement: Namespace | undefined
  /** The password in clear, as far as this process was told it: only for challenges of 0-db's `SECURE` form. */
  secretKnown: Buffer | undefined
  log: NamespaceLog
  /** Where the namespace is provable. */
  tree: RecordTree | undefined
  /** Why it has no tree although it is to be provable. */
  treeFailure: NodeError | undefined
  readonly #options: NamespaceOptions
  #properties: NamespaceProperties
  #saving: Promise<void> = Promise.resolve()
  #compacting: Promise<number> = Promise.resolve(0)
  /** Replicas that are fed from this log; woken when more of it is durable. */
  readonly followers = new Set<LogFollower>()

  constructor(options: NamespaceOptions) {
    this.#options = options
    this.directory = options.directory
    this.#properties = options.properties
    this.log = this.#openLog()
    this.#tryOpenTree()
  }

  get name(): string {
    return this.#properties.name
  }

  get properties(): NamespaceProperties {
    return this.#properties
  }

  /**
   * Changes properties, durably.
   *
   * @param changes - What changes.
   * @throws NodeError `LOG_PROPERTY_INVALID`, `LOG_NOT_PROVABLE`, `LOG_READ_ONLY`, `DISK_*`; they are what they were then.
   */
  async change(changes: Partial<NamespaceProperties>): Promise<void> {
    const { ports, readOnly } = this.#options
    if (readOnly) throw new NodeError('LOG_READ_ONLY', this.name)
    const modeChanges = changes.mode !== undefined && changes.mode !== this.#properties.mode
    if (modeChanges && this.log.appended > 0) {
      throw new NodeError('LOG_PROPERTY_INVALID', 'the mode of a used namespace cannot change')
    }
    const before = this.#properties
    const next = this.#saving.then(async () => {
      const properties = { ...this.#properties, ...changes }
      await this.#apply(properties, modeChanges)
      await writeProperties(ports.disk, this.directory, properties)
    })
    this.#saving = next.catch(() => undefined)
    try {
      await next
    } catch (caught) {
      const undone = Object.keys(changes).map((name) => [name, Reflect.get(before, name)])
      await this.#apply({ ...this.#properties, ...Object.fromEntries(undone) }, modeChanges)
      throw caught
    }
    this.#wakeFollowers()
    ports.onEvent?.('namespace-updated', [this.name])
  }

  /** Makes properties those that rule, without keeping them. */
  async #apply(properties: NamespaceProperties, modeChanges: boolean): Promise<void> {
    const { keptSince, historySeconds, isReplica } = this.#properties
    this.#properties = properties
    this.revision++
    this.log.sync = properties.sync
    if (keepsByAge(properties)) this.log.keepDeleted()
    const isKeptOtherwise =
      properties.keptSince !== keptSince || properties.historySeconds !== historySeconds
    if (isKeptOtherwise) this.log.recountLive()
    // The tree of a replica is fed, that of a primary follows its log.
    if (!properties.isProvable || properties.isReplica !== isReplica) await this.#closeTree()
    this.#openTree()
    if (modeChanges) await this.reload()
  }

  /**
   * Closes the log and reads it again from disk.
   *
   * @throws NodeError `DISK_*`.
   */
  async reload(): Promise<void> {
    await this.close()
    this.log = this.#openLog()
    this.#tryOpenTree()
    if (this.log.sync !== 'never') await this.log.makeDurable()
    this.#options.ports.onEvent?.('namespace-reloaded', [this.name])
  }

  /**
   * Stores a value.
   *
   * @param key - Where the key is: `key[keyStart, keyEnd)`; in sequential mode empty for a new one.
   * @param value - Where the value is: `value[valueStart, valueEnd)`.
   * @param timeSeconds - When it was stored.
   * @returns `same` if the key had this very value, which is then not stored again.
   * @throws NodeError `LOG_KEY_INVALID`, `LOG_VALUE_TOO_LARGE`, `LOG_NAMESPACE_FULL`, `LOG_WORM`, `LOG_WRITE_FAILED`.
   */
  set(
    key: Buffer,
    keyStart: number,
    keyEnd: number,
    value: Buffer,
    valueStart: number,
    valueEnd: number,
    timeSeconds: number,
  ): SetOutcome {
    const { log } = this
    const keyBytes = keyEnd - keyStart
    const valueBytes = valueEnd - valueStart
    if (keyBytes === 0 || keyBytes > KEY_BYTES_MAX) throw new NodeError('LOG_KEY_INVALID', 'length')
    if (valueBytes > VALUE_BYTES_MAX) throw new NodeError('LOG_VALUE_TOO_LARGE', 'too long')
    const entry = log.index.find(key, keyStart, keyEnd)
    if (entry >= 0 && !log.index.isDeleted(entry)) {
      if (this.#holdsSame(entry, value, valueStart, valueEnd)) return 'same'
      if (this.#properties.worm) throw new NodeError('LOG_WORM', 'WORM keys cannot be replaced')
    }
    const replaced = entry >= 0 ? log.index.valueBytesOf(entry) : 0
    this.#checkRoom(recordBytesOf(keyBytes, valueBytes), valueBytes - replaced)
    log.set(entry, key, keyStart, keyEnd, value, valueStart, valueEnd, timeSeconds)
    return 'stored'
  }

  /**
   * Stores a value under the next sequential key.
   *
   * @returns The key, 8 bytes.
   * @throws NodeError as {@link Namespace.set}.
   */
  append(value: Buffer, valueStart: number, valueEnd: number, timeSeconds: number): Uint8Array {
    if (valueEnd - valueStart > VALUE_BYTES_MAX) {
      throw new NodeError('LOG_VALUE_TOO_LARGE', 'too long')
    }
    const key = seqKeyOf(this.log.nextSeq)
    const valueBytes = valueEnd - valueStart
    this.#checkRoom(recordBytesOf(SEQ_KEY_BYTES, valueBytes), valueBytes)
    this.log.set(-1, key, 0, SEQ_KEY_BYTES, value, valueStart, valueEnd, timeSeconds)
    this.log.nextSeq++
    return key
  }

  /**
   * Stores a value that was in another store, under the key that it had there, also in sequential mode.
   *
   * @throws NodeError as {@link Namespace.set}.
   */
  restore(key: Buffer, value: Buffer, timeSeconds: number): void {
    if (this.#properties.mode === 'seq') {
      const number = seqNumberOf(key, 0, key.byteLength)
      if (number < 0) throw new NodeError('LOG_KEY_INVALID', 'not a sequential key')
      this.log.nextSeq = Math.max(this.log.nextSeq, number + 1)
    }
    this.set(key, 0, key.byteLength, value, 0, value.byteLength, timeSeconds)
  }

  /**
   * Takes over a record of the primary's log. Its rules were checked there, its quota too.
   *
   * @throws NodeError `LOG_WRITE_FAILED`, `DISK_FULL`.
   */
  replay(record: ReplayedRecord): void {
    const { log } = this
    const { kind, key, value, timeSeconds, serial } = record
    const entry = log.index.find(key, 0, key.byteLength)
    if (kind === KIND_DELETE) log.delete(entry, key, timeSeconds, serial)
    else {
      log.set(entry, key, 0, key.byteLength, value, 0, value.byteLength, timeSeconds, serial)
    }
    if (this.#properties.mode !== 'seq') return
    log.nextSeq = Math.max(log.nextSeq, seqNumberOf(key, 0, key.byteLength) + 1)
  }

  /**
   * Makes a replica a log of its own, which continues the primary's from here; nothing if it is none.
   *
   * @param logId - A name that no log has.
   * @throws NodeError `DISK_*`.
   */
  async promote(logId: string): Promise<void> {
    const { isReplica, ancestors, logId: parent } = this.#properties
    if (!isReplica) return
    const size = Math.min(this.log.appended, this.tree?.size ?? this.log.appended)
    const known = parent === '' ? ancestors : [...ancestors, { logId: parent, size }]
    await this.change({ isReplica: false, logId, ancestors: known.slice(-ANCESTORS_MAX) })
  }

  /**
   * Prepares for replicas: the log gets a name if it has none, and compaction keeps deletions from here on.
   *
   * @param logId - A name that no log has.
   * @throws NodeError `LOG_READ_ONLY`, `DISK_*`.
   */
  async beginReplication(logId: string): Promise<void> {
    const { logId: known, isReplicated } = this.#properties
    if (isReplicated && known !== '') return
    await this.change({ logId: known === '' ? logId : known, isReplicated: true })
    // One that runs already may take deletions.
    await this.#compacting
  }

  /** True where what is written becomes durable a little later without anyone asking. */
  get isSyncedLater(): boolean {
    const { sync } = this.log
    return sync === 'group' || (sync === 'never' && this.followers.size > 0)
  }

  /**
   * Deletes a key.
   *
   * @returns False if there is no such key.
   * @throws NodeError `LOG_WORM`, `LOG_NAMESPACE_FULL`, `LOG_WRITE_FAILED`.
   */
  delete(key: Uint8Array, timeSeconds: number): boolean {
    const entry = this.find(key, 0, key.byteLength)
    if (entry < 0) return false
    if (this.#properties.worm) throw new NodeError('LOG_WORM', 'WORM keys cannot be deleted')
    this.#checkRoom(recordBytesOf(key.byteLength, 0) - DELETE_RESERVE_BYTES, 0)
    this.log.delete(entry, key, timeSeconds)
    return true
  }

  /** The entry of a key that has a value, or -1. */
  find(key: Uint8Array, start: number, end: number): number {
    const entry = this.log.index.find(key, start, end)
    return entry >= 0 && !this.log.index.isDeleted(entry) ? entry : -1
  }

  /** Whether compaction may take anything away: never from WORM, never where history is kept for ever. */
  get isCompactable(): boolean {
    const { worm, historySeconds } = this.#properties
    // A tree that is to be made anew is made from the records.
    return !worm && historySeconds >= 0 && this.treeFailure === undefined
  }

  /**
   * Gives the room of dead records back, while the namespace is served.
   *
   * @param deadShareMin - Share of dead bytes from which a segment is worth it; 0 for whatever there is.
   * @returns Bytes given back.
   * @throws NodeError `DISK_*`; nothing is lost.
   */
  async compact(deadShareMin: number): Promise<number> {
    if (!this.isCompactable || this.isGone || this.#options.readOnly) return 0
    // One at a time: whoever comes while another runs has its turn after it.
    const mine = this.#compacting.then(() => this.#compactRuns(deadShareMin))
    this.#compacting = mine.catch(() => 0)
    return mine
  }

  async #compactRuns(deadShareMin: number): Promise<number> {
    const { historySeconds, keptSince, isReplicated: keepsDeletions } = this.#properties
    const { log } = this
    // A small share asked for says that room is needed now, also that of the segment being written.
    if (deadShareMin < COMPACT_DEAD_SHARE) log.rotate()
    let freedBytes = 0
    // A run leaves no dead bytes in what it wrote, so each moves on; the bound is for what writers add meanwhile.
    for (let runs = log.counts.segments; runs > 0 && this.log === log; runs--) {
      await log.makeDurable()
      // While the tree caught up writers may have filled more segments: their roots are not safe yet.
      const endSerialMax = this.tree ? await this.tree.settle() : Number.POSITIVE_INFINITY
      const breathe = () => this.#options.ports.clock.sleep(0)
      const freed = await compactLog(log, {
        historySeconds,
        keptSince,
        deadShareMin,
        endSerialMax,
        keepsDeletions,
        breathe,
      })
      if (freed === 0) break
      freedBytes += freed
    }
    return freedBytes
  }

  /** Writes and syncs what is left and closes all files. */
  async close(): Promise<void> {
    await this.#closeTree()
    await this.log.close()
    this.#wakeFollowers()
  }

  /** A namespace whose tree cannot be used is served without proofs. */
  #tryOpenTree(): void {
    try {
      this.#openTree()
    } catch (caught) {
      if (!isNodeError(caught)) throw caught
      this.treeFailure = caught
      const { directory } = this
      this.#options.ports.log.error({ directory, cause: describeError(caught) }, 'no proofs')
    }
  }

  #openTree(): void {
    const { isProvable } = this.#properties
    this.treeFailure = undefined
    if (!isProvable || this.tree || this.#options.readOnly) return
    const isFed = this.#properties.isReplica
    this.tree = new RecordTree(this.#options.ports, this.directory, this.log, { isFed })
  }

  async #closeTree(): Promise<void> {
    const { tree } = this
    this.tree = undefined
    await tree?.close()
  }

  #openLog(): NamespaceLog {
    const { ports, directory, segmentBytes, cache, readOnly, onAppend } = this.#options
    const { mode, sync, maxBytes } = this.#properties
    return new NamespaceLog({
      ports,
      directory,
      index:
        mode === 'seq' ? seqIndex(ports.hugePages) : keyIndex(randomInt(2 ** 32), ports.hugePages),
      cache,
      segmentBytes: segmentBytesFor(segmentBytes, maxBytes),
      keepsDeleted: keepsByAge(this.#properties),
      readOnly,
      sync,
      onAppend: () => onAppend(this),
      onDurable: () => this.#wakeFollowers(),
    })
  }

  #wakeFollowers(): void {
    for (const follower of this.followers) follower.wake()
  }

  /** Refuses what would take the files, or the values in them, beyond the quota. */
  #checkRoom(recordBytes: number, valueGrowth: number): void {
    const { maxBytes } = this.#properties
    if (maxBytes === 0) return
    const { dataBytes, valueBytes } = this.log
    const fits =
      dataBytes + recordBytes <= maxBytes + QUOTA_OVERHEAD_BYTES &&
      (valueGrowth <= 0 || valueBytes + valueGrowth <= maxBytes)
    if (fits) return
    this.#options.onFull(this)
    throw new NodeError('LOG_NAMESPACE_FULL', `namespace ${this.name} is full`, {
      details: { dataBytes, valueBytes, maxBytes, recordBytes },
    })
  }

  /** Compares with what is stored: by length and checksum first, by bytes only if those agree. */
  #holdsSame(entry: number, value: Buffer, valueStart: number, valueEnd: number): boolean {
    const { index } = this.log
    const valueBytes = valueEnd - valueStart
    if (index.valueBytesOf(entry) !== valueBytes) return false
    if (index.valueCrcOf(entry) !== valueCrcOf(value, valueStart, valueEnd)) return false
    const slack = this.log.records.readSlackBytes(entry)
    const stored = Buffer.allocUnsafe(slack + valueBytes)
    try {
      this.log.records.read(entry, stored, slack)
    } catch {
      // What is stored cannot be read any more, so the new value replaces it.
      return false
    }
    return stored.compare(value, valueStart, valueEnd, slack) === 0
  }
}

/** A small quota gets small segments, so that compaction can give room back before it is reached. */
function segmentBytesFor(segmentBytes: number, maxBytes: number): number {
  if (maxBytes === 0) return segmentBytes
  return Math.min(segmentBytes, Math.max(SEGMENT_BYTES_QUOTA_MIN, Math.floor(maxBytes / 8)))
}
