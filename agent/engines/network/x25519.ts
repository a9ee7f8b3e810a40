/** X25519 keys in the form that WireGuard's configurations and messages have them: 32 bytes. */
import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from 'node:crypto'
import { concatBytes } from '../../base/bytes.ts'
import { NodeError } from '../../base/errors.ts'
import { KEY_BYTES } from './constants.ts'

/** What RFC 8410 puts before the 32 bytes of a private and of a public key. */
const PRIVATE_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex')
const PUBLIC_PREFIX = Buffer.from('302a300506032b656e032100', 'hex')

/** A key pair. */
export interface KeyPair {
  readonly privateKey: KeyObject
  /** 32 bytes. */
  readonly publicKey: Uint8Array
}

/**
 * Makes the pair of a private key.
 *
 * @param bytes - 32 bytes; secret. Every value is a key, its fixed bits are set when it is used.
 * @returns The pair.
 * @throws NodeError `NETWORK_KEY_INVALID` if it has another length.
 */
export function keyPairFrom(bytes: Uint8Array): KeyPair {
  requireLength(bytes)
  const der = Buffer.from(concatBytes([PRIVATE_PREFIX, bytes]))
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
  return { privateKey, publicKey: new Uint8Array(spki.subarray(PUBLIC_PREFIX.byteLength)) }
}

/**
 * Reads a peer's public key.
 *
 * @param bytes - 32 bytes, as a stranger may have sent them.
 * @throws NodeError `NETWORK_KEY_INVALID` if it has another length.
 */
export function publicKeyFrom(bytes: Uint8Array): KeyObject {
  requireLength(bytes)
  const der = Buffer.from(concatBytes([PUBLIC_PREFIX, bytes]))
  return createPublicKey({ key: der, format: 'der', type: 'spki' })
}

/**
 * The secret that two keys share.
 *
 * @returns 32 bytes; secret. Undefined if the public key leads to no secret (a point of small order, RFC 7748, section 6.1).
 */
export function sharedSecret(privateKey: KeyObject, publicKey: KeyObject): Uint8Array | undefined {
  try {
    return diffieHellman({ privateKey, publicKey })
  } catch {
    return undefined
  }
}

function requireLength(bytes: Uint8Array): void {
  if (bytes.byteLength === KEY_BYTES) return
  throw new NodeError('NETWORK_KEY_INVALID', `an X25519 key has ${KEY_BYTES} bytes`)
}
