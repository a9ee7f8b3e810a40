/**
 * All full subtrees of a sum tree, level by level in typed arrays: 80 bytes a leaf in all, and appending only appends.
 *
 * Level `h` holds the nodes over leaves `[k 2^h, (k + 1) 2^h)` that are complete; pairs of a level lie side by side, so
 * their parents are two native calls.
 */
import { assert } from '../../../base/assert.ts'
import { hashBlocks, NODE_BYTES } from '../../../base/hash-blocks.ts'
import { type SumNode, writeSums } from './sum-node.ts'

/** Nodes that a level has room for at first. */
const FIRST_NODES = 16

/** The nodes of a tree. */
export class SumLevels {
  readonly #levels: Level[] = [new Level()]

  /** Count of leaves. */
  get size(): number {
    return this.#level(0).count
  }

  /**
   * Appends leaves.
   *
   * @param leaves - `[n]`.
   */
  append(leaves: readonly SumNode[]): void {
    const bottom = this.#level(0)
    for (const { hash, sum } of leaves) bottom.push(hash, sum)
    for (let height = 0; this.#level(height).count > 1; height++) {
      this.#levels[height + 1] ??= new Level()
      this.#complete(this.#level(height), this.#level(height + 1))
    }
  }

  /** Forgets all leaves from `size` on. */
  truncate(size: number): void {
    this.#levels.forEach((level, height) => {
      level.count = Math.min(level.count, Math.floor(size / 2 ** height))
    })
  }

  /** The full subtree `index` of height `height`; a view, valid until the next change. */
  node(height: number, index: number): SumNode {
    return this.#level(height).node(index)
  }

  /** Units below a full subtree. */
  sum(height: number, index: number): number {
    return this.#level(height).sum(index)
  }

  #level(height: number): Level {
    const level = this.#levels[height]
    assert(level !== undefined, 'a full subtree has a level')
    return level
  }

  /** Makes the parents that the lower level has pairs for and the upper lacks. */
  #complete(lower: Level, upper: Level): void {
    const first = upper.count
    const end = Math.floor(lower.count / 2)
    if (end <= first) return
    const inner = hashBlocks(lower.hashes(2 * first, 2 * end))
    const blocks = new Uint8Array((end - first) * 2 * NODE_BYTES)
    for (let k = first; k < end; k++) {
      const at = (k - first) * 2 * NODE_BYTES
      blocks.set(inner.subarray(at / 2, at / 2 + NODE_BYTES), at)
      writeSums(blocks, at + NODE_BYTES, lower.sum(2 * k), lower.sum(2 * k + 1))
    }
    const parents = hashBlocks(blocks)
    for (let k = first; k < end; k++) {
      const at = (k - first) * NODE_BYTES
      upper.push(parents.subarray(at, at + NODE_BYTES), lower.sum(2 * k) + lower.sum(2 * k + 1))
    }
  }
}

/** One level: nodes side by side, with room to grow. */
class Level {
  count = 0
  #hashes = new Uint8Array(FIRST_NODES * NODE_BYTES)
  #sums = new Float64Array(FIRST_NODES)

  push(hash: Uint8Array, sum: number): void {
    if (this.count === this.#sums.length) this.#grow()
    this.#hashes.set(hash, this.count * NODE_BYTES)
    this.#sums[this.count] = sum
    this.count++
  }

  node(index: number): SumNode {
    return { hash: this.hashes(index, index + 1), sum: this.sum(index) }
  }

  hashes(from: number, to: number): Uint8Array {
    assert(from >= 0 && to <= this.count, 'only nodes that are complete are asked for')
    return this.#hashes.subarray(from * NODE_BYTES, to * NODE_BYTES)
  }

  sum(index: number): number {
    const sum = this.#sums[index]
    assert(sum !== undefined && index < this.count, 'only nodes that are complete are asked for')
    return sum
  }

  #grow(): void {
    const hashes = new Uint8Array(2 * this.#hashes.byteLength)
    hashes.set(this.#hashes)
    this.#hashes = hashes
    const sums = new Float64Array(2 * this.#sums.length)
    sums.set(this.#sums)
    this.#sums = sums
  }
}
