/**
 * A slot as this engine talks to it: every call has a time limit, and a slot that fails is left alone for a while.
 *
 * Backing off is what keeps one dead store from costing every write its time limit: after a failure the slot is skipped for
 * 200 ms, doubling to 30 s, and then a single call finds out.
 */
import { backoffMs } from '../../base/backoff.ts'
import { NodeError } from '../../base/errors.ts'
import { linkedAbort, NOT_NEEDED } from '../../base/linked-abort.ts'
import type { Clock } from '../../base/ports.ts'
import type { ShardStore, Slot } from './ports.ts'

/** First pause after a failure: shorter than a reconnection takes to succeed. */
const BACK_OFF_MS_MIN = 200
/** Longest pause: what a returned store waits at most to be used again. */
const BACK_OFF_MS_MAX = 30_000
/** While one call finds out whether a slot is back, others stay away for this long. */
const PROBE_MS = 5_000
/** Weight of the newest latency in the mean. */
const LATENCY_WEIGHT = 0.2
/** Latency believed of a slot that has not answered yet. */
const LATENCY_MS_FIRST = 20

/** Codes with which a store answers: it is well, it only refuses. */
const ANSWERS = new Set(['WRITER_FENCED', 'STORE_FULL', 'STORE_REFUSED', 'STORE_READ_ONLY'])

/** Counters of a slot since the start. */
export interface SlotCounters {
  puts: number
  gets: number
  failures: number
  timeouts: number
  bytesOut: number
  bytesIn: number
}

/** What the status says of a slot. */
export interface SlotStatus extends Readonly<SlotCounters> {
  readonly index: number
  readonly generation: number
  readonly isAvailable: boolean
  readonly latencyMs: number
  /** Code of the last failure, undefined after a success. */
  readonly lastFailure: string | undefined
}

/** One generation of one slot. */
export class SlotLink {
  readonly index: number
  readonly generation: number
  readonly counters: SlotCounters
  /** Links to stores that had the slot before: read when the present one lacks a shard, never written. */
  formers: readonly SlotLink[] = []
  #store: ShardStore
  readonly #clock: Clock
  #failures = 0
  #retryAtMs = 0
  #latencyMs = LATENCY_MS_FIRST
  #lastFailure: string | undefined

  constructor(slot: Slot, clock: Clock) {
    this.index = slot.index
    this.generation = slot.generation
    this.#store = slot.store
    this.#clock = clock
    this.counters = { puts: 0, gets: 0, failures: 0, timeouts: 0, bytesOut: 0, bytesIn: 0 }
  }

  /** Mean milliseconds of an answer. */
  get latencyMs(): number {
    return this.#latencyMs
  }

  /** True unless it failed and its pause is not over. */
  get isAvailable(): boolean {
    return this.#failures === 0 || this.#clock.monotonic() >= this.#retryAtMs
  }

  /** Takes over another connection to the same store. */
  replaceStore(store: ShardStore): void {
    this.#store = store
  }

  /** True if it speaks to this store now. */
  speaksTo(store: ShardStore): boolean {
    return this.#store === store
  }

  status(): SlotStatus {
    return {
      ...this.counters,
      index: this.index,
      generation: this.generation,
      isAvailable: this.isAvailable,
      latencyMs: this.#latencyMs,
      lastFailure: this.#lastFailure,
    }
  }

  /** Stores a value. @param limitMs - Time limit. @throws NodeError `STORE_*`, `WRITER_FENCED`. */
  async put(
    key: Uint8Array,
    value: Uint8Array,
    limitMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    await this.call(limitMs, signal, (store, own) => store.put(key, value, own))
    this.counters.puts++
    this.counters.bytesOut += value.byteLength
  }

  /** A whole value, or undefined if the store answers that it has none. @throws NodeError `STORE_*`. */
  async get(
    key: Uint8Array,
    limitMs: number,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    const value = await this.call(limitMs, signal, (store, own) => store.get(key, own))
    this.counters.gets++
    this.counters.bytesIn += value?.byteLength ?? 0
    return value
  }

  /** Part of a value. @throws NodeError `STORE_*`. */
  async getRange(
    key: Uint8Array,
    offset: number,
    lengthBytes: number,
    limitMs: number,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    const value = await this.call(limitMs, signal, (store, own) =>
      store.getRange(key, offset, lengthBytes, own),
    )
    this.counters.gets++
    this.counters.bytesIn += value?.byteLength ?? 0
    return value
  }

  /**
   * Calls the store within a time limit and remembers how it went.
   *
   * @throws NodeError `STORE_TIMEOUT`, whatever the store throws, or the reason of `signal`.
   */
  async call<T>(
    limitMs: number,
    signal: AbortSignal,
    work: (store: ShardStore, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted()
    const startMs = this.#clock.monotonic()
    const probeUntilMs = startMs + PROBE_MS
    if (this.#failures > 0) this.#retryAtMs = probeUntilMs
    try {
      const result = await withinLimit(this.#clock, limitMs, signal, (own) =>
        work(this.#store, own),
      )
      this.#succeeded(this.#clock.monotonic() - startMs)
      return result
    } catch (caught) {
      // Who gave up says nothing about the store.
      if (!signal.aborted) this.#failed(caught)
      else if (this.#retryAtMs === probeUntilMs) this.#retryAtMs = startMs
      throw caught
    }
  }

  /** Counts a call that its caller gave up because it took too long. */
  tookTooLong(): void {
    this.#failed(new NodeError('STORE_TIMEOUT', `slot ${this.index} is slower than the others`))
  }

  #succeeded(elapsedMs: number): void {
    this.#failures = 0
    this.#lastFailure = undefined
    this.#latencyMs += (elapsedMs - this.#latencyMs) * LATENCY_WEIGHT
  }

  #failed(caught: unknown): void {
    const code = caught instanceof NodeError ? caught.code : 'BUG'
    this.counters.failures++
    if (code === 'STORE_TIMEOUT') this.counters.timeouts++
    this.#lastFailure = code
    if (ANSWERS.has(code)) {
      this.#failures = 0
      return
    }
    this.#failures++
    const pauseMs = backoffMs(this.#failures, { minMs: BACK_OFF_MS_MIN, maxMs: BACK_OFF_MS_MAX })
    this.#retryAtMs = this.#clock.monotonic() + pauseMs
  }
}

/**
 * Runs work that is aborted, and given up, after a time.
 *
 * @throws NodeError `STORE_TIMEOUT`, whatever `work` throws, or the reason of `signal`.
 */
export async function withinLimit<T>(
  clock: Clock,
  limitMs: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted()
  const own = linkedAbort(signal)
  const gaveUp = Promise.withResolvers<never>()
  own.signal.addEventListener('abort', () => gaveUp.reject(own.signal.reason), { once: true })
  const timer = new AbortController()
  clock.sleep(limitMs, timer.signal).then(
    () => own.abort(new NodeError('STORE_TIMEOUT', `no answer within ${limitMs} ms`)),
    () => undefined,
  )
  try {
    return await Promise.race([work(own.signal), gaveUp.promise])
  } finally {
    own.release()
    timer.abort(NOT_NEEDED)
  }
}
