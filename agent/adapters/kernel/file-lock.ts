/**
 * A lock that the kernel holds on an open file (flock): it also holds between containers and PID namespaces that share the
 * file, and ends with the process, whatever ended it.
 */
import koffi from 'koffi'
import { NodeError } from '../../base/errors.ts'

const LOCK_EX = 2
const LOCK_NB = 4

let flock: ((fd: number, operation: number) => number) | undefined

/**
 * Locks an open file for its descriptor, without waiting.
 *
 * @param fd - Descriptor of a file or a directory; the lock lives until it is closed.
 * @returns False if another descriptor has the lock, in this process or in any other.
 * @throws NodeError `DISK_IO` if the file system has no locks of this kind.
 * @example
 * const fd = openSync(path, 'a')
 * if (!tryLockFile(fd)) throw new NodeError('DISK_LOCKED', path)
 */
export function tryLockFile(fd: number): boolean {
  // Of the C library that runs this program, whichever that is.
  flock ??= koffi.load(null).func('int flock(int fd, int operation)')
  if (flock(fd, LOCK_EX | LOCK_NB) === 0) return true
  const errno = koffi.errno()
  if (errno === koffi.os.errno['EWOULDBLOCK']) return false
  throw new NodeError('DISK_IO', `the file system refuses to lock (error number ${errno})`)
}
