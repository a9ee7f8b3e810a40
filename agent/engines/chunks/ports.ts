/** Where packs of encrypted chunks go. `engines/disperse` satisfies it. */

/** Number of a pack in its volume, `>= 0`, never reused. */
export type PackNumber = number

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
  /** Says that nothing in the pack is referred to any more. */
  release(pack: PackNumber): void
}
