/**
 * The disk port over `node:fs`: synchronous calls for the page cache, an asynchronous flush. Reads go past Node where they can.
 *
 * A synchronous 4 KiB read from the page cache costs 2 µs, an asynchronous one 10 to 30 (docs/design/0004-store.md), so
 * only `sync` leaves the calling thread. Every system error becomes one of the port's codes.
 */
import {
  closeSync,
  existsSync,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  fsync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statfsSync,
  writevSync,
} from 'node:fs'
import { isAbsolute, join, relative } from 'node:path'
import { getSystemErrorName } from 'node:util'
import { assert } from '../../base/assert.ts'
import type { Disk, DiskErrorCode, DiskFile } from '../../base/disk.ts'
import { codeOf, type ErrorCatalogue, NodeError } from '../../base/errors.ts'
import { positionalRead } from '../kernel/positional-read.ts'

/** What the codes of the disk port mean. */
export const DISK_ERRORS: ErrorCatalogue<DiskErrorCode> = {
  DISK_NOT_FOUND: {
    means: 'A file or directory is not there.',
    hint: 'Look whether the data directory was moved or a file removed by hand.',
  },
  DISK_EXISTS: {
    means: 'A file is there already that must not be.',
    hint: 'Look whether a second process uses the same data directory.',
  },
  DISK_FULL: {
    means: 'The file system has no room left, or the quota is reached.',
    hint: 'Free or add space; writes are accepted again by themselves.',
  },
  DISK_READ_ONLY: {
    means: 'The file system or file cannot be written.',
    hint: 'Mount it writable and check the owner of the data directory.',
  },
  DISK_IO: {
    means: 'The operating system reported an error of the device or the file system.',
    hint: 'Look at the kernel log and the health of the device.',
  },
  DISK_LOCKED: {
    means: 'Another process uses the data directory.',
    hint: 'Stop the other process first.',
  },
}

const pread = positionalRead()

const OPEN_FLAGS = { read: 'r', write: 'r+', create: 'a+', new: 'wx+' } as const

const CODES: Readonly<Record<string, DiskErrorCode>> = {
  ENOENT: 'DISK_NOT_FOUND',
  ENOTDIR: 'DISK_NOT_FOUND',
  EEXIST: 'DISK_EXISTS',
  ENOTEMPTY: 'DISK_EXISTS',
  ENOSPC: 'DISK_FULL',
  EDQUOT: 'DISK_FULL',
  EFBIG: 'DISK_FULL',
  EROFS: 'DISK_READ_ONLY',
  EACCES: 'DISK_READ_ONLY',
  EPERM: 'DISK_READ_ONLY',
}

/**
 * A directory tree of the real file system.
 *
 * @param root - Absolute path; made if missing.
 * @returns The port; all its paths are below `root`.
 * @throws NodeError `DISK_*` if `root` cannot be made.
 * @example
 * const disk = nodeDisk('/var/lib/varve/store')
 */
export function nodeDisk(root: string): Disk {
  assert(isAbsolute(root), 'the root of a disk is an absolute path')
  attempt(root, () => mkdirSync(root, { recursive: true, mode: 0o700 }))

  function below(path: string): string {
    const full = join(root, path)
    assert(!relative(root, full).startsWith('..'), 'paths never leave the root')
    return full
  }

  return {
    open: (path, mode) => openFile(below(path), mode),
    list(directory) {
      const path = below(directory)
      return attempt(path, () => (existsSync(path) ? readdirSync(path).sort() : []))
    },
    exists: (path) => existsSync(below(path)),
    makeDirectory(path) {
      const full = below(path)
      attempt(full, () => mkdirSync(full, { recursive: true, mode: 0o700 }))
    },
    rename(from, to) {
      attempt(below(to), () => renameSync(below(from), below(to)))
    },
    remove(path) {
      const full = below(path)
      attempt(full, () => rmSync(full, { recursive: true, force: true }))
    },
    syncDirectory: (path) => syncDirectory(below(path)),
    space() {
      const { bavail, blocks, bsize } = attempt(root, () => statfsSync(root))
      return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
    },
  }
}

function openFile(path: string, mode: keyof typeof OPEN_FLAGS): DiskFile {
  // `a+` would ignore offsets when writing, so it only makes the file.
  if (mode === 'create') attempt(path, () => closeSync(openSync(path, 'a', 0o600)))
  const flags = mode === 'create' ? 'r+' : OPEN_FLAGS[mode]
  const fd = attempt(path, () => openSync(path, flags, 0o600))
  let sizeBytes = attempt(path, () => fstatSync(fd).size)
  let open = true

  return {
    get sizeBytes() {
      return sizeBytes
    },
    read(into, offset, at = 0, lengthBytes = into.byteLength - at) {
      assert(at >= 0 && lengthBytes >= 0 && at + lengthBytes <= into.byteLength, 'it has room')
      // The number may be another file's by now.
      assert(open, 'a closed file is not read')
      let done = 0
      while (done < lengthBytes) {
        const n = readSome(path, fd, into, at + done, lengthBytes - done, offset + done)
        if (n === 0) break
        done += n
      }
      return done
    },
    write(parts, offset) {
      writeAll(path, fd, parts, offset, (end) => {
        if (end > sizeBytes) sizeBytes = end
      })
    },
    truncate(size) {
      attempt(path, () => ftruncateSync(fd, size))
      sizeBytes = size
    },
    sync: () =>
      new Promise((resolve, reject) => {
        fdatasync(fd, (cause) => (cause ? reject(diskErrorOf(path, cause)) : resolve()))
      }),
    syncNow() {
      attempt(path, () => fdatasyncSync(fd))
    },
    close() {
      if (!open) return
      open = false
      attempt(path, () => closeSync(fd))
    },
  }
}

function readSome(
  path: string,
  fd: number,
  into: Uint8Array,
  at: number,
  lengthBytes: number,
  offset: number,
): number {
  if (!pread) return attempt(path, () => readSync(fd, into, at, lengthBytes, offset))
  const read = pread(fd, into, at, lengthBytes, offset)
  if (read < 0) throw diskError(path, getSystemErrorName(read))
  return read
}

/** Writes every byte, however many calls the kernel needs; `grown` hears how far it came, also before an error. */
function writeAll(
  path: string,
  fd: number,
  parts: readonly Uint8Array[],
  offset: number,
  grown: (end: number) => void,
): void {
  let rest = parts.filter((part) => part.byteLength > 0)
  let at = offset
  while (rest.length > 0) {
    const written = attempt(path, () => writevSync(fd, rest, at))
    at += written
    grown(at)
    rest = dropBytes(rest, written)
  }
}

function dropBytes(parts: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let drop = bytes
  let first = 0
  for (; first < parts.length; first++) {
    const length = parts[first]?.byteLength ?? 0
    if (drop < length) break
    drop -= length
  }
  const rest = parts.slice(first)
  const head = rest[0]
  if (head && drop > 0) rest[0] = head.subarray(drop)
  return rest
}

function syncDirectory(path: string): Promise<void> {
  const fd = attempt(path, () => openSync(path, 'r'))
  return new Promise((resolve, reject) => {
    fsync(fd, (cause) => {
      closeSync(fd)
      if (cause) reject(diskErrorOf(path, cause))
      else resolve()
    })
  })
}

function attempt<T>(path: string, act: () => T): T {
  try {
    return act()
  } catch (caught) {
    throw diskErrorOf(path, caught)
  }
}

function diskErrorOf(path: string, cause: unknown): NodeError<DiskErrorCode> {
  return diskError(path, codeOf(cause) ?? String(cause), cause)
}

/** The failure for a system error of this name. */
function diskError(path: string, system: string, cause?: unknown): NodeError<DiskErrorCode> {
  const code = CODES[system] ?? 'DISK_IO'
  return new NodeError(code, `${path}: ${system}`, { cause, hint: DISK_ERRORS[code].hint })
}
