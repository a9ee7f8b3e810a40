/**
 * pread(2) itself: Node's form of it makes objects and checks what is known here, 0.6 µs of the 2.4 that 4 KiB from the
 * page cache cost (docs/design/0004-store.md).
 */
import koffi from 'koffi'
import { addressOf } from './buffer-address.ts'
import { EINTR } from './io-ring-layout.ts'
import { optionalLibc } from './optional-libc.ts'

/**
 * Reads from a file.
 *
 * @param fd - Its descriptor, open for reading.
 * @param into - Where the bytes go, `lengthBytes` from `at` on, all of it inside.
 * @param offset - First byte to read.
 * @returns Bytes read, 0 at the end of the file; or the negative error number.
 */
export type PositionalRead = (
  fd: number,
  into: Uint8Array,
  at: number,
  lengthBytes: number,
  offset: number,
) => number

/**
 * Loads the call.
 *
 * @returns It, or undefined where there is no glibc.
 */
export function positionalRead(): PositionalRead | undefined {
  return optionalLibc((libc) => {
    const pread = libc.func('pread64', 'long', ['int', 'uintptr_t', 'size_t', 'int64_t'])
    return (fd, into, at, lengthBytes, offset) => {
      const address = addressOf(into) + at
      for (;;) {
        const result: number = pread(fd, address, lengthBytes, offset)
        if (result >= 0) return result
        const errno = koffi.errno()
        if (errno !== EINTR) return -errno
      }
    }
  })
}
