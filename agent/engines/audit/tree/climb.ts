/** Checks a sum path, as `AuditProof.climb` does on chain: what root and units it leads to, and what lies left of the leaf. */
import { NODE_BYTES } from '../../../base/hash-blocks.ts'
import { SUM_BYTES, SUM_LEVEL_BYTES, SUM_LEVELS_MAX, UNITS_MAX } from '../constants.ts'
import { joinNodes, type SumNode } from './sum-node.ts'

const LEFT_SIBLING = 0x80

/** What a path says of its leaf. */
export interface Climbed {
  readonly root: SumNode
  /** Units left of the leaf. */
  readonly before: number
}

/**
 * Climbs from a leaf to the root.
 *
 * @param leaf - Where to start.
 * @param path - 38 bytes a level, from the bottom; not trusted.
 * @returns What is at the top, or undefined if the path is not whole levels, too long, or has more units than can be.
 * @example
 * climb(sumLeaf(root, units), path)?.root.hash
 */
export function climb(leaf: SumNode, path: Uint8Array): Climbed | undefined {
  if (path.byteLength % SUM_LEVEL_BYTES !== 0) return undefined
  if (path.byteLength > SUM_LEVELS_MAX * SUM_LEVEL_BYTES) return undefined
  const view = new DataView(path.buffer, path.byteOffset, path.byteLength)
  let root = leaf
  let before = 0
  for (let at = 0; at < path.byteLength; at += SUM_LEVEL_BYTES) {
    const high = view.getUint16(at)
    const isLeft = (view.getUint8(at) & LEFT_SIBLING) !== 0
    const sibling: SumNode = {
      hash: path.subarray(at + SUM_BYTES, at + SUM_BYTES + NODE_BYTES),
      sum: (high & 0x7fff) * 2 ** 32 + view.getUint32(at + 2),
    }
    root = isLeft ? joinNodes(sibling, root) : joinNodes(root, sibling)
    if (isLeft) before += sibling.sum
    if (root.sum > UNITS_MAX) return undefined
  }
  return { root, before }
}
