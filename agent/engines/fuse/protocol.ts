/**
 * Numbers of the kernel's FUSE protocol, as in `include/uapi/linux/fuse.h` of Linux 5.5 (7.31) to 6.18 (7.45): operation
 * codes, flags and the sizes of the fixed parts of messages. All integers on the wire are little-endian, because the
 * machines that Varve runs on are.
 */
import { KIB, MIB } from '../../base/units.ts'

/** Only major version there is. */
export const PROTOCOL_MAJOR = 7
/** Oldest minor version served: the first with 64-byte init replies, `max_pages` and batch forgets as used here. */
export const PROTOCOL_MINOR_MIN = 31
/** Newest minor version that is understood; a newer kernel is answered with this one and adapts. */
export const PROTOCOL_MINOR_MAX = 45

/** Bytes of the header of a request. */
export const IN_HEADER_BYTES = 40
/** Bytes of the header of a reply. */
export const OUT_HEADER_BYTES = 16
/** Bytes of `fuse_write_in`, which stands between the header and the data of a WRITE. */
export const WRITE_IN_BYTES = 40

/** Data in one READ or WRITE at most: what 256 pages hold, the kernel's own limit. */
export const TRANSFER_BYTES_MAX = MIB
/** Pages in one request at most. */
export const TRANSFER_PAGES_MAX = 256
/** Bytes that a read of the device must have room for: a full WRITE; one page more keeps the data aligned. */
export const REQUEST_BYTES_MAX = TRANSFER_BYTES_MAX + 4 * KIB
/** Longest name in a directory. */
export const NAME_BYTES_MAX = 255

/** Operation codes. */
export const OP = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  DESTROY: 38,
  IOCTL: 39,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  SYNCFS: 50,
  TMPFILE: 51,
} as const

/** Flags of INIT, by bit number; those from 32 on travel in a second word. */
export const INIT = {
  ASYNC_READ: 0,
  ATOMIC_O_TRUNC: 3,
  BIG_WRITES: 5,
  AUTO_INVAL_DATA: 12,
  DO_READDIRPLUS: 13,
  READDIRPLUS_AUTO: 14,
  ASYNC_DIO: 15,
  PARALLEL_DIROPS: 18,
  ABORT_ERROR: 21,
  MAX_PAGES: 22,
  CACHE_SYMLINKS: 23,
  HANDLE_KILLPRIV_V2: 28,
  INIT_EXT: 30,
  NO_EXPORT_SUPPORT: 38,
  HAS_RESEND: 39,
} as const

/** Notifications to the kernel, in the place of an error number. */
export const NOTIFY = { RESEND: 7 } as const

/** Which fields of SETATTR are meant. */
export const FATTR = {
  MODE: 1 << 0,
  UID: 1 << 1,
  GID: 1 << 2,
  SIZE: 1 << 3,
  ATIME: 1 << 4,
  MTIME: 1 << 5,
  KILL_SUIDGID: 1 << 11,
} as const

/** Flags of the reply to OPEN. */
export const FOPEN = {
  KEEP_CACHE: 1 << 1,
  CACHE_DIR: 1 << 3,
  NOFLUSH: 1 << 5,
} as const

/** In OPEN and CREATE: the caller lacks CAP_FSETID, so truncation drops setuid and setgid. */
export const OPEN_KILL_SUIDGID = 1 << 0
/** In WRITE: likewise. */
export const WRITE_KILL_SUIDGID = 1 << 2
/** In FSYNC: data only. */
export const FSYNC_DATA_ONLY = 1 << 0

/** open(2) flags that matter here. */
export const O_TRUNC = 0o1000

/** Parts of `st_mode`. */
export const MODE = {
  TYPE: 0o170000,
  DIRECTORY: 0o040000,
  REGULAR: 0o100000,
  SYMLINK: 0o120000,
  SETUID: 0o4000,
  SETGID: 0o2000,
  GROUP_EXECUTE: 0o010,
} as const

/** fallocate(2) modes. */
export const FALLOCATE = { KEEP_SIZE: 1, PUNCH_HOLE: 2, ZERO_RANGE: 16 } as const
/** lseek(2) whence values that reach a file system. */
export const SEEK = { DATA: 3, HOLE: 4 } as const
/** rename(2) flags. */
export const RENAME = { NOREPLACE: 1, EXCHANGE: 2 } as const
/** setxattr(2) flags. */
export const XATTR = { CREATE: 1, REPLACE: 2 } as const
