/** A unix socket to listen on: private to this user, replacing one that nobody answers on, bounded. */
import { rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { listenOn } from './listen-on.ts'

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
 * @param options.group - Its members may dial too; left out: this user alone.
 * @param options.connectionsMax - More are closed at once.
 * @param options.onConnection - Gets each socket, half-open allowed, paused, its errors swallowed.
 * @returns The listener.
 * @throws NodeError `SOCKET_PATH_TAKEN`, or the system's code.
 * @example
 * const listener = await listenUnix({ path, connectionsMax: 100, onConnection: (socket) => serve(socket) })
 */
export async function listenUnix(options: {
  readonly path: string
  readonly group?: number
  readonly connectionsMax: number
  readonly onConnection: (socket: Socket) => void
}): Promise<UnixListener> {
  const { path, group, connectionsMax, onConnection } = options
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
  await listenOn(server, { path, ...(group !== undefined && { group }) })

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
