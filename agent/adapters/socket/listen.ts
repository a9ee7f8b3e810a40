/** A unix socket to listen on: private to this user, replacing one that nobody answers on, bounded. */
import { chmodSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { NodeError } from '../../base/errors.ts'
import { connectUnix } from './dial.ts'

/** How long a socket file may keep us in doubt whether somebody answers on it. */
const PROBE_MS_MAX = 1000

/** A listening unix socket. */
export interface UnixListener {
  /** Connections open now. */
  readonly connections: number
  /** Stops listening, breaks all connections, removes the socket file. Repeatable. */
  close(): Promise<void>
}

/**
 * Listens on a unix socket (mode 0600; its directory must exist and be private).
 *
 * @param options.path - Where.
 * @param options.connectionsMax - More are closed at once.
 * @param options.onConnection - Gets each socket, half-open allowed, paused, its errors swallowed.
 * @returns The listener.
 * @throws NodeError `DIAL_UNREACHABLE` if another process answers there, or the system's code.
 * @example
 * const listener = await listenUnix({ path, connectionsMax: 100, onConnection: (socket) => serve(socket) })
 */
export async function listenUnix(options: {
  readonly path: string
  readonly connectionsMax: number
  readonly onConnection: (socket: Socket) => void
}): Promise<UnixListener> {
  const { path, connectionsMax, onConnection } = options
  await removeStaleSocket(path)
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    socket.on('error', () => undefined)
    if (sockets.size >= connectionsMax) {
      socket.destroy()
      return
    }
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    onConnection(socket)
  })
  await listenOn(server, path)
  chmodSync(path, 0o600)

  let closing: Promise<void> | undefined
  return {
    get connections() {
      return sockets.size
    },
    close() {
      closing ??= new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
        rmSync(path, { force: true })
      })
      return closing
    },
  }
}

async function removeStaleSocket(path: string): Promise<void> {
  const isAlive = await connectUnix(path, AbortSignal.timeout(PROBE_MS_MAX)).then(
    (socket) => {
      socket.destroy()
      return true
    },
    () => false,
  )
  if (isAlive) throw new NodeError('DIAL_UNREACHABLE', `another process listens on ${path}`)
  rmSync(path, { force: true })
}

function listenOn(server: Server, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(path, () => {
    server.off('error', reject)
    resolve()
  })
  return promise
}
