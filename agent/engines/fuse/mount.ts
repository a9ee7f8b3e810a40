/** The door of the engine: shows a file system at a path, until it is unmounted. */
import { NodeError } from '../../base/errors.ts'
import type { Clock, Log } from '../../base/ports.ts'
import { MIB, SECOND_MS } from '../../base/units.ts'
import type { CachePolicy } from './init.ts'
import type { FileSystem, FuseDevice, FuseKernel, LastChange, ResumedConnection } from './ports.ts'
import { TRANSFER_BYTES_MAX } from './protocol.ts'
import { type FuseFigures, FuseSession } from './session.ts'

/** The kernel speaks first and at once; a machine that needs longer has another trouble. */
const INIT_TIMEOUT_MS = 10 * SECOND_MS
/**
 * What a program that reads in sequence gets ahead of time: measured best of 1 to 4 MiB on local data, and enough to hide
 * one round trip to a store at 400 MB/s and 5 ms.
 */
const READ_AHEAD_BYTES = 2 * MIB

/** What to mount where. */
export interface MountInit {
  /** Absolute path of an empty directory. */
  readonly path: string
  readonly fileSystem: FileSystem
  readonly kernel: FuseKernel
  readonly clock: Clock
  readonly log: Log
  readonly readOnly: boolean
  /** How long the kernel may believe answers: `exclusive` for the only writer, `frozen` for a snapshot, else `shared`. */
  readonly cache: CachePolicy
  readonly readAheadBytes?: number
  /** Where the last change is noted, if somebody holds the connection; see {@link Mount.canResume}. */
  readonly lastChange?: LastChange
  /** A connection to go on with, instead of a new mount. */
  readonly resumed?: ResumedConnection
}

/** A file system that is shown. */
export interface Mount {
  readonly path: string
  /** Resolves when it is no longer shown, by whomever it was unmounted, and all is given back to the file system. */
  readonly closed: Promise<void>
  readonly figures: FuseFigures
  /** Whether another process can go on with the connection if this one dies: the kernel sends requests again, nothing is lost. */
  readonly canResume: boolean
  /**
   * Takes it away.
   *
   * @param how - As for {@link FuseDevice.unmount}; after `detach` it goes on serving until the last file is closed.
   * @throws NodeError `MOUNT_BUSY` (only `clean`): nothing changed.
   */
  unmount(how: 'clean' | 'detach' | 'abort'): Promise<void>
}

/**
 * Mounts a file system.
 *
 * @param init - What, where, how.
 * @returns The mount, once the kernel has opened the conversation: the path is usable. Never call anything synchronous on the
 *   path from this process, which would wait for itself.
 * @throws NodeError `MOUNT_*`, `FUSE_VERSION`, `FUSE_INIT_TIMEOUT`; nothing is left mounted then.
 * @example
 * const mount = await mountFileSystem({ path: '/mnt/history', fileSystem, kernel, clock, log, readOnly: false, cache: 'exclusive' })
 * await mount.unmount('clean')
 */
export async function mountFileSystem(init: MountInit): Promise<Mount> {
  const { path, readOnly, kernel, fileSystem, cache } = init
  const log = init.log.child({ mount: path })
  const { clock, lastChange, resumed } = init
  const device =
    resumed?.device ?? (await kernel.mount({ path, readOnly, readBytesMax: TRANSFER_BYTES_MAX }))
  const session = new FuseSession({
    ...{ fileSystem, device, cache, clock, log },
    ...(lastChange && { lastChange }),
    ...(resumed && { resumed }),
  })
  device.start(session)
  try {
    if (resumed) session.resend()
    await within(session.ready, clock)
    device.setReadAhead(init.readAheadBytes ?? READ_AHEAD_BYTES)
  } catch (caught) {
    await device.unmount('abort')
    throw caught
  }
  log.info({ readOnly, cache }, resumed ? 'fuse: goes on' : 'fuse: mounted')
  return {
    path,
    closed: session.closed,
    get figures() {
      return session.figures
    },
    get canResume() {
      return session.canResend && fileSystem.position !== undefined
    },
    unmount: (how) => unmount(device, session, how),
  }
}

async function within(ready: Promise<void>, clock: Clock): Promise<void> {
  const timer = new AbortController()
  const late = clock.sleep(INIT_TIMEOUT_MS, timer.signal).then(() => {
    throw new NodeError('FUSE_INIT_TIMEOUT', 'the kernel sent no INIT')
  })
  late.catch(() => {})
  try {
    await Promise.race([ready, late])
  } finally {
    timer.abort()
  }
}

async function unmount(
  device: FuseDevice,
  session: FuseSession,
  how: 'clean' | 'detach' | 'abort',
): Promise<void> {
  await device.unmount(how)
  if (how !== 'detach') await session.closed
}
