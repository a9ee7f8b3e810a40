/**
 * The agent's state: typed resources in memory, the persisted kinds also in the journal, with a way to wait for changes.
 *
 * Changes come in batches: first the journal, then memory, then the watchers. A watcher is told which kinds changed, not
 * each change, so it is bounded by the number of kinds however slow it is.
 */
import { assert } from '../base/assert.ts'
import { NodeError } from '../base/errors.ts'
import { decodeResource, encodeResource } from './codec.ts'
import type { Journal, JournalChange } from './journal.ts'
import { ALL_KINDS, IDENTIFY, type Kind, type Kinds, PERSISTED } from './kinds.ts'

/** One watcher a controller and a few surfaces. */
const WATCHERS_MAX = 64

/** One change of one resource; `resource` undefined removes it. */
export interface Change<K extends Kind = Kind> {
  readonly kind: K
  readonly id: string
  readonly resource: Kinds[K] | undefined
}

/** Tells which kinds changed since it was last asked. */
export interface Watch {
  /**
   * Waits for a change of the watched kinds.
   *
   * @returns The kinds that changed, at least one.
   * @throws the signal's reason if it aborts first.
   */
  next(signal: AbortSignal): Promise<ReadonlySet<Kind>>
  close(): void
}

interface Entry {
  readonly resource: unknown
  readonly text: string
}

/** The resources of a kind; their order is kept until one comes or goes, because most are listed more often than that. */
class Entries {
  readonly #byId = new Map<string, Entry>()
  #sortedIds: readonly string[] | undefined
  #list: readonly unknown[] | undefined

  get(id: string): Entry | undefined {
    return this.#byId.get(id)
  }

  set(id: string, entry: Entry): void {
    if (!this.#byId.has(id)) this.#sortedIds = undefined
    this.#list = undefined
    this.#byId.set(id, entry)
  }

  delete(id: string): void {
    this.#byId.delete(id)
    this.#sortedIds = undefined
    this.#list = undefined
  }

  /** By ascending id; the same array until something changes. */
  get list(): readonly unknown[] {
    this.#sortedIds ??= [...this.#byId.keys()].sort(compareIds)
    this.#list ??= this.#sortedIds.map((id) => this.#byId.get(id)?.resource)
    return this.#list
  }
}

/** All resources of an agent. */
export class State {
  readonly #journal: Journal
  readonly #kinds = new Map<Kind, Entries>()
  readonly #watchers = new Set<Watcher>()
  #lastWrite: Promise<void> = Promise.resolve()

  private constructor(journal: Journal) {
    this.#journal = journal
    for (const kind of ALL_KINDS) this.#kinds.set(kind, new Entries())
  }

  /**
   * Opens the state with what its journal holds.
   *
   * @param journal - Stays the caller's to close, after the state's last use.
   * @throws NodeError `STATE_CORRUPT` if the journal holds something else.
   * @example
   * const state = await State.open(await openJournal(directory))
   */
  static async open(journal: Journal): Promise<State> {
    const state = new State(journal)
    for (const { key, text } of await journal.load()) {
      const [kind, id] = splitKey(key)
      const entries = kind && PERSISTED.has(kind) ? state.#kinds.get(kind) : undefined
      if (!entries || id === undefined) {
        throw new NodeError('STATE_CORRUPT', `the state has the unknown key "${key}"`)
      }
      entries.set(id, { resource: parse(key, text), text })
    }
    return state
  }

  /** All resources of a kind, by ascending id (numbers as numbers); the same array as long as none changed. */
  list<K extends Kind>(kind: K): readonly Kinds[K][] {
    return this.#entries(kind).list as readonly Kinds[K][]
  }

  get<K extends Kind>(kind: K, id: string): Kinds[K] | undefined {
    return this.#entries(kind).get(id)?.resource as Kinds[K] | undefined
  }

  /**
   * Applies changes; those that change nothing are dropped.
   *
   * @param changes - `[n]` changes; of two for one resource the later wins.
   * @throws NodeError `STATE_UNAVAILABLE`: then nothing was applied.
   */
  async apply(changes: readonly Change[]): Promise<void> {
    const mine = this.#lastWrite.then(() => this.#applyNow(changes))
    this.#lastWrite = mine.catch(() => undefined)
    return mine
  }

  async #applyNow(changes: readonly Change[]): Promise<void> {
    const real = changes.flatMap(({ kind, id, resource }) => {
      // What is not another object is not looked at: resources never change in place.
      if (resource !== undefined && this.#entries(kind).get(id)?.resource === resource) return []
      const text = resource === undefined ? undefined : encodeResource(resource)
      const isSame = this.#entries(kind).get(id)?.text === text
      return isSame ? [] : [{ kind, id, resource, text }]
    })
    if (real.length === 0) return
    const durable = real.flatMap(({ kind, id, text }): JournalChange[] =>
      PERSISTED.has(kind) ? [{ key: `${kind}/${id}`, text }] : [],
    )
    if (durable.length > 0) await this.#journal.write(durable)
    for (const { kind, id, resource, text } of real) {
      if (text === undefined) this.#entries(kind).delete(id)
      else this.#entries(kind).set(id, { resource, text })
    }
    const kinds = new Set(real.map(({ kind }) => kind))
    for (const watcher of this.#watchers) watcher.tell(kinds)
  }

  /**
   * Watches kinds from now on.
   *
   * @param kinds - Kinds to be told about.
   * @throws NodeError `STATE_TOO_MANY_WATCHERS`.
   */
  watch(kinds: readonly Kind[]): Watch {
    if (this.#watchers.size >= WATCHERS_MAX) {
      throw new NodeError('STATE_TOO_MANY_WATCHERS', `${WATCHERS_MAX} watches are open`)
    }
    const watcher = new Watcher(kinds, () => this.#watchers.delete(watcher))
    this.#watchers.add(watcher)
    return watcher
  }

  #entries(kind: Kind): Entries {
    const entries = this.#kinds.get(kind)
    assert(entries, `${kind} is a kind`)
    return entries
  }
}

class Watcher implements Watch {
  readonly #wanted: ReadonlySet<Kind>
  readonly #onClose: () => void
  #changed = new Set<Kind>()
  #wake: (() => void) | undefined

  constructor(kinds: readonly Kind[], onClose: () => void) {
    this.#wanted = new Set(kinds)
    this.#onClose = onClose
  }

  tell(kinds: ReadonlySet<Kind>): void {
    for (const kind of kinds) if (this.#wanted.has(kind)) this.#changed.add(kind)
    if (this.#changed.size > 0) this.#wake?.()
  }

  async next(signal: AbortSignal): Promise<ReadonlySet<Kind>> {
    signal.throwIfAborted()
    if (this.#changed.size === 0) {
      const woken = Promise.withResolvers<void>()
      const abort = () => woken.reject(signal.reason)
      signal.addEventListener('abort', abort, { once: true })
      this.#wake = woken.resolve
      await woken.promise.finally(() => {
        this.#wake = undefined
        signal.removeEventListener('abort', abort)
      })
    }
    const changed = this.#changed
    this.#changed = new Set()
    return changed
  }

  close(): void {
    this.#onClose()
  }
}

function splitKey(key: string): [kind: Kind | undefined, id: string | undefined] {
  const at = key.indexOf('/')
  const kind = ALL_KINDS.find((one) => one === key.slice(0, at))
  return [kind, at < 0 ? undefined : key.slice(at + 1)]
}

function parse(key: string, text: string): unknown {
  try {
    return decodeResource(text)
  } catch (cause) {
    throw new NodeError('STATE_CORRUPT', `the state’s entry "${key}" is not readable`, { cause })
  }
}

function compareIds(a: string, b: string): number {
  const difference = Number(a) - Number(b)
  if (Number.isNaN(difference)) return a < b ? -1 : a > b ? 1 : 0
  return difference
}

/**
 * A change that sets a resource, with the id that its kind gives it.
 *
 * @example
 * await state.apply([put('policy', policy)])
 */
export function put<K extends Kind>(kind: K, resource: Kinds[K]): Change<K> {
  const identify: (resource: Kinds[K]) => string = IDENTIFY[kind]
  return { kind, id: identify(resource), resource }
}
