/**
 * The one hash of all Merkle trees here: SHA-256 of 64-byte blocks, which is what the vectorised native code and the
 * contracts' precompile both do best. Nodes are 32 bytes; a number beside a node is written little-endian, as SSZ does.
 */
import { createRequire } from 'node:module'

const native = createRequire(import.meta.url)('@chainsafe/hashtree') as {
  hashInto(input: Uint8Array, output: Uint8Array): void
}

/** Bytes of every node. */
export const NODE_BYTES = 32

/**
 * Hashes each block of 64 bytes into memory that is there; native and vectorised.
 *
 * @param blocks - `[64 n]` bytes.
 * @param into - `[32 n]` bytes, none of them of `blocks`.
 * @example
 * hashInto(level, above)
 */
export function hashInto(blocks: Uint8Array, into: Uint8Array): void {
  native.hashInto(blocks, into)
}

/**
 * Hashes each block of 64 bytes.
 *
 * @param blocks - `[64 n]` bytes.
 * @returns `[32 n]` bytes.
 * @example
 * hashBlocks(new Uint8Array(128)) // two hashes
 */
export function hashBlocks(blocks: Uint8Array): Uint8Array {
  const out = new Uint8Array(blocks.byteLength / 2)
  hashInto(blocks, out)
  return out
}

/**
 * Hashes two nodes into their parent.
 *
 * @param left - 32 bytes.
 * @param right - 32 bytes.
 * @returns 32 bytes.
 * @example
 * hashPair(left, right)
 */
export function hashPair(left: Uint8Array, right: Uint8Array): Uint8Array {
  const block = new Uint8Array(2 * NODE_BYTES)
  block.set(left)
  block.set(right, NODE_BYTES)
  return hashBlocks(block)
}

/**
 * Mixes a length or count into a root: SHA-256 of the root and the number as 32 little-endian bytes.
 *
 * @param root - 32 bytes.
 * @param length - `>= 0`, a safe integer.
 * @returns 32 bytes.
 * @example
 * mixInLength(root, 7)
 */
export function mixInLength(root: Uint8Array, length: number): Uint8Array {
  const block = new Uint8Array(2 * NODE_BYTES)
  block.set(root)
  const view = new DataView(block.buffer)
  view.setUint32(NODE_BYTES, length >>> 0, true)
  view.setUint32(NODE_BYTES + 4, Math.floor(length / 2 ** 32), true)
  return hashBlocks(block)
}
