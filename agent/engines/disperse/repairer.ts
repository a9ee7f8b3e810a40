/**
 * Puts back what is missing: fills slots that moved or lost shards, checks shards at rest, deletes what was released.
 *
 * All three go by the table of packs, which says what is missing where; they may be stopped and begun again at any moment, and
 * doing a step twice is harmless.
 */
import { hash } from 'node:crypto'
import { bytesEqual } from '../../base/bytes.ts'
import { isNodeError } from '../../base/errors.ts'
import type { Clock } from '../../base/ports.ts'
import { SECOND_MS } from '../../base/units.ts'
import type { ErasureCode } from './erasure-code.ts'
import type { PackRecord } from './pack-format.ts'
import type { PackReader } from './pack-reader.ts'
import type { PackTable } from './pack-table.ts'
import { shardKey } from './shard-key.ts'
import type { SlotLink } from './slot-link.ts'
import type { SlotSet } from './slot-set.ts'
import { shardBytesOf } from './stripe.ts'

/** Packs repaired at once: one is read while another is written; 16 MiB at most with 4 + 2. */
const PACKS_AT_ONCE = 2
/** Time for one shard. */
const PUT_MS_MAX = 30_000

/** How far repair is. */
export interface RepairProgress {
  /** Shards that were missing when it began. */
  readonly shardsTotal: number
  /** Shards stored since. */
  readonly shardsRepaired: number
  readonly bytesRepaired: number
  /** Shards that were there after all: a repair that no commit had written down. */
  readonly shardsFound: number
  /** Shards that could not be stored now: the slot has no store, or it does not take them. */
  readonly shardsSkipped: number
  /** Packs of which too few shards can be read now. */
  readonly packsUnreadable: number
}

/** What a pass over all shards found. */
export interface ScrubResult {
  readonly shardsChecked: number
  readonly bytesChecked: number
  readonly shardsCorrupt: number
  readonly shardsAbsent: number
  /** Shards whose store did not answer. */
  readonly shardsUnanswered: number
  readonly shardsRepaired: number
}

/** What the repairer works with. */
export interface RepairerParts {
  readonly code: ErasureCode
  readonly slots: SlotSet
  readonly table: PackTable
  readonly reader: PackReader
  readonly clock: Clock
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** Repairs packs. */
export class Repairer {
  readonly #parts: RepairerParts
  /** Where the next scrub goes on: the pack after this. */
  #scrubbed = -1

  constructor(parts: RepairerParts) {
    this.#parts = parts
  }

  /**
   * Stores every missing shard that can be computed and whose slot takes it.
   *
   * @param onProgress - Called after each pack.
   * @returns What was done; `shardsSkipped` and `packsUnreadable` are for another time.
   * @throws The reason of `signal`.
   */
  async repair(
    signal: AbortSignal,
    onProgress: (progress: RepairProgress) => void = () => undefined,
  ): Promise<RepairProgress> {
    const { table } = this.#parts
    const progress = emptyProgress()
    progress.shardsTotal = table.missingBySlot.reduce((sum, count) => sum + count, 0)
    const queue = table.incomplete
    const failed = new Set<SlotLink>()
    const worker = async () => {
      for (let number = queue.shift(); number !== undefined; number = queue.shift()) {
        signal.throwIfAborted()
        const pack = table.get(number)
        if (pack === undefined || pack.isReleased) continue
        await this.#fillPack(pack, failed, progress, signal)
        onProgress({ ...progress })
      }
    }
    await Promise.all(Array.from({ length: PACKS_AT_ONCE }, worker))
    return progress
  }

  /** Stores the missing shards of one pack as far as that can be done now. */
  async repairPack(pack: PackRecord, signal: AbortSignal): Promise<RepairProgress> {
    const progress = emptyProgress()
    await this.#fillPack(pack, new Set(), progress, signal)
    return progress
  }

  /** @param failed - Slots not to try, and to which those that fail are added. */
  async #fillPack(
    pack: PackRecord,
    failed: Set<SlotLink>,
    progress: Mutable<RepairProgress>,
    signal: AbortSignal,
  ): Promise<void> {
    const { code, table, slots, reader } = this.#parts
    const missing = Array.from({ length: code.totalShards }, (_, shard) => shard).filter((shard) =>
      table.isMissing(pack, shard),
    )
    const targets = missing.flatMap((shard) => slots.get(shard) ?? [])
    const tried = targets.filter((link) => !failed.has(link))
    const states = await Promise.all(tried.map((link) => this.#look(pack, link, signal)))
    states.forEach((state, at) => {
      const link = tried[at]
      if (state === 'silent' && link !== undefined) failed.add(link)
    })
    const wanted = tried.filter((_, at) => states[at] === 'absent')
    const found = states.filter((state) => state === 'there').length
    progress.shardsFound += found
    progress.shardsSkipped += missing.length - wanted.length - found
    if (wanted.length === 0) return
    const shards = await this.#compute(pack, wanted, reader, signal)
    if (shards === undefined) {
      progress.packsUnreadable++
      return
    }
    await Promise.all(
      wanted.map(async (link, index) => {
        const bytes = shards[index] ?? new Uint8Array()
        if (await this.#store(pack, link, bytes, signal)) {
          progress.shardsRepaired++
          progress.bytesRepaired += bytes.byteLength
        } else {
          failed.add(link)
          progress.shardsSkipped++
        }
      }),
    )
  }

  /**
   * Reads every shard at rest once and compares it with its hash; goes on where the last call stopped.
   *
   * @param bytesPerSecond - Rate, `>= 1`.
   * @returns What was found; what was wrong is stored again where that was possible.
   * @throws The reason of `signal`; the next call goes on after the last pack finished.
   */
  async scrub(signal: AbortSignal, bytesPerSecond: number): Promise<ScrubResult> {
    const { table, reader } = this.#parts
    const result: Mutable<ScrubResult> = {
      shardsChecked: 0,
      bytesChecked: 0,
      shardsCorrupt: 0,
      shardsAbsent: 0,
      shardsUnanswered: 0,
      shardsRepaired: 0,
    }
    for (const number of table.numbers.filter((known) => known > this.#scrubbed)) {
      const pack = table.get(number)
      if (pack === undefined || pack.isReleased) continue
      const before = { ...reader.counters }
      const isDamaged = await this.#scrubPack(pack, result, bytesPerSecond, signal)
      result.shardsCorrupt += reader.counters.shardsCorrupt - before.shardsCorrupt
      result.shardsAbsent += reader.counters.shardsAbsent - before.shardsAbsent
      if (isDamaged) {
        result.shardsRepaired += (await this.repairPack(pack, signal)).shardsRepaired
      }
      this.#scrubbed = number
    }
    this.#scrubbed = -1
    return result
  }

  /**
   * Deletes the shards of packs that a durable commit released, and lets the table forget those that are gone everywhere.
   *
   * @returns Packs erased; others wait for slots that do not answer.
   * @throws The reason of `signal`.
   */
  async sweep(signal: AbortSignal): Promise<number> {
    const { table, slots, code } = this.#parts
    let erased = 0
    for (const number of table.deletable) {
      const pack = table.get(number)
      if (pack === undefined) continue
      const links = slots.all().filter((link) => link.index < code.totalShards)
      // Also where it counts as missing: one that was given up may have arrived.
      const removals = links.map((link) =>
        link.call(PUT_MS_MAX, signal, (store, own) => store.delete(shardKey(pack.id), own)),
      )
      const results = await Promise.allSettled(removals)
      signal.throwIfAborted()
      const isGone = results.every((result) => result.status === 'fulfilled')
      if (!isGone || links.length < code.totalShards) continue
      table.erase(number)
      erased++
    }
    return erased
  }

  /** The table may be older than the repair that it does not know of: what is there is not stored again. */
  async #look(
    pack: PackRecord,
    link: SlotLink,
    signal: AbortSignal,
  ): Promise<'there' | 'absent' | 'silent'> {
    try {
      await this.#parts.reader.verifiedShard(pack, link, signal)
      return 'there'
    } catch (caught) {
      signal.throwIfAborted()
      return isNodeError(caught, 'SHARD_ABSENT', 'SHARD_CORRUPT') ? 'absent' : 'silent'
    }
  }

  async #compute(
    pack: PackRecord,
    wanted: readonly SlotLink[],
    reader: PackReader,
    signal: AbortSignal,
  ): Promise<Uint8Array[] | undefined> {
    const { table } = this.#parts
    const indexes = wanted.map((link) => link.index)
    try {
      // Who had the slot before may still hold what its successor lacks.
      const empty = wanted.filter((link) => link.formers.length === 0)
      const avoid = new Set(empty.map((link) => link.index))
      const shards = await reader.shards(pack, indexes, signal, avoid)
      const isRight = shards.every((bytes, at) =>
        bytesEqual(hash('sha256', bytes, 'buffer'), table.hashOf(pack, indexes[at] ?? 0)),
      )
      return isRight ? shards : undefined
    } catch (caught) {
      signal.throwIfAborted()
      if (isNodeError(caught, 'PACK_UNAVAILABLE')) return undefined
      throw caught
    }
  }

  async #store(
    pack: PackRecord,
    link: SlotLink,
    bytes: Uint8Array,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { slots, table } = this.#parts
    try {
      await link.put(shardKey(pack.id), bytes, PUT_MS_MAX, signal)
    } catch {
      signal.throwIfAborted()
      return false
    }
    if (slots.get(link.index) !== link) return false
    table.setMissing(pack, link.index, false)
    return true
  }

  async #scrubPack(
    pack: PackRecord,
    result: Mutable<ScrubResult>,
    bytesPerSecond: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { clock, code, slots, table, reader } = this.#parts
    const shardBytes = shardBytesOf(pack.lengthBytes, code.dataShards)
    let isDamaged = false
    for (let shard = 0; shard < code.totalShards; shard++) {
      const link = slots.get(shard)
      if (link === undefined || table.isMissing(pack, shard)) continue
      await clock.sleep((shardBytes * SECOND_MS) / bytesPerSecond, signal)
      try {
        await reader.verifiedShard(pack, link, signal)
      } catch (caught) {
        signal.throwIfAborted()
        if (isNodeError(caught, 'SHARD_ABSENT', 'SHARD_CORRUPT')) isDamaged = true
        else {
          result.shardsUnanswered++
          continue
        }
      }
      result.shardsChecked++
      result.bytesChecked += shardBytes
    }
    return isDamaged
  }
}

function emptyProgress(): Mutable<RepairProgress> {
  return {
    shardsTotal: 0,
    shardsRepaired: 0,
    bytesRepaired: 0,
    shardsFound: 0,
    shardsSkipped: 0,
    packsUnreadable: 0,
  }
}
