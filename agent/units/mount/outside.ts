/**
 * What a mount takes from outside: time, chance, disks, ways to the stores, and the kernel that shows it. The unit hands in
 * those of the machine; the simulation hands in others and runs the same code.
 */
import { mkdirSync } from 'node:fs'
import { rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Duplex } from 'node:stream'
import { nodeDisk } from '../../adapters/disk/node-disk.ts'
import { fuseKernel } from '../../adapters/kernel/fuse-kernel.ts'
import { cleanStaleMount } from '../../adapters/kernel/mount-point.ts'
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
  show(config: MountUnitConfig, volume: Volume, log: Log): Promise<Mount>
  /** Removes the empty directory that was mounted on; nothing if it is gone. */
  removeMountPoint(path: string): Promise<void>
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
        dialSocketPath: join(dataDir, 'run/links-dial.sock'),
        ...{ account, service: 'audit', signal },
      }),
    show: showAt,
    removeMountPoint: (path) => rmdir(path).catch(() => undefined),
  }
}

async function showAt(config: MountUnitConfig, volume: Volume, log: Log): Promise<Mount> {
  mkdirSync(dirname(config.path), { recursive: true })
  // What a killed process left is dead, and making the directory would stumble over it.
  await cleanStaleMount(config.path)
  mkdirSync(config.path, { recursive: true })
  return await mountFileSystem({
    path: config.path,
    fileSystem: volume,
    kernel: fuseKernel,
    clock: systemClock(),
    log,
    readOnly: config.readOnly,
    cache: config.readOnly ? 'shared' : 'exclusive',
  })
}
