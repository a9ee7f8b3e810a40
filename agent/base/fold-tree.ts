/**
 * The root of a full binary tree whose missing leaves are zero; hashed level by level, one native call each.
 *
 * Large trees are hashed block by block into the same scratch memory: first touching fresh memory costs more than hashing
 * it, so this is twice as fast.
 */
import { assert } from './assert.ts'
import { hashBlocks, hashInto, hashPair, NODE_BYTES } from './hash-blocks.ts'

/** Depth at most: a level beyond would be more leaves than a `Uint8Array` holds. */
const DEPTH_MAX = 32
/** Levels of a block. */
export const BLOCK_HEIGHT = 11
/** Leaves of a block: 64 KiB, which stay in the second-level cache with the levels above them. */
export const BLOCK_LEAVES: number = 2 ** BLOCK_HEIGHT

/** Hash of two zero nodes, of two such, and so on: what fills a tree up. */
const ZERO_NODES = zeroNodes(DEPTH_MAX)
/** The levels above the leaves of a block, lowest first. */
const SCRATCH = Array.from(
  { length: BLOCK_HEIGHT },
  (_, level) => new Uint8Array(2 ** (BLOCK_HEIGHT - 1 - level) * NODE_BYTES),
)

/**
 * The root over `count` leaves, filled up with zero nodes to a power of two.
 *
 * @param leaves - At least `count` leaves.
 * @param count - Leaves, `>= 1`.
 * @returns 32 bytes.
 * @example
 * foldTree(new Uint8Array(4 * 32), 4)
 */
export function foldTree(leaves: Uint8Array, count: number): Uint8Array {
  if (count <= BLOCK_LEAVES) {
    const height = Math.log2(count)
    if (!Number.isInteger(height)) return foldLevels(leaves, count, 0)
    return foldWhole(leaves.subarray(0, count * NODE_BYTES), height).slice()
  }
  return foldLevels(blockRoots(leaves, count), Math.ceil(count / BLOCK_LEAVES), BLOCK_HEIGHT)
}

/**
 * The roots of the blocks of a tree that has more than one: its level {@link BLOCK_HEIGHT}.
 *
 * @param leaves - At least `count` leaves.
 * @param count - Leaves, `> BLOCK_LEAVES`.
 * @returns A root for each block begun; the last block is filled up with zeros.
 * @example
 * foldLevels(blockRoots(leaves, count), Math.ceil(count / BLOCK_LEAVES), BLOCK_HEIGHT)
 */
export function blockRoots(leaves: Uint8Array, count: number): Uint8Array {
  const roots = new Uint8Array(Math.ceil(count / BLOCK_LEAVES) * NODE_BYTES)
  for (let first = 0, block = 0; first < count; first += BLOCK_LEAVES, block++) {
    const size = Math.min(BLOCK_LEAVES, count - first)
    const own = leaves.subarray(first * NODE_BYTES, (first + size) * NODE_BYTES)
    const root = size === BLOCK_LEAVES ? foldWhole(own, BLOCK_HEIGHT) : foldPart(own, size)
    roots.set(root, block * NODE_BYTES)
  }
  return roots
}

/**
 * The root over `count` nodes of one height, with every level shown on the way.
 *
 * @param nodes - At least `count` nodes.
 * @param count - `>= 1`.
 * @param height - Of the nodes; 0 for leaves.
 * @param onLevel - Told each level above, lowest first; a level lacks what is all zero at its end.
 * @returns 32 bytes.
 * @example
 * foldLevels(leaves, 5, 0, (nodes) => levels.push(nodes))
 */
export function foldLevels(
  nodes: Uint8Array,
  count: number,
  height: number,
  onLevel?: (nodes: Uint8Array) => void,
): Uint8Array {
  let level = nodes
  let left = count
  for (let at = height; left > 1; at++) {
    if (left % 2 === 1) {
      const filled = new Uint8Array((left + 1) * NODE_BYTES)
      filled.set(level.subarray(0, left * NODE_BYTES))
      filled.set(zeroNode(at), left * NODE_BYTES)
      level = filled
      left++
    }
    level = hashBlocks(level.subarray(0, left * NODE_BYTES))
    left /= 2
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

/** The root of a whole tree of at most a block; in scratch memory, valid until the next call. */
function foldWhole(leaves: Uint8Array, height: number): Uint8Array {
  let level = leaves
  for (const above of SCRATCH.slice(BLOCK_HEIGHT - height)) {
    hashInto(level, above)
    level = above
  }
  return level
}

/** The root of a block whose last leaves are zero. */
function foldPart(leaves: Uint8Array, count: number): Uint8Array {
  let node = foldLevels(leaves, count, 0)
  for (let at = Math.ceil(Math.log2(count)); at < BLOCK_HEIGHT; at++) {
    node = hashPair(node, zeroNode(at))
  }
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
