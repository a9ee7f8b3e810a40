/**
 * Takes what nothing points to any more out of a log, while it serves.
 *
 * Neighbouring segments are copied, without their dead records, into one that stands for them; a rename switches over,
 * and then the old files go. At every point a crash leaves either the old segments or the new one. A deletion goes
 * only when the run begins at the oldest segment, because then nothing older is left that it hides. The extra disk it
 * needs is bounded: what one run copies is at most one segment.
 */
import type { Disk, DiskFile } from '../../base/disk.ts'
import { MIB } from '../../base/units.ts'
import { HintWriter } from './hint-file.ts'
import { recordBytesOf } from './record.ts'
import type { Entry } from './record-index.ts'
import { type FoundRecord, scanSegment } from './scan-segment.ts'
import {
  encodeSegmentHeader,
  SEGMENT_HEADER_BYTES,
  type Segment,
  type SegmentHeader,
  segmentName,
} from './segment.ts'

/** Copied at once before others get their turn: a millisecond or two. */
const SLICE_BYTES = MIB
/** The name of a segment that is not yet valid. */
export const UNFINISHED_COMPACTION = 'compaction.tmp'

/** Says of a record that nobody wants it. */
export const UNWANTED = -2

/** A record that was moved. */
export interface Move {
  /** Its entry in the index, or -1 for what is kept without one: history, and deletions that hide something older. */
  readonly entry: Entry
  readonly fromSegment: number
  readonly fromOffset: number
  readonly toOffset: number
  readonly bytes: number
}

/** What one run did, before it is switched over. */
export interface CompactionResult {
  readonly header: SegmentHeader
  readonly name: string
  readonly file: DiskFile
  readonly moves: Move[]
  readonly hint: HintWriter
}

/** What a run needs to know. */
export interface CompactionOptions {
  readonly disk: Disk
  readonly directory: string
  /** Oldest first, full, durable. */
  readonly segments: readonly Segment[]
  readonly endSerial: number
  readonly nextSeq: number
  readonly nowMs: number
  /** The entry of a record that is the newest of its key, -1 if it is wanted all the same, or {@link UNWANTED}. */
  readonly wantedEntry: (segment: Segment, record: FoundRecord) => Entry
  /** Lets others have their turn. */
  readonly breathe: () => Promise<void>
}

/**
 * Picks the segments of the next run.
 *
 * @param segments - All that are full and durable, oldest first.
 * @param segmentBytes - Size of a segment.
 * @param deadShareMin - Share of dead bytes from which a segment is worth it, `0..1`.
 * @param nowMs - Time, for what is wanted up to a time only.
 * @returns Neighbours whose wanted bytes fit in one segment, from the first that is worth it on; none if none is. None that is
 *   damaged: what is in it and cannot be found by reading may still be found by the index.
 */
export function segmentsToCompact(
  segments: readonly Segment[],
  segmentBytes: number,
  deadShareMin: number,
  nowMs: number,
): Segment[] {
  const first = segments.findIndex(
    (one) => !one.isDamaged && deadBytesOf(one, nowMs) > deadShareMin * one.file.sizeBytes,
  )
  if (first < 0) return []
  const run: Segment[] = []
  let liveBytes = SEGMENT_HEADER_BYTES
  for (const segment of segments.slice(first)) {
    const wantedBytes = wantedBytesOf(segment, nowMs)
    if (segment.isDamaged) break
    if (run.length > 0 && liveBytes + wantedBytes > segmentBytes) break
    run.push(segment)
    liveBytes += wantedBytes
  }
  return run
}

/** Bytes of a segment that nobody wants any more at a time. */
export function deadBytesOf(segment: Segment, nowMs: number): number {
  const wantedBytes = wantedBytesOf(segment, nowMs)
  return Math.max(0, segment.file.sizeBytes - SEGMENT_HEADER_BYTES - wantedBytes)
}

function wantedBytesOf({ liveBytes, held }: Segment, nowMs: number): number {
  return nowMs / 1000 > held.until ? Math.max(0, liveBytes - held.bytes) : liveBytes
}

/**
 * Copies what is wanted into a new file and makes it durable; the log is not changed yet.
 *
 * @param options - Which segments, and what is wanted.
 * @returns The new segment and where each record went; undefined where one of the segments is damaged, which is then marked so.
 * @throws NodeError `DISK_*`.
 */
export async function copyWanted(
  options: CompactionOptions,
): Promise<CompactionResult | undefined> {
  const { disk, directory, segments, breathe } = options
  const header = headerOf(options)
  const path = `${directory}/${UNFINISHED_COMPACTION}`
  disk.remove(path)
  const file = disk.open(path, 'new')
  const name = segmentName(header.number, header.generation)
  const hint = new HintWriter(disk, directory, { name })
  try {
    file.write([encodeSegmentHeader(header)], 0)
    const moves: Move[] = []
    let end = SEGMENT_HEADER_BYTES
    let sinceBreath = 0
    for (const segment of segments) {
      for (const found of scanSegment(segment.file, SEGMENT_HEADER_BYTES, { checkValues: false })) {
        if (found.kind !== 'record') {
          segment.isDamaged = true
          file.close()
          hint.abandon()
          return undefined
        }
        const { key, offset } = found
        const { kind, valueBytes, valueCrc } = found.header
        const entry = options.wantedEntry(segment, found)
        if (entry === UNWANTED) continue
        const bytes = recordBytesOf(key.byteLength, valueBytes)
        const record = new Uint8Array(bytes)
        segment.file.read(record, offset)
        file.write([record], end)
        const fromSegment = segment.number
        moves.push({ entry, fromSegment, fromOffset: offset, toOffset: end, bytes })
        hint.add(kind, end, valueBytes, valueCrc, key, 0, key.byteLength)
        hint.mark()
        end += bytes
        sinceBreath += bytes
        if (sinceBreath < SLICE_BYTES) continue
        sinceBreath = 0
        await breathe()
      }
      await breathe()
    }
    await file.sync()
    return { header, name, file, moves, hint }
  } catch (caught) {
    file.close()
    hint.abandon()
    throw caught
  }
}

/**
 * Makes the copy valid: from here on it stands for the segments it was made of.
 *
 * @param options - As for {@link copyWanted}.
 * @param result - What it gave.
 * @throws NodeError `DISK_*`.
 */
export async function switchOver(
  options: CompactionOptions,
  result: CompactionResult,
): Promise<void> {
  const { disk, directory } = options
  disk.rename(`${directory}/${UNFINISHED_COMPACTION}`, `${directory}/${result.name}`)
  await disk.syncDirectory(directory)
}

function headerOf(options: CompactionOptions): SegmentHeader {
  const first = options.segments[0] as Segment
  const last = options.segments.at(-1) as Segment
  return {
    number: last.number,
    firstNumber: first.firstNumber,
    generation: Math.max(...options.segments.map((one) => one.generation)) + 1,
    createdMs: options.nowMs,
    firstSerial: first.firstSerial,
    endSerial: options.endSerial,
    nextSeq: options.nextSeq,
  }
}
