/**
 * What one dispersal will store and commit, frozen at the cut while writes go on.
 *
 * Metadata is encoded at once; of data only the places are noted, because the journal keeps the bytes until the commit is
 * safe. Short runs of chunks next to new data are stored again with it: a log that grows by a few bytes every few seconds would
 * otherwise crumble into chunks of a few bytes.
 */
import { assert, required } from '../../base/assert.ts'
import { NodeError } from '../../base/errors.ts'
import { encodeInodeChanges, type FileContent, type RangeContent } from './commit-format.ts'
import { COALESCE_BYTES_MAX, SMALL_RUN_BYTES, STORE_BATCH_BYTES } from './constants.ts'
import {
  CHUNK,
  type Extent,
  type ExtentList,
  extentAt,
  JOURNAL,
  pushExtent,
  STRIDE,
} from './extent-list.ts'
import type { Ino } from './file-system.ts'
import type { ByteSource, ChunkNumber, ChunkRun } from './ports.ts'
import type { InodeChange, Tree } from './tree.ts'

/** A contiguous part of a file to store. */
export interface PlannedSource {
  readonly start: number
  readonly end: number
  /** Its extents at the cut: in the journal, or short runs of chunks. */
  readonly flat: readonly number[]
  /** Set once stored. */
  runs: readonly ChunkRun[] | undefined
}

/** A changed range of a file at the cut. */
export interface PlannedRange {
  readonly start: number
  readonly end: number
  readonly flat: readonly number[]
  /** Its parts that hold new data, ascending. */
  sources: PlannedSource[]
}

/** A file whose content changed. */
export interface PlannedFile {
  readonly ino: Ino
  readonly ranges: readonly PlannedRange[]
}

/** Everything a round needs. */
export interface RoundPlan {
  readonly inodes: Uint8Array
  readonly removed: readonly Ino[]
  readonly dropped: readonly ChunkNumber[]
  readonly nextIno: Ino
  readonly files: readonly PlannedFile[]
}

/** Freezes what changed since the last cut. */
export function planRound(tree: Tree): RoundPlan {
  const changes = tree.takeChanges()
  const files: PlannedFile[] = []
  for (const [ino, change] of changes.changed) {
    const ranges = planRanges(tree.extents(ino), change)
    if (ranges.length > 0) files.push({ ino, ranges })
  }
  return {
    inodes: encodeInodeChanges(tree, changes),
    removed: [...changes.removed],
    dropped: [...tree.references.takeDropped(), ...replacedChunks(tree, files)],
    nextIno: tree.nextIno,
    files,
  }
}

/** All ranges of a plan, in order. */
export function rangesOf(plan: RoundPlan): PlannedRange[] {
  return plan.files.flatMap((file) => file.ranges)
}

/** The file contents of the commit, after all sources were stored. */
export function storedContents(plan: RoundPlan): FileContent[] {
  return plan.files.map(({ ino, ranges }) => ({ ino, ranges: ranges.map(storedRange) }))
}

/** Reads a source from the journal and from chunks fetched before. */
export class PlannedBytes implements ByteSource {
  readonly lengthBytes: number
  readonly #source: PlannedSource
  readonly #readJournal: (position: number, into: Uint8Array) => void
  readonly #chunks: ReadonlyMap<ChunkNumber, Uint8Array>

  constructor(
    source: PlannedSource,
    readJournal: (position: number, into: Uint8Array) => void,
    chunks: ReadonlyMap<ChunkNumber, Uint8Array>,
  ) {
    this.lengthBytes = source.end - source.start
    this.#source = source
    this.#readJournal = readJournal
    this.#chunks = chunks
  }

  read(offset: number, into: Uint8Array): void {
    const from = this.#source.start + offset
    const until = from + into.byteLength
    const { flat } = this.#source
    for (let at = firstBehind(flat, from); at < flat.length; at += STRIDE) {
      const extent = extentAt(flat, at)
      if (extent.start >= until) break
      const start = Math.max(extent.start, from)
      const end = Math.min(extent.start + extent.length, until)
      const target = into.subarray(start - from, end - from)
      const skipped = start - extent.start
      if (extent.kind === JOURNAL) this.#readJournal(extent.source + skipped, target)
      else {
        const chunk = required(this.#chunks.get(extent.source), 'a coalesced chunk was fetched')
        const within = extent.within + skipped
        target.set(chunk.subarray(within, within + target.byteLength))
      }
    }
  }
}

/** Chunks that a source takes in. */
export function chunksOf(source: PlannedSource): ChunkNumber[] {
  return chunksIn(source.flat)
}

/** Chunks of flat extents, one for each extent. */
export function chunksIn(flat: readonly number[]): ChunkNumber[] {
  const chunks: ChunkNumber[] = []
  for (let at = 0; at < flat.length; at += STRIDE) {
    const extent = extentAt(flat, at)
    if (extent.kind === CHUNK) chunks.push(extent.source)
  }
  return chunks
}

/** The same source without the chunks at its ends, which could not be fetched; they stay as they are. */
export function withoutChunks(source: PlannedSource): PlannedSource[] {
  const parts: PlannedSource[] = []
  let flat: number[] = []
  const close = () => {
    if (flat.length === 0) return
    const start = required(flat[0], 'an extent')
    const last = extentAt(flat, flat.length - STRIDE)
    parts.push({ start, end: last.start + last.length, flat, runs: undefined })
    flat = []
  }
  for (let at = 0; at < source.flat.length; at += STRIDE) {
    const extent = extentAt(source.flat, at)
    if (extent.kind === CHUNK) close()
    else pushExtent(flat, extent)
  }
  close()
  return parts
}

/** Checks that runs cover what was to be stored. @throws NodeError `IO`: a chunk store that breaks its word. */
export function checkRuns(source: PlannedSource, runs: readonly ChunkRun[]): void {
  const stored = runs.reduce((sum, run) => sum + run.lengthBytes, 0)
  if (stored === source.end - source.start && runs.every((run) => run.lengthBytes > 0)) return
  throw new NodeError('IO', 'the chunk store returned runs that do not cover the range')
}

function planRanges(list: ExtentList | undefined, change: InodeChange): PlannedRange[] {
  const ranges: { start: number; end: number }[] = []
  for (const [start, end] of change.ranges?.ranges() ?? []) {
    const wide = list ? widen(list, start, end) : { start, end }
    const last = ranges.at(-1)
    if (last && wide.start <= last.end) last.end = Math.max(last.end, wide.end)
    else ranges.push(wide)
  }
  return ranges.map(({ start, end }) => {
    const flat = list?.slice(start, end) ?? []
    return { start, end, flat, sources: planSources(flat) }
  })
}

/** Chunks that nothing refers to once their bytes are stored anew with their neighbours. */
function replacedChunks(tree: Tree, files: readonly PlannedFile[]): ChunkNumber[] {
  const taken = new Map<ChunkNumber, number>()
  for (const { ranges } of files) {
    for (const { sources } of ranges) {
      for (const chunk of sources.flatMap(chunksOf)) taken.set(chunk, (taken.get(chunk) ?? 0) + 1)
    }
  }
  return [...taken.keys()].filter((chunk) => taken.get(chunk) === tree.references.count(chunk))
}

/** Takes in short runs of chunks that touch new data at either end. */
function widen(list: ExtentList, start: number, end: number): { start: number; end: number } {
  let from = start
  let until = end
  let left = COALESCE_BYTES_MAX
  let index = list.indexAt(start)
  if (index < list.count && list.at(index).kind === JOURNAL && list.at(index).start <= start) {
    for (index--; index >= 0; index--) {
      const before = list.at(index)
      if (before.start + before.length !== from || !isSmallRun(before) || before.length > left)
        break
      from = before.start
      left -= before.length
    }
  }
  index = list.indexAt(end - 1)
  if (index < list.count && list.at(index).kind === JOURNAL && list.at(index).start < end) {
    for (index++; index < list.count; index++) {
      const after = list.at(index)
      if (after.start !== until || !isSmallRun(after) || after.length > left) break
      until = after.start + after.length
      left -= after.length
    }
  }
  return { start: from, end: until }
}

function isSmallRun(extent: { kind: number; length: number }): boolean {
  return extent.kind === CHUNK && extent.length < SMALL_RUN_BYTES
}

/** Cuts the extents of a range into contiguous parts that hold new data, none longer than a batch. */
function planSources(extents: readonly number[]): PlannedSource[] {
  const sources: PlannedSource[] = []
  let flat: number[] = []
  let start = 0
  let end = 0
  const close = () => {
    if (hasJournal(flat)) sources.push({ start, end, flat, runs: undefined })
    flat = []
  }
  for (let at = 0; at < extents.length; at += STRIDE) {
    let rest: Extent | undefined = extentAt(extents, at)
    if (rest.kind !== JOURNAL && rest.kind !== CHUNK) continue
    if (rest.start !== end) close()
    while (rest) {
      if (flat.length === 0) start = rest.start
      const [head, tail]: [Extent, Extent | undefined] = splitExtent(
        rest,
        start + STORE_BATCH_BYTES,
      )
      pushExtent(flat, head)
      end = head.start + head.length
      if (tail) close()
      rest = tail
    }
    if (end - start === STORE_BATCH_BYTES) close()
  }
  close()
  return sources
}

/** The parts of an extent before and behind an offset; the second is missing if nothing is behind. */
function splitExtent(extent: Extent, offset: number): [Extent, Extent | undefined] {
  const length = offset - extent.start
  if (length >= extent.length) return [extent, undefined]
  return [
    { ...extent, length },
    {
      start: offset,
      length: extent.length - length,
      kind: extent.kind,
      source: extent.kind === JOURNAL ? extent.source + length : extent.source,
      within: extent.kind === CHUNK ? extent.within + length : 0,
    },
  ]
}

function hasJournal(flat: readonly number[]): boolean {
  for (let at = 0; at < flat.length; at += STRIDE) {
    if (extentAt(flat, at).kind === JOURNAL) return true
  }
  return false
}

function storedRange(range: PlannedRange): RangeContent {
  const flat: number[] = []
  let next = 0
  let coveredTo = range.start
  const pushSourcesUpTo = (offset: number) => {
    for (let source = range.sources[next]; source && source.start <= offset; ) {
      pushRuns(flat, source)
      coveredTo = source.end
      source = range.sources[++next]
    }
  }
  for (let at = 0; at < range.flat.length; at += STRIDE) {
    const extent = extentAt(range.flat, at)
    pushSourcesUpTo(extent.start)
    if (extent.start < coveredTo) continue
    assert(extent.kind !== JOURNAL, 'all data in the journal was stored')
    pushExtent(flat, extent)
  }
  pushSourcesUpTo(range.end)
  return { start: range.start, end: range.end, flat }
}

function pushRuns(flat: number[], source: PlannedSource): void {
  let offset = source.start
  for (const run of required(source.runs, 'a source was stored')) {
    pushExtent(flat, {
      start: offset,
      length: run.lengthBytes,
      kind: CHUNK,
      source: run.chunk,
      within: 0,
    })
    offset += run.lengthBytes
  }
}

/** Flat index of the first extent that ends behind `offset`. */
function firstBehind(flat: readonly number[], offset: number): number {
  let low = 0
  let high = flat.length / STRIDE
  while (low < high) {
    const middle = (low + high) >>> 1
    const extent = extentAt(flat, middle * STRIDE)
    if (extent.start + extent.length > offset) high = middle
    else low = middle + 1
  }
  return low * STRIDE
}
