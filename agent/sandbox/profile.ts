/**
 * What a unit may do, as data: the files it may touch, the sockets it may open, the capabilities it keeps. How the kernel is told is
 * in `adapters/kernel/confinement.ts`; what the kernel is told about system calls is in `seccomp.ts`.
 */

/** Families of sockets that a process may open. */
export type SocketFamily = 'unix' | 'inet' | 'inet6' | 'netlink'

/** Linux capabilities that some unit needs. */
export type Capability = 'sys-admin' | 'linux-immutable'

/** What a process may do once it is confined; all that is not named is refused by the kernel. */
export interface Profile {
  /** Name for people and logs: the kind of the unit. */
  readonly name: string
  /** Paths below which everything may be read and, where it is a program or library, executed. Absent paths are left out. */
  readonly readable: readonly string[]
  /** Paths below which files may be made, read, written and removed. Absent paths are left out. */
  readonly writable: readonly string[]
  readonly sockets: readonly SocketFamily[]
  /** Whether TCP ports may be bound and dialled. */
  readonly tcp: boolean
  /** Kept in the permitted, effective and ambient sets; the others are gone for good. */
  readonly capabilities: readonly Capability[]
}

/** Where a unit's files are. */
export interface Places {
  /** Data directory of the node. */
  readonly dataDir: string
  /** Root of the program's own files, `node_modules` included. */
  readonly programRoot: string
  /** The runtime that executes the program. */
  readonly runtime: string
}

/** What every program needs: the C library, time zones, entropy, the kernel's view of the process itself. */
const SYSTEM_READABLE = [
  '/lib',
  '/lib64',
  '/usr',
  '/etc/ld.so.cache',
  '/etc/ssl/openssl.cnf',
  '/etc/localtime',
  '/proc',
  '/sys',
]
const DEVICES = ['/dev/null', '/dev/zero', '/dev/urandom', '/dev/random']

/**
 * Gives the profile of a kind of unit.
 *
 * @param kind - `store`, `links`, `mount`, `audit`, or `hold` for the holder of a mount.
 * @param name - Name of the unit, such as `mount-7`.
 * @param places - Absolute paths.
 * @returns The profile, or undefined for a kind that has none: such a unit must not be started.
 * @example
 * unitProfile('store', 'store', { dataDir: '/var/lib/varve', programRoot: '/usr/lib/varve', runtime: process.execPath })
 */
export function unitProfile(kind: string, name: string, places: Places): Profile | undefined {
  const { dataDir } = places
  const common = {
    name: kind,
    readable: [...SYSTEM_READABLE, places.programRoot, places.runtime],
    sockets: ['unix'] as readonly SocketFamily[],
    tcp: false,
    capabilities: [] as readonly Capability[],
  }
  const run = `${dataDir}/run/${name}`
  switch (kind) {
    case 'store':
      return { ...common, writable: [...DEVICES, run, `${dataDir}/store`] }
    case 'links':
      return {
        ...common,
        readable: [...common.readable, '/etc/resolv.conf', '/etc/hosts', '/etc/nsswitch.conf'],
        writable: [...DEVICES, run],
        sockets: ['unix', 'inet', 'inet6', 'netlink'],
        tcp: true,
      }
    case 'audit':
      return { ...common, writable: [...DEVICES, run, `${dataDir}/audit`] }
    case 'hold':
      // It keeps what its unit handed it, and does nothing with it.
      return { ...common, writable: [...DEVICES, run] }
    case 'mount': {
      const order = /^mount-([1-9][0-9]*)$/.exec(name)?.[1]
      if (order === undefined) return undefined
      return {
        ...common,
        writable: [...DEVICES, '/dev/fuse', run, `${dataDir}/mounts/${order}`],
        capabilities: ['sys-admin', 'linux-immutable'],
      }
    }
    default:
      return undefined
  }
}
