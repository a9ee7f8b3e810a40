/** Where the newest record of each key is: what both kinds of index offer to the log. */

/** Names a key in an index until it is removed; `-1` stands for none. */
export type Entry = number

/** The place of a record and what is needed to read and verify its value. */
export interface RecordPlace {
  /** Number of the segment, `>= 1`. */
  readonly segment: number
  readonly offset: number
  readonly valueBytes: number
  readonly valueCrc: number
  /** True where the newest record of the key is a deletion that history still needs. */
  readonly isDeleted: boolean
}

/** An index over keys given as parts of buffers, so that a lookup makes no garbage. */
export interface RecordIndex {
  /** Keys that have a value. */
  readonly liveKeys: number
  /** Memory held, in bytes. */
  readonly memoryBytes: number
  /** @returns The entry of a key, deleted or not, or -1. */
  find(key: Uint8Array, start: number, end: number): Entry
  /** Makes the entry of a key that {@link RecordIndex.find} does not know. */
  add(key: Uint8Array, start: number, end: number): Entry
  /** Forgets a key. */
  remove(entry: Entry): void
  /** Points an entry to the newest record of its key. */
  place(
    entry: Entry,
    segment: number,
    offset: number,
    valueBytes: number,
    valueCrc: number,
    isDeleted: boolean,
  ): void
  segmentOf(entry: Entry): number
  offsetOf(entry: Entry): number
  valueBytesOf(entry: Entry): number
  valueCrcOf(entry: Entry): number
  isDeleted(entry: Entry): boolean
  keyBytesOf(entry: Entry): number
  /** A copy of an entry's key. */
  keyOf(entry: Entry): Uint8Array
  /** @returns The first entry in use at or after `from` in an order that stays while entries stay, or -1. */
  nextEntry(from: Entry): Entry
  /** @returns Up to `limit` live keys that start with `prefix`, ascending, after `after`. */
  listKeys(prefix: Uint8Array, after: Uint8Array | undefined, limit: number): Uint8Array[]
}
