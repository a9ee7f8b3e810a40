/** The root of a full binary tree whose missing leaves are zero; hashed level by level, one native call each. */
import { assert } from './assert.ts'
import { hashBlocks, hashPair, NODE_BYTES } from './hash-blocks.ts'

/** Depth at most: a level beyond would be more leaves than a `Uint8Array` holds. */
const DEPTH_MAX = 32

/** Hash of two zero nodes, of two such, and so on: what fills a tree up. */
const ZERO_NODES = zeroNodes(DEPTH_MAX)

/**
 * The root over `count` leaves, filled up with zero nodes to a power of two.
 *
 * @param leaves - Room for `count` leaves, rounded up to an even number; what lies beyond `count` must be zero.
 * @param count - Leaves, `>= 1`.
 * @param onLevel - Told each level of inner nodes, lowest first; a level may lack its last, all-zero node.
 * @returns 32 bytes.
 * @example
 * foldTree(new Uint8Array(4 * 32), 4)
 */
export function foldTree(
  leaves: Uint8Array,
  count: number,
  onLevel?: (nodes: Uint8Array) => void,
): Uint8Array {
  let level = leaves
  let nodes = count
  for (let depth = 0; nodes > 1; depth++) {
    if (nodes % 2 === 1) {
      const filled = new Uint8Array((nodes + 1) * NODE_BYTES)
      filled.set(level.subarray(0, nodes * NODE_BYTES))
      filled.set(zeroNode(depth), nodes * NODE_BYTES)
      level = filled
      nodes++
    }
    level = hashBlocks(level.subarray(0, nodes * NODE_BYTES))
    nodes /= 2
    onLevel?.(level)
  }
  assert(level.byteLength >= NODE_BYTES, 'a tree has one root')
  return level.subarray(0, NODE_BYTES)
}

/**
 * The root of a full tree of zero leaves.
 *
 * @param depth - Levels above the leaves, 0 to 31.
 * @returns 32 bytes, shared: not to be changed.
 * @example
 * zeroNode(1) // hashPair(zeros, zeros)
 */
export function zeroNode(depth: number): Uint8Array {
  const node = ZERO_NODES[depth]
  assert(node !== undefined, 'no tree is deeper than its leaves have room')
  return node
}

function zeroNodes(depth: number): Uint8Array[] {
  const nodes: Uint8Array[] = [new Uint8Array(NODE_BYTES)]
  for (let at = 1; at < depth; at++) {
    const below = nodes[at - 1] as Uint8Array
    nodes.push(hashPair(below, below))
  }
  return nodes
}
