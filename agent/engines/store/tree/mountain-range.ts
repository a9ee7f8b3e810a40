/**
 * A Merkle mountain range in a file: every node of every full subtree, in the order in which leaves complete them.
 *
 * Leaf `i` is node `2i - ones(i)`, and what it completes follows it, so that appending only appends and any node is one
 * read. The header says how many leaves are durable; what lies beyond is made again from the log. When it is opened every
 * node is compared with what the leaves give, so that no damaged node ever is part of a proof.
 */
import { assert, required } from '../../../base/assert.ts'
import { concatBytes } from '../../../base/bytes.ts'
import type { Disk, DiskFile } from '../../../base/disk.ts'
import { NodeError } from '../../../base/errors.ts'
import { hashBlocks, hashPair, mixInLength, NODE_BYTES } from '../../../base/hash-blocks.ts'
import { crc32c } from '../crc32c.ts'
import { word32 } from '../record.ts'

const MAGIC = 0x31545256
const HEADER_BYTES = 64
/** Leaves compared at once; a power of two. */
const CHECKED_LEAVES = 4096

/** A range that is open. */
export class MountainRange {
  /** Leaves that the file was to have; more than {@link MountainRange.leaves} where it is damaged. */
  readonly claimed: number
  readonly isHeaderSound: boolean
  readonly #file: DiskFile
  #leaves: number
  /** What the header says. */
  #synced: number
  /** Roots of the full subtrees, left to right. */
  #peaks: { height: number; node: Uint8Array }[] = []

  /**
   * Opens or makes a range.
   *
   * @param disk - The disk.
   * @param path - Its file.
   * @param leavesMax - Leaves that there can be at most: where the header is damaged, the file may hold more.
   * @throws NodeError `DISK_*`.
   */
  constructor(disk: Disk, path: string, leavesMax: number) {
    this.#file = disk.open(path, 'create')
    const said = this.#readHeader()
    this.isHeaderSound = said !== undefined
    const held = leavesIn(this.#file.sizeBytes)
    this.claimed = said ?? Math.min(held, leavesMax)
    this.#leaves = 0
    this.#synced = said ?? 0
    this.#check(Math.min(this.claimed, held))
  }

  /** Compares every node with what the leaves give, up to the first that differs. */
  #check(leaves: number): void {
    while (this.#leaves < leaves) {
      const count = Math.min(CHECKED_LEAVES, leaves - this.#leaves)
      const [from, to] = [nodesOf(this.#leaves), nodesOf(this.#leaves + count)]
      const nodes = new Uint8Array((to - from) * NODE_BYTES)
      this.#file.read(nodes, HEADER_BYTES + from * NODE_BYTES)
      const grown = this.#grow(leavesAmong(nodes, this.#leaves, count))
      if (Buffer.compare(grown.nodes, nodes) !== 0) return
      this.#leaves += count
      this.#peaks = grown.peaks
    }
  }

  /** Forgets the last leaves: what they say will be made again. @param leaves - How many stay, at most those there are. */
  cut(leaves: number): void {
    this.#leaves = leaves
    this.#synced = Math.min(this.#synced, leaves)
    this.#peaks = peaksOf(leaves).map(({ height, start }) => ({
      height,
      node: this.#node(height, start),
    }))
  }

  /** Count of leaves. */
  get leaves(): number {
    return this.#leaves
  }

  /** Appends leaves, 32 bytes each; not durable before {@link MountainRange.sync}. */
  append(leaves: Uint8Array): void {
    const { nodes, peaks } = this.#grow(leaves)
    this.#file.write([nodes], HEADER_BYTES + nodesOf(this.#leaves) * NODE_BYTES)
    this.#peaks = peaks
    this.#leaves += leaves.byteLength / NODE_BYTES
  }

  /** What leaves add to the file, and the roots of full subtrees with them. */
  #grow(leaves: Uint8Array): { nodes: Uint8Array; peaks: { height: number; node: Uint8Array }[] } {
    const first = this.#leaves
    const total = first + leaves.byteLength / NODE_BYTES
    const base = nodesOf(first)
    const out = new Uint8Array((nodesOf(total) - base) * NODE_BYTES)
    const levels: { start: number; nodes: Uint8Array }[] = []
    let level = { start: first, nodes: leaves }
    for (let height = 0; level.nodes.byteLength > 0; height++) {
      placeLevel(out, base, height, level.start, level.nodes)
      levels.push(level)
      level = this.#parentsOf(level.start, level.nodes, height)
    }
    const peaks = peaksOf(total).map(({ height, start }) => ({
      height,
      node: nodeIn(levels[height], start) ?? this.#peakAt(height),
    }))
    return { nodes: out, peaks }
  }

  /** The parents that a run of nodes completes, with the peak to its left where the run starts at a right child. */
  #parentsOf(
    start: number,
    nodes: Uint8Array,
    height: number,
  ): { start: number; nodes: Uint8Array } {
    const startsRight = start % 2 === 1
    const joined = startsRight ? concatBytes([this.#peakAt(height), nodes]) : nodes
    const pairs = Math.floor(joined.byteLength / (2 * NODE_BYTES))
    return {
      start: Math.floor(start / 2),
      nodes: hashBlocks(joined.subarray(0, pairs * 2 * NODE_BYTES)),
    }
  }

  #peakAt(height: number): Uint8Array {
    const peak = this.#peaks.find((one) => one.height === height)
    return required(peak, 'a left sibling that was there before is a peak').node
  }

  /** Makes what was appended durable, or only its first `leaves`, so that a crash leaves so many. */
  async sync(leaves = this.#leaves): Promise<void> {
    await this.#file.sync()
    // Of two that run at once the one that covers less may end last: the header never goes back.
    this.#synced = Math.max(this.#synced, leaves)
    const header = Buffer.alloc(HEADER_BYTES)
    header.writeUInt32LE(MAGIC, 0)
    header.writeBigUInt64LE(BigInt(this.#synced), 8)
    header.writeUInt32LE(crc32c(header, 0, 60), 60)
    this.#file.write([header], 0)
    await this.#file.sync()
  }

  /** Root of the first `size` leaves, `<= leaves`. */
  root(size: number): Uint8Array {
    return mixInLength(this.#subroot(0, size), size)
  }

  /** A leaf. @throws NodeError `LOG_PROOF_RANGE`. */
  leaf(index: number): Uint8Array {
    if (index >= this.#leaves) throw new NodeError('LOG_PROOF_RANGE', `no record ${index}`)
    return this.#node(0, index)
  }

  /** Leaves `[first, first + count)` one after another, in one read. @throws NodeError `LOG_PROOF_RANGE`. */
  leavesFrom(first: number, count: number): Uint8Array {
    if (first + count > this.#leaves) throw new NodeError('LOG_PROOF_RANGE', `no record ${first}`)
    const base = nodesOf(first)
    const nodes = new Uint8Array((nodesOf(first + count) - base) * NODE_BYTES)
    this.#file.read(nodes, HEADER_BYTES + base * NODE_BYTES)
    return leavesAmong(nodes, first, count)
  }

  /** Siblings of leaf `index` in the tree of the first `size` leaves, from the leaf up. */
  inclusion(index: number, size: number): Uint8Array[] {
    if (index >= size || size > this.#leaves) {
      throw new NodeError('LOG_PROOF_RANGE', `no record ${index} in ${size} of ${this.#leaves}`)
    }
    return this.#path(index, 0, size)
  }

  /** Nodes that show the first `size1` leaves to be the beginning of the first `size2`. */
  consistency(size1: number, size2: number): Uint8Array[] {
    if (size1 < 1 || size1 > size2 || size2 > this.#leaves) {
      throw new NodeError('LOG_PROOF_RANGE', `${size1} in ${size2} of ${this.#leaves}`)
    }
    if (size1 === size2) return []
    const nodes = this.#subproof(size1, 0, size2, true)
    // The verifier starts from a node in any case; RFC 9162 leaves it out where it is the older root itself.
    return isPowerOfTwo(size1) ? [this.#subroot(0, size1), ...nodes] : nodes
  }

  close(): void {
    this.#file.close()
  }

  #path(index: number, start: number, size: number): Uint8Array[] {
    if (size === 1) return []
    const left = leftOf(size)
    return index < left
      ? [...this.#path(index, start, left), this.#subroot(start + left, size - left)]
      : [...this.#path(index - left, start + left, size - left), this.#subroot(start, left)]
  }

  #subproof(older: number, start: number, size: number, isWhole: boolean): Uint8Array[] {
    if (older === size) return isWhole ? [] : [this.#subroot(start, size)]
    const left = leftOf(size)
    if (older <= left) {
      return [
        ...this.#subproof(older, start, left, isWhole),
        this.#subroot(start + left, size - left),
      ]
    }
    return [
      ...this.#subproof(older - left, start + left, size - left, false),
      this.#subroot(start, left),
    ]
  }

  /** Root of `size` leaves from `start` on, where `start` is a multiple of the size rounded up to a power of two. */
  #subroot(start: number, size: number): Uint8Array {
    if (size === 0) return new Uint8Array(NODE_BYTES)
    if (isPowerOfTwo(size)) return this.#node(Math.log2(size), start / size)
    const left = leftOf(size)
    return hashPair(this.#subroot(start, left), this.#subroot(start + left, size - left))
  }

  /** The node over leaves `[k * 2^height, (k + 1) * 2^height)`. */
  #node(height: number, k: number): Uint8Array {
    const lastLeaf = (k + 1) * 2 ** height - 1
    const position = nodesOf(lastLeaf) + height
    const node = new Uint8Array(NODE_BYTES)
    const read = this.#file.read(node, HEADER_BYTES + position * NODE_BYTES)
    assert(read === NODE_BYTES, 'every node up to the last leaf is in the file')
    return node
  }

  /** @returns Leaves that are durable by the header, 0 for a new file; undefined if the header cannot be believed. */
  #readHeader(): number | undefined {
    if (this.#file.sizeBytes === 0) return 0
    const header = Buffer.alloc(HEADER_BYTES)
    if (this.#file.read(header, 0) < HEADER_BYTES) return undefined
    // Made, and never durable since.
    if (header.every((byte) => byte === 0)) return 0
    const isSound = header.readUInt32LE(0) === MAGIC && crc32c(header, 0, 60) === word32(header, 60)
    return isSound ? Number(header.readBigUInt64LE(8)) : undefined
  }
}

/** Leaves whose nodes are whole in a file of this length. */
function leavesIn(fileBytes: number): number {
  const nodes = Math.max(0, Math.floor((fileBytes - HEADER_BYTES) / NODE_BYTES))
  // A range of n leaves has 2n nodes less a few: one for each full subtree.
  let leaves = Math.floor(nodes / 2)
  while (nodesOf(leaves + 1) <= nodes) leaves++
  return leaves
}

/** The leaves out of a run of nodes that begins with leaf `first`. */
function leavesAmong(nodes: Uint8Array, first: number, count: number): Uint8Array {
  const base = nodesOf(first)
  const leaves = new Uint8Array(count * NODE_BYTES)
  for (let at = 0; at < count; at++) {
    const from = (nodesOf(first + at) - base) * NODE_BYTES
    leaves.set(nodes.subarray(from, from + NODE_BYTES), at * NODE_BYTES)
  }
  return leaves
}

/** Puts nodes `start, start + 1, ...` of a height where they belong. */
function placeLevel(
  out: Uint8Array,
  base: number,
  height: number,
  start: number,
  nodes: Uint8Array,
): void {
  for (let at = 0, k = start; at < nodes.byteLength; at += NODE_BYTES, k++) {
    const position = nodesOf((k + 1) * 2 ** height - 1) + height - base
    out.set(nodes.subarray(at, at + NODE_BYTES), position * NODE_BYTES)
  }
}

/** A copy of node `k` if the level has it. */
function nodeIn(
  level: { start: number; nodes: Uint8Array } | undefined,
  k: number,
): Uint8Array | undefined {
  if (!level) return undefined
  const at = (k - level.start) * NODE_BYTES
  return at >= 0 && at < level.nodes.byteLength ? level.nodes.slice(at, at + NODE_BYTES) : undefined
}

/** Nodes of a range of so many leaves. */
function nodesOf(leaves: number): number {
  return 2 * leaves - ones(leaves)
}

function ones(value: number): number {
  return ones32(value >>> 0) + ones32(Math.floor(value / 2 ** 32))
}

function ones32(value: number): number {
  let bits = value - ((value >>> 1) & 0x55555555)
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333)
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}

/** Full subtrees of so many leaves, left to right; `start` in units of their size. */
function peaksOf(leaves: number): { height: number; start: number }[] {
  const peaks: { height: number; start: number }[] = []
  let done = 0
  for (let height = 52; height >= 0; height--) {
    const size = 2 ** height
    if (leaves - done < size) continue
    peaks.push({ height, start: done / size })
    done += size
  }
  return peaks
}

/** The largest power of two below `size`. */
function leftOf(size: number): number {
  let left = 1
  while (left * 2 < size) left *= 2
  return left
}

function isPowerOfTwo(size: number): boolean {
  return Number.isInteger(Math.log2(size))
}
