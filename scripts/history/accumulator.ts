/**
 * The accumulator of an era1 file: SSZ `hash_tree_root(List[{blockHash, totalDifficulty}, 8192])`, which binds every header
 * of an epoch to one of the 1,897 roots that the network agreed on.
 */
import { createHash } from 'node:crypto'
import { assert } from '../../agent/base/assert.ts'

/** Blocks in an era1 file at most. */
export const EPOCH_BLOCKS = 8192
const DEPTH = 13
const HASH_BYTES = 32

/** One block as the accumulator sees it. */
export interface AccumulatedBlock {
  /** 32 bytes. */
  readonly hash: Uint8Array
  /** Total difficulty after the block, 32 bytes little-endian. */
  readonly totalDifficulty: Uint8Array
}

/**
 * Computes the root over an epoch.
 *
 * @param blocks - `[n]`, `n <= EPOCH_BLOCKS`, in order.
 * @returns 32 bytes.
 */
export function accumulatorRoot(blocks: readonly AccumulatedBlock[]): Uint8Array {
  assert(blocks.length <= EPOCH_BLOCKS, 'an epoch has at most 8192 blocks')
  let level = blocks.map((block) => pair(block.hash, block.totalDifficulty))
  // A missing element of a list is a zero chunk, not a hashed record.
  let empty: Uint8Array = new Uint8Array(HASH_BYTES)
  for (let height = 0; height < DEPTH; height++) {
    const above: Uint8Array[] = []
    for (let at = 0; at < level.length; at += 2) {
      above.push(pair(level[at] ?? empty, level[at + 1] ?? empty))
    }
    level = above
    empty = pair(empty, empty)
  }
  const length = Buffer.alloc(HASH_BYTES)
  length.writeUInt32LE(blocks.length, 0)
  return pair(level[0] ?? empty, length)
}

function pair(left: Uint8Array, right: Uint8Array): Uint8Array {
  return createHash('sha256').update(left).update(right).digest()
}
