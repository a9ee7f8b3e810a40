/**
 * Every failure code of the file system, with what it means and what to do.
 *
 * The first group is what a program that uses the mount sees as an errno (`engines/fuse` has the table); the second is
 * what opens, recovers and disperses a volume, seen by the operator.
 */
import type { ErrorCatalogue } from '../../base/errors.ts'

/** Codes of answers to file operations. */
export type FileErrorCode =
  | 'NOT_FOUND'
  | 'EXISTS'
  | 'NOT_DIRECTORY'
  | 'IS_DIRECTORY'
  | 'NOT_EMPTY'
  | 'NAME_TOO_LONG'
  | 'NO_SPACE'
  | 'READ_ONLY'
  | 'IO'
  | 'NO_DATA'
  | 'NO_ATTRIBUTE'
  | 'INVALID'
  | 'NOT_PERMITTED'
  | 'NOT_SUPPORTED'
  | 'TOO_MANY_LINKS'
  | 'FILE_TOO_BIG'
  | 'ATTRIBUTE_TOO_BIG'
  | 'STALE'

/** Codes of a volume as a whole. */
export type VolumeErrorCode =
  | 'COMMIT_MALFORMED'
  | 'JOURNAL_FAILED'
  | 'VOLUME_HEAD_UNKNOWN'
  | 'VOLUME_HISTORY_INCOMPLETE'
  | 'VOLUME_HISTORY_LOST'
  | 'VOLUME_EPOCH_OLD'
  | 'VOLUME_CLOSED'
  | 'WRITER_FENCED'

/** What each code means. */
export const FILES_ERRORS: ErrorCatalogue<FileErrorCode | VolumeErrorCode> = {
  NOT_FOUND: { means: 'No such name or inode.', hint: 'Check the path.' },
  EXISTS: { means: 'The name or attribute is there already.', hint: 'Choose another name.' },
  NOT_DIRECTORY: { means: 'A directory was needed.', hint: 'Check the path.' },
  IS_DIRECTORY: { means: 'The operation does not apply to a directory.', hint: 'Name a file.' },
  NOT_EMPTY: { means: 'The directory has entries.', hint: 'Remove them first.' },
  NAME_TOO_LONG: { means: 'A name or link target is too long.', hint: 'Use at most 255 bytes.' },
  NO_SPACE: {
    means: 'The volume, or the local journal of what is not dispersed yet, is full.',
    hint: 'Order a bigger volume, or see in the status whether stores are away.',
  },
  READ_ONLY: {
    means: 'The volume is mounted read-only, or a newer writer took it over.',
    hint: 'The status says which of the two.',
  },
  IO: {
    means: 'Bytes cannot be had, do not verify, or the local disk failed.',
    hint: 'The log names the chunk or file; nothing wrong was returned.',
  },
  NO_DATA: { means: 'There is no data or hole from that offset on.', hint: 'Nothing to do.' },
  NO_ATTRIBUTE: { means: 'There is no such extended attribute.', hint: 'Nothing to do.' },
  INVALID: { means: 'An argument makes no sense.', hint: 'Check the call.' },
  NOT_PERMITTED: { means: 'The operation is never allowed on this kind.', hint: 'Nothing to do.' },
  NOT_SUPPORTED: { means: 'This file system does not do that.', hint: 'Nothing to do.' },
  TOO_MANY_LINKS: { means: 'The file has the most links it may have.', hint: 'Copy it.' },
  FILE_TOO_BIG: { means: 'The offset is beyond the largest file.', hint: 'Split the file.' },
  ATTRIBUTE_TOO_BIG: { means: 'An extended attribute is too long.', hint: 'Shorten the value.' },
  STALE: { means: 'The handle or inode is gone.', hint: 'Open the file again.' },
  COMMIT_MALFORMED: {
    means: 'A commit, snapshot or journal record verified but cannot be parsed.',
    hint: 'It was written by a newer version; update this one.',
  },
  JOURNAL_FAILED: {
    means: 'The local disk refused to make the journal durable.',
    hint: 'Check the disk; the volume recovers what was acknowledged when it is opened again.',
  },
  VOLUME_HEAD_UNKNOWN: {
    means:
      'Too few metadata stores prove their history to know the newest commit: one that was replaced and not filled proves none.',
    hint: 'It is tried again by itself; see which stores are away.',
  },
  VOLUME_HISTORY_INCOMPLETE: {
    means: 'A later commit verifies, but the stores that answer lack one before it.',
    hint: 'It is tried again by itself; see which metadata stores are away.',
  },
  VOLUME_HISTORY_LOST: {
    means: 'Data stores hold shards of the volume, but every metadata store is empty.',
    hint: 'Nothing was written. Bring back a metadata store or the machine that wrote last; else the files cannot be found.',
  },
  VOLUME_EPOCH_OLD: {
    means: 'The volume holds commits of a newer writer than this one.',
    hint: 'Another mount took the volume over; mount read-only, or order a new mount.',
  },
  VOLUME_CLOSED: { means: 'The volume was closed.', hint: 'Open it again.' },
  WRITER_FENCED: {
    means: 'A newer writer took the volume over.',
    hint: 'What this one had not dispersed is kept locally and named in the status.',
  },
}
