/**
 * Keeps count of what the index points to: bytes of live values, live bytes of each segment, and which segments have
 * something replaced in them. Takes records out of the index again whose write failed.
 */
import { assert } from '../../base/assert.ts'
import type { Arena } from './arena.ts'
import type { LogFiles } from './log-files.ts'
import {
  HEADER_BYTES,
  KIND_DELETE,
  type RecordHeader,
  readRecordStart,
  recordBytesOf,
} from './record.ts'
import type { Entry, RecordIndex } from './record-index.ts'
import type { RecordReader } from './record-reader.ts'
import { NOTHING_HELD } from './segment.ts'

/** The counts of one log. */
export class LiveBytes {
  /** Bytes of all live values. */
  valueBytes: number
  /** Segments in which something was replaced or deleted since this was last reset. */
  readonly dirtySegments = new Set<number>()
  readonly #index: RecordIndex
  readonly #files: LogFiles

  constructor(index: RecordIndex, files: LogFiles, valueBytes: number) {
    this.#index = index
    this.#files = files
    this.valueBytes = valueBytes
  }

  /** A key's newest record is about to be another. */
  release(entry: Entry): void {
    const index = this.#index
    if (index.isDeleted(entry)) return
    this.valueBytes -= index.valueBytesOf(entry)
    const segment = this.#files.find(index.segmentOf(entry))
    if (!segment) return
    segment.liveBytes -= recordBytesOf(index.keyBytesOf(entry), index.valueBytesOf(entry))
    this.dirtySegments.add(segment.number)
  }

  /** Counts the segments' live bytes anew: what compaction kept for history counted as live, and may have had its time. */
  recount(): void {
    const index = this.#index
    for (const segment of this.#files.segments) {
      segment.liveBytes = 0
      segment.held = NOTHING_HELD
    }
    for (let entry = index.nextEntry(0); entry >= 0; entry = index.nextEntry(entry + 1)) {
      const segment = this.#files.find(index.segmentOf(entry))
      if (!segment) continue
      segment.liveBytes += recordBytesOf(index.keyBytesOf(entry), index.valueBytesOf(entry))
    }
  }

  /** Takes the records of the arena back out of the index, newest first. */
  takeBack(arena: Arena, reader: RecordReader): void {
    const { bytes, usedBytes } = arena
    const starts: number[] = []
    for (let at = 0; at < usedBytes; ) {
      const header = readRecordStart(bytes, at, usedBytes)
      assert(typeof header === 'object', 'the arena holds whole records')
      starts.push(at)
      at += recordBytesOf(header.keyBytes, header.valueBytes)
    }
    for (const at of starts.reverse()) this.#takeBackRecord(bytes, at, usedBytes, reader)
  }

  #takeBackRecord(bytes: Buffer, at: number, end: number, reader: RecordReader): void {
    const index = this.#index
    const header = readRecordStart(bytes, at, end) as RecordHeader
    const keyStart = at + HEADER_BYTES
    const keyEnd = keyStart + header.keyBytes
    let entry = index.find(bytes, keyStart, keyEnd)
    if (entry >= 0) this.release(entry)
    if (header.previousSegment === 0) {
      if (entry >= 0) index.remove(entry)
      return
    }
    const { previousSegment, previousOffset } = header
    const previous = reader.headerAt(previousSegment, previousOffset)
    const wasDeleted = previous.kind === KIND_DELETE
    if (entry < 0) entry = index.add(bytes, keyStart, keyEnd)
    const { valueBytes, valueCrc } = previous
    index.place(entry, previousSegment, previousOffset, valueBytes, valueCrc, wasDeleted)
    if (wasDeleted) return
    this.valueBytes += valueBytes
    const segment = this.#files.find(previousSegment)
    if (segment) segment.liveBytes += recordBytesOf(previous.keyBytes, valueBytes)
  }
}
