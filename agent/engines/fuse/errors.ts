/**
 * Failure codes of the FUSE engine: those a `FileSystem` answers with (translated by `errno.ts`), and its own.
 */
import type { ErrorCatalogue } from '../../base/errors.ts'

/** Codes that a `FileSystem` may answer with. */
export type FileErrorCode =
  | 'NOT_FOUND'
  | 'EXISTS'
  | 'NOT_DIRECTORY'
  | 'IS_DIRECTORY'
  | 'NOT_EMPTY'
  | 'NO_SPACE'
  | 'READ_ONLY'
  | 'NAME_TOO_LONG'
  | 'NO_ATTRIBUTE'
  | 'NO_DATA'
  | 'INVALID'
  | 'IO'
  | 'BUSY'
  | 'TOO_MANY_LINKS'
  | 'NOT_PERMITTED'
  | 'STALE'
  | 'NOT_SUPPORTED'
  | 'FILE_TOO_BIG'
  | 'ATTRIBUTE_TOO_BIG'
  | 'BUFFER_TOO_SMALL'
  | 'NO_MEMORY'
  | 'INTERRUPTED'

/** Codes of the engine itself. */
export type FuseErrorCode =
  | FileErrorCode
  | 'NOT_IMPLEMENTED'
  | 'NOT_A_TERMINAL'
  | 'FUSE_MESSAGE_MALFORMED'
  | 'FUSE_VERSION'
  | 'FUSE_INIT_TIMEOUT'
  | 'FUSE_CLOSED'

/** What each code means and what to do. */
export const FUSE_ERRORS: ErrorCatalogue<FuseErrorCode> = {
  NOT_FOUND: { means: 'There is no such name or inode.', hint: 'Check the path.' },
  EXISTS: { means: 'The name is taken.', hint: 'Choose another name, or remove the old one.' },
  NOT_DIRECTORY: { means: 'A directory was needed.', hint: 'Check the path.' },
  IS_DIRECTORY: { means: 'A file was needed, not a directory.', hint: 'Check the path.' },
  NOT_EMPTY: { means: 'The directory holds names.', hint: 'Remove what is in it first.' },
  NO_SPACE: { means: 'The volume is full.', hint: 'Order a larger volume, or remove files.' },
  READ_ONLY: { means: 'The mount takes no changes.', hint: 'Order a read-write mount.' },
  NAME_TOO_LONG: { means: 'A name has more than 255 bytes.', hint: 'Shorten the name.' },
  NO_ATTRIBUTE: { means: 'The inode has no such attribute.', hint: 'List the attributes.' },
  NO_DATA: { means: 'There is no data past the offset.', hint: 'Seek within the file.' },
  INVALID: { means: 'An argument makes no sense.', hint: 'Check the call.' },
  IO: {
    means: 'The bytes cannot be had, or do not verify.',
    hint: 'See the status of the volume; it repairs itself while enough stores live.',
  },
  BUSY: { means: 'Something still uses it.', hint: 'Close what uses it and try again.' },
  TOO_MANY_LINKS: { means: 'The inode has too many names.', hint: 'Copy it instead.' },
  NOT_PERMITTED: { means: 'The operation is not allowed.', hint: 'Check the kind of file.' },
  STALE: { means: 'The inode or handle is gone.', hint: 'Open the file again.' },
  NOT_SUPPORTED: { means: 'This file system cannot do it.', hint: 'Do without.' },
  FILE_TOO_BIG: { means: 'The file would be too big.', hint: 'Split the file.' },
  ATTRIBUTE_TOO_BIG: { means: 'The attribute is too long.', hint: 'Shorten the value.' },
  BUFFER_TOO_SMALL: { means: 'The answer does not fit.', hint: 'Ask with a larger buffer.' },
  NO_MEMORY: { means: 'A limit on memory was met.', hint: 'Try again later.' },
  INTERRUPTED: { means: 'The caller stopped waiting.', hint: 'Try again.' },
  NOT_IMPLEMENTED: { means: 'The operation is not served.', hint: 'The kernel does without.' },
  NOT_A_TERMINAL: { means: 'Files here take no ioctl.', hint: 'Do without.' },
  FUSE_MESSAGE_MALFORMED: {
    means: 'A request of the kernel does not have the shape that the protocol gives it.',
    hint: 'Report it with the kernel version.',
  },
  FUSE_VERSION: {
    means: 'The kernel speaks a FUSE protocol older than 7.31.',
    hint: 'Use Linux 5.5 or newer.',
  },
  FUSE_CLOSED: {
    means: 'The connection to the kernel ended.',
    hint: 'Mount again, unless the unmount was meant.',
  },
  FUSE_INIT_TIMEOUT: {
    means: 'The kernel did not open the conversation in time.',
    hint: 'See the kernel log; mount again.',
  },
}
