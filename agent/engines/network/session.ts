/**
 * A session: the keys that one handshake gave, used for a while in both directions, each message sealed under the next number.
 *
 * @see WireGuard: Next Generation Kernel Network Tunnel, section 5.4.6
 */
import { nonceOf, open, seal } from './aead.ts'
import { DATA_HEADER_BYTES, PADDING_BYTES, REJECT_AFTER_MS, TAG_BYTES } from './constants.ts'
import type { SessionKeys, Wire } from './handshake.ts'
import { ReplayWindow } from './replay-window.ts'

const NO_BYTES = new Uint8Array(0)

/** What a session is made of. */
export interface SessionInit {
  readonly wire: Wire
  readonly keys: SessionKeys
  /** What the peer calls the session when it sends to this node. */
  readonly ownIndex: number
  /** What this node calls it when it sends to the peer. */
  readonly peerIndex: number
  readonly isInitiator: boolean
  /** When the handshake was done, milliseconds of the monotonic clock. */
  readonly madeMs: number
}

/** A message of a session that was opened. */
export interface OpenedMessage {
  /** A packet and its padding; empty for a sign of life. */
  readonly packet: Uint8Array
}

/** One session, from this end. */
export class Session {
  readonly ownIndex: number
  readonly isInitiator: boolean
  readonly madeMs: number
  readonly #wire: Wire
  readonly #keys: SessionKeys
  readonly #peerIndex: number
  readonly #window = new ReplayWindow()
  #sent = 0

  constructor(init: SessionInit) {
    this.ownIndex = init.ownIndex
    this.isInitiator = init.isInitiator
    this.madeMs = init.madeMs
    this.#wire = init.wire
    this.#keys = init.keys
    this.#peerIndex = init.peerIndex
  }

  /** Messages sealed so far. */
  get sent(): number {
    return this.#sent
  }

  /** Whether it may still be used. */
  isAlive(nowMs: number): boolean {
    return nowMs - this.madeMs < REJECT_AFTER_MS
  }

  /**
   * Seals a packet.
   *
   * @param packet - An IP packet; empty for a sign of life.
   * @returns The datagram.
   */
  seal(packet: Uint8Array): Uint8Array {
    const { cipher, types } = this.#wire
    const padded = new Uint8Array(Math.ceil(packet.byteLength / PADDING_BYTES) * PADDING_BYTES)
    padded.set(packet)
    const counter = BigInt(this.#sent++)
    const sealed = seal(cipher, this.#keys.sending, nonceOf(cipher, counter), padded, NO_BYTES)
    const datagram = new Uint8Array(DATA_HEADER_BYTES + sealed.byteLength)
    const view = new DataView(datagram.buffer)
    view.setUint32(0, types[3], true)
    view.setUint32(4, this.#peerIndex, true)
    view.setBigUint64(8, counter, true)
    datagram.set(sealed, DATA_HEADER_BYTES)
    return datagram
  }

  /**
   * Opens a datagram that names this session.
   *
   * @param datagram - From anybody.
   * @returns What was in it; undefined if it is not the peer's, came before, or is too old.
   */
  open(datagram: Uint8Array): OpenedMessage | undefined {
    if (datagram.byteLength < DATA_HEADER_BYTES + TAG_BYTES) return undefined
    const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength)
    const counter = view.getBigUint64(8, true)
    const number = Number(counter)
    if (!Number.isSafeInteger(number) || !this.#window.mayTake(number)) return undefined
    const { cipher } = this.#wire
    const sealed = datagram.subarray(DATA_HEADER_BYTES)
    const packet = open(cipher, this.#keys.receiving, nonceOf(cipher, counter), sealed, NO_BYTES)
    if (!packet || !this.#window.take(number)) return undefined
    return { packet }
  }
}
