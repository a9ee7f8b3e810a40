/** The replica's side of one log: takes records over in the order of the primary, and knows how far it got. */
import { NodeError } from '../../../base/errors.ts'
import { NODE_BYTES } from '../../../base/hash-blocks.ts'
import type { Namespace, ReplayedRecord } from '../namespace.ts'
import { RootBuilder } from '../tree/root-builder.ts'
import { type LastRecord, lastRecord } from './claim.ts'
import { recordsIn } from './record-batch.ts'

/** What the primary sent at once. */
export interface ReceivedBatch {
  readonly from: number
  readonly next: number
  readonly records: Uint8Array
  /** Roots of the serials that no record of the batch has; empty where there is no tree. */
  readonly goneRoots: Uint8Array
}

/** Applies batches to a namespace. */
export class ReplicaLog {
  readonly namespace: Namespace
  /** The last record taken over. */
  last: LastRecord | undefined
  /** Everything of the primary before this was taken over, or is gone there. */
  applied: number

  constructor(namespace: Namespace, position: number, last: LastRecord | undefined) {
    this.namespace = namespace
    this.applied = position
    this.last = last
  }

  /**
   * Takes a batch over; what is here already is passed over. Written at the end of the call, not yet durable.
   *
   * @throws NodeError `LOG_PRIMARY_LOST` if it does not continue what is here, or is no batch; `LOG_WRITE_FAILED`, `DISK_FULL`.
   */
  apply(batch: ReceivedBatch): void {
    const { namespace } = this
    const { log, tree } = namespace
    const { from, next, records, goneRoots } = batch
    if (namespace.isGone) throw lost('the namespace was removed')
    // Without a tree a stretch of records that are gone leaves no trace here.
    const here = tree ? tree.fed : Math.max(log.appended, this.applied)
    if (from > here || next < from) throw lost('a batch that follows nothing')
    const roots = tree && new BatchRoots(tree.fed, from, goneRoots)
    let expected = from
    let last: ReplayedRecord | undefined
    for (const record of recordsIn(records)) {
      if (record.serial < expected || record.serial >= next) throw lost('records out of order')
      expected = record.serial + 1
      if (record.serial >= log.appended) namespace.replay(record)
      roots?.add(record)
      last = record
    }
    // The tree after the log: it may not speak of records that are not there.
    log.flush()
    if (tree && roots) tree.feed(roots.finish(next))
    if (last) this.last = lastRecord(last)
    this.applied = next
  }

  /**
   * Makes what was taken over durable, its tree included.
   *
   * @returns The position that may be acknowledged.
   * @throws NodeError `LOG_WRITE_FAILED`.
   */
  async settle(): Promise<number> {
    const { namespace, applied } = this
    const { log, tree } = namespace
    const target = log.written
    while (log.durable < target && !log.failure) await log.makeDurable()
    if (log.failure) throw log.failure
    await tree?.settle()
    return applied
  }
}

/** Roots of a batch from where the tree ends, those of records that are gone in their places. */
class BatchRoots {
  readonly #builder = new RootBuilder()
  readonly #gone: Uint8Array
  /** The first serial that the tree does not have. */
  readonly #fed: number
  #next: number
  #goneAt = 0

  constructor(fed: number, from: number, gone: Uint8Array) {
    this.#fed = fed
    this.#next = from
    this.#gone = gone
  }

  add(record: {
    readonly kind: number
    readonly key: Uint8Array
    readonly value: Uint8Array
    readonly timeSeconds: number
    readonly serial: number
  }): void {
    this.#fill(record.serial)
    if (record.serial >= this.#fed) {
      this.#builder.add(record.kind, record.key, record.value, record.timeSeconds)
    }
    this.#next = record.serial + 1
  }

  /** @returns The roots up to a serial. */
  finish(next: number): Uint8Array {
    this.#fill(next)
    if (this.#goneAt !== this.#gone.byteLength) throw lost('roots of records that are not gone')
    return this.#builder.finish()
  }

  #fill(upTo: number): void {
    for (; this.#next < upTo; this.#next++) {
      const root = this.#gone.subarray(this.#goneAt, this.#goneAt + NODE_BYTES)
      if (root.byteLength < NODE_BYTES) throw lost('roots of records that are gone are missing')
      this.#goneAt += NODE_BYTES
      if (this.#next >= this.#fed) this.#builder.addKnown(root)
    }
  }
}

function lost(problem: string): NodeError {
  return new NodeError('LOG_PRIMARY_LOST', problem)
}
