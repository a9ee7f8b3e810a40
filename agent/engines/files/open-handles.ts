/**
 * Handles of open files and directories, and which inodes they keep.
 *
 * A handle names its inode, so that one of a process before this one, which the kernel still uses, can be served: a handle that is
 * not known then stands for its inode. What keeps such an inode is not the handle but that the kernel has not forgotten it.
 */
import { failure } from './checks.ts'
import { HANDLES_MAX } from './constants.ts'
import type { Handle, Ino } from './file-system.ts'

/** Handles of one inode that are told apart; beyond that two may share a number, and with it the guess of the next read. */
const HANDLES_AN_INODE = 1024

/** An open file. */
export interface OpenFile {
  readonly ino: Ino
  /** Where the next read begins if the reader goes forward. */
  nextOffset: number
}

/** One name of a listing. */
export interface ListedName {
  readonly name: string
  readonly cookie: number
}

/** An open directory. */
export interface OpenDirectory {
  readonly ino: Ino
  /** Names as they were when the listing began, by ascending cookie; undefined before. */
  names: readonly ListedName[] | undefined
}

interface Open<T> {
  readonly what: T
  /** How often the number was given out. */
  count: number
}

/** All handles of a volume. */
export class OpenHandles {
  readonly #files = new Map<Handle, Open<OpenFile>>()
  readonly #directories = new Map<Handle, Open<OpenDirectory>>()
  readonly #opens = new Map<Ino, number>()
  readonly #isResumed: boolean
  #last = 0

  /** @param isResumed - Handles of a process before this one are served. */
  constructor(isResumed = false) {
    this.#isResumed = isResumed
  }

  /** Whether any handle keeps the inode. */
  isOpen(ino: Ino): boolean {
    return this.#opens.has(ino)
  }

  /** @throws NodeError `NO_SPACE` if there are as many handles as there may be. */
  checkRoom(): void {
    if (this.#files.size + this.#directories.size < HANDLES_MAX) return
    throw failure('NO_SPACE', 'too many open files')
  }

  openFile(ino: Ino): Handle {
    return this.#take(this.#files, ino, { ino, nextOffset: 0 })
  }

  openDirectory(ino: Ino): Handle {
    return this.#take(this.#directories, ino, { ino, names: undefined })
  }

  /** @throws NodeError `STALE`. */
  file(handle: Handle): OpenFile {
    return this.#of(this.#files, handle, (ino) => ({ ino, nextOffset: 0 }))
  }

  /** @throws NodeError `STALE`. */
  directory(handle: Handle): OpenDirectory {
    return this.#of(this.#directories, handle, (ino) => ({ ino, names: undefined }))
  }

  /** @returns The inode, which this handle keeps no longer. @throws NodeError `STALE`. */
  closeFile(handle: Handle): Ino {
    return this.#give(this.#files, handle)
  }

  /** @returns The inode, which this handle keeps no longer. @throws NodeError `STALE`. */
  closeDirectory(handle: Handle): Ino {
    return this.#give(this.#directories, handle)
  }

  #take<T>(table: Map<Handle, Open<T>>, ino: Ino, what: T): Handle {
    this.checkRoom()
    this.#opens.set(ino, (this.#opens.get(ino) ?? 0) + 1)
    const handle = ino * HANDLES_AN_INODE + (this.#last++ % HANDLES_AN_INODE)
    const open = table.get(handle)
    if (open) open.count++
    else table.set(handle, { what, count: 1 })
    return handle
  }

  #of<T>(table: Map<Handle, Open<T>>, handle: Handle, make: (ino: Ino) => T): T {
    const open = table.get(handle)
    if (open) return open.what
    const ino = this.#inoOf(handle)
    // Counted by nobody: it is remembered only for what the next call may want to know.
    const what = make(ino)
    table.set(handle, { what, count: 0 })
    return what
  }

  #give<T extends { readonly ino: Ino }>(table: Map<Handle, Open<T>>, handle: Handle): Ino {
    const open = table.get(handle)
    if (!open) return this.#inoOf(handle)
    const { ino } = open.what
    const wasCounted = open.count > 0
    if (wasCounted) open.count--
    if (open.count === 0) table.delete(handle)
    if (!wasCounted) return ino
    const left = (this.#opens.get(ino) ?? 1) - 1
    if (left > 0) this.#opens.set(ino, left)
    else this.#opens.delete(ino)
    return ino
  }

  #inoOf(handle: Handle): Ino {
    if (!this.#isResumed) throw failure('STALE', `handle ${handle}`)
    return Math.floor(handle / HANDLES_AN_INODE)
  }
}
