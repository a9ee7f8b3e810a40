/** The servers that `npm run bench -- store` starts: this store, 0-db and redis, each as its own process on a fresh directory. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TransportChoice } from '../../agent/adapters/socket/open-transport.ts'
import { NodeError } from '../../agent/base/errors.ts'

/** How writes are acknowledged: after an fsync, before it, or with none at all, which is what 0-db does if not told otherwise. */
export type BenchSync = 'group' | 'always' | 'never'

/** The same in redis' words. */
const REDIS_SYNC = { group: 'everysec', always: 'always', never: 'no' } as const

/** A kind of server. */
export interface ServerKind {
  readonly name: string
  command(options: { directory: string; port: number; sync: BenchSync }): {
    file: string
    args: string[]
  }
}

/** A server that runs. */
export interface Server {
  readonly port: number
  /** Seconds of CPU so far. */
  cpuSeconds(): number
  residentBytes(): number
  stop(): Promise<void>
}

const PAGE_BYTES = 4096
const START_MS_MAX = 20_000

/** Name of this store in tables. */
export const OWN_NAME = 'varve'

/** This store, its sockets served as asked. */
export function ownKind(sockets: TransportChoice): ServerKind {
  return checkoutKind(OWN_NAME, fileURLToPath(new URL('../..', import.meta.url)), sockets)
}

function checkoutKind(name: string, checkout: string, sockets: TransportChoice): ServerKind {
  const file = join(checkout, 'scripts/bench/store-server-worker.ts')
  return {
    name,
    command: ({ directory, port, sync }) => ({
      file: process.execPath,
      args: [
        ...[file, '--data', directory, '--port', String(port)],
        ...['--sync', sync, '--sockets', sockets],
      ],
    }),
  }
}

/** A peer named on the command line: `0db=BINARY`, `redis=BINARY`, or this store as another checkout has it, `before=DIR`. */
export function peerKind(text: string): ServerKind {
  const [name = '', file = ''] = text.split('=')
  if (name === '0db') {
    return {
      name,
      command: ({ directory, port, sync }) => {
        for (const part of ['data', 'index']) mkdirSync(join(directory, part), { recursive: true })
        const where = ['--data', join(directory, 'data'), '--index', join(directory, 'index')]
        const args = [...where, '--port', String(port), '--mode', 'user']
        return { file, args: sync === 'always' ? [...args, '--sync'] : args }
      },
    }
  }
  if (name === 'redis') {
    return {
      name,
      command: ({ directory, port, sync }) => ({
        file,
        args: [
          ...['--port', String(port), '--dir', directory, '--save', '', '--appendonly', 'yes'],
          ...['--appendfsync', REDIS_SYNC[sync]],
        ],
      }),
    }
  }
  if (name === 'before') return checkoutKind(name, resolve(file), 'auto')
  throw new NodeError(
    'BENCH_USAGE',
    `--peer is 0db=BINARY, redis=BINARY or before=DIR, not ${text}`,
  )
}

/** Starts a server on an empty directory. @returns It, once it takes connections. */
export async function startServer(
  kind: ServerKind,
  port: number,
  sync: BenchSync,
): Promise<Server> {
  const directory = mkdtempSync(join(tmpdir(), 'varve-bench-store-'))
  const { file, args } = kind.command({ directory, port, sync })
  const child = spawn(file, args, { stdio: 'ignore', cwd: directory })
  const exited = once(child, 'exit')
  await untilListening(child, port, kind.name)
  const proc = `/proc/${child.pid}`
  return {
    port,
    cpuSeconds: () => cpuSecondsOf(proc),
    residentBytes: () => Number(readFileSync(`${proc}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES,
    async stop() {
      child.kill('SIGKILL')
      await exited
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** Of all threads there are, in nanoseconds: the ticks of 10 ms in `stat` are a twentieth of a short cell. */
function cpuSecondsOf(proc: string): number {
  const threads = readdirSync(`${proc}/task`)
  const nanoseconds = threads.map((thread) =>
    Number(readFileSync(`${proc}/task/${thread}/schedstat`, 'utf8').split(' ')[0]),
  )
  return nanoseconds.reduce((sum, one) => sum + one, 0) / 1e9
}

async function untilListening(child: ChildProcess, port: number, name: string): Promise<void> {
  const endMs = performance.now() + START_MS_MAX
  while (performance.now() < endMs) {
    if (child.exitCode !== null) break
    const isUp = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy()
        resolve(true)
      })
      socket.on('error', () => resolve(false))
    })
    if (isUp) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new NodeError('BENCH_PEER', `${name} does not listen on port ${port}`)
}
