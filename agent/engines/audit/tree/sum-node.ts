/** Nodes of sum trees: a hash that commits to how many units lie below it. */
import { hashBlocks, hashPair, mixInLength, NODE_BYTES } from '../../../base/hash-blocks.ts'

/** A leaf or an inner node. */
export interface SumNode {
  /** 32 bytes. */
  readonly hash: Uint8Array
  /** Units below, `>= 0`. */
  readonly sum: number
}

/**
 * The leaf of a shard in its slot, or of a slot in an accumulator.
 *
 * @param root - 32 bytes.
 * @param units - `>= 1`.
 * @returns The node.
 * @example
 * sumLeaf(bytesRoot(shard), leafCount(shard.byteLength))
 */
export function sumLeaf(root: Uint8Array, units: number): SumNode {
  return { hash: mixInLength(root, units), sum: units }
}

/**
 * The parent of two nodes: SHA-256 of the hash of both and of both sums, 8 little-endian bytes each and 16 zeros.
 *
 * @param left - Left child.
 * @param right - Right child.
 * @returns The node.
 * @example
 * joinNodes(left, right)
 */
export function joinNodes(left: SumNode, right: SumNode): SumNode {
  const block = new Uint8Array(2 * NODE_BYTES)
  block.set(hashPair(left.hash, right.hash))
  writeSums(block, NODE_BYTES, left.sum, right.sum)
  return { hash: hashBlocks(block), sum: left.sum + right.sum }
}

/**
 * Writes two sums as a node has them.
 *
 * @param into - Where to.
 * @param at - First of 16 bytes; the 16 after them must be zero.
 * @param left - Sum of the left child, a safe integer.
 * @param right - Sum of the right child.
 */
export function writeSums(into: Uint8Array, at: number, left: number, right: number): void {
  const view = new DataView(into.buffer, into.byteOffset + at, 16)
  view.setUint32(0, left >>> 0, true)
  view.setUint32(4, Math.floor(left / 2 ** 32), true)
  view.setUint32(8, right >>> 0, true)
  view.setUint32(12, Math.floor(right / 2 ** 32), true)
}
