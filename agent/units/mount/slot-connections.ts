/**
 * Connections of a mount to the stores of its volume: one a slot and generation, over the dial socket of the links unit.
 *
 * A slot that the ledger gave to another node gets a new connection; the old one is closed.
 */
import { sharedSocket } from '../../adapters/process/run-sockets.ts'
import { dialService } from '../../adapters/socket/dial.ts'
import type { RespNamespace } from '../../adapters/socket/resp-namespace.ts'
import { type RespShardStore, respShardStore } from '../../adapters/socket/resp-shard-store.ts'
import type { Account } from '../../base/ids.ts'
import type { ShardStore, Slot } from '../../engines/disperse/index.ts'
import type { SlotConfig } from '../../state/unit-config.ts'

interface Connected {
  readonly key: string
  readonly store: RespShardStore
}

/** See the file's comment. */
export class SlotConnections {
  readonly #dialSocketPath: string
  readonly #connected = new Map<number, Connected>()
  /** Connections to nodes that had a slot before, by account and namespace. */
  readonly #formers = new Map<string, RespShardStore>()

  /** @param dataDir - Data directory of the node, whose links unit dials. */
  constructor(dataDir: string) {
    this.#dialSocketPath = sharedSocket(dataDir, 'links/dial').path
  }

  /**
   * Makes the connections fit the configuration; nothing is dialled before it is needed.
   *
   * @param slots - `[n]` slots as the ledger has them, positions unique.
   * @returns The same slots with their stores.
   */
  set(slots: readonly SlotConfig[]): Slot[] {
    const formersBefore = new Map(this.#formers)
    const joined = slots.map((slot) => {
      const formers = (slot.formers ?? []).map((account) => {
        formersBefore.delete(`${account} ${slot.namespace}`)
        return this.#former(account, slot.namespace)
      })
      const own = { index: slot.index, generation: slot.generation, store: this.#present(slot) }
      return formers.length > 0 ? { ...own, formers } : own
    })
    for (const [key, store] of formersBefore) {
      store.close()
      this.#formers.delete(key)
    }
    return joined
  }

  #present({ index, generation, account, namespace }: SlotConfig): ShardStore {
    const key = `${generation} ${account} ${namespace}`
    const known = this.#connected.get(index)
    if (known?.key === key) return known.store
    known?.store.close()
    const store = this.#dialled(account, namespace)
    this.#connected.set(index, { key, store })
    return store
  }

  #former(account: Account, namespace: string): ShardStore {
    const key = `${account} ${namespace}`
    const store = this.#formers.get(key) ?? this.#dialled(account, namespace)
    this.#formers.set(key, store)
    return store
  }

  #dialled(account: Account, namespace: string): RespShardStore {
    return respShardStore({
      namespace,
      connect: (signal) =>
        dialService({
          ...{ dialSocketPath: this.#dialSocketPath, account, service: 'store', signal },
        }),
    })
  }

  /** The namespace of a slot, over the same connection; undefined if there is no such slot. */
  remoteOf(
    index: number,
  ): { readonly remote: RespNamespace; readonly store: ShardStore } | undefined {
    const store = this.#connected.get(index)?.store
    return store && { remote: store.remote, store }
  }

  /** Closes all. */
  close(): void {
    for (const { store } of this.#connected.values()) store.close()
    for (const store of this.#formers.values()) store.close()
    this.#connected.clear()
    this.#formers.clear()
  }
}
