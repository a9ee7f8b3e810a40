/**
 * Users and groups of units: numbers that no account of a machine has, one range a data directory, so that the units of two nodes on one
 * machine are strangers too. Nothing is written to the machine's list of accounts.
 */
import { assert } from '../base/assert.ts'

/** Sockets of a unit that units of other kinds dial; each has a group, and who dials it is in the group. */
export type SharedSocket = 'links/dial' | 'store/peer' | 'store/audit' | 'audit/peer'

/** Beyond what systemd and the usual allocators of containers give out (up to 1,879,048,191), below 2^31. */
const FIRST = 1_900_000_000
const PER_NODE = 16_384
const NODES = 8_192

/** Offsets within a node's range. */
const USERS: Readonly<Record<string, number>> = { store: 1, links: 2, audit: 3 }
const GROUPS: Readonly<Record<SharedSocket, number>> = {
  'links/dial': 16,
  'store/peer': 17,
  'store/audit': 18,
  'audit/peer': 19,
}

/** Which sockets a kind of unit serves to others or dials. */
const MEMBERS: Readonly<Record<string, readonly SharedSocket[]>> = {
  store: ['store/peer', 'store/audit'],
  links: ['links/dial', 'store/peer', 'audit/peer'],
  audit: ['audit/peer', 'store/audit', 'links/dial'],
  mount: ['links/dial'],
}

/** User and groups that a process is to have. */
export interface UnitUser {
  readonly uid: number
  readonly gid: number
  readonly groups: readonly number[]
}

/**
 * The number of a node's range on this machine.
 *
 * @param device - Device of its data directory.
 * @param inode - Inode of its data directory.
 * @returns `0..8191`; two nodes of one machine share a range with one chance in 8,192.
 */
export function nodeRange(device: number, inode: number): number {
  return (inode + 7_919 * device) % NODES
}

/**
 * The user of a unit.
 *
 * @param range - As {@link nodeRange} gives.
 * @param kind - A unit that mounts has no user of its own: it works on mount points, which are the machine's.
 * @returns User and groups.
 */
export function unitUser(range: number, kind: string): UnitUser {
  const groups = (MEMBERS[kind] ?? []).map((socket) => sharedGroup(range, socket))
  const offset = USERS[kind]
  if (offset === undefined) return { uid: 0, gid: 0, groups }
  const uid = firstOf(range) + offset
  return { uid, gid: uid, groups }
}

/**
 * The group of a socket that other units dial.
 *
 * @param range - As {@link nodeRange} gives.
 * @param socket - Which.
 */
export function sharedGroup(range: number, socket: SharedSocket): number {
  return firstOf(range) + GROUPS[socket]
}

function firstOf(range: number): number {
  assert(Number.isInteger(range) && range >= 0 && range < NODES, 'a range has a number')
  return FIRST + range * PER_NODE
}
