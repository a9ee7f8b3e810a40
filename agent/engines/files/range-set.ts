/** Byte ranges of one file that changed: sorted, disjoint, not touching, two numbers each. */
import { required } from '../../base/assert.ts'

/** A set of byte offsets, kept as ranges. */
export class RangeSet {
  readonly #flat: number[] = []

  get isEmpty(): boolean {
    return this.#flat.length === 0
  }

  /** Adds `[start, end)`; nothing if it is empty. */
  add(start: number, end: number): void {
    if (end <= start) return
    const flat = this.#flat
    const lastEnd = flat.at(-1) ?? -1
    if (start > lastEnd) {
      flat.push(start, end)
      return
    }
    const first = this.#firstTouching(start)
    let from = start
    let until = end
    let last = first
    while (last < flat.length && this.#number(last) <= end) {
      from = Math.min(from, this.#number(last))
      until = Math.max(until, this.#number(last + 1))
      last += 2
    }
    flat.splice(first, last - first, from, until)
  }

  /** `[start, end)` pairs, ascending. */
  *ranges(): Generator<readonly [start: number, end: number]> {
    for (let at = 0; at < this.#flat.length; at += 2) yield [this.#number(at), this.#number(at + 1)]
  }

  /** Flat index of the first range that ends at or behind `start`. */
  #firstTouching(start: number): number {
    let low = 0
    let high = this.#flat.length / 2
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#number(middle * 2 + 1) >= start) high = middle
      else low = middle + 1
    }
    return low * 2
  }

  #number(at: number): number {
    return required(this.#flat[at], 'a range index is within the set')
  }
}
