/** The door of the chunk engine: content-defined chunks, deduplicated, compressed, encrypted, verified on every read. */
import { Chunks, type ChunksInit } from './chunk-store.ts'

export type { ChunkKeys } from './chunk-cipher.ts'
export type { ChunkStatus, Chunks, ChunksInit } from './chunk-store.ts'
export { CHUNK_BYTES_MAX, CHUNK_BYTES_MIN } from './cutter.ts'
export { DiskChunkCache } from './disk-chunk-cache.ts'
export { CHUNKS_ERRORS, type ChunksErrorCode } from './errors.ts'
export type {
  ByteSource,
  ChunkCache,
  ChunkNumber,
  ChunkRun,
  PackNumber,
  PackStore,
} from './ports.ts'
export { PACK_BYTES_MAX } from './table-format.ts'

/**
 * Makes the chunk store of a volume, empty: its table comes with `section.restore` and `section.applyChanges`.
 *
 * @param init - Keys, the pack store, time, and what may be cached.
 * @returns The store; `store.section` goes into the file system's list of sections.
 * @example
 * const chunks = openChunks({ keys, packs: dispersal.packs, clock, cache: new DiskChunkCache(disk, 'cache', 1 * GIB) })
 * const [runs] = await chunks.store([source], signal)
 * const bytes = await chunks.read(runs[0].chunk, signal)
 */
export function openChunks(init: ChunksInit): Chunks {
  return new Chunks(init)
}
