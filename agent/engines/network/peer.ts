/**
 * One peer: its handshakes, its sessions, and when which is due. Given events and the time, it says what to send; it waits for nothing.
 *
 * Three sessions at most: `current` sends; `previous` still receives what was under way when it was replaced; `next` was answered by
 * this end and is not used to send before the peer has shown that it has the keys.
 *
 * @see WireGuard: Next Generation Kernel Network Tunnel, section 6
 */
import { assert } from '../../base/assert.ts'
import {
  HANDSHAKE_INITIATION_EVERY_MS,
  KEEPALIVE_MS,
  KEY_BYTES,
  REJECT_AFTER_MESSAGES,
  REJECT_AFTER_MS,
  REKEY_AFTER_MESSAGES,
  REKEY_AFTER_MS,
  REKEY_ATTEMPT_MS,
  REKEY_JITTER_MS,
  REKEY_TIMEOUT_MS,
  RESPONDER_REKEY_DELAY_MS,
  STAGED_PACKETS_MAX,
} from './constants.ts'
import { CookieJar } from './cookies.ts'
import {
  type Initiation,
  initiate,
  type ReceivedInitiation,
  receiveResponse,
  respond,
  type SessionKeys,
} from './handshake.ts'
import type { Endpoint, PeerConfig, PeerStatus, TunnelPorts } from './ports.ts'
import { Session } from './session.ts'
import { tai64n } from './timestamp.ts'
import { type KeyPair, keyPairFrom } from './x25519.ts'

const NOTHING = new Uint8Array(0)
const NO_KEY = new Uint8Array(KEY_BYTES)

/** Gives indices of sessions to peers and back; the tunnel's. */
export interface SessionIndices {
  /** A fresh index that leads to this peer until it is released. */
  take(peer: Peer): number
  release(index: number): void
}

interface PendingHandshake {
  readonly ownIndex: number
  readonly initiation: Initiation
  /** When the first try of this attempt was made. */
  readonly beganMs: number
  readonly sentMs: number
  readonly retryMs: number
}

/** A peer and all that is under way with it. */
export class Peer {
  readonly config: PeerConfig
  readonly staticKey: Uint8Array
  readonly #own: KeyPair
  readonly #ports: TunnelPorts
  readonly #indices: SessionIndices
  readonly #jar: CookieJar
  #endpoint: Endpoint | undefined
  #handshake: PendingHandshake | undefined
  #current: Session | undefined
  #previous: Session | undefined
  #next: Session | undefined
  #staged: Uint8Array[] = []
  #newestTimestamp: Uint8Array = NOTHING
  #initiationHeardMs = Number.NEGATIVE_INFINITY
  /** Set when something was sent and nothing has come since: the peer is asked for new keys then. */
  #answerDueMs = Number.POSITIVE_INFINITY
  /** Set when something was received and nothing was sent since. */
  #lifeSignDueMs = Number.POSITIVE_INFINITY
  #keepAliveDueMs = Number.POSITIVE_INFINITY
  #heardMs: number | undefined
  #sentBytes = 0
  #receivedBytes = 0
  #dropped = 0

  constructor(init: {
    readonly config: PeerConfig
    readonly own: KeyPair
    readonly ports: TunnelPorts
    readonly indices: SessionIndices
  }) {
    this.config = init.config
    this.staticKey = Buffer.from(init.config.key, 'hex')
    this.#own = init.own
    this.#ports = init.ports
    this.#indices = init.indices
    this.#jar = new CookieJar(this.staticKey)
    this.#endpoint = init.config.endpoint
    if (init.config.keepAliveMs !== undefined) this.#keepAliveDueMs = this.#nowMs()
  }

  status(): PeerStatus {
    return {
      key: this.config.key,
      endpoint: this.#endpoint,
      handshakeMs: this.#current?.madeMs,
      heardMs: this.#heardMs,
      sentBytes: this.#sentBytes,
      receivedBytes: this.#receivedBytes,
      dropped: this.#dropped,
    }
  }

  /**
   * Sends a packet to the peer, or keeps it until there is a session.
   *
   * @param packet - An IP packet; copied if it has to wait.
   */
  sendPacket(packet: Uint8Array): void {
    const session = this.#usable()
    if (session) {
      this.#sendOver(session, packet)
      return
    }
    this.#staged.push(Uint8Array.from(packet))
    if (this.#staged.length > STAGED_PACKETS_MAX) {
      this.#staged.shift()
      this.#dropped++
    }
    this.#beginHandshake()
  }

  /**
   * Takes an initiation of this peer, and answers it.
   *
   * @returns False if it was played again, or comes too fast.
   */
  takeInitiation(received: ReceivedInitiation, from: Endpoint): boolean {
    const nowMs = this.#nowMs()
    const isNewer = Buffer.compare(received.timestamp, this.#newestTimestamp) > 0
    if (!isNewer || nowMs - this.#initiationHeardMs < HANDSHAKE_INITIATION_EVERY_MS) return false
    const ownIndex = this.#indices.take(this)
    const answer = respond(this.config.wire, received, {
      ephemeral: this.#freshPair(),
      senderIndex: ownIndex,
      presharedKey: this.config.presharedKey ?? NO_KEY,
    })
    if (!answer) {
      this.#indices.release(ownIndex)
      return false
    }
    this.#newestTimestamp = Uint8Array.from(received.timestamp)
    this.#initiationHeardMs = nowMs
    this.#endpoint = from
    this.#release(this.#next)
    this.#next = this.#session(answer.keys, ownIndex, received.senderIndex, false)
    this.#sendStamped(answer.message)
    return true
  }

  /**
   * Takes a response.
   *
   * @param ownIndex - Whom the message names as receiver.
   * @returns False if it answers nothing, or is not the peer's.
   */
  takeResponse(message: Uint8Array, ownIndex: number, from: Endpoint): boolean {
    const pending = this.#handshake
    if (pending?.ownIndex !== ownIndex) return false
    const keys = receiveResponse(this.config.wire, message, {
      own: this.#own,
      initiation: pending.initiation,
      presharedKey: this.config.presharedKey ?? NO_KEY,
    })
    if (!keys) return false
    const peerIndex = new DataView(message.buffer, message.byteOffset).getUint32(4, true)
    this.#handshake = undefined
    this.#heard(from, message.byteLength)
    this.#use(this.#session(keys, ownIndex, peerIndex, true))
    return true
  }

  /** Takes a cookie that answers the handshake under way. @returns False if it is none. */
  takeCookie(message: Uint8Array, ownIndex: number): boolean {
    if (this.#handshake?.ownIndex !== ownIndex && this.#next?.ownIndex !== ownIndex) return false
    return this.#jar.take(message, this.#nowMs())
  }

  /**
   * Takes a data message.
   *
   * @param ownIndex - Session that the message names.
   * @returns What was in it, empty for a sign of life; undefined if it is not the peer's or came before.
   */
  takeData(datagram: Uint8Array, ownIndex: number, from: Endpoint): Uint8Array | undefined {
    const nowMs = this.#nowMs()
    const session = [this.#current, this.#previous, this.#next].find(
      (one) => one?.ownIndex === ownIndex,
    )
    if (!session?.isAlive(nowMs)) return undefined
    const opened = session.open(datagram)
    if (!opened) return undefined
    this.#heard(from, datagram.byteLength)
    if (session === this.#next) {
      this.#next = undefined
      this.#use(session)
    }
    const { packet } = opened
    if (packet.byteLength > 0) {
      this.#lifeSignDueMs = Math.min(this.#lifeSignDueMs, nowMs + KEEPALIVE_MS)
    }
    const isOld = nowMs - session.madeMs >= REJECT_AFTER_MS - KEEPALIVE_MS - REKEY_TIMEOUT_MS
    if (session === this.#current && session.isInitiator && isOld) this.#beginHandshake()
    return packet
  }

  /** Does what is due by now. Call it at least each 100 ms while the peer is in use. */
  tick(): void {
    const nowMs = this.#nowMs()
    this.#retryHandshake(nowMs)
    if (nowMs >= this.#answerDueMs) {
      this.#answerDueMs = Number.POSITIVE_INFINITY
      this.#beginHandshake()
    }
    if (nowMs >= Math.min(this.#lifeSignDueMs, this.#keepAliveDueMs)) {
      this.#lifeSignDueMs = Number.POSITIVE_INFINITY
      this.#sendLifeSign()
    }
    for (const session of [this.#current, this.#previous, this.#next]) {
      // Keys that could still open what was recorded are kept no longer than the peer may need to notice.
      if (session && nowMs - session.madeMs >= 3 * REJECT_AFTER_MS) this.#forget(session)
    }
  }

  /** Forgets all keys and indices: the peer may no longer speak with this node. */
  close(): void {
    for (const session of [this.#current, this.#previous, this.#next]) this.#release(session)
    if (this.#handshake) this.#indices.release(this.#handshake.ownIndex)
    this.#current = this.#previous = this.#next = this.#handshake = undefined
    this.#staged = []
  }

  #sendLifeSign(): void {
    const session = this.#usable()
    if (session) this.#sendOver(session, NOTHING)
    else this.#beginHandshake()
    this.#postponeKeepAlive()
  }

  #usable(): Session | undefined {
    const session = this.#current
    const isUsable = session?.isAlive(this.#nowMs()) && BigInt(session.sent) < REJECT_AFTER_MESSAGES
    return isUsable ? session : undefined
  }

  #sendOver(session: Session, packet: Uint8Array): void {
    const nowMs = this.#nowMs()
    const datagram = session.seal(packet)
    this.#emit(datagram)
    this.#lifeSignDueMs = Number.POSITIVE_INFINITY
    this.#postponeKeepAlive()
    if (packet.byteLength > 0) {
      this.#answerDueMs = Math.min(this.#answerDueMs, nowMs + KEEPALIVE_MS + REKEY_TIMEOUT_MS)
    }
    // Both ends may have answered at once and so be responders: then whoever sends replaces the session, a little later.
    const afterMs = REKEY_AFTER_MS + (session.isInitiator ? 0 : RESPONDER_REKEY_DELAY_MS)
    const isOld = nowMs - session.madeMs >= afterMs
    if (isOld || BigInt(session.sent) >= REKEY_AFTER_MESSAGES) this.#beginHandshake()
  }

  #beginHandshake(): void {
    const nowMs = this.#nowMs()
    if (this.#handshake || !this.#endpoint) return
    this.#initiate(nowMs, nowMs)
  }

  #retryHandshake(nowMs: number): void {
    const pending = this.#handshake
    if (!pending || nowMs < pending.retryMs) return
    if (nowMs - pending.beganMs < REKEY_ATTEMPT_MS) {
      this.#initiate(pending.beganMs, nowMs)
      return
    }
    this.#indices.release(pending.ownIndex)
    this.#handshake = undefined
    this.#dropped += this.#staged.length
    this.#staged = []
  }

  #initiate(beganMs: number, nowMs: number): void {
    if (this.#handshake) this.#indices.release(this.#handshake.ownIndex)
    this.#handshake = undefined
    const ownIndex = this.#indices.take(this)
    const made = initiate(this.config.wire, {
      own: this.#own,
      ephemeral: this.#freshPair(),
      peerKey: this.staticKey,
      senderIndex: ownIndex,
      timestamp: tai64n(this.#ports.clock.now()),
    })
    if (!made) {
      this.#indices.release(ownIndex)
      return
    }
    const retryMs = nowMs + REKEY_TIMEOUT_MS + this.#ports.chance.below(REKEY_JITTER_MS)
    this.#handshake = { ownIndex, initiation: made.initiation, beganMs, sentMs: nowMs, retryMs }
    this.#sendStamped(made.message)
  }

  /** Sends by a session from now on, first what waited for one; the peer sees by that that this end has the keys. */
  #use(session: Session): void {
    assert(session !== this.#current, 'a session is taken into use once')
    this.#release(this.#previous)
    this.#previous = this.#current
    this.#current = session
    const staged = this.#staged
    this.#staged = []
    for (const packet of staged) this.#sendOver(session, packet)
    if (staged.length === 0 && session.isInitiator) this.#sendOver(session, NOTHING)
  }

  #session(keys: SessionKeys, ownIndex: number, peerIndex: number, isInitiator: boolean): Session {
    const { wire } = this.config
    return new Session({ wire, keys, ownIndex, peerIndex, isInitiator, madeMs: this.#nowMs() })
  }

  #heard(from: Endpoint, bytes: number): void {
    this.#endpoint = from
    this.#heardMs = this.#nowMs()
    this.#answerDueMs = Number.POSITIVE_INFINITY
    this.#receivedBytes += bytes
  }

  #forget(session: Session): void {
    this.#release(session)
    if (session === this.#current) this.#current = undefined
    if (session === this.#previous) this.#previous = undefined
    if (session === this.#next) this.#next = undefined
  }

  #release(session: Session | undefined): void {
    if (session) this.#indices.release(session.ownIndex)
  }

  #sendStamped(message: Uint8Array): void {
    this.#jar.stamp(message, this.#nowMs())
    this.#postponeKeepAlive()
    this.#emit(message)
  }

  #emit(datagram: Uint8Array): void {
    if (!this.#endpoint) return
    this.#sentBytes += datagram.byteLength
    this.#ports.send(datagram, this.#endpoint)
  }

  #postponeKeepAlive(): void {
    const { keepAliveMs } = this.config
    if (keepAliveMs !== undefined) this.#keepAliveDueMs = this.#nowMs() + keepAliveMs
  }

  #freshPair(): KeyPair {
    return keyPairFrom(this.#ports.chance.bytes(KEY_BYTES))
  }

  #nowMs(): number {
    return this.#ports.clock.monotonic()
  }
}
