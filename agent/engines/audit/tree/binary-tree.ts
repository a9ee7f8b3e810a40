/** The full binary tree over words: the states of a node's samples, and the digests of a group of nodes. */
import { assert } from '../../../base/assert.ts'
import { concatBytes } from '../../../base/bytes.ts'
import { foldLevels, zeroNode } from '../../../base/fold-tree.ts'
import { hashPair, NODE_BYTES } from '../../../base/hash-blocks.ts'

/** A tree that is whole. */
export class BinaryTree {
  /** 32 bytes. */
  readonly root: Uint8Array
  readonly #levels: [leaves: Uint8Array, ...above: Uint8Array[]]

  /**
   * @param words - `[n >= 1]` of 32 bytes; zero words fill them up to a power of two.
   */
  constructor(words: readonly Uint8Array[]) {
    assert(words.length > 0, 'a tree has leaves')
    this.#levels = [concatBytes(words)]
    const [leaves] = this.#levels
    this.root = foldLevels(leaves, words.length, 0, (level) => this.#levels.push(level)).slice()
    // The root has no sibling.
    this.#levels.pop()
  }

  /** Siblings from word `index` up, 32 bytes each. */
  path(index: number): Uint8Array[] {
    return this.#levels.map((level, height) => {
      const at = (Math.floor(index / 2 ** height) ^ 1) * NODE_BYTES
      return at < level.byteLength ? level.slice(at, at + NODE_BYTES) : zeroNode(height).slice()
    })
  }
}

/**
 * The root that a word and its siblings lead to.
 *
 * @param word - 32 bytes.
 * @param index - Its place, `< 2^path.length`.
 * @param path - Siblings from the word up.
 * @returns 32 bytes, or undefined if the place is not in such a tree.
 * @example
 * binaryRoot(state, sample - 1, path)
 */
export function binaryRoot(
  word: Uint8Array,
  index: number,
  path: readonly Uint8Array[],
): Uint8Array | undefined {
  if (index >= 2 ** path.length || path.some((node) => node.byteLength !== NODE_BYTES)) {
    return undefined
  }
  return path.reduce(
    (node, sibling, height) =>
      Math.floor(index / 2 ** height) % 2 === 1 ? hashPair(sibling, node) : hashPair(node, sibling),
    word,
  )
}
