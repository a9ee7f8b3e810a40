/**
 * The mount unit and the holder of its connection: what is handed over, what is taken over, and when it fits.
 *
 * A connection is gone on with only if the volume is the one the kernel knows: the same order and path, still mounted there, the
 * same journal of a writer. Else the holder lets go, and the volume is mounted anew.
 */
import { closeSync } from 'node:fs'
import { KernelFuseDevice } from '../../adapters/kernel/fuse-device.ts'
import { FuseHolderClient, type Taken } from '../../adapters/kernel/fuse-holder.ts'
import { mountAt } from '../../adapters/kernel/mount-table.ts'
import {
  newSharedChange,
  openSharedChange,
  type SharedChange,
} from '../../adapters/kernel/shared-change.ts'
import type { Clock, Log } from '../../base/ports.ts'
import { SECOND_MS } from '../../base/units.ts'
import type { Volume } from '../../engines/files/index.ts'
import type { MountUnitConfig } from '../../state/unit-config.ts'

/** A process that is started needs so long on a busy machine; the mount serves meanwhile. */
const START_MS_MAX = 30 * SECOND_MS
const LOOK_EVERY_MS = 100

/** What the next unit must find the same. */
interface HeldState {
  readonly order: number
  readonly path: string
  readonly readOnly: boolean
  /** `major:minor` of the mount. */
  readonly device: string
  /** See `Volume.continuity`. */
  readonly continuity: string
}

/** A connection that was taken over and not yet judged. */
export interface HeldConnection {
  readonly taken: Taken<HeldState>
  readonly takenAtMs: number
}

/** A connection that is gone on with. */
export interface ResumedMount {
  readonly device: KernelFuseDevice
  readonly lastChange: SharedChange
  readonly isLastChangeDone: boolean
  /** How long nobody served. */
  readonly gapMs: number
}

/** A mount unit's side of holding. */
export class Holding {
  readonly #client: FuseHolderClient
  readonly #clock: Clock
  readonly #log: Log

  constructor(socketPath: string, clock: Clock, log: Log) {
    this.#client = new FuseHolderClient(socketPath)
    this.#clock = clock
    this.#log = log
  }

  /** What a unit before this one left with the holder, before the volume is opened. */
  take(): HeldConnection | undefined {
    const taken = this.#client.take<HeldState>()
    return taken && { taken, takenAtMs: this.#clock.monotonic() }
  }

  /** Gives copies back that are not used: the holder goes on holding. */
  giveBack(held: HeldConnection | undefined): void {
    for (const fd of held?.taken.descriptors ?? []) closeSync(fd)
  }

  /**
   * Goes on with a connection, if it fits; else the holder lets go and the mount dies.
   *
   * @param held - As {@link take} gave it; its descriptors are used or closed.
   */
  async resume(
    held: HeldConnection,
    config: MountUnitConfig,
    path: string,
    volume: Volume,
  ): Promise<ResumedMount | undefined> {
    const { state, gapMs, descriptors } = held.taken
    const [fd, memory] = descriptors
    const found = await mountAt(path)
    const fits =
      state.order === config.order &&
      state.path === path &&
      state.readOnly === config.readOnly &&
      state.continuity === volume.continuity &&
      found?.device === state.device
    const lastChange = fits && memory !== undefined ? openSharedChange(memory) : undefined
    if (fd === undefined || !lastChange) {
      this.#log.warn({ path }, 'what was held does not fit this volume, and is let go')
      this.giveBack(held)
      this.#client.drop()
      return undefined
    }
    const isLastChangeDone = lastChange.unique !== 0 && volume.hasChangedSince(lastChange.position)
    const device = new KernelFuseDevice({ fd, path, device: state.device })
    device.outliveProcess()
    this.#client.put({ state, descriptors })
    const servedAgainMs = gapMs + this.#clock.monotonic() - held.takenAtMs
    return { device, lastChange, isLastChangeDone, gapMs: Math.round(servedAgainMs) }
  }

  /** Where a new mount notes its changes. */
  newNote(): SharedChange | undefined {
    return newSharedChange()
  }

  /** Hands a mount over to the holder, which starts beside this process; until it has it, the mount ends with this process. */
  async keep(
    device: KernelFuseDevice,
    note: SharedChange,
    config: MountUnitConfig,
    path: string,
    volume: Volume,
  ): Promise<void> {
    const { order, readOnly } = config
    const { continuity } = volume
    const state: HeldState = { order, path, readOnly, device: device.device, continuity }
    const held = { state, descriptors: [device.fd, note.fd] }
    const deadline = this.#clock.monotonic() + START_MS_MAX
    while (!this.#client.put(held)) {
      if (this.#clock.monotonic() > deadline) {
        this.#log.error({ path }, 'nobody holds this mount: it ends with its process')
        return
      }
      await this.#clock.sleep(LOOK_EVERY_MS)
    }
    device.outliveProcess()
  }

  /** The mount was taken away. */
  drop(): void {
    this.#client.drop()
  }
}
