/**
 * One volume, joined and shown: `files` over `chunks` over `disperse` over the links to the stores, under `fuse`. The one
 * place where these engines meet.
 */
import { fromHex } from '../../base/bytes.ts'
import { commitSealer, type VolumeCommitSealer } from '../../base/commit-sealer.ts'
import { account } from '../../base/ids.ts'
import type { Log } from '../../base/ports.ts'
import { MIB } from '../../base/units.ts'
import { volumeKeysFrom } from '../../base/volume-keys.ts'
import { type Chunks, DiskChunkCache, openChunks } from '../../engines/chunks/index.ts'
import { type Dispersal, openDispersal } from '../../engines/disperse/index.ts'
import { recordSeal, Volume } from '../../engines/files/index.ts'
import type { Mount } from '../../engines/fuse/index.ts'
import type { MountUnitConfig } from '../../state/unit-config.ts'
import { Committing } from './committing.ts'
import type { Holding } from './holding.ts'
import { type MountOutside, machineOutside, type PointReport, type SlotStores } from './outside.ts'
import { RecentRoots } from './recent-roots.ts'
import { Repairing } from './repairing.ts'

/** What a mounted volume is made with. */
export interface MountedVolumeInit {
  readonly config: MountUnitConfig
  /** Data directory of the node. */
  readonly dataDir: string
  readonly log: Log
  /** The machine's if left out. */
  readonly outside?: MountOutside
  /** The writer before this one, and until when (monotonic milliseconds) to wait for it. */
  readonly outgoing?: { readonly epoch: number; readonly untilMs: number } | undefined
}

/** Of a snapshot that an older version stored, this is believed: 43 bytes an extent and 181 a file are far less. */
const UNSEALED_BYTES_MIN = 64 * MIB
const UNSEALED_SHARE = 16

/** Directory of a mount's local data, below the node's data directory. */
const localDirectory = (order: number): string => `mounts/${order}`

/** See the file's comment. */
export class MountedVolume {
  readonly config: MountUnitConfig
  readonly #connections: SlotStores
  readonly #dispersal: Dispersal
  readonly #chunks: Chunks
  readonly #sealer: VolumeCommitSealer
  readonly #volume: Volume
  readonly #mount: Mount
  readonly #repairing: Repairing | undefined
  readonly #roots: RecentRoots
  readonly #committing: Committing | undefined
  readonly #point: PointReport | undefined
  readonly #holding: Holding | undefined

  private constructor(parts: {
    readonly config: MountUnitConfig
    readonly connections: SlotStores
    readonly roots: RecentRoots
    readonly dispersal: Dispersal
    readonly chunks: Chunks
    readonly sealer: VolumeCommitSealer
    readonly volume: Volume
    readonly mount: Mount
    readonly point?: PointReport
    readonly log: Log
    readonly outside: MountOutside
  }) {
    this.config = parts.config
    this.#point = parts.point
    this.#holding = parts.outside.holding
    this.#connections = parts.connections
    this.#dispersal = parts.dispersal
    this.#chunks = parts.chunks
    this.#sealer = parts.sealer
    this.#volume = parts.volume
    this.#mount = parts.mount
    this.#roots = parts.roots
    this.#committing = committingOf(parts)
    // Only the writer repairs: it alone may write to the stores, and its commits carry what was repaired.
    this.#repairing = parts.config.readOnly
      ? undefined
      : new Repairing({
          dispersal: parts.dispersal,
          clock: parts.outside.clock,
          log: parts.log,
          scrubMs: parts.config.scrubMs,
          commitTables: () => parts.volume.commitTables(),
        })
  }

  /**
   * Opens the volume and shows it.
   *
   * @param init - What, where.
   * @param signal - Gives up opening.
   * @returns The volume, usable at its path.
   * @throws NodeError `VOLUME_*`, `MOUNT_*`, `DISK_*`, `NOT_ENOUGH_STORES`; nothing is left open or mounted then.
   */
  static async open(init: MountedVolumeInit, signal: AbortSignal): Promise<MountedVolume> {
    const { config, dataDir, log, outside = machineOutside(dataDir) } = init
    const { clock, chance } = outside
    const connections = outside.slotStores()
    const roots = new RecentRoots()
    roots.isEnabled = config.audits !== undefined && !config.readOnly
    const sealer = sealerOf(config)
    const dispersal = openDispersal({
      dataShards: config.dataShards,
      parityShards: config.parityShards,
      slots: roots.wrap(connections.set(config.slots)),
      clock,
      chance,
      log,
      isWriter: !config.readOnly,
      seal: recordSeal(sealer),
      unsealedBytesMax: UNSEALED_BYTES_MIN + Math.ceil(config.sizeBytes / UNSEALED_SHARE),
    })
    const local = localDirectory(config.order)
    const disk = outside.disk(local)
    const cache = new DiskChunkCache(disk, 'cache', config.cacheBytes, log)
    const chunks = openChunks({
      keys: volumeKeysFrom(fromHex(config.volumeKey)),
      packs: dispersal,
      clock,
      cache,
    })
    let volume: Volume | undefined
    const held = outside.holding?.take()
    try {
      volume = await Volume.open(
        {
          disk: outside.disk(`${local}/volume`),
          chunks,
          sections: [dispersal.section, chunks.section],
          commits: dispersal.commits,
          evictable: cache,
          sealer,
          clock,
          log,
        },
        {
          readOnly: config.readOnly,
          epoch: config.writerEpoch,
          sizeBytes: config.sizeBytes,
          dispersalAgeMs: config.dispersalAgeMs,
          isResumed: held !== undefined,
          outgoing: init.outgoing,
          ...outside.sizes,
        },
        signal,
      )
      // What a writer stored and did not live to commit is free again.
      const opened = volume
      if (!config.readOnly) chunks.releaseUnreferenced((chunk) => opened.refersTo(chunk))
      const shown = await outside.show(config, volume, log, held)
      const parts = { config, connections, roots, dispersal, chunks, sealer, volume, ...shown }
      return new MountedVolume({ ...parts, log, outside })
    } catch (caught) {
      if (!volume) outside.holding?.giveBack(held)
      await volume?.close()
      await chunks.close()
      await dispersal.close()
      connections.close()
      throw caught
    }
  }

  /** Resolves when somebody else took the mount away. */
  get unmounted(): Promise<void> {
    return this.#mount.closed
  }

  /** Takes over what may change while the volume is open. @param config - As the agent wants it now. */
  update(config: MountUnitConfig): void {
    this.#sealer.setWriters(config.writers)
    this.#volume.setDispersalAge(config.dispersalAgeMs)
    this.#roots.isEnabled = config.audits !== undefined && !config.readOnly
    this.#dispersal.setSlots(this.#roots.wrap(this.#connections.set(config.slots)))
    this.#committing?.update(config)
    this.#repairing?.update(config.scrubMs)
  }

  /** How it is, for the agent's status. */
  status(): object {
    const chunks = this.#chunks.status()
    const dispersal = this.#dispersal.status()
    const volume = this.#volume.figures()
    const unique = chunks.bytesIn - chunks.bytesDeduplicated
    return {
      volume,
      chunks,
      dispersal,
      repair: this.#repairing?.status(),
      ...(this.#committing && { commitments: this.#committing.status() }),
      fuse: this.#mount.figures,
      ...(this.#point && { point: this.#point }),
      undispersedBytes: volume.undispersedBytes,
      undispersedAgeMs: volume.undispersedAgeMs,
      leftBehindBytes: volume.leftBehindBytes,
      storesFull: fullStores(dispersal.slots, this.#dispersal.commits.status().slots),
      missingShards: dispersal.shardsMissing.reduce((sum, count) => sum + count, 0),
      dedupRatio: unique === 0 ? 1 : chunks.bytesIn / unique,
    }
  }

  /** Ends as a writer, because a newer one is ordered. @returns Bytes that did not reach the stores in time. */
  handOver(limitMs: number): Promise<number> {
    return this.#volume.handOver(limitMs)
  }

  /** Takes the directory away and closes all; what was acknowledged is durable afterwards. */
  async close(): Promise<void> {
    await Promise.all([this.#repairing?.stop(), this.#committing?.stop()])
    await this.#mount.unmount('clean').catch(() => this.#mount.unmount('detach'))
    this.#holding?.drop()
    await this.#volume.close()
    await this.#chunks.close()
    await this.#dispersal.close()
    this.#connections.close()
  }
}

/** Stores that refused what they were last given because they have no room. */
function fullStores(...slots: readonly (readonly { lastFailure: string | undefined }[])[]): number {
  return slots.flat().filter(({ lastFailure }) => lastFailure === 'STORE_FULL').length
}

/** Only the writer commits, and only where there is a way to the auditors of its stores. */
function committingOf(parts: {
  readonly config: MountUnitConfig
  readonly connections: SlotStores
  readonly roots: RecentRoots
  readonly dispersal: Dispersal
  readonly log: Log
  readonly outside: MountOutside
}): Committing | undefined {
  const { config, connections, roots, dispersal, log, outside } = parts
  const { dialAuditor: dial, clock } = outside
  if (config.readOnly || !dial) return undefined
  return new Committing(
    {
      ...{ dial, clock, log },
      disk: outside.disk(`${localDirectory(config.order)}/audit`),
      slot: (index) => connections.remoteOf?.(index),
      hashes: (slot) => dispersal.shardHashes(slot),
      recent: (store, key, lengthBytes) => roots.rootOf(store, key, lengthBytes),
    },
    config,
  )
}

function sealerOf(config: MountUnitConfig): VolumeCommitSealer {
  return commitSealer({
    chainId: config.chainId,
    grid: account(config.grid),
    volume: config.volume,
    volumeKey: fromHex(config.volumeKey),
    privateKey: fromHex(config.privateKey),
    writers: config.writers,
    epoch: config.writerEpoch,
  })
}
