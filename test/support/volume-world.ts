/** Everything around a volume, in memory: stores, disks, clock; and the means to open, crash and open again. */

import type { Disk } from '../../agent/base/disk.ts'
import type { Log } from '../../agent/base/ports.ts'
import { Volume, type VolumeOptions } from '../../agent/engines/files/index.ts'
import { type FaultDisk, faultDisk } from './fault-disk.ts'
import { ChunkWorld, MemoryChunkStore, type MemoryChunkStoreOptions } from './memory-chunk-store.ts'
import { CommitWorld, MemoryCommitStore, plainSealer } from './memory-commit-store.ts'
import { seededChance, VirtualClock } from './virtual-clock.ts'

/** A log that keeps what was said at `warn` and above. */
export function quietLog(lines: string[] = []): Log {
  const log: Log = {
    debug() {},
    info() {},
    warn: (fields, message) => void lines.push(`warn ${message} ${JSON.stringify(fields)}`),
    error: (fields, message) => void lines.push(`error ${message} ${JSON.stringify(fields)}`),
    child: () => log,
  }
  return log
}

/** Who makes the files in tests. */
export const CALLER = { uid: 1000, gid: 1000, pid: 1 }

/** Stores and time that outlive mounts. */
export class VolumeWorld {
  readonly chunkWorld = new ChunkWorld()
  readonly commitWorld: CommitWorld
  readonly clock = new VirtualClock()
  readonly log: string[] = []
  chunks: MemoryChunkStore
  readonly #chunkOptions: MemoryChunkStoreOptions

  constructor(stores = 3, chunkOptions: MemoryChunkStoreOptions = {}) {
    this.commitWorld = new CommitWorld(stores)
    this.#chunkOptions = chunkOptions
    this.chunks = new MemoryChunkStore(this.chunkWorld, chunkOptions)
  }

  /** A disk whose crashes `seed` decides. */
  disk(seed = 1): FaultDisk {
    return faultDisk(seededChance(seed))
  }

  /** Opens the volume on a disk, as its newest writer unless told otherwise. */
  open(
    disk: Disk,
    options: Partial<VolumeOptions> = {},
    pause?: () => Promise<void>,
  ): Promise<Volume> {
    const epoch = options.epoch ?? this.commitWorld.epoch
    this.chunks = new MemoryChunkStore(this.chunkWorld, {
      ...this.#chunkOptions,
      ...(pause ? { pause } : {}),
    })
    return Volume.open(
      {
        disk,
        chunks: this.chunks,
        sections: [this.chunks.section],
        commits: new MemoryCommitStore(this.commitWorld, epoch, pause),
        sealer: plainSealer(),
        clock: this.clock,
        log: quietLog(this.log),
      },
      { readOnly: false, sizeBytes: 2 ** 40, dispersalAgeMs: 5000, ...options, epoch },
      new AbortController().signal,
    )
  }
}

/** Makes or overwrites a file whole. */
export async function writeFile(
  volume: Volume,
  name: string,
  bytes: Uint8Array,
  parent = 1,
): Promise<number> {
  const { attributes, handle } = volume.create(parent, name, 0o644, 2, CALLER)
  await volume.write(handle, 0, bytes)
  volume.release(handle)
  return attributes.ino
}

/** Reads a file whole. */
export async function readFile(volume: Volume, name: string, parent = 1): Promise<Buffer> {
  const { ino, sizeBytes } = volume.lookup(parent, name)
  const handle = volume.open(ino, 0)
  const bytes = Buffer.alloc(sizeBytes)
  const length = await volume.read(handle, 0, bytes)
  volume.release(handle)
  return bytes.subarray(0, length)
}

/** Bytes that differ with seed and place. */
export function pattern(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length)
  let state = (seed * 2654435761) >>> 0
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[at] = state >>> 24
  }
  return bytes
}
