/** The smallest keys of many, without sorting them all. */

/**
 * Picks the first keys in ascending order.
 *
 * @param keys - `[n]` distinct keys in any order; views are fine, they are copied when kept.
 * @param prefix - Only keys that start with it.
 * @param after - Only keys beyond it.
 * @param limit - At most so many, `>= 1`.
 * @returns Ascending; O(n log limit).
 * @example
 * firstKeys(keys, Buffer.from('p'), undefined, 100)
 */
export function firstKeys(
  keys: Iterable<Uint8Array>,
  prefix: Uint8Array,
  after: Uint8Array | undefined,
  limit: number,
): Uint8Array[] {
  // A max-heap of the smallest seen so far: its head is the first to give way.
  const heap: Uint8Array[] = []
  for (const key of keys) {
    if (!startsWith(key, prefix)) continue
    if (after && Buffer.compare(key, after) <= 0) continue
    if (heap.length < limit) {
      heap.push(key.slice())
      siftUp(heap, heap.length - 1)
    } else if (heap[0] && Buffer.compare(key, heap[0]) < 0) {
      heap[0] = key.slice()
      siftDown(heap)
    }
  }
  return heap.sort(Buffer.compare)
}

/** Tells whether `key` starts with `prefix`. */
export function startsWith(key: Uint8Array, prefix: Uint8Array): boolean {
  if (key.byteLength < prefix.byteLength) return false
  for (let at = 0; at < prefix.byteLength; at++) if (key[at] !== prefix[at]) return false
  return true
}

function siftUp(heap: Uint8Array[], from: number): void {
  let at = from
  while (at > 0) {
    const parent = (at - 1) >>> 1
    if (!swapIfLarger(heap, at, parent)) return
    at = parent
  }
}

function siftDown(heap: Uint8Array[]): void {
  let at = 0
  for (;;) {
    const left = 2 * at + 1
    if (left >= heap.length) return
    const right = left + 1
    const child = right < heap.length && isLarger(heap, right, left) ? right : left
    if (!swapIfLarger(heap, child, at)) return
    at = child
  }
}

function swapIfLarger(heap: Uint8Array[], child: number, parent: number): boolean {
  if (!isLarger(heap, child, parent)) return false
  const moved = heap[child] as Uint8Array
  heap[child] = heap[parent] as Uint8Array
  heap[parent] = moved
  return true
}

function isLarger(heap: Uint8Array[], a: number, b: number): boolean {
  return Buffer.compare(heap[a] as Uint8Array, heap[b] as Uint8Array) > 0
}
