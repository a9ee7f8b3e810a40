/**
 * Decides when a snapshot is due and makes it, beside the rounds of dispersal.
 *
 * A snapshot is stored locally first (the checkpoint), then on the metadata stores; if those are away the next one makes up for it.
 */
import { required } from '../../base/assert.ts'
import { describeError, isNodeError, NodeError } from '../../base/errors.ts'
import type { Clock, Log } from '../../base/ports.ts'
import { type Commit, type CommitHeader, decodeCommit, type SectionBytes } from './commit-format.ts'
import { SNAPSHOT_COMMITS_MAX, SNAPSHOT_COMMITS_MIN, SNAPSHOT_SHARE } from './constants.ts'
import type { LocalArchive } from './local-archive.ts'
import type { CommitSealer, CommitStore } from './ports.ts'
import { buildSnapshot, decodeSnapshot, type Snapshot } from './snapshot-format.ts'

/** What a snapshotter works with. */
export interface SnapshotterParts {
  readonly archive: LocalArchive
  readonly commits: CommitStore
  readonly sealer: CommitSealer
  readonly clock: Clock
  readonly log: Log
}

/** Makes snapshots, one at a time. */
export class Snapshotter {
  readonly #parts: SnapshotterParts
  readonly #commitsMin: number
  readonly #abort = new AbortController()
  #commitsSince: number
  #bytesSince = 0
  #snapshotBytes = 0
  #making: Promise<void> | undefined

  /**
   * @param commitsSince - Commits after the newest local checkpoint.
   * @param commitsMin - Commits before a snapshot is thought of.
   */
  constructor(parts: SnapshotterParts, commitsSince: number, commitsMin = SNAPSHOT_COMMITS_MIN) {
    this.#parts = parts
    this.#commitsSince = commitsSince
    this.#commitsMin = commitsMin
  }

  /** Whether the commit about to be made, of `commitBytes`, should be followed by a snapshot. */
  isDue(commitBytes: number): boolean {
    const count = this.#commitsSince + 1
    if (this.#making || count < this.#commitsMin) return false
    const isLarge = (this.#bytesSince + commitBytes) * SNAPSHOT_SHARE >= this.#snapshotBytes
    return isLarge || count >= SNAPSHOT_COMMITS_MAX
  }

  /**
   * Notes a commit, and begins the snapshot after it if `tables` are given.
   *
   * @param header - Of the commit, with its own hash as `previous`.
   * @param tables - All sections as they were when it was made.
   */
  committed(
    header: CommitHeader,
    commitBytes: number,
    tables: readonly SectionBytes[] | undefined,
  ): void {
    this.#commitsSince++
    this.#bytesSince += commitBytes
    if (!tables) return
    this.#commitsSince = 0
    this.#bytesSince = 0
    this.#making = this.#make(header, tables)
      .catch((caught: unknown) => this.#failed(caught))
      .finally(() => {
        this.#making = undefined
      })
  }

  /** Stops a snapshot being made. */
  async close(): Promise<void> {
    this.#abort.abort(new NodeError('VOLUME_CLOSED', 'the volume was closed'))
    await this.#making
  }

  async #make(header: CommitHeader, tables: readonly SectionBytes[]): Promise<void> {
    const { archive, commits, sealer, clock, log } = this.#parts
    const { signal } = this.#abort
    const startMs = clock.monotonic()
    const base = this.#base()
    const list: Commit[] = []
    for (let at = (base?.header.sequence ?? 0) + 1; at <= header.sequence; at++) {
      list.push(decodeCommit(sealer.open(at, required(archive.commit(at), 'a commit is held'))))
    }
    const pause = () => clock.sleep(0, signal)
    const plain = await buildSnapshot(base, list, header, tables, pause)
    signal.throwIfAborted()
    const sealed = sealer.seal(header.sequence, plain)
    this.#snapshotBytes = sealed.byteLength
    await archive.saveCheckpoint(header.sequence, sealed)
    await commits.putSnapshot(header.sequence, sealed, signal)
    const tookMs = clock.monotonic() - startMs
    log.info({ sequence: header.sequence, bytes: sealed.byteLength, tookMs }, 'snapshot stored')
  }

  #base(): Snapshot | undefined {
    const { archive, sealer } = this.#parts
    for (const sequence of archive.checkpoints) {
      const sealed = archive.checkpoint(sequence)
      if (!sealed) continue
      try {
        return decodeSnapshot(sealer.open(sequence, sealed))
      } catch (caught) {
        if (!isNodeError(caught)) throw caught
      }
    }
    return undefined
  }

  #failed(caught: unknown): void {
    if (this.#abort.signal.aborted) return
    if (!isNodeError(caught))
      this.#parts.log.error({ error: describeError(caught) }, 'bug in snapshot')
    else
      this.#parts.log.warn(
        { error: describeError(caught) },
        'snapshot not stored, next one will be',
      )
  }
}
