/**
 * The commit log on the metadata slots: every record on every store, acknowledged by a majority of whole ones.
 *
 * The rules of quorums are a table of failures in docs/design/0018-metadata-quorums.md. In short: a store counts for a writer
 * only after this writer filled it from its own history, and for an opening only if a writer noted that it was filled; both need
 * a majority of all slots. A writer first claims a majority; an older one that finds the claim stops. What a store holds is
 * kept aside before another record takes its place, and an acknowledged history that the writer does not know stops it.
 */
import { bytesEqual } from '../../base/bytes.ts'
import { codeOf, isNodeError, NodeError } from '../../base/errors.ts'
import { whileLinked } from '../../base/linked-abort.ts'
import type { Clock } from '../../base/ports.ts'
import { MIB } from '../../base/units.ts'
import { fillStore } from './fill-store.ts'
import { newerClaim, putCommit, type Survey, surveyStore } from './metadata-store.ts'
import type { OwnHistory, RecordSeal, ShardStore, Slot } from './ports.ts'
import { CLAIMS, commitKey, epochKey, FILLED_KEY, HANDOVERS } from './shard-key.ts'
import type { SlotLink, SlotStatus } from './slot-link.ts'
import { SlotSet } from './slot-set.ts'
import {
  headersOf,
  prune,
  putSnapshotOn,
  SNAPSHOT_BYTES_MAX,
  SNAPSHOTS_KEPT,
  sealHeader,
  UNSEALED_BYTES_MAX,
} from './snapshot-parts.ts'
import { readSnapshot, type SnapshotClaim, snapshotClaims } from './snapshot-reader.ts'
import { openNote, sealNote } from './store-note.ts'

/** Bytes of a commit at most: what stores take as one value, with room for the protocol. */
export const COMMIT_BYTES_MAX = 7 * MIB
/** Time for one call; an acknowledgement waits this long for a store that hangs, once, before it backs off. */
const CALL_MS_MAX = 10_000
/** Time for calls that look through all that a store holds. */
const LOOK_MS_MAX = 6 * CALL_MS_MAX
/** Time to store a snapshot on one store: 2 GiB at 8 MB/s. */
const SNAPSHOT_MS_MAX = 300_000

const FENCED = 'WRITER_FENCED'

/** What a metadata slot is known to hold. */
interface Replica {
  readonly link: SlotLink
  /** This writer filled it, and it missed nothing since: only then it counts. */
  isComplete: boolean
  /** It missed a record while it was being filled. */
  hasMissed: boolean
  /** Commit up to which a note on it says that it is filled. */
  noted: number
  filling: Promise<number> | undefined
  /** What keeps it from being filled. */
  problem: string | undefined
}

/** State for status and metrics. */
export interface LogStatus {
  readonly slots: readonly (SlotStatus & {
    readonly isComplete: boolean
    readonly problem: string | undefined
  })[]
  readonly lastSequence: number
  readonly snapshotSequence: number
  /** Records of others that stood where this writer's belong, kept aside on their store. */
  readonly recordsAside: number
}

/** What the metadata stores say of where the log ends. */
export interface LogHead {
  /** Highest commit that any store claims, 0 if none. */
  readonly sequence: number
  readonly storesAnswering: number
  /** Of those, stores that a writer filled and that hold what it noted. */
  readonly storesProven: number
  readonly storesTotal: number
  /** Every store answers, and none holds anything: nobody ever wrote, or all was lost. */
  readonly isEmpty: boolean
  /** It is empty although data stores hold shards: all of its metadata was lost. */
  readonly isLost: boolean
}

/** What a log is made with. */
export interface ReplicatedLogInit {
  readonly clock: Clock
  /** Position of the first metadata slot: k + m. */
  readonly firstSlot: number
  readonly seal: RecordSeal
  /** Bytes believed of a snapshot that nobody sealed. */
  readonly unsealedBytesMax?: number
  /** Whether any data store holds a shard: then the volume is not new, whatever its metadata stores say. */
  readonly hasShards?: (signal: AbortSignal) => Promise<boolean>
}

/** Satisfies `CommitStore` of `engines/files`. */
export class ReplicatedLog {
  readonly #init: ReplicatedLogInit
  readonly #slots: SlotSet
  readonly #replicas = new Map<SlotLink, Replica>()
  readonly #closing = new AbortController()
  #own: OwnHistory = { lastSequence: 0, checkpoints: [], commit: nothing, checkpoint: nothing }
  /** Stores that bear this writer's claim, and of those that it asked last, the proven ones. */
  readonly #claimed = new Set<SlotLink>()
  #proven: ReadonlySet<SlotLink> = new Set()
  #epoch = 0
  #last = 0
  /** Newest commit known to be acknowledged: what notes promise. */
  #acknowledged = 0
  #snapshot = 0
  #recordsAside = 0
  #stopped: NodeError | undefined

  constructor(init: ReplicatedLogInit) {
    this.#init = init
    this.#slots = new SlotSet(init.clock)
  }

  /** Takes over the metadata slots among `slots`; new ones are filled by {@link ReplicatedLog.catchUp}. */
  setSlots(slots: readonly Slot[]): void {
    this.#slots.set(slots.filter((slot) => slot.index >= this.#init.firstSlot))
    const links = this.#slots.all()
    for (const link of this.#replicas.keys()) if (!links.includes(link)) this.#replicas.delete(link)
    for (const link of links) {
      if (this.#replicas.has(link)) continue
      this.#replicas.set(link, {
        ...{
          link,
          isComplete: false,
          hasMissed: false,
          noted: 0,
          filling: undefined,
          problem: undefined,
        },
      })
    }
  }

  /** State for status and metrics. */
  status(): LogStatus {
    return {
      slots: [...this.#replicas.values()].map(({ link, isComplete, problem }) => ({
        ...link.status(),
        isComplete,
        problem,
      })),
      lastSequence: this.#last,
      snapshotSequence: this.#snapshot,
      recordsAside: this.#recordsAside,
    }
  }

  /** Stores that must take a record, and that must answer an opening: a majority of all slots. */
  get quorum(): number {
    return Math.floor(this.#replicas.size / 2) + 1
  }

  /** The history that this writer holds itself: what stores are filled from. Without it nothing can be appended. */
  continueFrom(own: OwnHistory): void {
    this.#own = own
    this.#last = own.lastSequence
  }

  /**
   * Makes older writers stop: after this nothing that they append is acknowledged. Repeatable.
   *
   * @param epoch - Of this writer, `>= 1`.
   * @throws NodeError `NOT_ENOUGH_STORES` (retry), `WRITER_FENCED` if a newer one claimed a store.
   */
  async claim(epoch: number, signal: AbortSignal): Promise<void> {
    this.#epoch = epoch
    await this.#onAny(signal, async (store, own, { link }) => {
      await this.#checkClaims(store, link, own)
      await store.put(epochKey(CLAIMS, epoch), this.#note('claim', link), own)
      await this.#checkClaims(store, link, own)
      for (const key of await store.list(CLAIMS, undefined, 8, own)) {
        if (Buffer.compare(key, epochKey(CLAIMS, epoch)) < 0) await store.delete(key, own)
      }
      this.#claimed.add(link)
    })
  }

  /**
   * Begins a new volume: notes on every store that it holds all there is, which is nothing.
   *
   * @throws NodeError `NOT_ENOUGH_STORES` unless a majority takes the note.
   */
  async begin(signal: AbortSignal): Promise<void> {
    await this.#onAny(signal, (store, own, { link }) =>
      store.put(FILLED_KEY, this.#note('filled', link), own),
    )
  }

  /**
   * Says that this writer ended and has nothing left, so that the next need not wait.
   *
   * @throws NodeError `NOT_ENOUGH_STORES`.
   */
  async handOver(signal: AbortSignal): Promise<void> {
    const key = epochKey(HANDOVERS, this.#epoch)
    await this.#onAny(signal, (store, own, { link }) =>
      store.put(key, this.#note('handover', link), own),
    )
  }

  /** Whether the writer of an epoch said on some store that it ended. */
  async isHandedOver(epoch: number, signal: AbortSignal): Promise<boolean> {
    const found = await this.#askAll(
      signal,
      async (store, own, link) => {
        const sealed = await store.get(epochKey(HANDOVERS, epoch), own)
        return openNote(this.#init.seal, 'handover', link, sealed)?.epoch === epoch
      },
      0,
    )
    return found.some(({ answer }) => answer)
  }

  /**
   * Adds a record, or brings the last one again to stores that lack it.
   *
   * @param sequence - One more than the last appended, from 1, or the last with the same bytes. Held by the own history already.
   * @throws NodeError `NOT_ENOUGH_STORES` (retry), `WRITER_FENCED`, `VOLUME_HISTORY_FORKED`, `COMMIT_TOO_LARGE`.
   */
  async append(sequence: number, record: Uint8Array, signal: AbortSignal): Promise<void> {
    if (this.#stopped) throw this.#stopped
    if (record.byteLength > COMMIT_BYTES_MAX) {
      throw new NodeError('COMMIT_TOO_LARGE', `commit ${sequence} has ${record.byteLength} bytes`)
    }
    const { seal } = this.#init
    await this.#untilQuorum(signal)
    await this.#onMajority(this.#following(), signal, async (store, own, replica) => {
      const found = await putCommit(store, replica.link, seal, this.#epoch, sequence, record, own)
      if (found) this.#recordsAside++
      await this.#checkClaims(store, replica.link, own)
    })
    this.#last = Math.max(this.#last, sequence)
    this.#acknowledged = Math.max(this.#acknowledged, sequence)
  }

  /**
   * All versions of a record that stores hold.
   *
   * @param provenNeeded - Stores that must answer among those that {@link ReplicatedLog.head} found proven last.
   * @throws NodeError `NOT_ENOUGH_STORES` if fewer or none answer.
   */
  async read(
    sequence: number,
    signal: AbortSignal,
    provenNeeded = 0,
  ): Promise<readonly Uint8Array[]> {
    const key = commitKey(sequence)
    const found = await this.#askAll(signal, (store, own) => store.get(key, own))
    if (found.filter(({ link }) => this.#proven.has(link)).length < provenNeeded) {
      const message = `fewer than ${provenNeeded} metadata stores answer for commit ${sequence}`
      throw new NodeError('NOT_ENOUGH_STORES', message, { retryAfterMs: 1000 })
    }
    return distinct(found.flatMap(({ answer }) => answer ?? []))
  }

  /**
   * Where the log ends, by what stores claim.
   *
   * @throws The reason of `signal`.
   */
  async head(signal: AbortSignal): Promise<LogHead> {
    const { seal } = this.#init
    const found = await this.#askAll(
      signal,
      (store, own, link): Promise<Survey> => surveyStore(store, link, seal, this.#last, own),
      0,
    )
    // An older writer may still be acknowledged by a store that this one has not claimed: what it says may be old the next moment.
    const counts = (link: SlotLink) => this.#epoch === 0 || this.#claimed.has(link)
    const proven = found.filter(({ link, answer }) => answer.isProven && counts(link))
    this.#proven = new Set(proven.map(({ link }) => link))
    const storesTotal = this.#replicas.size
    const isEmpty = found.length === storesTotal && found.every(({ answer }) => isBlank(answer))
    const isLost =
      isEmpty && proven.length === 0 && ((await this.#init.hasShards?.(signal)) ?? false)
    return {
      sequence: Math.max(0, ...found.map(({ answer }) => answer.last)),
      storesAnswering: found.length,
      storesProven: proven.length,
      ...{ storesTotal, isEmpty, isLost },
    }
  }

  /**
   * Stores a snapshot of the state after a commit, and drops what only older snapshots needed.
   *
   * @param bytes - At most 2 GiB.
   * @throws NodeError `NOT_ENOUGH_STORES` (retry), `WRITER_FENCED`, `SNAPSHOT_TOO_LARGE`.
   */
  async putSnapshot(sequence: number, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    if (this.#stopped) throw this.#stopped
    if (bytes.byteLength > SNAPSHOT_BYTES_MAX) {
      throw new NodeError(
        'SNAPSHOT_TOO_LARGE',
        `snapshot ${sequence} has ${bytes.byteLength} bytes`,
      )
    }
    const header = sealHeader(this.#init.seal, sequence, bytes)
    await this.#untilQuorum(signal)
    // One that does not take it still has the commits: it is filled anew before it counts again.
    await this.#onMajority(
      this.#following(),
      signal,
      async (store, own, { link }) => {
        await putSnapshotOn(store, sequence, bytes, header, own)
        await store.put(FILLED_KEY, this.#note('filled', link), own)
      },
      SNAPSHOT_MS_MAX,
    )
    this.#snapshot = Math.max(this.#snapshot, sequence)
    await this.#pruneAll(signal)
  }

  /**
   * Snapshots that stores claim, newest first, those whose header a writer sealed before others of their age.
   *
   * @throws NodeError `NOT_ENOUGH_STORES` if no store answers.
   */
  async snapshots(
    signal: AbortSignal,
  ): Promise<readonly { sequence: number; load(): Promise<Uint8Array | undefined> }[]> {
    const { seal, unsealedBytesMax = UNSEALED_BYTES_MAX } = this.#init
    const found = await this.#askAll(signal, headersOf)
    const claims = snapshotClaims(seal, found, unsealedBytesMax)
    return claims
      .slice(0, SNAPSHOTS_KEPT * 2)
      .map((claim) => ({ sequence: claim.header.sequence, load: () => this.#load(claim, signal) }))
  }

  /**
   * Fills stores that were away or are new; for the writer, now and then.
   *
   * @returns Records and snapshots stored.
   * @throws NodeError `VOLUME_HISTORY_FORKED`; the reason of `signal`. A store that fails is tried again at the next call.
   */
  async catchUp(signal: AbortSignal): Promise<number> {
    if (this.#stopped) throw this.#stopped
    const copied = await untilAborted(Promise.all(this.#beginToFill()), signal)
    if (this.#stopped) throw this.#stopped
    await this.#renewNotes(signal)
    return copied.reduce((sum, count) => sum + count, 0)
  }

  /** Aborts everything in flight. */
  close(): void {
    this.#closing.abort(new NodeError('DISPERSAL_CLOSED', 'the commit log is closed'))
  }

  /** Replicas that count. */
  #complete(): Replica[] {
    return [...this.#replicas.values()].filter(({ isComplete }) => isComplete)
  }

  /** Replicas that get each record: those that count, and those being filled. */
  #following(): Replica[] {
    return [...this.#replicas.values()].filter((one) => one.isComplete || one.filling)
  }

  /** Waits until enough stores are filled that a record can be acknowledged, or none more can be. */
  async #untilQuorum(signal: AbortSignal): Promise<void> {
    const isEnough = () =>
      this.#complete().filter(({ link }) => link.isAvailable).length >= this.quorum
    const filling = new Set(isEnough() ? [] : this.#beginToFill())
    while (filling.size > 0 && !isEnough()) {
      const ends = [...filling].map(async (one) => {
        await one
        filling.delete(one)
      })
      await untilAborted(Promise.race(ends), signal)
      if (this.#stopped) throw this.#stopped
    }
  }

  /** Begins to fill what is behind; one that is being filled already goes on. */
  #beginToFill(): Promise<number>[] {
    const behind = [...this.#replicas.values()].filter(({ isComplete }) => !isComplete)
    const well = behind.filter(({ link }) => link.isAvailable)
    // Those that back off are asked too if the rest cannot be a majority.
    const isEnough = this.#complete().length + well.length >= this.quorum
    return (isEnough ? well : behind).map((replica) => {
      replica.filling ??= this.#fill(replica).finally(() => {
        replica.filling = undefined
      })
      return replica.filling
    })
  }

  #note(kind: 'filled' | 'claim' | 'handover', link: SlotLink): Uint8Array {
    const { index: slot, generation } = link
    const note = { kind, slot, generation, epoch: this.#epoch, sequence: this.#acknowledged }
    return sealNote(this.#init.seal, note)
  }

  /** On a majority of all slots, whatever they hold. */
  #onAny(signal: AbortSignal, put: PutOn): Promise<void> {
    return this.#onMajority([...this.#replicas.values()], signal, put, CALL_MS_MAX, () => true)
  }

  /** Acknowledged by a majority of all slots and by all that answer. A store that fails counts again once it is filled. */
  async #onMajority(
    replicas: readonly Replica[],
    signal: AbortSignal,
    put: PutOn,
    limitMs = CALL_MS_MAX,
    counts: (replica: Replica) => boolean = ({ isComplete }) => isComplete,
  ): Promise<void> {
    return whileLinked([signal, this.#closing.signal], async (own) => {
      const well = replicas.filter(({ link }) => link.isAvailable)
      // Those that back off are asked too if the rest cannot be a majority.
      const asked = well.filter(counts).length >= this.quorum ? well : replicas
      for (const replica of replicas) if (!asked.includes(replica)) this.#missed(replica, undefined)
      const counted = new Set(asked.filter(counts))
      const failures: unknown[] = []
      let stored = 0
      await Promise.all(
        asked.map(async (replica) => {
          try {
            await replica.link.call(limitMs, own, (store, limit) => put(store, limit, replica))
            if (counted.has(replica)) stored++
          } catch (caught) {
            this.#missed(replica, caught)
            failures.push(caught)
          }
        }),
      )
      own.throwIfAborted()
      this.#checkQuorum(stored, failures)
    })
  }

  #checkQuorum(stored: number, failures: readonly unknown[]): void {
    if (this.#stopped) throw this.#stopped
    const [total, needed] = [this.#replicas.size, this.quorum]
    if (total > 0 && stored >= needed) return
    const fenced = [...this.#replicas.values()].filter(({ problem }) => problem === FENCED).length
    if (fenced > 0 && fenced > total - needed) {
      throw new NodeError('WRITER_FENCED', `${fenced} metadata stores refuse this writer`)
    }
    throw new NodeError(
      'NOT_ENOUGH_STORES',
      `${stored} of ${total} metadata stores took it, ${needed} are needed`,
      { cause: failures[0], retryAfterMs: 1000, details: { stored, needed } },
    )
  }

  #missed(replica: Replica, caught: unknown): void {
    replica.isComplete = false
    replica.hasMissed = true
    replica.problem = codeOf(caught) ?? replica.problem
    if (isNodeError(caught, 'VOLUME_HISTORY_FORKED')) this.#stopped = caught
  }

  /** @throws NodeError `WRITER_FENCED` if a newer writer claimed the store: what it took may never be read. */
  async #checkClaims(store: ShardStore, link: SlotLink, signal: AbortSignal): Promise<void> {
    const claimed = await newerClaim(store, link, this.#init.seal, this.#epoch, signal)
    if (claimed === 0) return
    throw new NodeError('WRITER_FENCED', `a writer of epoch ${claimed} claimed the store`)
  }

  async #askAll<T>(
    signal: AbortSignal,
    ask: (store: ShardStore, signal: AbortSignal, link: SlotLink) => Promise<T>,
    answersNeeded = 1,
  ): Promise<{ link: SlotLink; answer: T }[]> {
    return whileLinked([signal, this.#closing.signal], async (own) => {
      const links = this.#slots.all()
      const well = links.filter((link) => link.isAvailable)
      const asked = well.length * 2 > links.length ? well : links
      const results = await Promise.allSettled(
        asked.map(async (link) => {
          const answer = await link.call(CALL_MS_MAX, own, (store, limit) =>
            ask(store, limit, link),
          )
          return { link, answer }
        }),
      )
      own.throwIfAborted()
      const found = results.flatMap((result) =>
        result.status === 'fulfilled' ? [result.value] : [],
      )
      if (found.length >= answersNeeded) return found
      const failure = results.find((result) => result.status === 'rejected')
      throw new NodeError('NOT_ENOUGH_STORES', 'no metadata store answers', {
        cause: failure?.reason,
        retryAfterMs: 1000,
      })
    })
  }

  #load(claim: SnapshotClaim, signal: AbortSignal): Promise<Uint8Array | undefined> {
    return whileLinked([signal, this.#closing.signal], (own) =>
      readSnapshot(this.#init.clock, claim, own),
    )
  }

  async #pruneAll(signal: AbortSignal): Promise<void> {
    return whileLinked([signal, this.#closing.signal], async (own) => {
      const pruned = this.#complete().map(async ({ link }) => {
        if (link.isAvailable) await link.call(LOOK_MS_MAX, own, prune)
      })
      // What is not pruned now is pruned after the next snapshot.
      await Promise.allSettled(pruned)
      own.throwIfAborted()
    })
  }

  /** A note that promises less than a store holds would not show that it lost something. */
  async #renewNotes(signal: AbortSignal): Promise<void> {
    const sequence = this.#acknowledged
    const old = this.#complete().filter(({ noted, link }) => noted < sequence && link.isAvailable)
    const renewed = old.map(async (replica) => {
      const note = this.#note('filled', replica.link)
      await replica.link.put(FILLED_KEY, note, CALL_MS_MAX, signal)
      replica.noted = sequence
    })
    await Promise.allSettled(renewed)
    signal.throwIfAborted()
  }

  async #fill(replica: Replica): Promise<number> {
    const { link } = replica
    const { signal } = this.#closing
    const parts = {
      ...{
        seal: this.#init.seal,
        own: this.#own,
        epoch: this.#epoch,
        acknowledged: this.#acknowledged,
      },
    }
    replica.hasMissed = false
    try {
      const store = boundedStore(link)
      await this.#checkClaims(store, link, signal)
      const { copied, contradictions } = await fillStore(store, link, parts, signal)
      this.#recordsAside += contradictions.length
      replica.problem = undefined
      replica.noted = parts.acknowledged
      replica.isComplete = !replica.hasMissed
      return copied
    } catch (caught) {
      this.#missed(replica, caught)
      return 0
    }
  }
}

type PutOn = (store: ShardStore, signal: AbortSignal, replica: Replica) => Promise<void>

/** The store behind a link, each call of it with a time limit of its own. */
function boundedStore(link: SlotLink): ShardStore {
  const bounded = <T>(signal: AbortSignal, work: Parameters<typeof link.call<T>>[2]) =>
    link.call<T>(CALL_MS_MAX, signal, work)
  return {
    put: (key, value, signal) => bounded(signal, (store, own) => store.put(key, value, own)),
    putNew: (key, value, signal) => bounded(signal, (store, own) => store.putNew(key, value, own)),
    get: (key, signal) => bounded(signal, (store, own) => store.get(key, own)),
    getRange: (key, offset, lengthBytes, signal) =>
      bounded(signal, (store, own) => store.getRange(key, offset, lengthBytes, own)),
    list: (prefix, after, limit, signal) =>
      bounded(signal, (store, own) => store.list(prefix, after, limit, own)),
    delete: (key, signal) => bounded(signal, (store, own) => store.delete(key, own)),
  }
}

async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const gaveUp = Promise.withResolvers<never>()
  const give = () => gaveUp.reject(signal.reason)
  signal.addEventListener('abort', give, { once: true })
  try {
    return await Promise.race([work, gaveUp.promise])
  } finally {
    signal.removeEventListener('abort', give)
  }
}

function nothing(): undefined {
  return undefined
}

/** Nobody ever noted or stored anything but the beginning of a volume. */
function isBlank({ last, snapshot, isEmpty, note }: Survey): boolean {
  return isEmpty || (last === 0 && snapshot === 0 && note?.sequence === 0)
}

function distinct(versions: readonly Uint8Array[]): Uint8Array[] {
  const found: Uint8Array[] = []
  for (const version of versions) {
    if (!found.some((other) => bytesEqual(other, version))) found.push(version)
  }
  return found
}
