/**
 * Mount points: checked before a mount, cleaned of what a killed process left.
 *
 * A FUSE mount whose process died stays in the table and answers ENOTCONN. Only such a one is removed, and only of Varve: what
 * still answers belongs to somebody.
 */
import { lstat, readdir, realpath, statfs } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, resolve } from 'node:path'
import { codeOf, NodeError } from '../../base/errors.ts'
import type { KernelErrorCode } from './errors.ts'
import { MNT_DETACH, unmount } from './libc.ts'
import { GUARD_SOURCE, type MountEntry, mountAt } from './mount-table.ts'

/** Type of our mounts in the table: `fuse` with the subtype. */
export const MOUNT_TYPE = 'fuse.varve'

/** Dead mounts over one another at most: one a kill, and each start cleans all. */
const STACKED_MAX = 16

/**
 * Resolves links in a path without touching what is mounted at its end.
 *
 * @param path - Absolute.
 * @throws NodeError `MOUNT_POINT_INVALID`.
 */
export async function canonicalPath(path: string): Promise<string> {
  if (!isAbsolute(path))
    throw new NodeError<KernelErrorCode>('MOUNT_POINT_INVALID', `${path} is not absolute`)
  const whole = resolve(path)
  try {
    return whole === '/' ? whole : join(await realpath(dirname(whole)), basename(whole))
  } catch (cause) {
    throw new NodeError<KernelErrorCode>('MOUNT_POINT_INVALID', `${path} cannot be reached`, {
      cause,
    })
  }
}

/**
 * Removes mounts of Varve at a path whose process died.
 *
 * @param path - Absolute.
 * @returns How many were removed.
 * @throws NodeError `MOUNT_POINT_TAKEN` if one of Varve still answers, `MOUNT_FAILED`; mounts of others are left alone.
 * @example
 * await cleanStaleMount('/mnt/history') // 1 after the process of the mount was killed
 */
export async function cleanStaleMount(path: string): Promise<number> {
  const point = await canonicalPath(path)
  for (let removed = 0; removed < STACKED_MAX; removed++) {
    const found = await mountAt(point)
    if (found?.type !== MOUNT_TYPE) return removed
    if (await answers(point)) {
      throw new NodeError<KernelErrorCode>(
        'MOUNT_POINT_TAKEN',
        `a living mount of Varve is at ${point}`,
      )
    }
    const errno = await unmount(point, MNT_DETACH)
    if (errno !== 0)
      throw new NodeError<KernelErrorCode>('MOUNT_FAILED', `umount2 ${point}: errno ${errno}`)
  }
  throw new NodeError<KernelErrorCode>(
    'MOUNT_FAILED',
    `more than ${STACKED_MAX} dead mounts at ${point}`,
  )
}

/**
 * Checks that a mount at a path would hide nothing and take nothing from others.
 *
 * @param path - As {@link canonicalPath} gives.
 * @throws NodeError `MOUNT_POINT_INVALID`, `MOUNT_POINT_TAKEN`, `MOUNT_POINT_NOT_EMPTY`.
 */
export async function checkMountPoint(path: string): Promise<void> {
  const found: MountEntry | undefined = await mountAt(path)
  if (found && found.source !== GUARD_SOURCE) {
    throw new NodeError(
      'MOUNT_POINT_TAKEN',
      `${found.source} (${found.type}) is mounted at ${path}`,
    )
  }
  const names = await namesIn(path)
  if (names.length > 0) {
    throw new NodeError<KernelErrorCode>(
      'MOUNT_POINT_NOT_EMPTY',
      `${path} holds ${names.length} names`,
    )
  }
}

async function namesIn(path: string): Promise<string[]> {
  try {
    const stats = await lstat(path)
    if (!stats.isDirectory())
      throw new NodeError<KernelErrorCode>('MOUNT_POINT_INVALID', `${path} is no directory`)
    return await readdir(path)
  } catch (cause) {
    if (cause instanceof NodeError) throw cause
    throw new NodeError<KernelErrorCode>('MOUNT_POINT_INVALID', `${path} cannot be read`, { cause })
  }
}

/**
 * A dead connection says ENOTCONN at once (ECONNABORTED if it was aborted); all else is an answer. Asked by `statfs`, which
 * always goes to the process: the kernel goes on answering `stat` out of its cache when that is dead.
 */
async function answers(path: string): Promise<boolean> {
  try {
    await statfs(path)
    return true
  } catch (caught) {
    const code = codeOf(caught)
    return code !== 'ENOTCONN' && code !== 'ECONNABORTED'
  }
}
