/**
 * Which order's mount has which path: noted beside the mount's local data, so that a guarded point can be given up when its
 * order ended for good, also by an agent that no longer knows the path.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { releaseMountPoint } from '../kernel/guarded-point.ts'

/** Name of the note in a mount's local directory; its content is the path. */
const CLAIM = 'point'

const mountDirectory = (dataDir: string, order: number | string): string =>
  join(dataDir, 'mounts', String(order))

/**
 * Where leftovers of a mount point go.
 *
 * @param dataDir - Data directory of the node.
 * @param order - The mount order.
 */
export function mountAsideDirectory(dataDir: string, order: number): string {
  return join(mountDirectory(dataDir, order), 'aside')
}

/**
 * Notes the path of a mount before it is guarded; a path that the order had before is given up.
 *
 * @param dataDir - Data directory of the node.
 * @param order - The mount order.
 * @param path - Canonical.
 */
export async function claimMountPoint(dataDir: string, order: number, path: string): Promise<void> {
  const before = claimOf(dataDir, order)
  if (before === path) return
  const directory = mountDirectory(dataDir, order)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const file = join(directory, CLAIM)
  writeFileSync(`${file}.new`, path)
  renameSync(`${file}.new`, file)
  if (before !== undefined) await releaseUnlessClaimed(dataDir, before)
}

/**
 * Gives the path of a mount up: it becomes no directory, unless another order has it or something lies there.
 *
 * @param dataDir - Data directory of the node.
 * @param order - The mount order, whose local data is still there.
 */
export async function giveUpMountPoint(dataDir: string, order: number | string): Promise<void> {
  const path = claimOf(dataDir, order)
  if (path === undefined) return
  const others = ordersOf(dataDir).filter((other) => other !== String(order))
  if (others.every((other) => claimOf(dataDir, other) !== path)) await releaseMountPoint(path)
}

/**
 * Takes the guards of all mounts of a data directory away, so that it can be removed as a whole: for grids on a developer's
 * machine. No unit may run.
 *
 * @param dataDir - Data directory of a node; nothing happens if it is not there.
 */
export async function giveUpAllMountPoints(dataDir: string): Promise<void> {
  for (const order of ordersOf(dataDir)) {
    const path = claimOf(dataDir, order)
    if (path !== undefined) await releaseMountPoint(path)
  }
}

async function releaseUnlessClaimed(dataDir: string, path: string): Promise<void> {
  const isClaimed = ordersOf(dataDir).some((order) => claimOf(dataDir, order) === path)
  if (!isClaimed) await releaseMountPoint(path)
}

function ordersOf(dataDir: string): string[] {
  try {
    return readdirSync(join(dataDir, 'mounts'))
  } catch {
    return []
  }
}

function claimOf(dataDir: string, order: number | string): string | undefined {
  try {
    return readFileSync(join(mountDirectory(dataDir, order), CLAIM), 'utf8')
  } catch {
    return undefined
  }
}
