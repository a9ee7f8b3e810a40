/**
 * The hashes of WireGuard and the keys derived with them.
 *
 * @see WireGuard: Next Generation Kernel Network Tunnel, section 5.4
 */
import { createHash, createHmac } from 'node:crypto'
import { blake2sKeyed } from './blake2s.ts'
import { MAC_BYTES } from './constants.ts'

/**
 * Hashes the concatenation of some bytes.
 *
 * @returns 32 bytes.
 */
export function hash(...parts: readonly Uint8Array[]): Uint8Array {
  const hasher = createHash('blake2s256')
  for (const part of parts) hasher.update(part)
  return hasher.digest()
}

/**
 * Authenticates a message in the short form.
 *
 * @param key - 1 to 32 bytes.
 * @returns 16 bytes.
 */
export function shortMac(key: Uint8Array, message: Uint8Array): Uint8Array {
  return blake2sKeyed(key, message, MAC_BYTES)
}

/**
 * Derives keys from a chaining key and new secret bytes: HKDF with HMAC of BLAKE2s and no info.
 *
 * @param chainingKey - 32 bytes.
 * @param input - Any length, also none.
 * @param count - How many keys, 1 to 3.
 * @returns `[count]` keys of 32 bytes.
 */
export function deriveKeys(
  chainingKey: Uint8Array,
  input: Uint8Array,
  count: number,
): Uint8Array[] {
  const secret = hmac(chainingKey, input)
  const keys: Uint8Array[] = []
  let last = new Uint8Array(0)
  for (let number = 1; number <= count; number++) {
    last = new Uint8Array(hmac(secret, last, Uint8Array.of(number)))
    keys.push(last)
  }
  return keys
}

function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const mac = createHmac('blake2s256', key)
  for (const part of parts) mac.update(part)
  return mac.digest()
}
