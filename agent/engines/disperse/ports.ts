/** One slot of a volume: a namespace of an append-only store on some node. Adapter: `adapters/socket`. */

/** A store of small keys and values of up to some MiB. */
export interface ShardStore {
  /** Stores durably before it resolves; the same key and bytes again is fine. @throws NodeError `STORE_*`. */
  put(key: Uint8Array, value: Uint8Array, signal: AbortSignal): Promise<void>
  /** @returns The value, or undefined if the store answers that it has none. */
  get(key: Uint8Array, signal: AbortSignal): Promise<Uint8Array | undefined>
  /** @returns Up to `lengthBytes` bytes from `offset`, or undefined if there is no such key. */
  getRange(
    key: Uint8Array,
    offset: number,
    lengthBytes: number,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined>
  /** @returns Up to `limit` keys that start with `prefix`, ascending, after `after`. */
  list(
    prefix: Uint8Array,
    after: Uint8Array | undefined,
    limit: number,
    signal: AbortSignal,
  ): Promise<readonly Uint8Array[]>
  delete(key: Uint8Array, signal: AbortSignal): Promise<void>
}

/** What is known of a slot at this moment. */
export interface Slot {
  /** Position in the volume: data and parity shards first (`0..k+m-1`), then metadata stores. */
  readonly index: number
  /** Changes when the ledger gives the slot to another node. */
  readonly generation: number
  readonly store: ShardStore
}
