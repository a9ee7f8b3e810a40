/**
 * A volume of the real engines (files, chunks, disperse) over stores in memory that are lost, come back and are replaced, and
 * the machines that write it.
 */
import { type Chunks, openChunks } from '../../agent/engines/chunks/index.ts'
import { type Dispersal, openDispersal, type Slot } from '../../agent/engines/disperse/index.ts'
import {
  recordSeal,
  Volume,
  type VolumeOptions,
  type VolumePorts,
} from '../../agent/engines/files/index.ts'
import { testKey } from '../unit/disperse/fixture.ts'
import { FakeShardStore } from './fake-shard-store.ts'
import { type FaultDisk, faultDisk } from './fault-disk.ts'
import { plainSealer } from './memory-commit-store.ts'
import { seededChance, settle, VirtualClock } from './virtual-clock.ts'
import { pattern, quietLog, readFile, writeFile } from './volume-world.ts'

/** Shape of the volume. */
export interface StoresShape {
  readonly k: number
  readonly m: number
  readonly metas: number
}

/** A machine that mounts the volume. */
export interface Machine {
  readonly disk: FaultDisk
  readonly volume: Volume
  readonly dispersal: Dispersal
  readonly chunks: Chunks
  readonly epoch: number
}

/** See the file's comment. */
export class VolumeStores {
  readonly clock = new VirtualClock()
  readonly shape: StoresShape
  readonly slots: { index: number; generation: number; store: FakeShardStore }[]
  /** Files whose commit was acknowledged. */
  readonly acknowledged = new Map<string, Uint8Array>()
  readonly log: string[] = []
  epoch = 1
  #seed: number
  #files = 0

  constructor(shape: StoresShape, seed = 1) {
    this.shape = shape
    this.#seed = seed
    const count = shape.k + shape.m + shape.metas
    this.slots = Array.from({ length: count }, (_, index) => ({
      index,
      generation: 0,
      store: this.#newStore(),
    }))
  }

  /** Slots of metadata stores. */
  get metas(): { index: number; generation: number; store: FakeShardStore }[] {
    return this.slots.slice(this.shape.k + this.shape.m)
  }

  /** The ledger gives a slot to an empty node. @param at - Among the metadata slots. */
  replace(at: number): void {
    const slot = this.metas[at]!
    slot.generation++
    slot.store = this.#newStore()
  }

  disk(): FaultDisk {
    return faultDisk(seededChance(this.#seed++))
  }

  /** Opens on a disk, as the newest writer unless told otherwise. @throws What opening throws, after everything is closed. */
  async open(
    disk: FaultDisk,
    options: Partial<VolumeOptions> = {},
    ports: Partial<VolumePorts> = {},
  ): Promise<Machine> {
    const epoch = options.epoch ?? this.epoch
    const { k, m } = this.shape
    const sealer = plainSealer()
    const { clock } = this
    const dispersal = openDispersal({
      ...{ dataShards: k, parityShards: m, slots: this.#slots(), clock },
      chance: seededChance(this.#seed++),
      seal: recordSeal(sealer),
      log: quietLog(this.log),
      isWriter: options.readOnly !== true,
    })
    const keys = { chunkId: testKey(1), chunkKey: testKey(2) }
    const chunks = openChunks({ keys, packs: dispersal, clock, memoryBytes: 0 })
    try {
      const volume = await this.run(
        Volume.open(
          {
            ...{ disk, chunks, sealer, clock, commits: dispersal.commits },
            sections: [dispersal.section, chunks.section],
            log: quietLog(this.log),
            ...ports,
          },
          { readOnly: false, sizeBytes: 2 ** 40, dispersalAgeMs: 5000, ...options, epoch },
          new AbortController().signal,
        ),
      )
      return { disk, volume, dispersal, chunks, epoch }
    } catch (caught) {
      await this.run(chunks.close())
      await this.run(dispersal.close())
      throw caught
    }
  }

  /** A writer on an empty machine, which the ledger gave a newer epoch. */
  openAnew(options: Partial<VolumeOptions> = {}): Promise<Machine> {
    this.epoch++
    return this.open(this.disk(), options)
  }

  /** Takes over what the ledger says of slots. */
  update(machine: Machine): void {
    machine.dispersal.setSlots(this.#slots())
  }

  /** Writes a file and waits until a commit with it is acknowledged. */
  async write(machine: Machine): Promise<void> {
    const name = `f${this.#files}`
    const bytes = pattern(700, this.#files++)
    await writeFile(machine.volume, name, bytes)
    await this.run(machine.volume.syncDispersed())
    this.acknowledged.set(name, bytes)
  }

  /** Names of acknowledged files that a machine does not show as they were written. */
  async lacking(machine: Machine): Promise<string[]> {
    const lacking: string[] = []
    for (const [name, bytes] of this.acknowledged) {
      const found = await this.run(readFile(machine.volume, name)).catch(() => undefined)
      if (!found || Buffer.compare(found, bytes) !== 0) lacking.push(name)
    }
    return lacking
  }

  /** Stops a machine; what it had not dispersed stays on its disk. */
  async close(machine: Machine): Promise<void> {
    await this.run(machine.volume.close())
    await this.run(machine.chunks.close())
    await this.run(machine.dispersal.close())
  }

  /** Keys and bytes of all commits on a store. */
  commitsOf(store: FakeShardStore): Map<string, Uint8Array> {
    const keys = store.keys.filter((key) => key.startsWith('63'))
    return new Map(keys.map((key) => [key, store.peek(key)!]))
  }

  /** Lets time pass until a promise settles. @throws Error if it does not within `stepsMax` steps. */
  async run<T>(work: Promise<T>, stepsMax = 3000): Promise<T> {
    let isSettled = false
    const settled = () => {
      isSettled = true
    }
    work.then(settled, settled)
    await settle()
    for (let step = 0; step < stepsMax && !isSettled; step++) await this.clock.advance(20)
    if (!isSettled) throw new Error(`nothing came of it in ${stepsMax} steps`)
    return work
  }

  #slots(): Slot[] {
    return this.slots.map((slot) => ({ ...slot }))
  }

  #newStore(): FakeShardStore {
    return new FakeShardStore(this.clock, seededChance(this.#seed++))
  }
}
