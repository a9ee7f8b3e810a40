/**
 * A long list of shards in little memory: some 16 bytes and the key for each, where objects would take 200. A slot has up to
 * some hundred thousand of them, a node some hundred slots.
 */
import { assert } from '../../base/assert.ts'

/** A shard, by the serial under which a store wrote it. */
export interface ListedShard {
  readonly serial: number
  readonly key: Uint8Array
  readonly lengthBytes: number
}

/** Shards that there is room for at first. */
const FIRST_SHARDS = 64
/** Bytes of keys that there is room for at first: those of packs have 17. */
const FIRST_KEY_BYTES = 17 * FIRST_SHARDS

/** See the file's comment. Shards are in the order of their serials. */
export class ShardList {
  #count = 0
  #serials = new Float64Array(FIRST_SHARDS)
  #lengths = new Uint32Array(FIRST_SHARDS)
  /** Where each key ends in {@link ShardList.#keys}. */
  #keyEnds = new Float64Array(FIRST_SHARDS)
  #keys = new Uint8Array(FIRST_KEY_BYTES)

  get count(): number {
    return this.#count
  }

  /** Serial that must follow: one more than that of the last shard, 0 while there is none. */
  get nextSerial(): number {
    return this.#count === 0 ? 0 : (this.#serials[this.#count - 1] ?? 0) + 1
  }

  /** Adds a shard; its serial must be higher than all before. */
  push({ serial, key, lengthBytes }: ListedShard): void {
    assert(serial >= this.nextSerial, 'shards come in the order of their serials')
    const start = this.#keyStart(this.#count)
    if (this.#count === this.#serials.length) this.#growShards()
    if (start + key.byteLength > this.#keys.byteLength) this.#growKeys(start + key.byteLength)
    this.#keys.set(key, start)
    this.#serials[this.#count] = serial
    this.#lengths[this.#count] = lengthBytes
    this.#keyEnds[this.#count] = start + key.byteLength
    this.#count++
  }

  /** Shard `index`, `< count`; its key is a copy. */
  at(index: number): ListedShard {
    assert(index >= 0 && index < this.#count, 'a shard that is asked for is in the list')
    return {
      serial: this.#serials[index] ?? 0,
      key: this.#keys.slice(this.#keyStart(index), this.#keyEnds[index]),
      lengthBytes: this.#lengths[index] ?? 0,
    }
  }

  clear(): void {
    this.#count = 0
  }

  #keyStart(index: number): number {
    return index === 0 ? 0 : (this.#keyEnds[index - 1] ?? 0)
  }

  #growShards(): void {
    const room = 2 * this.#serials.length
    const [serials, lengths, keyEnds] = [this.#serials, this.#lengths, this.#keyEnds]
    this.#serials = new Float64Array(room)
    this.#lengths = new Uint32Array(room)
    this.#keyEnds = new Float64Array(room)
    this.#serials.set(serials)
    this.#lengths.set(lengths)
    this.#keyEnds.set(keyEnds)
  }

  #growKeys(needed: number): void {
    const keys = new Uint8Array(Math.max(needed, 2 * this.#keys.byteLength))
    keys.set(this.#keys)
    this.#keys = keys
  }
}
