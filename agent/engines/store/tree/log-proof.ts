/**
 * Checks of what a log says of itself: that a record is in it, and that an older log is a beginning of a newer one.
 *
 * Trees have the shape of RFC 9162 (a left subtree is the largest full one), nodes are SHA-256 of their two children, and
 * the root has the count of records mixed in, which fixes the shape, so that no node can pass for a leaf.
 * `contracts/libraries/LogProof.sol` is the same for contracts; both are run on shared vectors.
 */
import { bytesEqual } from '../../../base/bytes.ts'
import { hashPair, mixInLength } from '../../../base/hash-blocks.ts'

/**
 * Checks that a record is in a log.
 *
 * @param root - Root of the log, 32 bytes.
 * @param size - Count of records of the log.
 * @param index - Position of the record, `< size`.
 * @param leaf - Root of the record, 32 bytes.
 * @param path - Siblings from the leaf up.
 * @returns True if it is.
 * @example
 * verifyInclusion(root, 7, 3, leaf, path)
 * @see RFC 9162, section 2.1.3.2
 */
export function verifyInclusion(
  root: Uint8Array,
  size: number,
  index: number,
  leaf: Uint8Array,
  path: readonly Uint8Array[],
): boolean {
  if (index >= size) return false
  let at = index
  let last = size - 1
  let node = leaf
  for (const sibling of path) {
    if (last === 0) return false
    if (at % 2 === 1 || at === last) {
      node = hashPair(sibling, node)
      // A node without a right sibling goes up unchanged.
      while (at % 2 === 0 && at !== 0) {
        at /= 2
        last = Math.floor(last / 2)
      }
    } else node = hashPair(node, sibling)
    at = Math.floor(at / 2)
    last = Math.floor(last / 2)
  }
  return last === 0 && bytesEqual(mixInLength(node, size), root)
}

/**
 * Checks that a log of `size1` records is the beginning of one of `size2`.
 *
 * @param root1 - Root of the older log.
 * @param size1 - Count of its records, `>= 1`.
 * @param root2 - Root of the newer log.
 * @param size2 - Count of its records, `>= size1`.
 * @param path - Nodes as CONSIST gives them.
 * @returns True if it is.
 * @example
 * verifyConsistency(root3, 3, root7, 7, path)
 * @see RFC 9162, section 2.1.4.2
 */
export function verifyConsistency(
  root1: Uint8Array,
  size1: number,
  root2: Uint8Array,
  size2: number,
  path: readonly Uint8Array[],
): boolean {
  if (size1 < 1 || size1 > size2) return false
  if (size1 === size2) return path.length === 0 && bytesEqual(root1, root2)
  let at = size1 - 1
  let last = size2 - 1
  while (at % 2 === 1) {
    at = Math.floor(at / 2)
    last = Math.floor(last / 2)
  }
  const [first, ...rest] = path
  if (!first) return false
  let older = first
  let newer = first
  for (const node of rest) {
    if (last === 0) return false
    if (at % 2 === 1 || at === last) {
      older = hashPair(node, older)
      newer = hashPair(node, newer)
      while (at % 2 === 0 && at !== 0) {
        at /= 2
        last = Math.floor(last / 2)
      }
    } else newer = hashPair(newer, node)
    at = Math.floor(at / 2)
    last = Math.floor(last / 2)
  }
  return (
    last === 0 &&
    bytesEqual(mixInLength(older, size1), root1) &&
    bytesEqual(mixInLength(newer, size2), root2)
  )
}
