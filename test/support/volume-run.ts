/**
 * A volume and a plain model side by side, through crashes, restarts and moves to empty machines.
 *
 * After a crash the volume must look like the model did after some operation not before the last acknowledged one; on
 * an empty machine like it did at some moment not before the last that was acknowledged as dispersed.
 */
import { assert } from 'chai'
import type { Volume } from '../../agent/engines/files/index.ts'
import { Crash, type FaultDisk } from './fault-disk.ts'
import { type FileOperation, fingerprint, perform, removeAll } from './file-operations.ts'
import { MemoryFileSystem } from './memory-file-system.ts'
import { settle } from './virtual-clock.ts'
import { VolumeWorld } from './volume-world.ts'

/** One thing that happens. */
export type RunStep =
  | { readonly kind: 'do'; readonly operation: FileOperation }
  | { readonly kind: 'advance'; readonly ms: number }
  | {
      readonly kind:
        | 'sync'
        | 'disperse'
        | 'begin-dispersal'
        | 'crash'
        | 'restart'
        | 'move'
        | 'drop-cache'
        | 'stores-away'
        | 'stores-back'
        | 'metadata-away'
        | 'metadata-back'
        | 'disk-full'
        | 'disk-room'
    }

/** A volume, the model, and what the model looked like after each operation. */
export class VolumeRun {
  readonly world = new VolumeWorld(3, { chunkBytes: 4096 })
  readonly #seed: number
  /** Where the volume is now; another after a move. */
  disk: FaultDisk
  #volume: Volume | undefined
  #model: MemoryFileSystem
  #done: { operation: FileOperation; seed: number; atMs: number }[] = []
  /** Fingerprint after n operations. */
  #looks: string[] = []
  #acknowledged = 0
  #dispersed = 0
  #modelNowMs = 0
  #isDead = false

  constructor(seed: number) {
    this.#seed = seed
    this.disk = this.world.disk(seed)
    this.#model = this.#newModel()
  }

  get volume(): Volume {
    assert.isDefined(this.#volume)
    return this.#volume
  }

  async start(): Promise<void> {
    await this.#open()
    this.#looks = [await this.#look(this.#model)]
  }

  async step(step: RunStep, index: number): Promise<void> {
    switch (step.kind) {
      case 'do':
        return await this.#do(step.operation, index)
      case 'advance':
        return await this.world.clock.advance(step.ms)
      case 'sync': {
        const at = this.#done.length
        await this.volume.sync(1, false)
        this.#acknowledged = at
        return
      }
      case 'disperse':
        return await this.#disperse()
      case 'begin-dispersal':
        this.volume.syncDispersed().catch(() => undefined)
        return await settle()
      case 'crash':
        this.world.kill()
        this.#isDead = false
        this.disk.onOperation = undefined
        this.disk.crash()
        await this.#open()
        return await this.#foundAgain(this.#acknowledged, 'after a crash')
      case 'restart':
        await this.world.drive(this.volume.close())
        await this.#open()
        return await this.#foundAgain(this.#done.length, 'after a restart')
      case 'move':
        return await this.#move()
      case 'drop-cache':
        this.volume.dropCache()
        this.world.chunks.dropCache()
        return
      case 'stores-away':
        this.world.chunkWorld.isAway = true
        return
      case 'stores-back':
        this.world.chunkWorld.isAway = false
        return
      case 'metadata-away':
      case 'metadata-back':
        for (const replica of this.world.commitWorld.replicas.slice(index % 3)) {
          replica.isAway = step.kind === 'metadata-away'
        }
        return
      case 'disk-full':
        this.disk.capacityBytes = usedBytes(this.disk) + (index % 7) * 40
        return
      case 'disk-room':
        this.#makeRoom()
        return
    }
  }

  /** From the `count`-th change of the disk on the process is dead: nothing of it takes effect. */
  diesAfter(count: number): void {
    let left = count
    this.disk.onOperation = () => {
      if (left-- > 0) return
      this.#isDead = true
      throw new Crash('the process died here')
    }
  }

  get isDead(): boolean {
    return this.#isDead
  }

  get diskOperations(): number {
    return this.disk.operations
  }

  async check(): Promise<void> {
    this.#makeRoom()
    // What could not be freed while the disk was full is freed with the next operation.
    await this.#do({ kind: 'chmod', file: 0, mode: 0o640 }, 0)
    this.#checkUse()
    assert.equal(await this.#look(this.volume), this.#looks.at(-1))
  }

  /** Once all files are removed and that is dispersed, no chunk is left. */
  async checkNothingLeft(): Promise<void> {
    this.#allBack()
    await removeAll(this.volume, 1)
    await this.world.drive(this.volume.syncDispersed(), 1000)
    assert.equal(this.volume.space().freeBytes, this.volume.space().totalBytes, 'bytes in use')
    assert.equal(this.world.chunks.count, 0, 'chunks in the table')
  }

  async #do(operation: FileOperation, seed: number): Promise<void> {
    this.#modelNowMs = this.world.clock.now()
    if (await this.#isRefusedForRoom(operation, seed)) return
    const expected = await perform(this.#model, operation, seed)
    this.#done.push({ operation, seed, atMs: this.#modelNowMs })
    this.#looks.push(await this.#look(this.#model))
    const found = this.#isDiskFull ? expected : await perform(this.volume, operation, seed)
    assert.equal(found, expected, `${JSON.stringify(operation)}`)
    assert.equal(await this.#look(this.volume), this.#looks.at(-1), JSON.stringify(operation))
  }

  /** On a full disk an operation works or says so and changes nothing; which, only the volume knows. */
  async #isRefusedForRoom(operation: FileOperation, seed: number): Promise<boolean> {
    if (!this.#isDiskFull) return false
    const code = await perform(this.volume, operation, seed)
    if (code !== 'NO_SPACE' && code !== 'IO') return false
    assert.equal(await this.#look(this.volume), this.#looks.at(-1), `refused with ${code}`)
    return true
  }

  get #isDiskFull(): boolean {
    return this.disk.capacityBytes < Number.POSITIVE_INFINITY
  }

  #makeRoom(): void {
    this.disk.capacityBytes = Number.POSITIVE_INFINITY
  }

  #allBack(): void {
    this.#makeRoom()
    this.world.chunkWorld.isAway = false
    for (const replica of this.world.commitWorld.replicas) replica.isAway = false
  }

  async #disperse(): Promise<void> {
    this.#allBack()
    const at = this.#done.length
    await this.world.drive(this.volume.syncDispersed(), 1000)
    this.#dispersed = at
  }

  /** The machine is lost with its disk; another takes over. */
  async #move(): Promise<void> {
    this.#allBack()
    this.world.kill()
    this.world.commitWorld.epoch++
    this.disk = this.world.disk(this.#seed + this.world.commitWorld.epoch)
    await this.#open()
    await this.#foundAgain(this.#dispersed, 'on an empty machine')
    this.#acknowledged = Math.min(this.#acknowledged, this.#done.length)
  }

  async #open(): Promise<void> {
    this.#makeRoom()
    const pause = () => this.world.clock.sleep(7)
    const options = { segmentBytes: 20_000, snapshotCommitsMin: 3 }
    this.#volume = await this.world.drive(this.world.open(this.disk, options, pause))
  }

  /** Checks that the volume is at a state it may be at, and takes the model back to it. */
  async #foundAgain(from: number, when: string): Promise<void> {
    const look = await this.#look(this.volume)
    const at = this.#looks.lastIndexOf(look)
    assert.isAtLeast(
      at,
      from,
      `${when}, from ${from} to ${this.#done.length}\n${look}\n-- none of\n${this.#looks.slice(from).join('\n-\n')}`,
    )
    const kept = this.#done.slice(0, at)
    this.#looks = this.#looks.slice(0, at + 1)
    this.#done = []
    this.#model = this.#newModel()
    for (const { operation, seed, atMs } of kept) {
      this.#modelNowMs = atMs
      await perform(this.#model, operation, seed)
      this.#done.push({ operation, seed, atMs })
    }
    this.#acknowledged = Math.min(this.#acknowledged, at)
    this.#dispersed = Math.min(this.#dispersed, at)
    assert.equal(await this.#look(this.#model), look)
    this.#checkUse()
  }

  /** Nothing is kept that cannot be seen, and nothing seen is counted twice. */
  #checkUse(): void {
    const inodes = ({ files, filesFree }: { files: number; filesFree: number }) => files - filesFree
    assert.equal(inodes(this.volume.space()), inodes(this.#model.space()), 'inodes in use')
  }

  #newModel(): MemoryFileSystem {
    this.#modelNowMs = this.world.clock.now()
    return new MemoryFileSystem({ nowNs: () => BigInt(this.#modelNowMs) * 1_000_000n })
  }

  async #look(fs: Volume | MemoryFileSystem): Promise<string> {
    return await this.world.drive(fingerprint(fs), 0)
  }
}

function usedBytes(disk: FaultDisk): number {
  return disk.files().reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}
