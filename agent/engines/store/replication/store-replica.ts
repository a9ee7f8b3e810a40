/** A store that follows another: one namespace of it, or all that it has, those that are made later included. */
import { describeError } from '../../../base/errors.ts'
import type { LogStore } from '../store.ts'
import { NamespaceReplica, type PrimaryAccess } from './namespace-replica.ts'
import { listNamespaces, logIn } from './primary-protocol.ts'
import type { ReplicaControl, ReplicaFacts } from './replica-control.ts'

/** How soon a namespace that was made on the primary is followed. */
const LIST_MS = 2000
/** Each is a connection of its own. */
const NAMESPACES_MAX = 1024

/** What a store replica is made with. */
export interface StoreReplicaInit extends PrimaryAccess {
  readonly store: LogStore
  /** `host:port`, for people. */
  readonly primary: string
  /** The one namespace to follow, bytes as latin1; undefined for all. */
  readonly namespace: string | undefined
}

/**
 * Follows a primary until it is closed or promoted.
 *
 * A namespace that the primary has no more stays here as it is: that something is missing is no order to remove it.
 */
export class StoreReplica implements ReplicaControl {
  readonly primary: string
  readonly #init: StoreReplicaInit
  readonly #ending = new AbortController()
  readonly #replicas = new Map<string, NamespaceReplica>()
  readonly #running = new Set<Promise<void>>()

  /**
   * @example
   * const replica = new StoreReplica({ store, dialer, primary: 'db1:9900', namespace: undefined, password, name: 'db2' })
   * replica.start()
   */
  constructor(init: StoreReplicaInit) {
    this.#init = init
    this.primary = init.primary
  }

  get isFollowing(): boolean {
    return !this.#ending.signal.aborted
  }

  facts(): ReplicaFacts[] {
    return [...this.#replicas.values()].map((one) => one.facts)
  }

  /** Starts; returns at once. */
  start(): void {
    const { namespace } = this.#init
    if (namespace !== undefined) this.#follow(namespace)
    else this.#run(this.#list())
  }

  /** Stops following, and waits until nothing is taken over any more. */
  async close(): Promise<void> {
    this.#ending.abort()
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  async promote(): Promise<void> {
    await this.close()
    const { store } = this.#init
    for (const namespace of store.namespaces.values()) await namespace.promote(store.newLogId())
    store.ports.log.info({ primary: this.primary }, 'replica was made a store of its own')
  }

  #run(task: Promise<void>): void {
    const running: Promise<void> = task.finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  #follow(name: string): void {
    const { store } = this.#init
    if (this.#replicas.has(name)) return
    if (this.#replicas.size >= NAMESPACES_MAX) {
      store.ports.log.error({ namespace: name }, 'too many namespaces to follow')
      return
    }
    const replica = new NamespaceReplica(store, this.#init, name)
    this.#replicas.set(name, replica)
    this.#run(replica.run(this.#ending.signal))
  }

  /** Asks for the names again and again. */
  async #list(): Promise<void> {
    const { signal } = this.#ending
    const { clock, log } = this.#init.store.ports
    while (!signal.aborted) {
      try {
        await this.#listOnce(signal)
      } catch (caught) {
        if (signal.aborted) return
        log.warn({ primary: this.primary, cause: describeError(caught) }, 'primary not reached')
      }
      await clock.sleep(LIST_MS, signal).catch(() => undefined)
    }
  }

  async #listOnce(signal: AbortSignal): Promise<void> {
    const { dialer, password, store } = this.#init
    const link = await dialer.dial(signal)
    try {
      if (password) await logIn(link, password, signal)
      while (!signal.aborted) {
        for (const name of await listNamespaces(link, signal)) this.#follow(name)
        await store.ports.clock.sleep(LIST_MS, signal)
      }
    } finally {
      link.close()
    }
  }
}
