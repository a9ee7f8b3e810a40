/** Cutting again, with big integers and no window, to hold the kernel against. */
import {
  CHUNK_BYTES_MAX,
  CHUNK_BYTES_MIN,
  CHUNK_BYTES_NORMAL,
  LOOSE_LIMIT,
  STRICT_LIMIT,
} from '../../../agent/engines/chunks/cutter.ts'

/** Lengths of the chunks of `bytes`. */
export function cutReference(table: BigUint64Array, bytes: Uint8Array): number[] {
  const lengths: number[] = []
  for (let start = 0; start < bytes.length; ) {
    const length = firstChunk(table, bytes.subarray(start, start + CHUNK_BYTES_MAX))
    lengths.push(length)
    start += length
  }
  return lengths
}

// The hash of everything since the start: what left the 64-byte window was shifted out of the word.
function firstChunk(table: BigUint64Array, bytes: Uint8Array): number {
  let hash = 0n
  for (let length = 1; length <= bytes.length; length++) {
    hash = BigInt.asUintN(64, (hash << 1n) + table[bytes[length - 1]!]!)
    if (length <= CHUNK_BYTES_MIN) continue
    if (hash < (length <= CHUNK_BYTES_NORMAL ? STRICT_LIMIT : LOOSE_LIMIT)) return length
  }
  return bytes.length
}
