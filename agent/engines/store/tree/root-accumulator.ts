/** The root of a log whose leaves come one by one, kept in memory as its peaks: for streams that are read once. */
import { hashPair, mixInLength, NODE_BYTES } from '../../../base/hash-blocks.ts'

/** Takes leaves, gives the root that {@link MountainRange} would give. */
export class RootAccumulator {
  size = 0
  /** Roots of full subtrees, largest first, with their heights. */
  readonly #peaks: { height: number; node: Uint8Array }[] = []

  /** Adds a leaf of 32 bytes. */
  add(leaf: Uint8Array): void {
    let node = leaf
    let height = 0
    for (;;) {
      const last = this.#peaks.at(-1)
      if (last?.height !== height) break
      this.#peaks.pop()
      node = hashPair(last.node, node)
      height++
    }
    this.#peaks.push({ height, node })
    this.size++
  }

  /** The root, with the count mixed in. */
  root(): Uint8Array {
    let node: Uint8Array | undefined
    for (const peak of [...this.#peaks].reverse()) {
      node = node ? hashPair(peak.node, node) : peak.node
    }
    return mixInLength(node ?? new Uint8Array(NODE_BYTES), this.size)
  }
}
