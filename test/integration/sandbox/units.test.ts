/** What each unit can and cannot do, tried from inside a process that is confined as the unit is. */
import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { assert } from 'chai'
import { isPrivileged } from '../../../agent/adapters/kernel/confinement.ts'

const probe = fileURLToPath(new URL('../../support/confined-probe.ts', import.meta.url))

/** What no unit may do, whatever its kind. */
const NEVER: readonly string[] = [
  ...['ptrace', 'unshareUser', 'setns', 'bpf', 'kexec', 'perf', 'keyctl', 'mknodDevice', 'reboot'],
  ...['setTime', 'ioRing', 'readOtherMemory', 'rawSocket', 'packetSocket', 'executeProgram'],
]

/** What Landlock forbids every unit that it governs, which is all but those that mount. */
const NOT_BELOW: readonly string[] = [
  ...['readIdentity', 'listState', 'writeState', 'readOtherMount', 'readPasswords', 'writeProgram'],
  ...['writeTemporary', 'readKernelLog', 'signalParent'],
]

// biome-ignore format: a table
const cases: [kind: string, name: string, may: readonly string[], mayNot: readonly string[]][] = [
  ['store', 'store', ['readStore', 'writeOwn'], [...NOT_BELOW, 'readMount', 'dialTcp', 'listenTcp', 'netlinkSocket']],
  ['links', 'links', ['dialTcp', 'listenTcp', 'netlinkSocket'], [...NOT_BELOW, 'readMount', 'readStore']],
  ['audit', 'audit', ['writeOwn'], [...NOT_BELOW, 'readMount', 'readStore', 'dialTcp', 'listenTcp', 'netlinkSocket']],
  ['hold', 'mount-7', [], [...NOT_BELOW, 'readMount', 'readStore', 'dialTcp', 'listenTcp', 'netlinkSocket']],
  // Landlock forbids to mount: until a process of its own mounts, this unit is bounded by its lost capabilities and the filter alone.
  ['mount', 'mount-7', ['readMount', 'writeOwn'], ['dialTcp', 'listenTcp', 'netlinkSocket']],
]

/** Units with a user of their own. */
const OWN_USER = ['store', 'links', 'audit']

describe('a confined unit', () => {
  let dataDir: string
  let server: Server
  let port: number

  before(function () {
    if (process.platform !== 'linux' || process.arch !== 'x64' || !isPrivileged()) this.skip()
  })
  beforeEach(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'varve-confined-'))
    chmodSync(dataDir, 0o711)
    for (const folder of ['run', 'state', 'store', 'audit', 'mounts/7', 'mounts/8']) {
      mkdirSync(join(dataDir, folder), { recursive: true })
      writeFileSync(join(dataDir, folder, 'secret'), 'x')
    }
    writeFileSync(join(dataDir, 'identity.json'), '{}')
    server = createServer((socket) => socket.end())
    port = await new Promise((resolve) => {
      server.listen(0, '127.0.0.1', () => {
        const address = server.address()
        resolve(typeof address === 'object' && address ? address.port : 0)
      })
    })
  })
  afterEach(() => {
    server?.close()
    if (dataDir) rmSync(dataDir, { recursive: true, force: true })
  })

  for (const [kind, name, may, mayNot] of cases) {
    it(`of kind ${kind} does what it must and nothing else`, async () => {
      const child = spawn(process.execPath, [probe, kind, name, dataDir, String(port)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const results = JSON.parse(await text(child.stdout)) as Record<string, string>
      for (const what of may) assert.equal(results[what], 'ok', `${kind} ${what}`)
      const root = OWN_USER.includes(kind) ? ['becomeRoot'] : []
      for (const what of [...NEVER, ...mayNot, ...root]) {
        assert.match(results[what] ?? 'untried', /^(EPERM|EACCES)$/, `${kind} ${what}`)
      }
    })
  }
})
