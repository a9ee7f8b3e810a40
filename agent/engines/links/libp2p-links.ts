/**
 * Links over libp2p: TCP, noise, yamux. The node's ledger key is its peer identity, so the handshake proves the account.
 *
 * Nothing is discovered and nothing is exchanged about third parties: who may be linked with, and where they are, comes
 * from the policy alone. So libp2p's identify, peer routing and address book stay unused.
 */
import { noise } from '@chainsafe/libp2p-noise'
import { privateKeyFromRaw } from '@libp2p/crypto/keys'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { assert } from '../../base/assert.ts'
import { NodeError } from '../../base/errors.ts'
import type { Account } from '../../base/ids.ts'
import type { LedgerKey } from '../../base/ledger-key.ts'
import { linkedAbort } from '../../base/linked-abort.ts'
import type { Chance, Clock, Log } from '../../base/ports.ts'
import * as limits from './constants.ts'
import { withDeadline } from './deadline.ts'
import { linkClosed } from './errors.ts'
import { gateFor } from './gate.ts'
import { answerPings, keepAlive } from './keep-alive.ts'
import { libp2pLinkStream } from './libp2p-stream.ts'
import { accountOfPeerId, type BookedPeer, bookPeers, type PeerBook } from './peer-book.ts'
import { PeerLink } from './peer-link.ts'
import type { InboundHandler, LinkPolicy, LinkStream, Links, LinksStatus } from './ports.ts'
import { streamPair } from './stream-pair.ts'

/** What links are made of. */
export interface Libp2pLinksInit {
  /** Grid address; part of the protocol names, so that nodes of two grids never talk by accident. */
  readonly grid: string
  readonly key: LedgerKey
  /** Multiaddrs to listen on; port 0 takes a free one; empty only dials. */
  readonly listen: readonly string[]
  readonly clock: Clock
  readonly chance: Chance
  readonly log: Log
}

/** Name of the service that keep-alive uses. */
const PING_SERVICE = 'ping'
const SERVICE_NAME = /^[a-z][a-z0-9-]{0,31}$/

/**
 * Starts links: listens, with an empty policy, so that nobody gets in yet.
 *
 * @param init - Identity and ports.
 * @returns Links that listen.
 * @throws NodeError `LINK_LISTEN_FAILED`.
 * @example
 * const links = await startLibp2pLinks({ grid, key, listen: ['/ip4/0.0.0.0/tcp/4001'], clock, chance, log })
 * links.setPolicy({ peers, guests: [] })
 * await links.onInbound('store', (stream) => serve(stream))
 */
export async function startLibp2pLinks(init: Libp2pLinksInit): Promise<Links> {
  const links = new Libp2pLinks(init)
  await links.start()
  return links
}

class Libp2pLinks implements Links {
  readonly account: Account
  readonly #init: Libp2pLinksInit
  readonly #closing = new AbortController()
  readonly #peers = new Map<Account, PeerLink>()
  readonly #handlers = new Map<string, InboundHandler>()
  readonly #gate: ReturnType<typeof gateFor>
  #book: PeerBook
  #libp2p: Libp2p | undefined
  #silent = 0
  #removed = 0

  constructor(init: Libp2pLinksInit) {
    this.#init = init
    this.account = init.key.account
    this.#book = bookPeers({ peers: [], guests: [] }, init.log)
    this.#gate = gateFor(() => this.#book, init.clock)
  }

  async start(): Promise<void> {
    this.#libp2p = await createHost(this.#init, this.#gate.gater)
    this.#libp2p.addEventListener('connection:open', ({ detail }) => this.#onOpen(detail))
    this.#libp2p.addEventListener('connection:close', ({ detail }) => this.#onClose(detail))
    await this.#handle(PING_SERVICE, answerPings)
    this.#closeIdleLinks().catch(() => undefined)
  }

  setPolicy(policy: LinkPolicy): void {
    this.#book = bookPeers(policy, this.#init.log)
    for (const [account, link] of this.#peers) {
      if (this.#book.allows(account)) continue
      this.#removed += link.connections.length
      this.#peers.delete(account)
      link.stop(new NodeError('LINK_PEER_UNKNOWN', `${account} may no longer be linked with`))
    }
  }

  async dial(peer: Account, service: string, signal: AbortSignal): Promise<LinkStream> {
    signal.throwIfAborted()
    if (peer === this.account) return this.#dialSelf(service)
    if (!this.#book.allows(peer)) {
      throw new NodeError('LINK_PEER_UNKNOWN', `${peer} is neither a node nor a guest`)
    }
    const link = this.#linkTo(peer)
    const connection = await link.connection(signal)
    try {
      return await this.#open(link, connection, service, signal)
    } catch (caught) {
      // The connection may have died before anybody noticed: then, and only then, a fresh one is worth a try.
      if (signal.aborted || connection.status === 'open') throw caught
      return this.#open(link, await link.connection(signal), service, signal)
    }
  }

  async onInbound(service: string, handler: InboundHandler): Promise<void> {
    assert(SERVICE_NAME.test(service) && service !== PING_SERVICE, 'a service has a plain name')
    const isNew = !this.#handlers.has(service)
    this.#handlers.set(service, handler)
    if (!isNew) return
    await this.#handle(service, (stream) => this.#handlers.get(service)?.(stream))
  }

  status(): LinksStatus {
    const known = new Set([...this.#book.peers.keys(), ...this.#peers.keys()])
    known.delete(this.account)
    return {
      account: this.account,
      listening: this.#host()
        .getMultiaddrs()
        .map((address) => address.toString()),
      peers: [...known].sort().map((account) => this.#linkTo(account).status()),
      refused: { ...this.#gate.counts },
      silent: this.#silent,
      removed: this.#removed,
    }
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return
    const reason = linkClosed()
    this.#closing.abort(reason)
    for (const link of this.#peers.values()) link.stop(reason)
    await this.#libp2p?.stop()
  }

  #host(): Libp2p {
    assert(this.#libp2p, 'links are started before they are used')
    return this.#libp2p
  }

  #linkTo(account: Account): PeerLink {
    const known = this.#peers.get(account)
    if (known) return known
    const { clock, chance, log } = this.#init
    const link = new PeerLink(account, {
      clock,
      chance,
      log,
      connect: (peer, signal) => this.#connect(peer, signal),
      lookUp: (peer) => this.#book.peers.get(peer),
    })
    this.#peers.set(account, link)
    return link
  }

  async #connect(peer: BookedPeer, signal: AbortSignal): Promise<Connection> {
    try {
      return await this.#host().dial([...peer.addresses], { signal })
    } catch (cause) {
      throw new NodeError('LINK_UNREACHABLE', `no address of ${peer.account} led to it`, {
        cause: signal.aborted ? signal.reason : cause,
        retryAfterMs: limits.REDIAL_MS_MIN,
      })
    }
  }

  async #open(
    link: PeerLink,
    connection: Connection,
    service: string,
    signal: AbortSignal,
  ): Promise<LinkStream> {
    const { clock } = this.#init
    try {
      const stream = await withDeadline({ clock, ms: limits.OPEN_STREAM_MS_MAX, signal }, (limit) =>
        connection.newStream(this.#protocol(service), {
          signal: limit,
          maxOutboundStreams: limits.STREAMS_PER_SERVICE_MAX,
        }),
      )
      return this.#wrap(link, connection, stream, service)
    } catch (cause) {
      signal.throwIfAborted()
      throw openFailure(cause, link.account, service)
    }
  }

  #dialSelf(service: string): LinkStream {
    const handler = this.#handlers.get(service)
    if (!handler) throw unknownService(this.account, service)
    const [ours, theirs] = streamPair([this.account, this.account])
    runHandler(handler, theirs, this.#init.log)
    return ours
  }

  async #handle(service: string, handler: InboundHandler): Promise<void> {
    const onStream = (stream: Stream, connection: Connection) => {
      const account = accountOfPeerId(connection.remotePeer)
      if (!account || !this.#book.allows(account)) {
        stream.abort(new NodeError('LINK_PEER_UNKNOWN', 'the peer was removed'))
        return
      }
      const wrapped = this.#wrap(this.#linkTo(account), connection, stream, service)
      runHandler(handler, wrapped, this.#init.log)
    }
    await this.#host().handle(this.#protocol(service), onStream, {
      maxInboundStreams: limits.STREAMS_PER_SERVICE_MAX,
      maxOutboundStreams: limits.STREAMS_PER_SERVICE_MAX,
    })
  }

  #protocol(service: string): string {
    return `/varve/${this.#init.grid.toLowerCase()}/${service}/1`
  }

  #wrap(link: PeerLink, connection: Connection, stream: Stream, service: string): LinkStream {
    const { traffic } = link
    const heard = heardOn(connection)
    const counts = service !== PING_SERVICE
    if (counts) traffic.streams++
    return libp2pLinkStream(stream, link.account, {
      received(bytes) {
        heard.bytes += bytes
        if (counts) traffic.bytesIn += bytes
      },
      sent(bytes) {
        if (counts) traffic.bytesOut += bytes
      },
      closed() {
        if (counts) traffic.streams--
      },
    })
  }

  #onOpen(connection: Connection): void {
    const account = accountOfPeerId(connection.remotePeer)
    // The book may have changed between the gate and here.
    if (!account || !this.#book.allows(account)) {
      connection.abort(new NodeError('LINK_PEER_UNKNOWN', 'the peer was removed'))
      return
    }
    const link = this.#linkTo(account)
    if (link.connections.length >= limits.CONNECTIONS_PER_PEER_MAX) {
      this.#gate.counts.tooMany++
      connection.abort(new NodeError('LINK_LIMIT', 'the peer has enough connections'))
      return
    }
    link.opened(connection)
    this.#init.log.debug({ peer: account, direction: connection.direction }, 'link opened')
    this.#watch(link, connection)
  }

  #onClose(connection: Connection): void {
    const account = accountOfPeerId(connection.remotePeer)
    const link = account && this.#peers.get(account)
    if (!link?.connections.includes(connection)) return
    this.#init.log.debug({ peer: account }, 'link closed')
    link.lost(connection)
  }

  #watch(link: PeerLink, connection: Connection): void {
    const closed = linkedAbort(this.#closing.signal)
    connection.addEventListener('close', () => {
      closed.abort()
      closed.release()
    })
    const heard = heardOn(connection)
    void keepAlive(
      {
        openPingStream: (signal) => this.#open(link, connection, PING_SERVICE, signal),
        heardBytes: () => heard.bytes,
        measured: (rttMs) => {
          link.rttMs = rttMs
        },
        silent: () => {
          this.#silent++
          this.#init.log.info({ peer: link.account }, 'cut a silent link')
          connection.abort(linkClosed(new NodeError('LINK_CLOSED', 'nothing was heard any more')))
        },
      },
      this.#init.clock,
      closed.signal,
    )
  }

  async #closeIdleLinks(): Promise<void> {
    const { signal } = this.#closing
    for (;;) {
      await this.#init.clock.sleep(limits.LINK_IDLE_MS_MAX / 2, signal)
      for (const link of this.#peers.values()) link.closeIfIdle()
    }
  }
}

const heardByConnection = new WeakMap<Connection, { bytes: number }>()

/** Bytes heard on a connection: shared by its streams and its keep-alive. */
function heardOn(connection: Connection): { bytes: number } {
  const heard = heardByConnection.get(connection) ?? { bytes: 0 }
  heardByConnection.set(connection, heard)
  return heard
}

async function createHost(
  init: Libp2pLinksInit,
  connectionGater: ReturnType<typeof gateFor>['gater'],
): Promise<Libp2p> {
  try {
    return await createLibp2p({
      privateKey: privateKeyFromRaw(init.key.privateKey),
      addresses: { listen: [...init.listen] },
      transports: [tcp({ dialOpts: { noDelay: true }, listenOpts: { noDelay: true } })],
      connectionEncrypters: [noise()],
      streamMuxers: [
        yamux({
          maxInboundStreams: limits.STREAMS_PER_CONNECTION_MAX,
          maxOutboundStreams: limits.STREAMS_PER_CONNECTION_MAX,
          // The dialler may open all it wants before our side of the handshake is through; yamux would keep ten of them
          // and break the whole link at the next.
          maxEarlyStreams: limits.STREAMS_PER_CONNECTION_MAX,
          // Yamux sizes its windows by the round trip that only its own pings measure.
          enableKeepAlive: true,
          keepAliveInterval: 5 * limits.PING_INTERVAL_MS,
          streamOptions: {
            maxStreamWindowSize: limits.STREAM_WINDOW_BYTES_MAX,
            maxReadBufferLength: limits.STREAM_READ_BUFFER_BYTES_MAX,
            maxWriteBufferLength: limits.STREAM_WRITE_BUFFER_BYTES_MAX,
          },
        }),
      ],
      connectionGater,
      connectionManager: {
        maxConnections: limits.CONNECTIONS_MAX,
        dialTimeout: limits.CONNECT_MS_MAX,
        addressDialTimeout: limits.CONNECT_ADDRESS_MS_MAX,
        inboundUpgradeTimeout: limits.INBOUND_HANDSHAKE_MS_MAX,
        inboundConnectionThreshold: limits.INBOUND_HANDSHAKES_PER_HOST_PER_SECOND_MAX,
        maxIncomingPendingConnections: limits.INBOUND_HANDSHAKES_PENDING_MAX,
        resolvers: {},
        reconnectRetries: 0,
      },
      // Ours costs no stream a ping, and hears more than pings.
      connectionMonitor: { enabled: false },
    })
  } catch (cause) {
    throw new NodeError('LINK_LISTEN_FAILED', `cannot listen on ${init.listen.join(', ')}`, {
      cause,
    })
  }
}

function runHandler(handler: InboundHandler, stream: LinkStream, log: Log): void {
  const run = async () => handler(stream)
  run().catch((err) => {
    log.debug({ peer: stream.peer, err }, 'a service broke a stream')
    stream.abort(err)
  })
}

function unknownService(peer: Account, service: string): NodeError {
  return new NodeError('LINK_SERVICE_UNKNOWN', `${peer} offers no service "${service}"`)
}

function openFailure(cause: unknown, peer: Account, service: string): NodeError {
  const name = cause instanceof Error ? cause.name : ''
  if (name === 'UnsupportedProtocolError') return unknownService(peer, service)
  if (name.startsWith('TooMany')) {
    return new NodeError('LINK_LIMIT', `too many streams to ${peer}`, { cause })
  }
  if (cause instanceof NodeError && cause.code === 'LINK_UNREACHABLE') return cause
  return new NodeError('LINK_UNREACHABLE', `${peer} did not accept a stream`, { cause })
}
