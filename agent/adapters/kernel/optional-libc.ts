/** Calls of the C library that a program can do without. */
import koffi from 'koffi'

/**
 * Loads calls where there is glibc on Linux.
 *
 * @param load - Makes the calls out of the library.
 * @returns They, or undefined on another system or with another C library.
 */
export function optionalLibc<T>(load: (libc: ReturnType<typeof koffi.load>) => T): T | undefined {
  if (process.platform !== 'linux') return undefined
  try {
    return load(koffi.load('libc.so.6'))
  } catch {
    return undefined
  }
}
