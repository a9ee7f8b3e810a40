/**
 * The bytes of a log: its segments, the one that is being written, and behind its end the records that wait in memory.
 *
 * Whoever reads need not know which of them holds a byte. Nothing here knows what is durable; that is `log-commit.ts`.
 */
import { assert } from '../../base/assert.ts'
import { Arena } from './arena.ts'
import { type BlockCache, CACHED_VALUE_BYTES_MAX } from './block-cache.ts'
import { deadBytesOf } from './compaction.ts'
import { hintPath } from './hint-file.ts'
import type { LogPorts } from './ports.ts'
import { ALIGN_BYTES } from './record.ts'
import { createSegment, SEGMENT_HEADER_BYTES, type Segment } from './segment.ts'

/** What the files of a log are opened with. */
export interface LogFilesOptions {
  readonly ports: LogPorts
  readonly directory: string
  readonly cache: BlockCache
  readonly segmentBytes: number
  readonly readOnly: boolean
}

/** A part of a segment, to be read from front to back. */
export interface LogStretch {
  readonly segment: number
  readonly name: string
  readonly fromOffset: number
  readonly toOffset: number
  /** Serial that follows all that the segment holds. */
  readonly endSerial: number
  /** True for the segment that is being written. */
  readonly isActive: boolean
}

/** The zeros that bring a record to a multiple of 8. */
export const PADDING = new Uint8Array(ALIGN_BYTES)

/** The files of a log and the tail in memory. */
export class LogFiles {
  readonly arena = new Arena()
  /** Ascending by number. */
  readonly segments: Segment[]
  /** The segment that takes the next record, if it has room. */
  active: Segment | undefined
  /** Bytes of the active segment that are in its file. */
  writtenBytes = 0
  /** Bytes of all segments, arena included. */
  dataBytes = 0
  readonly #options: LogFilesOptions
  readonly #byNumber = new Map<number, Segment>()

  constructor(options: LogFilesOptions, segments: Segment[]) {
    this.#options = options
    this.segments = segments
    for (const segment of segments) {
      segment.cacheFile = options.cache.nextFile()
      this.#byNumber.set(segment.number, segment)
      this.dataBytes += segment.file.sizeBytes
    }
    const last = segments.at(-1)
    if (last && last.generation === 0 && last.file.sizeBytes < options.segmentBytes) {
      this.active = last
      this.writtenBytes = last.file.sizeBytes
      this.#padActive(last)
    }
  }

  find(number: number): Segment | undefined {
    return this.#byNumber.get(number)
  }

  /** Share of all bytes that nobody wants any more. */
  get deadShare(): number {
    const nowMs = this.#options.ports.clock.now()
    const dead = this.segments.reduce((sum, segment) => sum + deadBytesOf(segment, nowMs), 0)
    return this.dataBytes === 0 ? 0 : dead / this.dataBytes
  }

  get liveBytes(): number {
    return this.segments.reduce((sum, segment) => sum + segment.liveBytes, 0)
  }

  /** Records before this serial may be gone by compaction. */
  get compactedSerial(): number {
    return this.segments.reduce((max, segment) => Math.max(max, segment.endSerial), 0)
  }

  /** Where the part that is in files ends. */
  get end(): { readonly segment: number; readonly offset: number } {
    return {
      segment: this.active?.number ?? this.segments.at(-1)?.number ?? 0,
      offset: this.writtenBytes,
    }
  }

  /** Starts the next segment and makes it the active one. @throws NodeError `DISK_*`. */
  open(firstSerial: number, nextSeq: number, dirtySegments: ReadonlySet<number>): Segment {
    const number = (this.segments.at(-1)?.number ?? 0) + 1
    const { ports, directory, cache } = this.#options
    const segment = createSegment(ports.disk, directory, {
      number,
      firstNumber: number,
      generation: 0,
      createdMs: ports.clock.now(),
      firstSerial,
      endSerial: 0,
      nextSeq,
    })
    segment.cacheFile = cache.nextFile()
    this.#tellOfJump(segment, dirtySegments)
    this.segments.push(segment)
    this.#byNumber.set(number, segment)
    this.active = segment
    this.writtenBytes = segment.file.sizeBytes
    this.dataBytes += segment.file.sizeBytes
    return segment
  }

  /** Writes at the end of the active segment; on failure the end is where it was. @throws NodeError `DISK_*`. */
  append(parts: readonly Uint8Array[]): void {
    const active = this.active as Segment
    active.file.write(parts, this.writtenBytes)
    this.writtenBytes = active.file.sizeBytes
  }

  /** Forgets what waits in memory and cuts off what a failed write left behind the end. @throws NodeError `DISK_*`. */
  cutBack(): void {
    this.arena.usedBytes = 0
    this.active?.file.truncate(this.writtenBytes)
  }

  /** Counts the bytes of the segments anew. */
  recount(): void {
    this.dataBytes = this.segments.reduce((sum, one) => sum + one.file.sizeBytes, 0)
  }

  /**
   * Puts a segment in the place of those that it stands for, and removes their files.
   *
   * @returns Bytes given back to the disk.
   */
  replace(run: readonly Segment[], segment: Segment): number {
    const { ports, directory } = this.#options
    let freedBytes = -segment.file.sizeBytes
    for (const old of run) {
      freedBytes += old.file.sizeBytes
      this.#byNumber.delete(old.number)
      old.file.close()
      ports.disk.remove(hintPath(directory, old))
      ports.disk.remove(`${directory}/${old.name}`)
    }
    this.#byNumber.set(segment.number, segment)
    this.segments.splice(this.segments.indexOf(run[0] as Segment), run.length, segment)
    this.dataBytes -= freedBytes
    return freedBytes
  }

  /** Reads from a segment, or from the arena what is not yet in it. @returns Bytes read. */
  read(segment: number, offset: number, into: Buffer, at: number, bytes: number): number {
    const { active } = this
    if (active && segment === active.number && offset >= this.writtenBytes) {
      const { arena } = this
      const from = offset - this.writtenBytes
      return arena.bytes.copy(into, at, from, Math.min(from + bytes, arena.usedBytes))
    }
    const found = active && segment === active.number ? active : this.#byNumber.get(segment)
    assert(found, 'the index points into segments that exist')
    if (bytes <= CACHED_VALUE_BYTES_MAX) {
      const { cache } = this.#options
      const { cacheFile, file } = found
      if (cache.copy(cacheFile, file, file.sizeBytes, offset, into, at, bytes)) return bytes
    }
    return found.file.read(into, offset, at, bytes)
  }

  /** Tells whether an offset may be that of a record. */
  holds(segment: number, offset: number): boolean {
    const found = this.#byNumber.get(segment)
    if (!found || offset < SEGMENT_HEADER_BYTES || offset % ALIGN_BYTES !== 0) return false
    const isActive = found === this.active
    const end = isActive ? this.writtenBytes + this.arena.usedBytes : found.file.sizeBytes
    return offset < end
  }

  /**
   * The part of a segment in which a record is.
   *
   * @param serial - Count of records before it, `< written`.
   * @param known - Where the one before it ends, if that is known; segment 0 if not.
   * @param written - Count of records in files.
   * @returns Where to look for it; up to the end of what is written.
   */
  stretchFrom(
    serial: number,
    known: { readonly segment: number; readonly offset: number },
    written: number,
  ): LogStretch {
    let at = this.segments.length - 1
    while (at > 0 && (this.segments[at] as Segment).firstSerial > serial) at--
    const found = this.segments[at] as Segment
    const isActive = found === this.active
    const toOffset = isActive ? this.writtenBytes : found.file.sizeBytes
    const isKnown = found.number === known.segment && known.offset < toOffset
    return {
      segment: found.number,
      name: found.name,
      fromOffset: isKnown ? known.offset : SEGMENT_HEADER_BYTES,
      toOffset,
      endSerial: this.segments[at + 1]?.firstSerial ?? written,
      isActive,
    }
  }

  close(): void {
    for (const segment of this.segments) segment.file.close()
  }

  /** With 0-db's arguments: the file that is full, the one that follows, and for the index what was replaced where. */
  #tellOfJump(next: Segment, dirtySegments: ReadonlySet<number>): void {
    const { ports, directory } = this.#options
    const last = this.segments.at(-1)
    if (!last || !ports.onEvent) return
    const hints = [hintPath(directory, last), hintPath(directory, next)]
    ports.onEvent('jump-index', [...hints, dirtyList(dirtySegments)])
    ports.onEvent('jump-data', [`${directory}/${last.name}`, `${directory}/${next.name}`])
  }

  /** Brings the end of the file to a multiple of 8, where a crash tore off padding only. */
  #padActive(active: Segment): void {
    const rest = this.writtenBytes % ALIGN_BYTES
    if (rest === 0 || this.#options.readOnly) return
    active.file.write([PADDING.subarray(0, ALIGN_BYTES - rest)], this.writtenBytes)
    this.writtenBytes = active.file.sizeBytes
  }
}

/** Numbers of segments as 0-db's hooks get them: ascending, separated by spaces. */
export function dirtyList(segments: ReadonlySet<number>): string {
  return [...segments].sort((a, b) => a - b).join(' ')
}
