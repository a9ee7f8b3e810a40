/**
 * The link to one peer: its connections, and the attempts to have one while somebody wants it.
 *
 * A link is wanted from the first dial until nobody used it for ten minutes. While it is wanted, a connection that is
 * lost is dialled again with growing pauses, so that the next dial mostly finds one open.
 */
import type { Connection } from '@libp2p/interface'
import { describeError, NodeError } from '../../base/errors.ts'
import type { Account } from '../../base/ids.ts'
import type { Chance, Clock, Log } from '../../base/ports.ts'
import {
  CONNECT_MS_MAX,
  FAIL_FAST_MS,
  LINK_IDLE_MS_MAX,
  REDIAL_MS_MAX,
  REDIAL_MS_MIN,
} from './constants.ts'
import { waitFor, withDeadline } from './deadline.ts'
import type { BookedPeer } from './peer-book.ts'
import type { LinkPeerStatus } from './ports.ts'

/** What a link needs from outside. */
export interface PeerLinkPorts {
  readonly clock: Clock
  readonly chance: Chance
  readonly log: Log
  /** Makes a connection to the peer, proven to be the peer. */
  connect(peer: BookedPeer, signal: AbortSignal): Promise<Connection>
  /** The peer's entry in the book now. */
  lookUp(account: Account): BookedPeer | undefined
}

/** One peer. */
export class PeerLink {
  readonly account: Account
  readonly #ports: PeerLinkPorts
  readonly #stopped = new AbortController()
  #connections: Connection[] = []
  #attempt: Promise<Connection> | undefined
  #keeping = false
  #failures = 0
  #lastFailure: unknown
  #failedMs = Number.NEGATIVE_INFINITY
  #usedMs = Number.NEGATIVE_INFINITY
  /** Written by the streams' meters. */
  readonly traffic = { bytesIn: 0, bytesOut: 0, streams: 0 }
  rttMs: number | undefined

  constructor(account: Account, ports: PeerLinkPorts) {
    this.account = account
    this.#ports = ports
  }

  /** Open connections, oldest first. */
  get connections(): readonly Connection[] {
    return this.#connections
  }

  /** Remembers a connection, whoever made it. */
  opened(connection: Connection): void {
    this.#connections.push(connection)
    this.#failures = 0
    this.#lastFailure = undefined
    this.#failedMs = Number.NEGATIVE_INFINITY
  }

  /** Forgets a connection, and begins to make another if the link is wanted. */
  lost(connection: Connection): void {
    this.#connections = this.#connections.filter((other) => other !== connection)
    if (this.#connections.length === 0) this.rttMs = undefined
    this.#keepUp()
  }

  /**
   * The newest open connection, or a new one.
   *
   * @throws NodeError `LINK_NO_ADDRESS`, `LINK_UNREACHABLE`, or the signal's reason.
   */
  async connection(signal: AbortSignal): Promise<Connection> {
    this.#usedMs = this.#ports.clock.monotonic()
    const open = this.#connections.findLast((connection) => connection.status === 'open')
    if (open) return open
    if (!this.#attempt) this.#failFast()
    this.#attempt ??= this.#connect()
    try {
      return await waitFor(this.#attempt, signal)
    } catch (caught) {
      this.#keepUp()
      throw caught
    }
  }

  /** Breaks all connections and stops dialling, for good. */
  stop(reason: unknown): void {
    this.#stopped.abort(reason)
    for (const connection of this.#connections) connection.abort(asError(reason))
  }

  /** Closes the connections that this node made if nobody used them for long. */
  closeIfIdle(): void {
    if (this.#isWanted()) return
    for (const connection of this.#connections) {
      if (connection.direction !== 'outbound') continue
      connection.close().catch((reason) => connection.abort(asError(reason)))
    }
  }

  status(): LinkPeerStatus {
    return {
      account: this.account,
      state: this.#state(),
      connections: this.#connections.length,
      rttMs: this.rttMs,
      ...this.traffic,
      failures: this.#failures,
      lastFailure: this.#lastFailure === undefined ? undefined : describeError(this.#lastFailure),
    }
  }

  #state(): LinkPeerStatus['state'] {
    if (this.#connections.length > 0) return 'linked'
    if (this.#attempt) return 'dialling'
    return this.#keeping ? 'waiting' : 'idle'
  }

  #isWanted(): boolean {
    if (this.traffic.streams > 0) this.#usedMs = this.#ports.clock.monotonic()
    return this.#ports.clock.monotonic() - this.#usedMs < LINK_IDLE_MS_MAX
  }

  #failFast(): void {
    const agoMs = this.#ports.clock.monotonic() - this.#failedMs
    if (agoMs >= FAIL_FAST_MS) return
    throw new NodeError('LINK_UNREACHABLE', `${this.account} could not be reached just now`, {
      cause: this.#lastFailure,
      retryAfterMs: FAIL_FAST_MS,
    })
  }

  async #connect(): Promise<Connection> {
    const { clock, connect, lookUp } = this.#ports
    try {
      const peer = lookUp(this.account)
      if (!peer || peer.addresses.length === 0) {
        throw new NodeError('LINK_NO_ADDRESS', `no address of ${this.account} can be dialled`)
      }
      const { signal } = this.#stopped
      return await withDeadline({ clock, ms: CONNECT_MS_MAX, signal }, (limit) =>
        connect(peer, limit),
      )
    } catch (caught) {
      this.#failures++
      this.#lastFailure = caught
      this.#failedMs = clock.monotonic()
      throw caught
    } finally {
      this.#attempt = undefined
    }
  }

  /** Runs in the background; at most once at a time. */
  #keepUp(): void {
    const hasAddress = (this.#ports.lookUp(this.account)?.addresses.length ?? 0) > 0
    if (this.#keeping || this.#stopped.signal.aborted || !hasAddress || !this.#isWanted()) return
    this.#keeping = true
    this.#redial()
      .catch((err) => {
        const { log } = this.#ports
        if (!this.#stopped.signal.aborted)
          log.warn({ peer: this.account, err }, 'stopped redialling')
      })
      .finally(() => {
        this.#keeping = false
      })
  }

  async #redial(): Promise<void> {
    const { clock, log } = this.#ports
    const { signal } = this.#stopped
    let pauseMs = REDIAL_MS_MIN
    while (this.#connections.length === 0 && this.#isWanted()) {
      await clock.sleep(this.#jittered(pauseMs), signal)
      if (this.#connections.length > 0) return
      pauseMs = Math.min(pauseMs * 2, REDIAL_MS_MAX)
      try {
        this.#attempt ??= this.#connect()
        await this.#attempt
      } catch (err) {
        log.debug({ peer: this.account, err, pauseMs }, 'redial failed')
      }
    }
  }

  /** Half to all of the pause, so that a node that comes back is not dialled by all others at once. */
  #jittered(pauseMs: number): number {
    const half = Math.ceil(pauseMs / 2)
    return half + this.#ports.chance.below(half)
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new NodeError('LINK_CLOSED', String(reason))
}
