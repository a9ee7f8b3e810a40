/** Stores in memory that volumes on real disks disperse to, opened by one machine after another. */
import { nodeDisk } from '../../../agent/adapters/disk/node-disk.ts'
import { systemClock } from '../../../agent/adapters/time/system-clock.ts'
import { Volume } from '../../../agent/engines/files/index.ts'
import type { ChunkStore } from '../../../agent/engines/files/ports.ts'
import { ChunkWorld, MemoryChunkStore } from '../../support/memory-chunk-store.ts'
import { CommitWorld, MemoryCommitStore, plainSealer } from '../../support/memory-commit-store.ts'
import { quietLog } from '../../support/volume-world.ts'

/** Chunks and commits that outlive the machine. */
export class TestStores {
  readonly chunks = new ChunkWorld()
  readonly commits = new CommitWorld(3)

  /** Opens the volume as the writer of the epoch. @param root - Local directory of the machine. @param around - Wraps the store. */
  open(root: string, around = (chunks: ChunkStore): ChunkStore => chunks): Promise<Volume> {
    const chunks = new MemoryChunkStore(this.chunks)
    return Volume.open(
      {
        disk: nodeDisk(root),
        chunks: around(chunks),
        sections: [chunks.section],
        commits: new MemoryCommitStore(this.commits, this.commits.epoch),
        sealer: plainSealer(),
        clock: systemClock(),
        log: quietLog(),
      },
      {
        readOnly: false,
        epoch: this.commits.epoch,
        sizeBytes: 2 ** 34,
        dispersalAgeMs: 100,
        segmentBytes: 4 * 2 ** 20,
        snapshotCommitsMin: 8,
      },
      new AbortController().signal,
    )
  }
}
