/** Sockets of a node's processes: a folder a unit, which is the unit's own, so that none can put its socket in another's place. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { nodeRange, type SharedSocket, sharedGroup } from '../../sandbox/users.ts'

/**
 * Control socket of a unit.
 *
 * @param dataDir - The data directory.
 * @param name - `store`, `links`, `audit` or `mount-<order>`.
 * @example
 * controlSocket('/var/lib/varve', 'store') // '/var/lib/varve/run/store/control.sock'
 */
export function controlSocket(dataDir: string, name: string): string {
  return join(dataDir, 'run', name, 'control.sock')
}

/** Where the holder of a mount unit's connection to the kernel is asked. @param name - `mount-<order>`. */
export function holderSocket(dataDir: string, name: string): string {
  return join(dataDir, 'run', name, 'hold.sock')
}

/** A socket that units of other kinds dial. */
export interface SharedPlace {
  readonly path: string
  /** Who may dial it; undefined where units have no users of their own, and the socket is this user's alone. */
  readonly group?: number
}

/**
 * Where a socket is that units of other kinds dial.
 *
 * @param dataDir - The data directory.
 * @param socket - Unit and name.
 * @example
 * sharedSocket('/var/lib/varve', 'links/dial').path // '/var/lib/varve/run/links/dial.sock'
 */
export function sharedSocket(dataDir: string, socket: SharedSocket): SharedPlace {
  const path = join(dataDir, 'run', `${socket}.sock`)
  const { dev, ino } = statSync(dataDir)
  const group = sharedGroup(nodeRange(dev, ino), socket)
  return process.getgroups?.().includes(group) ? { path, group } : { path }
}
