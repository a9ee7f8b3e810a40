/**
 * Links over Node's own streams: works everywhere.
 *
 * All sockets receive into one shared window, because a session copies what it keeps and first touch of fresh memory
 * costs more than the copy. Replies of one burst leave in one `writev`.
 */
import { Socket } from 'node:net'
import {
  type LinkReceiver,
  peerNameOf,
  type Sending,
  type SocketLink,
  type Transport,
} from './transport.ts'

/** Received at once by all sockets in turn; larger makes values of 1 MiB cheaper, smaller leaves the cache to others. */
const WINDOW_BYTES = 256 * 1024

/**
 * Makes the transport.
 *
 * @returns It; there is nothing to close.
 * @example
 * const listener = respListener({ resp, principal, transport: libuvTransport() })
 */
export function libuvTransport(): Transport {
  const window = Buffer.allocUnsafeSlow(WINDOW_BYTES)
  return {
    kind: 'libuv',
    link: (accepted) => new LibuvLink(accepted, window),
    atEndOfBurst: (task) => void setImmediate(task),
    close: () => Promise.resolve(),
  }
}

class LibuvLink implements SocketLink {
  readonly peerName: string
  readonly #socket: Socket
  #receiver: LinkReceiver | undefined

  constructor(accepted: Socket, window: Buffer) {
    this.#socket = intoWindow(accepted, window, (bytes) => this.#receiver?.received(window, bytes))
    this.peerName = peerNameOf(this.#socket)
  }

  start(receiver: LinkReceiver): void {
    this.#receiver = receiver
    const socket = this.#socket
    socket.on('end', () => receiver.ended())
    // What breaks shows as `close` too.
    socket.on('error', () => undefined)
    socket.on('close', () => receiver.closed())
    socket.resume()
  }

  send({ parts }: Sending, done: () => void): void {
    const socket = this.#socket
    if (socket.destroyed) {
      setImmediate(done)
      return
    }
    const last = parts.length - 1
    if (last > 0) socket.cork()
    parts.forEach((part, at) => {
      socket.write(part, at === last ? done : undefined)
    })
    if (last > 0) socket.uncork()
  }

  sendNow(sending: Sending, done: () => void): boolean {
    this.send(sending, done)
    return false
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  end(): void {
    this.#socket.end()
    // The end of the other side is seen only by who reads.
    this.#socket.resume()
  }

  destroy(): void {
    this.#socket.destroy()
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
