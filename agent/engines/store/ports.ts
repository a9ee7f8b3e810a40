/** What the store needs from outside: a disk, time, chance, a log, and a way to run at the end of a burst of input. */
import type { Disk } from '../../base/disk.ts'
import type { Chance, Clock, HugePages, Log } from '../../base/ports.ts'

/** When a write is acknowledged: after its fsync, before it (with a bounded delay), or with no fsync at all. */
export type SyncMode = 'always' | 'group' | 'never'

/** A stretch of a segment whose records are to be hashed. */
export interface RootJob {
  /** Path of the segment on the store's disk. */
  readonly path: string
  /** Offset of a record, and where to stop. */
  readonly fromOffset: number
  readonly toOffset: number
  /** The first serial wanted; records before it are passed over. */
  readonly firstSerial: number
}

/** Roots of the records of a stretch. */
export interface RootBatch {
  /** 32 bytes for each serial from `firstSerial` on; zeros for one that is damaged. */
  readonly roots: Uint8Array
  /** Where the next stretch starts. */
  readonly endOffset: number
}

/** Hashes records off the thread that serves. Adapter: `units/store/root-worker.ts`; in place: `inlineRootHasher`. */
export interface RootHasher {
  roots(job: RootJob): Promise<RootBatch>
}

/** What happens to a store, by the names that 0-db gives its hooks; `namespace-flushed` is ours. */
export type StoreEvent =
  | 'namespace-created'
  | 'namespace-updated'
  | 'namespace-deleted'
  | 'namespace-flushed'
  | 'namespace-reloaded'
  | 'namespace-closing'
  | 'jump-index'
  | 'jump-data'

/** A reply of another store: a status, a number, bytes, nil, an error's words, or several. */
export type PeerReply =
  | string
  | number
  | Uint8Array
  | null
  | { readonly words: string }
  | readonly PeerReply[]

/** A connection to the primary of a replica. */
export interface PrimaryLink {
  /** Sends a command; what cannot be sent shows in {@link PrimaryLink.next}. */
  send(args: readonly (string | Uint8Array)[]): void
  /**
   * The next reply. What is not taken is not received either, so a slow reader holds no memory.
   *
   * @throws NodeError once the link is lost or silent for too long; the signal's reason.
   */
  next(signal: AbortSignal): Promise<PeerReply>
  close(): void
}

/** Reaches the primary. Adapter: `adapters/socket/primary-dialer.ts`. */
export interface PrimaryDialer {
  /** @throws NodeError if it cannot be reached; the signal's reason. */
  dial(signal: AbortSignal): Promise<PrimaryLink>
}

/** What the store is handed. Adapters: `adapters/disk`, `adapters/time`; in tests `test/support/fault-disk.ts`. */
export interface LogPorts {
  readonly disk: Disk
  readonly clock: Clock
  readonly chance: Chance
  readonly log: Log
  /**
   * Told of events, with 0-db's arguments: the namespace's name, or paths on the store's disk. May not throw.
   * Absent where nobody wants to know.
   */
  readonly onEvent?: (event: StoreEvent, args: readonly string[]) => void
  /** Absent: records are hashed in place. */
  readonly rootHasher?: RootHasher
  /** Told of the memory of indexes and caches; absent where pages are of one size. */
  readonly hugePages?: HugePages | undefined
  /**
   * Runs a task once the present burst of input is done (in production `setImmediate`), never inside the call: records
   * written in one burst then share one write, and replies leave after it.
   */
  readonly atEndOfTick: (task: () => void) => void
}
