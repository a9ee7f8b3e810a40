/** What can go wrong with packs, shards and commits, in codes. */
import type { ErrorCatalogue } from '../../base/errors.ts'

/** Codes of failures of this engine; those of stores (`STORE_*`) come through {@link ShardStore} adapters. */
export type DisperseErrorCode =
  | 'NOT_ENOUGH_STORES'
  | 'WRITER_FENCED'
  | 'PACK_UNKNOWN'
  | 'PACK_UNAVAILABLE'
  | 'PACK_TABLE_INVALID'
  | 'SHARD_ABSENT'
  | 'SHARD_CORRUPT'
  | 'COMMIT_TOO_LARGE'
  | 'SNAPSHOT_TOO_LARGE'
  | 'STORE_ABSENT'
  | 'STORE_TIMEOUT'
  | 'STORE_UNREACHABLE'
  | 'STORE_FULL'
  | 'DISPERSAL_CLOSED'
  | 'VOLUME_HISTORY_FORKED'
  | 'METADATA_SOURCE_GONE'
  | 'SNAPSHOT_PART_ABSENT'

/** What each means. */
export const DISPERSE_ERRORS: ErrorCatalogue<DisperseErrorCode> = {
  NOT_ENOUGH_STORES: {
    means: 'Fewer stores than needed took the bytes.',
    hint: 'Nothing was lost: it is tried again when stores answer; replace the slots that stay silent.',
  },
  WRITER_FENCED: {
    means: 'Stores refuse this writer, because a newer one took the volume over.',
    hint: 'Stop writing here; what was not dispersed stays in the local journal.',
  },
  PACK_UNKNOWN: {
    means: 'No pack has this number, or it was released.',
    hint: 'The metadata refers to a pack that its own table lacks: mount the previous snapshot.',
  },
  PACK_UNAVAILABLE: {
    means: 'Fewer than k shards of the pack can be read now.',
    hint: 'Wait for stores to come back; the status lists the silent slots.',
  },
  PACK_TABLE_INVALID: {
    means: 'Bytes that should be the table of packs, or changes to it, are not.',
    hint: 'Another version wrote them, or the commit is not of this volume.',
  },
  SHARD_ABSENT: {
    means: 'A store answers that it does not have a shard that it should have.',
    hint: 'The shard is computed from the others and stored again.',
  },
  SHARD_CORRUPT: {
    means: 'A store gave a shard that does not match its hash.',
    hint: 'The shard is computed from the others and stored again.',
  },
  COMMIT_TOO_LARGE: {
    means: 'A commit is longer than a store takes.',
    hint: 'Disperse more often, so that a commit covers less.',
  },
  SNAPSHOT_TOO_LARGE: {
    means: 'A snapshot is longer than this version keeps.',
    hint: 'Split the volume.',
  },
  STORE_ABSENT: {
    means: 'The slot has no store at the moment.',
    hint: 'Wait for the ledger to give the slot to a node.',
  },
  STORE_TIMEOUT: {
    means: 'A store did not answer in time.',
    hint: 'It is asked again later, at growing intervals.',
  },
  STORE_UNREACHABLE: {
    means: 'A store cannot be reached.',
    hint: 'It is asked again later, at growing intervals.',
  },
  STORE_FULL: {
    means: 'A store has no room left for the slot.',
    hint: 'Extend the order, or release data.',
  },
  DISPERSAL_CLOSED: {
    means: 'The volume was closed while the call was waiting.',
    hint: 'Repeat the call after the mount is up again.',
  },
  VOLUME_HISTORY_FORKED: {
    means: 'A metadata store holds acknowledged commits that the history of this writer lacks.',
    hint: 'This writer stopped and replaced nothing. Keep every store, mount read-only, and see the guide on forked volumes.',
  },
  METADATA_SOURCE_GONE: {
    means: 'The local disk lacks a commit or snapshot that a metadata store is to be filled with.',
    hint: 'The next snapshot mends it; if it stays, check the local disk.',
  },
  SNAPSHOT_PART_ABSENT: {
    means: 'No metadata store gives a part of a snapshot that matches its hash.',
    hint: 'Another snapshot is tried by itself; see which metadata stores are away.',
  },
}
