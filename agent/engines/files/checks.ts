/** What must hold before an operation is recorded, each with the code that says which of it does not. */
import { assert } from '../../base/assert.ts'
import { NodeError } from '../../base/errors.ts'
import { nameBytes } from '../../base/name-text.ts'
import { FILE_BYTES_MAX, LINKS_MAX, NAME_BYTES_MAX } from './constants.ts'
import type { FileErrorCode } from './errors.ts'
import { type Ino, isDirectory, isRegular, type RenameOptions, ROOT } from './file-system.ts'
import type { Directory, Slot } from './inode-table.ts'
import type { Tree } from './tree.ts'

/** A name in a directory. */
export interface Place {
  readonly parent: Ino
  readonly name: string
}

/** The slot of an inode. @throws NodeError `NOT_FOUND`. */
export function slotOf(tree: Tree, ino: Ino): Slot {
  const slot = tree.inodes.find(ino)
  if (slot === undefined) throw failure('NOT_FOUND', `inode ${ino}`)
  return slot
}

/** Whether an inode is a directory. @throws NodeError `NOT_FOUND`. */
export function isDirectoryAt(tree: Tree, ino: Ino): boolean {
  return isDirectory(tree.inodes.mode(slotOf(tree, ino)))
}

/** The names of a directory. @throws NodeError `NOT_FOUND`, `NOT_DIRECTORY`. */
export function directoryOf(tree: Tree, ino: Ino): Directory {
  const content = tree.inodes.content(slotOf(tree, ino))
  if (!(content instanceof Map)) throw failure('NOT_DIRECTORY', `inode ${ino}`)
  return content
}

/** The inode of a name. @throws NodeError `NOT_FOUND`, `NAME_TOO_LONG`, `INVALID`. */
export function inoNamed(directory: Directory, name: string): Ino {
  checkName(name)
  const ino = directory.get(name)
  if (ino === undefined) throw failure('NOT_FOUND', name)
  return ino
}

/** @throws NodeError `EXISTS`, `NOT_FOUND`, `NOT_DIRECTORY`, `NAME_TOO_LONG`, `INVALID` unless the name may be made. */
export function checkFree(tree: Tree, parent: Ino, name: string): void {
  checkName(name)
  if (directoryOf(tree, parent).has(name)) throw failure('EXISTS', name)
  checkNamed(tree, parent)
}

/** @throws NodeError `IS_DIRECTORY`, `INVALID` unless the inode is a regular file. */
export function checkRegular(tree: Tree, slot: Slot): void {
  const mode = tree.inodes.mode(slot)
  if (isDirectory(mode)) throw failure('IS_DIRECTORY', 'a directory')
  if (!isRegular(mode)) throw failure('INVALID', 'not a regular file')
}

/** @throws NodeError `INVALID`, `FILE_TOO_BIG` unless a file may have that size. */
export function checkFileSize(bytes: number): void {
  if (bytes < 0) throw failure('INVALID', 'a negative size')
  if (bytes > FILE_BYTES_MAX) throw failure('FILE_TOO_BIG', 'the file would be too big')
}

/**
 * Checks a rename as rename(2) has it.
 *
 * @returns What is moved, and what the target names now; the same inode if there is nothing to do.
 * @throws NodeError with the code of the first rule that is broken.
 */
export function checkRename(
  tree: Tree,
  from: Place,
  to: Place,
  { noReplace, exchange }: RenameOptions,
): { moved: Ino; replaced: Ino | undefined } {
  const moved = inoNamed(directoryOf(tree, from.parent), from.name)
  checkName(to.name)
  const replaced = directoryOf(tree, to.parent).get(to.name)
  if (noReplace && exchange) throw failure('INVALID', 'flags exclude each other')
  if (noReplace && replaced !== undefined) throw failure('EXISTS', 'the target is there')
  if (exchange && replaced === undefined) throw failure('NOT_FOUND', 'nothing to exchange with')
  checkNamed(tree, to.parent)
  checkNotInside(tree, moved, to.parent)
  if (exchange && replaced !== undefined) checkNotInside(tree, replaced, from.parent)
  if (replaced === moved) return { moved, replaced }
  if (replaced !== undefined && !exchange) checkReplaceable(tree, moved, replaced)
  if (from.parent !== to.parent) checkDirectoryLinks(tree, moved, replaced, to.parent)
  return { moved, replaced }
}

/** A failed file operation. */
export function failure(code: FileErrorCode, message: string): NodeError<FileErrorCode> {
  return new NodeError(code, message)
}

/** A failed file operation because of the local disk. */
export function ioFailure(cause: unknown): NodeError<FileErrorCode> {
  return new NodeError('IO', 'the local disk failed', { cause })
}

function checkName(name: string): void {
  if (name.length > NAME_BYTES_MAX || nameBytes(name) > NAME_BYTES_MAX) {
    throw failure('NAME_TOO_LONG', 'a name has at most 255 bytes')
  }
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) {
    throw failure('INVALID', 'not a name')
  }
}

function checkNamed(tree: Tree, directory: Ino): void {
  if (tree.orphans.has(directory)) throw failure('NOT_FOUND', 'the directory was removed')
}

function checkNotInside(tree: Tree, moved: Ino, directory: Ino): void {
  if (!isDirectoryAt(tree, moved)) return
  const { inodes } = tree
  for (let at = directory; ; at = inodes.parent(inodes.at(at))) {
    if (at === moved) throw failure('INVALID', 'a directory cannot be moved into itself')
    if (at === ROOT) return
    assert(at !== 0, 'every directory is below the root')
  }
}

function checkReplaceable(tree: Tree, moved: Ino, replaced: Ino): void {
  if (!isDirectoryAt(tree, replaced)) {
    if (isDirectoryAt(tree, moved)) throw failure('NOT_DIRECTORY', 'the target is a file')
    return
  }
  if (!isDirectoryAt(tree, moved)) throw failure('IS_DIRECTORY', 'the target is a directory')
  if (tree.directory(replaced).size > 0) throw failure('NOT_EMPTY', 'the target has names')
}

function checkDirectoryLinks(tree: Tree, moved: Ino, replaced: Ino | undefined, to: Ino): void {
  if (!isDirectoryAt(tree, moved)) return
  if (replaced !== undefined && isDirectoryAt(tree, replaced)) return
  const { inodes } = tree
  if (inodes.links(inodes.at(to)) >= LINKS_MAX) throw failure('TOO_MANY_LINKS', 'directories')
}
