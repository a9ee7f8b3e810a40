/** Both programs, as processes, where what they print cannot be written, and where the ledger hangs. */
import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { assert } from 'chai'
import { EXIT } from '../../../agent/base/exit-codes.ts'

const VARVE = join(import.meta.dirname, '../../../client/cli/main.ts')
const AGENT = join(import.meta.dirname, '../../../agent/main.ts')
const GRID = '0x5fbdb2315678afecb367f032d93f642f64180aa3'
const MISTYPED = '0x69923A0C30e1fe8a35fd8db446e8214663c4c926'

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs a program; `output` is a file that takes its standard output. */
function ran(
  program: string,
  args: readonly string[],
  options: { readonly output?: string; readonly environment?: Record<string, string> } = {},
): Promise<Ran> {
  const fd = options.output === undefined ? undefined : openSync(options.output, 'w')
  const child = spawn(process.execPath, [program, ...args], {
    env: { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', ...options.environment },
    stdio: ['ignore', fd ?? 'pipe', 'pipe'],
  })
  if (fd !== undefined) closeSync(fd)
  const said = { out: '', err: '' }
  child.stdout?.on('data', (part: Buffer) => {
    said.out += part.toString()
  })
  child.stderr?.on('data', (part: Buffer) => {
    said.err += part.toString()
  })
  return new Promise((resolve) =>
    child.once('close', (code) => resolve({ code: code ?? -1, ...said })),
  )
}

const printing: readonly [program: string, ...args: string[]][] = [
  [VARVE, 'config'],
  [VARVE, 'config', '--json'],
  [VARVE, '--help'],
  [VARVE, '--version'],
  [AGENT, 'graph'],
  [AGENT, '--version'],
  [AGENT, 'config', '--json', '--ledger', 'http://127.0.0.1:1', '--grid', GRID],
  [AGENT, 'store', '--help'],
]

describe('programs whose output cannot be written', () => {
  for (const [program, ...args] of printing) {
    const name = `${program === VARVE ? 'varve' : 'varve-agent'} ${args.slice(0, 2).join(' ')}`
    it(`"${name}" fails on a full disk and says why`, async () => {
      const { code, err } = await ran(program, args, { output: '/dev/full' })
      assert.equal(code, EXIT.refused, err)
      assert.match(err, /OUTPUT_LOST.*cannot write: no space left on device/)
    })
  }

  it('end well where the reader saw enough', async () => {
    const child = spawn(process.execPath, [VARVE, '--help'], { stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.destroy()
    const code = await new Promise((resolve) => child.once('close', resolve))
    assert.equal(code, EXIT.done)
  })
})

describe('programs that are given a mistyped address', () => {
  const ledger = 'http://127.0.0.1:1'
  const cases: [
    why: string,
    program: string,
    args: string[],
    environment?: Record<string, string>,
  ][] = [
    ['an argument', VARVE, ['transfer', MISTYPED, '1', '--yes']],
    ['--grid', VARVE, ['nodes', '--grid', MISTYPED]],
    ['VARVE_GRID', VARVE, ['nodes'], { VARVE_GRID: MISTYPED, VARVE_LEDGER: ledger }],
    ['config set', VARVE, ['config', 'set', 'grid', MISTYPED]],
    [
      'one of several',
      VARVE,
      ['order', 'store', '--size', '1GiB', '--time', '1d', '--readers', MISTYPED],
    ],
    ['--grid of the agent', AGENT, ['config', '--ledger', ledger, '--grid', MISTYPED]],
  ]
  for (const [why, program, args, environment] of cases) {
    it(`as ${why} say so before they ask anybody`, async () => {
      const { code, out, err } = await ran(program, [...args], { environment: environment ?? {} })
      assert.equal(code, EXIT.usage, err)
      assert.equal(out, '')
      assert.include(err, 'EIP-55')
    })
  }
})

describe('varve and a ledger that hangs', () => {
  let server: Server
  const sockets = new Set<Socket>()
  let drip: (socket: Socket) => void = () => undefined

  before(async () => {
    server = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => undefined)
      drip(socket)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  })
  after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })

  function asked(): Promise<Ran> {
    const { port } = server.address() as { port: number }
    const environment = { VARVE_LEDGER: `http://127.0.0.1:${port}`, VARVE_GRID: GRID }
    return ran(VARVE, ['nodes', '--json'], { environment })
  }

  it('ends as soon as it has said that nobody answers', async () => {
    const { code, out, err } = await asked()
    assert.deepEqual([code, out], [EXIT.unreachable, ''])
    assert.equal(JSON.parse(err).error.code, 'LEDGER_UNREACHABLE')
  })

  it('ends also where an answer comes byte by byte and never whole', async () => {
    drip = (socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n')
      const timer = setInterval(() => socket.write(' '), 200)
      socket.on('close', () => clearInterval(timer))
    }
    const { code, err } = await asked()
    assert.equal(code, EXIT.unreachable, err)
  })
})
