/**
 * Finds the segments of a log on disk.
 *
 * A header that cannot be read is made again from the file's name and records, each of which is checked on its own: the header says
 * nothing that they and the neighbours do not. What a guess would have to destroy is set aside instead.
 */
import type { Disk, DiskFile } from '../../base/disk.ts'
import type { Log } from '../../base/ports.ts'
import { UNFINISHED_COMPACTION } from './compaction.ts'
import { hintPath } from './hint-file.ts'
import { scanSegment } from './scan-segment.ts'
import {
  decodeSegmentHeader,
  encodeSegmentHeader,
  NOTHING_HELD,
  SEGMENT_HEADER_BYTES,
  type Segment,
} from './segment.ts'

const SEGMENT_NAME = /^(\d{8})\.(\d+)\.seg$/

/** Where segments are looked for. */
export interface SegmentsPlace {
  readonly disk: Disk
  readonly directory: string
  /** True where nothing may be changed on disk. */
  readonly readOnly: boolean
  readonly log: Log
}

/** A segment as found. */
export interface FoundSegment {
  readonly segment: Segment
  /** Its header was damaged, and is what name, records and neighbours say. */
  readonly isGuessed: boolean
}

/**
 * Opens what is a segment and not replaced by another; removes what compaction left behind.
 *
 * @returns Ascending by number.
 * @throws NodeError `DISK_*`.
 */
export function openSegments(place: SegmentsPlace): FoundSegment[] {
  const { disk, directory, readOnly } = place
  if (!readOnly) disk.remove(`${directory}/${UNFINISHED_COMPACTION}`)
  const found = disk
    .list(directory)
    .flatMap((name) => openSegment(place, name) ?? [])
    .sort((a, b) => a.segment.number - b.segment.number)
  const known = found.map((one, at) => (one.isGuessed ? withNeighbours(found, at) : one))
  const dead = known.filter((one) => known.some((other) => replaces(other, one)))
  for (const one of dead) {
    one.segment.file.close()
    if (readOnly) continue
    disk.remove(hintPath(directory, one.segment))
    // What replaces it may say so by a guess.
    if (known.some((other) => other.isGuessed && replaces(other, one))) {
      setAside(place, one.segment.name)
    } else disk.remove(`${directory}/${one.segment.name}`)
  }
  return known.filter((one) => !dead.includes(one))
}

/** Keeps a file that is not of the log under another name. */
export function setAside({ disk, directory }: SegmentsPlace, name: string): void {
  disk.rename(`${directory}/${name}`, `${directory}/${name}.cut`)
}

/**
 * Writes a header anew where it was damaged; not durable before the next sync of the segment.
 *
 * @throws NodeError `DISK_*`.
 */
export function mendHeader({ readOnly, directory, log }: SegmentsPlace, segment: Segment): void {
  log.error({ directory, segment: segment.name }, 'header of a segment was damaged, and is mended')
  if (!readOnly) segment.file.write([encodeSegmentHeader(segment)], 0)
}

function openSegment(place: SegmentsPlace, name: string): FoundSegment | undefined {
  const match = SEGMENT_NAME.exec(name)
  if (!match) return undefined
  const { disk, directory, readOnly, log } = place
  const [number, generation] = [Number(match[1]), Number(match[2])]
  const file = disk.open(`${directory}/${name}`, readOnly ? 'read' : 'write')
  const rest = { name, file, liveBytes: 0, held: NOTHING_HELD, cacheFile: 0 }
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES)
  const read = file.read(bytes, 0)
  const header = decodeSegmentHeader(bytes.subarray(0, read))
  if (header?.number === number && header.generation === generation) {
    return { segment: { ...header, ...rest }, isGuessed: false }
  }
  const firstSerial = firstSerialIn(file)
  if (firstSerial !== undefined) {
    const guess = { number, generation, firstNumber: number, createdMs: 0, nextSeq: 0 }
    return { segment: { ...guess, firstSerial, endSerial: 0, ...rest }, isGuessed: true }
  }
  file.close()
  log.warn({ directory, name }, 'segment without header or records left aside')
  if (!readOnly) setAside(place, name)
  return undefined
}

function firstSerialIn(file: DiskFile): number | undefined {
  for (const found of scanSegment(file, SEGMENT_HEADER_BYTES, { checkValues: true })) {
    if (found.kind === 'record') return found.header.serial
  }
  return undefined
}

/** What the neighbours tell of a segment that compaction wrote: it stands for all numbers between them. */
function withNeighbours(found: readonly FoundSegment[], at: number): FoundSegment {
  const { segment } = found[at] as FoundSegment
  if (segment.generation === 0) return { segment, isGuessed: true }
  const before = found.slice(0, at).findLast((one) => one.segment.number < segment.number)
  const behind = found.slice(at + 1).find((one) => one.segment.number > segment.number)
  const firstNumber = (before?.segment.number ?? 0) + 1
  return {
    segment: { ...segment, firstNumber, endSerial: behind?.segment.firstSerial ?? 0 },
    isGuessed: true,
  }
}

function replaces({ segment: newer }: FoundSegment, { segment: older }: FoundSegment): boolean {
  return (
    newer.generation > older.generation &&
    newer.firstNumber <= older.firstNumber &&
    newer.number >= older.number
  )
}
