/**
 * The filter of system calls, as the kernel's classic BPF (seccomp(2)): what no unit ever needs is refused with EPERM, whatever its
 * user. A list of refusals and not of permissions, because the runtime and its libraries change the calls they use with each
 * release; what the list leaves is bounded by Landlock, the user and the capabilities.
 *
 * @see https://www.kernel.org/doc/html/latest/userspace-api/seccomp_filter.html
 */
import { assert } from '../base/assert.ts'
import type { Profile, SocketFamily } from './profile.ts'

/** Machines whose numbers of system calls are known. */
export type Machine = 'x64' | 'arm64'

/** Offsets in the kernel's `struct seccomp_data`, bytes. */
const AT_NUMBER = 0
const AT_MACHINE = 4
const AT_ARGUMENT_0 = 16
const AT_ARGUMENT_1 = 24

/** Operation codes of classic BPF: load a word, compare, test bits, return. */
const LOAD_WORD = 0x20
const JUMP_EQUAL = 0x15
const JUMP_BITS = 0x45
const JUMP_NOT_LESS = 0x35
const RETURN = 0x06

const KILL_PROCESS = 0x8000_0000
const ALLOW = 0x7fff_0000
const REFUSE = 0x0005_0000
const EPERM = 1
const ENOSYS = 38

const AUDIT_MACHINE: Readonly<Record<Machine, number>> = { x64: 0xc000_003e, arm64: 0xc000_00b7 }
/** Calls of the x32 interface carry this bit: a second set of numbers that the list would miss. */
const X32_BIT = 0x4000_0000

const CLONE_THREAD = 0x0001_0000
/** CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const CLONE_NAMESPACES = 0x7e02_0080
const TIOCSTI = 0x5412
const TIOCLINUX = 0x541c

const FAMILY: Readonly<Record<SocketFamily, number>> = { unix: 1, inet: 2, inet6: 10, netlink: 16 }

// biome-ignore format: a table of name, x64, arm64 (undefined: the machine has no such call)
const CALLS: Readonly<Record<string, readonly [x64: number | undefined, arm64: number | undefined]>> = {
  // Other processes.
  ptrace: [101, 117], process_vm_readv: [310, 270], process_vm_writev: [311, 271], kcmp: [312, 272], pidfd_getfd: [438, 438],
  process_madvise: [440, 440], process_mrelease: [448, 448], migrate_pages: [256, 238], move_pages: [279, 239],
  // The kernel itself.
  kexec_load: [246, 104], kexec_file_load: [320, 294], init_module: [175, 105], finit_module: [313, 273], delete_module: [176, 106],
  bpf: [321, 280], perf_event_open: [298, 241], userfaultfd: [323, 282], syslog: [103, 116], lookup_dcookie: [212, 18],
  add_key: [248, 217], request_key: [249, 218], keyctl: [250, 219], iopl: [172, undefined], ioperm: [173, undefined],
  modify_ldt: [154, undefined], personality: [135, 92], uselib: [134, undefined], sysfs: [139, undefined], ustat: [136, undefined],
  // The machine.
  reboot: [169, 142], swapon: [167, 224], swapoff: [168, 225], acct: [163, 89], quotactl: [179, 60], quotactl_fd: [443, 443],
  settimeofday: [164, 170], clock_settime: [227, 112], adjtimex: [159, 171], clock_adjtime: [305, 266],
  sethostname: [170, 161], setdomainname: [171, 162], vhangup: [153, 58],
  // A second way to make system calls, past this filter.
  io_uring_setup: [425, 425], io_uring_enter: [426, 426], io_uring_register: [427, 427],
  // Other views of the file system.
  chroot: [161, 51], pivot_root: [155, 41], setns: [308, 268], unshare: [272, 97], mknod: [133, undefined], mknodat: [259, 33],
  name_to_handle_at: [303, 264], open_by_handle_at: [304, 265], statmount: [457, 457], listmount: [458, 458],
}

/** Refused but to who mounts. */
// biome-ignore format: a table
const MOUNTING: typeof CALLS = {
  mount: [165, 40], umount2: [166, 39], open_tree: [428, 428], move_mount: [429, 429], fsopen: [430, 430], fsconfig: [431, 431],
  fsmount: [432, 432], fspick: [433, 433], mount_setattr: [442, 442], open_tree_attr: [467, 467],
}

/** Refused once the program runs: the first filter still has to let it start. */
// biome-ignore format: a table
const STARTING: typeof CALLS = {
  execve: [59, 221], execveat: [322, 281], fork: [57, undefined], vfork: [58, undefined],
}

const SOCKET = [41, 198] as const
const SOCKET_PAIR = [53, 199] as const
const CLONE = [56, 220] as const
const CLONE3 = [435, 435] as const
const IOCTL = [16, 29] as const

interface Instruction {
  readonly code: number
  readonly ifTrue: number
  readonly ifFalse: number
  readonly value: number
}

/** Bytes of one instruction: `struct sock_filter`. */
const INSTRUCTION_BYTES = 8
/** The kernel's BPF_MAXINSNS. */
const INSTRUCTIONS_MAX = 4096

/**
 * Assembles the filter of a profile.
 *
 * @param profile - What the process may do.
 * @param machine - Whose numbers of system calls to use.
 * @param stage - `entering` lets the program be started; `running` refuses every further program and process, threads excepted.
 * @returns `[8 n]` bytes: `n` instructions for seccomp(2), at most 4,096.
 * @example
 * seccompFilter(profile, 'x64', 'running')
 */
export function seccompFilter(
  profile: Profile,
  machine: Machine,
  stage: 'entering' | 'running',
): Uint8Array {
  const at = machine === 'x64' ? 0 : 1
  const refused = [
    CALLS,
    ...(profile.capabilities.includes('sys-admin') ? [] : [MOUNTING]),
    ...(stage === 'running' ? [STARTING] : []),
  ].flatMap((table) => Object.values(table).flatMap((numbers) => numbers[at] ?? []))
  const program = [
    load(AT_MACHINE),
    jump(JUMP_EQUAL, AUDIT_MACHINE[machine], 1, 0),
    give(KILL_PROCESS),
    load(AT_NUMBER),
    ...(machine === 'x64' ? [jump(JUMP_NOT_LESS, X32_BIT, 0, 1), give(KILL_PROCESS)] : []),
    ...refused.flatMap((number) => [jump(JUMP_EQUAL, number, 0, 1), give(REFUSE | EPERM)]),
    ...onlyFamilies(SOCKET[at], profile.sockets),
    ...onlyFamilies(SOCKET_PAIR[at], ['unix']),
    ...onCall(IOCTL[at], [
      load(AT_ARGUMENT_1),
      ...[TIOCSTI, TIOCLINUX].flatMap((request) => [
        jump(JUMP_EQUAL, request, 0, 1),
        give(REFUSE | EPERM),
      ]),
    ]),
    // Threads only; clone3 hides its flags behind a pointer, so the C library is made to fall back to clone.
    ...onCall(CLONE3[at], [give(REFUSE | ENOSYS)]),
    ...onCall(CLONE[at], [
      load(AT_ARGUMENT_0),
      jump(JUMP_BITS, CLONE_NAMESPACES, 0, 1),
      give(REFUSE | EPERM),
      ...(stage === 'running' ? [jump(JUMP_BITS, CLONE_THREAD, 1, 0), give(REFUSE | EPERM)] : []),
    ]),
    give(ALLOW),
  ]
  assert(program.length <= INSTRUCTIONS_MAX, 'the filter is as short as the kernel wants it')
  return encode(program)
}

/** Lets a call through only for some families of sockets. */
function onlyFamilies(number: number, families: readonly SocketFamily[]): Instruction[] {
  return onCall(number, [
    load(AT_ARGUMENT_0),
    ...families.map((family, index) =>
      // Over the further comparisons and the refusal.
      jump(JUMP_EQUAL, FAMILY[family], families.length - index, 0),
    ),
    give(REFUSE | EPERM),
  ])
}

/** Instructions that are run only for one call; whatever they let through goes on with the call's number loaded. */
function onCall(number: number, body: readonly Instruction[]): Instruction[] {
  return [jump(JUMP_EQUAL, number, 0, body.length + 1), ...body, load(AT_NUMBER)]
}

const load = (offset: number): Instruction => ({
  code: LOAD_WORD,
  ifTrue: 0,
  ifFalse: 0,
  value: offset,
})
const give = (value: number): Instruction => ({ code: RETURN, ifTrue: 0, ifFalse: 0, value })
const jump = (code: number, value: number, ifTrue: number, ifFalse: number): Instruction => ({
  code,
  ifTrue,
  ifFalse,
  value,
})

function encode(program: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * INSTRUCTION_BYTES)
  const view = new DataView(bytes.buffer)
  for (const [index, { code, ifTrue, ifFalse, value }] of program.entries()) {
    const start = index * INSTRUCTION_BYTES
    view.setUint16(start, code, true)
    view.setUint8(start + 2, ifTrue)
    view.setUint8(start + 3, ifFalse)
    view.setUint32(start + 4, value >>> 0, true)
  }
  return bytes
}
