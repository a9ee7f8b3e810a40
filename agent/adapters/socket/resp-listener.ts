/** Serves the store's protocol on sockets: the only code between an accepted connection and a session. */
import { createServer, type Server, type Socket } from 'node:net'
import type {
  Output,
  Principal,
  RespServer,
  Session,
  SessionHost,
} from '../../engines/store/index.ts'
import type { LinkReceiver, PlaceLender, SocketLink, Transport } from './transport.ts'

/** A peer link says who it speaks for within this time, in one line of at most this length. */
const PREFACE_MS_MAX = 5000
const PREFACE_BYTES_MAX = 4096
const LINE_FEED = 10
/** Connections at once; more are closed at once, since each costs some KiB. */
export const CONNECTIONS_MAX = 20_000

/** How often it is looked for commands that do not arrive. */
const SWEEP_MS = 2500
/** Who was told the end and does not end his side is cut off after this time: replies that were due may be that long on their way. */
const LINGER_MS_MAX = 30_000
/** What redis says. */
const TOO_MANY = '-ERR max number of clients reached\r\n'

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
  /** Who speaks: fixed, told by the name of the other end, or read from the first line that the links unit writes. */
  readonly principal: Principal | 'preface' | ((peerName: string) => Principal)
  /** Reads the preface line. @returns Undefined if it is not one. */
  readonly readPreface?: (line: string) => Principal | undefined
  /** Connections at once; {@link CONNECTIONS_MAX} if not given. */
  readonly connectionsMax?: number
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
  const connectionsMax = init.connectionsMax ?? CONNECTIONS_MAX
  const sweeping = setInterval(() => init.resp.sweep(), SWEEP_MS)
  sweeping.unref()

  // `allowHalfOpen`, so that a client that ends its side still gets the replies due to it.
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true })
  server.on('connection', (accepted: Socket) => {
    if (links.size >= connectionsMax) {
      init.resp.warnOnceAMinute('too many connections, new ones are refused', { connectionsMax })
      accepted.on('error', () => undefined)
      accepted.end(TOO_MANY, () => accepted.destroy())
      return
    }
    const link = init.transport.link(accepted)
    links.add(link)
    const conversation = new Conversation(init, link, () => {
      links.delete(link)
      if (links.size === 0 && !server.listening) drained.resolve()
    })
    link.start(conversation)
  })
  server.on('listening', () => {
    // Descriptors may run out while it serves: then this connection is lost, and no other.
    server.on('error', (caught) => {
      init.resp.warnOnceAMinute('a connection could not be accepted', { cause: caught.message })
    })
    server.on('drop', () => init.resp.warnOnceAMinute('a connection was dropped', {}))
  })

  return {
    server,
    close() {
      server.close()
      clearInterval(sweeping)
      if (links.size === 0) return Promise.resolve()
      for (const link of links) link.end()
      const timer = setTimeout(() => {
        for (const link of links) link.destroy()
      }, CLOSE_MS_MAX)
      return drained.promise.finally(() => clearTimeout(timer))
    },
  }
}

/**
 * A connection and its session, once it is known who speaks.
 *
 * A class, because accessors of a literal would give each connection an object of a kind of its own, which no engine
 * reads fast.
 */
class Conversation implements LinkReceiver, PlaceLender {
  readonly #init: RespListenerInit
  readonly #link: SocketLink
  readonly #closed: () => void
  #session: Session | undefined
  #preface: Preface | undefined

  constructor(init: RespListenerInit, link: SocketLink, closed: () => void) {
    this.#init = init
    this.#link = link
    this.#closed = closed
    if (init.principal === 'preface') this.#preface = new Preface(link)
    else {
      const { principal } = init
      const speaker = typeof principal === 'function' ? principal(link.peerName) : principal
      this.#session = join(init.resp, speaker, link)
    }
  }

  get places(): PlaceLender {
    return this
  }

  get awaitedBytes(): number {
    return this.#session?.awaitedBytes ?? 0
  }

  lend(): Buffer | undefined {
    return this.#session?.lendPlace()
  }

  returned(lengthBytes: number): void {
    this.#session?.receivedInPlace(lengthBytes)
  }

  received(bytes: Buffer, lengthBytes: number): void {
    if (this.#session) this.#session.receive(bytes, lengthBytes)
    else this.#introduced(bytes.subarray(0, lengthBytes))
  }

  ended(): void {
    if (this.#session) this.#session.ended()
    else this.#link.destroy()
  }

  closed(): void {
    this.#preface?.stop()
    this.#session?.closed()
    this.#closed()
  }

  /** Takes what comes before it is known who speaks. */
  #introduced(bytes: Buffer): void {
    const found = this.#preface?.read(bytes)
    if (!found) return
    const speaker = this.#init.readPreface?.(found.line)
    if (!speaker) {
      this.#link.destroy()
      return
    }
    this.#session = join(this.#init.resp, speaker, this.#link)
    if (found.rest.byteLength > 0) this.#session.receive(found.rest, found.rest.byteLength)
  }
}

function join(resp: RespServer, principal: Principal, link: SocketLink): Session {
  let isClosing = false
  function written(output: Output): void {
    output.release()
    session.sent(output.lengthBytes)
  }
  const host: SessionHost = {
    peerName: link.peerName,
    send(output) {
      link.send(output, () => written(output))
    },
    sendNow: (output) => link.sendNow(output, () => written(output)),
    close() {
      if (isClosing) return
      isClosing = true
      link.end()
      setTimeout(() => link.destroy(), LINGER_MS_MAX).unref()
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
