/**
 * The two ciphers of the network, one message at a time, through node:crypto: for handshakes, and where the fast way of the adapters
 * is not to be had. Nonces are counters: 4 zero bytes and 8 bytes, little-endian with ChaCha20-Poly1305 as in WireGuard, big-endian
 * with AES-256-GCM as in Noise.
 *
 * @see https://noiseprotocol.org/noise.html section 12
 */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { TAG_BYTES } from './constants.ts'

/** Cipher of a network's wire: ChaCha20-Poly1305 is what every WireGuard speaks, AES-256-GCM what our nodes speak among them. */
export type CipherName = 'chacha20-poly1305' | 'aes-256-gcm'

/**
 * Nonce of a message.
 *
 * @param cipher - Whose byte order.
 * @param counter - `0..2^64-1`, never twice under one key.
 * @returns 12 bytes.
 */
export function nonceOf(cipher: CipherName, counter: bigint): Uint8Array {
  const nonce = new Uint8Array(12)
  new DataView(nonce.buffer).setBigUint64(4, counter, cipher === 'chacha20-poly1305')
  return nonce
}

/**
 * Seals a message.
 *
 * @param key - 32 bytes.
 * @returns Ciphertext and tag: 16 bytes longer than the plaintext.
 */
export function seal(
  cipher: CipherName,
  key: Uint8Array,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  associated: Uint8Array,
): Uint8Array {
  const sealer = createCipheriv(cipher as 'aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
  sealer.setAAD(associated, { plaintextLength: plaintext.byteLength })
  const body = sealer.update(plaintext)
  sealer.final()
  return Buffer.concat([body, sealer.getAuthTag()])
}

/**
 * Opens a message.
 *
 * @param sealed - Ciphertext and tag, from anybody.
 * @returns The plaintext; undefined if it is not what the key's holder sealed.
 */
export function open(
  cipher: CipherName,
  key: Uint8Array,
  nonce: Uint8Array,
  sealed: Uint8Array,
  associated: Uint8Array,
): Uint8Array | undefined {
  const length = sealed.byteLength - TAG_BYTES
  if (length < 0) return undefined
  const opener = createDecipheriv(cipher as 'aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
  opener.setAuthTag(sealed.subarray(length))
  opener.setAAD(associated, { plaintextLength: length })
  const plaintext = opener.update(sealed.subarray(0, length))
  try {
    opener.final()
    return plaintext
  } catch {
    return undefined
  }
}
