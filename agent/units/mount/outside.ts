/**
 * What a mount takes from outside: time, chance, disks, ways to the stores, and the kernel that shows it. The unit hands in
 * those of the machine; the simulation hands in others and runs the same code.
 */

import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Duplex } from 'node:stream'
import { nodeDisk } from '../../adapters/disk/node-disk.ts'
import type { KernelFuseDevice } from '../../adapters/kernel/fuse-device.ts'
import { fuseKernel, mountFuse } from '../../adapters/kernel/fuse-kernel.ts'
import { guardMountPoint } from '../../adapters/kernel/guarded-point.ts'
import { canonicalPath, cleanStaleMount } from '../../adapters/kernel/mount-point.ts'
import { claimMountPoint, mountAsideDirectory } from '../../adapters/process/mount-claims.ts'
import { sharedSocket } from '../../adapters/process/run-sockets.ts'
import { dialService } from '../../adapters/socket/dial.ts'
import type { RespNamespace } from '../../adapters/socket/resp-namespace.ts'
import { systemChance } from '../../adapters/time/system-chance.ts'
import { systemClock } from '../../adapters/time/system-clock.ts'
import type { Disk } from '../../base/disk.ts'
import type { Account } from '../../base/ids.ts'
import type { Chance, Clock, Log } from '../../base/ports.ts'
import type { ShardStore, Slot } from '../../engines/disperse/index.ts'
import type { Volume, VolumeOptions } from '../../engines/files/index.ts'
import {
  type FuseKernel,
  type Mount,
  type MountInit,
  mountFileSystem,
} from '../../engines/fuse/index.ts'
import type { MountUnitConfig, SlotConfig } from '../../state/unit-config.ts'
import type { HeldConnection, Holding, ResumedMount } from './holding.ts'
import { SlotConnections } from './slot-connections.ts'

/** Connections of one mount to the stores of its slots. */
export interface SlotStores {
  /** @param slots - `[n]` slots as the ledger has them. @returns The same slots with their stores. */
  set(slots: readonly SlotConfig[]): Slot[]
  close(): void
  /** The namespace of a slot, for more than its shards; undefined if there is no such slot. */
  remoteOf?(
    index: number,
  ): { readonly remote: RespNamespace; readonly store: ShardStore } | undefined
}

/** A volume that is shown, and what was found at its path. */
export interface ShownMount {
  readonly mount: Mount
  /** For the status; absent where there is no real path. */
  readonly point?: PointReport
}

/** What keeps writes off the path while nothing is mounted, and what had to be put in order before. */
export interface PointReport {
  readonly guard?: 'immutable' | 'placeholder' | 'none'
  /** Where leftovers were moved to. */
  readonly moved: readonly string[]
  /** Mounts of killed processes that were taken away. */
  readonly deadMounts: number
  /** How long nobody served, where a process before this one died and the mount lived on. */
  readonly gapMs?: number
}

/** See the file's comment. */
export interface MountOutside {
  readonly clock: Clock
  readonly chance: Chance
  /** @param path - Directory below the node's data directory; made if missing. */
  disk(path: string): Disk
  slotStores(): SlotStores
  /** Reaches the audit unit of a node; absent where nothing is audited. */
  dialAuditor?(account: Account, signal: AbortSignal): Promise<Duplex>
  /** Shows the volume at the path of `config`. @throws NodeError `MOUNT_*`. */
  show(
    config: MountUnitConfig,
    volume: Volume,
    log: Log,
    held?: HeldConnection,
  ): Promise<ShownMount>
  /** Holds connections over the death of this process; absent where a mount ends with it. */
  readonly holding?: Holding
  /** Sizes that tests make small. */
  readonly sizes?: Pick<VolumeOptions, 'segmentBytes' | 'snapshotCommitsMin'>
}

/**
 * The outside of a mount on a real machine.
 *
 * @param dataDir - Data directory of the node.
 * @param holding - Keeps mounts over the death of this process.
 * @returns System time and chance, the node's disk and links, the kernel's FUSE.
 */
export function machineOutside(dataDir: string, holding?: Holding): MountOutside {
  return {
    ...(holding && { holding }),
    clock: systemClock(),
    chance: systemChance(),
    disk(path) {
      const directory = join(dataDir, path)
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      return nodeDisk(directory)
    },
    slotStores: () => new SlotConnections(dataDir),
    dialAuditor: (account, signal) =>
      dialService({
        dialSocketPath: sharedSocket(dataDir, 'links/dial').path,
        ...{ account, service: 'audit', signal },
      }),
    show: (config, volume, log, held) => showAt({ dataDir, holding, config, volume, log, held }),
  }
}

interface Showing {
  readonly dataDir: string
  readonly holding: Holding | undefined
  readonly config: MountUnitConfig
  readonly volume: Volume
  readonly log: Log
  readonly held: HeldConnection | undefined
}

async function showAt(showing: Showing): Promise<ShownMount> {
  const { dataDir, holding, config, volume, log, held } = showing
  mkdirSync(dirname(config.path), { recursive: true })
  const path = await canonicalPath(config.path)
  await claimMountPoint(dataDir, config.order, path)
  const resumed = held && (await holding?.resume(held, config, path, volume))
  if (resumed) return await goOn(showing, path, resumed)
  const deadMounts = await cleanStaleMount(path)
  if (deadMounts > 0) log.warn({ path, deadMounts }, 'a dead mount was taken away')
  const guarded = await guardMountPoint({
    path,
    asideDir: mountAsideDirectory(dataDir, config.order),
    label: String(systemClock().now()),
  })
  for (const moved of guarded.moved) {
    log.error({ path, moved }, 'what programs wrote where the mount belongs was moved aside')
  }
  if (guarded.guard === 'none') log.error({ path }, 'nothing keeps writes off this mount point')
  const note = holding?.newNote()
  let device: KernelFuseDevice | undefined
  const kernel: FuseKernel = {
    mount: async (options) => {
      device = await mountFuse(options)
      return device
    },
  }
  const mount = await mountFileSystem({
    ...mountInit(showing, path),
    kernel,
    ...(note && { lastChange: note }),
  })
  // Not waited for: the mount serves already.
  if (holding && device && note && mount.canResume) {
    void holding.keep(device, note, config, path, volume)
  }
  return { mount, point: { ...guarded, deadMounts } }
}

/** The mount lived on in the kernel: programs that wait are served, open files and all. */
async function goOn(showing: Showing, path: string, resumed: ResumedMount): Promise<ShownMount> {
  const { gapMs } = resumed
  showing.log.warn({ path, gapMs }, 'a mount goes on after its process died')
  const mount = await mountFileSystem({
    ...mountInit(showing, path),
    kernel: fuseKernel,
    lastChange: resumed.lastChange,
    resumed,
  })
  return { mount, point: { moved: [], deadMounts: 0, gapMs } }
}

function mountInit({ config, volume, log }: Showing, path: string): Omit<MountInit, 'kernel'> {
  return {
    path,
    fileSystem: volume,
    clock: systemClock(),
    log,
    readOnly: config.readOnly,
    cache: config.readOnly ? 'shared' : 'exclusive',
  }
}
