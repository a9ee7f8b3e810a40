/**
 * Gives up rights for good, through the calls of Linux that do so: user, capabilities, new privileges, Landlock, filter of system calls.
 *
 * Rights are a thread's own in Linux: {@link confine} takes them from the thread that calls it, which then must replace the whole
 * process by execve(2), as `process.execve` does, so that no thread with more rights is left. {@link seal} refuses, for all threads at
 * once, what only that step still needed.
 */
import { closeSync, existsSync, openSync, readFileSync, statSync } from 'node:fs'
import koffi from 'koffi'
import { NodeError } from '../../base/errors.ts'
import { type LandlockRules, landlockRules } from '../../sandbox/landlock.ts'
import type { Capability, Profile } from '../../sandbox/profile.ts'
import { type Machine, seccompFilter } from '../../sandbox/seccomp.ts'
import type { UnitUser } from '../../sandbox/users.ts'
import { addressOf } from './buffer-address.ts'

// biome-ignore format: a table of name, x64, arm64
const NUMBERS: Readonly<Record<string, readonly [x64: number, arm64: number]>> = {
  capset: [126, 91], prctl: [157, 167], seccomp: [317, 277], prlimit64: [302, 261],
  landlock_create_ruleset: [444, 444], landlock_add_rule: [445, 445], landlock_restrict_self: [446, 446],
}

const PR_SET_DUMPABLE = 4
const PR_SET_KEEPCAPS = 8
const PR_CAPBSET_DROP = 24
const PR_SET_NO_NEW_PRIVS = 38
const PR_CAP_AMBIENT = 47
const PR_CAP_AMBIENT_RAISE = 2
const PR_CAP_AMBIENT_CLEAR_ALL = 4

const CAPABILITY_NUMBER: Readonly<Record<Capability, number>> = {
  'linux-immutable': 9,
  'sys-admin': 21,
}
/** Highest capability asked for; the kernel says EINVAL beyond its own last one. */
const CAPABILITY_MAX = 63
const CAPABILITY_VERSION_3 = 0x2008_0522

const LANDLOCK_VERSION = 1
const LANDLOCK_RULE_PATH = 1
/** `O_PATH`: a name without the right to read, which is all that a rule needs. Node has no constant for it. */
const O_PATH = 0x20_0000

const SECCOMP_SET_MODE_FILTER = 1
const SECCOMP_FILTER_TSYNC = 1
const INSTRUCTION_BYTES = 8

const RLIMIT_CORE = 4
const EINVAL = 22

/** What was given up. */
export interface Confinement {
  readonly profile: string
  /** Undefined if the process keeps the user it was started as. */
  readonly uid: number | undefined
  /** Version of Landlock's interface; 0 where the kernel has none or the profile mounts. */
  readonly landlock: number
  readonly seccomp: boolean
}

const machine = process.arch as Machine
let loaded: ReturnType<typeof loadCalls> | undefined

function loadCalls() {
  const libc = koffi.load('libc.so.6')
  const call = libc.func('long syscall(long number, long a, long b, long c, long d, long e)')
  return (name: string, ...args: readonly (number | bigint)[]): number => {
    const number = NUMBERS[name]?.[machine === 'x64' ? 0 : 1]
    const [a = 0, b = 0, c = 0, d = 0, e = 0] = args
    return Number(call(number, a, b, c, d, e))
  }
}

/** Makes a system call. @throws NodeError `CONFINEMENT_REFUSED`. */
function must(name: string, ...args: readonly (number | bigint)[]): number {
  const result = may(name, ...args)
  if (result < 0) throw refused(name, koffi.errno())
  return result
}

function may(name: string, ...args: readonly (number | bigint)[]): number {
  loaded ??= loadCalls()
  return loaded(name, ...args)
}

const refused = (name: string, errno: number) =>
  new NodeError('CONFINEMENT_REFUSED', `${name} failed with error ${errno}`, {
    details: { call: name, errno },
  })

/**
 * Takes from the calling thread what the profile does not give. Call it from the main thread, then `process.execve`.
 *
 * @param profile - What is left.
 * @param user - Whom to become; undefined keeps the present user.
 * @returns What was done. Landlock and the filter are left out where the kernel has none of them, the rest is never left out.
 * @throws NodeError `CONFINEMENT_REFUSED` if the kernel has it and refuses, `CONFINEMENT_UNSUPPORTED` on another system.
 * @example
 * confine(profile, { uid: 70_001, gid: 70_001, groups: [] })
 * process.execve(process.execPath, argv)
 */
export function confine(profile: Profile, user: UnitUser | undefined): Confinement {
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(machine)) {
    throw new NodeError('CONFINEMENT_UNSUPPORTED', `${process.platform} on ${process.arch}`)
  }
  const kept = profile.capabilities.map((name) => CAPABILITY_NUMBER[name])
  const version = Math.max(0, may('landlock_create_ruleset', 0, 0, LANDLOCK_VERSION))
  const rules = version > 0 ? landlockRules(profile, version) : undefined
  // Paths are opened while their owner still may.
  const ruleset = rules && makeRuleset(rules, version)
  noCoreDumps()
  if (isPrivileged()) dropBounding(kept)
  if (user) become(user)
  setCapabilities(kept)
  must('prctl', PR_SET_NO_NEW_PRIVS, 1)
  if (ruleset !== undefined) {
    must('landlock_restrict_self', ruleset, 0)
    closeSync(ruleset)
  }
  return {
    profile: profile.name,
    uid: user?.uid,
    landlock: rules ? version : 0,
    seccomp: installFilter(seccompFilter(profile, machine, 'entering'), 0),
  }
}

/**
 * Ends the confinement's last exception, for all threads: from here on no program and no process is started, and nobody of the same
 * user can look into this one.
 *
 * @param profile - The profile that the process was confined to.
 * @throws NodeError `CONFINEMENT_REFUSED`.
 */
export function seal(profile: Profile): void {
  must('prctl', PR_SET_DUMPABLE, 0)
  installFilter(seccompFilter(profile, machine, 'running'), SECCOMP_FILTER_TSYNC)
}

/**
 * Whether this process may change its user and its bounding set.
 *
 * @returns True for root with its capabilities.
 */
export function isPrivileged(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
  const setUser = (1n << 6n) | (1n << 7n) | (1n << 8n)
  return (BigInt(`0x${effective ?? '0'}`) & setUser) === setUser
}

function noCoreDumps(): void {
  // Two 64-bit words, soft and hard limit.
  const nothing = new Uint8Array(16)
  must('prlimit64', 0, RLIMIT_CORE, addressOf(nothing), 0)
}

function dropBounding(kept: readonly number[]): void {
  for (let capability = 0; capability <= CAPABILITY_MAX; capability++) {
    if (kept.includes(capability)) continue
    if (may('prctl', PR_CAPBSET_DROP, capability) >= 0) continue
    if (koffi.errno() === EINVAL) return
    throw refused('prctl', koffi.errno())
  }
}

/** Becomes another user; the capabilities survive it until they are set. */
function become({ uid, gid, groups }: UnitUser): void {
  must('prctl', PR_SET_KEEPCAPS, 1)
  // Node runs these in all threads, as the C library does.
  process.setgroups?.([...groups])
  process.setgid?.(gid)
  process.setuid?.(uid)
}

/** Keeps exactly these capabilities, over an execve too: the ambient set is what a program without file capabilities gets. */
function setCapabilities(kept: readonly number[]): void {
  const held = isHeld(kept) ? kept : []
  must('prctl', PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
  const header = bytesOf(new Uint32Array([CAPABILITY_VERSION_3, 0]))
  // Low and high halves of the effective, permitted and inheritable sets.
  const sets = new Uint32Array(6)
  for (const capability of held) {
    const half = capability < 32 ? 0 : 3
    const bit = 1 << (capability % 32)
    for (let set = half; set < half + 3; set++) sets[set] = (sets[set] ?? 0) | bit
  }
  must('capset', addressOf(header), addressOf(bytesOf(sets)))
  for (const capability of held) must('prctl', PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)
}

function isHeld(capabilities: readonly number[]): boolean {
  const permitted = /^CapPrm:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
  const set = BigInt(`0x${permitted ?? '0'}`)
  return capabilities.every((capability) => (set >> BigInt(capability)) & 1n)
}

function bytesOf(words: Uint32Array | BigUint64Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength)
}

function makeRuleset(rules: LandlockRules, version: number): number {
  const attributes = new BigUint64Array([rules.governedFiles, rules.governedPorts, rules.scoped])
  const bytes = version >= 6 ? 24 : version >= 4 ? 16 : 8
  const ruleset = must('landlock_create_ruleset', addressOf(bytesOf(attributes)), bytes, 0)
  for (const { path, forDirectory, forFile } of rules.rules) {
    if (!existsSync(path)) continue
    const parent = openSync(path, O_PATH)
    try {
      // struct landlock_path_beneath_attr, packed: 64 bits of rights, 32 bits of descriptor.
      const rule = new DataView(new ArrayBuffer(12))
      rule.setBigUint64(0, statSync(path).isDirectory() ? forDirectory : forFile, true)
      rule.setInt32(8, parent, true)
      const address = addressOf(new Uint8Array(rule.buffer))
      must('landlock_add_rule', ruleset, LANDLOCK_RULE_PATH, address, 0)
    } finally {
      closeSync(parent)
    }
  }
  return ruleset
}

/** @returns False where the kernel was built without filters of system calls. */
function installFilter(program: Uint8Array, flags: number): boolean {
  // struct sock_fprog: count of instructions, padding, address.
  const header = new DataView(new ArrayBuffer(16))
  header.setUint16(0, program.byteLength / INSTRUCTION_BYTES, true)
  header.setBigUint64(8, BigInt(addressOf(program)), true)
  const address = addressOf(new Uint8Array(header.buffer))
  const result = may('seccomp', SECCOMP_SET_MODE_FILTER, flags, address)
  if (result === 0) return true
  if (result < 0 && koffi.errno() === EINVAL && flags === 0) return false
  throw refused('seccomp', result < 0 ? koffi.errno() : 0)
}
