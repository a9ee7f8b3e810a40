/**
 * A queue with a limit: whoever puts in more than it holds waits, so a fast producer can never outgrow memory.
 *
 * The limit counts items, or whatever `weigh` says (bytes, mostly). Both ends may wait, with an abort signal.
 */
import { assert } from './assert.ts'
import { NodeError } from './errors.ts'

interface Pusher<T> {
  readonly item: T
  readonly weight: number
  resolve(): void
  reject(reason: unknown): void
}

interface Taker<T> {
  resolve(item: T | undefined): void
  reject(reason: unknown): void
}

/**
 * A first-in, first-out queue of limited weight.
 *
 * @example
 * const queue = new BoundedQueue<Uint8Array>({ limit: 4 * MIB, weigh: (bytes) => bytes.byteLength })
 * await queue.push(bytes, signal)     // waits while 4 MiB are in it
 * const next = await queue.take()     // undefined once ended and empty
 */
export class BoundedQueue<T> {
  readonly #limit: number
  readonly #weigh: (item: T) => number
  #items: T[] = []
  #weight = 0
  #pushers: Pusher<T>[] = []
  #takers: Taker<T>[] = []
  #ended = false
  #failure: { readonly reason: unknown } | undefined

  /**
   * @param options.limit - Greatest weight inside, `>= 1`. One heavier item is let in when the queue is empty.
   * @param options.weigh - Weight of an item, `>= 0`; 1 each if left out.
   */
  constructor(options: { readonly limit: number; readonly weigh?: (item: T) => number }) {
    assert(options.limit >= 1, 'a queue holds something')
    this.#limit = options.limit
    this.#weigh = options.weigh ?? (() => 1)
  }

  /** Items inside, without those that wait to get in. */
  get size(): number {
    return this.#items.length
  }

  /** Their weight. */
  get weight(): number {
    return this.#weight
  }

  /**
   * Puts an item in if there is room at once.
   *
   * @param item - The item.
   * @returns False if the queue is full.
   * @throws NodeError `QUEUE_ENDED`, or the reason of `fail`.
   */
  tryPush(item: T): boolean {
    this.#requireOpen()
    const weight = this.#weigh(item)
    if (this.#pushers.length > 0 || !this.#hasRoom(weight)) return false
    this.#accept(item, weight)
    return true
  }

  /**
   * Puts an item in, waiting for room if need be.
   *
   * @param item - The item.
   * @param signal - Gives up waiting; the item is then not in the queue.
   * @throws NodeError `QUEUE_ENDED`, the reason of `fail`, or the signal's reason.
   */
  async push(item: T, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    if (this.tryPush(item)) return
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const pusher: Pusher<T> = { item, weight: this.#weigh(item), resolve, reject }
    this.#pushers.push(pusher)
    await untilAborted(promise, signal, (reason) => {
      this.#pushers = this.#pushers.filter((other) => other !== pusher)
      reject(reason)
      // Those behind it may be lighter.
      this.#admit()
    })
  }

  /**
   * Takes the oldest item, waiting for one if need be.
   *
   * @param signal - Gives up waiting; no item is then lost.
   * @returns The item, or undefined once the queue is ended and empty.
   * @throws The reason of `fail`, or the signal's reason.
   */
  async take(signal?: AbortSignal): Promise<T | undefined> {
    signal?.throwIfAborted()
    if (this.#failure) throw this.#failure.reason
    if (this.#items.length > 0) return this.#shift()
    if (this.#ended) return undefined
    const { promise, resolve, reject } = Promise.withResolvers<T | undefined>()
    const taker: Taker<T> = { resolve, reject }
    this.#takers.push(taker)
    return untilAborted(promise, signal, (reason) => {
      this.#takers = this.#takers.filter((other) => other !== taker)
      reject(reason)
    })
  }

  /** Lets nothing more in; what is inside, and who already waits, still comes out. Repeatable. */
  end(): void {
    this.#ended = true
    this.#releaseTakers()
  }

  /**
   * Drops everything: all who wait, and all later calls, get `reason`. Only the first reason counts.
   *
   * @param reason - What to throw.
   */
  fail(reason: unknown): void {
    if (this.#failure) return
    this.#failure = { reason }
    const waiting = [...this.#pushers, ...this.#takers]
    this.#items = []
    this.#weight = 0
    this.#pushers = []
    this.#takers = []
    for (const { reject } of waiting) reject(reason)
  }

  #requireOpen(): void {
    if (this.#failure) throw this.#failure.reason
    if (this.#ended) throw new NodeError('QUEUE_ENDED', 'nothing may be put into an ended queue')
  }

  #hasRoom(weight: number): boolean {
    return this.#items.length === 0 || this.#weight + weight <= this.#limit
  }

  #accept(item: T, weight: number): void {
    const taker = this.#takers.shift()
    if (taker) {
      taker.resolve(item)
      return
    }
    this.#items.push(item)
    this.#weight += weight
  }

  #shift(): T | undefined {
    const item = this.#items.shift()
    if (item !== undefined) this.#weight -= this.#weigh(item)
    this.#admit()
    return item
  }

  #admit(): void {
    for (let next = this.#pushers[0]; next; next = this.#pushers[0]) {
      if (!this.#hasRoom(next.weight)) return
      this.#pushers.shift()
      this.#accept(next.item, next.weight)
      next.resolve()
    }
    this.#releaseTakers()
  }

  #releaseTakers(): void {
    if (!this.#ended || this.#items.length > 0 || this.#pushers.length > 0) return
    const takers = this.#takers
    this.#takers = []
    for (const taker of takers) taker.resolve(undefined)
  }
}

async function untilAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  giveUp: (reason: unknown) => void,
): Promise<T> {
  if (!signal) return promise
  const onAbort = () => giveUp(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await promise
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
