/**
 * The tree over a namespace's records: follows the log at a distance, off the write path, and answers for it.
 *
 * It takes in only what is written; before a root is told, what it covers is made durable, so no root is ever taken back.
 */
import { assert } from '../../../base/assert.ts'
import { NodeError } from '../../../base/errors.ts'
import type { LogPlace, NamespaceLog } from '../namespace-log.ts'
import type { LogPorts, RootHasher } from '../ports.ts'
import { MountainRange } from './mountain-range.ts'
import { inlineRootHasher } from './record-roots.ts'

const FILE_NAME = 'tree'

/** A tree that is open. */
export class RecordTree {
  readonly #log: NamespaceLog
  readonly #directory: string
  readonly #hasher: RootHasher
  readonly #range: MountainRange
  readonly #isFed: boolean
  /** Where the next record to take in is, as far as it is known. */
  #place: LogPlace = { segment: 0, offset: 0 }
  #following: Promise<void> | undefined
  #isClosed = false

  /**
   * @param options.isFed - True in a replica: roots then come with the records, those of records that the primary's
   *   compaction took included, and are never made from what is here alone.
   * @throws NodeError `LOG_NOT_PROVABLE`, `LOG_FORMAT_UNKNOWN`, `DISK_*`.
   */
  constructor(
    ports: LogPorts,
    directory: string,
    log: NamespaceLog,
    options: { readonly isFed: boolean },
  ) {
    this.#isFed = options.isFed
    this.#log = log
    this.#directory = directory
    this.#hasher = ports.rootHasher ?? inlineRootHasher(ports.disk)
    this.#range = new MountainRange(ports.disk, `${directory}/${FILE_NAME}`, log.appended)
    try {
      this.#checkRange(ports)
    } catch (caught) {
      this.#range.close()
      throw caught
    }
  }

  /** Refuses a range that the log does not bear out; takes back leaves that can be made again and may be damaged. */
  #checkRange({ log: events }: LogPorts): void {
    const range = this.#range
    const directory = this.#directory
    const { compactedSerial } = this.#log.files
    const isDamaged = range.leaves < range.claimed
    if (!range.isHeaderSound) events.error({ directory }, 'header of the tree was damaged')
    if (range.claimed > this.#log.appended) {
      throw new NodeError('LOG_FORMAT_UNKNOWN', `${directory}: the tree knows more than the log`)
    }
    if (isDamaged && this.#isFed) {
      throw new NodeError('LOG_FORMAT_UNKNOWN', `${directory}: the tree is damaged`)
    }
    if (!this.#isFed && range.leaves < compactedSerial) {
      throw new NodeError('LOG_NOT_PROVABLE', `${directory}: records are gone already`)
    }
    if (isDamaged) {
      const { leaves, claimed } = range
      events.error({ directory, leaves, claimed }, 'the tree is damaged, and made anew from there')
    }
    // Nothing but the record itself bears out a leaf that has no neighbour yet.
    const isLone = range.leaves % 2 === 1
    if (isLone && !this.#isFed && range.leaves > compactedSerial) range.cut(range.leaves - 1)
  }

  /** Count of records taken in that are durable. */
  get size(): number {
    // Beyond what is durable nobody is told: a crash could take it back.
    return Math.min(this.#range.leaves, this.#log.durable)
  }

  /** Count of roots taken in, those of records to come included. */
  get fed(): number {
    return this.#range.leaves
  }

  /** Takes in roots that came from the primary, 32 bytes each, not durable before {@link RecordTree.settle}. */
  feed(roots: Uint8Array): void {
    assert(this.#isFed, 'only the tree of a replica is fed')
    this.#range.append(roots)
  }

  /** Takes in what was written since; calls while it runs share its work. */
  follow(): Promise<void> {
    if (this.#isFed) return Promise.resolve()
    this.#following ??= this.#followOnce().finally(() => {
      this.#following = undefined
    })
    return this.#following
  }

  /**
   * Takes in and makes durable all that is written now.
   *
   * @returns Count of records that the tree has after a crash too.
   */
  async settle(): Promise<number> {
    const target = this.#log.written
    while (!this.#isFed && this.#range.leaves < target && !this.#isClosed) await this.follow()
    while (this.#log.durable < target && !this.#log.failure) await this.#log.makeDurable()
    if (this.#log.failure) throw this.#log.failure
    const { size } = this
    if (this.#isClosed) return 0
    // A tree that is durable beyond the log would speak of records that a crash took.
    await this.#range.sync(size)
    return size
  }

  root(size: number): Uint8Array {
    this.#check(size)
    return this.#range.root(size)
  }

  leaf(index: number): Uint8Array {
    return this.#range.leaf(index)
  }

  /** Leaves `[first, first + count)`, 32 bytes each. @throws NodeError `LOG_PROOF_RANGE`. */
  leavesFrom(first: number, count: number): Uint8Array {
    return this.#range.leavesFrom(first, count)
  }

  inclusion(index: number, size: number): Uint8Array[] {
    return this.#range.inclusion(index, size)
  }

  consistency(size1: number, size2: number): Uint8Array[] {
    return this.#range.consistency(size1, size2)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#following?.catch(() => undefined)
    this.#range.close()
  }

  #check(size: number): void {
    if (size <= this.size) return
    throw new NodeError('LOG_PROOF_RANGE', `size ${size} of ${this.size}`)
  }

  async #followOnce(): Promise<void> {
    const target = this.#log.written
    while (this.#range.leaves < target && !this.#isClosed) {
      const stretch = this.#log.files.stretchFrom(
        this.#range.leaves,
        this.#place,
        this.#log.written,
      )
      const { roots, endOffset } = await this.#hasher.roots({
        path: `${this.#directory}/${stretch.name}`,
        fromOffset: stretch.fromOffset,
        toOffset: stretch.toOffset,
        firstSerial: this.#range.leaves,
      })
      if (this.#isClosed) return
      this.#range.append(roots)
      this.#place = { segment: stretch.segment, offset: endOffset }
      if (endOffset < stretch.toOffset || stretch.isActive) continue
      // What a whole segment should have held and did not is lost; its places stay empty.
      const missing = Math.max(0, stretch.endSerial - this.#range.leaves)
      if (missing > 0) this.#range.append(new Uint8Array(missing * 32))
    }
  }
}
