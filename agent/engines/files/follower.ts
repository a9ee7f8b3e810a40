/**
 * Keeps a read-only volume up with its writer: looks for the next commit every few seconds and applies it.
 *
 * If what was applied turns out to be on a lost branch (a fenced writer's last commit), the state is built again from the
 * stores; inodes keep their numbers, so open files go on.
 */
import { bytesEqual } from '../../base/bytes.ts'
import { describeError, isNodeError, NodeError } from '../../base/errors.ts'
import { hashRecord } from './commit-format.ts'
import { FOLLOW_MS, FOLLOW_MS_MAX } from './constants.ts'
import type { Ino } from './file-system.ts'
import { followHistory, type Head, openVersions } from './history.ts'
import { advance, type OpeningParts, openReader, type VolumeState } from './opening.ts'
import type { Sections } from './sections.ts'
import type { Tree } from './tree.ts'

/** What the follower asks and tells. */
export interface FollowerEvents {
  isOpen(ino: Ino): boolean
  /** The tree after new commits, and which inodes changed (empty: perhaps all). */
  advanced(tree: Tree, inodes: readonly Ino[]): void
}

/** Follows a writer. */
export class Follower {
  readonly #parts: Omit<OpeningParts, 'disk'>
  readonly #upTo: number
  readonly #events: FollowerEvents
  readonly #abort = new AbortController()
  #volume: VolumeState
  #problem: string | undefined
  /** Commit that the last look ended at, and how many looks since then led nowhere although there is more. */
  #stuckAt = -1
  #stuckSteps = 0
  #stepping: Promise<void> | undefined
  #running: Promise<void> | undefined

  constructor(
    parts: Omit<OpeningParts, 'disk' | 'sections'>,
    sections: Sections,
    volume: VolumeState,
    upTo: number | undefined,
    events: FollowerEvents,
  ) {
    this.#parts = { ...parts, sections }
    this.#volume = volume
    this.#upTo = upTo ?? Number.MAX_SAFE_INTEGER
    this.#events = events
  }

  get head(): Head {
    return this.#volume.head
  }

  get problem(): string | undefined {
    return this.#problem
  }

  get state(): 'read-only' | 'waiting-for-stores' {
    return this.#problem === undefined ? 'read-only' : 'waiting-for-stores'
  }

  /** Begins to follow, unless the volume shows a fixed moment. */
  run(): void {
    if (this.#upTo < Number.MAX_SAFE_INTEGER) return
    this.#running = this.#loop()
  }

  /** Looks for new commits once. */
  step(): Promise<void> {
    this.#stepping ??= this.#step().finally(() => {
      this.#stepping = undefined
    })
    return this.#stepping
  }

  async close(): Promise<void> {
    this.#abort.abort(new NodeError('VOLUME_CLOSED', 'the volume was closed'))
    await this.#running
  }

  async #loop(): Promise<void> {
    const { clock, log } = this.#parts
    const { signal } = this.#abort
    let waitMs = FOLLOW_MS
    while (!signal.aborted) {
      try {
        await clock.sleep(waitMs, signal)
        await this.step()
        this.#problem = undefined
        waitMs = FOLLOW_MS
      } catch (caught) {
        if (signal.aborted) return
        if (!isNodeError(caught)) log.error({ error: describeError(caught) }, 'bug in following')
        else if (!this.#problem)
          log.warn({ error: describeError(caught) }, 'cannot follow the writer')
        this.#problem = describeError(caught)
        waitMs = Math.min(waitMs * 2, FOLLOW_MS_MAX)
      }
    }
  }

  async #step(): Promise<void> {
    const { commits, sealer, sections } = this.#parts
    const { signal } = this.#abort
    const claimed = await commits.head(signal)
    if (claimed.storesAnswering === 0)
      throw new NodeError('VOLUME_HEAD_UNKNOWN', 'no store answers')
    if (claimed.sequence < this.head.sequence || this.#upTo <= this.head.sequence) return
    if (await this.#isOnLostBranch()) return await this.#rebuild()

    const changed: Ino[] = []
    const { isCutOff } = await followHistory(
      this.head,
      Math.min(claimed.sequence, this.#upTo),
      async (at) => (at > this.#upTo ? [] : await commits.read(at, signal)),
      sealer,
      (link) => {
        const next = advance(this.#volume, link, sections, (ino) => this.#events.isOpen(ino))
        this.#volume = next.state
        for (const ino of next.touched) changed.push(ino)
      },
    )
    if (changed.length > 0) this.#events.advanced(this.#volume.tree, changed)
    if (isCutOff || (await this.#isLeftBehind(claimed.sequence))) await this.#rebuild()
  }

  /** Whether the writer went on so far meanwhile that the next commit is gone, and only a newer snapshot leads on. */
  async #isLeftBehind(claimed: number): Promise<boolean> {
    const { sequence } = this.head
    const isStuck = sequence === this.#stuckAt && sequence < Math.min(claimed, this.#upTo)
    this.#stuckSteps = isStuck ? this.#stuckSteps + 1 : 0
    this.#stuckAt = sequence
    // Less and less often: a store may claim what there is not.
    if (!Number.isInteger(Math.log2(this.#stuckSteps))) return false
    const snapshots = await this.#parts.commits.snapshots(this.#abort.signal)
    return snapshots.some((snapshot) => snapshot.sequence > sequence)
  }

  /** Whether a newer writer put another commit in the place of the one applied last. */
  async #isOnLostBranch(): Promise<boolean> {
    const { sequence, hash, epoch } = this.head
    if (sequence === 0) return false
    const versions = await this.#parts.commits.read(sequence, this.#abort.signal)
    const others = versions.filter((sealed) => !bytesEqual(hashRecord(sealed), hash))
    return openVersions(sequence, others, this.#parts.sealer).some((link) => link.epoch > epoch)
  }

  async #rebuild(): Promise<void> {
    this.#volume = await openReader(this.#parts, this.#upTo, this.#abort.signal)
    this.#events.advanced(this.#volume.tree, [])
  }
}
