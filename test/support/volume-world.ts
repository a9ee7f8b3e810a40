/** Everything around a volume, in memory: stores, disks, clock; and the means to open, crash and open again. */

import type { Disk, DiskFile } from '../../agent/base/disk.ts'
import type { Log } from '../../agent/base/ports.ts'
import { Volume, type VolumeOptions } from '../../agent/engines/files/index.ts'
import { Crash, type FaultDisk, faultDisk } from './fault-disk.ts'
import { ChunkWorld, MemoryChunkStore, type MemoryChunkStoreOptions } from './memory-chunk-store.ts'
import { CommitWorld, MemoryCommitStore, plainSealer } from './memory-commit-store.ts'
import { seededChance, settle, VirtualClock } from './virtual-clock.ts'

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

/** A disk as one process sees it: when the process dies, whatever of it still runs cannot touch the disk. */
class MortalDisk implements Disk {
  readonly #disk: Disk
  #isDead = false

  constructor(disk: Disk) {
    this.#disk = disk
  }

  die(): void {
    this.#isDead = true
  }

  open(path: string, mode: 'read' | 'write' | 'create' | 'new'): DiskFile {
    const file = this.#alive().open(path, mode)
    const alive = () => this.#alive()
    return {
      get sizeBytes() {
        return file.sizeBytes
      },
      read(into, offset) {
        alive()
        return file.read(into, offset)
      },
      write(parts, offset) {
        alive()
        file.write(parts, offset)
      },
      truncate(sizeBytes) {
        alive()
        file.truncate(sizeBytes)
      },
      async sync() {
        alive()
        await file.sync()
      },
      syncNow() {
        alive()
        file.syncNow()
      },
      close: () => file.close(),
    }
  }

  list = (directory: string) => this.#alive().list(directory)
  exists = (path: string) => this.#alive().exists(path)
  makeDirectory = (path: string) => this.#alive().makeDirectory(path)
  rename = (from: string, to: string) => this.#alive().rename(from, to)
  remove = (path: string) => this.#alive().remove(path)
  syncDirectory = async (path: string) => this.#alive().syncDirectory(path)
  space = () => this.#alive().space()

  #alive(): Disk {
    if (this.#isDead) throw new Crash('this process is dead')
    return this.#disk
  }
}

/** Stores and time that outlive mounts. */
export class VolumeWorld {
  readonly chunkWorld = new ChunkWorld()
  readonly commitWorld: CommitWorld
  readonly clock = new VirtualClock()
  readonly log: string[] = []
  chunks: MemoryChunkStore
  #commits: MemoryCommitStore | undefined
  #disk: MortalDisk | undefined
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

  /** Lets time pass until a promise settles. */
  async drive<T>(work: Promise<T>, stepMs = 7, stepsMax = 10_000): Promise<T> {
    let isSettled = false
    const settled = () => {
      isSettled = true
    }
    work.then(settled, settled)
    await settle()
    for (let step = 0; step < stepsMax && !isSettled; step++) await this.clock.advance(stepMs)
    if (!isSettled) throw new Error(`nothing came of it in ${stepsMax} steps`)
    return await work
  }

  /** The machine that opened last loses power: nothing it began takes effect any more. */
  kill(): void {
    this.#disk?.die()
    this.chunks.isDead = true
    if (this.#commits) this.#commits.isDead = true
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
    this.#commits = new MemoryCommitStore(this.commitWorld, epoch, pause)
    this.#disk = new MortalDisk(disk)
    return Volume.open(
      {
        disk: this.#disk,
        chunks: this.chunks,
        sections: [this.chunks.section],
        commits: this.#commits,
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
