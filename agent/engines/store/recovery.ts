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
import { type HintEntry, HintWriter, readHint } from './hint-file.ts'
import { type LogEnd, readLogEnd, UNKNOWN_END } from './log-end.ts'
import { mendHeader, openSegments, type SegmentsPlace, setAside } from './open-segments.ts'
import { KIND_DELETE, LAG_UNKNOWN, type RecordHeader, recordBytesOf } from './record.ts'
import type { RecordIndex } from './record-index.ts'
import { type Found, scanSegment } from './scan-segment.ts'
import { SEGMENT_HEADER_BYTES, type Segment } from './segment.ts'
import { seqNumberOf } from './seq-index.ts'

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
  /** Records of which nothing is there any more, as far as was found now. */
  readonly missingRecords: number
  /** What the file of the log's end said. */
  readonly end: LogEnd
  /** What a crash had cut off, in bytes. */
  readonly cutBytes: number
  /** Seconds since 1970 of the newest record, 0 if there is none. */
  readonly lastTimeSeconds: number
}

/** What recovery works on. */
export interface RecoveryOptions extends SegmentsPlace {
  readonly index: RecordIndex
  /** Whether deleted keys stay in the index because their history is kept. */
  readonly keepsDeleted: boolean
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
  const end = readEnd(options)
  const found = openSegments(options)
  const segments = found.map((one) => one.segment)
  const state = {
    nextSerial: 0,
    nextSeq: 0,
    valueBytes: 0,
    damagedBytes: 0,
    missingRecords: 0,
    cutBytes: 0,
    lastTimeSeconds: 0,
  }
  const byNumber = new Map(segments.map((segment) => [segment.number, segment]))

  for (let at = 0; at < segments.length; at++) {
    if (found[at]?.isGuessed) adoptGuess(options, segments, byNumber, at, state.nextSerial)
    const segment = segments[at] as Segment
    if (segment.firstSerial > state.nextSerial) {
      // A segment before this one is missing or was never durable itself.
      const isTail = segment.generation === 0 && at > 0
      if (isTail && !wasDurable(end, segments, at, SEGMENT_HEADER_BYTES, state.nextSerial)) {
        state.cutBytes += cutLog(options, segments, at, 0)
        break
      }
      const records = segment.firstSerial - state.nextSerial
      log.error({ directory, segment: segment.name, records }, 'records before it are missing')
      state.missingRecords += records
      state.nextSerial = segment.firstSerial
    }
    state.nextSeq = Math.max(state.nextSeq, segment.nextSeq)
    state.nextSerial = Math.max(state.nextSerial, segment.endSerial)
    const isLast = at === segments.length - 1
    const hint = isLast ? undefined : readHint(disk, directory, segment)
    if (hint) {
      if (hint.missingBytes > 0) {
        const bytes = hint.missingBytes
        log.error({ directory, segment: segment.name, bytes }, 'a segment is shorter than it was')
        state.damagedBytes += bytes
        segment.isDamaged = true
      }
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
        if (segment.generation === 0 && !wasDurable(end, segments, at, behind, state.nextSerial)) {
          state.cutBytes += cutLog(options, segments, at, found.offset)
          break
        }
        report(log, segment, found)
        segment.isDamaged = true
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
  const records = end.durable - state.nextSerial
  if (records > 0) {
    log.error({ directory, records }, 'records at the end of the log are missing')
    state.missingRecords += records
  }
  return { segments, hints, end, ...state }
}

/** How far the log is known to have been durable. */
function readEnd({ disk, directory, log }: RecoveryOptions): LogEnd {
  const end = readLogEnd(disk, directory)
  if (end === 'damaged') log.warn({ directory }, 'what was known of the end of the log is damaged')
  return end === undefined || end === 'damaged' ? UNKNOWN_END : end
}

/** Takes over a segment whose header was damaged: it begins where the one before it ends, if its records fit there. */
function adoptGuess(
  options: RecoveryOptions,
  segments: Segment[],
  byNumber: Map<number, Segment>,
  at: number,
  nextSerial: number,
): void {
  const guessed = segments[at] as Segment
  const segment = { ...guessed, firstSerial: Math.min(guessed.firstSerial, nextSerial) }
  segments[at] = segment
  byNumber.set(segment.number, segment)
  mendHeader(options, segment)
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

/** Tells whether the file of the end, or a record from `offset` of segment `at` on, says that the log was durable beyond `serial`. */
function wasDurable(
  end: LogEnd,
  segments: readonly Segment[],
  at: number,
  offset: number,
  serial: number,
): boolean {
  if (end.durable > serial) return true
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
