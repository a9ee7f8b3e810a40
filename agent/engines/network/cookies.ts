/**
 * The two codes at the end of a handshake message, and cookies: how a node under a flood of handshakes makes who sends them prove that
 * they receive where they say they are, before it spends a curve operation on them.
 *
 * The first code proves that the sender knows whom it speaks to; the second, a cookie that was sent to its address.
 *
 * @see WireGuard: Next Generation Kernel Network Tunnel, sections 5.3 and 5.4.7
 */
import { timingSafeEqual } from 'node:crypto'
import type { Chance } from '../../base/ports.ts'
import {
  COOKIE_MS,
  COOKIE_NONCE_BYTES,
  COOKIE_REPLY_BYTES,
  COOKIE_SECRET_MS,
  KEY_BYTES,
  MAC_BYTES,
} from './constants.ts'
import { hash, shortMac } from './hashes.ts'
import { openExtended, sealExtended } from './xchacha20.ts'

const LABEL_CODE = Buffer.from('mac1----')
const LABEL_COOKIE = Buffer.from('cookie--')
const NONCE_AT = 8
const SEALED_AT = NONCE_AT + COOKIE_NONCE_BYTES

/** How a message proved itself: not at all, that it knows this node, or that and where it comes from. */
export type Proof = 'none' | 'known' | 'located'

/** What a node under load checks and answers with. */
export class CookieMaker {
  readonly #codeKey: Uint8Array
  readonly #sealingKey: Uint8Array
  readonly #chance: Chance
  #secret: Uint8Array
  #former: Uint8Array
  #madeMs: number

  /** @param publicKey - Static key of this node. */
  constructor(publicKey: Uint8Array, chance: Chance, nowMs: number) {
    this.#codeKey = hash(LABEL_CODE, publicKey)
    this.#sealingKey = hash(LABEL_COOKIE, publicKey)
    this.#chance = chance
    this.#secret = chance.bytes(KEY_BYTES)
    this.#former = this.#secret
    this.#madeMs = nowMs
  }

  /**
   * Judges the codes of a handshake message.
   *
   * @param message - Whole, of the size of its type.
   * @param source - Where it came from: address and port, as bytes.
   * @param isUnderLoad - Whether to look at the second code at all.
   */
  judge(message: Uint8Array, source: Uint8Array, isUnderLoad: boolean, nowMs: number): Proof {
    const codesAt = message.byteLength - 2 * MAC_BYTES
    const first = message.subarray(codesAt, codesAt + MAC_BYTES)
    const expected = shortMac(this.#codeKey, message.subarray(0, codesAt))
    if (!timingSafeEqual(expected, first)) return 'none'
    if (!isUnderLoad) return 'known'
    const second = message.subarray(codesAt + MAC_BYTES)
    const proven = message.subarray(0, codesAt + MAC_BYTES)
    this.#refresh(nowMs)
    const isLocated = [this.#secret, this.#former].some((secret) =>
      timingSafeEqual(shortMac(shortMac(secret, source), proven), second),
    )
    return isLocated ? 'located' : 'known'
  }

  /**
   * Answers a message whose sender has to say where it is.
   *
   * @param type - First byte of a cookie reply.
   * @returns The reply, 64 bytes: smaller than what asked for it.
   */
  reply(type: number, message: Uint8Array, source: Uint8Array, nowMs: number): Uint8Array {
    this.#refresh(nowMs)
    const codesAt = message.byteLength - 2 * MAC_BYTES
    const reply = new Uint8Array(COOKIE_REPLY_BYTES)
    reply[0] = type
    // Whom it is for: the index that the sender gave itself.
    reply.set(message.subarray(4, 8), 4)
    const nonce = this.#chance.bytes(COOKIE_NONCE_BYTES)
    reply.set(nonce, NONCE_AT)
    const cookie = shortMac(this.#secret, source)
    const first = message.subarray(codesAt, codesAt + MAC_BYTES)
    reply.set(sealExtended(this.#sealingKey, nonce, cookie, first), SEALED_AT)
    return reply
  }

  #refresh(nowMs: number): void {
    if (nowMs - this.#madeMs < COOKIE_SECRET_MS) return
    const isRecent = nowMs - this.#madeMs < 2 * COOKIE_SECRET_MS
    this.#former = isRecent ? this.#secret : this.#chance.bytes(KEY_BYTES)
    this.#secret = this.#chance.bytes(KEY_BYTES)
    this.#madeMs = nowMs
  }
}

/** What an end puts at the end of the handshake messages it sends to one peer. */
export class CookieJar {
  readonly #codeKey: Uint8Array
  readonly #sealingKey: Uint8Array
  #lastCode: Uint8Array | undefined
  #cookie: Uint8Array | undefined
  #cookieMs = 0

  /** @param peerKey - Static key of the peer. */
  constructor(peerKey: Uint8Array) {
    this.#codeKey = hash(LABEL_CODE, peerKey)
    this.#sealingKey = hash(LABEL_COOKIE, peerKey)
  }

  /** Writes both codes into a message whose last 32 bytes are theirs. */
  stamp(message: Uint8Array, nowMs: number): void {
    const codesAt = message.byteLength - 2 * MAC_BYTES
    const first = shortMac(this.#codeKey, message.subarray(0, codesAt))
    message.set(first, codesAt)
    this.#lastCode = first
    if (!this.#cookie || nowMs - this.#cookieMs >= COOKIE_MS) return
    message.set(
      shortMac(this.#cookie, message.subarray(0, codesAt + MAC_BYTES)),
      codesAt + MAC_BYTES,
    )
  }

  /**
   * Takes the cookie of a reply to the last message.
   *
   * @param reply - 64 bytes from anybody.
   * @returns False if it is none.
   */
  take(reply: Uint8Array, nowMs: number): boolean {
    if (!this.#lastCode) return false
    const nonce = reply.subarray(NONCE_AT, SEALED_AT)
    const cookie = openExtended(this.#sealingKey, nonce, reply.subarray(SEALED_AT), this.#lastCode)
    if (!cookie) return false
    this.#cookie = new Uint8Array(cookie)
    this.#cookieMs = nowMs
    // One message is answered once: a recorded reply is worth nothing.
    this.#lastCode = undefined
    return true
  }
}
