/**
 * The table of packs, as it travels in commits: names, shard hashes, and which shards are not where they should be.
 *
 * Numbers and releases follow the commits exactly. Which shards are missing is a fact about stores, not about commits: it is
 * written down as it is at the moment, and finding it out again costs a read and never data.
 */

import { assert } from '../../base/assert.ts'
import { toHex } from '../../base/bytes.ts'
import { NodeError } from '../../base/errors.ts'
import {
  decodeChanges,
  decodeSnapshot,
  encodeChanges,
  encodeSnapshot,
  missingBytes,
  type PackRecord,
  SHARD_HASH_BYTES,
} from './pack-format.ts'
import { shardKey } from './shard-key.ts'

/** Packs by number. Satisfies `Section` of `engines/files`. */
export class PackTable {
  readonly name = 'packs'
  readonly #shards: number
  readonly #packs = new Map<number, PackRecord>()
  /** Packs that lack a shard. */
  readonly #incomplete = new Set<number>()
  readonly #missingBySlot: Uint32Array
  #next = 0
  #takenNext = 0
  #touched = new Set<number>()
  #released: number[] = []
  /** Releases in the changes taken last. */
  #takenReleased: number[] = []
  /** Released in a durable commit: their shards may be deleted. */
  readonly #deletable = new Set<number>()
  #erased: number[] = []
  /** Generation of each slot that the bits of missing shards speak of. */
  readonly #generations = new Map<number, number>()
  readonly #generationsTouched = new Set<number>()
  /** Generations that the ledger gives now. */
  readonly #present = new Map<number, number>()

  /** @param shards - k + m of the volume. */
  constructor(shards: number) {
    this.#shards = shards
    this.#missingBySlot = new Uint32Array(shards)
  }

  /** Packs that are not released. */
  get size(): number {
    return this.numbers.length
  }

  /** Numbers of packs that lack a shard, ascending. */
  get incomplete(): number[] {
    return [...this.#incomplete].sort((a, b) => a - b)
  }

  /** Missing shards of each slot. */
  get missingBySlot(): readonly number[] {
    return [...this.#missingBySlot]
  }

  /** Packs whose shards may be deleted, because a durable commit released them. */
  get deletable(): readonly number[] {
    return [...this.#deletable]
  }

  /** Numbers of all packs that live, ascending. */
  get numbers(): number[] {
    return [...this.#packs.values()].filter((pack) => !pack.isReleased).map((pack) => pack.number)
  }

  get(number: number): PackRecord | undefined {
    return this.#packs.get(number)
  }

  /** True if the slot's present generation does not hold the pack's shard. */
  isMissing(pack: PackRecord, shard: number): boolean {
    return ((pack.missing[shard >> 3] ?? 0) & (1 << (shard & 7))) !== 0
  }

  /** Hash of one shard. */
  hashOf(pack: PackRecord, shard: number): Uint8Array {
    return pack.hashes.subarray(shard * SHARD_HASH_BYTES, (shard + 1) * SHARD_HASH_BYTES)
  }

  /** Hashes of one shard of every pack, also of those that are released and not yet erased, by its key in hexadecimal. */
  hashesOf(shard: number): ReadonlyMap<string, Uint8Array> {
    const packs = [...this.#packs.values()]
    return new Map(packs.map((pack) => [toHex(shardKey(pack.id)), this.hashOf(pack, shard)]))
  }

  /**
   * Adds a pack.
   *
   * @param holders - Shards that are durable.
   * @returns Its record, numbered.
   */
  add(
    pack: Pick<PackRecord, 'id' | 'lengthBytes' | 'hashes'>,
    holders: ReadonlySet<number>,
  ): PackRecord {
    const missing = new Uint8Array(missingBytes(this.#shards))
    const record = { ...pack, number: this.#next++, missing, isReleased: false }
    this.#packs.set(record.number, record)
    for (let shard = 0; shard < this.#shards; shard++) {
      if (!holders.has(shard)) this.setMissing(record, shard, true)
    }
    return record
  }

  /** Notes whether the slot holds a shard. */
  setMissing(pack: PackRecord, shard: number, isMissing: boolean): void {
    if (this.isMissing(pack, shard) === isMissing) return
    this.#setBit(pack, shard, isMissing)
    this.#touched.add(pack.number)
  }

  /** Says that nothing refers to a pack any more; repeatable. */
  release(number: number): void {
    const pack = this.#packs.get(number)
    if (pack === undefined || pack.isReleased) return
    pack.isReleased = true
    this.#incomplete.delete(number)
    this.#countMissing(pack, -1)
    this.#released.push(number)
  }

  /** Notes that all shards of a released pack are deleted. */
  erase(number: number): void {
    assert(this.#deletable.has(number), 'only a pack that a commit released is erased')
    this.#deletable.delete(number)
    this.#erased.push(number)
  }

  /**
   * Takes over the generations that the ledger gives; all shards of a slot that moved are missing.
   *
   * @param generations - By slot; slots without one keep what they had.
   */
  setGenerations(generations: ReadonlyMap<number, number>): void {
    for (const [slot, generation] of generations) this.#present.set(slot, generation)
    this.#reconcile()
  }

  takeChanges(): Uint8Array {
    this.#confirm()
    const added = this.#addedSince(this.#takenNext)
    const touched = [...this.#touched].filter((number) => number < this.#takenNext)
    // Whoever restores a table without packs takes no generations from it, so the first packs bring all of them.
    const isFirst = this.#takenNext === 0 && added.length > 0
    const changes = {
      generations: [...this.#generations].filter(
        ([slot]) => isFirst || this.#generationsTouched.has(slot),
      ),
      next: this.#takenNext,
      added,
      touched: touched.flatMap((number) => this.#packs.get(number) ?? []),
      released: this.#released,
      erased: this.#erased,
    }
    this.#takenReleased = this.#released
    this.#takenNext = this.#next
    this.#touched = new Set()
    this.#generationsTouched.clear()
    this.#released = []
    this.#erased = []
    for (const number of changes.erased) this.#packs.delete(number)
    const lists = [changes.generations, added, changes.touched, changes.released, changes.erased]
    return lists.every((list) => list.length === 0)
      ? new Uint8Array()
      : encodeChanges(this.#shards, changes)
  }

  returnChanges(bytes: Uint8Array): void {
    if (bytes.byteLength === 0) return
    const changes = decodeChanges(this.#shards, bytes)
    this.#takenNext = changes.next
    for (const { number } of changes.touched) this.#touched.add(number)
    for (const [slot] of changes.generations) this.#generationsTouched.add(slot)
    this.#released = [...changes.released, ...this.#released]
    this.#takenReleased = []
    this.#erased = [...changes.erased, ...this.#erased]
  }

  applyChanges(bytes: Uint8Array): void {
    if (bytes.byteLength === 0) return
    const changes = decodeChanges(this.#shards, bytes)
    if (changes.next !== this.#next) {
      throw invalid(`packs from ${changes.next} are added where ${this.#next} is next`)
    }
    const last = changes.next + changes.added.length
    for (const number of [...changes.released, ...changes.touched.map((touch) => touch.number)]) {
      const isKnown = this.#packs.has(number) || (number >= changes.next && number < last)
      if (!isKnown) throw invalid(`pack ${number} changes but does not exist`)
    }
    for (const [slot, generation] of changes.generations) this.#follow(slot, generation)
    for (const pack of changes.added) this.#insert({ ...pack, isReleased: false })
    for (const { number, missing } of changes.touched) this.#overwrite(number, missing)
    this.#markMoved([...changes.added, ...changes.touched].map((pack) => pack.number))
    for (const number of changes.released) this.#releaseApplied(number)
    for (const number of changes.erased) this.#forget(number)
    this.#next = last
    this.#takenNext = last
    this.#reconcile()
  }

  snapshot(): Uint8Array {
    const pending = new Set(this.#released)
    const packs = [...this.#packs.values()]
      .filter((pack) => pack.number < this.#takenNext)
      .map((pack) => ({ ...pack, isReleased: pack.isReleased && !pending.has(pack.number) }))
    const generations = [...this.#generations]
    return encodeSnapshot(this.#shards, { generations, next: this.#takenNext, packs })
  }

  restore(bytes: Uint8Array): void {
    const { generations, next, packs } = decodeSnapshot(this.#shards, bytes)
    this.#packs.clear()
    this.#incomplete.clear()
    this.#missingBySlot.fill(0)
    this.#touched = new Set()
    this.#released = []
    this.#takenReleased = []
    this.#erased = []
    this.#deletable.clear()
    this.#generations.clear()
    this.#generationsTouched.clear()
    this.#next = next
    this.#takenNext = next
    // A table without packs speaks of no shards: the generations in it are the ledger's, which commits to come do not know.
    for (const [slot, generation] of next === 0 ? [] : generations) {
      this.#generations.set(slot, generation)
    }
    for (const pack of packs) {
      this.#insert(pack)
      if (pack.isReleased) this.#deletable.add(pack.number)
    }
    this.#reconcile()
  }

  /** What was released by the changes taken before is committed, or they would have been returned. */
  #confirm(): void {
    for (const number of this.#takenReleased) this.#deletable.add(number)
    this.#takenReleased = []
  }

  #addedSince(first: number): PackRecord[] {
    const added: PackRecord[] = []
    for (let number = first; number < this.#next; number++) {
      const pack = this.#packs.get(number)
      assert(pack !== undefined, 'a pack stays until its release is committed')
      // Its release, if any, is a change of its own.
      added.push({ ...pack, isReleased: false })
    }
    return added
  }

  #insert(pack: PackRecord): void {
    this.#packs.set(pack.number, pack)
    if (pack.isReleased) return
    this.#countMissing(pack, 1)
    if (pack.missing.some((byte) => byte !== 0)) this.#incomplete.add(pack.number)
  }

  #overwrite(number: number, missing: Uint8Array): void {
    const pack = this.#packs.get(number)
    if (pack === undefined) return
    for (let shard = 0; shard < this.#shards; shard++) {
      this.#setBit(pack, shard, this.isMissing({ ...pack, missing }, shard))
    }
  }

  #releaseApplied(number: number): void {
    const pack = this.#packs.get(number)
    if (pack === undefined || pack.isReleased) return
    pack.isReleased = true
    this.#incomplete.delete(number)
    this.#countMissing(pack, -1)
    this.#deletable.add(number)
  }

  #forget(number: number): void {
    this.#packs.delete(number)
    this.#deletable.delete(number)
    this.#incomplete.delete(number)
  }

  /** Makes the table speak of the generations that the ledger gives. */
  #reconcile(): void {
    for (const [slot, generation] of this.#present) {
      const known = this.#generations.get(slot)
      if (known !== undefined && known >= generation) continue
      this.#advance(slot, generation)
      this.#generationsTouched.add(slot)
    }
  }

  /** Takes over a generation that the writer wrote down; ours may be newer. */
  #follow(slot: number, generation: number): void {
    this.#advance(slot, generation)
    if (generation >= (this.#generations.get(slot) ?? 0)) this.#generationsTouched.delete(slot)
  }

  /** What the writer says of a slot that has moved since is about a store that is gone. */
  #markMoved(numbers: readonly number[]): void {
    for (const slot of this.#generationsTouched) {
      for (const number of numbers) {
        const pack = this.#packs.get(number)
        if (pack !== undefined) this.#setBit(pack, slot, true)
      }
    }
  }

  #advance(slot: number, generation: number): void {
    const known = this.#generations.get(slot)
    if (known !== undefined && known >= generation) return
    this.#generations.set(slot, generation)
    // A slot that was not known held nothing that could be lost.
    if (known === undefined) return
    for (const pack of this.#packs.values()) this.#setBit(pack, slot, true)
  }

  #setBit(pack: PackRecord, shard: number, isMissing: boolean): void {
    if (this.isMissing(pack, shard) === isMissing) return
    const at = shard >> 3
    pack.missing[at] = (pack.missing[at] ?? 0) ^ (1 << (shard & 7))
    if (pack.isReleased) return
    this.#missingBySlot[shard] = (this.#missingBySlot[shard] ?? 0) + (isMissing ? 1 : -1)
    if (pack.missing.some((byte) => byte !== 0)) this.#incomplete.add(pack.number)
    else this.#incomplete.delete(pack.number)
  }

  #countMissing(pack: PackRecord, sign: 1 | -1): void {
    for (let shard = 0; shard < this.#shards; shard++) {
      if (!this.isMissing(pack, shard)) continue
      this.#missingBySlot[shard] = (this.#missingBySlot[shard] ?? 0) + sign
    }
  }
}

function invalid(message: string): NodeError {
  return new NodeError('PACK_TABLE_INVALID', message)
}
