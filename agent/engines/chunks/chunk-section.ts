/**
 * The table of chunks as it travels in commits, and what may be forgotten when.
 *
 * A pack in which nothing lives is freed in three commits, so that a crash at any moment frees nothing that a commit still
 * refers to and forgets nothing that still takes room:
 *   1. the commit that releases its last chunk becomes durable (known when the next changes are taken: the file system
 *      takes changes again only after it committed or returned the ones before);
 *   2. the pack store is told, and says so in its own table;
 *   3. this table forgets that the pack was empty. Until then a restart tells the pack store again, which is harmless.
 */
import { assert } from '../../base/assert.ts'
import { NodeError } from '../../base/errors.ts'
import { type ChunkRow, ChunkTable } from './chunk-table.ts'
import { decodeChanges, decodeSnapshot, encodeChanges, encodeSnapshot } from './table-format.ts'

/** How far the release of an empty pack is. */
type Drain = 'pending' | 'taken' | 'committed' | 'told' | 'forgetting'

/** Where a chunk is, before it has a number. */
export type NewChunk = Omit<ChunkRow, 'number'>

/** The table of chunks with its changes. Satisfies `Section` of `engines/files`. */
export class ChunkSection {
  readonly name = 'chunks'
  readonly #secret: Uint32Array
  readonly #releasePack: (pack: number) => void
  #table: ChunkTable
  /** Number of the next chunk. */
  #next = 0
  /** Chunks below this are in commits, or in changes that were taken. */
  #takenNext = 0
  #added: ChunkRow[] = []
  #released: ChunkRow[] = []
  /** Releases in the changes taken last, kept until those are known to be committed. */
  #takenReleases: ChunkRow[] = []
  readonly #liveBytes = new Map<number, number>()
  readonly #drained = new Map<number, Drain>()

  /**
   * @param secret - `[8]` words for the index.
   * @param releasePack - Tells the pack store that a pack is empty in a durable commit; repeatable.
   */
  constructor(secret: Uint32Array, releasePack: (pack: number) => void) {
    this.#secret = secret
    this.#releasePack = releasePack
    this.#table = new ChunkTable(secret)
  }

  /** Chunks that live. */
  get size(): number {
    return this.#table.size
  }

  /** Bytes of memory that the table takes. */
  get memoryBytes(): number {
    return this.#table.memoryBytes
  }

  /** Stored bytes that live, by pack; packs in which nothing lives are not in it. */
  get liveBytesByPack(): ReadonlyMap<number, number> {
    return this.#liveBytes
  }

  get(number: number): ChunkRow | undefined {
    return this.#table.get(number)
  }

  find(hash: Uint8Array): number | undefined {
    return this.#table.find(hash)
  }

  /** Numbers of all chunks, ascending. */
  numbers(): number[] {
    return Array.from(this.#table.rows(), (row) => row.number)
  }

  /** Adds a chunk whose pack is durable. @returns Its number. */
  add(chunk: NewChunk): number {
    const row = { ...chunk, number: this.#next }
    this.#insert(row)
    this.#added.push(row)
    return row.number
  }

  /** Takes a chunk out; nothing if it is not there. */
  release(number: number): void {
    const row = this.#remove(number)
    if (row !== undefined) this.#released.push(row)
  }

  takeChanges(): Uint8Array {
    this.#confirm()
    const forgotten = this.#packsThat('told')
    const changes = {
      added: this.#added,
      released: this.#released.map((row) => row.number),
      forgotten,
    }
    const first = this.#takenNext
    this.#takenNext = this.#next
    this.#added = []
    this.#released = []
    this.#step('pending', 'taken')
    for (const pack of forgotten) this.#drained.set(pack, 'forgetting')
    this.#tellCommitted()
    const isEmpty = changes.added.length + changes.released.length + forgotten.length === 0
    return isEmpty ? new Uint8Array() : encodeChanges(first, changes)
  }

  returnChanges(bytes: Uint8Array): void {
    if (bytes.byteLength === 0) return
    const { next, added, released } = decodeChanges(bytes)
    assert(next + added.length === this.#takenNext, 'the changes taken last are returned')
    const rows = new Map([...this.#takenReleases].map((row) => [row.number, row]))
    this.#takenNext = next
    this.#added = [...added.map((row) => ({ ...row, hash: row.hash.slice() })), ...this.#added]
    this.#released = [...released.flatMap((number) => rows.get(number) ?? []), ...this.#released]
    this.#step('taken', 'pending')
    this.#step('forgetting', 'told')
  }

  applyChanges(bytes: Uint8Array): void {
    if (bytes.byteLength === 0) return
    const { next, added, released, forgotten } = decodeChanges(bytes)
    if (next !== this.#next) {
      throw invalid(`chunks from ${next} are added where ${this.#next} is next`)
    }
    const last = next + added.length
    for (const number of released) {
      const isKnown = number >= next ? number < last : this.#table.get(number) !== undefined
      if (!isKnown) throw invalid(`chunk ${number} is released but does not live`)
    }
    for (const row of added) this.#insert(row)
    for (const number of released) this.#remove(number)
    this.#takenNext = this.#next
    this.#step('pending', 'committed')
    for (const pack of forgotten) this.#drained.delete(pack)
  }

  /** The table as the changes taken so far leave it. */
  snapshot(): Uint8Array {
    const drained = [...this.#drained]
      .filter(([, drain]) => drain !== 'pending' && drain !== 'forgetting')
      .map(([pack]) => pack)
    return encodeSnapshot(this.#takenNext, this.#takenRows(), drained)
  }

  restore(bytes: Uint8Array): void {
    const table = new ChunkTable(this.#secret)
    const live = new Map<number, number>()
    const { next, drained } = decodeSnapshot(bytes, (row) => {
      table.add(row)
      live.set(row.pack, (live.get(row.pack) ?? 0) + row.storedBytes)
    })
    if (drained.some((pack) => live.has(pack))) throw invalid('an empty pack holds a chunk')
    this.#table = table
    this.#next = next
    this.#takenNext = next
    this.#added = []
    this.#released = []
    this.#takenReleases = []
    this.#liveBytes.clear()
    for (const [pack, bytesLive] of live) this.#liveBytes.set(pack, bytesLive)
    this.#drained.clear()
    for (const pack of drained) this.#drained.set(pack, 'committed')
  }

  #insert(row: ChunkRow): void {
    this.#table.add(row)
    this.#next = row.number + 1
    this.#liveBytes.set(row.pack, (this.#liveBytes.get(row.pack) ?? 0) + row.storedBytes)
  }

  #remove(number: number): ChunkRow | undefined {
    const row = this.#table.release(number)
    if (row === undefined) return undefined
    const left = (this.#liveBytes.get(row.pack) ?? 0) - row.storedBytes
    assert(left >= 0, 'a pack never holds less than nothing')
    if (left > 0) this.#liveBytes.set(row.pack, left)
    else {
      this.#liveBytes.delete(row.pack)
      this.#drained.set(row.pack, 'pending')
    }
    return row
  }

  /** The changes taken before are committed, or they would have been returned. */
  #confirm(): void {
    this.#step('taken', 'committed')
    for (const pack of this.#packsThat('forgetting')) this.#drained.delete(pack)
    this.#takenReleases = this.#released
  }

  #tellCommitted(): void {
    for (const pack of this.#packsThat('committed')) {
      this.#releasePack(pack)
      this.#drained.set(pack, 'told')
    }
  }

  #step(from: Drain, to: Drain): void {
    for (const pack of this.#packsThat(from)) this.#drained.set(pack, to)
  }

  #packsThat(are: Drain): number[] {
    return [...this.#drained].filter(([, drain]) => drain === are).map(([pack]) => pack)
  }

  /** Rows as of the changes taken: without later ones, with those released later. */
  *#takenRows(): Generator<ChunkRow> {
    const back = this.#released
      .filter((row) => row.number < this.#takenNext)
      .sort((a, b) => a.number - b.number)
    let at = 0
    for (const row of this.#table.rows()) {
      if (row.number >= this.#takenNext) break
      for (let old = back[at]; old !== undefined && old.number < row.number; old = back[++at])
        yield old
      yield row
    }
    yield* back.slice(at)
  }
}

function invalid(message: string): NodeError {
  return new NodeError('CHUNK_TABLE_INVALID', message)
}
