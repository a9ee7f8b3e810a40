/** How many files and sockets this process may have open. */
import { readFileSync } from 'node:fs'

/**
 * Reads the limit that the system set.
 *
 * @returns Descriptors; infinite where there is no limit, or no telling.
 */
export function descriptorLimit(): number {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
