/**
 * The order of a directory's names for readers: by inode, which is by age, so that a place in the list means the same to the
 * next process that serves the volume, and a name that stays is neither skipped nor shown twice.
 */
import type { Directory } from './inode-table.ts'
import type { ListedName } from './open-handles.ts'

/** More than an inode may have names (LINKS_MAX), so that each has a place of its own. */
const NAMES_AN_INODE = 65_536

/**
 * Lists a directory.
 *
 * @param directory - Its names.
 * @returns `[n]` names by ascending cookie; cookies are `>= 1` and depend only on the names of the same inode.
 */
export function listingOf(directory: Directory): ListedName[] {
  const sorted = [...directory].sort(
    ([oneName, one], [otherName, other]) => one - other || (oneName < otherName ? -1 : 1),
  )
  let last = 0
  let same = 0
  return sorted.map(([name, ino]) => {
    same = ino === last ? same + 1 : 0
    last = ino
    return { name, cookie: ino * NAMES_AN_INODE + same }
  })
}

/** Index of the first name behind a cookie. @param names - As {@link listingOf} gives. */
export function indexAfter(names: readonly ListedName[], cookie: number): number {
  let [low, high] = [0, names.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((names[middle]?.cookie ?? 0) > cookie) high = middle
    else low = middle + 1
  }
  return low
}
