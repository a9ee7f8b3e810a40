/**
 * How far a log is written and durable, and who waits for it.
 *
 * Acknowledgement is a position (count of records): whoever appended waits until the log is written, or under `sync: always`
 * durable, up to it. One sync serves all who wait. Whatever goes wrong with the disk ends here too: after it the log
 * only reads.
 */
import { describeError, isNodeError, NodeError } from '../../base/errors.ts'
import { LOG_END_MS } from './constants.ts'
import type { HintWriter } from './hint-file.ts'
import { type LogEnd, writeLogEnd } from './log-end.ts'
import type { LogFiles } from './log-files.ts'
import type { LogPorts, SyncMode } from './ports.ts'
import type { Segment } from './segment.ts'
import { SyncGathering } from './sync-gathering.ts'

/** Someone who may not go on before the log has reached a position. */
export interface Waiter {
  /** Count of records that must be written or durable. */
  position: number
  /** Called once: reached, or why it never will be. */
  settled(failure: NodeError | undefined): void
}

/** A segment that is full, whose hint becomes valid once the segment is durable. */
export interface SealedSegment {
  readonly segment: Segment
  readonly hint: HintWriter
  readonly endSerial: number
}

/** What the commit side of a log is made with. */
export interface LogCommitOptions {
  readonly ports: LogPorts
  readonly directory: string
  readonly readOnly: boolean
  readonly sync: SyncMode
  readonly files: LogFiles
  /** Count of records found in files. */
  readonly written: number
  /** What hints say besides the end of their segment. */
  readonly hintFacts: () => { readonly nextSeq: number; readonly lastTimeSeconds: number }
  /** What the file of the log's end said, and the records that are known to be gone by now. */
  readonly end: LogEnd
  readonly lost: number
  /** Called each time more is durable. */
  readonly onDurable: () => void
}

/** The positions of a log. */
export class LogCommit {
  sync: SyncMode
  /** Why writes are refused, if they are. */
  failure: NodeError | undefined
  /** Count of records in files, and of those that survive a power loss. */
  written: number
  durable = 0
  /** Where the durable part ends. */
  durableSegment = 0
  durableOffset = 0
  readonly #options: LogCommitOptions
  #unsynced = new Set<Segment>()
  /** True at first: recovery may have renamed or removed files, which must not come back after what is served then. */
  #directoryIsDirty = true
  #sealed: SealedSegment[] = []
  #syncing: Promise<void> | undefined
  readonly #gathering: SyncGathering
  #waiters: Waiter[] = []
  /** What the file of the end says, and when that is to be written anew at the latest. */
  #end: LogEnd
  #endDueMs = 0

  constructor(options: LogCommitOptions) {
    this.#options = options
    this.#gathering = new SyncGathering(options.ports.clock)
    this.sync = options.sync
    this.written = options.written
    this.#end = options.end
    // What was found may still be only in the page cache of a machine that lives on.
    if (!options.readOnly) for (const one of options.files.segments) this.#unsynced.add(one)
  }

  /** Count of records that may be acknowledged. */
  get acknowledged(): number {
    return this.sync === 'always' ? this.durable : this.written
  }

  /** True while something written is not yet durable. */
  get isDirty(): boolean {
    return this.written > this.durable && !this.failure
  }

  /** Waits for a position; `settled` is never called inside this call. */
  wait(waiter: Waiter): void {
    this.#waiters.push(waiter)
  }

  /** A segment has a new file. */
  opened(segment: Segment): void {
    this.#directoryIsDirty = true
    this.#unsynced.add(segment)
  }

  /** Records went to the file of a segment. */
  wrote(segment: Segment, position: number): void {
    this.written = position
    this.#unsynced.add(segment)
  }

  /** A segment is full. */
  seal(sealed: SealedSegment): void {
    this.#sealed.push(sealed)
  }

  isDurable(segment: Segment): boolean {
    return !this.#unsynced.has(segment)
  }

  /** Forgets segments that compaction replaced. */
  forget(run: readonly Segment[]): void {
    this.#sealed = this.#sealed.filter((one) => !run.includes(one.segment))
  }

  /**
   * Makes everything written so far durable; concurrent callers share syncs.
   *
   * @returns Resolves when it is, or when the log has failed.
   */
  async makeDurable(): Promise<void> {
    if (this.#syncing) {
      await this.#syncing
      if (!this.isDirty) return
      return this.makeDurable()
    }
    if (this.#options.readOnly || this.failure) return
    this.#gathering.began()
    this.#syncing = this.#syncOnce().then(() => {
      this.#syncing = undefined
      const waiting = this.#waiters.length
      this.wake()
      this.#gathering.ended(waiting - this.#waiters.length, this.#waiters.length)
      if (!this.failure) this.#options.onDurable()
      this.syncForWaiters()
    })
    await this.#syncing
  }

  /** Under `always`, begins a sync for what is written, now or when more wait for it; the end of one that runs does the same. */
  syncForWaiters(): void {
    if (this.sync !== 'always' || !this.isDirty || this.#syncing) return
    this.#gathering.next(this.#waiters.length, () => void this.makeDurable())
  }

  /** Waits for the sync that runs, refuses what comes, and gives up hints that never became valid. */
  async close(): Promise<void> {
    await this.#syncing
    if (!this.failure && !this.#options.readOnly) await this.#noteEnd()
    this.fail(new NodeError('LOG_WRITE_FAILED', 'the namespace is closed'))
    for (const { hint } of this.#sealed) hint.abandon()
  }

  /** Settles those whose position is reached. */
  wake(): void {
    if (this.#waiters.length > 0) this.#settleWaiters(Number.POSITIVE_INFINITY, undefined)
  }

  /** From here on the log only reads; whoever waits is told. */
  fail(failure: NodeError): void {
    this.failure ??= failure
    this.#settleWaiters(this.acknowledged, this.failure)
  }

  /** What was appended after the last write is gone; whoever waits for it is told. */
  failPending(failure: NodeError): void {
    this.#settleWaiters(this.written, failure)
  }

  async #syncOnce(): Promise<void> {
    const { ports, directory, files } = this.#options
    const target = this.written
    const segments = [...this.#unsynced]
    const directoryIsDirty = this.#directoryIsDirty
    const end = files.end
    this.#unsynced = new Set()
    this.#directoryIsDirty = false
    try {
      for (const segment of segments) await segment.file.sync()
      if (directoryIsDirty) await ports.disk.syncDirectory(directory)
      this.durable = target
      this.durableSegment = end.segment
      this.durableOffset = end.offset
      const hasFilled = await this.#finishHints()
      if (hasFilled || ports.clock.monotonic() >= this.#endDueMs) await this.#noteEnd()
    } catch (caught) {
      // After a failed sync the kernel may drop the pages and call the next sync a success: never try again.
      this.fail(writeFailed(caught))
    }
  }

  /** Notes how far the log is durable; what fails here only costs knowing of a loss. */
  async #noteEnd(): Promise<void> {
    const { ports, directory, lost } = this.#options
    this.#endDueMs = ports.clock.monotonic() + LOG_END_MS
    const end = { durable: this.durable, lost }
    if (this.#end.durable === end.durable && this.#end.lost === lost) return
    try {
      await writeLogEnd(ports.disk, directory, end)
      this.#end = end
    } catch (caught) {
      if (!isNodeError(caught)) throw caught
      ports.log.warn({ directory, cause: describeError(caught) }, 'end of the log not noted')
    }
  }

  /** Makes the hints of full segments valid; what fails here only costs time at the next start. @returns Whether there were any. */
  async #finishHints(): Promise<boolean> {
    const sealed = this.#sealed.filter((one) => this.isDurable(one.segment))
    this.#sealed = this.#sealed.filter((one) => !this.isDurable(one.segment))
    for (const { segment, hint, endSerial } of sealed) {
      try {
        await hint.finish(segment.file.sizeBytes, { endSerial, ...this.#options.hintFacts() })
      } catch (caught) {
        if (!isNodeError(caught)) throw caught
        const cause = describeError(caught)
        this.#options.ports.log.warn({ segment: segment.name, cause }, 'hint not written')
      }
    }
    return sealed.length > 0
  }

  /** Settles who waits for what is acknowledged, and who waits for more than `failedFrom` with the failure. */
  #settleWaiters(failedFrom: number, failure: NodeError | undefined): void {
    const waiters = this.#waiters
    this.#waiters = []
    const { acknowledged } = this
    for (const waiter of waiters) {
      if (waiter.position <= acknowledged) waiter.settled(undefined)
      else if (waiter.position > failedFrom) waiter.settled(failure)
      else this.#waiters.push(waiter)
    }
  }
}

/** Any failure of the disk as that of a write. */
export function writeFailed(cause: unknown): NodeError {
  if (isNodeError(cause, 'LOG_WRITE_FAILED', 'DISK_FULL')) return cause
  return new NodeError('LOG_WRITE_FAILED', describeError(cause), { cause })
}
