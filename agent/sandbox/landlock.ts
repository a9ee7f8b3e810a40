/**
 * What Landlock is told of a profile, as data: which rights it governs, and which it gives below which path. Landlock is the kernel's
 * way for a process to give up rights to files, ports and other processes for good, without any privilege.
 *
 * @see https://docs.kernel.org/userspace-api/landlock.html
 */
import type { Profile } from './profile.ts'

/** Rights to files, bits of `handled_access_fs`. */
const EXECUTE = 1n << 0n
const WRITE_FILE = 1n << 1n
const READ_FILE = 1n << 2n
const READ_DIR = 1n << 3n
const REMOVE_DIR = 1n << 4n
const REMOVE_FILE = 1n << 5n
const MAKE_DIR = 1n << 7n
const MAKE_REG = 1n << 8n
const MAKE_SOCK = 1n << 9n
const REFER = 1n << 13n
const TRUNCATE = 1n << 14n
const IOCTL_DEV = 1n << 15n

/** All rights to files of an interface version: version 1 has 13, 2 adds REFER, 3 TRUNCATE, 5 IOCTL_DEV. */
const RIGHTS_OF_VERSION: readonly [version: number, bits: number][] = [
  [5, 16],
  [3, 15],
  [2, 14],
  [1, 13],
]

/** Rights that make sense for a file that is no directory: the kernel refuses a rule with others. */
const FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV

const READ = EXECUTE | READ_FILE | READ_DIR
const CHANGE =
  READ_FILE |
  READ_DIR |
  WRITE_FILE |
  TRUNCATE |
  REMOVE_DIR |
  REMOVE_FILE |
  MAKE_DIR |
  MAKE_REG |
  MAKE_SOCK |
  REFER |
  IOCTL_DEV

const BIND_TCP = 1n
const CONNECT_TCP = 2n
const SCOPE_ABSTRACT_SOCKETS = 1n
const SCOPE_SIGNALS = 2n

/** What to hand to landlock_create_ruleset(2) and landlock_add_rule(2). */
export interface LandlockRules {
  /** Rights that are refused unless a rule gives them. */
  readonly governedFiles: bigint
  readonly governedPorts: bigint
  readonly scoped: bigint
  /** Rights below each path; `forFile` where it is no directory. */
  readonly rules: readonly {
    readonly path: string
    readonly forDirectory: bigint
    readonly forFile: bigint
  }[]
}

/**
 * Says what Landlock is to be told.
 *
 * @param profile - What the process may do.
 * @param version - Landlock's interface version in this kernel, `>= 1`: what the kernel does not know is left out.
 * @returns The rules, or undefined for who mounts: a process under Landlock cannot.
 * @example
 * landlockRules(profile, 7)?.rules.length
 */
export function landlockRules(profile: Profile, version: number): LandlockRules | undefined {
  if (profile.capabilities.includes('sys-admin')) return undefined
  const bits = RIGHTS_OF_VERSION.find(([least]) => version >= least)?.[1] ?? 0
  const known = (1n << BigInt(bits)) - 1n
  const rule = (rights: bigint) => (path: string) => ({
    path,
    forDirectory: rights & known,
    forFile: rights & known & FILE_RIGHTS,
  })
  return {
    governedFiles: known,
    governedPorts: version >= 4 && !profile.tcp ? BIND_TCP | CONNECT_TCP : 0n,
    scoped: version >= 6 ? SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS : 0n,
    rules: [...profile.readable.map(rule(READ)), ...profile.writable.map(rule(CHANGE))],
  }
}
