/**
 * Keeps two processes from using one directory.
 *
 * Two files are locked: the directory itself, which nobody can take away like a "stale" lock file, and a lock file in it, for
 * file systems of networks, which lock no directories. The lock file stays when the lock is given back: removing it would let
 * one process lock the removed file and another its successor.
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { isNodeError, NodeError } from '../../base/errors.ts'
import { tryLockFile } from './file-lock.ts'

/**
 * Locks a directory for this process.
 *
 * @param directory - Made with mode 0700 if missing.
 * @param name - Name of the lock file in it, which says who holds the lock, for people.
 * @returns Gives the lock back; calling it again does nothing.
 * @throws NodeError `DISK_LOCKED` if it is locked, by this process too, with the text of the lock file in `details.holder`;
 *   `DISK_IO` if its file system has no locks; the system's code if it cannot be made or opened.
 * @example
 * const unlock = lockDirectory('/srv/store', 'store.lock')
 */
export function lockDirectory(directory: string, name: string): () => void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const path = join(directory, name)
  const open: number[] = []
  const unlock = () => {
    for (const fd of open.splice(0)) closeSync(fd)
  }
  try {
    const folder = openSync(directory, 'r')
    open.push(folder)
    if (!tryLockFolder(folder)) throw lockedBy(directory, path)
    const file = openSync(path, 'a', 0o600)
    open.push(file)
    if (!tryLockFile(file)) throw lockedBy(directory, path)
    ftruncateSync(file, 0)
    writeSync(file, `${process.pid} on ${hostname()}\n`)
    return unlock
  } catch (caught) {
    unlock()
    throw caught
  }
}

/** What cannot be locked as a folder is kept by its lock file alone. */
function tryLockFolder(fd: number): boolean {
  try {
    return tryLockFile(fd)
  } catch (caught) {
    if (isNodeError(caught, 'DISK_IO')) return true
    throw caught
  }
}

function lockedBy(directory: string, path: string): NodeError {
  const holder = readHolder(path)
  return new NodeError('DISK_LOCKED', `process ${holder} uses ${directory}`, {
    details: { holder, pid: Number.parseInt(holder, 10) || undefined },
  })
}

function readHolder(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim() || 'unknown'
  } catch {
    // It has the directory, and has not made the file yet.
    return 'unknown'
  }
}
