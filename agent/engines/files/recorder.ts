/** Records operations in the journal and applies them to the tree, within the limits of the order and of the local disk. */
import type { Disk } from '../../base/disk.ts'
import { isNodeError, NodeError } from '../../base/errors.ts'
import type { Clock } from '../../base/ports.ts'
import { failure, ioFailure } from './checks.ts'
import { ByteWriter } from './codec.ts'
import {
  DISK_CHECK_BYTES,
  DISK_RESERVE_BYTES,
  JOURNAL_BYTES_MAX,
  JOURNAL_RESERVE_BYTES,
} from './constants.ts'
import type { Disperser } from './disperser.ts'
import type { Ino } from './file-system.ts'
import { withinTime } from './file-time.ts'
import { IdleFlush } from './idle-flush.ts'
import type { Journal } from './journal.ts'
import { encodeOperation, type Operation } from './operations.ts'
import type { Evictable } from './ports.ts'
import type { Tree } from './tree.ts'

/** Every operation but a write. */
export type MetadataOperation = Exclude<Operation, { kind: 'write' }>

/** What a recorder takes from outside. */
export interface RecorderPorts {
  readonly disk: Disk
  readonly clock: Clock
  readonly evictable?: Evictable | undefined
}

/** What a recorder is limited by. */
export interface RecorderLimits {
  readonly sizeBytes: number
  readonly journalBytesMax?: number
}

/** The one way by which the tree of a writer changes. */
export class Recorder {
  readonly #tree: Tree
  readonly #journal: Journal
  readonly #disperser: Disperser
  readonly #ports: RecorderPorts
  readonly #sizeBytes: number
  readonly #journalBytesMax: number
  readonly #encoder = new ByteWriter()
  readonly #flush: IdleFlush
  #nextDiskCheck = 0
  #isDiskLow = false

  constructor(
    tree: Tree,
    journal: Journal,
    disperser: Disperser,
    ports: RecorderPorts,
    limits: RecorderLimits,
  ) {
    this.#tree = tree
    this.#journal = journal
    this.#disperser = disperser
    this.#ports = ports
    this.#flush = new IdleFlush(journal, ports.clock)
    this.#sizeBytes = limits.sizeBytes
    this.#journalBytesMax = limits.journalBytesMax ?? JOURNAL_BYTES_MAX
  }

  /** Now, in nanoseconds since 1970 UTC. */
  nowNs(): bigint {
    return withinTime(BigInt(Math.floor(this.#ports.clock.now() * 1000)) * 1000n)
  }

  /** Records a checked operation that changes metadata. @throws NodeError `NO_SPACE`, `IO`; then nothing changed. */
  record(operation: MetadataOperation): void {
    if (this.#journal.diskBytes > this.#journalBytesMax + JOURNAL_RESERVE_BYTES) {
      throw failure('NO_SPACE', 'the journal is full while stores are away')
    }
    this.append(operation)
    this.#disperser.noticed()
  }

  /** The same whatever the limits, and without waking the disperser. */
  append(operation: MetadataOperation): void {
    this.#encoder.clear()
    encodeOperation(this.#encoder, operation)
    this.#appendBytes(undefined)
    this.#tree.apply(operation)
  }

  /** Records data; `data` is copied. @throws NodeError `NO_SPACE`, `IO`; then nothing changed. */
  recordWrite(ino: Ino, offset: number, data: Uint8Array): void {
    const lengthBytes = data.byteLength
    const timeNs = this.nowNs()
    const operation = { kind: 'write', ino, offset, lengthBytes, position: 0, timeNs } as const
    this.#encoder.clear()
    encodeOperation(this.#encoder, operation)
    const start = this.#appendBytes(data)
    this.#tree.apply({ ...operation, position: start + this.#encoder.lengthBytes })
    this.#disperser.noticed()
  }

  /** The quota: bytes that files hold never exceed what was ordered. @throws NodeError `NO_SPACE`. */
  checkQuota(ino: Ino, offset: number, length: number): void {
    const left = this.#sizeBytes - this.#tree.allocatedBytes
    if (length <= left) return
    const covered = this.#tree.extents(ino)?.coveredBytes(offset, offset + length) ?? 0
    if (length - covered > left) throw failure('NO_SPACE', 'the volume is full')
  }

  /** The local disk: data is refused while it could not hold the commits that would free it. @throws NodeError `NO_SPACE`. */
  checkDisk(length: number): void {
    if (this.#journal.diskBytes + length > this.#journalBytesMax) {
      throw failure('NO_SPACE', 'the journal is full while stores are away')
    }
    if (this.#journal.writtenBytes >= this.#nextDiskCheck || this.#isDiskLow) {
      this.#nextDiskCheck = this.#journal.writtenBytes + DISK_CHECK_BYTES
      this.#isDiskLow = !this.#makeRoom()
    }
    if (this.#isDiskLow) throw failure('NO_SPACE', 'the local disk is nearly full')
  }

  /** Bytes of data that the local disk and the journal still take, what gives way to them included. */
  get roomBytes(): number {
    const { disk, evictable } = this.#ports
    const free = disk.space().freeBytes + (evictable?.sizeBytes ?? 0) - DISK_RESERVE_BYTES
    return Math.max(0, Math.min(free, this.#journalBytesMax - this.#journal.diskBytes))
  }

  /** What can be had again gives way. @returns Whether there is room for commits and checkpoints now. */
  #makeRoom(): boolean {
    const { disk, evictable } = this.#ports
    while (disk.space().freeBytes < DISK_RESERVE_BYTES) {
      if ((evictable?.yieldSpace() ?? 0) === 0) return false
    }
    return true
  }

  /** Nothing is made durable any more unless somebody asks. */
  close(): void {
    this.#flush.close()
  }

  #appendBytes(data: Uint8Array | undefined): number {
    try {
      const position = this.#journal.append(this.#encoder.view(), data)
      this.#flush.noticed()
      return position
    } catch (caught) {
      if (isNodeError(caught, 'DISK_FULL')) {
        // What can be had again gives way; each turn frees something, so this ends.
        if ((this.#ports.evictable?.yieldSpace() ?? 0) > 0) return this.#appendBytes(data)
        throw new NodeError('NO_SPACE', 'the local disk is full', { cause: caught })
      }
      if (isNodeError(caught)) throw ioFailure(caught)
      throw caught
    }
  }
}
