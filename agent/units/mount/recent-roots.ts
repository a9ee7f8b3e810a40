/**
 * Roots of the shards that this mount stored lately, so that committing them does not read them back: what was just sent is in
 * memory and needs only to be hashed. Bounded: what was forgotten is read back once.
 */
import { toHex } from '../../base/bytes.ts'
import { bytesRoot } from '../../base/bytes-root.ts'
import type { ShardStore, Slot } from '../../engines/disperse/index.ts'

/** Shards a slot: an hour of writing 1 MiB shards at 10 MB/s in six slots; 150 bytes each. */
const SHARDS_MAX = 8192

interface Recent {
  readonly root: Uint8Array
  readonly lengthBytes: number
}

/** See the file's comment. */
export class RecentRoots {
  /** While false nothing is hashed. */
  isEnabled = false
  readonly #wrapped = new WeakMap<ShardStore, ShardStore>()
  readonly #roots = new WeakMap<ShardStore, Map<string, Recent>>()

  /** @param slots - As the ledger has them. @returns The same slots, their stores noting what is put. */
  wrap(slots: readonly Slot[]): Slot[] {
    return slots.map((slot) => ({ ...slot, store: this.#noting(slot.store) }))
  }

  /** The root of a value, undefined if it was not stored lately. @param store - As it was before wrapping. */
  rootOf(store: ShardStore, key: Uint8Array, lengthBytes: number): Uint8Array | undefined {
    const recent = this.#roots.get(store)?.get(toHex(key))
    return recent?.lengthBytes === lengthBytes ? recent.root : undefined
  }

  #noting(store: ShardStore): ShardStore {
    const known = this.#wrapped.get(store)
    if (known) return known
    const roots = new Map<string, Recent>()
    const noting: ShardStore = {
      put: async (key, value, signal) => {
        // Before it is sent: the memory may be used for another stripe once it was.
        const root = this.isEnabled ? bytesRoot(value) : undefined
        const lengthBytes = value.byteLength
        await store.put(key, value, signal)
        if (root) note(roots, toHex(key), { root, lengthBytes })
      },
      // Commits are put this way, and no audit asks for them.
      putNew: (key, value, signal) => store.putNew(key, value, signal),
      get: (key, signal) => store.get(key, signal),
      getRange: (key, offset, lengthBytes, signal) =>
        store.getRange(key, offset, lengthBytes, signal),
      list: (prefix, after, limit, signal) => store.list(prefix, after, limit, signal),
      delete: (key, signal) => store.delete(key, signal),
    }
    this.#wrapped.set(store, noting)
    this.#roots.set(store, roots)
    return noting
  }
}

function note(roots: Map<string, Recent>, key: string, recent: Recent): void {
  roots.delete(key)
  roots.set(key, recent)
  const [oldest] = roots.keys()
  if (roots.size > SHARDS_MAX && oldest !== undefined) roots.delete(oldest)
}
