/** The few calls of the C library that Node does not offer: mount, umount2, ppoll. Needs glibc on Linux. */
import koffi from 'koffi'

/** Flags of mount(2) and umount2(2). */
export const MS_RDONLY = 1
export const MS_NOSUID = 2
export const MS_NODEV = 4
export const MNT_FORCE = 1
export const MNT_DETACH = 2

const EVENT_IN = 1
const POLLFD_BYTES = 8
const NS_PER_US = 1000
const US_PER_SECOND = 1_000_000

const libc = koffi.load('libc.so.6')
const mountCall = libc.func(
  'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
)
const umountCall = libc.func('int umount2(const char *target, int flags)')
const ppollCall = libc.func('int ppoll(void *fds, unsigned long count, void *timeout, void *mask)')

/** What a call gave: 0, or the error number. */
export type Errno = number

/**
 * mount(2).
 *
 * @returns 0 or the error number.
 */
export function mount(call: {
  source: string
  target: string
  type: string
  flags: number
  data: string
}): Errno {
  const result: number = mountCall(call.source, call.target, call.type, call.flags, call.data)
  return result === 0 ? 0 : koffi.errno()
}

/**
 * umount2(2), in a thread: the kernel may ask the file system to write, which this process serves.
 *
 * @param target - Path of the mount.
 * @param flags - `MNT_*`.
 * @returns 0 or the error number.
 */
export function unmount(target: string, flags: number): Promise<Errno> {
  return new Promise((resolve) => {
    umountCall.async(target, flags, (error: unknown, result: number) => {
      if (error) resolve(koffi.os.errno['EIO'] ?? 5)
      else resolve(result === 0 ? 0 : koffi.errno())
    })
  })
}

/** The same, at once: only while the process exits, with `MNT_FORCE`, which asks the file system nothing. */
export function unmountNow(target: string, flags: number): Errno {
  const result: number = umountCall(target, flags)
  return result === 0 ? 0 : koffi.errno()
}

/** Waits for a descriptor to be readable; made once, because the structures are used again. */
export class ReadableWait {
  readonly #pollfd = Buffer.alloc(POLLFD_BYTES)
  readonly #timespec = Buffer.alloc(16)

  constructor(fd: number) {
    this.#pollfd.writeInt32LE(fd, 0)
    this.#pollfd.writeInt16LE(EVENT_IN, 4)
  }

  /**
   * Blocks this thread.
   *
   * @param us - Microseconds at most, `>= 0`.
   * @returns True if the descriptor is readable or broken (a read then tells).
   */
  wait(us: number): boolean {
    this.#timespec.writeInt32LE(Math.floor(us / US_PER_SECOND), 0)
    this.#timespec.writeInt32LE((us % US_PER_SECOND) * NS_PER_US, 8)
    return ppollCall(this.#pollfd, 1, this.#timespec, null) > 0
  }
}
