/** What can go wrong in the store, by code. `resp/replies.ts` holds the words a client sees for each. */
import type { ErrorCatalogue } from '../../base/errors.ts'

/** Codes of the failures of engine `log`. */
export type LogErrorCode =
  | 'LOG_RECORD_CORRUPT'
  | 'LOG_NAMESPACE_FULL'
  | 'LOG_NAMESPACE_UNKNOWN'
  | 'LOG_NAMESPACE_EXISTS'
  | 'LOG_NAMESPACE_SET_ASIDE'
  | 'LOG_NAME_INVALID'
  | 'LOG_WRITE_FAILED'
  | 'LOG_READ_ONLY'
  | 'LOG_WORM'
  | 'LOG_KEY_INVALID'
  | 'LOG_VALUE_TOO_LARGE'
  | 'LOG_PROPERTY_INVALID'
  | 'LOG_NOT_PROVABLE'
  | 'LOG_PROOF_RANGE'
  | 'LOG_ARCHIVE_INVALID'
  | 'LOG_FORMAT_UNKNOWN'
  | 'LOG_REPLICA_DIVERGED'
  | 'LOG_REPLICA_REFUSED'
  | 'LOG_PRIMARY_LOST'
  | 'LOG_PASSWORDS_BUSY'

/** The catalogue of {@link LogErrorCode}. */
export const LOG_ERRORS: ErrorCatalogue<LogErrorCode> = {
  LOG_RECORD_CORRUPT: {
    means: 'The bytes of a record on disk do not match its checksum; they were not served.',
    hint: 'The medium lost data: restore the key from a replica, and look at the health of the device.',
  },
  LOG_NAMESPACE_FULL: {
    means: 'The record would take the namespace beyond its quota, counted in bytes on disk.',
    hint: 'Delete and compact, or raise the quota (NSSET name maxsize bytes).',
  },
  LOG_NAMESPACE_UNKNOWN: {
    means: 'There is no namespace of this name.',
    hint: 'NSLIST shows those that exist.',
  },
  LOG_NAMESPACE_EXISTS: {
    means: 'A namespace of this name exists.',
    hint: 'Choose another name.',
  },
  LOG_NAMESPACE_SET_ASIDE: {
    means:
      'The files of a namespace cannot be used as they are; it is not served, and all others are.',
    hint: 'Its order opens it again. By hand: NSNEW of its name takes over its records, frozen until NSSET says who may have them.',
  },
  LOG_NAME_INVALID: {
    means: 'A namespace name is empty or longer than 128 bytes.',
    hint: 'Choose a shorter name.',
  },
  LOG_WRITE_FAILED: {
    means: 'The disk did not take or did not keep what was written; the namespace now only reads.',
    hint: 'Look at the disk, then RELOAD the namespace or restart the store.',
  },
  LOG_READ_ONLY: {
    means: 'The store was opened for reading only.',
    hint: 'Start it without --readonly.',
  },
  LOG_WORM: {
    means: 'The namespace is write-once: a key that has a value keeps it.',
    hint: 'Use another key, or another namespace.',
  },
  LOG_KEY_INVALID: {
    means: 'A key is empty, longer than 255 bytes, or not of the kind that the namespace holds.',
    hint: 'Keys have 1 to 255 bytes; keys of a sequential namespace have 8.',
  },
  LOG_VALUE_TOO_LARGE: {
    means: 'A value is longer than 8 MiB.',
    hint: 'Cut it into several values.',
  },
  LOG_PROPERTY_INVALID: {
    means: 'A property of a namespace is unknown, or its value is.',
    hint: 'docs/reference/store.md lists the properties.',
  },
  LOG_NOT_PROVABLE: {
    means:
      'The namespace keeps no Merkle tree, or cannot begin one because records are gone already.',
    hint: 'Turn it on before the first compaction: NSSET name provable 1.',
  },
  LOG_PROOF_RANGE: {
    means: 'A proof was asked for a record or a size that the log has not reached.',
    hint: 'ROOT tells the size.',
  },
  LOG_ARCHIVE_INVALID: {
    means: 'A file to import is damaged, cut short or not an export; nothing of it was kept.',
    hint: 'Export it again.',
  },
  LOG_REPLICA_DIVERGED: {
    means:
      'A replica and its primary are not copies of one log: one has records that the other never had. The replica keeps its data.',
    hint: 'Look at both. If the replica is to follow all the same, export what it holds and remove its namespace (NSDEL).',
  },
  LOG_REPLICA_REFUSED: {
    means:
      'The primary refused the replica: wrong password, no such namespace, or a damaged record.',
    hint: 'The message of the primary says which; it is tried again.',
  },
  LOG_PRIMARY_LOST: {
    means: 'The link to the primary broke, or carried something that is not of the protocol.',
    hint: 'It is dialled again, later each time up to 30 s.',
  },
  LOG_PASSWORDS_BUSY: {
    means: 'More clients wait for their password to be checked than the store lets wait.',
    hint: 'Try again in a few seconds.',
  },
  LOG_FORMAT_UNKNOWN: {
    means: 'A file of the store is of a version or shape that this program does not know.',
    hint: 'Use the program that wrote it, or a newer one.',
  },
}
