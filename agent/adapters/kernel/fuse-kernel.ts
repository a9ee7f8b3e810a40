/** Mounts FUSE file systems: opens the device, checks the mount point, calls mount(2). */
import { closeSync, constants, openSync } from 'node:fs'
import { required } from '../../base/assert.ts'
import { NodeError } from '../../base/errors.ts'
import type { FuseKernel, FuseMountOptions } from '../../engines/fuse/ports.ts'
import type { KernelErrorCode } from './errors.ts'
import { KernelFuseDevice } from './fuse-device.ts'
import { MS_NODEV, MS_NOSUID, MS_RDONLY, mount } from './libc.ts'
import { canonicalPath, checkMountPoint, cleanStaleMount, MOUNT_TYPE } from './mount-point.ts'
import { mountAt } from './mount-table.ts'

const EPERM = 1
const ENODEV = 19
/** What the table shows as the source of our mounts. */
const SOURCE = 'varve'

/** The kernel of this machine. Mounting cleans what a killed process left at the path. */
export const fuseKernel: FuseKernel = { mount: (options) => mountFuse(options) }

/**
 * Mounts, with a setting for measurements.
 *
 * @param options - As for {@link FuseKernel.mount}.
 * @param stayUs - See `FuseDeviceInit`.
 * @returns The device.
 * @throws NodeError `MOUNT_*`.
 */
export async function mountFuse(
  options: FuseMountOptions,
  stayUs?: number,
): Promise<KernelFuseDevice> {
  const path = await canonicalPath(options.path)
  await cleanStaleMount(path)
  await checkMountPoint(path)
  const fd = openDevice()
  try {
    callMount(path, fd, options)
    const entry = required(await mountAt(path), 'what was mounted is in the table')
    return new KernelFuseDevice({
      fd,
      path,
      device: entry.device,
      ...(stayUs !== undefined && { stayUs }),
    })
  } catch (caught) {
    closeSync(fd)
    throw caught
  }
}

function openDevice(): number {
  try {
    return openSync('/dev/fuse', constants.O_RDWR | constants.O_NONBLOCK)
  } catch (cause) {
    throw new NodeError<KernelErrorCode>('MOUNT_UNSUPPORTED', '/dev/fuse cannot be opened', {
      cause,
    })
  }
}

function callMount(path: string, fd: number, { readOnly, readBytesMax }: FuseMountOptions): void {
  const data = [
    `fd=${fd}`,
    'rootmode=40000',
    `user_id=${process.getuid?.() ?? 0}`,
    `group_id=${process.getgid?.() ?? 0}`,
    'default_permissions',
    'allow_other',
    `max_read=${readBytesMax}`,
  ].join(',')
  const flags = MS_NOSUID | MS_NODEV | (readOnly ? MS_RDONLY : 0)
  const errno = mount({ source: SOURCE, target: path, type: MOUNT_TYPE, flags, data })
  if (errno === 0) return
  const code =
    errno === EPERM
      ? 'MOUNT_NOT_PERMITTED'
      : errno === ENODEV
        ? 'MOUNT_UNSUPPORTED'
        : 'MOUNT_FAILED'
  throw new NodeError(code, `mount at ${path}: errno ${errno}`)
}
