/**
 * Reads packs: a range from the one shard that holds it, or computed from k others where that shard is lost or slow.
 *
 * The code works column by column, so a lost range of n bytes costs k ranges of n bytes and not k shards. What a range read
 * gives is not verified here (the chunk is, by its hash); whole shards are, against the table, and a shard that does not
 * match is noted as missing, to be stored again.
 */
import { hash } from 'node:crypto'
import { bytesEqual, concatBytes } from '../../base/bytes.ts'
import { NodeError } from '../../base/errors.ts'
import type { Clock } from '../../base/ports.ts'
import type { ErasureCode } from './erasure-code.ts'
import { PACK_BYTES_MAX, type PackRecord } from './pack-format.ts'
import type { PackTable } from './pack-table.ts'
import { gather, hedge } from './race.ts'
import { shardKey } from './shard-key.ts'
import type { SlotLink } from './slot-link.ts'
import type { SlotSet } from './slot-set.ts'
import { Stripe, shardBytesOf } from './stripe.ts'

/** Time for a range or a shard. */
const GET_MS_MAX = 15_000
/** Another way is tried after this many times the slot's mean latency ... */
const SLOW_FACTOR = 4
/** ... but not before: a little more than a good link's round trip. */
const SLOW_MS_MIN = 50
/** ... and not later: a reader of files waits no longer for a hint that the store is gone. */
const SLOW_MS_MAX = 1_000

/** Counters since the start. */
export interface PackReadCounters {
  /** Ranges that the store that holds them gave. */
  rangesDirect: number
  /** Ranges computed from other shards. */
  rangesDecoded: number
  /** Times a second way was taken, because the store failed or was slow. */
  rangesHedged: number
  bytesRead: number
  shardsAbsent: number
  shardsCorrupt: number
}

/** What the reader works with. */
export interface PackReaderParts {
  readonly code: ErasureCode
  readonly slots: SlotSet
  readonly table: PackTable
  readonly clock: Clock
  /** Called when a pack turned out to lack a shard. */
  readonly onDamage: (pack: PackRecord) => void
}

/** Reads packs. */
export class PackReader {
  readonly #parts: PackReaderParts
  #stripe: Stripe | undefined
  readonly counters: PackReadCounters = {
    rangesDirect: 0,
    rangesDecoded: 0,
    rangesHedged: 0,
    bytesRead: 0,
    shardsAbsent: 0,
    shardsCorrupt: 0,
  }

  constructor(parts: PackReaderParts) {
    this.#parts = parts
  }

  /**
   * A part of a pack, not verified.
   *
   * @throws NodeError `PACK_UNAVAILABLE`; the reason of `signal`.
   */
  async read(
    pack: PackRecord,
    offset: number,
    lengthBytes: number,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const shardBytes = shardBytesOf(pack.lengthBytes, this.#parts.code.dataShards)
    const parts: Promise<Uint8Array>[] = []
    for (let at = offset; at < offset + lengthBytes; ) {
      const shard = Math.floor(at / shardBytes)
      const from = at - shard * shardBytes
      const length = Math.min(shardBytes - from, offset + lengthBytes - at)
      parts.push(this.#readRange(pack, shard, from, length, signal))
      at += length
    }
    const ranges = await Promise.all(parts)
    this.counters.bytesRead += lengthBytes
    return ranges.length === 1 && ranges[0] !== undefined ? ranges[0] : concatBytes(ranges)
  }

  /**
   * A part of a pack, out of whole shards that match the table.
   *
   * @throws NodeError `PACK_UNAVAILABLE`; the reason of `signal`.
   */
  async readVerified(
    pack: PackRecord,
    offset: number,
    lengthBytes: number,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const { dataShards } = this.#parts.code
    const shardBytes = shardBytesOf(pack.lengthBytes, dataShards)
    const first = Math.floor(offset / shardBytes)
    const last = Math.floor((offset + lengthBytes - 1) / shardBytes)
    const wanted = Array.from({ length: last - first + 1 }, (_, index) => first + index)
    const shards = await this.shards(pack, wanted, signal)
    const from = offset - first * shardBytes
    this.counters.bytesRead += lengthBytes
    return concatBytes(shards).slice(from, from + lengthBytes)
  }

  /**
   * Whole shards that match the table, read or computed.
   *
   * @param wanted - Ascending, at most m of them missing.
   * @param avoid - Shards not to read although the table says they are there.
   * @returns `[wanted]` shards, copies.
   * @throws NodeError `PACK_UNAVAILABLE`; the reason of `signal`.
   */
  async shards(
    pack: PackRecord,
    wanted: readonly number[],
    signal: AbortSignal,
    avoid: ReadonlySet<number> = new Set(),
  ): Promise<Uint8Array[]> {
    const { code } = this.#parts
    const shardBytes = shardBytesOf(pack.lengthBytes, code.dataShards)
    const links = this.#holders(pack, (shard) => !avoid.has(shard))
    const preferred = [
      ...links.filter((link) => wanted.includes(link.index)),
      ...links.filter((link) => !wanted.includes(link.index)),
    ]
    const found = await this.#gather(pack, preferred, signal, (link, own) =>
      this.#fromAny(pack, link, own, (holder) => this.verifiedShard(pack, holder, own)),
    )
    const known = new Map(found.map(([link, bytes]) => [link.index, bytes]))
    const lost = wanted.filter((shard) => !known.has(shard))
    const decoded = this.#decode(known, lost, shardBytes)
    return wanted.map((shard) => known.get(shard) ?? decoded.get(shard) ?? new Uint8Array())
  }

  /**
   * One whole shard, from the slot that holds it, that matches the table.
   *
   * @throws NodeError `SHARD_ABSENT`, `SHARD_CORRUPT` (both noted in the table), `STORE_*`.
   */
  async verifiedShard(pack: PackRecord, link: SlotLink, signal: AbortSignal): Promise<Uint8Array> {
    const bytes = await link.get(shardKey(pack.id), GET_MS_MAX, signal)
    if (bytes === undefined) throw this.#absent(pack, link)
    const { slots, table } = this.#parts
    if (bytesEqual(hash('sha256', bytes, 'buffer'), table.hashOf(pack, link.index))) {
      if (slots.get(link.index) === link) table.setMissing(pack, link.index, false)
      return bytes
    }
    if (!table.isMissing(pack, link.index)) this.counters.shardsCorrupt++
    this.#damaged(pack, link)
    throw new NodeError('SHARD_CORRUPT', `slot ${link.index} gave a wrong shard`, {
      details: { pack: pack.number, slot: link.index },
    })
  }

  async #readRange(
    pack: PackRecord,
    shard: number,
    from: number,
    lengthBytes: number,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const { clock, slots, table } = this.#parts
    const link = slots.get(shard)
    const decode = (own: AbortSignal) => this.#decodeRange(pack, shard, from, lengthBytes, own)
    if (link === undefined) return decode(signal)
    const direct = async (own: AbortSignal) => {
      const bytes = await this.#fromAny(pack, link, own, (holder) =>
        this.#range(pack, holder, from, lengthBytes, own),
      )
      this.counters.rangesDirect++
      return bytes
    }
    const slowMs = slowAfterMs(link)
    if (!link.isAvailable || table.isMissing(pack, shard)) {
      // It is backing off, or the table (which may be older than a repair) says that it has nothing: worth asking only if
      // the others are too few.
      const { value } = await hedge({ clock, slowMs, signal, first: decode, second: direct })
      return value
    }
    const second = (own: AbortSignal) => {
      this.counters.rangesHedged++
      return decode(own)
    }
    const { value } = await hedge({ clock, slowMs, signal, first: direct, second })
    return value
  }

  /** Asks the present holder of a shard and, if it fails or lacks it, those that had its slot before. */
  async #fromAny(
    pack: PackRecord,
    link: SlotLink,
    signal: AbortSignal,
    ask: (holder: SlotLink) => Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    const formers = link.formers.filter((one) => one.isAvailable)
    // What the table says to be missing was not there when last seen, so who had it before comes first.
    const isMissing = this.#parts.table.isMissing(pack, link.index)
    const holders = isMissing ? [...formers, link] : [link, ...formers]
    let failure: unknown
    for (const holder of holders) {
      try {
        return await ask(holder)
      } catch (caught) {
        signal.throwIfAborted()
        failure = caught
      }
    }
    throw failure
  }

  async #range(
    pack: PackRecord,
    link: SlotLink,
    from: number,
    lengthBytes: number,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const bytes = await link.getRange(shardKey(pack.id), from, lengthBytes, GET_MS_MAX, signal)
    if (bytes === undefined) throw this.#absent(pack, link)
    if (bytes.byteLength === lengthBytes) return bytes
    this.counters.shardsCorrupt++
    this.#damaged(pack, link)
    throw new NodeError('SHARD_CORRUPT', `slot ${link.index} gave a shard of another length`)
  }

  async #decodeRange(
    pack: PackRecord,
    shard: number,
    from: number,
    lengthBytes: number,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const links = this.#holders(pack, (other) => other !== shard)
    const found = await this.#gather(pack, links, signal, (link, own) =>
      this.#fromAny(pack, link, own, (holder) => this.#range(pack, holder, from, lengthBytes, own)),
    )
    this.counters.rangesDecoded++
    const known = new Map(found.map(([link, bytes]) => [link.index, bytes]))
    const decoded = this.#decode(known, [shard], lengthBytes)
    return decoded.get(shard) ?? new Uint8Array()
  }

  /** Slots that may hold the pack, best first: well, backing off, said to lack it; among equals by latency. */
  #holders(pack: PackRecord, accept: (shard: number) => boolean): SlotLink[] {
    const { code, slots, table } = this.#parts
    const rank = (link: SlotLink) =>
      (link.isAvailable ? 0 : 1) + (table.isMissing(pack, link.index) ? 2 : 0)
    return slots
      .all()
      .filter((link) => link.index < code.totalShards && accept(link.index))
      .sort((a, b) => rank(a) - rank(b) || a.latencyMs - b.latencyMs || a.index - b.index)
  }

  async #gather(
    pack: PackRecord,
    candidates: readonly SlotLink[],
    signal: AbortSignal,
    ask: (link: SlotLink, signal: AbortSignal) => Promise<Uint8Array>,
  ): Promise<[SlotLink, Uint8Array][]> {
    const { clock, code } = this.#parts
    const needed = code.dataShards
    const slowMs = Math.max(SLOW_MS_MIN, ...candidates.slice(0, needed).map(slowAfterMs))
    const found = await gather({ clock, needed, candidates, slowMs, signal, ask })
    if (found !== undefined) return found
    throw new NodeError('PACK_UNAVAILABLE', `pack ${pack.number}: fewer than ${needed} shards`, {
      retryAfterMs: 1000,
      details: { pack: pack.number, needed, asked: candidates.length },
    })
  }

  #decode(
    known: ReadonlyMap<number, Uint8Array>,
    lost: readonly number[],
    lengthBytes: number,
  ): Map<number, Uint8Array> {
    const { code } = this.#parts
    if (lost.length === 0) return new Map()
    this.#stripe ??= new Stripe(code, shardBytesOf(PACK_BYTES_MAX, code.dataShards))
    const stripe = this.#stripe
    const inputs = [...known.keys()].sort((a, b) => a - b)
    for (const [shard, bytes] of known) stripe.shard(shard, lengthBytes).set(bytes)
    stripe.decode(inputs, lost, lengthBytes)
    return new Map(lost.map((shard) => [shard, stripe.shard(shard, lengthBytes).slice()]))
  }

  #absent(pack: PackRecord, link: SlotLink): NodeError {
    if (!this.#parts.table.isMissing(pack, link.index)) this.counters.shardsAbsent++
    this.#damaged(pack, link)
    return new NodeError('SHARD_ABSENT', `slot ${link.index} does not have its shard`, {
      details: { pack: pack.number, slot: link.index },
    })
  }

  #damaged(pack: PackRecord, link: SlotLink): void {
    const { slots, table } = this.#parts
    if (slots.get(link.index) !== link || table.isMissing(pack, link.index)) return
    table.setMissing(pack, link.index, true)
    this.#parts.onDamage(pack)
  }
}

function slowAfterMs(link: SlotLink): number {
  return Math.min(Math.max(link.latencyMs * SLOW_FACTOR, SLOW_MS_MIN), SLOW_MS_MAX)
}
