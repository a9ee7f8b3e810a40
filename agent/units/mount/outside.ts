/**
 * What a mount takes from outside: time, chance, disks, ways to the stores, and the kernel that shows it. The unit hands in
 * those of the machine; the simulation hands in others and runs the same code.
 */

import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Duplex } from 'node:stream'
import { nodeDisk } from '../../adapters/disk/node-disk.ts'
import { fuseKernel } from '../../adapters/kernel/fuse-kernel.ts'
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
import { type Mount, mountFileSystem } from '../../engines/fuse/index.ts'
import type { MountUnitConfig, SlotConfig } from '../../state/unit-config.ts'
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
  readonly guard: 'immutable' | 'placeholder' | 'none'
  /** Where leftovers were moved to. */
  readonly moved: readonly string[]
  /** Mounts of killed processes that were taken away. */
  readonly deadMounts: number
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
  show(config: MountUnitConfig, volume: Volume, log: Log): Promise<ShownMount>
  /** Sizes that tests make small. */
  readonly sizes?: Pick<VolumeOptions, 'segmentBytes' | 'snapshotCommitsMin'>
}

/**
 * The outside of a mount on a real machine.
 *
 * @param dataDir - Data directory of the node.
 * @returns System time and chance, the node's disk and links, the kernel's FUSE.
 */
export function machineOutside(dataDir: string): MountOutside {
  return {
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
    show: (config, volume, log) => showAt(dataDir, config, volume, log),
  }
}

async function showAt(
  dataDir: string,
  config: MountUnitConfig,
  volume: Volume,
  log: Log,
): Promise<ShownMount> {
  mkdirSync(dirname(config.path), { recursive: true })
  const path = await canonicalPath(config.path)
  await claimMountPoint(dataDir, config.order, path)
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
  const mount = await mountFileSystem({
    path,
    fileSystem: volume,
    kernel: fuseKernel,
    clock: systemClock(),
    log,
    readOnly: config.readOnly,
    cache: config.readOnly ? 'shared' : 'exclusive',
  })
  return { mount, point: { ...guarded, deadMounts } }
}
