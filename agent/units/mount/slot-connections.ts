/**
 * Connections of a mount to the stores of its volume: one a slot and generation, over the dial socket of the links unit.
 *
 * A slot that the ledger gave to another node gets a new connection; the old one is closed.
 */
import { sharedSocket } from '../../adapters/process/run-sockets.ts'
import { dialService } from '../../adapters/socket/dial.ts'
import type { RespNamespace } from '../../adapters/socket/resp-namespace.ts'
import { type RespShardStore, respShardStore } from '../../adapters/socket/resp-shard-store.ts'
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
    return slots.map(({ index, generation, account, namespace }) => {
      const key = `${generation} ${account} ${namespace}`
      const known = this.#connected.get(index)
      if (known?.key === key) return { index, generation, store: known.store }
      known?.store.close()
      const store = respShardStore({
        namespace,
        connect: (signal) =>
          dialService({
            ...{ dialSocketPath: this.#dialSocketPath, account, service: 'store', signal },
          }),
      })
      this.#connected.set(index, { key, store })
      return { index, generation, store }
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
    this.#connected.clear()
  }
}
