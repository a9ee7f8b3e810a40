/**
 * A shard store in memory whose faults a seed or a test decides: away, slow, hanging, full, fenced, corrupting, forgetting.
 */
import { NodeError } from '../../agent/base/errors.ts'
import type { Chance, Clock } from '../../agent/base/ports.ts'
import type { ShardStore } from '../../agent/engines/disperse/index.ts'

/** What is wrong with a store, changeable at any time. */
export interface ShardStoreFaults {
  /** Does not answer: connection refused. */
  isAway?: boolean
  /** Takes calls and never answers. */
  isHanging?: boolean
  /** Milliseconds before each answer. */
  delayMs?: number
  /** More milliseconds, up to this, by chance. */
  jitterMs?: number
  /** Refuses to store. */
  isFull?: boolean
  /** Refuses this writer. */
  isFenced?: boolean
  /** Of 1000 calls, how many fail as if the connection broke: half of them after taking effect. */
  failPerMille?: number
}

/** A shard store for tests. */
export class FakeShardStore implements ShardStore {
  readonly faults: ShardStoreFaults = {}
  readonly calls = { put: 0, get: 0, getRange: 0, list: 0, delete: 0 }
  readonly #clock: Clock
  readonly #chance: Chance
  readonly #values = new Map<string, Uint8Array>()

  constructor(clock: Clock, chance: Chance) {
    this.#clock = clock
    this.#chance = chance
  }

  /** Keys held, ascending, as hexadecimal. */
  get keys(): string[] {
    return [...this.#values.keys()].sort()
  }

  /** Bytes held. */
  get sizeBytes(): number {
    return [...this.#values.values()].reduce((sum, value) => sum + value.byteLength, 0)
  }

  /** Flips one bit of a value. @returns False if there is no such key. */
  corrupt(key: string): boolean {
    const value = this.#values.get(key)
    if (value === undefined) return false
    const copy = value.slice()
    const at = this.#chance.below(copy.byteLength)
    copy[at]! ^= 1 << this.#chance.below(8)
    this.#values.set(key, copy)
    return true
  }

  /** Forgets a value, as a disk may. @returns False if there is no such key. */
  lose(key: string): boolean {
    return this.#values.delete(key)
  }

  /** Forgets everything. */
  wipe(): void {
    this.#values.clear()
  }

  /** A value as it is, without faults. */
  peek(key: string): Uint8Array | undefined {
    return this.#values.get(key)
  }

  async put(key: Uint8Array, value: Uint8Array, signal: AbortSignal): Promise<void> {
    this.calls.put++
    await this.#answer(signal, () => {
      if (this.faults.isFenced) throw new NodeError('WRITER_FENCED', 'a newer writer took over')
      if (this.faults.isFull) throw new NodeError('STORE_FULL', 'no room left')
      this.#values.set(hex(key), value.slice())
    })
  }

  async putNew(key: Uint8Array, value: Uint8Array, signal: AbortSignal): Promise<boolean> {
    this.calls.put++
    return this.#answer(signal, () => {
      if (this.faults.isFenced) throw new NodeError('WRITER_FENCED', 'a newer writer took over')
      const held = this.#values.get(hex(key))
      if (held) return Buffer.compare(held, value) === 0
      if (this.faults.isFull) throw new NodeError('STORE_FULL', 'no room left')
      this.#values.set(hex(key), value.slice())
      return true
    })
  }

  async get(key: Uint8Array, signal: AbortSignal): Promise<Uint8Array | undefined> {
    this.calls.get++
    return this.#answer(signal, () => this.#values.get(hex(key))?.slice())
  }

  async getRange(
    key: Uint8Array,
    offset: number,
    lengthBytes: number,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    this.calls.getRange++
    return this.#answer(signal, () =>
      this.#values.get(hex(key))?.slice(offset, offset + lengthBytes),
    )
  }

  async list(
    prefix: Uint8Array,
    after: Uint8Array | undefined,
    limit: number,
    signal: AbortSignal,
  ): Promise<readonly Uint8Array[]> {
    this.calls.list++
    return this.#answer(signal, () =>
      this.keys
        .filter((key) => key.startsWith(hex(prefix)) && (!after || key > hex(after)))
        .slice(0, limit)
        .map((key) => new Uint8Array(Buffer.from(key, 'hex'))),
    )
  }

  async delete(key: Uint8Array, signal: AbortSignal): Promise<void> {
    this.calls.delete++
    await this.#answer(signal, () => {
      if (this.faults.isFenced) throw new NodeError('WRITER_FENCED', 'a newer writer took over')
      this.#values.delete(hex(key))
    })
  }

  async #answer<T>(signal: AbortSignal, act: () => T): Promise<T> {
    signal.throwIfAborted()
    const { isAway, isHanging, delayMs = 0, jitterMs = 0, failPerMille = 0 } = this.faults
    if (isAway) throw new NodeError('STORE_UNREACHABLE', 'connection refused')
    if (isHanging) await untilAborted(signal)
    const waitMs = delayMs + (jitterMs > 0 ? this.#chance.below(jitterMs + 1) : 0)
    if (waitMs > 0) await this.#clock.sleep(waitMs, signal)
    const dice = failPerMille > 0 ? this.#chance.below(1000) : 1000
    if (dice < failPerMille / 2) throw new NodeError('STORE_UNREACHABLE', 'connection reset')
    const result = act()
    if (dice < failPerMille) throw new NodeError('STORE_UNREACHABLE', 'connection reset')
    return result
  }
}

function hex(key: Uint8Array): string {
  return Buffer.from(key).toString('hex')
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
