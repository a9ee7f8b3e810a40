/**
 * Blocks of segments in memory, so that a small value that is read again costs a copy instead of a system call.
 *
 * What is written to a segment never changes, so blocks are never stale; only whole blocks below the written end are kept.
 * A block is loaded the second time it is asked for while its place remembers the first: reads all over a log
 * much larger than the cache then stay single reads. Checksums are verified after the copy, as for reads from the disk.
 */
import type { HugePages } from '../../base/ports.ts'
import { MIB } from '../../base/units.ts'

/** Small, so that a block that is used once costs little; large enough for tens of small records. */
export const BLOCK_CACHE_BLOCK_BYTES = 8192
const BLOCK_BITS = 13
/** Longer values are read straight to where they go: the copy saves little. */
export const CACHED_VALUE_BYTES_MAX = 2048
/** Memory is taken in pieces of this size as it is needed, and of these in huge pages where the system has them. */
const PIECE_BYTES = 8 * MIB
const BLOCKS_A_PIECE = PIECE_BYTES / BLOCK_CACHE_BLOCK_BYTES
const NONE = -1

/** Where blocks are loaded from. */
export interface BlockSource {
  read(into: Uint8Array, offset: number): number
}

/** A cache for all segments of a store. */
export class BlockCache {
  readonly #places: number
  readonly #tags: Float64Array
  /** What was asked for last at a place, without being there. */
  readonly #asked: Float64Array
  readonly #pieces: (Buffer | undefined)[]
  readonly #hugePages: HugePages | undefined
  #lastFile = 0

  /**
   * @param sizeBytes - Most memory for blocks, a power of two of at least 1 MiB, or 0 for no cache.
   * @param hugePages - Told of that memory.
   */
  constructor(sizeBytes: number, hugePages?: HugePages) {
    this.#hugePages = hugePages
    this.#places = Math.floor(sizeBytes / BLOCK_CACHE_BLOCK_BYTES)
    this.#tags = new Float64Array(this.#places).fill(NONE)
    this.#asked = new Float64Array(this.#places).fill(NONE)
    this.#pieces = new Array(Math.ceil(sizeBytes / PIECE_BYTES)).fill(undefined)
  }

  /** A number that names a file in this cache and is never used again. */
  nextFile(): number {
    return ++this.#lastFile
  }

  /**
   * Copies bytes of a file if their blocks are here or should be.
   *
   * @param file - Number of the file, from {@link BlockCache.nextFile}.
   * @param source - The file, to load blocks from.
   * @param writtenBytes - Bytes of the file that will not change.
   * @returns False if nothing was copied.
   */
  copy(
    file: number,
    source: BlockSource,
    writtenBytes: number,
    offset: number,
    into: Buffer,
    at: number,
    bytes: number,
  ): boolean {
    if (this.#places === 0) return false
    let from = offset
    let to = at
    let left = bytes
    while (left > 0) {
      const block = from >>> BLOCK_BITS
      const within = from & (BLOCK_CACHE_BLOCK_BYTES - 1)
      const take = Math.min(left, BLOCK_CACHE_BLOCK_BYTES - within)
      const place = this.#placeOf(file, block)
      const tag = file * 2 ** 24 + block
      if (this.#tags[place] !== tag && !this.#load(place, tag, source, block, writtenBytes)) {
        return false
      }
      const piece = this.#pieces[Math.floor(place / BLOCKS_A_PIECE)] as Buffer
      const start = (place % BLOCKS_A_PIECE) * BLOCK_CACHE_BLOCK_BYTES + within
      piece.copy(into, to, start, start + take)
      from += take
      to += take
      left -= take
    }
    return true
  }

  #placeOf(file: number, block: number): number {
    // Neighbouring blocks go to neighbouring places; files start all over the cache.
    return (Math.imul(file, 0x9e3779b1) + block) & (this.#places - 1)
  }

  #load(
    place: number,
    tag: number,
    source: BlockSource,
    block: number,
    writtenBytes: number,
  ): boolean {
    if ((block + 1) * BLOCK_CACHE_BLOCK_BYTES > writtenBytes) return false
    if (this.#asked[place] !== tag) {
      this.#asked[place] = tag
      return false
    }
    const number = Math.floor(place / BLOCKS_A_PIECE)
    let piece = this.#pieces[number]
    if (!piece) {
      const memory = new ArrayBuffer(PIECE_BYTES)
      this.#hugePages?.want(memory)
      piece = Buffer.from(memory)
      this.#pieces[number] = piece
    }
    const start = (place % BLOCKS_A_PIECE) * BLOCK_CACHE_BLOCK_BYTES
    const view = piece.subarray(start, start + BLOCK_CACHE_BLOCK_BYTES)
    this.#tags[place] = NONE
    if (source.read(view, block * BLOCK_CACHE_BLOCK_BYTES) < view.byteLength) return false
    this.#tags[place] = tag
    return true
  }
}
