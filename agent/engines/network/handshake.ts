/**
 * The handshake, Noise IKpsk2: one message each way, after which both ends have keys that nobody else has, now or later, and each has
 * proven who it is. Pure: the caller hands in fresh keys, the time and the pre-shared key.
 *
 * ```
 *  initiator ── e, es, s, ss, {timestamp} ──▶ responder
 *  initiator ◀── e, ee, se, psk, {} ───────── responder
 * ```
 *
 * @see WireGuard: Next Generation Kernel Network Tunnel, section 5.4; https://noiseprotocol.org/noise.html
 */
import type { KeyObject } from 'node:crypto'
import { type CipherName, nonceOf, open, seal } from './aead.ts'
import {
  INITIATION_BYTES,
  KEY_BYTES,
  MAC_BYTES,
  RESPONSE_BYTES,
  TAG_BYTES,
  TIMESTAMP_BYTES,
} from './constants.ts'
import { deriveKeys, hash } from './hashes.ts'
import { type KeyPair, publicKeyFrom, sharedSecret } from './x25519.ts'

/** A wire: its cipher, its Noise name, and its types of messages. Two wires never understand each other. */
export interface Wire {
  readonly cipher: CipherName
  readonly construction: string
  readonly identifier: string
  /** First byte of initiation, response, cookie reply and data. */
  readonly types: readonly [initiation: number, response: number, cookie: number, data: number]
}

/** What every WireGuard speaks. */
export const WIREGUARD: Wire = {
  cipher: 'chacha20-poly1305',
  construction: 'Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s',
  identifier: 'WireGuard v1 zx2c4 Jason@zx2c4.com',
  types: [1, 2, 3, 4],
}

/** What our nodes speak among them, where the registry says that both ends do. Never negotiated, so that nobody can downgrade. */
export const VARVE_WIRE: Wire = {
  cipher: 'aes-256-gcm',
  construction: 'Noise_IKpsk2_25519_AESGCM_BLAKE2s',
  identifier: 'Varve network v1',
  types: [0x81, 0x82, 0x83, 0x84],
}

const NO_BYTES = new Uint8Array(0)
const EPHEMERAL_AT = 8
const STATIC_AT = EPHEMERAL_AT + KEY_BYTES
const TIMESTAMP_AT = STATIC_AT + KEY_BYTES + TAG_BYTES
const INITIATION_MACS_AT = INITIATION_BYTES - 2 * MAC_BYTES
const RESPONSE_EPHEMERAL_AT = 12
const EMPTY_AT = RESPONSE_EPHEMERAL_AT + KEY_BYTES
const RESPONSE_MACS_AT = RESPONSE_BYTES - 2 * MAC_BYTES

/** The keys of a session, from the side that holds them. */
export interface SessionKeys {
  readonly sending: Uint8Array
  readonly receiving: Uint8Array
}

/** What the initiator remembers until the response comes. */
export interface Initiation {
  readonly ephemeral: KeyPair
  readonly hash: Uint8Array
  readonly chainingKey: Uint8Array
}

/** What an initiation says, believed of its sender once the timestamp is newer than the last. */
export interface ReceivedInitiation {
  /** Static key of the initiator, 32 bytes. */
  readonly staticKey: Uint8Array
  /** TAI64N, 12 bytes, which compare as bytes do. */
  readonly timestamp: Uint8Array
  readonly senderIndex: number
  readonly ephemeralKey: KeyObject
  readonly hash: Uint8Array
  readonly chainingKey: Uint8Array
}

class Transcript {
  readonly #cipher: CipherName
  hash: Uint8Array
  chainingKey: Uint8Array

  constructor(cipher: CipherName, chainingKey: Uint8Array, hash: Uint8Array) {
    this.#cipher = cipher
    this.chainingKey = chainingKey
    this.hash = hash
  }

  static of(wire: Wire, responderKey: Uint8Array): Transcript {
    const chainingKey = hash(Buffer.from(wire.construction))
    const named = hash(chainingKey, Buffer.from(wire.identifier))
    return new Transcript(wire.cipher, chainingKey, hash(named, responderKey))
  }

  mixHash(bytes: Uint8Array): void {
    this.hash = hash(this.hash, bytes)
  }

  /** Takes in a public key that is seen by all: the pre-shared key makes it part of the chaining key too. */
  mixEphemeral(publicKey: Uint8Array): void {
    this.mixHash(publicKey)
    this.mixKey(publicKey, 1)
  }

  /** @returns The last of `count` derived keys; the first is the new chaining key. */
  mixKey(secret: Uint8Array, count: number): Uint8Array {
    const keys = deriveKeys(this.chainingKey, secret, count)
    this.chainingKey = keys[0] ?? NO_BYTES
    if (count === 3) this.mixHash(keys[1] ?? NO_BYTES)
    return keys.at(-1) ?? NO_BYTES
  }

  seal(key: Uint8Array, plaintext: Uint8Array): Uint8Array {
    const sealed = seal(this.#cipher, key, nonceOf(this.#cipher, 0n), plaintext, this.hash)
    this.mixHash(sealed)
    return sealed
  }

  open(key: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    const plaintext = open(this.#cipher, key, nonceOf(this.#cipher, 0n), sealed, this.hash)
    if (plaintext) this.mixHash(sealed)
    return plaintext
  }
}

/**
 * Begins a handshake.
 *
 * @param made.own - Static pair of the initiator.
 * @param made.ephemeral - Fresh pair, used once.
 * @param made.peerKey - Static key of the responder, 32 bytes.
 * @param made.senderIndex - What the responder shall call this session, 32 bits.
 * @param made.timestamp - 12 bytes, greater than any that this static key sent before.
 * @returns The message, 148 bytes, its two codes still zero; and what to remember. Undefined if the responder's key leads to no secret.
 */
export function initiate(
  wire: Wire,
  made: {
    readonly own: KeyPair
    readonly ephemeral: KeyPair
    readonly peerKey: Uint8Array
    readonly senderIndex: number
    readonly timestamp: Uint8Array
  },
): { readonly message: Uint8Array; readonly initiation: Initiation } | undefined {
  const { own, ephemeral, peerKey, senderIndex, timestamp } = made
  const peer = publicKeyFrom(peerKey)
  const ephemeralStatic = sharedSecret(ephemeral.privateKey, peer)
  const staticStatic = sharedSecret(own.privateKey, peer)
  if (!ephemeralStatic || !staticStatic) return undefined
  const message = new Uint8Array(INITIATION_BYTES)
  const view = new DataView(message.buffer)
  view.setUint32(0, wire.types[0], true)
  view.setUint32(4, senderIndex, true)
  const transcript = Transcript.of(wire, peerKey)
  message.set(ephemeral.publicKey, EPHEMERAL_AT)
  transcript.mixEphemeral(ephemeral.publicKey)
  message.set(transcript.seal(transcript.mixKey(ephemeralStatic, 2), own.publicKey), STATIC_AT)
  message.set(transcript.seal(transcript.mixKey(staticStatic, 2), timestamp), TIMESTAMP_AT)
  const { hash: digest, chainingKey } = transcript
  return { message, initiation: { ephemeral, hash: digest, chainingKey } }
}

/**
 * Reads an initiation.
 *
 * @param message - 148 bytes from anybody; its first code was found right.
 * @returns What it says; undefined if its sender does not have the key that it claims, or did not mean this node.
 */
export function receiveInitiation(
  wire: Wire,
  own: KeyPair,
  message: Uint8Array,
): ReceivedInitiation | undefined {
  const transcript = Transcript.of(wire, own.publicKey)
  const ephemeral = message.subarray(EPHEMERAL_AT, STATIC_AT)
  const ephemeralKey = publicKeyFrom(ephemeral)
  transcript.mixEphemeral(ephemeral)
  const ephemeralStatic = sharedSecret(own.privateKey, ephemeralKey)
  if (!ephemeralStatic) return undefined
  const sealedStatic = message.subarray(STATIC_AT, TIMESTAMP_AT)
  const staticKey = transcript.open(transcript.mixKey(ephemeralStatic, 2), sealedStatic)
  if (!staticKey) return undefined
  const staticStatic = sharedSecret(own.privateKey, publicKeyFrom(staticKey))
  if (!staticStatic) return undefined
  const sealedTimestamp = message.subarray(TIMESTAMP_AT, INITIATION_MACS_AT)
  const timestamp = transcript.open(transcript.mixKey(staticStatic, 2), sealedTimestamp)
  if (timestamp?.byteLength !== TIMESTAMP_BYTES) return undefined
  const senderIndex = viewOf(message).getUint32(4, true)
  const { hash: digest, chainingKey } = transcript
  return { staticKey, timestamp, senderIndex, ephemeralKey, hash: digest, chainingKey }
}

/**
 * Answers an initiation.
 *
 * @param received - Of a peer that is known, with a timestamp that is newer than its last.
 * @param made.ephemeral - Fresh pair, used once.
 * @param made.presharedKey - 32 bytes; zeroes if there is none.
 * @returns The message, 92 bytes, its two codes still zero; and the keys. Undefined if the peer's keys lead to no secret.
 */
export function respond(
  wire: Wire,
  received: ReceivedInitiation,
  made: {
    readonly ephemeral: KeyPair
    readonly senderIndex: number
    readonly presharedKey: Uint8Array
  },
): { readonly message: Uint8Array; readonly keys: SessionKeys } | undefined {
  const { ephemeral, senderIndex, presharedKey } = made
  const bothEphemeral = sharedSecret(ephemeral.privateKey, received.ephemeralKey)
  const withStatic = sharedSecret(ephemeral.privateKey, publicKeyFrom(received.staticKey))
  if (!bothEphemeral || !withStatic) return undefined
  const message = new Uint8Array(RESPONSE_BYTES)
  const view = new DataView(message.buffer)
  view.setUint32(0, wire.types[1], true)
  view.setUint32(4, senderIndex, true)
  view.setUint32(8, received.senderIndex, true)
  message.set(ephemeral.publicKey, RESPONSE_EPHEMERAL_AT)
  const transcript = new Transcript(wire.cipher, received.chainingKey, received.hash)
  transcript.mixEphemeral(ephemeral.publicKey)
  transcript.mixKey(bothEphemeral, 1)
  transcript.mixKey(withStatic, 1)
  message.set(transcript.seal(transcript.mixKey(presharedKey, 3), NO_BYTES), EMPTY_AT)
  const [receiving = NO_BYTES, sending = NO_BYTES] = deriveKeys(transcript.chainingKey, NO_BYTES, 2)
  return { message, keys: { sending, receiving } }
}

/**
 * Reads the response to an initiation.
 *
 * @param message - 92 bytes from anybody; its first code was found right.
 * @param known.initiation - What {@link initiate} gave to remember.
 * @param known.presharedKey - 32 bytes; zeroes if there is none.
 * @returns The keys; undefined if it is not the answer of the peer that the initiation was for.
 */
export function receiveResponse(
  wire: Wire,
  message: Uint8Array,
  known: {
    readonly own: KeyPair
    readonly initiation: Initiation
    readonly presharedKey: Uint8Array
  },
): SessionKeys | undefined {
  const { own, initiation, presharedKey } = known
  const transcript = new Transcript(wire.cipher, initiation.chainingKey, initiation.hash)
  const ephemeral = message.subarray(RESPONSE_EPHEMERAL_AT, EMPTY_AT)
  const ephemeralKey = publicKeyFrom(ephemeral)
  const bothEphemeral = sharedSecret(initiation.ephemeral.privateKey, ephemeralKey)
  const withStatic = sharedSecret(own.privateKey, ephemeralKey)
  if (!bothEphemeral || !withStatic) return undefined
  transcript.mixEphemeral(ephemeral)
  transcript.mixKey(bothEphemeral, 1)
  transcript.mixKey(withStatic, 1)
  const sealed = message.subarray(EMPTY_AT, RESPONSE_MACS_AT)
  if (!transcript.open(transcript.mixKey(presharedKey, 3), sealed)) return undefined
  const [sending = NO_BYTES, receiving = NO_BYTES] = deriveKeys(transcript.chainingKey, NO_BYTES, 2)
  return { sending, receiving }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
