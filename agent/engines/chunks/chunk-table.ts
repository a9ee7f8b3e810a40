/**
 * The table of durable chunks: number, pack, place, lengths and hash in typed arrays, found by number and by hash.
 *
 * Columns are in pages, so that growing copies nothing; a row takes 53 bytes and its slot in the index about 7. Rows are in
 * ascending order of number and released ones leave no gap after a restore, so memory follows the rows that exist and not
 * the numbers that a hostile table names.
 */
import { assert, required } from '../../base/assert.ts'
import { HASH_BYTES } from './chunk-cipher.ts'

/** Rows of a page: small volumes stay below a megabyte. */
const PAGE_ROWS = 16384
const INDEX_SLOTS_MIN = 4096
/** The index grows above this share of slots in use. */
const INDEX_LOAD_MAX = 0.6
const EMPTY = 0
const GONE = 0xffffffff

/** Chunks of a volume at most: row numbers are 32 bits and two values are taken. */
export const CHUNKS_MAX = 0xfffffff0

/** A chunk as the table describes it. */
export interface ChunkRow {
  readonly number: number
  readonly pack: number
  readonly offset: number
  readonly storedBytes: number
  readonly plainBytes: number
  readonly flags: number
  readonly hash: Uint8Array
}

interface Page {
  readonly number: Uint32Array
  readonly pack: Uint32Array
  readonly offset: Uint32Array
  readonly stored: Uint32Array
  readonly plain: Uint32Array
  readonly flags: Uint8Array
  readonly hash: Uint8Array
}

/** Flag of rows whose chunk was released; never leaves this module. */
const RELEASED = 0x80

/** Chunks by number and by content. */
export class ChunkTable {
  readonly #pages: Page[] = []
  #rows = 0
  #live = 0
  #index = new Uint32Array(INDEX_SLOTS_MIN)
  #indexUsed = 0
  readonly #factors: Uint32Array

  /** @param secret - `[8]` words that nobody outside knows, so that no content can be made to crowd one part of the index. */
  constructor(secret: Uint32Array) {
    this.#factors = secret.map((word) => word | 1)
  }

  /** Chunks that are not released. */
  get size(): number {
    return this.#live
  }

  /** Bytes of typed arrays held, for metrics. */
  get memoryBytes(): number {
    return this.#pages.length * PAGE_ROWS * (5 * 4 + 1 + HASH_BYTES) + this.#index.byteLength
  }

  /**
   * Adds a chunk.
   *
   * @param row - Its number is above all before it.
   */
  add(row: ChunkRow): void {
    assert(this.#rows === 0 || row.number > this.#numberAt(this.#rows - 1), 'numbers ascend')
    const at = this.#rows % PAGE_ROWS
    if (at === 0 && this.#pages.length * PAGE_ROWS === this.#rows) this.#pages.push(newPage())
    const page = this.#page(this.#rows)
    page.number[at] = row.number
    page.pack[at] = row.pack
    page.offset[at] = row.offset
    page.stored[at] = row.storedBytes
    page.plain[at] = row.plainBytes
    page.flags[at] = row.flags
    page.hash.set(row.hash, at * HASH_BYTES)
    this.#rows++
    this.#live++
    this.#insert(this.#rows - 1)
  }

  /** The chunk of that number, or undefined if there is none or it was released. The hash is a view. */
  get(number: number): ChunkRow | undefined {
    const row = this.#find(number)
    return row === undefined ? undefined : this.#read(row)
  }

  /** Number of the live chunk with this content, or undefined. */
  find(hash: Uint8Array): number | undefined {
    const mask = this.#index.length - 1
    for (let slot = this.#slotOf(hash); ; slot = (slot + 1) & mask) {
      const entry = at32(this.#index, slot)
      if (entry === EMPTY) return undefined
      if (entry !== GONE && this.#hashEquals(entry - 1, hash)) return this.#numberAt(entry - 1)
    }
  }

  /**
   * Takes a chunk out.
   *
   * @returns What it was, or undefined if it was not there.
   */
  release(number: number): ChunkRow | undefined {
    const row = this.#find(number)
    if (row === undefined) return undefined
    const released = this.#read(row)
    const mask = this.#index.length - 1
    for (let slot = this.#slotOf(released.hash); ; slot = (slot + 1) & mask) {
      const entry = at32(this.#index, slot)
      if (entry === EMPTY) break
      if (entry === row + 1) {
        this.#index[slot] = GONE
        break
      }
    }
    const page = this.#page(row)
    page.flags[row % PAGE_ROWS] = released.flags | RELEASED
    this.#live--
    return { ...released, hash: released.hash.slice() }
  }

  /** Moves a chunk to another place. */
  move(number: number, pack: number, offset: number): void {
    const row = required(this.#find(number), 'only a live chunk moves')
    const page = this.#page(row)
    page.pack[row % PAGE_ROWS] = pack
    page.offset[row % PAGE_ROWS] = offset
  }

  /** Live chunks in ascending order of number. Hashes are views. */
  *rows(): Generator<ChunkRow> {
    for (let row = 0; row < this.#rows; row++) {
      if ((at8(this.#page(row).flags, row % PAGE_ROWS) & RELEASED) === 0) yield this.#read(row)
    }
  }

  /** Forgets everything. */
  clear(): void {
    this.#pages.length = 0
    this.#rows = 0
    this.#live = 0
    this.#index = new Uint32Array(INDEX_SLOTS_MIN)
    this.#indexUsed = 0
  }

  #find(number: number): number | undefined {
    let low = 0
    let high = this.#rows
    // Numbers are dense but for what was released, so the row is at most `number`, mostly just there.
    if (number < this.#rows && this.#numberAt(number) === number) low = high = number
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#numberAt(middle) < number) low = middle + 1
      else high = middle
    }
    if (low >= this.#rows || this.#numberAt(low) !== number) return undefined
    return (at8(this.#page(low).flags, low % PAGE_ROWS) & RELEASED) === 0 ? low : undefined
  }

  #insert(row: number): void {
    if ((this.#indexUsed + 1) / this.#index.length > INDEX_LOAD_MAX) this.#rebuildIndex()
    else this.#place(row)
  }

  #rebuildIndex(): void {
    let slots = INDEX_SLOTS_MIN
    while (this.#live / slots > INDEX_LOAD_MAX / 2) slots *= 2
    this.#index = new Uint32Array(slots)
    this.#indexUsed = 0
    for (let row = 0; row < this.#rows; row++) {
      if ((at8(this.#page(row).flags, row % PAGE_ROWS) & RELEASED) === 0) this.#place(row)
    }
  }

  #place(row: number): void {
    const mask = this.#index.length - 1
    let slot = this.#slotOf(this.#hashAt(row))
    while (at32(this.#index, slot) !== EMPTY) slot = (slot + 1) & mask
    this.#index[slot] = row + 1
    this.#indexUsed++
  }

  #slotOf(hash: Uint8Array): number {
    let sum = 0
    for (let word = 0; word < 8; word++) {
      const at = word * 4
      const value =
        at8(hash, at) |
        (at8(hash, at + 1) << 8) |
        (at8(hash, at + 2) << 16) |
        (at8(hash, at + 3) << 24)
      sum = (sum + Math.imul(value, at32(this.#factors, word))) | 0
      sum = (sum << 7) | (sum >>> 25)
    }
    const mixed = Math.imul(sum ^ (sum >>> 16), 0x9e3779b1)
    return (mixed ^ (mixed >>> 15)) & (this.#index.length - 1)
  }

  #hashEquals(row: number, hash: Uint8Array): boolean {
    const page = this.#page(row).hash
    const from = (row % PAGE_ROWS) * HASH_BYTES
    for (let at = 0; at < HASH_BYTES; at++) if (page[from + at] !== hash[at]) return false
    return true
  }

  #read(row: number): ChunkRow {
    const page = this.#page(row)
    const at = row % PAGE_ROWS
    return {
      number: at32(page.number, at),
      pack: at32(page.pack, at),
      offset: at32(page.offset, at),
      storedBytes: at32(page.stored, at),
      plainBytes: at32(page.plain, at),
      flags: at8(page.flags, at),
      hash: this.#hashAt(row),
    }
  }

  #hashAt(row: number): Uint8Array {
    const from = (row % PAGE_ROWS) * HASH_BYTES
    return this.#page(row).hash.subarray(from, from + HASH_BYTES)
  }

  #numberAt(row: number): number {
    return at32(this.#page(row).number, row % PAGE_ROWS)
  }

  #page(row: number): Page {
    return required(this.#pages[Math.floor(row / PAGE_ROWS)], 'a row has a page')
  }
}

function newPage(): Page {
  return {
    number: new Uint32Array(PAGE_ROWS),
    pack: new Uint32Array(PAGE_ROWS),
    offset: new Uint32Array(PAGE_ROWS),
    stored: new Uint32Array(PAGE_ROWS),
    plain: new Uint32Array(PAGE_ROWS),
    flags: new Uint8Array(PAGE_ROWS),
    hash: new Uint8Array(PAGE_ROWS * HASH_BYTES),
  }
}

function at32(words: Uint32Array, index: number): number {
  return words[index] ?? 0
}

function at8(bytes: Uint8Array, index: number): number {
  return bytes[index] ?? 0
}
