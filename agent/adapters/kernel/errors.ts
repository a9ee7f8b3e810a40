/** Failure codes of the kernel adapters. */
import type { ErrorCatalogue } from '../../base/errors.ts'

/** Codes of mounting and unmounting. */
export type KernelErrorCode =
  | 'MOUNT_POINT_INVALID'
  | 'MOUNT_POINT_NOT_EMPTY'
  | 'MOUNT_POINT_TAKEN'
  | 'MOUNT_NOT_PERMITTED'
  | 'MOUNT_UNSUPPORTED'
  | 'MOUNT_FAILED'
  | 'MOUNT_BUSY'
  | 'FUSE_DEVICE'
  | 'FUSE_REPLY_REFUSED'
  | 'IO_RING_UNAVAILABLE'
  | 'IO_RING_FAILED'
  | 'CONFINEMENT_REFUSED'
  | 'CONFINEMENT_UNSUPPORTED'

/** What each code means and what to do. */
export const KERNEL_ERRORS: ErrorCatalogue<KernelErrorCode> = {
  MOUNT_POINT_INVALID: {
    means: 'The mount point is not an absolute path of an existing directory.',
    hint: 'Make the directory, or correct the path in the order.',
  },
  MOUNT_POINT_NOT_EMPTY: {
    means: 'The mount point holds files, which a mount would hide.',
    hint: 'Move the files away, or mount at another path.',
  },
  MOUNT_POINT_TAKEN: {
    means: 'Something that answers, or that is not of Varve, is mounted there already.',
    hint: 'Unmount it, or mount at another path.',
  },
  MOUNT_NOT_PERMITTED: {
    means: 'The process may not mount.',
    hint: 'Run the agent as root or with CAP_SYS_ADMIN.',
  },
  MOUNT_UNSUPPORTED: {
    means: 'This kernel has no FUSE.',
    hint: 'Load the module "fuse", or use a kernel that has it.',
  },
  MOUNT_FAILED: { means: 'The kernel refused to mount or unmount.', hint: 'See the kernel log.' },
  MOUNT_BUSY: {
    means: 'Files on the mount are open, or a process works in it.',
    hint: 'Stop what uses the mount, or detach it.',
  },
  FUSE_DEVICE: {
    means: 'Reading requests from /dev/fuse failed.',
    hint: 'See the kernel log; mount again.',
  },
  FUSE_REPLY_REFUSED: {
    means: 'The kernel refused a reply.',
    hint: 'Report it with the kernel version: the reply did not fit the request.',
  },
  IO_RING_UNAVAILABLE: {
    means: 'The kernel has no io_uring that serves, or does not allow this process to use it.',
    hint: 'Use Linux 6.1 or later and allow io_uring (sysctl kernel.io_uring_disabled, seccomp), or --sockets libuv.',
  },
  IO_RING_FAILED: {
    means: 'An io_uring that worked does so no more; its connections were closed.',
    hint: 'See the kernel log; new connections are served without it.',
  },
  CONFINEMENT_REFUSED: {
    means: 'The kernel refused to take rights from a unit that was to start; it was not started.',
    hint: 'See the call and its error number: the machine may run the agent in a container that forbids it.',
  },
  CONFINEMENT_UNSUPPORTED: {
    means: 'This system has no way that Varve knows to take rights from a process.',
    hint: 'Use Linux on x64 or arm64; elsewhere units run with the rights of the agent, which is for trial only.',
  },
}
