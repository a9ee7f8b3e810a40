/**
 * What the chunk store needs from outside, and the shapes it satisfies.
 *
 * Packs go to `engines/disperse`; `ByteSource`, `ChunkRun` and the store's own methods are those of `engines/files`, declared
 * again because engines do not import each other: the compiler compares them where `units/mount` joins the parts.
 */

/** Number of a pack in its volume, `>= 0`, never reused. */
export type PackNumber = number

/** Number of a chunk in its volume, `>= 0`, never reused once a commit refers to it. */
export type ChunkNumber = number

/** Stores byte strings of some MiB whole and reads any part of them. */
export interface PackStore {
  /**
   * Stores a pack.
   *
   * @param bytes - `1..PACK_BYTES_MAX` bytes; not kept after the promise settles.
   * @returns Its number, once enough stores hold it durably.
   * @throws NodeError `NOT_ENOUGH_STORES`.
   */
  write(bytes: Uint8Array, signal: AbortSignal): Promise<PackNumber>
  /**
   * Reads a part of a pack, from the one shard that holds it where that store answers, else by decoding.
   * The caller verifies the content.
   *
   * @throws NodeError `PACK_UNAVAILABLE`.
   */
  read(
    pack: PackNumber,
    offset: number,
    lengthBytes: number,
    signal: AbortSignal,
  ): Promise<Uint8Array>
  /** Reads as `read`, but by decoding from other stores: asked for when what `read` gave did not verify. */
  readAround(
    pack: PackNumber,
    offset: number,
    lengthBytes: number,
    signal: AbortSignal,
  ): Promise<Uint8Array>
  /** Says that nothing in the pack is referred to any more, in a commit that is durable. Repeatable. */
  release(pack: PackNumber): void
}

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

/**
 * A place for stored (compressed, encrypted) chunks on this machine. Never trusted and never needed: what it gives is
 * verified, and it may forget anything at any time. No method throws.
 */
export interface ChunkCache {
  /** @param id - 16 bytes. @returns A copy of what was put, or undefined. */
  get(id: Uint8Array): Uint8Array | undefined
  /** Keeps a copy for as long as it can. */
  put(id: Uint8Array, stored: Uint8Array): void
  /** Forgets one, because it did not verify. */
  drop(id: Uint8Array): void
  /** Forgets everything. */
  clear(): void
  /** Bytes kept now. */
  readonly sizeBytes: number
}
