/**
 * Folders of units that have users of their own: made, and given to them. The walk follows no links and gives away no file that has a
 * second name, so that a unit cannot have a file of somebody else given to it.
 */
import { chmodSync, lchownSync, lstatSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** A folder that others may cross but not list. */
const CROSSED = 0o711
const OTHERS_CROSS = 0o001
const OTHERS_READ = 0o004

/**
 * Makes the folders of a unit.
 *
 * @param dataDir - Data directory of the node.
 * @param folders - Absolute paths below it.
 * @param owner - Whom they are given to, with all that is in them; undefined leaves them this user's.
 */
export function prepareUnitFolders(
  dataDir: string,
  folders: readonly string[],
  owner: { readonly uid: number; readonly gid: number } | undefined,
): void {
  for (const folder of folders) mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (!owner) return
  for (const folder of [dataDir, join(dataDir, 'run')]) chmodSync(folder, CROSSED)
  for (const folder of folders) {
    for (let at = dirname(folder); at.startsWith(`${dataDir}/`); at = dirname(at)) {
      chmodSync(at, CROSSED)
    }
    give(folder, owner)
    // Sockets that other units dial are in here, each open to its group.
    if (dirname(folder) === join(dataDir, 'run')) chmodSync(folder, CROSSED)
  }
}

/**
 * Whether a user without rights of its own gets to a path.
 *
 * @param path - Absolute.
 * @param needed - `cross` for a folder, `read` for a file.
 * @returns The first path on the way that is closed to others; undefined if none is.
 */
export function closedTo(path: string, needed: 'cross' | 'read'): string | undefined {
  const bit = needed === 'read' ? OTHERS_READ : OTHERS_CROSS
  if ((statSync(path).mode & bit) === 0) return path
  const parent = dirname(path)
  return parent === path ? undefined : closedTo(parent, 'cross')
}

function give(path: string, owner: { readonly uid: number; readonly gid: number }): void {
  const found = lstatSync(path)
  const isForeign = found.uid !== owner.uid
  if (isForeign && (found.isDirectory() || found.nlink === 1)) {
    lchownSync(path, owner.uid, owner.gid)
  }
  if (!found.isDirectory()) return
  for (const name of readdirSync(path)) give(join(path, name), owner)
}
