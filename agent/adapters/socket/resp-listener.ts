/** Serves the store's protocol on sockets: the only code between an accepted connection and a session. */
import { createServer, type Server, type Socket } from 'node:net'
import type { Principal, RespServer, Session, SessionHost } from '../../engines/log/index.ts'
import type { SocketLink, Transport } from './transport.ts'

/** A peer link says who it speaks for within this time, in one line of at most this length. */
const PREFACE_MS_MAX = 5000
const PREFACE_BYTES_MAX = 4096
const LINE_FEED = 10
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
  /** Moves the bytes; one serves any number of listeners, and outlives them. */
  readonly transport: Transport
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
 * const listener = respListener({ resp, transport: libuvTransport(), principal: { kind: 'guest' } })
 * listener.server.listen(9900)
 */
export function respListener(init: RespListenerInit): RespListener {
  const links = new Set<SocketLink>()
  const drained = Promise.withResolvers<void>()

  // `allowHalfOpen`, so that a client that ends its side still gets the replies due to it.
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true })
  server.on('connection', (accepted: Socket) => {
    if (links.size >= CONNECTIONS_MAX) {
      accepted.destroy()
      return
    }
    const link = init.transport.link(accepted)
    links.add(link)
    converse(init, link, () => {
      links.delete(link)
      if (links.size === 0 && !server.listening) drained.resolve()
    })
  })

  return {
    server,
    close() {
      server.close()
      if (links.size === 0) return Promise.resolve()
      for (const link of links) link.end()
      const timer = setTimeout(() => {
        for (const link of links) link.destroy()
      }, CLOSE_MS_MAX)
      return drained.promise.finally(() => clearTimeout(timer))
    },
  }
}

/** Joins a connection to a session, once it is known who speaks. */
function converse(init: RespListenerInit, link: SocketLink, closed: () => void): void {
  const { principal } = init
  let session: Session | undefined
  let preface: Preface | undefined
  if (principal === 'preface') preface = new Preface(link)
  else session = join(init.resp, principal, link)
  link.start({
    places: {
      get wants() {
        return session?.wantsPlace ?? false
      },
      lend: () => session?.lendPlace(),
      returned: (lengthBytes) => session?.receivedInPlace(lengthBytes),
      lost: () => session?.lostPlace(),
    },
    received(bytes, lengthBytes) {
      if (session) {
        session.receive(bytes, lengthBytes)
        return
      }
      const found = preface?.read(bytes.subarray(0, lengthBytes))
      if (!found) return
      const speaker = init.readPreface?.(found.line)
      if (!speaker) {
        link.destroy()
        return
      }
      session = join(init.resp, speaker, link)
      if (found.rest.byteLength > 0) session.receive(found.rest, found.rest.byteLength)
    },
    ended() {
      if (session) session.ended()
      else link.destroy()
    },
    closed() {
      preface?.stop()
      session?.closed()
      closed()
    },
  })
}

function join(resp: RespServer, principal: Principal, link: SocketLink): Session {
  const host: SessionHost = {
    peerName: link.peerName,
    send(output) {
      link.send(output, () => {
        output.release()
        session.sent(output.lengthBytes)
      })
    },
    close() {
      link.end()
    },
    pause() {
      link.pause()
    },
    resume() {
      link.resume()
    },
  }
  const session = resp.connect(principal, host)
  return session
}

/** Collects the first line, within a time and a length. */
class Preface {
  readonly #link: SocketLink
  readonly #timer: NodeJS.Timeout
  #text = Buffer.alloc(0)

  constructor(link: SocketLink) {
    this.#link = link
    this.#timer = setTimeout(() => link.destroy(), PREFACE_MS_MAX)
  }

  /** @returns The line and what came after it, once it is whole. */
  read(bytes: Buffer): { readonly line: string; readonly rest: Buffer } | undefined {
    this.#text = Buffer.concat([this.#text, bytes])
    const end = this.#text.indexOf(LINE_FEED)
    if (end < 0) {
      if (this.#text.byteLength > PREFACE_BYTES_MAX) this.#link.destroy()
      return undefined
    }
    this.stop()
    return { line: this.#text.toString('utf8', 0, end), rest: this.#text.subarray(end + 1) }
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
