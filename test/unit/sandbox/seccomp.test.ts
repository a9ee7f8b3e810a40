/** The filter of system calls, run by a small interpreter of classic BPF: what is let through, for each unit, stage and machine. */
import { assert } from 'chai'
import { type Profile, unitProfile } from '../../../agent/sandbox/profile.ts'
import { type Machine, seccompFilter } from '../../../agent/sandbox/seccomp.ts'
import { UNIT_KINDS } from '../../../agent/state/kinds.ts'

const places = { dataDir: '/data', programRoot: '/program', runtime: '/program/node' }
const profileOf = (kind: string): Profile => {
  const profile = unitProfile(kind, kind === 'mount' ? 'mount-7' : kind, places)
  assert(profile)
  return profile
}
const ARCH: Record<Machine, number> = { x64: 0xc000003e, arm64: 0xc00000b7 }

/** What the kernel would do with a call. */
function judge(
  program: Uint8Array,
  machine: Machine,
  number: number,
  args: readonly number[] = [],
  arch = ARCH[machine],
): string {
  const data = new DataView(new ArrayBuffer(64))
  data.setUint32(0, number, true)
  data.setUint32(4, arch, true)
  for (const [at, arg] of args.entries()) data.setUint32(16 + 8 * at, arg, true)
  const view = new DataView(program.buffer)
  let accumulator = 0
  for (let at = 0; at < program.byteLength / 8; at++) {
    const code = view.getUint16(8 * at, true)
    const value = view.getUint32(8 * at + 4, true)
    if (code === 0x20) accumulator = data.getUint32(value, true)
    else if (code === 0x06) return said(value)
    else {
      const holds =
        code === 0x15
          ? accumulator === value
          : code === 0x45
            ? (accumulator & value) !== 0
            : accumulator >= value
      at += view.getUint8(8 * at + (holds ? 2 : 3))
    }
  }
  return 'fell off the end'
}

function said(value: number): string {
  if (value === 0x80000000) return 'kill'
  if (value === 0x7fff0000) return 'allow'
  return `errno ${value & 0xffff}`
}

// biome-ignore format: a table
const cases: [why: string, unit: string, stage: 'entering' | 'running', x64: number, arm64: number, args: number[], want: string][] = [
  ['reads', 'store', 'running', 0, 63, [], 'allow'],
  ['does not trace', 'store', 'running', 101, 117, [], 'errno 1'],
  ['loads no kernel', 'links', 'running', 246, 104, [], 'errno 1'],
  ['loads no module', 'mount', 'running', 313, 273, [], 'errno 1'],
  ['mounts if it is a mount', 'mount', 'running', 165, 40, [], 'allow'],
  ['mounts not otherwise', 'links', 'running', 165, 40, [], 'errno 1'],
  ['enters no other namespace', 'mount', 'running', 308, 268, [], 'errno 1'],
  ['has no io_uring', 'store', 'running', 425, 425, [], 'errno 1'],
  ['has no io_uring', 'audit', 'running', 425, 425, [], 'errno 1'],
  ['starts the program', 'store', 'entering', 59, 221, [], 'allow'],
  ['starts no other program', 'store', 'running', 59, 221, [], 'errno 1'],
  ['makes a thread', 'store', 'running', 56, 220, [0x003d0f00], 'allow'],
  ['makes no process', 'store', 'running', 56, 220, [17], 'errno 1'],
  ['makes a process while it starts', 'store', 'entering', 56, 220, [17], 'allow'],
  ['makes no namespace with a thread', 'store', 'entering', 56, 220, [0x10000000 | 0x10000], 'errno 1'],
  ['is told that clone3 does not exist', 'store', 'running', 435, 435, [], 'errno 38'],
  ['has unix sockets', 'store', 'running', 41, 198, [1], 'allow'],
  ['has no internet sockets', 'store', 'running', 41, 198, [2], 'errno 1'],
  ['has internet sockets if it links', 'links', 'running', 41, 198, [2], 'allow'],
  ['has IPv6 sockets if it links', 'links', 'running', 41, 198, [10], 'allow'],
  ['has no packet sockets', 'links', 'running', 41, 198, [17], 'errno 1'],
  ['has no kernel crypto sockets', 'links', 'running', 41, 198, [38], 'errno 1'],
  ['has no vsock', 'mount', 'running', 41, 198, [40], 'errno 1'],
  ['pairs unix sockets', 'links', 'running', 53, 199, [1], 'allow'],
  ['pairs no others', 'links', 'running', 53, 199, [2], 'errno 1'],
  ['types into no terminal', 'store', 'running', 16, 29, [0, 0x5412], 'errno 1'],
  ['asks a device something else', 'store', 'running', 16, 29, [0, 0x5401], 'allow'],
]

describe('filter of system calls', () => {
  for (const machine of ['x64', 'arm64'] as const) {
    for (const [why, unit, stage, x64, arm64, args, want] of cases) {
      it(`${unit} ${why} (${machine}, ${stage})`, () => {
        const program = seccompFilter(profileOf(unit), machine, stage)
        assert.equal(judge(program, machine, machine === 'x64' ? x64 : arm64, args), want)
      })
    }
    it(`kills a call of another machine (${machine})`, () => {
      const program = seccompFilter(profileOf('store'), machine, 'running')
      assert.equal(judge(program, machine, 0, [], 0x40000003), 'kill')
    })
  }
  it('kills a call of the x32 interface, whose numbers the list does not have', () => {
    const program = seccompFilter(profileOf('store'), 'x64', 'running')
    assert.equal(judge(program, 'x64', 0x40000000 | 520), 'kill')
  })
  it('ends every path with a verdict', () => {
    for (const unit of ['store', 'links', 'mount', 'audit']) {
      const program = seccompFilter(profileOf(unit), 'x64', 'running')
      for (let number = 0; number < 500; number++) {
        assert.match(judge(program, 'x64', number, [1]), /^(allow|errno \d+)$/)
      }
    }
  })
})

describe('profile of a unit', () => {
  it('exists for no other kind and no name that is a path', () => {
    assert.isUndefined(unitProfile('shell', 'shell', places))
    assert.isUndefined(unitProfile('mount', 'mount-../../state', places))
    assert.isUndefined(unitProfile('mount', 'mount-0', places))
  })
  it('gives no unit the identity or the state of the agent', () => {
    for (const unit of UNIT_KINDS) {
      const { readable, writable } = profileOf(unit)
      for (const secret of ['/data/identity.json', '/data/state/x']) {
        const reaches = [...readable, ...writable].filter((path) => secret.startsWith(path))
        assert.deepEqual(reaches, [], `${unit} reaches ${secret}`)
      }
    }
  })
})
