/** Shards of slots in memory, which can be lost, changed, removed and counted. */
import { toHex } from '../../agent/base/bytes.ts'
import type { ShardInfo, ShardSource, SlotName } from '../../agent/engines/audit/index.ts'
import { slotText } from '../../agent/engines/audit/index.ts'

interface Shard extends ShardInfo {
  bytes: Uint8Array | undefined
}

interface Slot {
  readonly shards: Shard[]
  readonly byKey: Map<string, Shard>
  revision: number
}

/** A source whose shards a test writes and destroys. */
export class MemoryShardSource implements ShardSource {
  /** Reads of shards so far. */
  reads = 0
  #written = 0
  readonly #slots = new Map<string, Slot>()

  /** Writes a shard at the end of a slot. */
  write(slot: SlotName, bytes: Uint8Array, key?: Uint8Array): void {
    const name = key ?? Buffer.from(`shard ${this.#written++}`)
    const shard = { key: name, lengthBytes: bytes.byteLength, bytes }
    const own = this.#slot(slot)
    own.shards.push(shard)
    own.byKey.set(toHex(name), shard)
  }

  /** Shards of a slot. */
  count(slot: SlotName): number {
    return this.#slot(slot).shards.length
  }

  /** Destroys a shard's bytes; the list still has it. */
  lose(slot: SlotName, index: number): void {
    this.#shard(slot, index).bytes = undefined
  }

  /** Changes a shard's bytes in place. */
  change(slot: SlotName, index: number, change: (bytes: Uint8Array) => void): void {
    const shard = this.#shard(slot, index)
    shard.bytes = shard.bytes?.slice()
    if (shard.bytes) change(shard.bytes)
  }

  /** Takes shards out of the list. */
  remove(slot: SlotName, index: number, count = 1): void {
    const own = this.#slot(slot)
    for (const { key } of own.shards.splice(index, count)) own.byKey.delete(toHex(key))
    own.revision++
  }

  async revision(slot: SlotName): Promise<number> {
    return this.#slot(slot).revision
  }

  async list(slot: SlotName, from: number, limit: number): Promise<readonly ShardInfo[]> {
    return this.#slot(slot).shards.slice(from, from + limit)
  }

  async read(slot: SlotName, shard: ShardInfo): Promise<Uint8Array | undefined> {
    this.reads++
    return this.#slot(slot).byKey.get(toHex(shard.key))?.bytes
  }

  #slot(slot: SlotName): Slot {
    const name = slotText(slot)
    let own = this.#slots.get(name)
    if (!own) {
      own = { shards: [], byKey: new Map(), revision: 1 }
      this.#slots.set(name, own)
    }
    return own
  }

  #shard(slot: SlotName, index: number): Shard {
    const shard = this.#slot(slot).shards[index]
    if (!shard) throw new RangeError(`no shard ${index}`)
    return shard
  }
}
