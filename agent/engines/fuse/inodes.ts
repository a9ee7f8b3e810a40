/**
 * What the kernel knows of: how often each inode was named to it, the parents of directories, and the handles it holds.
 *
 * The counts tell when an inode may go (`FileSystem.forget`); parents answer for `..`; all of it is given back when the
 * connection ends, because the kernel then says nothing more.
 */
import { assert } from '../../base/assert.ts'
import type { Attributes, Handle, Ino } from './ports.ts'
import { MODE } from './protocol.ts'

/** Number of the root directory, which the kernel knows from the start and never forgets. */
export const ROOT: Ino = 1

/** The table of inodes and handles of one connection. */
export class Inodes {
  readonly #lookups = new Map<Ino, number>()
  readonly #parents = new Map<Ino, Ino>()
  readonly #files = new Set<Handle>()
  readonly #directories = new Set<Handle>()
  readonly #isResumed: boolean

  /** @param isResumed - The kernel was told things by a process before this one, which are not known here. */
  constructor(isResumed = false) {
    this.#isResumed = isResumed
  }

  get known(): number {
    return this.#lookups.size
  }

  get open(): number {
    return this.#files.size + this.#directories.size
  }

  /** An inode goes to the kernel as the entry of `parent`. */
  named(attributes: Attributes, parent: Ino): void {
    const { ino, mode } = attributes
    this.#lookups.set(ino, (this.#lookups.get(ino) ?? 0) + 1)
    if ((mode & MODE.TYPE) === MODE.DIRECTORY) this.#parents.set(ino, parent)
  }

  /**
   * The kernel takes back `times` of the times that the inode was named.
   *
   * @returns True if that was the last.
   */
  forgotten(ino: Ino, times: number): boolean {
    if (ino === ROOT) return false
    const left = (this.#lookups.get(ino) ?? 0) - times
    assert(left >= 0 || this.#isResumed, 'the kernel forgets only what it was told')
    if (left > 0) this.#lookups.set(ino, left)
    else this.#drop(ino)
    return left <= 0
  }

  /** Parent of a directory; the root is its own. A directory whose parent is not known answers for itself. */
  parentOf(directory: Ino): Ino {
    return this.#parents.get(directory) ?? directory
  }

  /** A directory was moved under another parent. */
  moved(directory: Ino, parent: Ino): void {
    if (this.#parents.has(directory)) this.#parents.set(directory, parent)
  }

  opened(kind: 'file' | 'directory', handle: Handle): void {
    this.#of(kind).add(handle)
  }

  /** @returns True if the handle was open. */
  closed(kind: 'file' | 'directory', handle: Handle): boolean {
    return this.#of(kind).delete(handle) || this.#isResumed
  }

  /** Empties the tables. @returns What was in them. */
  takeAll(): { inodes: Ino[]; files: Handle[]; directories: Handle[] } {
    const all = {
      inodes: [...this.#lookups.keys()],
      files: [...this.#files],
      directories: [...this.#directories],
    }
    this.#lookups.clear()
    this.#parents.clear()
    this.#files.clear()
    this.#directories.clear()
    return all
  }

  #drop(ino: Ino): void {
    this.#lookups.delete(ino)
    this.#parents.delete(ino)
  }

  #of(kind: 'file' | 'directory'): Set<Handle> {
    return kind === 'file' ? this.#files : this.#directories
  }
}
