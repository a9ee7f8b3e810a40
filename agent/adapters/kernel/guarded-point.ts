/**
 * The place of a mount while nothing is mounted there: it takes no writes.
 *
 * A program that starts before its mount would otherwise fill the local disk, and one stray file would keep the mount away for
 * ever. So the empty directory is immutable, from its making to the end of the order, mounted or not, over restarts of the
 * machine. Where the file system has no such flag, a read-only file system without a byte is mounted beneath instead.
 * What lies there all the same (made before the guard) is moved aside, whole, and reported; nothing is removed.
 */
import { chmod, lstat, mkdir, readdir, rename, rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { codeOf, NodeError } from '../../base/errors.ts'
import type { KernelErrorCode } from './errors.ts'
import { setImmutable } from './immutable.ts'
import { MNT_DETACH, MS_NODEV, MS_NOSUID, MS_RDONLY, mount, unmount } from './libc.ts'
import { GUARD_SOURCE, mountAt } from './mount-table.ts'

/** Times that something may lie there again before it is given up: whoever writes so fast has to be stopped first. */
const ATTEMPTS_MAX = 8
/** What a directory takes that nobody may write, also where neither guard can be had: programs without root are refused. */
const POINT_MODE = 0o555

/** What keeps writes off. */
export type Guard = 'immutable' | 'placeholder' | 'none'

/** What guarding found. */
export interface GuardedPoint {
  readonly guard: Guard
  /** Where what lay there was moved to, absolute paths; mostly none. */
  readonly moved: readonly string[]
}

/**
 * Makes a mount point that takes no writes: an empty directory, guarded. Call it when no mount of ours is at the path.
 *
 * @param options.path - Absolute and canonical; made with its parents if missing.
 * @param options.asideDir - Where leftovers go; made if needed. On another disk they go beside the point, as `NAME.aside-LABEL`.
 * @param options.label - Tells apart what is moved at different times.
 * @throws NodeError `MOUNT_POINT_NOT_EMPTY` if what lies there cannot be moved, `MOUNT_POINT_TAKEN`, `MOUNT_POINT_INVALID`.
 * @example
 * await guardMountPoint({ path: '/mnt/history', asideDir: '/var/lib/varve/mounts/7/aside', label: '1764547200000' })
 * // { guard: 'immutable', moved: [] }
 */
export async function guardMountPoint(options: {
  readonly path: string
  readonly asideDir: string
  readonly label: string
}): Promise<GuardedPoint> {
  const { path } = options
  const moved: string[] = []
  const found = await mountAt(path)
  if (found?.source === GUARD_SOURCE) return { guard: 'placeholder', moved }
  if (found) {
    const message = `${found.source} (${found.type}) is mounted at ${path}`
    throw new NodeError<KernelErrorCode>('MOUNT_POINT_TAKEN', message)
  }
  await mkdir(dirname(path), { recursive: true })
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    await mkdir(path, { mode: POINT_MODE }).catch(unlessThere)
    const isDirectory = (await lstat(path)).isDirectory()
    if (isDirectory) {
      const isImmutable = setImmutable(path, true)
      if ((await readdir(path)).length === 0) return { guard: guardOf(path, isImmutable), moved }
      if (isImmutable) setImmutable(path, false)
      // A directory that changes its parent must be writable, for who has no rights beyond its owner's.
      await chmod(path, 0o755).catch(() => undefined)
    }
    try {
      moved.push(await moveAside(options, attempt))
    } catch (caught) {
      if (isDirectory) setImmutable(path, true)
      throw caught
    }
  }
  throw new NodeError<KernelErrorCode>('MOUNT_POINT_NOT_EMPTY', `${path} is filled again and again`)
}

/**
 * Takes the guard away and removes the empty directory, when its order ended for good. Repeatable; what is mounted or lies
 * there is left alone.
 *
 * @param path - As for {@link guardMountPoint}.
 */
export async function releaseMountPoint(path: string): Promise<void> {
  const found = await mountAt(path)
  if (found && found.source !== GUARD_SOURCE) return
  if (found) await unmount(path, MNT_DETACH)
  try {
    setImmutable(path, false)
    await rmdir(path)
  } catch {
    // Gone already, or not empty: then it is somebody's.
  }
}

function guardOf(path: string, isImmutable: boolean): Guard {
  if (isImmutable) return 'immutable'
  const flags = MS_RDONLY | MS_NOSUID | MS_NODEV
  const data = 'size=4k,mode=555'
  const errno = mount({ source: GUARD_SOURCE, target: path, type: 'tmpfs', flags, data })
  return errno === 0 ? 'placeholder' : 'none'
}

/** The directory goes as it is, so that programs that have it open go on with what they know. */
async function moveAside(
  { path, asideDir, label }: { path: string; asideDir: string; label: string },
  attempt: number,
): Promise<string> {
  const name = attempt === 0 ? label : `${label}-${attempt}`
  try {
    await mkdir(asideDir, { recursive: true, mode: 0o700 })
    const to = join(asideDir, `point-${name}`)
    const isMoved = await rename(path, to).then(
      () => true,
      (caught: unknown) => {
        // Another disk, or a directory of somebody else that may only be moved where it is.
        if (!['EXDEV', 'EACCES', 'EPERM'].includes(codeOf(caught) ?? '')) throw caught
        return false
      },
    )
    if (isMoved) return to
    const beside = `${path}.aside-${name}`
    await rename(path, beside)
    return beside
  } catch (cause) {
    const message = `what lies at ${path} cannot be moved aside: ${codeOf(cause)}`
    throw new NodeError<KernelErrorCode>('MOUNT_POINT_NOT_EMPTY', message, { cause })
  }
}

function unlessThere(caught: unknown): void {
  if (codeOf(caught) !== 'EEXIST') {
    throw new NodeError<KernelErrorCode>('MOUNT_POINT_INVALID', 'the mount point cannot be made', {
      cause: caught,
    })
  }
}
