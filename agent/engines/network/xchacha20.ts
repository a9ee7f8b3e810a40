/**
 * XChaCha20-Poly1305, whose nonce of 24 bytes may be drawn at random: HChaCha20 makes a key of the first 16 bytes, and the cipher of
 * node:crypto does the rest. Only cookie replies use it.
 *
 * @see https://datatracker.ietf.org/doc/html/draft-irtf-cfrg-xchacha-03
 */
import { assert } from '../../base/assert.ts'
import { open, seal } from './aead.ts'
import { COOKIE_NONCE_BYTES, KEY_BYTES } from './constants.ts'

const CONSTANTS = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574]
const DOUBLE_ROUNDS = 10
const SUBKEY_NONCE_BYTES = 16

/** Words of the state that a quarter round mixes: columns, then diagonals. */
const QUARTERS: readonly (readonly [number, number, number, number])[] = [
  ...([0, 1, 2, 3] as const).map((at) => [at, at + 4, at + 8, at + 12] as const),
  ...([0, 1, 2, 3] as const).map(
    (at) => [at, 4 + ((at + 1) % 4), 8 + ((at + 2) % 4), 12 + ((at + 3) % 4)] as const,
  ),
]

/**
 * Seals a message.
 *
 * @param key - 32 bytes.
 * @param nonce - 24 bytes, random.
 * @returns Ciphertext and tag.
 */
export function sealExtended(
  key: Uint8Array,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  associated: Uint8Array,
): Uint8Array {
  return seal('chacha20-poly1305', ...subkey(key, nonce), plaintext, associated)
}

/**
 * Opens a message.
 *
 * @returns The plaintext; undefined if it is not what the key's holder sealed.
 */
export function openExtended(
  key: Uint8Array,
  nonce: Uint8Array,
  sealed: Uint8Array,
  associated: Uint8Array,
): Uint8Array | undefined {
  return open('chacha20-poly1305', ...subkey(key, nonce), sealed, associated)
}

function subkey(key: Uint8Array, nonce: Uint8Array): [key: Uint8Array, nonce: Uint8Array] {
  assert(nonce.byteLength === COOKIE_NONCE_BYTES, 'an extended nonce has 24 bytes')
  const rest = new Uint8Array(12)
  rest.set(nonce.subarray(SUBKEY_NONCE_BYTES), 4)
  return [hchacha20(key, nonce.subarray(0, SUBKEY_NONCE_BYTES)), rest]
}

/**
 * Makes a key out of a key and 16 bytes.
 *
 * @param key - 32 bytes.
 * @param nonce - 16 bytes.
 * @returns 32 bytes.
 */
export function hchacha20(key: Uint8Array, nonce: Uint8Array): Uint8Array {
  assert(key.byteLength === KEY_BYTES, 'a key of ChaCha20 has 32 bytes')
  const words = [...CONSTANTS, ...wordsOf(key), ...wordsOf(nonce)]
  for (let round = 0; round < DOUBLE_ROUNDS; round++) {
    for (const quarter of QUARTERS) mix(words, quarter)
  }
  const result = new DataView(new ArrayBuffer(KEY_BYTES))
  for (const [at, word] of [...words.slice(0, 4), ...words.slice(12)].entries()) {
    result.setUint32(4 * at, word >>> 0, true)
  }
  return new Uint8Array(result.buffer)
}

function wordsOf(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: bytes.byteLength / 4 }, (_, at) => view.getUint32(4 * at, true))
}

function mix(words: number[], [a, b, c, d]: readonly [number, number, number, number]): void {
  const step = (to: number, from: number, turned: number, bits: number) => {
    words[to] = ((words[to] ?? 0) + (words[from] ?? 0)) | 0
    const crossed = (words[turned] ?? 0) ^ (words[to] ?? 0)
    words[turned] = (crossed << bits) | (crossed >>> (32 - bits))
  }
  step(a, b, d, 16)
  step(c, d, b, 12)
  step(a, b, d, 8)
  step(c, d, b, 7)
}
