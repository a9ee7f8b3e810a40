/** What audits need of the outside: the shards that a node holds. Time, chance, disk and chain are not their business. */
import type { SlotName } from './slot-name.ts'

/** A shard of a slot. */
export interface ShardInfo {
  /** Names its bytes, for ever, 1 to 255 bytes: a value that is written anew has another name (its serial, say). */
  readonly key: Uint8Array
  /** `0..SHARD_BYTES_MAX`. */
  readonly lengthBytes: number
}

/** The shards of this node's slots. */
export interface ShardSource {
  /**
   * A number that changes whenever the beginning of the list is no longer what it was: a shard was removed or written anew.
   */
  revision(slot: SlotName, signal: AbortSignal): Promise<number>
  /**
   * Lists shards in the order written.
   *
   * @param from - How many to leave out.
   * @param limit - How many at most, `>= 1`.
   * @returns Fewer than `limit` only at the end.
   */
  list(
    slot: SlotName,
    from: number,
    limit: number,
    signal: AbortSignal,
  ): Promise<readonly ShardInfo[]>
  /** @returns The root of a shard's bytes where it is known without reading them. */
  root?(slot: SlotName, shard: ShardInfo): Uint8Array | undefined
  /** @returns The shard's bytes, or undefined if they cannot be had. */
  read(slot: SlotName, shard: ShardInfo, signal: AbortSignal): Promise<Uint8Array | undefined>
}
