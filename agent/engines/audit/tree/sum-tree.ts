/**
 * A tree whose nodes commit to the units below them, so that a draw over units reaches every leaf in proportion.
 *
 * It has the shape of RFC 9162 (a left subtree is the largest full one): appending `n` leaves costs `O(n)`, and any earlier
 * size of the tree can still be proved from, which an audit of what was committed hours ago needs.
 */
import { assert } from '../../../base/assert.ts'
import { SUM_BYTES, SUM_LEVEL_BYTES } from '../constants.ts'
import { SumLevels } from './sum-levels.ts'
import { joinNodes, type SumNode } from './sum-node.ts'

/** What the first byte of a level has besides the sum if the sibling is on the left. */
const LEFT_SIBLING = 0x80

/** Where a unit is. */
export interface UnitPlace {
  /** Which leaf. */
  readonly leaf: number
  /** Units left of that leaf. */
  readonly before: number
}

/** A sum tree that grows. Sizes are counts of leaves. */
export class SumTree {
  readonly #levels = new SumLevels()

  /** Count of leaves. */
  get size(): number {
    return this.#levels.size
  }

  /** Appends leaves, `[n]`. */
  append(leaves: readonly SumNode[]): void {
    this.#levels.append(leaves)
  }

  /** Forgets all leaves from `size` on. */
  truncate(size: number): void {
    this.#levels.truncate(size)
  }

  /** Leaf `index`; a copy. */
  leaf(index: number): SumNode {
    const { hash, sum } = this.#levels.node(0, index)
    return { hash: hash.slice(), sum }
  }

  /**
   * Hash and units of the first `size` leaves.
   *
   * @param size - `1..this.size`.
   */
  root(size: number = this.size): SumNode {
    assert(size >= 1 && size <= this.size, 'a root is of leaves that are there')
    const { hash, sum } = this.#subroot(0, size)
    return { hash: hash.slice(), sum }
  }

  /** Units of the first `size` leaves. */
  units(size: number = this.size): number {
    let units = 0
    for (const { height, index } of peaksOf(size)) units += this.#levels.sum(height, index)
    return units
  }

  /**
   * The leaf that holds a unit.
   *
   * @param unit - `0..units(size) - 1`.
   * @param size - Leaves that count.
   */
  place(unit: number, size: number = this.size): UnitPlace {
    let before = 0
    for (const peak of peaksOf(size)) {
      const sum = this.#levels.sum(peak.height, peak.index)
      if (unit < before + sum) return this.#descend(peak, unit, before)
      before += sum
    }
    assert(false, 'a unit that is asked for is in the tree')
  }

  /** The size at which the tree has exactly so many units, or undefined if it never had. */
  sizeAt(units: number): number | undefined {
    const total = this.units()
    if (units === total) return this.size
    if (units < 0 || units > total) return undefined
    const { leaf, before } = this.place(units)
    return before === units ? leaf : undefined
  }

  /**
   * The path from a leaf to the root of the first `size` leaves.
   *
   * @param index - Which leaf, `< size`.
   * @param size - Leaves that count.
   * @returns 38 bytes a level, from the bottom: the sibling's sum (6 bytes, big-endian; its highest bit says that the
   *   sibling is on the left), then its hash.
   */
  path(index: number, size: number = this.size): Uint8Array {
    assert(index >= 0 && index < size && size <= this.size, 'a path is of a leaf that is there')
    const levels: { sibling: SumNode; isLeft: boolean }[] = []
    this.#collect(index, 0, size, levels)
    const path = new Uint8Array(levels.length * SUM_LEVEL_BYTES)
    const view = new DataView(path.buffer)
    levels.forEach(({ sibling, isLeft }, level) => {
      const at = level * SUM_LEVEL_BYTES
      view.setUint16(at, Math.floor(sibling.sum / 2 ** 32))
      view.setUint32(at + 2, sibling.sum >>> 0)
      if (isLeft) path[at] = (path[at] ?? 0) | LEFT_SIBLING
      path.set(sibling.hash, at + SUM_BYTES)
    })
    return path
  }

  #descend(peak: { height: number; index: number }, unit: number, start: number): UnitPlace {
    let { height, index } = peak
    let before = start
    while (height > 0) {
      height--
      index *= 2
      const left = this.#levels.sum(height, index)
      if (unit < before + left) continue
      before += left
      index++
    }
    return { leaf: index, before }
  }

  #collect(
    index: number,
    start: number,
    size: number,
    levels: { sibling: SumNode; isLeft: boolean }[],
  ): void {
    if (size === 1) return
    const left = leftOf(size)
    if (index < left) {
      this.#collect(index, start, left, levels)
      levels.push({ sibling: this.#subroot(start + left, size - left), isLeft: false })
    } else {
      this.#collect(index - left, start + left, size - left, levels)
      levels.push({ sibling: this.#subroot(start, left), isLeft: true })
    }
  }

  /** Root of `size` leaves from `start` on, where `start` is a multiple of the size rounded up to a power of two. */
  #subroot(start: number, size: number): SumNode {
    if (isPowerOfTwo(size)) return this.#levels.node(Math.log2(size), start / size)
    const left = leftOf(size)
    return joinNodes(this.#subroot(start, left), this.#subroot(start + left, size - left))
  }
}

/** Full subtrees of so many leaves, left to right. */
function peaksOf(size: number): { height: number; index: number }[] {
  const peaks: { height: number; index: number }[] = []
  let done = 0
  while (done < size) {
    const height = Math.floor(Math.log2(size - done))
    peaks.push({ height, index: done / 2 ** height })
    done += 2 ** height
  }
  return peaks
}

/** The largest power of two below `size`. */
function leftOf(size: number): number {
  return 2 ** Math.floor(Math.log2(size - 1))
}

function isPowerOfTwo(size: number): boolean {
  return Number.isInteger(Math.log2(size))
}
