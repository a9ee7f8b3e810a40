/**
 * The agent's state: typed resources in memory, the persisted kinds also in the journal, with a way to wait for changes.
 *
 * Changes come in batches: first the journal, then memory, then the watchers. A watcher is told which kinds changed, not
 * each change, so it is bounded by the number of kinds however slow it is.
 */
import { assert } from '../base/assert.ts'
import { NodeError } from '../base/errors.ts'
import { encodeResource } from './codec.ts'
import type { Journal, JournalChange } from './journal.ts'
import { ALL_KINDS, IDENTIFY, type Kind, type Kinds } from './kinds.ts'
import {
  isPersisted,
  type ReadRecords,
  type RecordFormats,
  readRecords,
  recordText,
} from './records.ts'

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
  /** Records that were not believed when the state was opened, with what is wrong. */
  readonly aside: ReadRecords['aside']
  readonly #formats: RecordFormats
  /** What puts the journal in order, written with the first change, so that both are durable or neither is. */
  #due: readonly JournalChange[]
  readonly #journal: Journal
  readonly #kinds = new Map<Kind, Entries>()
  readonly #watchers = new Set<Watcher>()
  #lastWrite: Promise<void> = Promise.resolve()

  private constructor(journal: Journal, formats: RecordFormats, read: ReadRecords) {
    this.#journal = journal
    this.#formats = formats
    this.aside = read.aside
    this.#due = read.changes
    for (const kind of ALL_KINDS) this.#kinds.set(kind, new Entries())
  }

  /**
   * Opens the state with what its journal holds and this program understands; see `records.ts` for the rest.
   *
   * @param journal - Stays the caller's to close, after the state's last use.
   * @param formats - How each kind that outlives the process is kept.
   * @throws NodeError `STATE_UNAVAILABLE` if the journal cannot be read.
   * @example
   * const state = await State.open(await openJournal(directory), RECORDS)
   */
  static async open(journal: Journal, formats: RecordFormats): Promise<State> {
    const read = readRecords(await journal.load(), formats)
    const state = new State(journal, formats, read)
    for (const { kind, id, resource, text } of read.entries) {
      state.#entries(kind).set(id, { resource, text })
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
      isPersisted(kind)
        ? [{ key: `${kind}/${id}`, text: text && recordText(kind, text, this.#formats) }]
        : [],
    )
    if (durable.length > 0) {
      await this.#journal.write([...this.#due, ...durable])
      this.#due = []
    }
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
