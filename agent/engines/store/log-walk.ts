/** Walks over a log: the newest record of each live key in the order of writing, and the versions of one key. */
import { bytesEqual } from '../../base/bytes.ts'
import type { LogPlace, NamespaceLog } from './namespace-log.ts'
import type { RecordHeader } from './record.ts'
import { scanSegment } from './scan-segment.ts'
import { SEGMENT_HEADER_BYTES } from './segment.ts'

/** The newest record of a key, met on a walk. */
export interface WalkedRecord extends LogPlace {
  readonly header: RecordHeader
  readonly key: Uint8Array
}

/**
 * Walks the newest records of live keys in the order in which they were written.
 *
 * @param log - The log.
 * @param from - Where to start, that record included.
 * @returns Places and what is known of them, until the end of the log.
 * @throws NodeError `DISK_IO`.
 * @example
 * for (const { key } of walkForward(log, undefined)) ...
 */
export function* walkForward(
  log: NamespaceLog,
  from: LogPlace | undefined,
): Generator<WalkedRecord> {
  log.flush()
  for (const segment of log.segments) {
    if (from && segment.number < from.segment) continue
    const start = from?.segment === segment.number ? from.offset : SEGMENT_HEADER_BYTES
    for (const found of scanSegment(segment.file, start, { checkValues: false })) {
      if (found.kind !== 'record') continue
      const { key, header, offset } = found
      const walked = { segment: segment.number, offset, header, key: key.slice() }
      if (isNewest(log, walked)) yield walked
    }
  }
}

/**
 * The same from the end to the front.
 *
 * @param log - The log.
 * @param from - Where to start, that record left out.
 * @returns Places and what is known of them, until the beginning of the log.
 * @throws NodeError `DISK_IO`, `LOG_RECORD_CORRUPT`.
 */
export function* walkBackward(
  log: NamespaceLog,
  from: LogPlace | undefined,
): Generator<WalkedRecord> {
  log.flush()
  for (const segment of [...log.segments].reverse()) {
    if (from && segment.number > from.segment) continue
    // Records have no links back, so a segment is read forward once to be given backward.
    const offsets: number[] = []
    for (const found of scanSegment(segment.file, SEGMENT_HEADER_BYTES, { checkValues: false })) {
      if (from?.segment === segment.number && found.offset >= from.offset) break
      if (found.kind === 'record') offsets.push(found.offset)
    }
    for (const offset of offsets.reverse()) {
      const { header, key } = log.records.keyAt(segment.number, offset)
      const walked = { segment: segment.number, offset, header, key }
      if (isNewest(log, walked)) yield walked
    }
  }
}

/**
 * Finds the version before a record.
 *
 * @param log - The log.
 * @param header - Of the record.
 * @param key - Its key.
 * @returns Where it is; undefined where there is none, or compaction took it.
 */
export function previousVersion(
  log: NamespaceLog,
  header: RecordHeader,
  key: Uint8Array,
): LogPlace | undefined {
  const { previousSegment: number, previousOffset: offset, serial } = header
  if (number === 0) return undefined
  const segment = log.segments.find((one) => one.firstNumber <= number && one.number >= number)
  if (!segment) return undefined
  if (segment.generation === 0) return { segment: number, offset }
  // Compaction moved it, and its place now is only known by looking: rare, and bounded by one segment.
  let newest: { place: LogPlace; serial: number } | undefined
  for (const found of scanSegment(segment.file, SEGMENT_HEADER_BYTES, { checkValues: false })) {
    if (found.kind !== 'record' || found.header.serial >= serial) continue
    if (!bytesEqual(found.key, key) || found.header.serial < (newest?.serial ?? 0)) continue
    const place = { segment: segment.number, offset: found.offset }
    newest = { place, serial: found.header.serial }
  }
  return newest?.place
}

function isNewest(log: NamespaceLog, { key, segment, offset }: WalkedRecord): boolean {
  const { index } = log
  const entry = index.find(key, 0, key.byteLength)
  if (entry < 0 || index.isDeleted(entry)) return false
  return index.segmentOf(entry) === segment && index.offsetOf(entry) === offset
}
