/**
 * How many extents refer to each chunk, so that the last one to go lets the chunk be released.
 *
 * Chunk numbers are handed out one after another, so four bytes in a page found by number replace a hash map.
 */
import { assert } from '../../base/assert.ts'

const PAGE_CHUNKS = 4096

/** Reference counts by chunk number. */
export class ChunkReferences {
  readonly #pages = new Map<number, Uint32Array>()
  #dropped = new Set<number>()

  /** An extent refers to the chunk now. */
  add(chunk: number): void {
    const page = this.#page(chunk)
    const at = chunk % PAGE_CHUNKS
    page[at] = (page[at] ?? 0) + 1
  }

  /** An extent refers to it no longer. */
  drop(chunk: number): void {
    const page = this.#page(chunk)
    const at = chunk % PAGE_CHUNKS
    const count = page[at] ?? 0
    assert(count > 0, 'a dropped chunk was referred to')
    page[at] = count - 1
    if (count === 1) this.#dropped.add(chunk)
  }

  /** Extents that refer to the chunk. */
  count(chunk: number): number {
    return this.#pages.get(Math.floor(chunk / PAGE_CHUNKS))?.[chunk % PAGE_CHUNKS] ?? 0
  }

  /** Chunks that lost their last reference since the last call and have none now. */
  takeDropped(): number[] {
    const dropped = [...this.#dropped].filter((chunk) => this.count(chunk) === 0)
    this.#dropped = new Set()
    return dropped
  }

  /** A commit refers to the chunk; if no extent here does any more, the next commit drops it. */
  committed(chunk: number): void {
    if (this.count(chunk) === 0) this.#dropped.add(chunk)
  }

  /** The chunk was released: {@link ChunkReferences.takeDropped} need not name it again. */
  released(chunk: number): void {
    this.#dropped.delete(chunk)
  }

  #page(chunk: number): Uint32Array {
    const number = Math.floor(chunk / PAGE_CHUNKS)
    let page = this.#pages.get(number)
    if (!page) {
      page = new Uint32Array(PAGE_CHUNKS)
      this.#pages.set(number, page)
    }
    return page
  }
}
