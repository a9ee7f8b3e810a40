/**
 * Walks the records of a segment from front to back, past damage.
 *
 * Where bytes are not a record it looks for the next record at multiples of 8, so that one damaged record does not take those
 * after it along. What damage means (a torn tail or a bad medium) is for recovery to decide.
 */
import type { DiskFile } from '../../base/disk.ts'
import { MIB } from '../../base/units.ts'
import {
  ALIGN_BYTES,
  type RecordHeader,
  readRecordStart,
  recordBytesOf,
  valueIsIntact,
  valueStartOf,
} from './record.ts'
import { SEGMENT_HEADER_BYTES } from './segment.ts'

/** Read at once: few calls for small records, little waste where values are skipped. */
const WINDOW_BYTES = MIB
/** Where values are not read, headers are fetched with this much, enough for many small records. */
const SKIM_BYTES = 16 * 1024

/** A record of a segment. */
export interface FoundRecord {
  readonly kind: 'record'
  readonly offset: number
  readonly bytes: number
  readonly header: RecordHeader
  /** A view that is valid until the next step. */
  readonly key: Uint8Array
  /** Likewise, where values are checked; else empty. */
  readonly value: Uint8Array
  /** False if values are checked and this one fails. */
  readonly isIntact: boolean
}

/** One record, or one stretch of bytes that is none. */
export type Found =
  | FoundRecord
  | { readonly kind: 'damage'; readonly offset: number; readonly bytes: number }

/**
 * Walks a segment.
 *
 * @param file - The segment's file.
 * @param from - Offset of a record, a multiple of 8.
 * @param options.checkValues - Whether to read and check values too.
 * @returns Records and damage in the order of the file, without gap, up to its end.
 * @throws NodeError `DISK_IO`.
 * @example
 * for (const found of scanSegment(file, SEGMENT_HEADER_BYTES, { checkValues: true })) ...
 */
export function* scanSegment(
  file: DiskFile,
  from: number,
  options: { readonly checkValues: boolean },
): Generator<Found> {
  const window = fileWindow(file, options.checkValues ? WINDOW_BYTES : SKIM_BYTES)
  let at = from
  let damageFrom = -1
  while (at < file.sizeBytes) {
    const found = recordAt(window, at, options.checkValues)
    if (!found) {
      if (damageFrom < 0) damageFrom = at
      at += ALIGN_BYTES
      continue
    }
    if (damageFrom >= 0) yield { kind: 'damage', offset: damageFrom, bytes: at - damageFrom }
    damageFrom = -1
    yield found
    at += found.bytes
  }
  if (damageFrom >= 0) {
    yield { kind: 'damage', offset: damageFrom, bytes: file.sizeBytes - damageFrom }
  }
}

/**
 * The stretches of a segment that are no intact records, by reading all of it.
 *
 * @param file - The segment's file.
 * @throws NodeError `DISK_IO`.
 */
export function* damagedStretches(
  file: DiskFile,
): Generator<{ readonly offset: number; readonly bytes: number }> {
  for (const found of scanSegment(file, SEGMENT_HEADER_BYTES, { checkValues: true })) {
    if (found.kind === 'damage' || !found.isIntact) yield found
  }
}

function recordAt(
  window: FileWindow,
  offset: number,
  checkValues: boolean,
): FoundRecord | undefined {
  let at = window.load(offset, 1)
  let start = readRecordStart(window.bytes, at, window.end)
  if (typeof start === 'number') {
    if (offset + start > window.fileBytes) return undefined
    at = window.load(offset, start)
    start = readRecordStart(window.bytes, at, window.end)
  }
  if (start === undefined || typeof start === 'number') return undefined
  const bytes = recordBytesOf(start.keyBytes, start.valueBytes)
  const valueStart = valueStartOf(start.keyBytes, start.valueBytes)
  // The padding after the last value may be missing if only that was torn off.
  if (offset + valueStart + start.valueBytes > window.fileBytes) return undefined
  let isIntact = true
  if (checkValues) {
    at = window.load(offset, valueStart + start.valueBytes)
    isIntact = valueIsIntact(start, window.bytes, at + valueStart)
  }
  const key = window.bytes.subarray(at + 40, at + 40 + start.keyBytes)
  const valueAt = at + valueStart
  const value = checkValues
    ? window.bytes.subarray(valueAt, valueAt + start.valueBytes)
    : window.bytes.subarray(0, 0)
  return { kind: 'record', offset, bytes, header: start, key, value, isIntact }
}

interface FileWindow {
  bytes: Uint8Array
  /** Bytes of the window that are filled. */
  end: number
  readonly fileBytes: number
  /** Makes `[offset, offset + bytes)` present as far as the file has it. @returns Where it starts in `bytes`. */
  load(offset: number, bytes: number): number
}

function fileWindow(file: DiskFile, sizeBytes: number): FileWindow {
  let from = 0
  const window: FileWindow = {
    bytes: new Uint8Array(sizeBytes),
    end: 0,
    fileBytes: file.sizeBytes,
    load(offset, bytes) {
      const wanted = Math.min(bytes, file.sizeBytes - offset)
      if (offset >= from && offset + wanted <= from + window.end) return offset - from
      if (wanted > window.bytes.byteLength) window.bytes = new Uint8Array(wanted * 2)
      from = offset
      window.end = file.read(window.bytes, offset)
      return 0
    },
  }
  return window
}
