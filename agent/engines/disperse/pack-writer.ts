/**
 * Writes packs: encodes, sends the shards at once, accepts when k + 1 are durable, and lets the slow ones finish.
 *
 * A pack's memory (its stripe) is busy until its last shard was sent or given up. A store that hangs would hold all stripes,
 * so after acceptance it has five seconds more, and from then on it backs off and is skipped: its shards are missing until
 * repaired.
 */
import { hash } from 'node:crypto'
import { concatBytes } from '../../base/bytes.ts'
import { codeOf, NodeError } from '../../base/errors.ts'
import { type LinkedAbort, linkedAbort } from '../../base/linked-abort.ts'
import type { Chance, Clock } from '../../base/ports.ts'
import type { ErasureCode } from './erasure-code.ts'
import { PACK_BYTES_MAX, PACK_ID_BYTES, type PackRecord } from './pack-format.ts'
import type { PackTable } from './pack-table.ts'
import { shardKey } from './shard-key.ts'
import type { SlotLink } from './slot-link.ts'
import type { SlotSet } from './slot-set.ts'
import { Stripe, shardBytesOf } from './stripe.ts'

/** Time for one shard: a megabyte at the slowest link worth keeping. */
const PUT_MS_MAX = 30_000
/** Time that remaining shards have after acceptance. */
const STRAGGLER_MS_MAX = 5_000
/** Packs on their way at once: the four of the chunk store, and stragglers of as many before them. */
const STRIPES_MAX = 8

/** Counters since the start. */
export interface WriteCounters {
  packs: number
  bytesIn: number
  bytesStored: number
  shardsMissed: number
  refused: number
}

/** What the writer works with. */
export interface PackWriterParts {
  readonly code: ErasureCode
  readonly slots: SlotSet
  readonly table: PackTable
  readonly clock: Clock
  readonly chance: Chance
  /** Aborts when the dispersal closes. */
  readonly signal: AbortSignal
}

/** One pack on its way. */
class PackPut {
  readonly durable = new Set<number>()
  readonly failures = new Map<number, unknown>()
  readonly accepted = Promise.withResolvers<void>()
  readonly finished = Promise.withResolvers<void>()
  /** Links that the shards were sent over; a slot may move meanwhile. */
  readonly links = new Map<number, SlotLink>()
  sending = 0
  isAborted = false
  /** Called each time a shard settles. */
  settled: () => void = () => undefined
}

/** Writes packs. */
export class PackWriter {
  readonly #parts: PackWriterParts
  readonly #needed: number
  readonly #free: Stripe[] = []
  readonly #waiting: ((stripe: Stripe) => void)[] = []
  readonly #tasks = new Set<Promise<void>>()
  #stripes = 0
  readonly counters: WriteCounters = {
    packs: 0,
    bytesIn: 0,
    bytesStored: 0,
    shardsMissed: 0,
    refused: 0,
  }

  constructor(parts: PackWriterParts) {
    this.#parts = parts
    const { dataShards, totalShards } = parts.code
    this.#needed = Math.min(dataShards + 1, totalShards)
  }

  /** Packs whose stripes are busy. */
  get inFlight(): number {
    return this.#stripes - this.#free.length
  }

  /**
   * Stores a pack.
   *
   * @param bytes - `1..4 MiB`; copied at once.
   * @returns Its record, once k + 1 shards are durable (k if there is no parity).
   * @throws NodeError `NOT_ENOUGH_STORES`, `WRITER_FENCED`; the reason of `signal`.
   */
  async write(bytes: Uint8Array, signal: AbortSignal): Promise<PackRecord> {
    signal.throwIfAborted()
    const { code, chance, table } = this.#parts
    const stripe = await this.#takeStripe()
    if (signal.aborted) this.#handOver(stripe)
    signal.throwIfAborted()
    const shardBytes = stripe.encode(bytes)
    const id = chance.bytes(PACK_ID_BYTES)
    const put = new PackPut()
    const abort = linkedAbort(this.#parts.signal)
    const onAbort = () => abort.abort(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    this.#track(
      put.finished.promise.then(() => {
        abort.release()
        this.#giveBack(stripe, put)
      }),
    )
    const send = (link: SlotLink) => this.#send(put, link, stripe, id, shardBytes, abort.signal)
    try {
      this.#sendAll(put, send)
      const hashes = concatBytes(
        Array.from({ length: code.totalShards }, (_, shard) =>
          hash('sha256', stripe.shard(shard, shardBytes), 'buffer'),
        ),
      )
      await put.accepted.promise
      const holders = new Set([...put.durable].filter((shard) => this.#isPresent(put, shard)))
      const record = table.add({ id, lengthBytes: bytes.byteLength, hashes }, holders)
      this.#count(bytes.byteLength, put, shardBytes)
      this.#follow(put, record, shardBytes, abort)
      return record
    } catch (caught) {
      signal.throwIfAborted()
      this.counters.refused++
      this.#track(this.#removeShards(put, id))
      throw caught
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Waits for everything in flight; never throws. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#tasks)
  }

  /** Sends to the slots that are well; to the others only if those are too few. */
  #sendAll(put: PackPut, send: (link: SlotLink) => void): void {
    const { code, slots } = this.#parts
    const links = slots.all().filter((link) => link.index < code.totalShards)
    const well = links.filter((link) => link.isAvailable)
    const others = links.filter((link) => !link.isAvailable)
    const sendOthers = () => {
      for (const link of others.splice(0)) send(link)
    }
    for (const link of well) send(link)
    if (well.length < this.#needed) sendOthers()
    put.settled = () => this.#judge(put, sendOthers)
    put.settled()
  }

  #judge(put: PackPut, sendOthers: () => void): void {
    if (put.durable.size >= this.#needed) {
      put.accepted.resolve()
    } else if (put.sending === 0) {
      sendOthers()
      if (put.sending === 0) put.accepted.reject(this.#refusal(put))
    }
    if (put.sending === 0) put.finished.resolve()
  }

  #send(
    put: PackPut,
    link: SlotLink,
    stripe: Stripe,
    id: Uint8Array,
    shardBytes: number,
    signal: AbortSignal,
  ): void {
    put.sending++
    put.links.set(link.index, link)
    const shard = stripe.shard(link.index, shardBytes)
    link
      .put(shardKey(id), shard, PUT_MS_MAX, signal)
      .then(
        () => put.durable.add(link.index),
        (caught: unknown) => {
          put.failures.set(link.index, caught)
          if (!isOver(caught)) put.isAborted = true
        },
      )
      .then(() => {
        put.sending--
        put.settled()
      })
  }

  /** After acceptance: the rest has a little more time, and what arrives is noted. */
  #follow(put: PackPut, record: PackRecord, shardBytes: number, abort: LinkedAbort): void {
    if (put.sending === 0) return
    const { table, clock, signal } = this.#parts
    const noted = new Set(put.durable)
    const judge = put.settled
    put.settled = () => {
      for (const shard of put.durable) {
        if (noted.has(shard)) continue
        noted.add(shard)
        this.counters.bytesStored += shardBytes
        this.counters.shardsMissed--
        if (this.#isPresent(put, shard)) table.setMissing(record, shard, false)
      }
      judge()
    }
    const enough = linkedAbort(signal)
    clock.sleep(STRAGGLER_MS_MAX, enough.signal).then(
      () => {
        for (const [shard, link] of put.links) {
          if (!put.durable.has(shard) && !put.failures.has(shard)) link.tookTooLong()
        }
        abort.abort(new NodeError('STORE_TIMEOUT', 'the pack was accepted without this shard'))
      },
      () => undefined,
    )
    this.#track(
      put.finished.promise.then(() => {
        enough.abort()
        enough.release()
      }),
    )
  }

  /** False if the slot moved since: the shard is on a node that is no longer asked. */
  #isPresent(put: PackPut, shard: number): boolean {
    return put.links.get(shard) === this.#parts.slots.get(shard)
  }

  #count(lengthBytes: number, put: PackPut, shardBytes: number): void {
    this.counters.packs++
    this.counters.bytesIn += lengthBytes
    this.counters.bytesStored += put.durable.size * shardBytes
    this.counters.shardsMissed += this.#parts.code.totalShards - put.durable.size
  }

  #refusal(put: PackPut): NodeError {
    const { totalShards } = this.#parts.code
    const reasons = [...put.failures.values()]
    const fenced = reasons.filter((reason) => codeOf(reason) === 'WRITER_FENCED').length
    // One store that says so may lie; so many that the rest is too few to accept cannot all.
    if (fenced > totalShards - this.#needed) {
      return new NodeError('WRITER_FENCED', `${fenced} stores refuse this writer`)
    }
    return new NodeError(
      'NOT_ENOUGH_STORES',
      `${put.durable.size} of ${totalShards} stores took the pack, ${this.#needed} are needed`,
      {
        cause: reasons[0],
        retryAfterMs: 1000,
        details: { durable: put.durable.size, needed: this.#needed },
      },
    )
  }

  /** Shards of a pack that was not accepted are nobody's. */
  async #removeShards(put: PackPut, id: Uint8Array): Promise<void> {
    await put.finished.promise
    const { signal } = this.#parts
    const removals = [...put.durable].map(async (shard) => {
      await put.links
        .get(shard)
        ?.call(PUT_MS_MAX, signal, (store, own) => store.delete(shardKey(id), own))
    })
    await Promise.allSettled(removals)
  }

  async #takeStripe(): Promise<Stripe> {
    const { code } = this.#parts
    const free = this.#free.pop()
    if (free !== undefined) return free
    if (this.#stripes < STRIPES_MAX) {
      this.#stripes++
      return new Stripe(code, shardBytesOf(PACK_BYTES_MAX, code.dataShards))
    }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  #giveBack(stripe: Stripe, put: PackPut): void {
    const { code } = this.#parts
    // A socket may still hold views of what was given up: that memory is never written again.
    this.#handOver(
      put.isAborted ? new Stripe(code, shardBytesOf(PACK_BYTES_MAX, code.dataShards)) : stripe,
    )
  }

  #handOver(stripe: Stripe): void {
    const waiting = this.#waiting.shift()
    if (waiting !== undefined) waiting(stripe)
    else this.#free.push(stripe)
  }

  #track(task: Promise<void>): void {
    const tracked = task
      .catch(() => undefined)
      .then(() => {
        this.#tasks.delete(tracked)
      })
    this.#tasks.add(tracked)
  }
}

/** True unless the call was given up while the store may still be taking the bytes. */
function isOver(caught: unknown): boolean {
  const code = codeOf(caught) ?? ''
  return code === 'WRITER_FENCED' || (code.startsWith('STORE_') && code !== 'STORE_TIMEOUT')
}
