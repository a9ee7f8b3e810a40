/**
 * The root of a byte string: SHA-256 in the manner of SSZ, so that a contract can check any 32 bytes of it.
 *
 * The string is cut into 32-byte leaves (zero-filled), made a full binary tree of the least depth, and its length is mixed
 * in; the length fixes the depth, so no two strings share a tree.
 */
import { foldTree } from './fold-tree.ts'
import { mixInLength, NODE_BYTES } from './hash-blocks.ts'

/**
 * The root of a byte string, its length mixed in.
 *
 * @param bytes - `[n]`.
 * @returns 32 bytes.
 * @example
 * bytesRoot(new Uint8Array(0))
 */
export function bytesRoot(bytes: Uint8Array): Uint8Array {
  return mixInLength(foldTree(leavesOf(bytes), leafCount(bytes.byteLength)), bytes.byteLength)
}

/**
 * Leaves of a byte string: one for each 32 bytes begun, at least one.
 *
 * @param lengthBytes - `>= 0`.
 * @returns `>= 1`.
 * @example
 * leafCount(33) // 2
 */
export function leafCount(lengthBytes: number): number {
  return Math.max(1, Math.ceil(lengthBytes / NODE_BYTES))
}

/**
 * A byte string as leaves. Copies only what must be filled up.
 *
 * @param bytes - `[n]`.
 * @returns Whole leaves: `bytes` itself where it is that already.
 * @example
 * leavesOf(Uint8Array.of(1)).byteLength // 32
 */
export function leavesOf(bytes: Uint8Array): Uint8Array {
  const room = leafCount(bytes.byteLength) * NODE_BYTES
  if (bytes.byteLength === room) return bytes
  const leaves = new Uint8Array(room)
  leaves.set(bytes)
  return leaves
}
