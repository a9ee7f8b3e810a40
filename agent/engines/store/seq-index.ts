/**
 * The index of a sequential namespace: keys are 8-byte little-endian numbers handed out in order, so that an entry *is* its
 * key and nothing is hashed or stored besides the place of the record: 16 bytes a key.
 */
import { assert } from '../../base/assert.ts'
import type { HugePages } from '../../base/ports.ts'
import { startsWith } from './first-keys.ts'
import type { Entry, RecordIndex } from './record-index.ts'

/** Bytes of a sequential key. */
export const SEQ_KEY_BYTES = 8

const ENTRY_WORDS = 4
const SEGMENT = 0
const OFFSET = 1
const LENGTH = 2
const CRC = 3
const DELETED = 0x80000000
const CHUNK_BITS = 17
const CHUNK_MASK = (1 << CHUNK_BITS) - 1
const FIRST_ENTRIES = 64

/**
 * Makes an empty index for sequential keys.
 *
 * @param hugePages - Told of its memory.
 * @returns The index.
 * @example
 * const index = seqIndex()
 */
export function seqIndex(hugePages?: HugePages): RecordIndex {
  return new SeqIndex(hugePages)
}

/**
 * Reads a sequential key.
 *
 * @param key - Where it is.
 * @param start - Its first byte.
 * @param end - After its last byte.
 * @returns The number, or -1 if it is not one that can have been handed out.
 * @example
 * seqNumberOf(Buffer.of(1, 0, 0, 0, 0, 0, 0, 0), 0, 8) // 1
 */
export function seqNumberOf(key: Uint8Array, start: number, end: number): number {
  if (end - start !== SEQ_KEY_BYTES) return -1
  const view = new DataView(key.buffer, key.byteOffset + start, SEQ_KEY_BYTES)
  const high = view.getUint32(4, true)
  return high >= 2 ** 20 ? -1 : view.getUint32(0, true) + high * 2 ** 32
}

/**
 * Writes a sequential key.
 *
 * @param number - `>= 0`.
 * @returns 8 bytes.
 * @example
 * seqKeyOf(1) // 01 00 00 00 00 00 00 00
 */
export function seqKeyOf(number: number): Uint8Array {
  const key = new Uint8Array(SEQ_KEY_BYTES)
  const view = new DataView(key.buffer)
  view.setUint32(0, number >>> 0, true)
  view.setUint32(4, Math.floor(number / 2 ** 32), true)
  return key
}

class SeqIndex implements RecordIndex {
  readonly #chunks: (Uint32Array | undefined)[] = []
  readonly #hugePages: HugePages | undefined
  #end = 0
  liveKeys = 0

  constructor(hugePages: HugePages | undefined) {
    this.#hugePages = hugePages
  }

  get memoryBytes(): number {
    return this.#chunks.reduce((sum, chunk) => sum + (chunk?.byteLength ?? 0), 0)
  }

  find(key: Uint8Array, start: number, end: number): Entry {
    const entry = seqNumberOf(key, start, end)
    return entry >= 0 && entry < this.#end && this.segmentOf(entry) !== 0 ? entry : -1
  }

  add(key: Uint8Array, start: number, end: number): Entry {
    const entry = seqNumberOf(key, start, end)
    assert(entry >= 0, 'a sequential key has 8 bytes')
    this.#ensure(entry)
    return entry
  }

  remove(entry: Entry): void {
    if (!this.isDeleted(entry)) this.liveKeys--
    this.#chunk(entry).fill(0, this.#at(entry), this.#at(entry) + ENTRY_WORDS)
  }

  place(
    entry: Entry,
    segment: number,
    offset: number,
    valueBytes: number,
    valueCrc: number,
    isDeleted: boolean,
  ): void {
    const words = this.#chunk(entry)
    const at = this.#at(entry)
    const wasLive = words[at + SEGMENT] !== 0 && (words[at + LENGTH] as number) < DELETED
    if (wasLive === isDeleted) this.liveKeys += isDeleted ? -1 : 1
    words[at + SEGMENT] = segment
    words[at + OFFSET] = offset
    words[at + LENGTH] = isDeleted ? DELETED : valueBytes
    words[at + CRC] = valueCrc
  }

  segmentOf(entry: Entry): number {
    // Undefined in a first chunk that never grew to its end: nothing was written there.
    return this.#chunk(entry)[this.#at(entry) + SEGMENT] ?? 0
  }

  offsetOf(entry: Entry): number {
    return this.#chunk(entry)[this.#at(entry) + OFFSET] as number
  }

  valueBytesOf(entry: Entry): number {
    return (this.#chunk(entry)[this.#at(entry) + LENGTH] as number) & 0x7fffffff
  }

  valueCrcOf(entry: Entry): number {
    return this.#chunk(entry)[this.#at(entry) + CRC] as number
  }

  isDeleted(entry: Entry): boolean {
    const words = this.#chunk(entry)
    const at = this.#at(entry)
    return words[at + SEGMENT] === 0 || (words[at + LENGTH] as number) >= DELETED
  }

  keyBytesOf(): number {
    return SEQ_KEY_BYTES
  }

  keyOf(entry: Entry): Uint8Array {
    return seqKeyOf(entry)
  }

  nextEntry(from: Entry): Entry {
    for (let entry = from; entry < this.#end; entry++) if (this.segmentOf(entry) !== 0) return entry
    return -1
  }

  /** Ascending in number, which for little-endian keys is the order of time and not of bytes. */
  listKeys(prefix: Uint8Array, after: Uint8Array | undefined, limit: number): Uint8Array[] {
    const keys: Uint8Array[] = []
    let entry = after ? seqNumberOf(after, 0, after.byteLength) + 1 : 0
    while (keys.length < limit) {
      entry = this.nextEntry(entry)
      if (entry < 0) break
      const key = seqKeyOf(entry)
      if (!this.isDeleted(entry) && startsWith(key, prefix)) keys.push(key)
      entry++
    }
    return keys
  }

  #chunk(entry: Entry): Uint32Array {
    return this.#chunks[Math.floor(entry / (CHUNK_MASK + 1))] ?? EMPTY_CHUNK
  }

  #at(entry: Entry): number {
    return (entry & CHUNK_MASK) * ENTRY_WORDS
  }

  #ensure(entry: Entry): void {
    const number = Math.floor(entry / (CHUNK_MASK + 1))
    const needed = ((entry & CHUNK_MASK) + 1) * ENTRY_WORDS
    const chunk = this.#chunks[number]
    if (!chunk || chunk.length < needed) {
      const first = number === 0 ? FIRST_ENTRIES : CHUNK_MASK + 1
      let entries = chunk ? chunk.length / ENTRY_WORDS : first
      while (entries * ENTRY_WORDS < needed) entries *= 2
      const larger = new Uint32Array(entries * ENTRY_WORDS)
      this.#hugePages?.want(larger.buffer)
      if (chunk) larger.set(chunk)
      this.#chunks[number] = larger
    }
    if (entry >= this.#end) this.#end = entry + 1
  }
}

/** Stands for chunks in which no key was written. */
const EMPTY_CHUNK = new Uint32Array((CHUNK_MASK + 1) * ENTRY_WORDS)
