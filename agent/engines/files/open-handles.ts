/** Handles of open files and directories, and which inodes they keep. */
import { failure } from './checks.ts'
import { HANDLES_MAX } from './constants.ts'
import type { Handle, Ino } from './file-system.ts'

/** An open file. */
export interface OpenFile {
  readonly ino: Ino
  /** Where the next read begins if the reader goes forward. */
  nextOffset: number
}

/** An open directory. */
export interface OpenDirectory {
  readonly ino: Ino
  /** Names as they were when the listing began. */
  names: readonly string[]
}

/** All handles of a volume. */
export class OpenHandles {
  readonly #files = new Map<Handle, OpenFile>()
  readonly #directories = new Map<Handle, OpenDirectory>()
  readonly #opens = new Map<Ino, number>()
  #last = 0

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
    const handle = this.#take(ino)
    this.#files.set(handle, { ino, nextOffset: 0 })
    return handle
  }

  openDirectory(ino: Ino): Handle {
    const handle = this.#take(ino)
    this.#directories.set(handle, { ino, names: [] })
    return handle
  }

  /** @throws NodeError `STALE`. */
  file(handle: Handle): OpenFile {
    const file = this.#files.get(handle)
    if (!file) throw failure('STALE', `handle ${handle}`)
    return file
  }

  /** @throws NodeError `STALE`. */
  directory(handle: Handle): OpenDirectory {
    const directory = this.#directories.get(handle)
    if (!directory) throw failure('STALE', `handle ${handle}`)
    return directory
  }

  /** @returns The inode, which this handle keeps no longer. @throws NodeError `STALE`. */
  closeFile(handle: Handle): Ino {
    const { ino } = this.file(handle)
    this.#files.delete(handle)
    return this.#give(ino)
  }

  /** @returns The inode, which this handle keeps no longer. @throws NodeError `STALE`. */
  closeDirectory(handle: Handle): Ino {
    const { ino } = this.directory(handle)
    this.#directories.delete(handle)
    return this.#give(ino)
  }

  #take(ino: Ino): Handle {
    this.checkRoom()
    this.#opens.set(ino, (this.#opens.get(ino) ?? 0) + 1)
    return ++this.#last
  }

  #give(ino: Ino): Ino {
    const left = (this.#opens.get(ino) ?? 1) - 1
    if (left > 0) this.#opens.set(ino, left)
    else this.#opens.delete(ino)
    return ino
  }
}
