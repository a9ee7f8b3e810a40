/**
 * One table from failure codes to the kernel's error numbers.
 *
 * What is not in it reaches the program as EIO and the log as it is: a file system must not invent a reason.
 */
import { codeOf } from '../../base/errors.ts'

/** Error numbers of Linux (the same on x86-64 and arm64). */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENOTTY: 25,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  EMLINK: 31,
  ERANGE: 34,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  ENODATA: 61,
  EPROTO: 71,
  EOPNOTSUPP: 95,
  ENOTCONN: 107,
  ESTALE: 116,
  EDQUOT: 122,
} as const

const BY_CODE: Readonly<Record<string, number>> = {
  NOT_FOUND: ERRNO.ENOENT,
  EXISTS: ERRNO.EEXIST,
  NOT_DIRECTORY: ERRNO.ENOTDIR,
  IS_DIRECTORY: ERRNO.EISDIR,
  NOT_EMPTY: ERRNO.ENOTEMPTY,
  NO_SPACE: ERRNO.ENOSPC,
  READ_ONLY: ERRNO.EROFS,
  NAME_TOO_LONG: ERRNO.ENAMETOOLONG,
  NO_ATTRIBUTE: ERRNO.ENODATA,
  NO_DATA: ERRNO.ENXIO,
  INVALID: ERRNO.EINVAL,
  IO: ERRNO.EIO,
  BUSY: ERRNO.EBUSY,
  TOO_MANY_LINKS: ERRNO.EMLINK,
  NOT_PERMITTED: ERRNO.EPERM,
  STALE: ERRNO.ESTALE,
  NOT_SUPPORTED: ERRNO.EOPNOTSUPP,
  FILE_TOO_BIG: ERRNO.EFBIG,
  ATTRIBUTE_TOO_BIG: ERRNO.E2BIG,
  BUFFER_TOO_SMALL: ERRNO.ERANGE,
  NO_MEMORY: ERRNO.ENOMEM,
  INTERRUPTED: ERRNO.EINTR,
  NOT_IMPLEMENTED: ERRNO.ENOSYS,
  NOT_A_TERMINAL: ERRNO.ENOTTY,
  FUSE_MESSAGE_MALFORMED: ERRNO.EINVAL,
  FUSE_VERSION: ERRNO.EPROTO,
  // The local journal's disk, and a writer that another has replaced: the program sees what a local disk would show.
  DISK_FULL: ERRNO.ENOSPC,
  DISK_READ_ONLY: ERRNO.EROFS,
  WRITER_FENCED: ERRNO.EROFS,
}

/**
 * The error number for a caught value.
 *
 * @param caught - Whatever a `catch` received.
 * @returns The number, `>= 1`, and whether the table knows the code; an unknown one is EIO and belongs in the log.
 * @example
 * errnoOf(new NodeError('NOT_FOUND', 'x')) // { errno: 2, known: true }
 */
export function errnoOf(caught: unknown): { errno: number; known: boolean } {
  const errno = BY_CODE[codeOf(caught) ?? '']
  return errno === undefined ? { errno: ERRNO.EIO, known: false } : { errno, known: true }
}
