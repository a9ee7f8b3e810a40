/**
 * The disk, as the engines that keep bytes locally see it: the store (`engines/store`) and the file system's
 * journal (`engines/files`).
 *
 * Calls that touch the page cache are synchronous, because that costs 2 µs where an asynchronous call costs 10 to 30
 * (docs/design/0001); only `sync` is asynchronous, so that many writers can wait for one flush.
 * Adapters: `adapters/disk/node-disk.ts`, and in tests `test/support/fault-disk.ts`, which tears, loses and fails.
 * Paths are relative to the root that the adapter was made with, with `/` between names, never leaving it.
 */

/** Every failure of a disk has one of these codes. */
export type DiskErrorCode =
  | 'DISK_NOT_FOUND'
  | 'DISK_EXISTS'
  | 'DISK_FULL'
  | 'DISK_READ_ONLY'
  | 'DISK_IO'
  | 'DISK_LOCKED'

/** A file that is open. */
export interface DiskFile {
  /** Bytes in the file now. */
  readonly sizeBytes: number
  /**
   * Reads at an offset.
   *
   * @param into - Where to put the bytes.
   * @param offset - First byte to read, `>= 0`.
   * @param at - Where in `into` the first byte goes, 0 if not given.
   * @param lengthBytes - How many to read, as many as fit if not given.
   * @returns Bytes read; fewer than `lengthBytes` only at the end of the file.
   * @throws NodeError `DISK_IO`.
   */
  read(into: Uint8Array, offset: number, at?: number, lengthBytes?: number): number
  /**
   * Writes all parts one after another at an offset; they are not durable before {@link DiskFile.sync}.
   *
   * @param parts - `[n]` byte strings.
   * @param offset - Where the first byte goes, `>= 0`.
   * @throws NodeError `DISK_FULL`, `DISK_READ_ONLY`, `DISK_IO`; part of the bytes may then be there.
   */
  write(parts: readonly Uint8Array[], offset: number): void
  /** Cuts or extends (with zeros) the file. @throws NodeError as for `write`. */
  truncate(sizeBytes: number): void
  /** Makes everything written so far durable (fdatasync). @throws NodeError `DISK_IO`; never trust the file after it. */
  sync(): Promise<void>
  /** The same, blocking. */
  syncNow(): void
  close(): void
}

/** A directory tree for one engine. */
export interface Disk {
  /**
   * Opens a file for reading and writing.
   *
   * @param mode - `read`: must exist, not writable; `write`: must exist; `create`: made if missing; `new`: must not exist.
   * @throws NodeError `DISK_NOT_FOUND`, `DISK_EXISTS`, `DISK_READ_ONLY`, `DISK_IO`.
   */
  open(path: string, mode: 'read' | 'write' | 'create' | 'new'): DiskFile
  /** Names in a directory, sorted; empty if the directory is missing. */
  list(directory: string): string[]
  exists(path: string): boolean
  /** Makes a directory and its parents; nothing if it is there. */
  makeDirectory(path: string): void
  /** Renames over whatever is at `to`; durable after `syncDirectory` of both parents. */
  rename(from: string, to: string): void
  /** Removes a file, or a directory with all it holds; nothing if it is missing. */
  remove(path: string): void
  /** Makes the names in a directory durable. */
  syncDirectory(path: string): Promise<void>
  /** Free and total bytes of the file system below. */
  space(): { freeBytes: number; totalBytes: number }
}
