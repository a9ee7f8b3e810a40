/**
 * The index of a namespace with user keys: open addressing over typed arrays, keys included.
 *
 * A slot takes 8 bytes at a load of 3/8 to 3/4, an entry 16 and its key: at most 64 bytes beyond the key. A lookup reads
 * a slot and an entry, each anywhere. So short keys lie in their entries, whose size the first key decides, since the keys of a
 * namespace are mostly alike; others lie in chunks of their own. All of it is wanted in huge pages.
 *
 * Slots are split over 64 tables, so that growing one moves 1/64 of the keys at a time and no request waits for all of them.
 * Entries and keys live in chunks that are never moved once they are full-sized.
 */
import { assert } from '../../base/assert.ts'
import type { HugePages } from '../../base/ports.ts'
import { firstKeys } from './first-keys.ts'
import type { Entry, RecordIndex } from './record-index.ts'

const TABLES = 64
const TABLE_SHIFT = 26
const SLOTS_MIN = 8

/** Words of an entry. */
const SEGMENT = 0
const OFFSET = 1
/** Value length in the low 31 bits, deleted in the highest. */
const LENGTH = 2
const CRC = 3
/** The key: a byte with its length, then its bytes; or a zero byte, and in the word after it where the key lies. */
const KEY = 4
const DELETED = 0x80000000
/** A key of this length has its place in the entry if the first one has. */
const INLINE_KEY_BYTES_MAX = 19
const ELSEWHERE_WORDS = 2
/** In place of a key; no key in an entry is 255 bytes long. */
const FREE = 0xffffffff

const ENTRY_CHUNK_BITS = 17
const ENTRIES_A_CHUNK = 1 << ENTRY_CHUNK_BITS
const ENTRY_MASK = ENTRIES_A_CHUNK - 1
const FIRST_ENTRIES = 64

/** Keys are addressed in units of 4 bytes, so that a u32 reaches 16 GiB of them. */
const KEY_CHUNK_BITS = 20
const KEY_UNITS_A_CHUNK = 1 << KEY_CHUNK_BITS
const KEY_MASK = KEY_UNITS_A_CHUNK - 1
const FIRST_KEY_UNITS = 256
const NO_KEY = 0xffffffff
const NO_ENTRY = 0xffffffff

/**
 * Makes an empty index for user keys.
 *
 * @param seed - Random u32, so that nobody can foretell which keys collide.
 * @param hugePages - Told of its memory.
 * @returns The index.
 * @example
 * const index = keyIndex(chance.below(2 ** 32))
 */
export function keyIndex(seed: number, hugePages?: HugePages): RecordIndex {
  return new KeyIndex(seed, hugePages)
}

/** Memory for tables of one length, of which each takes its part when it grows. */
interface Generation {
  readonly words: Uint32Array
  /** Tables that have not taken theirs. */
  left: number
}

class KeyIndex implements RecordIndex {
  readonly #seed: number
  readonly #hugePages: HugePages | undefined
  readonly #tables: Uint32Array[] = []
  /** By length of a table; gone once every table has left the one before. */
  readonly #generations = new Map<number, Generation>()
  /** Slots in use, by table. */
  readonly #used = new Uint32Array(TABLES)
  /** Words of an entry; known once there is a key. */
  #entryWords = 0
  readonly #entries: Uint32Array[] = []
  /** The same memory by bytes. */
  readonly #entryBytes: Uint8Array[] = []
  #entriesEnd = 0
  #freeEntry = NO_ENTRY
  /** Keys that are not in their entries. */
  readonly #keys: Uint8Array[] = []
  #keysEnd = 0
  /** First free key of each length in units; a free key holds the address of the next. */
  readonly #freeKeys = new Uint32Array(65).fill(NO_KEY)
  liveKeys = 0

  constructor(seed: number, hugePages: HugePages | undefined) {
    this.#seed = seed
    this.#hugePages = hugePages
    for (let table = 0; table < TABLES; table++) {
      this.#tables.push(this.#newTable(table, SLOTS_MIN * 2))
    }
  }

  get memoryBytes(): number {
    let bytes = 0
    for (const part of [...this.#tables, ...this.#entries, ...this.#keys]) bytes += part.byteLength
    return bytes
  }

  find(key: Uint8Array, start: number, end: number): Entry {
    const hash = hashKey(key, start, end, this.#seed)
    const table = this.#tables[hash >>> TABLE_SHIFT] as Uint32Array
    const mask = table.length - 1
    for (let at = (hash << 1) & mask; ; at = (at + 2) & mask) {
      const entry = table[at + 1] as number
      if (entry === 0) return -1
      if (table[at] === hash && this.#keyEquals(entry - 1, key, start, end)) return entry - 1
    }
  }

  add(key: Uint8Array, start: number, end: number): Entry {
    assert(start < end, 'no key is empty')
    const entry = this.#newEntry(end - start)
    const words = this.#wordsOf(entry)
    const at = this.#at(entry)
    words[at + SEGMENT] = 0
    words[at + LENGTH] = DELETED
    this.#putKey(entry, key, start, end)
    this.#insert(hashKey(key, start, end, this.#seed), entry)
    return entry
  }

  remove(entry: Entry): void {
    const words = this.#wordsOf(entry)
    const at = this.#at(entry)
    if (!this.isDeleted(entry)) this.liveKeys--
    const key = this.#keyView(entry)
    this.#erase(hashKey(key, 0, key.byteLength, this.#seed), entry)
    if (this.#isElsewhere(entry)) this.#releaseKey(words[at + KEY + 1] as number)
    words[at + KEY] = FREE
    words[at + SEGMENT] = this.#freeEntry
    // No record is at 0: compaction, which asks whether an entry still is where it was, must not take a free one for it.
    words[at + OFFSET] = 0
    this.#freeEntry = entry
  }

  place(
    entry: Entry,
    segment: number,
    offset: number,
    valueBytes: number,
    valueCrc: number,
    isDeleted: boolean,
  ): void {
    const words = this.#wordsOf(entry)
    const at = this.#at(entry)
    const wasDeleted = (words[at + LENGTH] as number) >= DELETED
    if (wasDeleted !== isDeleted) this.liveKeys += isDeleted ? -1 : 1
    words[at + SEGMENT] = segment
    words[at + OFFSET] = offset
    words[at + LENGTH] = isDeleted ? DELETED : valueBytes
    words[at + CRC] = valueCrc
  }

  segmentOf(entry: Entry): number {
    return this.#wordsOf(entry)[this.#at(entry) + SEGMENT] as number
  }

  offsetOf(entry: Entry): number {
    return this.#wordsOf(entry)[this.#at(entry) + OFFSET] as number
  }

  valueBytesOf(entry: Entry): number {
    return (this.#wordsOf(entry)[this.#at(entry) + LENGTH] as number) & 0x7fffffff
  }

  valueCrcOf(entry: Entry): number {
    return this.#wordsOf(entry)[this.#at(entry) + CRC] as number
  }

  isDeleted(entry: Entry): boolean {
    return (this.#wordsOf(entry)[this.#at(entry) + LENGTH] as number) >= DELETED
  }

  keyBytesOf(entry: Entry): number {
    const bytes = this.#bytesOf(entry)[(this.#at(entry) + KEY) * 4] as number
    return bytes === 0 ? this.#keyView(entry).byteLength : bytes
  }

  keyOf(entry: Entry): Uint8Array {
    return this.#keyView(entry).slice()
  }

  nextEntry(from: Entry): Entry {
    for (let entry = from; entry < this.#entriesEnd; entry++) {
      if (this.#wordsOf(entry)[this.#at(entry) + KEY] !== FREE) return entry
    }
    return -1
  }

  listKeys(prefix: Uint8Array, after: Uint8Array | undefined, limit: number): Uint8Array[] {
    return firstKeys(this.#liveKeyViews(), prefix, after, limit)
  }

  *#liveKeyViews(): Generator<Uint8Array> {
    for (let entry = this.nextEntry(0); entry >= 0; entry = this.nextEntry(entry + 1)) {
      if (!this.isDeleted(entry)) yield this.#keyView(entry)
    }
  }

  #keyView(entry: Entry): Uint8Array {
    const word = this.#at(entry) + KEY
    if (!this.#isElsewhere(entry)) return keyAt(this.#bytesOf(entry), word * 4)
    const address = this.#wordsOf(entry)[word + 1] as number
    return keyAt(this.#keys[address >>> KEY_CHUNK_BITS] as Uint8Array, (address & KEY_MASK) * 4)
  }

  #keyEquals(entry: Entry, key: Uint8Array, start: number, end: number): boolean {
    let chunk = this.#bytesOf(entry)
    let at = (this.#at(entry) + KEY) * 4
    if (chunk[at] === 0) {
      const address = this.#wordsOf(entry)[this.#at(entry) + KEY + 1] as number
      chunk = this.#keys[address >>> KEY_CHUNK_BITS] as Uint8Array
      at = (address & KEY_MASK) * 4
    }
    if (chunk[at] !== end - start) return false
    for (let from = start; from < end; from++) if (chunk[++at] !== key[from]) return false
    return true
  }

  #wordsOf(entry: Entry): Uint32Array {
    return this.#entries[entry >>> ENTRY_CHUNK_BITS] as Uint32Array
  }

  #bytesOf(entry: Entry): Uint8Array {
    return this.#entryBytes[entry >>> ENTRY_CHUNK_BITS] as Uint8Array
  }

  /** First word of an entry in its chunk. */
  #at(entry: Entry): number {
    return (entry & ENTRY_MASK) * this.#entryWords
  }

  #isElsewhere(entry: Entry): boolean {
    return this.#bytesOf(entry)[(this.#at(entry) + KEY) * 4] === 0
  }

  /** @param keyBytes - Length of its key, which decides for all entries where it is the first. */
  #newEntry(keyBytes: number): Entry {
    if (this.#freeEntry !== NO_ENTRY) {
      const entry = this.#freeEntry
      this.#freeEntry = this.segmentOf(entry)
      return entry
    }
    if (this.#entryWords === 0) {
      const inline = keyBytes <= INLINE_KEY_BYTES_MAX ? unitsOf(keyBytes) : 0
      this.#entryWords = KEY + Math.max(inline, ELSEWHERE_WORDS)
    }
    const entry = this.#entriesEnd++
    const number = entry >>> ENTRY_CHUNK_BITS
    const words = this.#entries[number]
    if (!words) {
      const entries = number === 0 ? FIRST_ENTRIES : ENTRIES_A_CHUNK
      this.#setChunk(number, this.#newWords(entries * this.#entryWords))
    } else if (this.#at(entry) >= words.length) {
      const larger = this.#newWords(words.length * 2)
      larger.set(words)
      this.#setChunk(number, larger)
    }
    return entry
  }

  #setChunk(number: number, words: Uint32Array): void {
    this.#entries[number] = words
    this.#entryBytes[number] = new Uint8Array(words.buffer)
  }

  #putKey(entry: Entry, key: Uint8Array, start: number, end: number): void {
    const words = this.#wordsOf(entry)
    const word = this.#at(entry) + KEY
    let chunk = this.#bytesOf(entry)
    let at = word * 4
    if (unitsOf(end - start) > this.#entryWords - KEY) {
      const address = this.#takeKey(unitsOf(end - start))
      words[word] = 0
      words[word + 1] = address
      chunk = this.#keys[address >>> KEY_CHUNK_BITS] as Uint8Array
      at = (address & KEY_MASK) * 4
    }
    chunk[at] = end - start
    for (let from = start; from < end; from++) chunk[++at] = key[from] as number
  }

  #takeKey(units: number): number {
    const free = this.#freeKeys[units] as number
    if (free !== NO_KEY) {
      const view = this.#keys[free >>> KEY_CHUNK_BITS] as Uint8Array
      const at = (free & KEY_MASK) * 4
      const next = new DataView(view.buffer, at, 4).getUint32(0, true)
      this.#freeKeys[units] = next
      return free
    }
    // A key never spans two chunks: what is left of the last one is given up.
    if ((this.#keysEnd & KEY_MASK) + units > KEY_UNITS_A_CHUNK) {
      this.#keysEnd = (this.#keysEnd | KEY_MASK) + 1
    }
    const address = this.#keysEnd
    assert(address + units < NO_KEY, 'an index holds at most 16 GiB of keys')
    this.#keysEnd += units
    const index = address >>> KEY_CHUNK_BITS
    const chunk = this.#keys[index]
    const needed = ((address & KEY_MASK) + units) * 4
    if (!chunk) {
      const chunkUnits = index === 0 ? FIRST_KEY_UNITS : KEY_UNITS_A_CHUNK
      this.#keys.push(this.#newBytes(chunkUnits * 4))
    } else if (needed > chunk.length) {
      const larger = this.#newBytes(Math.min(KEY_UNITS_A_CHUNK * 4, chunk.length * 2))
      larger.set(chunk)
      this.#keys[index] = larger
    }
    return address
  }

  #releaseKey(address: number): void {
    const chunk = this.#keys[address >>> KEY_CHUNK_BITS] as Uint8Array
    const at = (address & KEY_MASK) * 4
    const units = unitsOf(chunk[at] as number)
    new DataView(chunk.buffer, at, 4).setUint32(0, this.#freeKeys[units] as number, true)
    this.#freeKeys[units] = address
  }

  #insert(hash: number, entry: Entry): void {
    const number = hash >>> TABLE_SHIFT
    const table = this.#tables[number] as Uint32Array
    const used = (this.#used[number] as number) + 1
    this.#used[number] = used
    if (used * 8 > table.length * 3) this.#growTable(number)
    put(this.#tables[number] as Uint32Array, hash, entry + 1)
  }

  #newTable(number: number, words: number): Uint32Array {
    // Where the system takes no parts back, what is left behind would stay as long as any table needs its neighbours.
    if (!this.#hugePages) return new Uint32Array(words)
    let generation = this.#generations.get(words)
    if (!generation) {
      generation = { words: this.#newWords(TABLES * words), left: TABLES }
      this.#generations.set(words, generation)
    }
    if (--generation.left === 0) this.#generations.delete(words)
    return generation.words.subarray(number * words, (number + 1) * words)
  }

  #newWords(count: number): Uint32Array {
    return new Uint32Array(this.#newBytes(count * Uint32Array.BYTES_PER_ELEMENT).buffer)
  }

  #newBytes(count: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(count)
    this.#hugePages?.want(bytes.buffer)
    return bytes
  }

  #growTable(number: number): void {
    const old = this.#tables[number] as Uint32Array
    const larger = this.#newTable(number, old.length * 2)
    for (let at = 0; at < old.length; at += 2) {
      const entry = old[at + 1] as number
      if (entry !== 0) put(larger, old[at] as number, entry)
    }
    this.#tables[number] = larger
    this.#hugePages?.drop(new Uint8Array(old.buffer, old.byteOffset, old.byteLength))
  }

  /** Takes a slot out and moves those after it up, so that no search stops early. */
  #erase(hash: number, entry: Entry): void {
    const number = hash >>> TABLE_SHIFT
    const table = this.#tables[number] as Uint32Array
    const mask = table.length - 1
    let hole = (hash << 1) & mask
    while (table[hole + 1] !== entry + 1) {
      assert(table[hole + 1] !== 0, 'an entry in use has a slot')
      hole = (hole + 2) & mask
    }
    for (let at = (hole + 2) & mask; table[at + 1] !== 0; at = (at + 2) & mask) {
      const home = ((table[at] as number) << 1) & mask
      // Stays where it is if its home lies after the hole on the way round.
      if (((at - home) & mask) < ((at - hole) & mask)) continue
      table[hole] = table[at] as number
      table[hole + 1] = table[at + 1] as number
      hole = at
    }
    table[hole + 1] = 0
    this.#used[number] = (this.#used[number] as number) - 1
  }
}

/** The bytes of a key whose length byte is at a place. */
function keyAt(chunk: Uint8Array, at: number): Uint8Array {
  return chunk.subarray(at + 1, at + 1 + (chunk[at] as number))
}

/** Units of 4 bytes that a key of this length takes with its length byte. */
function unitsOf(keyBytes: number): number {
  return (keyBytes + 4) >>> 2
}

function put(table: Uint32Array, hash: number, value: number): void {
  const mask = table.length - 1
  let at = (hash << 1) & mask
  while (table[at + 1] !== 0) at = (at + 2) & mask
  table[at] = hash
  table[at + 1] = value
}

/** MurmurHash3 (32 bit): good spread at a few nanoseconds for short keys. */
function hashKey(key: Uint8Array, start: number, end: number, seed: number): number {
  let hash = seed
  let at = start
  for (const last = end - 3; at < last; at += 4) {
    let word =
      (key[at] as number) |
      ((key[at + 1] as number) << 8) |
      ((key[at + 2] as number) << 16) |
      ((key[at + 3] as number) << 24)
    word = Math.imul(word, 0xcc9e2d51)
    word = Math.imul((word << 15) | (word >>> 17), 0x1b873593)
    hash ^= word
    hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64) | 0
  }
  let rest = 0
  for (let shift = 0; at < end; at++, shift += 8) rest |= (key[at] as number) << shift
  rest = Math.imul(rest, 0xcc9e2d51)
  hash ^= Math.imul((rest << 15) | (rest >>> 17), 0x1b873593) ^ (end - start)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
