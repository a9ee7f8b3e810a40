/** The immutable flag of a directory: what carries it takes no new names, not even from root, until the flag is taken away. */
import { closeSync, constants, openSync } from 'node:fs'
import { codeOf, NodeError } from '../../base/errors.ts'
import type { KernelErrorCode } from './errors.ts'
import { optionalLibc } from './optional-libc.ts'

/** `_IOR('f', 1, long)` and `_IOW('f', 2, long)` with 8-byte longs; what travels is an int all the same. */
const FS_IOC_GETFLAGS = 0x80086601
const FS_IOC_SETFLAGS = 0x40086602
const FS_IMMUTABLE_FL = 0x10

const ioctl = optionalLibc((libc) => libc.func('ioctl', 'int', ['int', 'ulong', 'void *']))

/**
 * Sets or clears the flag. Repeatable.
 *
 * @param path - A directory that is there; no link.
 * @param isImmutable - What it shall be.
 * @returns False if the file system has no such flag or the process may not set it; then nothing changed.
 * @throws NodeError `MOUNT_POINT_INVALID` if the path cannot be opened as a directory.
 * @example
 * setImmutable('/mnt/history', true)
 */
export function setImmutable(path: string, isImmutable: boolean): boolean {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants
  if (!ioctl) return false
  let fd: number
  try {
    fd = openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK)
  } catch (cause) {
    const message = `${path} cannot be opened: ${codeOf(cause)}`
    throw new NodeError<KernelErrorCode>('MOUNT_POINT_INVALID', message, { cause })
  }
  try {
    const flags = Buffer.alloc(8)
    if (ioctl(fd, FS_IOC_GETFLAGS, flags) !== 0) return false
    const old = flags.readUInt32LE(0)
    const next = isImmutable ? old | FS_IMMUTABLE_FL : old & ~FS_IMMUTABLE_FL
    if (next === old) return true
    flags.writeUInt32LE(next >>> 0, 0)
    return ioctl(fd, FS_IOC_SETFLAGS, flags) === 0
  } finally {
    closeSync(fd)
  }
}
