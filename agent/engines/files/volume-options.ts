/** What a volume is opened with, and what it says of itself. */
import type { Disk } from '../../base/disk.ts'
import type { Clock, Log } from '../../base/ports.ts'
import type { DispersalState } from './disperser.ts'
import type { Ino } from './file-system.ts'
import type { AsideReport } from './opening.ts'
import type { ChunkStore, CommitSealer, CommitStore, Evictable, Section } from './ports.ts'

/** What a volume needs from outside. */
export interface VolumePorts {
  /** The volume's own local directory; not used by a read-only volume. */
  readonly disk: Disk
  readonly chunks: ChunkStore
  /** Tables of other engines, as they are for an empty volume. */
  readonly sections: readonly Section[]
  readonly commits: CommitStore
  /** What lies on the same disk and may go at any time, to make room for the journal. */
  readonly evictable?: Evictable | undefined
  readonly sealer: CommitSealer
  readonly clock: Clock
  readonly log: Log
}

/** How a volume is opened. */
export interface VolumeOptions {
  readonly readOnly: boolean
  /**
   * The kernel still knows inodes and handles of a process before this one that showed the same volume here: they are served, and
   * files without a name are kept until it forgets them.
   */
  readonly isResumed?: boolean
  /** The writer's epoch on the ledger, `>= 1`; ignored when read-only. */
  readonly epoch: number
  /** Bytes that the order pays for. */
  readonly sizeBytes: number
  /** Oldest that an undispersed byte should get. */
  readonly dispersalAgeMs: number
  /** `dispersed`: fsync waits for the stores too. Default `local`. */
  readonly sync?: 'local' | 'dispersed'
  /** Metadata stores that must answer before a writer starts from them; default: what a majority write demands. */
  readonly storesNeeded?: number
  /** The writer before this one, and until when (monotonic milliseconds) to wait for it to disperse what it has. */
  readonly outgoing?: { readonly epoch: number; readonly untilMs: number } | undefined
  /** Read-only: the last commit to show, for a look at the past. */
  readonly upToSequence?: number
  readonly inodesMax?: number
  readonly backlogBytes?: number
  readonly journalBytesMax?: number
  readonly segmentBytes?: number
  readonly snapshotCommitsMin?: number
  /** Told which inodes a follower saw change, so that caches above can be dropped. */
  readonly changed?: (inodes: readonly Ino[]) => void
}

/** How a volume is doing, for status and metrics. */
export interface VolumeFigures {
  readonly state: DispersalState | 'read-only'
  /** Why the state is not `ok`. */
  readonly problem: string | undefined
  readonly files: number
  /** Bytes that files hold. */
  readonly bytes: number
  readonly sizeBytes: number
  readonly undispersedBytes: number
  readonly undispersedAgeMs: number
  readonly journalBytes: number
  readonly commitSequence: number
  readonly commitEpoch: number
  /** Bytes of an earlier time as writer that never reached the stores; in the journal below the local directory. */
  readonly leftBehindBytes: number
  /** Journals that could not be continued, kept under the local directory. */
  readonly aside: readonly AsideReport[]
}
