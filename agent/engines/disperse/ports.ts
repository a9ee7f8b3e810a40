/** What the dispersal needs from outside: slots of a volume, each a namespace of a store on some node, and a seal for its records. */

/** A store of small keys and values of up to some MiB. Adapter: `adapters/socket`. */
export interface ShardStore {
  /** Stores durably before it resolves; the same key and bytes again is fine. @throws NodeError `STORE_*`. */
  put(key: Uint8Array, value: Uint8Array, signal: AbortSignal): Promise<void>
  /**
   * Stores durably as `put` does, but never in the place of another value.
   *
   * @returns False if the key holds another value, which is then left as it is.
   * @throws NodeError `STORE_*`.
   */
  putNew(key: Uint8Array, value: Uint8Array, signal: AbortSignal): Promise<boolean>
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
  /** Stores that had the slot before, newest first: sources of what the present one lacks, never written. */
  readonly formers?: readonly ShardStore[]
}

/** Where an authentic commit stands. */
export interface RecordPlace {
  readonly epoch: number
  /** SHA-256 of the sealed record. */
  readonly hash: Uint8Array
  /** SHA-256 of the record before it. */
  readonly previous: Uint8Array
}

/** Proves what stands on metadata stores: who has the volume's key and may write it has made it. */
export interface RecordSeal {
  /** Seals bytes of this engine under a sequence; the first byte tells them from commits and snapshots. */
  seal(sequence: number, plain: Uint8Array): Uint8Array
  /** @throws NodeError `COMMIT_INVALID` if it is not authentic. */
  open(sequence: number, sealed: Uint8Array): Uint8Array
  /** Where a commit stands, undefined if it is not an authentic commit of that sequence. */
  inspect(sequence: number, record: Uint8Array): RecordPlace | undefined
}

/** The history as a writer holds it on its own disk: what metadata stores are filled from. */
export interface OwnHistory {
  /** Newest commit held, by itself or within a checkpoint; 0 if none. */
  readonly lastSequence: number
  /** Sequences of sealed snapshots, newest first. */
  readonly checkpoints: readonly number[]
  commit(sequence: number): Uint8Array | undefined
  checkpoint(sequence: number): Uint8Array | undefined
}
