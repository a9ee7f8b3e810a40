/** A process that writes and syncs without end, and says what is acknowledged: `kill.test.ts` kills it. */
import { nodeDisk } from '../../../agent/adapters/disk/node-disk.ts'
import { systemClock } from '../../../agent/adapters/time/system-clock.ts'
import { Volume } from '../../../agent/engines/files/index.ts'
import { ChunkWorld, MemoryChunkStore } from '../../support/memory-chunk-store.ts'
import { CommitWorld, MemoryCommitStore, plainSealer } from '../../support/memory-commit-store.ts'
import { CALLER, pattern, quietLog } from '../../support/volume-world.ts'

/** Opens the volume of the test; its stores are away, so all that it has is the local disk. */
export async function openAlone(root: string, isResumed = false): Promise<Volume> {
  const world = new ChunkWorld()
  world.isAway = true
  const chunks = new MemoryChunkStore(world)
  return await Volume.open(
    {
      disk: nodeDisk(root),
      chunks,
      sections: [chunks.section],
      commits: new MemoryCommitStore(new CommitWorld(1), 1),
      sealer: plainSealer(),
      clock: systemClock(),
      log: quietLog(),
    },
    {
      ...{
        readOnly: false,
        epoch: 1,
        sizeBytes: 2 ** 40,
        dispersalAgeMs: 20,
        segmentBytes: 300_000,
      },
      isResumed,
    },
    new AbortController().signal,
  )
}

/** Length of the `n`-th file. */
export function lengthOf(n: number): number {
  return 1 + ((n * 7919) % 30_000)
}

async function write(root: string): Promise<void> {
  const volume = await openAlone(root)
  const found = volume.space().files - volume.space().filesFree - 1
  // The last file found may be one that was never acknowledged: it is written again.
  for (let n = Math.max(0, found - 1); ; n++) {
    const isThere = n < found
    const ino = isThere ? volume.lookup(1, `f${n}`).ino : undefined
    const { attributes, handle } =
      ino === undefined
        ? volume.create(1, `f${n}`, 0o644, 2, CALLER)
        : { attributes: { ino }, handle: volume.open(ino, 2) }
    await volume.write(handle, 0, pattern(lengthOf(n), n))
    await volume.sync(attributes.ino, false)
    volume.release(handle)
    process.stdout.write(`${n}\n`)
  }
}

if (import.meta.main) await write(process.argv[2] ?? '')
