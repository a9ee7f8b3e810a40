/**
 * A program that confines itself as a unit and then tries what the unit must not do: `confined-probe.ts KIND NAME DATA_DIR TCP_PORT`.
 * Prints one JSON object, name of the attempt to how it ended: `ok` or an error's name.
 */
import { spawnSync } from 'node:child_process'
import {
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import koffi from 'koffi'
import { confine, seal } from '../../agent/adapters/kernel/confinement.ts'
import { prepareUnitFolders } from '../../agent/adapters/process/unit-folders.ts'
import { codeOf } from '../../agent/base/errors.ts'
import { unitProfile } from '../../agent/sandbox/profile.ts'
import { nodeRange, unitUser } from '../../agent/sandbox/users.ts'

const self = fileURLToPath(import.meta.url)
const [kind = '', name = '', dataDir = '', port = '0', inside] = process.argv.slice(2)
const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')
const profile = unitProfile(kind, name, { dataDir, programRoot: root, runtime: process.execPath })
if (!profile) throw new TypeError(`${kind} has no profile`)
if (inside === undefined) {
  const { dev, ino } = statSync(dataDir)
  const user = unitUser(nodeRange(dev, ino), kind)
  const folders = profile.writable.filter((path) => path.startsWith(dataDir))
  prepareUnitFolders(dataDir, folders, user.uid === 0 ? undefined : user)
  confine(profile, user)
  const argv = [process.execPath, self, kind, name, dataDir, port, 'inside']
  process.execve?.(process.execPath, argv, {})
}
seal(profile)

const syscall = koffi
  .load('libc.so.6')
  .func('long syscall(long number, long a, long b, long c, long d, long e)')

/** Files that nobody confined can leave behind. */
const PLANTED = [join(root, `planted-${process.pid}`), `/tmp/planted-${process.pid}`] as const

/** Numbers of x64; the test runs nowhere else. */
const CALLS = {
  ptrace: [101, 0, process.ppid],
  unshareUser: [272, 0x10000000],
  setns: [308, 0, 0],
  bpf: [321, 0, 0],
  kexec: [246, 0, 0],
  ioRing: [425, 8, 0],
  perf: [298, 0, 0],
  keyctl: [250, 0, 0],
  mknodDevice: [133, 0, 0o20600, 0x101],
  reboot: [169, 0, 0, 0],
  setTime: [227, 0, 0],
  readOtherMemory: [310, process.ppid, 0, 0],
  rawSocket: [41, 2, 3, 255],
  packetSocket: [41, 17, 3, 0],
  netlinkSocket: [41, 16, 3, 0],
} as const

const attempt = (what: () => unknown): string => {
  try {
    what()
    return 'ok'
  } catch (caught) {
    return codeOf(caught) ?? String(caught)
  }
}
const call = ([number, ...args]: readonly number[]): string => {
  const [a = 0, b = 0, c = 0, d = 0, e = 0] = args
  const isDone = Number(syscall(number, a, b, c, d, e)) >= 0
  // A kernel that looks at the arguments lets the call through.
  return isDone || errnoName(koffi.errno()) === 'EFAULT' ? 'ok' : errnoName(koffi.errno())
}
function errnoName(number: number): string {
  return Object.entries(koffi.os.errno).find(([, value]) => value === number)?.[0] ?? String(number)
}
const dial = (to: number): Promise<string> =>
  new Promise((resolve) => {
    const socket = connect(to, '127.0.0.1', () => resolve('ok'))
    socket.once('error', (caught) => resolve(codeOf(caught) ?? 'error'))
    socket.once('close', () => undefined)
  })
const listen = (): Promise<string> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once('error', (caught) => resolve(codeOf(caught) ?? 'error'))
    server.listen(0, '127.0.0.1', () => server.close(() => resolve('ok')))
  })
const own = profile.writable.find((path) => path.startsWith(join(dataDir, kind))) ?? dataDir

const results: Record<string, string> = {
  readIdentity: attempt(() => readFileSync(join(dataDir, 'identity.json'))),
  listState: attempt(() => readdirSync(join(dataDir, 'state'))),
  writeState: attempt(() => writeFileSync(join(dataDir, 'state/x'), 'x')),
  readStore: attempt(() => readFileSync(join(dataDir, 'store/secret'))),
  readMount: attempt(() => readFileSync(join(dataDir, 'mounts/7/secret'))),
  readOtherMount: attempt(() => readFileSync(join(dataDir, 'mounts/8/secret'))),
  writeOwn: attempt(() => {
    mkdirSync(join(own, 'folder'), { recursive: true })
    writeFileSync(join(own, 'folder/file'), 'x')
    rmSync(join(own, 'folder'), { recursive: true })
  }),
  readPasswords: attempt(() => readFileSync('/etc/shadow')),
  writeProgram: attempt(() => writeFileSync(PLANTED[0], '')),
  writeTemporary: attempt(() => writeFileSync(PLANTED[1], '')),
  readKernelLog: attempt(() => openSync('/dev/kmsg', 'r')),
  executeProgram: attempt(() => {
    const { error } = spawnSync('/bin/true')
    if (error) throw error
  }),
  becomeRoot: attempt(() => process.setuid?.(0)),
  signalParent: attempt(() => process.kill(process.ppid, 0)),
  dialTcp: await dial(Number(port)),
  listenTcp: await listen(),
  ...Object.fromEntries(Object.entries(CALLS).map(([what, args]) => [what, call(args)])),
}
// A unit that mounts has no Landlock, and could.
for (const planted of PLANTED) attempt(() => rmSync(planted, { force: true }))
process.stdout.write(JSON.stringify(results))
process.exit()
