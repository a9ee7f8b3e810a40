/** What can go wrong with chunks, in codes. */
import type { ErrorCatalogue } from '../../base/errors.ts'

/** Codes of failures of this engine. */
export type ChunksErrorCode =
  | 'CHUNK_UNKNOWN'
  | 'CHUNK_UNAVAILABLE'
  | 'CHUNK_CORRUPT'
  | 'CHUNK_TABLE_INVALID'
  | 'CHUNKS_CLOSED'

/** What each means. */
export const CHUNKS_ERRORS: ErrorCatalogue<ChunksErrorCode> = {
  CHUNK_UNKNOWN: {
    means: 'No chunk has this number, or it was released.',
    hint: 'The metadata refers to a chunk that its own table lacks: mount the previous snapshot.',
  },
  CHUNK_UNAVAILABLE: {
    means: 'Too few stores answer to read the chunk now.',
    hint: 'Wait for the stores to come back; the data is read again at the next attempt.',
  },
  CHUNK_CORRUPT: {
    means: 'No copy of the chunk that the stores can give matches the hash its writer signed.',
    hint: 'Look at the corrupt shards in the status of the volume; more stores lie than parity covers.',
  },
  CHUNK_TABLE_INVALID: {
    means: 'Bytes that should be the table of chunks, or changes to it, are not.',
    hint: 'Another version wrote them, or the commit is not of this volume.',
  },
  CHUNKS_CLOSED: {
    means: 'The chunk store was closed while the call was waiting.',
    hint: 'Repeat the call after the mount is up again.',
  },
}
