/** `varve-agent store` as a real process on a free port of the loopback, and a connection to it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { type RespConnection, respConnection } from '../../agent/adapters/socket/resp-connection.ts'

/** Longer than any wait that a test asks for. */
const REPLY_MS_MAX = 90_000
const MAIN = fileURLToPath(new URL('../../agent/main.ts', import.meta.url))

/** A store that runs. */
export interface StoreProgram {
  readonly child: ChildProcess
  readonly port: number
  /** What it logged so far. */
  readonly logged: () => string
  /** Ends it as a power button would. */
  kill(): Promise<void>
  /** Asks it to end. @returns Its exit code. */
  stop(): Promise<number | null>
}

/** Starts a store. @returns It, once it listens. */
export async function startStoreProgram(
  data: string,
  port: number,
  options: readonly string[] = [],
  [node, main]: readonly [node: string, main: string] = [process.execPath, MAIN],
): Promise<StoreProgram> {
  const args = [main, 'store', '--data', data, '--host', '127.0.0.1', '--port', String(port)]
  const child = spawn(node, [...args, ...options], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = once(child, 'exit')
  let logged = ''
  const ready = Promise.withResolvers<void>()
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (bytes: Buffer) => {
      logged += bytes.toString()
      if (logged.includes('listening on')) ready.resolve()
    })
  }
  await Promise.race([ready.promise, exited.then(() => Promise.reject(new TypeError(logged)))])
  const end = async (signal: 'SIGKILL' | 'SIGTERM') => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(signal)
      await exited
    }
    return child.exitCode
  }
  return {
    child,
    port,
    logged: () => logged,
    kill: async () => void (await end('SIGKILL')),
    stop: () => end('SIGTERM'),
  }
}

/** A port that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address ? address.port : 0
}

/** Speaks to a store. */
export async function dialStoreProgram(port: number): Promise<RespConnection> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  return respConnection(socket, REPLY_MS_MAX)
}
