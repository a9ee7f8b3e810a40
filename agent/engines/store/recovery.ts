/**
 * Opens a log: finds its segments, rebuilds the index from them, and decides what damage means.
 *
 * Each record says how far the log was durable when it was written (its lag). Damage below the highest such mark was durable
 * once, so the medium lost it: it is reported and skipped, what follows is kept, and a damaged value stays in the index
 * so that reading it fails instead of giving an older one. Damage at or beyond the mark is a write that a crash cut
 * off: nothing from there on was acknowledged under `sync: always`, so the log ends there. What is cut is moved
 * aside, never destroyed, and reported.
 */
import type { Disk } from '../../base/disk.ts'
import type { Log } from '../../base/ports.ts'
import { MIB } from '../../base/units.ts'
import { UNFINISHED_COMPACTION } from './compaction.ts'
import { type HintEntry, HintWriter, hintPath, readHint } from './hint-file.ts'
import { KIND_DELETE, LAG_UNKNOWN, type RecordHeader, recordBytesOf } from './record.ts'
import type { RecordIndex } from './record-index.ts'
import { type Found, scanSegment } from './scan-segment.ts'
import { decodeSegmentHeader, NOTHING_HELD, SEGMENT_HEADER_BYTES, type Segment } from './segment.ts'
import { seqNumberOf } from './seq-index.ts'

const SEGMENT_NAME = /^(\d{8})\.(\d+)\.seg$/
/** Copying what is cut off goes in pieces of this size. */
const COPY_BYTES = MIB

/** A log as found on disk. */
export interface RecoveredLog {
  /** Ascending by number. */
  readonly segments: Segment[]
  /** Of segments that had no hint, by number: whole but for the last, which may go on being written. */
  readonly hints: Map<number, HintWriter>
  readonly nextSerial: number
  readonly nextSeq: number
  /** Bytes of all live values. */
  readonly valueBytes: number
  /** Stretches that the medium lost, in bytes. */
  readonly damagedBytes: number
  /** What a crash had cut off, in bytes. */
  readonly cutBytes: number
  /** Seconds since 1970 of the newest record, 0 if there is none. */
  readonly lastTimeSeconds: number
}

/** What recovery works on. */
export interface RecoveryOptions {
  readonly disk: Disk
  readonly directory: string
  readonly index: RecordIndex
  /** Whether deleted keys stay in the index because their history is kept. */
  readonly keepsDeleted: boolean
  /** True where nothing may be changed on disk. */
  readonly readOnly: boolean
  readonly log: Log
}

/**
 * Opens the segments of a log and fills its index.
 *
 * @param options - The log's directory, an empty index, and how to go about it.
 * @returns Segments and counters.
 * @throws NodeError `DISK_*`.
 * @example
 * const { segments, nextSerial } = recoverLog({ disk, directory: 'ns/n-a', index, keepsDeleted: false, readOnly: false, log })
 */
export function recoverLog(options: RecoveryOptions): RecoveredLog {
  const { disk, log, directory, readOnly } = options
  const hints = new Map<number, HintWriter>()
  const segments = openSegments(options)
  const state = {
    nextSerial: segments[0]?.firstSerial ?? 0,
    nextSeq: 0,
    valueBytes: 0,
    damagedBytes: 0,
    cutBytes: 0,
    lastTimeSeconds: 0,
  }
  const byNumber = new Map(segments.map((segment) => [segment.number, segment]))

  for (let at = 0; at < segments.length; at++) {
    const segment = segments[at] as Segment
    if (segment.generation === 0 && segment.firstSerial > state.nextSerial) {
      // A segment before this one is missing or was never durable itself.
      if (!wasDurable(segments, at, SEGMENT_HEADER_BYTES, state.nextSerial)) {
        state.cutBytes += cutLog(options, segments, at, 0)
        break
      }
      log.error({ directory, segment: segment.name }, 'records before this segment are missing')
    }
    state.nextSeq = Math.max(state.nextSeq, segment.nextSeq)
    state.nextSerial = Math.max(state.nextSerial, segment.endSerial)
    const isLast = at === segments.length - 1
    const hint = isLast ? undefined : readHint(disk, directory, segment)
    if (hint) {
      for (const entry of hint.entries) {
        state.valueBytes += applyRecord(options, byNumber, segment, entry, hint.bytes)
      }
      state.nextSerial = Math.max(state.nextSerial, hint.summary.endSerial)
      state.nextSeq = Math.max(state.nextSeq, hint.summary.nextSeq)
      state.lastTimeSeconds = Math.max(state.lastTimeSeconds, hint.summary.lastTimeSeconds)
      continue
    }
    const writer = readOnly ? undefined : new HintWriter(disk, directory, segment)
    if (writer) hints.set(segment.number, writer)
    for (const found of scanSegment(segment.file, SEGMENT_HEADER_BYTES, { checkValues: true })) {
      const isIntact = found.kind === 'record' && found.isIntact
      if (!isIntact) {
        const behind = found.offset + found.bytes
        if (segment.generation === 0 && !wasDurable(segments, at, behind, state.nextSerial)) {
          state.cutBytes += cutLog(options, segments, at, found.offset)
          break
        }
        report(log, segment, found)
        state.damagedBytes += found.bytes
      }
      if (found.kind !== 'record') continue
      const { header, key, offset } = found
      const { kind, valueBytes, valueCrc } = header
      const entry = { kind, offset, valueBytes, valueCrc, keyStart: 0, keyEnd: key.byteLength }
      state.valueBytes += applyRecord(options, byNumber, segment, entry, key)
      writer?.add(kind, offset, valueBytes, valueCrc, key, 0, key.byteLength)
      writer?.mark()
      remember(state, header, key)
    }
  }
  return { segments, hints, ...state }
}

function remember(
  state: { nextSerial: number; nextSeq: number; lastTimeSeconds: number },
  header: RecordHeader,
  key: Uint8Array,
): void {
  if (header.serial >= state.nextSerial) state.nextSerial = header.serial + 1
  if (header.timeSeconds > state.lastTimeSeconds) state.lastTimeSeconds = header.timeSeconds
  const number = seqNumberOf(key, 0, key.byteLength)
  if (number >= state.nextSeq) state.nextSeq = number + 1
}

/** Opens what is a segment and not replaced by another; removes what compaction left behind. */
function openSegments(options: RecoveryOptions): Segment[] {
  const { disk, directory, readOnly, log } = options
  const opened: Segment[] = []
  if (!readOnly) disk.remove(`${directory}/${UNFINISHED_COMPACTION}`)
  for (const name of disk.list(directory)) {
    if (!SEGMENT_NAME.test(name)) continue
    const file = disk.open(`${directory}/${name}`, readOnly ? 'read' : 'write')
    const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES)
    const read = file.read(bytes, 0)
    const header = decodeSegmentHeader(bytes.subarray(0, read))
    if (header) {
      opened.push({ ...header, name, file, liveBytes: 0, held: NOTHING_HELD, cacheFile: 0 })
      continue
    }
    file.close()
    log.warn({ directory, name }, 'segment without a valid header left aside')
    if (!readOnly) setAside(options, name)
  }
  const dead = opened.filter((one) => opened.some((other) => replaces(other, one)))
  for (const segment of dead) {
    segment.file.close()
    if (readOnly) continue
    disk.remove(hintPath(directory, segment))
    disk.remove(`${directory}/${segment.name}`)
  }
  return opened.filter((one) => !dead.includes(one)).sort((a, b) => a.number - b.number)
}

function replaces(newer: Segment, older: Segment): boolean {
  return (
    newer.generation > older.generation &&
    newer.firstNumber <= older.firstNumber &&
    newer.number >= older.number
  )
}

/** Brings one record into the index, and keeps count of what each segment still holds. @returns Growth of values in bytes. */
function applyRecord(
  options: RecoveryOptions,
  byNumber: ReadonlyMap<number, Segment>,
  segment: Segment,
  record: HintEntry,
  bytes: Uint8Array,
): number {
  const { index, keepsDeleted } = options
  const { keyStart, keyEnd, valueBytes } = record
  let entry = index.find(bytes, keyStart, keyEnd)
  let growth = 0
  if (entry >= 0 && !index.isDeleted(entry)) {
    growth -= index.valueBytesOf(entry)
    const old = byNumber.get(index.segmentOf(entry))
    if (old) old.liveBytes -= recordBytesOf(keyEnd - keyStart, index.valueBytesOf(entry))
  }
  const isDeleted = record.kind === KIND_DELETE
  if (isDeleted && !keepsDeleted) {
    if (entry >= 0) index.remove(entry)
    return growth
  }
  if (entry < 0) entry = index.add(bytes, keyStart, keyEnd)
  index.place(entry, segment.number, record.offset, valueBytes, record.valueCrc, isDeleted)
  if (isDeleted) return growth
  segment.liveBytes += recordBytesOf(keyEnd - keyStart, valueBytes)
  return growth + valueBytes
}

/** Tells whether a record from `offset` of segment `at` on says that the log was durable beyond `serial` before it. */
function wasDurable(
  segments: readonly Segment[],
  at: number,
  offset: number,
  serial: number,
): boolean {
  for (let number = at; number < segments.length; number++) {
    const { file } = segments[number] as Segment
    const from = number === at ? offset : SEGMENT_HEADER_BYTES
    for (const found of scanSegment(file, from, { checkValues: true })) {
      if (found.kind !== 'record' || !found.isIntact || found.header.lag === LAG_UNKNOWN) continue
      if (found.header.serial - found.header.lag > serial) return true
    }
  }
  return false
}

/** Ends the log at `offset` of segment `at` (0: before it); what comes after goes into files of its own. */
function cutLog(options: RecoveryOptions, segments: Segment[], at: number, offset: number): number {
  const { disk, directory, readOnly, log } = options
  const later = segments.splice(offset === 0 ? at : at + 1)
  const segment = offset === 0 ? undefined : segments[at]
  let cutBytes = segment ? segment.file.sizeBytes - offset : 0
  for (const one of later) cutBytes += one.file.sizeBytes
  log.warn(
    { directory, segment: (segment ?? later[0])?.name, offset, cutBytes },
    'log ends in an incomplete write, which is cut off',
  )
  // From the back, so that a crash in between leaves a log whose end is found again.
  for (const one of later.reverse()) {
    one.file.close()
    if (!readOnly) setAside(options, one.name)
  }
  if (segment && !readOnly) {
    copyTail(disk, segment, offset, `${directory}/${segment.name}.cut`)
    segment.file.truncate(offset)
    segment.file.syncNow()
  }
  return cutBytes
}

function setAside(options: RecoveryOptions, name: string): void {
  options.disk.rename(`${options.directory}/${name}`, `${options.directory}/${name}.cut`)
}

function copyTail(disk: Disk, segment: Segment, offset: number, path: string): void {
  disk.remove(path)
  const copy = disk.open(path, 'new')
  const piece = new Uint8Array(COPY_BYTES)
  for (let at = offset; at < segment.file.sizeBytes; at += COPY_BYTES) {
    const read = segment.file.read(piece, at)
    copy.write([piece.subarray(0, read)], at - offset)
  }
  copy.close()
}

function report(log: Log, segment: Segment, found: Found): void {
  const { offset, bytes } = found
  log.error({ segment: segment.name, offset, bytes }, 'damaged bytes in the log')
}
