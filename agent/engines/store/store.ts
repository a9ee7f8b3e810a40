/**
 * All namespaces of one data directory, and the beat they share: the end of each burst of input, when what was appended is
 * written, and the delayed sync of `sync: group`.
 *
 * On disk: `ns/<directory>/` for each namespace, `trash/` for what is being removed. A removed namespace is first
 * renamed into the trash, so that a crash leaves it whole or gone.
 */
import { createHash } from 'node:crypto'
import { toHex } from '../../base/bytes.ts'
import { describeError, isNodeError, NodeError } from '../../base/errors.ts'
import { BlockCache } from './block-cache.ts'
import {
  BLOCK_CACHE_BYTES,
  COMPACT_DEAD_SHARE,
  COMPACT_FULL_DEAD_SHARE,
  COMPACT_RETRY_MS,
  GROUP_DELAY_MS,
  NAME_BYTES_MAX,
  SEGMENT_BYTES_DEFAULT,
} from './constants.ts'
import { hintPath } from './hint-file.ts'
import { dirtyList } from './log-files.ts'
import { Namespace } from './namespace.ts'
import {
  defaultProperties,
  type NamespaceProperties,
  readProperties,
  setPropertiesAside,
  writeProperties,
} from './namespace-properties.ts'
import type { LogPorts, SyncMode } from './ports.ts'

const NAMESPACES = 'ns'
const TRASH = 'trash'
/** Enough that no two logs ever share a name. */
const LOG_ID_BYTES = 16
const PLAIN_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/

/** What a store is opened with. */
export interface LogStoreInit {
  /** Bytes after which a segment is closed, default 256 MiB. */
  readonly segmentBytes?: number
  /** Sync mode of namespaces that are made without one, default `group`. */
  readonly sync?: SyncMode
  /** Delay of `sync: group` in milliseconds, default 100. */
  readonly groupDelayMs?: number
  /** Serve what is there and change nothing. */
  readonly readOnly?: boolean
  /** Mode of namespaces that are made without one, default `user`. */
  readonly mode?: 'user' | 'seq'
  /** Memory for blocks that are read again, default 64 MiB, taken as needed. */
  readonly cacheBytes?: number
}

/** An open store. */
export class LogStore {
  readonly namespaces = new Map<string, Namespace>()
  /** Directories that could not be opened, and why; {@link LogStore.create} of their name tries again. */
  readonly setAside = new Map<string, string>()
  readonly ports: LogPorts
  readonly init: Required<LogStoreInit>
  readonly #cache: BlockCache
  readonly #dirty = new Set<Namespace>()
  #settleIsDue = false
  #groupIsDue = false
  #nextCompactionMs = 0
  #isClosed = false

  private constructor(ports: LogPorts, init: LogStoreInit) {
    this.ports = ports
    this.init = {
      segmentBytes: SEGMENT_BYTES_DEFAULT,
      sync: 'group',
      groupDelayMs: GROUP_DELAY_MS,
      readOnly: false,
      mode: 'user',
      cacheBytes: BLOCK_CACHE_BYTES,
      ...init,
    }
    this.#cache = new BlockCache(this.init.cacheBytes, ports.hugePages)
  }

  /**
   * Opens every namespace found on the disk. One that cannot be opened is set aside and keeps no other from being served.
   *
   * @param ports - Disk, time, chance, log.
   * @param init - Sizes and modes.
   * @returns The store, everything in it readable, and what was found durable.
   * @throws NodeError `DISK_*` if the disk as a whole does not answer.
   * @example
   * const store = await LogStore.open({ disk, clock, chance, log, atEndOfTick: setImmediate })
   */
  static async open(ports: LogPorts, init: LogStoreInit = {}): Promise<LogStore> {
    const store = new LogStore(ports, init)
    const { disk } = ports
    if (!store.init.readOnly) {
      disk.makeDirectory(NAMESPACES)
      disk.makeDirectory(TRASH)
      for (const name of disk.list(TRASH)) disk.remove(`${TRASH}/${name}`)
    }
    for (const directory of disk.list(NAMESPACES)) await store.#tryOpen(directory)
    return store
  }

  /**
   * Finds a namespace.
   *
   * @param name - Bytes as latin1.
   * @throws NodeError `LOG_NAMESPACE_UNKNOWN`.
   */
  namespace(name: string): Namespace {
    const found = this.namespaces.get(name)
    if (!found) throw new NodeError('LOG_NAMESPACE_UNKNOWN', `no namespace ${name}`)
    return found
  }

  /** Why the namespace of a name is set aside, if it is. */
  whySetAside(name: string): string | undefined {
    return this.setAside.get(`${NAMESPACES}/${directoryOf(name)}`)
  }

  /**
   * Makes a namespace, durably. Of one that was set aside the records that are there are taken over.
   *
   * @param name - 1 to 128 bytes as latin1.
   * @param overrides - What differs from the defaults.
   * @returns The namespace, empty unless it was set aside.
   * @throws NodeError `LOG_NAME_INVALID`, `LOG_NAMESPACE_EXISTS`, `LOG_READ_ONLY`, `DISK_*`; nothing is left of it then.
   */
  async create(name: string, overrides: Partial<NamespaceProperties> = {}): Promise<Namespace> {
    const namespace = await this.#create(name, overrides)
    this.ports.onEvent?.('namespace-created', [name])
    return namespace
  }

  async #create(name: string, overrides: Partial<NamespaceProperties>): Promise<Namespace> {
    if (name.length === 0 || name.length > NAME_BYTES_MAX) {
      throw new NodeError('LOG_NAME_INVALID', `${name.length} bytes`)
    }
    if (this.init.readOnly) throw new NodeError('LOG_READ_ONLY', name)
    if (this.namespaces.has(name)) throw new NodeError('LOG_NAMESPACE_EXISTS', name)
    const { disk, log } = this.ports
    const directory = `${NAMESPACES}/${directoryOf(name)}`
    const { mode, sync } = this.init
    const logId = this.newLogId()
    const properties = defaultProperties(name, { mode, sync, logId, ...overrides })
    const isNew = !disk.exists(directory)
    if (isNew) disk.makeDirectory(directory)
    else setPropertiesAside(disk, directory)
    let namespace: Namespace | undefined
    try {
      namespace = this.#openNamespace(directory, properties)
      await writeProperties(disk, directory, properties)
      await disk.syncDirectory(NAMESPACES)
      if (!isNew && properties.sync !== 'never') await namespace.log.makeDurable()
    } catch (caught) {
      await this.#undoCreate(namespace, isNew ? directory : undefined)
      throw caught
    }
    const why = this.setAside.get(directory)
    if (why !== undefined)
      log.warn({ directory, why }, 'namespace that was set aside is taken over')
    this.setAside.delete(directory)
    this.namespaces.set(name, namespace)
    return namespace
  }

  /** @param directory - Its directory, where it was made just now. */
  async #undoCreate(
    namespace: Namespace | undefined,
    directory: string | undefined,
  ): Promise<void> {
    try {
      await namespace?.close()
      if (directory !== undefined) this.ports.disk.remove(directory)
    } catch (caught) {
      if (!isNodeError(caught)) throw caught
      this.ports.log.warn({ directory, cause: describeError(caught) }, 'half a namespace is left')
    }
  }

  /**
   * Removes a namespace and all it holds.
   *
   * @param name - Bytes as latin1.
   * @throws NodeError `LOG_NAMESPACE_UNKNOWN`, `LOG_READ_ONLY`, `DISK_*`.
   */
  async remove(name: string): Promise<void> {
    await this.#remove(name)
    this.ports.onEvent?.('namespace-deleted', [name])
  }

  async #remove(name: string): Promise<void> {
    if (this.init.readOnly) throw new NodeError('LOG_READ_ONLY', name)
    const directory = `${NAMESPACES}/${directoryOf(name)}`
    if (this.setAside.delete(directory)) return this.#discard(directory)
    const namespace = this.namespace(name)
    this.namespaces.delete(name)
    this.#dirty.delete(namespace)
    namespace.isGone = true
    namespace.revision++
    await namespace.close()
    await this.#discard(namespace.directory)
  }

  /** Removes the directory of a namespace, so that a crash leaves it whole or gone. */
  async #discard(directory: string): Promise<void> {
    const { disk, clock } = this.ports
    const trash = `${TRASH}/${directory.slice(NAMESPACES.length + 1)}-${Math.floor(clock.now())}`
    disk.rename(directory, trash)
    await disk.syncDirectory(NAMESPACES)
    await disk.syncDirectory(TRASH)
    disk.remove(trash)
  }

  /**
   * Empties a namespace and keeps its properties.
   *
   * @param name - Bytes as latin1.
   * @throws NodeError as {@link LogStore.remove}.
   */
  async empty(name: string): Promise<void> {
    const namespace = this.namespace(name)
    const { properties, secretKnown } = namespace
    await this.#remove(name)
    // Another log than before: a copy of the old one must not take it for its continuation.
    const fresh = await this.#create(name, { ...properties, logId: this.newLogId(), ancestors: [] })
    fresh.secretKnown = secretKnown
    // Sessions that had selected the old one find the new one under its name.
    namespace.replacement = fresh
    this.ports.onEvent?.('namespace-flushed', [name])
  }

  /** A name for a log that no other log has. */
  newLogId(): string {
    return toHex(this.ports.chance.bytes(LOG_ID_BYTES))
  }

  /** Writes what is pending in every namespace and acknowledges; the end of a burst of input. */
  settle(): void {
    this.#settleIsDue = false
    for (const namespace of this.#dirty) {
      this.#dirty.delete(namespace)
      if (!namespace.log.settle()) namespace.counters.failedWrites++
      this.#compactIfDue(namespace)
      if (namespace.isSyncedLater || namespace.tree) this.#syncLater()
    }
  }

  /** Writes and syncs everything and closes all files. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.settle()
    for (const namespace of this.namespaces.values()) {
      this.ports.onEvent?.('namespace-closing', closingArgs(namespace))
      await namespace.close()
    }
  }

  async #tryOpen(directory: string): Promise<void> {
    const path = `${NAMESPACES}/${directory}`
    try {
      await this.#openFound(path)
    } catch (caught) {
      if (!isNodeError(caught)) throw caught
      const why = describeError(caught)
      this.setAside.set(path, why)
      this.ports.log.error({ path, why }, 'namespace set aside, the others are served')
    }
  }

  async #openFound(path: string): Promise<void> {
    const { disk, log } = this.ports
    const found = readProperties(disk, path)
    if (!found) {
      if (disk.list(path).some((name) => name.endsWith('.seg'))) {
        throw new NodeError('LOG_NAMESPACE_SET_ASIDE', `${path} has records and no properties`)
      }
      // Its creation was never completed, so nobody was told that it exists.
      log.warn({ path }, 'directory without properties left alone')
      return
    }
    const { properties, problem } = found
    if (properties.isPartial) {
      log.warn({ path }, 'an import that was not completed is removed')
      if (!this.init.readOnly) await this.#discard(path)
      return
    }
    if (problem !== undefined) {
      log.error({ path, problem }, 'properties of a namespace are mended from their copy')
      if (!this.init.readOnly) await writeProperties(disk, path, properties)
    }
    const namespace = this.#openNamespace(path, properties)
    this.namespaces.set(properties.name, namespace)
    if (properties.sync !== 'never') await namespace.log.makeDurable()
  }

  #openNamespace(directory: string, properties: NamespaceProperties): Namespace {
    const { segmentBytes, readOnly } = this.init
    return new Namespace({
      ports: this.ports,
      directory,
      properties,
      cache: this.#cache,
      segmentBytes,
      readOnly,
      onAppend: (namespace) => this.#pending(namespace),
      onFull: (namespace) => this.#compactLater(namespace, COMPACT_FULL_DEAD_SHARE),
    })
  }

  #pending(namespace: Namespace): void {
    this.#dirty.add(namespace)
    if (this.#settleIsDue) return
    this.#settleIsDue = true
    this.ports.atEndOfTick(() => this.settle())
  }

  /** Looks whether enough is dead, each time a segment was filled. */
  #compactIfDue(namespace: Namespace): void {
    const segmentCount = namespace.log.segments.length
    if (segmentCount === namespace.segmentsSeen) return
    namespace.segmentsSeen = segmentCount
    if (segmentCount > 1 && namespace.log.files.deadShare > COMPACT_DEAD_SHARE) {
      this.#compactLater(namespace, COMPACT_DEAD_SHARE)
    }
  }

  /** Compacts in the background, one namespace at a time. */
  #compactLater(namespace: Namespace, deadShareMin: number): void {
    const { clock, log } = this.ports
    if (namespace.log.files.deadShare < deadShareMin) return
    if (!namespace.isCompactable || clock.monotonic() < this.#nextCompactionMs) return
    this.#nextCompactionMs = Number.POSITIVE_INFINITY
    namespace
      .compact(deadShareMin)
      .then((freedBytes) => log.info({ namespace: namespace.name, freedBytes }, 'compacted'))
      .catch((caught: unknown) => log.warn({ cause: describeError(caught) }, 'compaction failed'))
      .finally(() => {
        this.#nextCompactionMs = clock.monotonic() + COMPACT_RETRY_MS
      })
  }

  #syncLater(): void {
    if (this.#groupIsDue) return
    this.#groupIsDue = true
    const { clock, log } = this.ports
    clock
      .sleep(this.init.groupDelayMs)
      .then(async () => {
        this.#groupIsDue = false
        if (this.#isClosed) return
        const dirty = [...this.namespaces.values()].filter(
          (one) => one.isSyncedLater && one.log.isDirty,
        )
        await Promise.all(dirty.map((one) => one.log.makeDurable()))
        await Promise.all([...this.namespaces.values()].map((one) => one.tree?.follow()))
      })
      .catch((caught: unknown) => log.error({ cause: describeError(caught) }, 'group sync failed'))
  }
}

/** As 0-db has them: name, index and data file being written, and the segments in which something was replaced. */
function closingArgs({ name, directory, log }: Namespace): string[] {
  const last = log.segments.at(-1)
  const files = last ? [hintPath(directory, last), `${directory}/${last.name}`] : ['', '']
  return [name, ...files, dirtyList(log.dirtySegments)]
}

/** A directory name for any namespace name. */
function directoryOf(name: string): string {
  if (PLAIN_NAME.test(name)) return `n-${name}`
  return `x-${createHash('sha256').update(Buffer.from(name, 'latin1')).digest('hex')}`
}
