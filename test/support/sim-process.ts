/**
 * A process that can die: whatever of its code still waits when it dies waits for ever, because every port it was given
 * stops answering. So nothing of it takes effect afterwards, as with a real SIGKILL, and no code of it learns of its death.
 */
import type { Disk, DiskFile } from '../../agent/base/disk.ts'
import type { Clock } from '../../agent/base/ports.ts'
import { Crash } from './fault-disk.ts'

/** A process of a simulated machine. */
export class SimProcess {
  readonly pid: number
  readonly name: string
  /** Time as this process has it. */
  readonly clock: Clock
  readonly #onDeath = new Set<(how: string) => void>()
  #isDead = false

  constructor(pid: number, name: string, clock: Clock) {
    this.pid = pid
    this.name = name
    this.clock = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      sleep: (ms, signal) => this.outlived(clock.sleep(ms, signal)),
    }
  }

  get isDead(): boolean {
    return this.#isDead
  }

  /** Told once, when it dies or ends. @returns Takes the wish back. */
  onDeath(tell: (how: string) => void): () => void {
    this.#onDeath.add(tell)
    return () => this.#onDeath.delete(tell)
  }

  /** Ends it, from one moment to the next. */
  die(how: string): void {
    if (this.#isDead) return
    this.#isDead = true
    for (const tell of this.#onDeath) tell(how)
  }

  /** The outcome of some work of the outside, which a dead process never learns. */
  outlived<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      work.then(
        (value) => {
          if (!this.#isDead) resolve(value)
        },
        (caught: unknown) => {
          if (!this.#isDead) reject(caught)
        },
      )
    })
  }

  /** A disk as this process sees it. @param syncMs - How long each flush takes. */
  disk(disk: Disk, syncMs: () => number): Disk {
    const alive = () => {
      if (this.#isDead) throw new Crash('this process is dead')
      return disk
    }
    return {
      open: (path, mode) => this.#file(alive().open(path, mode), alive, syncMs),
      list: (directory) => alive().list(directory),
      exists: (path) => alive().exists(path),
      makeDirectory: (path) => alive().makeDirectory(path),
      rename: (from, to) => alive().rename(from, to),
      remove: (path) => alive().remove(path),
      syncDirectory: async (path) => {
        await this.clock.sleep(syncMs())
        await alive().syncDirectory(path)
      },
      space: () => alive().space(),
    }
  }

  #file(file: DiskFile, alive: () => unknown, syncMs: () => number): DiskFile {
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
      sync: async () => {
        await this.clock.sleep(syncMs())
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
}

/** A part of a disk as a disk of its own. */
export function subDisk(disk: Disk, directory: string): Disk {
  const at = (path: string) => (path === '' ? directory : `${directory}/${path}`)
  return {
    open: (path, mode) => disk.open(at(path), mode),
    list: (path) => disk.list(at(path)),
    exists: (path) => disk.exists(at(path)),
    makeDirectory: (path) => disk.makeDirectory(at(path)),
    rename: (from, to) => disk.rename(at(from), at(to)),
    remove: (path) => disk.remove(at(path)),
    syncDirectory: (path) => disk.syncDirectory(at(path)),
    space: () => disk.space(),
  }
}
