/**
 * The root of a record: SHA-256 in the manner of SSZ, so that a contract can check any 32 bytes of a value.
 *
 * A byte string is cut into 32-byte leaves (zero-filled), made a full binary tree of the least depth, and its length is mixed
 * in; the length fixes the depth, so no two strings share a tree. A record is the tree of four leaves: kind, root of the
 * key, root of the value, time.
 */
import { createRequire } from 'node:module'
import { assert } from '../../../base/assert.ts'

/** Native and vectorised; takes 64-byte blocks and gives 32-byte hashes. */
const { hashInto } = createRequire(import.meta.url)('@chainsafe/hashtree') as {
  hashInto(input: Uint8Array, output: Uint8Array): void
}

/** Bytes of every node. */
export const NODE_BYTES = 32
/** Hash of two zero nodes, of two such, and so on: what fills a tree up. */
const ZERO_NODES = zeroNodes(24)

/** What of a record is committed to. */
export interface CommittedRecord {
  readonly kind: number
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly timeSeconds: number
}

/**
 * The root of a record.
 *
 * @param record - Kind, key, value and time.
 * @returns 32 bytes.
 * @example
 * recordRoot({ kind: 1, key: Buffer.from('a'), value: Buffer.from('b'), timeSeconds: 0 })
 */
export function recordRoot(record: CommittedRecord): Uint8Array {
  const leaves = new Uint8Array(4 * NODE_BYTES)
  leaves[0] = record.kind
  leaves.set(bytesRoot(record.key), NODE_BYTES)
  leaves.set(bytesRoot(record.value), 2 * NODE_BYTES)
  new DataView(leaves.buffer).setUint32(3 * NODE_BYTES, record.timeSeconds, true)
  return foldTree(leaves, 4)
}

/**
 * The root of a byte string, its length mixed in.
 *
 * @param bytes - `[n]`.
 * @returns 32 bytes.
 * @example
 * bytesRoot(new Uint8Array(0))
 */
export function bytesRoot(bytes: Uint8Array): Uint8Array {
  const count = Math.max(1, Math.ceil(bytes.byteLength / NODE_BYTES))
  const leaves = new Uint8Array((count + (count & 1)) * NODE_BYTES)
  leaves.set(bytes)
  const root = count === 1 ? leaves.subarray(0, NODE_BYTES) : foldTree(leaves, count)
  return mixInLength(root, bytes.byteLength)
}

/**
 * Mixes a length or count into a root: SHA-256 of the root and the number as 32 little-endian bytes.
 *
 * @param root - 32 bytes.
 * @param length - `>= 0`.
 * @returns 32 bytes.
 */
export function mixInLength(root: Uint8Array, length: number): Uint8Array {
  const block = new Uint8Array(2 * NODE_BYTES)
  block.set(root)
  const view = new DataView(block.buffer)
  view.setUint32(NODE_BYTES, length >>> 0, true)
  view.setUint32(NODE_BYTES + 4, Math.floor(length / 2 ** 32), true)
  return hashBlocks(block)
}

/**
 * Hashes two nodes into their parent.
 *
 * @param left - 32 bytes.
 * @param right - 32 bytes.
 * @returns 32 bytes.
 */
export function hashPair(left: Uint8Array, right: Uint8Array): Uint8Array {
  const block = new Uint8Array(2 * NODE_BYTES)
  block.set(left)
  block.set(right, NODE_BYTES)
  return hashBlocks(block)
}

/** Hashes each block of 64 bytes. @returns Half as many bytes. */
export function hashBlocks(blocks: Uint8Array): Uint8Array {
  const out = new Uint8Array(blocks.byteLength / 2)
  hashInto(blocks, out)
  return out
}

/** The root over `count` leaves, filled up with zero nodes to a power of two. Needs room for an even number of leaves. */
function foldTree(leaves: Uint8Array, count: number): Uint8Array {
  let level = leaves
  let nodes = count
  for (let depth = 0; nodes > 1; depth++) {
    if (nodes % 2 === 1) {
      const filled = new Uint8Array((nodes + 1) * NODE_BYTES)
      filled.set(level.subarray(0, nodes * NODE_BYTES))
      filled.set(ZERO_NODES[depth] as Uint8Array, nodes * NODE_BYTES)
      level = filled
      nodes++
    }
    level = hashBlocks(level.subarray(0, nodes * NODE_BYTES))
    nodes /= 2
  }
  assert(level.byteLength === NODE_BYTES, 'a tree has one root')
  return level
}

function zeroNodes(depth: number): Uint8Array[] {
  const nodes: Uint8Array[] = [new Uint8Array(NODE_BYTES)]
  for (let at = 1; at < depth; at++) {
    const below = nodes[at - 1] as Uint8Array
    nodes.push(hashPair(below, below))
  }
  return nodes
}
