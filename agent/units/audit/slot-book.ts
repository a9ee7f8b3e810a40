/**
 * One slot of this node, as audits need it: its trees, and the newest commitment that was countersigned, both durable.
 *
 * What a slot held is asked for long after its tenant deleted it. So the slot has *eras*: within one its tree only grows, and the
 * store keeps what dies (`keptSince`). When much of a tree is dead a new era begins with what lives; the old one stays until
 * nothing that the node committed or signed is of it.
 */
import type { RespNamespace } from '../../adapters/socket/resp-namespace.ts'
import { namespacePlace, respShardSource } from '../../adapters/socket/resp-shard-source.ts'
import { bytesEqual } from '../../base/bytes.ts'
import type { Disk } from '../../base/disk.ts'
import { NodeError } from '../../base/errors.ts'
import type { Clock } from '../../base/ports.ts'
import { MINUTE_MS, SECOND_MS } from '../../base/units.ts'
import {
  LeafFile,
  type SignedCommitment,
  type SlotName,
  type SlotState,
  SlotTree,
  slotText,
} from '../../engines/audit/index.ts'
import { readJson, writeJson } from './json-file.ts'
import { type SignedJson, signedFromJson, signedToJson } from './signed-json.ts'

/** Directory of the books, on the unit's disk. */
export const SLOTS_DIRECTORY = 'slots'
/** What dies in the seconds around the beginning of an era is kept whichever clock was right. */
const CLOCK_SLACK_SECONDS = 60
/** A new era begins when so large a part of the tree's shards is dead; below, the room is not worth hashing anew. */
const DEAD_SHARE = 1 / 8
/** And there are so many of them. */
const DEAD_SHARDS_MIN = 16
/** Eras at once: as many as versions of an accumulator that the contract still asks for. */
const ERAS_MAX = 3
/** A new era costs reading and hashing the whole slot: no writer may ask for more of them. */
const RENEW_MS_MIN = 10 * MINUTE_MS
/** When a writer may ask again for what the store does not hold back yet. */
const NOT_READY_RETRY_MS = 1_000

interface Era {
  /** Serial of the store at which the list of shards begins. */
  readonly since: number
  /** Seconds: what died from then on is kept while the era lasts. */
  readonly keptSince: number
}

interface BookFile {
  readonly order: number
  readonly slot: number
  readonly generation: number
  readonly namespace: string
  /** Seconds: when a writer first asked. */
  readonly wantedSince: number
  readonly eras: readonly Era[]
  readonly signed?: SignedJson
}

/** What a book works with. */
export interface SlotBookPorts {
  readonly disk: Disk
  readonly clock: Clock
  /** Reads a namespace of this node's store. */
  readonly store: (namespace: string) => RespNamespace
}

/** See the file's comment. */
export class SlotBook {
  readonly name: SlotName
  readonly namespace: string
  /** Why the slot cannot be followed, if it cannot. */
  problem: NodeError | undefined
  readonly #ports: SlotBookPorts
  readonly #remote: RespNamespace
  #wantedSince: number
  #renewableAtMs = 0
  #eras: { readonly era: Era; readonly tree: SlotTree; readonly leaves: LeafFile }[] = []
  #signed: SignedCommitment | undefined
  #last: Promise<unknown> = Promise.resolve()

  private constructor(ports: SlotBookPorts, file: Omit<BookFile, 'order'> & SlotName) {
    this.#ports = ports
    this.name = { order: file.order, slot: file.slot, generation: file.generation }
    this.namespace = file.namespace
    this.#wantedSince = file.wantedSince
    this.#remote = ports.store(file.namespace)
    this.#signed = file.signed && signedFromJson(file.signed)
    this.#eras = file.eras.map((era) => this.#open(era))
  }

  /**
   * Begins a book for a slot whose writer asked for the first time.
   *
   * @returns It, durable.
   */
  static async begin(ports: SlotBookPorts, name: SlotName, namespace: string): Promise<SlotBook> {
    const wantedSince = Math.floor(ports.clock.now() / SECOND_MS)
    const book = new SlotBook(ports, { ...name, namespace, wantedSince, eras: [] })
    await book.#save()
    return book
  }

  /** Opens a book that was begun earlier; undefined if its file is not there. @throws NodeError `AUDIT_FILE_DAMAGED`. */
  static load(ports: SlotBookPorts, fileName: string): SlotBook | undefined {
    const file = readJson<BookFile & SlotName>(ports.disk, `${SLOTS_DIRECTORY}/${fileName}`)
    return file && new SlotBook(ports, file)
  }

  /** The newest commitment that this node countersigned. */
  get signed(): SignedCommitment | undefined {
    return this.#signed
  }

  /** Seconds: what dies from then on must stay in the store. */
  get keptSince(): number {
    const begins = this.#eras.map(({ era }) => era.keptSince)
    return begins.length === 0 ? this.#wantedSince : Math.min(...begins)
  }

  /** Eras that are alive. */
  get eras(): number {
    return this.#eras.length
  }

  /** Shards hashed so far, in the newest era. */
  get shards(): number {
    return this.#eras.at(-1)?.tree.shards ?? 0
  }

  /**
   * The newest era, for the writer, who must have the same list.
   *
   * @throws NodeError `AUDIT_NOT_READY` while the store does not hold back what dies.
   */
  async newestEra(signal: AbortSignal): Promise<{ since: number; tree: SlotTree }> {
    await this.#inTurn(() => this.#beginFirst(signal))
    const newest = this.#eras.at(-1)
    if (newest) return { since: newest.era.since, tree: newest.tree }
    throw new NodeError('AUDIT_NOT_READY', `slot ${slotText(this.name)} is not held back yet`, {
      retryAfterMs: NOT_READY_RETRY_MS,
    })
  }

  /**
   * Begins another era with what lives now, for a writer that cannot vouch for what died; seldom, because all is hashed anew.
   * The newest era makes room for it if nothing of it was signed.
   */
  async renew(signal: AbortSignal): Promise<void> {
    const now = this.#ports.clock.monotonic()
    if (now < this.#renewableAtMs) return
    this.#renewableAtMs = now + RENEW_MS_MIN
    const newest = this.#eras.at(-1)
    if (!newest) return
    await newest.tree.follow(signal)
    await this.#inTurn(async () => {
      const isSigned = this.#signed !== undefined && hasState(newest.tree, this.#signed.commitment)
      const isUnused = !isSigned && this.#eras.at(-1) === newest && this.#eras.length > 1
      if (isUnused) this.#eras.pop()
      else if (this.#eras.length >= ERAS_MAX) return
      await this.#beginEra(signal)
      if (!isUnused) return
      newest.leaves.close()
      if (!this.#eras.some(({ era }) => era.since === newest.era.since)) {
        this.#ports.disk.remove(this.#leavesPath(newest.era))
      }
    })
  }

  /**
   * Takes in what was written since, in all eras.
   *
   * @throws NodeError `AUDIT_SHARD_*`, `STORE_*`.
   */
  async follow(signal: AbortSignal): Promise<void> {
    await this.#inTurn(() => this.#beginFirst(signal))
    for (const { tree } of this.#eras) await tree.follow(signal)
    await this.#inTurn(() => this.#beginNext(signal))
  }

  /** The tree that once had this state, undefined if none has. */
  treeOf(state: SlotState): SlotTree | undefined {
    return this.#eras.find(({ tree }) => hasState(tree, state))?.tree
  }

  /** Keeps a commitment durably; only then its countersignature may leave. */
  async sign(signed: SignedCommitment): Promise<void> {
    await this.#inTurn(async () => {
      const before = this.#signed
      this.#signed = signed
      try {
        await this.#save()
      } catch (caught) {
        this.#signed = before
        throw caught
      }
    })
  }

  /** Ends eras of which nothing is that anybody may ask for. @param needed - States that may be asked for. */
  async dropEras(needed: readonly SlotState[]): Promise<void> {
    const states = this.#signed ? [...needed, this.#signed.commitment] : needed
    // A state that no tree has yet may be of any era: after a restart trees have to catch up first.
    if (states.some((state) => this.treeOf(state) === undefined)) return
    const newest = this.#eras.at(-1)
    const idle = this.#eras.filter(
      (one) => one !== newest && !states.some((state) => hasState(one.tree, state)),
    )
    if (idle.length === 0) return
    await this.#inTurn(async () => {
      this.#eras = this.#eras.filter((one) => !idle.includes(one))
      await this.#save()
      for (const { era, leaves } of idle) {
        leaves.close()
        this.#ports.disk.remove(this.#leavesPath(era))
      }
    })
  }

  /** Removes all that is kept of the slot. */
  remove(): void {
    this.close()
    const { disk } = this.#ports
    for (const { era } of this.#eras) disk.remove(this.#leavesPath(era))
    disk.remove(`${SLOTS_DIRECTORY}/${this.#fileName}`)
  }

  close(): void {
    for (const { leaves } of this.#eras) leaves.close()
    this.#remote.close()
  }

  get #fileName(): string {
    return `${slotText(this.name)}.json`
  }

  #leavesPath({ since }: Era): string {
    return `${SLOTS_DIRECTORY}/${slotText(this.name)}.${since}.leaves`
  }

  #open(era: Era) {
    const leaves = new LeafFile(this.#ports.disk, this.#leavesPath(era))
    return {
      era,
      leaves,
      tree: new SlotTree(this.name, respShardSource(this.#remote, era.since), leaves),
    }
  }

  async #beginFirst(signal: AbortSignal): Promise<void> {
    if (this.#eras.length === 0) await this.#beginEra(signal)
  }

  async #beginNext(signal: AbortSignal): Promise<void> {
    const [only, another] = this.#eras
    if (!only || another) return
    const live = await this.#remote.ask(['DBSIZE'], signal)
    if (typeof live !== 'number') return
    const dead = only.tree.shards - live
    if (dead >= DEAD_SHARDS_MIN && dead > DEAD_SHARE * only.tree.shards)
      await this.#beginEra(signal)
  }

  async #beginEra(signal: AbortSignal): Promise<void> {
    const place = await namespacePlace(this.#remote, signal)
    // Before the store holds back what dies a list would not stay what it is.
    if (place.keptSince === 0) return
    const keptSince = Math.floor(this.#ports.clock.now() / SECOND_MS) - CLOCK_SLACK_SECONDS
    const era = { since: place.durable, keptSince }
    // An era of the same beginning would be the same list.
    if (this.#eras.some((one) => one.era.since === era.since)) return
    this.#eras.push(this.#open(era))
    await this.#save()
  }

  #save(): Promise<void> {
    const file: BookFile = {
      ...this.name,
      namespace: this.namespace,
      wantedSince: this.#wantedSince,
      eras: this.#eras.map(({ era }) => era),
      ...(this.#signed && { signed: signedToJson(this.#signed) }),
    }
    return writeJson(this.#ports.disk, SLOTS_DIRECTORY, this.#fileName, file)
  }

  /** One change at a time. */
  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(change)
    this.#last = mine.catch(() => undefined)
    return mine
  }
}

function hasState(tree: SlotTree, { units, root }: SlotState): boolean {
  const own = tree.rootAt(units)
  return own !== undefined && bytesEqual(own, root)
}
