/** The tree over one shard: what shows that 32 bytes are those of a shard whose root was committed to. */
import { leafCount, leavesOf } from '../../../base/bytes-root.ts'
import {
  BLOCK_HEIGHT,
  BLOCK_LEAVES,
  blockRoots,
  foldLevels,
  zeroNode,
} from '../../../base/fold-tree.ts'
import { hashPair, mixInLength, NODE_BYTES } from '../../../base/hash-blocks.ts'
import { UNIT_BYTES } from '../constants.ts'

/** A unit of a shard with all that shows it. */
export interface ShownUnit {
  /** Root of the shard, 32 bytes. */
  readonly root: Uint8Array
  /** The unit, 32 bytes, zero-filled at the shard's end. */
  readonly unit: Uint8Array
  /** Siblings from the unit up, 32 bytes each. */
  readonly path: Uint8Array
}

/**
 * Shows a unit of a shard; hashes the whole shard.
 *
 * @param bytes - The shard.
 * @param index - Which unit, `< leafCount(bytes.byteLength)`.
 * @returns The unit, its path, and the root that they lead to.
 * @example
 * showUnit(shard, 7).root
 */
export function showUnit(bytes: Uint8Array, index: number): ShownUnit {
  const leaves = leavesOf(bytes)
  const count = leafCount(bytes.byteLength)
  const path = new Uint8Array(depthOf(count) * NODE_BYTES)
  const tree = count <= BLOCK_LEAVES ? climbIn(leaves, count, index, 0, path) : climbBlocks()
  return {
    root: mixInLength(tree, bytes.byteLength),
    unit: leaves.slice(index * UNIT_BYTES, (index + 1) * UNIT_BYTES),
    path,
  }

  /** Only the block that holds the unit is hashed level by level; of the others, roots are enough. */
  function climbBlocks(): Uint8Array {
    const block = Math.floor(index / BLOCK_LEAVES)
    const first = block * BLOCK_LEAVES
    const size = Math.min(BLOCK_LEAVES, count - first)
    const own = leaves.subarray(first * NODE_BYTES, (first + size) * NODE_BYTES)
    for (let height = 0; height < BLOCK_HEIGHT; height++) {
      path.set(zeroNode(height), height * NODE_BYTES)
    }
    climbIn(own, size, index - first, 0, path)
    const blocks = Math.ceil(count / BLOCK_LEAVES)
    return climbIn(blockRoots(leaves, count), blocks, block, BLOCK_HEIGHT, path)
  }
}

/** Folds nodes of one height, and writes the siblings on the way up from one of them where they belong in the path. */
function climbIn(
  nodes: Uint8Array,
  count: number,
  index: number,
  height: number,
  path: Uint8Array,
): Uint8Array {
  let level = nodes
  let at = index
  let above = height
  return foldLevels(nodes, count, height, (next) => {
    const sibling = (at ^ 1) * NODE_BYTES
    // A level may lack what is all zero at its end.
    const isThere = sibling < level.byteLength
    const node = isThere ? level.subarray(sibling, sibling + NODE_BYTES) : zeroNode(above)
    path.set(node, above * NODE_BYTES)
    level = next
    at >>= 1
    above++
  })
}

/**
 * The root that a shown unit leads to.
 *
 * @param unit - 32 bytes.
 * @param index - Its number in the shard.
 * @param lengthBytes - Bytes of the shard.
 * @param path - Siblings from the unit up, 32 bytes each, as many as {@link depthOf} says of the length's units.
 * @returns Root of the shard, 32 bytes.
 * @example
 * shardRoot(unit, 0, 32, new Uint8Array(0))
 */
export function shardRoot(
  unit: Uint8Array,
  index: number,
  lengthBytes: number,
  path: Uint8Array,
): Uint8Array {
  let node = unit
  let at = index
  for (let offset = 0; offset < path.byteLength; offset += NODE_BYTES) {
    const sibling = path.subarray(offset, offset + NODE_BYTES)
    node = at % 2 === 1 ? hashPair(sibling, node) : hashPair(node, sibling)
    at = Math.floor(at / 2)
  }
  return mixInLength(node, lengthBytes)
}

/**
 * Levels of the tree over so many leaves.
 *
 * @param leaves - `>= 1`.
 * @returns `>= 0`.
 * @example
 * depthOf(5) // 3
 */
export function depthOf(leaves: number): number {
  let depth = 0
  while (2 ** depth < leaves) depth++
  return depth
}
