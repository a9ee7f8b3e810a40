/**
 * Reads a log in the order of its serials, for a replica: what is durable and still exists, a batch at a time, from wherever
 * the replica is. Catching up and keeping up are the same: a cursor over the segments, so a slow replica costs no memory.
 *
 * Compaction may replace segments between two batches; the cursor is a serial, and where its record is now is found anew.
 * Records that compaction took are passed over; their roots, which the tree kept, go along where there is a tree.
 */
import { concatBytes } from '../../../base/bytes.ts'
import { NodeError } from '../../../base/errors.ts'
import { KIB } from '../../../base/units.ts'
import type { Namespace } from '../namespace.ts'
import { readRecordStart, recordBytesOf, valueIsIntact, valueStartOf } from '../record.ts'
import { SEGMENT_HEADER_BYTES, type Segment } from '../segment.ts'

/** Read at once: large enough that calls do not count, small enough that others get their turn. */
const BATCH_BYTES = 256 * KIB
/** Roots of records that are gone, at most, in one batch: as many bytes as it has of records. */
const GONE_MAX = 8192

/** What comes next for a replica. */
export interface FeedBatch {
  /** Position before and after: `[from, next)` are in it or gone. */
  readonly from: number
  readonly next: number
  /** Records as they are on disk, one after another; valid until the next batch is read. */
  readonly records: Uint8Array
  /** Roots of the serials of `[from, next)` that no record has, in order; empty where there is no tree. */
  readonly goneRoots: Uint8Array
}

/** What was read of one segment. */
interface Stretch {
  readonly start: number
  readonly end: number
  readonly next: number
  readonly gone: readonly Gap[]
}

/** Serials that no record has. */
interface Gap {
  readonly first: number
  readonly count: number
}

/** A cursor over a namespace's log. */
export class RecordFeed {
  readonly #namespace: Namespace
  readonly #withRoots: boolean
  #position: number
  /** Where the next record is, as far as that is known. */
  #place: { readonly segment: Segment; readonly offset: number } | undefined
  #buffer = Buffer.alloc(0)

  /** @param options.withRoots - Whether the roots of records that are gone are wanted, where there is a tree. */
  constructor(namespace: Namespace, position: number, options: { readonly withRoots: boolean }) {
    this.#namespace = namespace
    this.#withRoots = options.withRoots
    this.#position = position
  }

  /** Everything before it was given out. */
  get position(): number {
    return this.#position
  }

  /**
   * Reads the next batch.
   *
   * @returns It; undefined once all that is durable and exists was given out.
   * @throws NodeError `LOG_RECORD_CORRUPT` at damage: what it held is unknown, and a replica that passed over it would serve
   *   older values. `DISK_IO`.
   */
  next(): FeedBatch | undefined {
    const { log } = this.#namespace
    const limit = log.durable
    while (this.#position < limit) {
      const segment = this.#locate()
      if (!segment) return undefined
      const stretch = this.#read(segment, limit)
      if (stretch) return this.#batchOf(stretch)
      if (!this.#moveOn(segment)) return undefined
    }
    return undefined
  }

  /** The segment in which to go on. */
  #locate(): Segment | undefined {
    const { segments } = this.#namespace.log
    const known = this.#place
    if (known && segments.includes(known.segment)) return known.segment
    let at = segments.length - 1
    while (at > 0 && (segments[at] as Segment).firstSerial > this.#position) at--
    const segment = segments[at]
    this.#place = segment && { segment, offset: SEGMENT_HEADER_BYTES }
    return segment
  }

  /** Goes to the segment after this one. @returns False if there is none. */
  #moveOn(segment: Segment): boolean {
    const { segments } = this.#namespace.log
    const next = segments[segments.indexOf(segment) + 1]
    if (!next) return false
    this.#place = { segment: next, offset: SEGMENT_HEADER_BYTES }
    return true
  }

  /** Reads records of one segment, up to a batch. @returns Undefined if it holds no more below the limit. */
  #read(segment: Segment, limit: number): Stretch | undefined {
    const place = this.#place as { readonly segment: Segment; readonly offset: number }
    const isProvable = this.#withRoots && this.#namespace.tree !== undefined
    let from = place.offset
    let loaded = this.#load(segment, from, BATCH_BYTES)
    let at = 0
    let start = -1
    let next = this.#position
    const gone: Gap[] = []
    let goneCount = 0
    while (from + at < segment.file.sizeBytes) {
      const header = readRecordStart(this.#buffer, at, loaded)
      if (header === undefined) throw damaged(segment, from + at)
      const needed =
        typeof header === 'number'
          ? header
          : valueStartOf(header.keyBytes, header.valueBytes) + header.valueBytes
      if (at + needed > loaded) {
        // Whole records so far make a batch; a record longer than the buffer gets one of its own.
        if (start >= 0) break
        if (from + at + needed > segment.file.sizeBytes) throw damaged(segment, from + at)
        from += at
        at = 0
        loaded = this.#load(segment, from, Math.max(BATCH_BYTES, needed))
        continue
      }
      if (typeof header === 'number') throw damaged(segment, from + at)
      if (header.serial >= limit) break
      const bytes = recordBytesOf(header.keyBytes, header.valueBytes)
      if (header.serial < this.#position) {
        at += bytes
        continue
      }
      const valueStart = at + valueStartOf(header.keyBytes, header.valueBytes)
      if (!valueIsIntact(header, this.#buffer, valueStart)) throw damaged(segment, from + at)
      if (isProvable) {
        const count = Math.min(header.serial - next, GONE_MAX - goneCount)
        if (count > 0) gone.push({ first: next, count })
        goneCount += count
        next += count
        if (next < header.serial) break
      }
      if (start < 0) start = at
      next = header.serial + 1
      // The zeros behind the last record of a file may be missing after a crash.
      if (at + bytes > loaded) this.#buffer.fill(0, loaded, at + bytes)
      at += bytes
    }
    this.#place = { segment, offset: from + at }
    if (next === this.#position) return undefined
    return { start: Math.max(start, 0), end: start < 0 ? 0 : at, next, gone }
  }

  #batchOf({ start, end, next, gone }: Stretch): FeedBatch {
    const tree = this.#withRoots ? this.#namespace.tree : undefined
    const goneRoots = concatBytes(
      tree ? gone.map(({ first, count }) => tree.leavesFrom(first, count)) : [],
    )
    const from = this.#position
    this.#position = next
    return { from, next, records: this.#buffer.subarray(start, end), goneRoots }
  }

  /** Brings bytes of a segment into the buffer. @returns How many there are. */
  #load(segment: Segment, offset: number, bytes: number): number {
    // Room for the zeros behind a last record too.
    if (this.#buffer.byteLength < bytes + 8) this.#buffer = Buffer.allocUnsafeSlow(bytes + 8)
    else if (bytes === BATCH_BYTES && this.#buffer.byteLength > 2 * BATCH_BYTES) {
      this.#buffer = Buffer.allocUnsafeSlow(BATCH_BYTES + 8)
    }
    return segment.file.read(this.#buffer.subarray(0, bytes), offset)
  }
}

function damaged(segment: Segment, offset: number): NodeError {
  return new NodeError('LOG_RECORD_CORRUPT', `damage in ${segment.name} at ${offset}`, {
    details: { segment: segment.name, offset },
  })
}
