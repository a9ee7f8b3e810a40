/**
 * The store of a simulated machine: namespaces that the agent's configuration opens, guards and ends, each value durable
 * before it is acknowledged; what a crash catches before that is there afterwards or not, by chance.
 *
 * It stands for `unit store` with `sync: always`, and says what that says.
 */
import { NodeError } from '../../agent/base/errors.ts'
import type { Account } from '../../agent/base/ids.ts'
import type { Chance } from '../../agent/base/ports.ts'
import type { NamespaceConfig, StoreUnitConfig } from '../../agent/state/unit-config.ts'
import type { SimProcess } from './sim-process.ts'

/** One namespace on the machine's disk. */
export interface SimNamespace {
  config: NamespaceConfig
  readonly values: Map<string, Uint8Array>
}

/** Told of every namespace that comes and goes. */
export interface StoreWitness {
  provisioned(namespace: string): void
  removed(namespace: string): void
}

/** Fault counters of a store's disk. */
const SYNC_MS_MAX = 6

/** What the store's disk holds, and the process on it if one runs. */
export class SimStore {
  readonly namespaces = new Map<string, SimNamespace>()
  readonly #chance: Chance
  readonly #witness: StoreWitness
  /** Writes that are not durable yet. */
  #unsynced: (() => void)[] = []
  #process: SimProcess | undefined

  constructor(chance: Chance, witness: StoreWitness) {
    this.#chance = chance
    this.#witness = witness
  }

  get isRunning(): boolean {
    return this.#process !== undefined && !this.#process.isDead
  }

  /** A process opens the store. */
  open(process: SimProcess): void {
    this.#process = process
    process.onDeath(() => {
      if (this.#process !== process) return
      this.#process = undefined
      for (const take of this.#unsynced) if (this.#chance.below(2) === 0) take()
      this.#unsynced = []
    })
  }

  configure(config: StoreUnitConfig): void {
    for (const name of config.ended) {
      if (this.namespaces.delete(name)) this.#witness.removed(name)
    }
    for (const wanted of config.namespaces) {
      const found = this.namespaces.get(wanted.name)
      if (found) found.config = wanted
      else {
        this.namespaces.set(wanted.name, { config: wanted, values: new Map() })
        this.#witness.provisioned(wanted.name)
      }
    }
  }

  status(): object {
    return { namespaces: [...this.namespaces.keys()].map((name) => ({ name })) }
  }

  /** @throws NodeError `STORE_REFUSED`. */
  async put(peer: Account, name: string, key: string, value: Uint8Array): Promise<void> {
    this.#entered(peer, name, true)
    await this.#durable(() => this.#entered(peer, name, true).values.set(key, value))
  }

  /** @returns False if the key holds another value. */
  async putNew(peer: Account, name: string, key: string, value: Uint8Array): Promise<boolean> {
    const held = this.#entered(peer, name, true).values.get(key)
    if (held) return Buffer.compare(held, value) === 0
    let isTaken = true
    await this.#durable(() => {
      const { values } = this.#entered(peer, name, true)
      const other = values.get(key)
      if (other) isTaken = Buffer.compare(other, value) === 0
      else values.set(key, value)
    })
    return isTaken
  }

  async delete(peer: Account, name: string, key: string): Promise<void> {
    this.#entered(peer, name, true)
    await this.#durable(() => this.#entered(peer, name, true).values.delete(key))
  }

  get(peer: Account, name: string, key: string): Uint8Array | undefined {
    return this.#entered(peer, name, false).values.get(key)
  }

  list(peer: Account, name: string, prefix: string, after: string, limit: number): string[] {
    const keys = [...this.#entered(peer, name, false).values.keys()]
    return keys
      .filter((key) => key.startsWith(prefix) && key > after)
      .sort()
      .slice(0, limit)
  }

  #entered(peer: Account, name: string, isWrite: boolean): SimNamespace {
    const found = this.namespaces.get(name)
    const refuse = (words: string) =>
      new NodeError('STORE_REFUSED', words, { retryAfterMs: 1000, details: { words } })
    if (!found) throw refuse('Namespace not found')
    const { config } = found
    const mayWrite = config.writers.includes(peer)
    if (!mayWrite && !config.readers.includes(peer)) throw refuse('Access denied')
    if (isWrite && !mayWrite) throw refuse('Namespace is in read-only mode')
    if (config.state === 'suspended') throw refuse('Namespace is temporarily frozen')
    return found
  }

  async #durable(take: () => void): Promise<void> {
    const process = this.#process
    if (!process) throw new NodeError('STORE_UNREACHABLE', 'the store ended')
    this.#unsynced.push(take)
    await process.clock.sleep(this.#chance.below(SYNC_MS_MAX))
    this.#unsynced = this.#unsynced.filter((other) => other !== take)
    take()
  }
}
