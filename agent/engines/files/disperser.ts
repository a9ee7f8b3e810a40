/**
 * Moves what the journal holds to the stores: cut, store, commit, free.
 *
 * One round at a time, so that what is remote is always a prefix of what happened here. A round begins when the oldest
 * change is old enough or enough has piled up; stores that do not answer delay it and lose nothing. The commit is durable
 * locally before it is sent, and sent again with the same bytes after a crash.
 */
import { bytesEqual } from '../../base/bytes.ts'
import { codeOf, describeError, isNodeError, NodeError } from '../../base/errors.ts'
import type { Clock, Log } from '../../base/ports.ts'
import { type CommitHeader, encodeCommit, hashRecord } from './commit-format.ts'
import {
  BACKLOG_AGE_FACTOR,
  DISPERSAL_BYTES,
  DISPERSAL_INODES,
  RETRY_MS_MAX,
  RETRY_MS_MIN,
  STORE_BATCH_BYTES,
} from './constants.ts'
import { CHUNK, extentAt, JOURNAL, pushExtent, STRIDE } from './extent-list.ts'
import { type Head, openVersions } from './history.ts'
import type { Journal } from './journal.ts'
import type { LocalArchive } from './local-archive.ts'
import type { ChunkNumber, ChunkStore, CommitSealer, CommitStore, Evictable } from './ports.ts'
import {
  checkRuns,
  chunksIn,
  chunksOf,
  PlannedBytes,
  type PlannedRange,
  type PlannedSource,
  planRound,
  type RoundPlan,
  rangesOf,
  storedContents,
  withoutChunks,
} from './round-plan.ts'
import type { Sections } from './sections.ts'
import type { Snapshotter } from './snapshotter.ts'
import type { Tree } from './tree.ts'

/** Rounds that look at the tables after a commit that changed them: one more than there are tables that wait for each other. */
const TABLE_LOOKS = 3

/** How dispersal is going. */
export type DispersalState = 'ok' | 'degraded' | 'waiting-for-stores' | 'fenced' | 'failed'

/** What a disperser works with. */
export interface DisperserParts {
  readonly tree: Tree
  readonly journal: Journal
  readonly archive: LocalArchive
  readonly sections: Sections
  readonly snapshotter: Snapshotter
  readonly chunks: ChunkStore
  readonly commits: CommitStore
  readonly sealer: CommitSealer
  readonly clock: Clock
  readonly log: Log
  readonly evictable?: Evictable | undefined
}

/** Where it starts and how it is tuned. */
export interface DisperserStart {
  readonly head: Head
  /** Where the journal is covered by it. */
  readonly cut: number
  /** Epoch of this writer, `>= head.epoch`. */
  readonly epoch: number
  /** Whether the stores confirmed that nothing follows `head`. */
  readonly isHeadConfirmed: boolean
  /** Chunks that the head commit dropped: released again, as the release may not have been committed. */
  readonly dropped: readonly ChunkNumber[]
  /** Journal bytes found that no commit covers. */
  readonly undispersedBytes: number
  readonly dispersalAgeMs: number
  readonly backlogBytes: number
}

interface Waiter {
  readonly cut: number
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

/** Runs rounds until closed, fenced or broken. */
export class Disperser {
  readonly #parts: DisperserParts
  readonly #start: DisperserStart
  readonly #abort = new AbortController()
  #head: Head
  #state: DispersalState = 'ok'
  #problem: string | undefined
  #isConfirmed: boolean
  #isHeadComplete = false
  #committedCut = 0
  #committedBytes = 0
  #cutBytes = 0
  #oldestMs: number | undefined
  /** When to look again whether tables have more to say: what a commit released is freed by the commits after it. */
  #tablesDueMs: number | undefined
  #tableLooks = 0
  #roundOldestMs: number | undefined
  #dispersalAgeMs: number
  #isUrgent = false
  #waiters: Waiter[] = []
  #progress: (() => void)[] = []
  #wake: (() => void) | undefined
  #running: Promise<void> | undefined

  constructor(parts: DisperserParts, start: DisperserStart) {
    this.#parts = parts
    this.#start = start
    this.#dispersalAgeMs = start.dispersalAgeMs
    this.#head = start.head
    this.#isConfirmed = start.isHeadConfirmed
    this.#committedBytes = parts.journal.writtenBytes - start.undispersedBytes
    this.#cutBytes = this.#committedBytes
  }

  get state(): DispersalState {
    if (this.#state === 'ok' && this.#isLate(BACKLOG_AGE_FACTOR)) return 'degraded'
    return this.#state
  }

  /** Why the state is not `ok`, in words. */
  get problem(): string | undefined {
    return this.#problem
  }

  get head(): Head {
    return this.#head
  }

  /** Journal bytes that no commit on the stores covers. */
  get undispersedBytes(): number {
    return this.#parts.journal.writtenBytes - this.#committedBytes
  }

  /** Age of the oldest of them, 0 if there is none. */
  get undispersedAgeMs(): number {
    const oldest = this.#roundOldestMs ?? this.#oldestMs
    return oldest === undefined ? 0 : this.#parts.clock.monotonic() - oldest
  }

  /** Begins to run; called once. Changes that recovery found are dispersed like any other. */
  run(): void {
    const { journal } = this.#parts
    if (this.#parts.tree.changedCount > 0) this.noticed()
    // A head found locally may never have reached the stores: the first round, at once, sees to it.
    if (this.#head.sequence > 0) this.#isUrgent = true
    else if (this.#parts.tree.changedCount === 0) this.#committedCut = journal.end
    this.#running = this.#loop().catch((caught: unknown) => this.#break(caught))
  }

  /** Takes over another bound on the age of undispersed bytes. @param ms - `>= 0`. */
  setDispersalAge(ms: number): void {
    this.#dispersalAgeMs = ms
    this.#wakeUp()
  }

  /** Called after every operation. */
  noticed(): void {
    if (this.#oldestMs === undefined) {
      this.#oldestMs = this.#parts.clock.monotonic()
      this.#wakeUp()
    }
    if (this.#isUrgent || !this.#isFull()) return
    this.#isUrgent = true
    this.#wakeUp()
  }

  /** Called when tables of other engines may have changed by themselves (a shard was repaired): a commit soon makes it known. */
  noticedTables(): void {
    this.#isUrgent = true
    this.#wakeUp()
  }

  /**
   * Tells a writer whether to wait: while dispersal makes progress the backlog is bounded, in bytes and in age.
   *
   * @returns Undefined to go on, else a promise after which to ask again.
   */
  backPressure(): Promise<void> | undefined {
    if (this.#state !== 'ok') return undefined
    const isTooMuch = this.undispersedBytes >= this.#start.backlogBytes
    const isTooOld = this.undispersedBytes >= DISPERSAL_BYTES && this.#isLate(BACKLOG_AGE_FACTOR)
    if (!isTooMuch && !isTooOld) return undefined
    return new Promise((resolve) => this.#progress.push(resolve))
  }

  /**
   * Disperses everything written before the call, at once.
   *
   * @throws NodeError `WRITER_FENCED`, `VOLUME_CLOSED`, `IO`.
   */
  flush(): Promise<void> {
    const { journal, tree } = this.#parts
    if (this.#abort.signal.aborted) return Promise.reject(closed())
    if (this.#state === 'fenced' || this.#state === 'failed') return Promise.reject(this.#stopped())
    if (tree.changedCount === 0 && this.#committedCut >= journal.end) return Promise.resolve()
    this.#isUrgent = true
    this.#wakeUp()
    return new Promise((resolve, reject) => {
      this.#waiters.push({ cut: journal.end, resolve, reject })
    })
  }

  /** Stops after what is in flight was aborted; what is not dispersed stays in the journal. */
  async close(): Promise<void> {
    this.#abort.abort(closed())
    this.#wakeUp()
    await this.#running
    this.#settleWaiters(closed())
  }

  async #loop(): Promise<void> {
    const { signal } = this.#abort
    while (!signal.aborted) {
      await this.#due()
      if (signal.aborted) return
      await this.#round()
    }
  }

  /** Waits until a round is due. */
  async #due(): Promise<void> {
    const { signal } = this.#abort
    while (!signal.aborted && !this.#isUrgent) {
      const left = this.#leftMs()
      if (left !== undefined && left <= 0) return
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      if (left === undefined) await woken
      else await this.#sleepOr(left, woken)
    }
  }

  /** Until the next round is due, undefined if none is. */
  #leftMs(): number | undefined {
    const since = [this.#oldestMs, this.#tablesDueMs].filter((ms) => ms !== undefined)
    if (since.length === 0) return undefined
    return Math.min(...since) + this.#dispersalAgeMs - this.#parts.clock.monotonic()
  }

  async #sleepOr(ms: number, woken: Promise<void>): Promise<void> {
    const stop = new AbortController()
    const slept = this.#parts.clock.sleep(ms, stop.signal).catch(() => undefined)
    await Promise.race([slept, woken])
    stop.abort()
    await slept
  }

  async #round(): Promise<void> {
    const { journal, tree, sections, snapshotter, archive, clock, sealer } = this.#parts
    await this.#retried(() => this.#confirmHead())
    this.#isUrgent = false
    this.#roundOldestMs = this.#oldestMs
    this.#oldestMs = undefined
    this.#tablesDueMs = undefined
    const cut = journal.end
    this.#cutBytes = journal.writtenBytes
    const timeMs = clock.now()
    const hasChanges = tree.changedCount > 0
    const plan = planRound(tree)
    await this.#storeAll(plan)

    const sequence = this.#head.sequence + 1
    const changes = sections.takeChanges()
    const isEmpty = !hasChanges && changes.length === 0 && plan.dropped.length === 0
    if (isEmpty) {
      this.#finish(cut)
      return this.#lookAtTablesAgain(this.#tableLooks - 1)
    }
    const base = journal.base
    if (!base) throw new NodeError('IO', 'the journal was never begun')
    const header: CommitHeader = {
      sequence,
      previous: this.#head.hash,
      epoch: this.#start.epoch,
      journalId: base.id,
      cut,
      timeMs: Math.max(0, Math.floor(timeMs)),
      nextIno: plan.nextIno,
    }
    const contents = storedContents(plan)
    const sealed = sealer.seal(
      sequence,
      encodeCommit({
        ...header,
        removed: plan.removed,
        dropped: plan.dropped,
        inodes: plan.inodes,
        contents,
        sections: changes,
      }),
    )
    // Whole tables must be taken in the same turn as their changes, or they would hold more than the commit says.
    const tables = snapshotter.isDue(sealed.byteLength) ? sections.snapshot() : undefined
    await this.#retried(async () => {
      if (archive.lastSequence < sequence) archive.save(sequence, sealed)
      await archive.sync()
    })
    await this.#retried((signal) => this.#parts.commits.append(sequence, sealed, signal))

    this.#head = { sequence, hash: hashRecord(sealed), epoch: header.epoch }
    this.#swap(contents, cut)
    this.#releaseAll(plan.dropped)
    await this.#free(cut)
    snapshotter.committed({ ...header, previous: this.#head.hash }, sealed.byteLength, tables)
    this.#finish(cut)
    if (plan.dropped.length > 0 || changes.length > 0) this.#lookAtTablesAgain(TABLE_LOOKS)
  }

  /** One table may have something to say only after another was asked, so an empty round is not yet the last. */
  #lookAtTablesAgain(looks: number): void {
    this.#tableLooks = Math.max(0, looks)
    if (this.#tableLooks > 0) this.#tablesDueMs = this.#parts.clock.monotonic()
  }

  /** Once per opening: makes sure that nobody wrote after the commit this writer builds on, and that a majority has it. */
  async #confirmHead(): Promise<void> {
    const { commits, sealer, archive } = this.#parts
    const { signal } = this.#abort
    const { sequence, hash } = this.#head
    if (!this.#isConfirmed) {
      await commits.claim(this.#start.epoch, signal)
      const claimed = await commits.head(signal)
      if (claimed.storesAnswering === 0) throw new NodeError('NOT_ENOUGH_STORES', 'none answers')
      for (const at of [sequence, sequence + 1]) {
        if (at === 0 || at > claimed.sequence) continue
        const versions = openVersions(at, await commits.read(at, signal), sealer)
        const rival = versions.find(
          (link) =>
            (at > sequence || !bytesEqual(link.hash, hash)) && link.epoch >= this.#head.epoch,
        )
        if (!rival) continue
        throw new NodeError('WRITER_FENCED', `commit ${at} of epoch ${rival.epoch} is not ours`)
      }
      this.#isConfirmed = true
    }
    if (this.#isHeadComplete) return
    const sealed = archive.commit(sequence)
    if (sealed) await commits.append(sequence, sealed, signal)
    this.#isHeadComplete = true
    this.#releaseAll(this.#start.dropped)
    await this.#free(this.#start.cut)
  }

  async #storeAll(plan: RoundPlan): Promise<void> {
    let batch: [PlannedSource, PlannedRange][] = []
    let batchBytes = 0
    for (const range of rangesOf(plan)) {
      for (const source of range.sources) {
        batch.push([source, range])
        batchBytes += source.end - source.start
        if (batchBytes < STORE_BATCH_BYTES) continue
        await this.#storeBatch(batch)
        batch = []
        batchBytes = 0
      }
    }
    if (batch.length > 0) await this.#storeBatch(batch)
  }

  async #storeBatch(batch: readonly [PlannedSource, PlannedRange][]): Promise<void> {
    const { chunks, journal } = this.#parts
    const fetched = new Map<ChunkNumber, Uint8Array>()
    const sources: PlannedSource[] = []
    for (const [source, range] of batch) {
      const parts = (await this.#load(source, fetched)) ? [source] : withoutChunks(source)
      if (parts[0] !== source) {
        range.sources = range.sources.flatMap((other) => (other === source ? parts : [other]))
      }
      sources.push(...parts)
    }
    const readJournal = (position: number, into: Uint8Array) => journal.read(position, into)
    const bytes = sources.map((source) => new PlannedBytes(source, readJournal, fetched))
    await this.#retried(async (signal) => {
      const stored = await chunks.store(bytes, signal)
      for (const [index, source] of sources.entries()) {
        const runs = stored[index] ?? []
        checkRuns(source, runs)
        source.runs = runs
      }
    })
  }

  /** Fetches the chunks that a source takes in. @returns False if one cannot be had now. */
  async #load(source: PlannedSource, into: Map<ChunkNumber, Uint8Array>): Promise<boolean> {
    for (const chunk of chunksOf(source)) {
      if (into.has(chunk)) continue
      try {
        into.set(chunk, await this.#parts.chunks.read(chunk, this.#abort.signal))
      } catch (caught) {
        if (!isNodeError(caught)) throw caught
        return false
      }
    }
    return true
  }

  /** Points the live extents that the round stored to their chunks. What was written since stays as it is. */
  #swap(contents: ReturnType<typeof storedContents>, cut: number): void {
    const { tree } = this.#parts
    for (const { ino, ranges } of contents) {
      const isThere = tree.inodes.find(ino) !== undefined
      for (const { start, end, flat } of ranges) {
        const live = isThere ? (tree.extents(ino)?.slice(start, end) ?? []) : []
        const fresh = mergeStored(live, flat, cut)
        if (fresh) tree.replaceExtents(ino, start, end, fresh)
        for (const chunk of chunksIn(flat)) tree.references.committed(chunk)
      }
    }
  }

  /** Removes journal that a commit covers. What stays must be durable first: it says which history this disk continues. */
  async #free(cut: number): Promise<void> {
    const { journal } = this.#parts
    await journal.sync()
    journal.drop(cut)
  }

  #releaseAll(dropped: readonly ChunkNumber[]): void {
    const { tree, chunks } = this.#parts
    for (const chunk of dropped) {
      if (tree.references.count(chunk) > 0) continue
      tree.references.released(chunk)
      chunks.release(chunk)
    }
  }

  #finish(cut: number): void {
    this.#committedCut = cut
    this.#committedBytes = this.#cutBytes
    this.#roundOldestMs = undefined
    this.#becomes('ok', undefined)
    this.#releaseWriters()
    const done = this.#waiters.filter((waiter) => waiter.cut <= cut)
    this.#waiters = this.#waiters.filter((waiter) => waiter.cut > cut)
    for (const waiter of done) waiter.resolve()
    if (this.#waiters.length > 0) this.#isUrgent = true
  }

  /** Tries again, later and later, until it works, the volume closes, or a newer writer is there. */
  async #retried(act: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { signal } = this.#abort
    const { evictable } = this.#parts
    for (let waitMs = RETRY_MS_MIN; ; waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)) {
      signal.throwIfAborted()
      try {
        await act(signal)
        if (this.#state === 'waiting-for-stores') this.#becomes('ok', undefined)
        return
      } catch (caught) {
        const isFinal = isNodeError(caught, 'WRITER_FENCED', 'VOLUME_HISTORY_FORKED')
        if (signal.aborted || !isNodeError(caught) || isFinal) {
          throw caught
        }
        if (isNodeError(caught, 'DISK_FULL') && (evictable?.yieldSpace() ?? 0) > 0) continue
        this.#becomes('waiting-for-stores', describeError(caught))
        this.#releaseWriters()
        await this.#parts.clock.sleep(caught.retryAfterMs ?? waitMs, signal)
      }
    }
  }

  #break(caught: unknown): void {
    if (this.#abort.signal.aborted) return
    const isFenced = isNodeError(caught, 'WRITER_FENCED')
    this.#becomes(isFenced ? 'fenced' : 'failed', describeError(caught))
    const message = isNodeError(caught) ? 'dispersal stopped' : 'dispersal stopped by a bug'
    if (!isFenced) this.#parts.log.error({ code: codeOf(caught), err: caught }, message)
    this.#releaseWriters()
    this.#settleWaiters(this.#stopped())
  }

  #becomes(state: DispersalState, problem: string | undefined): void {
    if (state !== this.#state) {
      const fields = { from: this.#state, to: state, problem }
      if (state === 'ok') this.#parts.log.info(fields, 'dispersal goes on')
      else this.#parts.log.warn(fields, 'dispersal is held up')
    }
    this.#state = state
    this.#problem = problem
  }

  #stopped(): NodeError {
    return this.#state === 'fenced'
      ? new NodeError('WRITER_FENCED', this.#problem ?? 'a newer writer took over')
      : new NodeError('IO', this.#problem ?? 'dispersal stopped')
  }

  #settleWaiters(reason: NodeError): void {
    for (const waiter of this.#waiters) waiter.reject(reason)
    this.#waiters = []
    this.#releaseWriters()
  }

  #releaseWriters(): void {
    const waiting = this.#progress
    this.#progress = []
    for (const resolve of waiting) resolve()
  }

  #isFull(): boolean {
    const { journal, tree } = this.#parts
    return (
      journal.writtenBytes - this.#cutBytes >= DISPERSAL_BYTES ||
      tree.changedCount >= DISPERSAL_INODES
    )
  }

  #isLate(factor: number): boolean {
    return this.undispersedAgeMs > this.#dispersalAgeMs * factor
  }

  #wakeUp(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }
}

/**
 * The live extents of a range after a round: of what was there at the cut and still is, the stored form.
 *
 * @returns Flat extents, undefined if nothing changes.
 */
function mergeStored(
  live: readonly number[],
  stored: readonly number[],
  cut: number,
): number[] | undefined {
  const fresh: number[] = []
  let isChanged = false
  let next = 0
  for (let at = 0; at < live.length; at += STRIDE) {
    const extent = extentAt(live, at)
    const isOld = extent.kind === CHUNK || (extent.kind === JOURNAL && extent.source < cut)
    if (!isOld) {
      pushExtent(fresh, extent)
      continue
    }
    isChanged = true
    const until = extent.start + extent.length
    for (let from = extent.start; from < until; ) {
      while (next < stored.length && endOf(stored, next) <= from) next += STRIDE
      const source = extentAt(stored, next)
      const end = Math.min(source.start + source.length, until)
      pushExtent(fresh, {
        ...source,
        start: from,
        length: end - from,
        within: source.within + (from - source.start),
      })
      from = end
    }
  }
  return isChanged ? fresh : undefined
}

function endOf(flat: readonly number[], at: number): number {
  const extent = extentAt(flat, at)
  return extent.start + extent.length
}

function closed(): NodeError<'VOLUME_CLOSED'> {
  return new NodeError('VOLUME_CLOSED', 'the volume was closed')
}
