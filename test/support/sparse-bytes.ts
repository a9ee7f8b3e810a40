/** The bytes of one file in memory, with holes: a map of blocks, of which those that are missing read as zeros. */

/** Granularity of allocation and of holes. */
export const SPARSE_BLOCK_BYTES = 64 * 1024

const BLOCK = SPARSE_BLOCK_BYTES

/** A growable byte string with holes. */
export class SparseBytes {
  readonly #blocks = new Map<number, Uint8Array>()
  #sizeBytes = 0

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  get allocatedBytes(): number {
    return this.#blocks.size * BLOCK
  }

  /** Bytes that writing the range would allocate. */
  newBytes(offset: number, length: number): number {
    let blocks = 0
    for (const index of blocksOf(offset, length)) if (!this.#blocks.has(index)) blocks++
    return blocks * BLOCK
  }

  read(offset: number, into: Uint8Array): number {
    const length = Math.max(0, Math.min(into.byteLength, this.#sizeBytes - offset))
    for (let done = 0; done < length; ) {
      const [index, within] = [Math.floor((offset + done) / BLOCK), (offset + done) % BLOCK]
      const part = Math.min(length - done, BLOCK - within)
      const block = this.#blocks.get(index)
      if (block) into.set(block.subarray(within, within + part), done)
      else into.fill(0, done, done + part)
      done += part
    }
    return length
  }

  write(offset: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.byteLength; ) {
      const [index, within] = [Math.floor((offset + done) / BLOCK), (offset + done) % BLOCK]
      const part = Math.min(bytes.byteLength - done, BLOCK - within)
      this.#block(index).set(bytes.subarray(done, done + part), within)
      done += part
    }
    this.#sizeBytes = Math.max(this.#sizeBytes, offset + bytes.byteLength)
  }

  resize(sizeBytes: number): void {
    if (sizeBytes < this.#sizeBytes) {
      const first = Math.ceil(sizeBytes / BLOCK)
      for (const index of [...this.#blocks.keys()]) if (index >= first) this.#blocks.delete(index)
      this.#blocks.get(first - 1)?.fill(0, sizeBytes - (first - 1) * BLOCK)
    }
    this.#sizeBytes = sizeBytes
  }

  allocate(offset: number, length: number): void {
    for (const index of blocksOf(offset, length)) this.#block(index)
  }

  punch(offset: number, length: number): void {
    const end = offset + length
    for (const index of [...this.#blocks.keys()]) {
      const [start, stop] = [index * BLOCK, (index + 1) * BLOCK]
      if (stop <= offset || start >= end) continue
      if (start >= offset && stop <= end) this.#blocks.delete(index)
      else
        this.#blocks.get(index)?.fill(0, Math.max(0, offset - start), Math.min(BLOCK, end - start))
    }
  }

  /** First offset `>= offset` that holds data, or undefined past the last. */
  nextData(offset: number): number | undefined {
    if (offset >= this.#sizeBytes) return undefined
    if (this.#blocks.has(Math.floor(offset / BLOCK))) return offset
    let next = Number.POSITIVE_INFINITY
    for (const index of this.#blocks.keys())
      if (index * BLOCK > offset) next = Math.min(next, index)
    return next * BLOCK < this.#sizeBytes ? next * BLOCK : undefined
  }

  /** First offset `>= offset` in a hole, of which one is at the end; undefined past the end. */
  nextHole(offset: number): number | undefined {
    if (offset >= this.#sizeBytes) return undefined
    let index = Math.floor(offset / BLOCK)
    if (!this.#blocks.has(index)) return offset
    while (this.#blocks.has(index)) index++
    return Math.min(index * BLOCK, this.#sizeBytes)
  }

  #block(index: number): Uint8Array {
    const found = this.#blocks.get(index)
    if (found) return found
    const made = new Uint8Array(BLOCK)
    this.#blocks.set(index, made)
    return made
  }
}

function* blocksOf(offset: number, length: number): Iterable<number> {
  const last = Math.ceil((offset + length) / BLOCK)
  for (let index = Math.floor(offset / BLOCK); index < last; index++) yield index
}
