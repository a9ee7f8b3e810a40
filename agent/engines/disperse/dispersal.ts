/** A volume's bytes over its slots: packs on the data and parity slots, commits on the metadata slots. */
import { NodeError } from '../../base/errors.ts'
import { whileLinked } from '../../base/linked-abort.ts'
import type { Chance, Clock, Log } from '../../base/ports.ts'
import { ErasureCode } from './erasure-code.ts'
import { PACK_BYTES_MAX, type PackRecord } from './pack-format.ts'
import { type PackReadCounters, PackReader } from './pack-reader.ts'
import { PackTable } from './pack-table.ts'
import { PackWriter, type WriteCounters } from './pack-writer.ts'
import type { RecordSeal, Slot } from './ports.ts'
import { Repairer, type RepairProgress, type ScrubResult } from './repairer.ts'
import { ReplicatedLog } from './replicated-log.ts'
import { SHARDS } from './shard-key.ts'
import type { SlotStatus } from './slot-link.ts'
import { SlotSet } from './slot-set.ts'

/** Damaged packs that wait for repair at once; more are left to the next `repair`. */
const REPAIRS_MAX = 64
/** Time for a look whether a slot holds anything. */
const LOOK_MS_MAX = 10_000

/** What a dispersal is made of. */
export interface DispersalInit {
  /** k, `1..255`. */
  readonly dataShards: number
  /** m, `0..255-k`. */
  readonly parityShards: number
  /** Slots as they are now: `0..k+m-1` for shards, the rest for metadata. */
  readonly slots: readonly Slot[]
  readonly clock: Clock
  readonly chance: Chance
  readonly log: Log
  /** Seals and opens what stands on metadata stores. */
  readonly seal: RecordSeal
  /** Bytes believed of a snapshot that no writer sealed, as older versions stored them. */
  readonly unsealedBytesMax?: number
  /** Repair damage as it is found; a reader that may not write leaves it. */
  readonly isWriter: boolean
}

/** State for status and metrics. */
export interface DispersalStatus {
  readonly write: Readonly<WriteCounters>
  readonly read: Readonly<PackReadCounters>
  readonly slots: readonly (SlotStatus & { readonly shardsMissing: number })[]
  readonly packs: number
  readonly packsInFlight: number
  /** Packs that lack a shard. */
  readonly packsIncomplete: number
  /** Missing shards of each slot, by position. */
  readonly shardsMissing: readonly number[]
  /** Shards stored again because they turned out absent or wrong. */
  readonly shardsRepaired: number
  /** Fewer than k + 1 slots are well: the next loss may stop writes. */
  readonly isDegraded: boolean
}

/** Satisfies `PackStore` of `engines/chunks`; `section` and `commits` satisfy `Section` and `CommitStore` of `engines/files`. */
export class Dispersal {
  /** The table of packs, as it travels in commits. */
  readonly section: PackTable
  /** The commit log on the metadata slots. */
  readonly commits: ReplicatedLog
  readonly #code: ErasureCode
  readonly #slots: SlotSet
  readonly #writer: PackWriter
  readonly #reader: PackReader
  readonly #repairer: Repairer
  readonly #log: Log
  readonly #isWriter: boolean
  readonly #closing = new AbortController()
  readonly #damaged = new Set<number>()
  #repairing: Promise<void> | undefined
  #shardsRepaired = 0

  /** Made by {@link openDispersal}. */
  constructor(init: DispersalInit) {
    const { clock, chance, log } = init
    this.#log = log
    this.#isWriter = init.isWriter
    this.#code = new ErasureCode(init.dataShards, init.parityShards)
    this.#slots = new SlotSet(clock)
    this.section = new PackTable(this.#code.totalShards)
    this.commits = new ReplicatedLog({
      clock,
      firstSlot: this.#code.totalShards,
      seal: init.seal,
      hasShards: (signal) => this.#hasShards(signal),
      ...(init.unsealedBytesMax !== undefined && { unsealedBytesMax: init.unsealedBytesMax }),
    })
    const parts = { code: this.#code, slots: this.#slots, table: this.section, clock }
    const { signal } = this.#closing
    this.#writer = new PackWriter({ ...parts, chance, signal })
    this.#reader = new PackReader({ ...parts, onDamage: (pack) => this.#noteDamage(pack) })
    this.#repairer = new Repairer({ ...parts, reader: this.#reader })
    this.setSlots(init.slots)
  }

  /**
   * Takes over the slots as they are now; a greater generation means a new, empty store, to be filled by {@link repair}.
   *
   * @param slots - All slots that have a store; positions not named have none.
   */
  setSlots(slots: readonly Slot[]): void {
    const shards = slots.filter((slot) => slot.index < this.#code.totalShards)
    this.#slots.set(shards)
    this.section.setGenerations(new Map(shards.map((slot) => [slot.index, slot.generation])))
    this.commits.setSlots(slots)
  }

  /**
   * What the shards of a slot must be, whether or not they are there now.
   *
   * @param slot - `0..k+m-1`.
   * @returns SHA-256 of each, by its key in the store in hexadecimal; a copy.
   */
  shardHashes(slot: number): ReadonlyMap<string, Uint8Array> {
    return this.section.hashesOf(slot)
  }

  /**
   * Stores a pack.
   *
   * @param bytes - `1..4 MiB`; copied at once.
   * @returns Its number, once k + 1 stores hold their shards durably (k if m is 0); the other shards follow.
   * @throws NodeError `NOT_ENOUGH_STORES` (retry), `WRITER_FENCED` (stop); the reason of `signal`.
   */
  async write(bytes: Uint8Array, signal: AbortSignal): Promise<number> {
    this.#closing.signal.throwIfAborted()
    if (bytes.byteLength < 1 || bytes.byteLength > PACK_BYTES_MAX) {
      throw new NodeError('PACK_UNKNOWN', `a pack of ${bytes.byteLength} bytes cannot be stored`)
    }
    return (await this.#writer.write(bytes, signal)).number
  }

  /**
   * Reads a part of a pack from the store that holds it, or computes it from others.
   *
   * @param offset - First byte; the range lies within the pack.
   * @returns The bytes, not verified: the caller knows their hash.
   * @throws NodeError `PACK_UNKNOWN`, `PACK_UNAVAILABLE`.
   */
  async read(
    pack: number,
    offset: number,
    lengthBytes: number,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    return this.#reader.read(this.#record(pack, offset, lengthBytes), offset, lengthBytes, signal)
  }

  /**
   * Reads as `read`, but out of whole shards that match their hashes: finds, notes and repairs the wrong one.
   *
   * @throws NodeError `PACK_UNKNOWN`, `PACK_UNAVAILABLE`.
   */
  async readAround(
    pack: number,
    offset: number,
    lengthBytes: number,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const record = this.#record(pack, offset, lengthBytes)
    return this.#reader.readVerified(record, offset, lengthBytes, signal)
  }

  /** Says that nothing refers to a pack any more, in a durable commit. Repeatable. */
  release(pack: number): void {
    this.section.release(pack)
  }

  /**
   * Stores every missing shard that can be: after a slot moved, a store came back, or damage was found.
   *
   * @param onProgress - Called after each pack.
   * @throws The reason of `signal`; what was done stays done.
   */
  repair(
    signal: AbortSignal,
    onProgress?: (progress: RepairProgress) => void,
  ): Promise<RepairProgress> {
    return whileLinked([signal, this.#closing.signal], (own) =>
      this.#repairer.repair(own, onProgress),
    )
  }

  /**
   * Verifies every shard at rest once; goes on where the last call was stopped.
   *
   * @param bytesPerSecond - Rate, `>= 1`.
   */
  scrub(signal: AbortSignal, bytesPerSecond: number): Promise<ScrubResult> {
    return whileLinked([signal, this.#closing.signal], (own) =>
      this.#repairer.scrub(own, bytesPerSecond),
    )
  }

  /**
   * Deletes the shards of packs whose release is committed.
   *
   * @returns Packs erased.
   */
  sweep(signal: AbortSignal): Promise<number> {
    return whileLinked([signal, this.#closing.signal], (own) => this.#repairer.sweep(own))
  }

  /** State for status and metrics. */
  status(): DispersalStatus {
    const missing = this.section.missingBySlot
    const slots = this.#slots.all()
    const well = slots.filter((link) => link.isAvailable).length
    return {
      write: { ...this.#writer.counters },
      read: { ...this.#reader.counters },
      slots: slots.map((link) => ({ ...link.status(), shardsMissing: missing[link.index] ?? 0 })),
      packs: this.section.size,
      packsInFlight: this.#writer.inFlight,
      packsIncomplete: this.section.incomplete.length,
      shardsMissing: missing,
      shardsRepaired: this.#shardsRepaired,
      isDegraded: well < Math.min(this.#code.dataShards + 1, this.#code.totalShards),
    }
  }

  /** Aborts what is in flight and waits for it to end. Repeatable. */
  async close(): Promise<void> {
    this.#closing.abort(new NodeError('DISPERSAL_CLOSED', 'the volume is closed'))
    this.commits.close()
    await this.#writer.settled()
    await this.#repairing
  }

  /** Waits for shards and repairs in the background; for tests and for an orderly stop. */
  async settled(): Promise<void> {
    await this.#writer.settled()
    await this.#repairing
  }

  async #hasShards(signal: AbortSignal): Promise<boolean> {
    const asked = this.#slots
      .all()
      .map((link) =>
        link.call(LOOK_MS_MAX, signal, (store, own) => store.list(SHARDS, undefined, 1, own)),
      )
    const answers = await Promise.allSettled(asked)
    signal.throwIfAborted()
    const heard = answers.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    if (heard.length < this.#code.dataShards) {
      throw new NodeError('NOT_ENOUGH_STORES', 'too few data stores answer', { retryAfterMs: 1000 })
    }
    return heard.some((keys) => keys.length > 0)
  }

  #record(pack: number, offset: number, lengthBytes: number): PackRecord {
    this.#closing.signal.throwIfAborted()
    const record = this.section.get(pack)
    if (record === undefined) throw new NodeError('PACK_UNKNOWN', `there is no pack ${pack}`)
    if (offset < 0 || lengthBytes < 1 || offset + lengthBytes > record.lengthBytes) {
      throw new NodeError('PACK_UNKNOWN', `pack ${pack} has no bytes ${offset}+${lengthBytes}`)
    }
    return record
  }

  #noteDamage(pack: PackRecord): void {
    if (!this.#isWriter || this.#damaged.size >= REPAIRS_MAX) return
    this.#damaged.add(pack.number)
    this.#repairing ??= this.#repairDamaged()
      .catch(() => undefined)
      .finally(() => {
        this.#repairing = undefined
      })
  }

  async #repairDamaged(): Promise<void> {
    const { signal } = this.#closing
    for (const number of this.#damaged) {
      const pack = this.section.get(number)
      if (pack !== undefined && !pack.isReleased) {
        const progress = await this.#repairer.repairPack(pack, signal)
        this.#shardsRepaired += progress.shardsRepaired
        this.#log.warn({ pack: number, repaired: progress.shardsRepaired }, 'pack repaired')
      }
      this.#damaged.delete(number)
    }
  }
}
