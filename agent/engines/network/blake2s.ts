/**
 * BLAKE2s with a key and a short result, which node:crypto has not: what WireGuard proves with, at each handshake, that its sender
 * knows whom it speaks to. Without a key and with 32 bytes OpenSSL's is used instead (`hashes.ts`).
 *
 * @see RFC 7693
 */
import { assert } from '../../base/assert.ts'

const BLOCK_BYTES = 64
const KEY_BYTES_MAX = 32
const ROUNDS = 10

const IV = Uint32Array.of(
  ...[0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a],
  ...[0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19],
)

// biome-ignore format: RFC 7693, section 2.7, a row a round
const SIGMA = Uint8Array.of(
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
  14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3,
  11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4,
  7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8,
  9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13,
  2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9,
  12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11,
  13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10,
  6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5,
  10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0,
)

/** Which words of the state a quarter of a round mixes: columns, then diagonals. */
// biome-ignore format: a row a quarter
const QUARTERS = Uint8Array.of(
  0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15,
  0, 5, 10, 15, 1, 6, 11, 12, 2, 7, 8, 13, 3, 4, 9, 14,
)

// Made once: a message is hashed from start to end before the next, in one thread.
const state = new Uint32Array(8)
const work = new Uint32Array(16)
const words = new Uint32Array(16)
const block = new Uint8Array(BLOCK_BYTES)
const blockView = new DataView(block.buffer)

/**
 * Authenticates a message.
 *
 * @param key - 1 to 32 bytes.
 * @param message - Any length below 4 GiB.
 * @param bytes - Length of the result, 1 to 32.
 * @returns The code.
 * @example
 * blake2sKeyed(cookie, message.subarray(0, 132), 16)
 */
export function blake2sKeyed(key: Uint8Array, message: Uint8Array, bytes: number): Uint8Array {
  assert(
    key.byteLength >= 1 && key.byteLength <= KEY_BYTES_MAX,
    'a key of BLAKE2s has 1 to 32 bytes',
  )
  assert(bytes >= 1 && bytes <= 32, 'BLAKE2s gives 1 to 32 bytes')
  state.set(IV)
  state[0] = (state[0] ?? 0) ^ (0x01010000 | (key.byteLength << 8) | bytes)
  block.fill(0)
  block.set(key)
  const isAll = message.byteLength === 0
  compress(BLOCK_BYTES, isAll)
  for (let at = 0; at < message.byteLength; at += BLOCK_BYTES) {
    const part = message.subarray(at, at + BLOCK_BYTES)
    block.fill(0)
    block.set(part)
    const isLast = at + BLOCK_BYTES >= message.byteLength
    compress(BLOCK_BYTES + at + part.byteLength, isLast)
  }
  block.fill(0)
  const result = new DataView(new ArrayBuffer(32))
  for (let at = 0; at < 8; at++) result.setUint32(4 * at, state[at] ?? 0, true)
  return new Uint8Array(result.buffer, 0, bytes)
}

function compress(count: number, isLast: boolean): void {
  for (let at = 0; at < 16; at++) words[at] = blockView.getUint32(4 * at, true)
  work.set(state)
  work.set(IV, 8)
  work[12] = (work[12] ?? 0) ^ count
  if (isLast) work[14] = ~(work[14] ?? 0)
  for (let round = 0; round < ROUNDS; round++) {
    for (let quarter = 0; quarter < 8; quarter++) mix(16 * round + 2 * quarter, 4 * quarter)
  }
  for (let at = 0; at < 8; at++) {
    state[at] = (state[at] ?? 0) ^ (work[at] ?? 0) ^ (work[at + 8] ?? 0)
  }
}

function mix(pair: number, quarter: number): void {
  const ai = QUARTERS[quarter] as number
  const bi = QUARTERS[quarter + 1] as number
  const ci = QUARTERS[quarter + 2] as number
  const di = QUARTERS[quarter + 3] as number
  let a = work[ai] as number
  let b = work[bi] as number
  let c = work[ci] as number
  let d = work[di] as number
  a = (a + b + (words[SIGMA[pair] as number] as number)) | 0
  d = rotate(d ^ a, 16)
  c = (c + d) | 0
  b = rotate(b ^ c, 12)
  a = (a + b + (words[SIGMA[pair + 1] as number] as number)) | 0
  d = rotate(d ^ a, 8)
  c = (c + d) | 0
  b = rotate(b ^ c, 7)
  work[ai] = a
  work[bi] = b
  work[ci] = c
  work[di] = d
}

const rotate = (word: number, bits: number): number => (word >>> bits) | (word << (32 - bits))
