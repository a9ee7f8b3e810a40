/**
 * Where the bytes of one file are: sorted, disjoint extents, found by binary search; what no extent covers is a hole.
 *
 * Four numbers an extent in one flat array (32 bytes, no object each), because a file of terabytes has millions:
 * start, length, source, and `within * 4 + kind`. Neighbours that continue each other become one.
 */
import { assert } from '../../base/assert.ts'
import type { ChunkReferences } from './chunk-references.ts'

/** Preallocated: reads as zeros, counts as allocated. */
export const ZERO = 0
/** Bytes of a stored chunk: `source` is its number, `within` the offset in it. */
export const CHUNK = 1
/** Bytes of the local journal: `source` is their position. */
export const JOURNAL = 2

/** Numbers an extent takes in the flat form. */
export const STRIDE = 4

/** One extent, for those who look at few of them. */
export interface Extent {
  readonly start: number
  readonly length: number
  readonly kind: number
  readonly source: number
  readonly within: number
}

/** The largest splice done with arguments on the stack. */
const SPLICE_NUMBERS_MAX = 4096

/** Extents of one file. Offsets and lengths are bytes. */
export class ExtentList {
  #flat: number[] = []
  #bytes = 0

  /** Number of extents. */
  get count(): number {
    return this.#flat.length / STRIDE
  }

  /** Bytes that extents cover. */
  get allocatedBytes(): number {
    return this.#bytes
  }

  /** Offset behind the last extent, 0 if there is none. */
  get endOffset(): number {
    const at = this.#flat.length - STRIDE
    return at < 0 ? 0 : num(this.#flat, at) + num(this.#flat, at + 1)
  }

  /** The `index`-th extent. */
  at(index: number): Extent {
    return extentAt(this.#flat, index * STRIDE)
  }

  /** Index of the first extent that ends behind `offset`; `count` if none does. */
  indexAt(offset: number): number {
    const flat = this.#flat
    let low = 0
    let high = flat.length / STRIDE
    while (low < high) {
      const middle = (low + high) >>> 1
      const at = middle * STRIDE
      if (num(flat, at) + num(flat, at + 1) > offset) high = middle
      else low = middle + 1
    }
    return low
  }

  /** Extents within `[start, end)`, cut to it, flat; holes are left out. */
  slice(start: number, end: number): number[] {
    const flat = this.#flat
    const out: number[] = []
    for (let at = this.indexAt(start) * STRIDE; at < flat.length; at += STRIDE) {
      const from = num(flat, at)
      if (from >= end) break
      pushClipped(out, flat, at, Math.max(from, start), Math.min(from + num(flat, at + 1), end))
    }
    return out
  }

  /** Bytes of `[start, end)` that extents cover. */
  coveredBytes(start: number, end: number): number {
    const flat = this.#flat
    let covered = 0
    for (let at = this.indexAt(start) * STRIDE; at < flat.length; at += STRIDE) {
      const from = num(flat, at)
      if (from >= end) break
      covered += Math.min(from + num(flat, at + 1), end) - Math.max(from, start)
    }
    return covered
  }

  /** The first offset `>= from` that holds written data (not a hole, not preallocated), undefined if none. */
  dataFrom(from: number): number | undefined {
    for (let index = this.indexAt(from); index < this.count; index++) {
      const extent = this.at(index)
      if (extent.kind !== ZERO) return Math.max(extent.start, from)
    }
    return undefined
  }

  /** The first offset `>= from` that holds no written data. */
  holeFrom(from: number): number {
    let offset = from
    for (let index = this.indexAt(from); index < this.count; index++) {
      const extent = this.at(index)
      if (extent.start > offset || extent.kind === ZERO) break
      offset = extent.start + extent.length
    }
    return offset
  }

  /**
   * Makes `[start, end)` hold exactly the given extents; the rest of it becomes a hole.
   *
   * @param start - `>= 0`.
   * @param end - `> start`.
   * @param inserted - Flat extents within the range, sorted and disjoint.
   * @param references - Told of chunks that gained and lost an extent.
   */
  replace(
    start: number,
    end: number,
    inserted: readonly number[],
    references: ChunkReferences,
  ): void {
    const flat = this.#flat
    assert(end > start, 'a replaced range is not empty')
    let first = this.indexAt(start)
    // A neighbour that ends where the range starts may merge with what comes.
    if (first > 0 && endAt(flat, (first - 1) * STRIDE) === start) first--
    let last = first
    while (last * STRIDE < flat.length && num(flat, last * STRIDE) <= end) last++

    const fresh: number[] = []
    for (let at = first * STRIDE; at < last * STRIDE; at += STRIDE) {
      const from = num(flat, at)
      if (from >= start) break
      pushClipped(fresh, flat, at, from, Math.min(endAt(flat, at), start))
    }
    for (let at = 0; at < inserted.length; at += STRIDE) {
      pushMerged(
        fresh,
        num(inserted, at),
        num(inserted, at + 1),
        num(inserted, at + 2),
        num(inserted, at + 3),
      )
    }
    for (let at = first * STRIDE; at < last * STRIDE; at += STRIDE) {
      const until = endAt(flat, at)
      if (until > end) pushClipped(fresh, flat, at, Math.max(num(flat, at), end), until)
    }
    this.#splice(first * STRIDE, last * STRIDE, fresh, references)
  }

  /** Forgets all extents. */
  clear(references: ChunkReferences): void {
    this.#splice(0, this.#flat.length, [], references)
  }

  #splice(from: number, to: number, fresh: number[], references: ChunkReferences): void {
    const flat = this.#flat
    for (let at = 0; at < fresh.length; at += STRIDE) {
      this.#bytes += num(fresh, at + 1)
      if (num(fresh, at + 3) % STRIDE === CHUNK) references.add(num(fresh, at + 2))
    }
    for (let at = from; at < to; at += STRIDE) {
      this.#bytes -= num(flat, at + 1)
      if (num(flat, at + 3) % STRIDE === CHUNK) references.drop(num(flat, at + 2))
    }
    if (from === flat.length) for (const value of fresh) flat.push(value)
    else if (fresh.length <= SPLICE_NUMBERS_MAX) flat.splice(from, to - from, ...fresh)
    else this.#flat = flat.slice(0, from).concat(fresh, flat.slice(to))
  }
}

/** The extent at a flat index. */
export function extentAt(flat: readonly number[], at: number): Extent {
  const detail = num(flat, at + 3)
  return {
    start: num(flat, at),
    length: num(flat, at + 1),
    source: num(flat, at + 2),
    kind: detail % STRIDE,
    within: Math.floor(detail / STRIDE),
  }
}

/** Appends an extent to a flat list, joined with the last one where it continues it. */
export function pushExtent(flat: number[], extent: Extent): void {
  pushMerged(flat, extent.start, extent.length, extent.source, extent.within * STRIDE + extent.kind)
}

function pushMerged(
  flat: number[],
  start: number,
  length: number,
  source: number,
  detail: number,
): void {
  const at = flat.length - STRIDE
  if (at >= 0 && endAt(flat, at) === start && continues(flat, at, source, detail)) {
    flat[at + 1] = num(flat, at + 1) + length
    return
  }
  flat.push(start, length, source, detail)
}

/** Whether the source of the extent at `at` goes on with `source` and `detail`. */
function continues(flat: readonly number[], at: number, source: number, detail: number): boolean {
  const kind = num(flat, at + 3) % STRIDE
  if (kind !== detail % STRIDE) return false
  const lastLength = num(flat, at + 1)
  const lastSource = num(flat, at + 2)
  if (kind === ZERO) return true
  if (kind === JOURNAL) return lastSource + lastLength === source
  return lastSource === source && num(flat, at + 3) + lastLength * STRIDE === detail
}

function pushClipped(
  out: number[],
  flat: readonly number[],
  at: number,
  from: number,
  until: number,
): void {
  const skipped = from - num(flat, at)
  const source = num(flat, at + 2)
  const detail = num(flat, at + 3)
  const kind = detail % STRIDE
  pushMerged(
    out,
    from,
    until - from,
    kind === JOURNAL ? source + skipped : source,
    kind === CHUNK ? detail + skipped * STRIDE : detail,
  )
}

function endAt(flat: readonly number[], at: number): number {
  return num(flat, at) + num(flat, at + 1)
}

function num(flat: readonly number[], at: number): number {
  const value = flat[at]
  assert(value !== undefined, 'an extent index is within the list')
  return value
}
