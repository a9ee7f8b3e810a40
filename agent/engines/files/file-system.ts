/**
 * What a volume answers, as `engines/fuse/ports.ts` asks it: the same types, declared here because engines never import
 * each other. `test/conformance/files` passes one for the other.
 */

/** Answered at once, or later. */
export type Reply<T> = T | Promise<T>

/** Number of a file or directory, unique in the volume and never used again; 1 is the root. */
export type Ino = number

/** Handle of an open file or directory, `>= 1`. */
export type Handle = number

/** The root directory. */
export const ROOT: Ino = 1

/** What `stat` shows. Times are nanoseconds since 1970 UTC. */
export interface Attributes {
  readonly ino: Ino
  readonly mode: number
  readonly links: number
  readonly uid: number
  readonly gid: number
  readonly device: number
  readonly sizeBytes: number
  readonly allocatedBytes: number
  readonly accessedNs: bigint
  readonly modifiedNs: bigint
  readonly changedNs: bigint
}

/** What to change; an absent field stays. */
export interface AttributeChanges {
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly sizeBytes?: number
  readonly accessedNs?: bigint
  readonly modifiedNs?: bigint
}

/** Who asks; says who owns what is made. */
export interface Caller {
  readonly uid: number
  readonly gid: number
  readonly pid: number
}

/** One name in a directory. */
export interface DirectoryEntry {
  readonly name: string
  readonly attributes: Attributes
  readonly cookie: number
}

/** Space of the whole volume. */
export interface SpaceFigures {
  readonly totalBytes: number
  readonly freeBytes: number
  readonly files: number
  readonly filesFree: number
}

/** Flags of `rename`, as the kernel's. */
export interface RenameOptions {
  readonly noReplace: boolean
  readonly exchange: boolean
}

/** Kinds in `mode`, as in stat(2). */
export const S_IFMT = 0o170000
export const S_IFDIR = 0o040000
export const S_IFREG = 0o100000
export const S_IFLNK = 0o120000
export const S_ISGID = 0o002000

/** Modes of `allocate`, as fallocate(2)'s. */
export const KEEP_SIZE = 1
export const PUNCH_HOLE = 2
export const ZERO_RANGE = 16

/** Whether a mode is a directory's. */
export function isDirectory(mode: number): boolean {
  return (mode & S_IFMT) === S_IFDIR
}

/** Whether a mode is a regular file's. */
export function isRegular(mode: number): boolean {
  return (mode & S_IFMT) === S_IFREG
}

/** Whether a mode is a symlink's. */
export function isSymlink(mode: number): boolean {
  return (mode & S_IFMT) === S_IFLNK
}
