/**
 * Serves the store's protocol on sockets: the only code between a `net.Socket` and a session.
 *
 * All sockets of a listener receive into one shared window, because a session copies what it keeps and first touch of
 * fresh memory costs more than the copy. Replies of one burst leave in one `writev`.
 */
import { createServer, type Server, Socket } from 'node:net'
import type {
  Output,
  Principal,
  RespServer,
  Session,
  SessionHost,
} from '../../engines/log/index.ts'

/** Received at once by all sockets in turn; larger makes values of 1 MiB cheaper, smaller leaves the cache to others. */
const WINDOW_BYTES = 256 * 1024
/** A peer link says who it speaks for within this time, in one line of at most this length. */
const PREFACE_MS_MAX = 5000
const PREFACE_BYTES_MAX = 4096
/** Connections at once; more are closed at once, since each costs some KiB. */
export const CONNECTIONS_MAX = 20_000

/** Clients that do not end their side within this time are cut off when a listener closes. */
const CLOSE_MS_MAX = 1000

/** A listener that can be closed. */
export interface RespListener {
  readonly server: Server
  /** Takes no more connections, and ends those there are once what is due was sent. */
  close(): Promise<void>
}

/** What a listener is made with. */
export interface RespListenerInit {
  readonly resp: RespServer
  /** Who speaks: fixed, or read from the first line that the overlay writes. */
  readonly principal: Principal | 'preface'
  /** Reads the preface line. @returns Undefined if it is not one. */
  readonly readPreface?: (line: string) => Principal | undefined
}

/**
 * Makes a server; the caller lets it listen.
 *
 * @param init - The store and who speaks to it here.
 * @returns The listener.
 * @example
 * const listener = respListener({ resp, principal: { kind: 'guest' } })
 * listener.server.listen(9900)
 */
export function respListener(init: RespListenerInit): RespListener {
  const window = Buffer.allocUnsafeSlow(WINDOW_BYTES)
  const sockets = new Set<Socket>()
  const drained = Promise.withResolvers<void>()

  // `allowHalfOpen`, so that a client that ends its side still gets the replies due to it.
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true })
  server.on('connection', (accepted: Socket) => {
    if (sockets.size >= CONNECTIONS_MAX) {
      accepted.destroy()
      return
    }
    const socket = intoWindow(accepted, window, (bytes) => receive(bytes))
    sockets.add(socket)
    let session: Session | undefined
    let receive: (bytes: number) => void
    if (init.principal === 'preface') {
      receive = prefaceReader(socket, window, (line, rest) => {
        const principal = init.readPreface?.(line)
        if (!principal) {
          socket.destroy()
          return
        }
        const joined = join(init.resp, principal, socket)
        session = joined
        receive = (bytes) => joined.receive(window, bytes)
        if (rest.byteLength > 0) joined.receive(rest, rest.byteLength)
      })
    } else {
      const joined = join(init.resp, init.principal, socket)
      session = joined
      receive = (bytes) => joined.receive(window, bytes)
    }
    socket.on('end', () => (session ? session.ended() : socket.destroy()))
    // What breaks shows as `close` too.
    socket.on('error', () => undefined)
    socket.on('close', () => {
      sockets.delete(socket)
      session?.closed()
      if (sockets.size === 0 && !server.listening) drained.resolve()
    })
    socket.resume()
  })

  return {
    server,
    close() {
      server.close()
      if (sockets.size === 0) return Promise.resolve()
      for (const socket of sockets) socket.end()
      const timer = setTimeout(() => {
        for (const socket of sockets) socket.destroy()
      }, CLOSE_MS_MAX)
      return drained.promise.finally(() => clearTimeout(timer))
    },
  }
}

/** Takes over an accepted connection with a socket that receives into the shared window instead of fresh buffers. */
function intoWindow(accepted: Socket, window: Buffer, receive: (bytes: number) => void): Socket {
  const handle: unknown = Reflect.get(accepted, '_handle')
  Reflect.set(accepted, '_handle', null)
  const options = {
    handle,
    allowHalfOpen: true,
    manualStart: true,
    onread: {
      buffer: window,
      callback(bytes: number) {
        receive(bytes)
        return true
      },
    },
  }
  // `handle` and `manualStart` are what node:net itself passes here; they are missing in the types only.
  return new Socket(options as ConstructorParameters<typeof Socket>[0])
}

function join(resp: RespServer, principal: Principal, socket: Socket): Session {
  const host: SessionHost = {
    peerName: `${socket.remoteAddress ?? 'unix'}:${socket.remotePort ?? 0}`,
    send(output) {
      sendOutput(socket, output, () => {
        output.release()
        session.sent(output.lengthBytes)
      })
    },
    close() {
      socket.end()
    },
    pause() {
      socket.pause()
    },
    resume() {
      socket.resume()
    },
  }
  const session = resp.connect(principal, host)
  return session
}

function sendOutput(socket: Socket, output: Output, done: () => void): void {
  const { parts } = output
  if (socket.destroyed) {
    done()
    return
  }
  const last = parts.length - 1
  if (last > 0) socket.cork()
  parts.forEach((part, at) => {
    socket.write(part, at === last ? done : undefined)
  })
  if (last > 0) socket.uncork()
}

/** Collects the first line. */
function prefaceReader(
  socket: Socket,
  window: Buffer,
  done: (line: string, rest: Buffer) => void,
): (bytes: number) => void {
  let text = Buffer.alloc(0)
  const timer = setTimeout(() => socket.destroy(), PREFACE_MS_MAX)
  socket.once('close', () => clearTimeout(timer))
  return (bytes) => {
    text = Buffer.concat([text, window.subarray(0, bytes)])
    const end = text.indexOf(10)
    if (end < 0) {
      if (text.byteLength > PREFACE_BYTES_MAX) socket.destroy()
      return
    }
    clearTimeout(timer)
    done(text.toString('utf8', 0, end), text.subarray(end + 1))
  }
}
