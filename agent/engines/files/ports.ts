/**
 * What the file system needs from outside: chunks, a commit log, and keys. `engines/chunks` and `engines/disperse`
 * satisfy them; the mount unit joins them.
 */

/** Number of a chunk in its volume, `>= 0`, handed out by the chunk store and never reused. */
export type ChunkNumber = number

/** A run of plain bytes inside one stored chunk. */
export interface ChunkRun {
  readonly chunk: ChunkNumber
  /** Bytes of the chunk, `>= 1`; a run always covers a chunk whole. */
  readonly lengthBytes: number
}

/** A contiguous range of plain bytes to store, read piece by piece so that it is never whole in memory. */
export interface ByteSource {
  readonly lengthBytes: number
  /** Fills `into` with bytes from `offset`; both within the range. */
  read(offset: number, into: Uint8Array): void
}

/** Where file contents go and come from. */
export interface ChunkStore {
  /**
   * Cuts, deduplicates and stores the ranges.
   *
   * @param sources - `[n]` ranges.
   * @returns `[n]` lists of runs; the runs of a list cover its range in order. Durable on enough stores when resolved.
   * @throws NodeError `NOT_ENOUGH_STORES` (retry later; nothing was lost).
   */
  store(
    sources: readonly ByteSource[],
    signal: AbortSignal,
  ): Promise<readonly (readonly ChunkRun[])[]>
  /**
   * Plain bytes of a chunk, verified.
   *
   * @throws NodeError `CHUNK_UNAVAILABLE` (too few stores answer), `CHUNK_CORRUPT` (never served).
   */
  read(chunk: ChunkNumber, signal: AbortSignal): Promise<Uint8Array> | Uint8Array
  /** Says that nothing refers to a chunk any more; it may be freed by compaction. */
  release(chunk: ChunkNumber): void
}

/**
 * A table that another engine keeps for the volume (chunks, packs) and whose changes travel inside the commits, so that
 * one hash chain covers all metadata. Bytes are opaque to the file system.
 */
export interface Section {
  /** Short, stable, unique: `chunks`, `packs`. */
  readonly name: string
  /** Changes since the last call that are durable enough to be referred to; empty if none. */
  takeChanges(): Uint8Array
  /** Puts back changes that were taken but not committed. */
  returnChanges(bytes: Uint8Array): void
  applyChanges(bytes: Uint8Array): void
  /** The whole table. */
  snapshot(): Uint8Array
  restore(bytes: Uint8Array): void
}

/** Where the commit log ends, by what metadata stores say. */
export interface CommitHead {
  /** Highest sequence that any reachable store claims, 0 if none. */
  readonly sequence: number
  readonly storesAnswering: number
  /** Of those, stores that a writer noted to be filled: only they count for an opening. */
  readonly storesProven: number
  readonly storesTotal: number
  /** Every store answers, and none holds anything. */
  readonly isEmpty: boolean
  /** It is empty although data stores hold shards. */
  readonly isLost: boolean
}

/** The history as this writer's disk holds it; metadata stores are filled from it. */
export interface OwnHistory {
  /** Newest commit held, by itself or within a checkpoint; 0 if none. */
  readonly lastSequence: number
  /** Sequences of sealed snapshots, newest first. */
  readonly checkpoints: readonly number[]
  commit(sequence: number): Uint8Array | undefined
  checkpoint(sequence: number): Uint8Array | undefined
}

/** The replicated commit log on the volume's metadata stores. Records are opaque and self-verifying to the reader. */
export interface CommitStore {
  /** Stores that must take a record, and that must be proven for an opening: a majority of all. */
  readonly quorum: number
  /**
   * Makes older writers stop: nothing that they append after this is acknowledged. Repeatable.
   *
   * @throws NodeError `NOT_ENOUGH_STORES` (retry), `WRITER_FENCED` if a newer writer did so.
   */
  claim(epoch: number, signal: AbortSignal): Promise<void>
  /** Notes that the volume begins with nothing. @throws NodeError `NOT_ENOUGH_STORES`. */
  begin(signal: AbortSignal): Promise<void>
  /** Says what stores are filled from; before the first append. */
  continueFrom(own: OwnHistory): void
  /** Says that this writer ended and has nothing left. @throws NodeError `NOT_ENOUGH_STORES`. */
  handOver(signal: AbortSignal): Promise<void>
  /** Whether the writer of an epoch said that it ended. */
  isHandedOver(epoch: number, signal: AbortSignal): Promise<boolean>
  /**
   * Adds record `sequence`.
   *
   * @param sequence - Exactly one more than the last appended, from 1. Or the last one again with the same bytes, which
   *   brings it to stores that lack it: what a writer does after a crash, as it cannot know how far it came.
   * @throws NodeError `NOT_ENOUGH_STORES` (retry); `WRITER_FENCED` (a newer writer took over), `VOLUME_HISTORY_FORKED` (a store
   *   holds acknowledged commits that this writer lacks): stop for good.
   */
  append(sequence: number, record: Uint8Array, signal: AbortSignal): Promise<void>
  /**
   * All distinct versions of a record that reachable stores hold; the reader picks the one that verifies.
   *
   * @param provenNeeded - Proven stores that must answer, 0 if left out.
   */
  read(sequence: number, signal: AbortSignal, provenNeeded?: number): Promise<readonly Uint8Array[]>
  /** Where the log ends. */
  head(signal: AbortSignal): Promise<CommitHead>
  /** Stores a snapshot of the state after commit `sequence`. */
  putSnapshot(sequence: number, bytes: Uint8Array, signal: AbortSignal): Promise<void>
  /** Candidate snapshots, best first; each is loaded only when it is asked for. */
  snapshots(
    signal: AbortSignal,
  ): Promise<readonly { sequence: number; load(): Promise<Uint8Array | undefined> }[]>
}

/** Bytes on the local disk that can all be had again. */
export interface Evictable {
  readonly sizeBytes: number
  /** Gives the oldest of them back. @returns Bytes freed, 0 if there are none. */
  yieldSpace(): number
}

/** Seals commits: AES-256-GCM under a key derived from the volume key, and the writer's signature. */
export interface CommitSealer {
  /** @returns Ciphertext that binds `sequence` and is signed by this writer. */
  seal(sequence: number, plain: Uint8Array): Uint8Array
  /** @returns Plain bytes. @throws NodeError `COMMIT_INVALID` if a tag, the sequence or the signature is wrong. */
  open(sequence: number, sealed: Uint8Array): Uint8Array
}
