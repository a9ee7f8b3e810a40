/**
 * A volume as a file system: checks what is asked, records it in the journal, applies it to the tree.
 *
 * Everything in memory is answered at once; promises come only from flushes, from chunks that are not here, and
 * from back-pressure. A volume opened read-only has the same tree without journal and disperser, and follows the writer's commits.
 */
import { assert, required } from '../../base/assert.ts'
import type { Disk } from '../../base/disk.ts'
import { describeError, isNodeError, NodeError } from '../../base/errors.ts'
import type { Clock, Log } from '../../base/ports.ts'
import { ByteWriter } from './codec.ts'
import {
  BACKLOG_BYTES,
  DISK_CHECK_BYTES,
  DISK_RESERVE_BYTES,
  EXTENDED_BYTES_MAX,
  FILE_BYTES_MAX,
  HANDLES_MAX,
  INODES_MAX,
  JOURNAL_BYTES_MAX,
  JOURNAL_RESERVE_BYTES,
  LINKS_MAX,
  NAME_BYTES_MAX,
  RECORD_DATA_MAX,
  SEGMENT_BYTES,
  TARGET_BYTES_MAX,
} from './constants.ts'
import { ContentReader } from './content-reader.ts'
import { type DispersalState, Disperser } from './disperser.ts'
import type { FileErrorCode } from './errors.ts'
import {
  type AttributeChanges,
  type Attributes,
  type Caller,
  type DirectoryEntry,
  type Handle,
  type Ino,
  isDirectory,
  isRegular,
  isSymlink,
  KEEP_SIZE,
  PUNCH_HOLE,
  type RenameOptions,
  type Reply,
  ROOT,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_ISGID,
  type SpaceFigures,
} from './file-system.ts'
import { Follower } from './follower.ts'
import type { Directory, Slot } from './inode-table.ts'
import type { Journal } from './journal.ts'
import type { LocalArchive } from './local-archive.ts'
import { type AsideReport, openReader, openWriter, type VolumeState } from './opening.ts'
import { encodeOperation, type Operation } from './operations.ts'
import type { ChunkStore, CommitSealer, CommitStore, Section } from './ports.ts'
import { Sections } from './sections.ts'
import { Snapshotter } from './snapshotter.ts'
import type { Tree } from './tree.ts'

/** What a volume needs from outside. */
export interface VolumePorts {
  /** The volume's own local directory; not used by a read-only volume. */
  readonly disk: Disk
  readonly chunks: ChunkStore
  /** Tables of other engines, as they are for an empty volume. */
  readonly sections: readonly Section[]
  readonly commits: CommitStore
  readonly sealer: CommitSealer
  readonly clock: Clock
  readonly log: Log
}

/** How a volume is opened. */
export interface VolumeOptions {
  readonly readOnly: boolean
  /** The writer's epoch on the ledger, `>= 1`; ignored when read-only. */
  readonly epoch: number
  /** Bytes that the order pays for. */
  readonly sizeBytes: number
  /** Oldest that an undispersed byte should get. */
  readonly dispersalAgeMs: number
  /** `dispersed`: fsync waits for the stores too. Default `local`. */
  readonly sync?: 'local' | 'dispersed'
  /** Metadata stores that must answer before a writer starts from them; default: what a majority write demands. */
  readonly storesNeeded?: number
  /** Read-only: the last commit to show, for a look at the past. */
  readonly upToSequence?: number
  readonly inodesMax?: number
  readonly backlogBytes?: number
  readonly journalBytesMax?: number
  readonly segmentBytes?: number
  readonly snapshotCommitsMin?: number
  /** Told which inodes a follower saw change, so that caches above can be dropped. */
  readonly changed?: (inodes: readonly Ino[]) => void
}

/** How a volume is doing, for status and metrics. */
export interface VolumeFigures {
  readonly state: DispersalState | 'read-only'
  /** Why the state is not `ok`. */
  readonly problem: string | undefined
  readonly files: number
  /** Bytes that files hold. */
  readonly bytes: number
  readonly sizeBytes: number
  readonly undispersedBytes: number
  readonly undispersedAgeMs: number
  readonly journalBytes: number
  readonly commitSequence: number
  readonly commitEpoch: number
  /** Journals that could not be continued, kept under the local directory. */
  readonly aside: readonly AsideReport[]
}

const O_ACCMODE = 3
const O_TRUNC = 0o1000

interface OpenFile {
  readonly ino: Ino
  /** Where the next read begins if the reader goes forward. */
  nextOffset: number
}

interface OpenDirectory {
  readonly ino: Ino
  names: readonly string[]
}

interface Writer {
  readonly journal: Journal
  readonly archive: LocalArchive
  readonly disperser: Disperser
  readonly snapshotter: Snapshotter
  readonly aside: readonly AsideReport[]
}

/**
 * A file system over chunks and a commit log.
 *
 * @example
 * const volume = await Volume.open(ports, options, signal)
 * const { handle } = volume.create(ROOT, 'a', 0o644, 2, caller)
 * await volume.write(handle, 0, bytes)
 * await volume.sync(ino, false)
 */
export class Volume {
  readonly #ports: VolumePorts
  readonly #options: VolumeOptions
  readonly #reader: ContentReader
  readonly #writer: Writer | undefined
  readonly #follower: Follower | undefined
  readonly #files = new Map<Handle, OpenFile>()
  readonly #directories = new Map<Handle, OpenDirectory>()
  readonly #opens = new Map<Ino, number>()
  readonly #forgotten = new Set<Ino>()
  readonly #uncollected = new Set<Ino>()
  readonly #encoder = new ByteWriter()
  #tree: Tree
  #lastHandle = 0
  #nextDiskCheck = 0
  #isDiskLow = false
  #isClosed = false

  private constructor(
    ports: VolumePorts,
    options: VolumeOptions,
    state: VolumeState,
    writer: Writer | undefined,
    sections: Sections,
  ) {
    this.#ports = ports
    this.#options = options
    this.#tree = state.tree
    this.#writer = writer
    this.#reader = new ContentReader(ports.chunks, writer?.journal, ports.log)
    this.#follower = writer
      ? undefined
      : new Follower(ports, sections, state, options.upToSequence, {
          isOpen: (ino) => this.#opens.has(ino),
          advanced: (tree, inodes) => {
            if (tree !== this.#tree) this.#reader.drop()
            this.#tree = tree
            this.options.changed?.(inodes)
          },
        })
  }

  /**
   * Opens a volume; a new one if there is no commit anywhere.
   *
   * @throws NodeError `VOLUME_HEAD_UNKNOWN`, `VOLUME_HISTORY_INCOMPLETE` (repeat later), `VOLUME_EPOCH_OLD`, `DISK_*`.
   */
  static async open(
    ports: VolumePorts,
    options: VolumeOptions,
    signal: AbortSignal,
  ): Promise<Volume> {
    const sections = new Sections(ports.sections)
    const parts = { ...ports, sections }
    if (options.readOnly) {
      const upTo = options.upToSequence ?? Number.MAX_SAFE_INTEGER
      const state = await openReader(parts, upTo, signal)
      const volume = new Volume(ports, options, state, undefined, sections)
      volume.#follower?.run()
      return volume
    }
    const opening = await openWriter(
      parts,
      options.epoch,
      options.segmentBytes ?? SEGMENT_BYTES,
      options.storesNeeded,
      signal,
    )
    const { state, journal, archive } = opening
    const checkpoint = archive.checkpoints[0] ?? 0
    const snapshotter = new Snapshotter(
      { ...parts, archive },
      state.head.sequence - checkpoint,
      options.snapshotCommitsMin,
    )
    const disperser = new Disperser(
      { ...parts, tree: state.tree, journal, archive, snapshotter },
      {
        head: state.head,
        cut: opening.coveredTo,
        epoch: options.epoch,
        isHeadConfirmed: opening.isHeadConfirmed,
        dropped: state.dropped,
        undispersedBytes: opening.replayedBytes,
        dispersalAgeMs: options.dispersalAgeMs,
        backlogBytes: options.backlogBytes ?? BACKLOG_BYTES,
      },
    )
    const writer = { journal, archive, disperser, snapshotter, aside: opening.aside }
    const volume = new Volume(ports, options, state, writer, sections)
    await volume.#start(state)
    return volume
  }

  /** The options it was opened with. */
  get options(): VolumeOptions {
    return this.#options
  }

  /** How the volume is doing. */
  figures(): VolumeFigures {
    const writer = this.#writer
    const head = writer?.disperser.head ?? required(this.#follower, 'a reader follows').head
    return {
      state: writer?.disperser.state ?? this.#follower?.state ?? 'read-only',
      problem: writer?.disperser.problem ?? this.#follower?.problem,
      files: this.#tree.inodes.count,
      bytes: this.#tree.allocatedBytes,
      sizeBytes: this.#options.sizeBytes,
      undispersedBytes: writer?.disperser.undispersedBytes ?? 0,
      undispersedAgeMs: writer?.disperser.undispersedAgeMs ?? 0,
      journalBytes: writer?.journal.diskBytes ?? 0,
      commitSequence: head.sequence,
      commitEpoch: head.epoch,
      aside: writer?.aside ?? [],
    }
  }

  /** Resolves when everything written before the call is on the stores. @throws NodeError `WRITER_FENCED`, `VOLUME_CLOSED`, `IO`. */
  async syncDispersed(): Promise<void> {
    await this.#writer?.disperser.flush()
  }

  /** Read-only: looks for new commits at once. */
  async follow(): Promise<void> {
    await this.#follower?.step()
  }

  /** Forgets plain bytes kept in memory; all can be read again. */
  dropCache(): void {
    this.#reader.drop()
  }

  /** Makes the journal durable and stops; nothing is answered afterwards. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#reader.close()
    await this.#follower?.close()
    const writer = this.#writer
    if (!writer) return
    await writer.disperser.close()
    await writer.snapshotter.close()
    try {
      await writer.journal.sync()
    } finally {
      writer.journal.close()
      writer.archive.close()
    }
  }

  space(): SpaceFigures {
    const { sizeBytes } = this.#options
    const inodesMax = this.#options.inodesMax ?? INODES_MAX
    return {
      totalBytes: sizeBytes,
      freeBytes: Math.max(0, sizeBytes - this.#tree.allocatedBytes),
      files: inodesMax,
      filesFree: Math.max(0, inodesMax - this.#tree.inodes.count),
    }
  }

  lookup(parent: Ino, name: string): Attributes {
    return this.#tree.attributes(this.#named(this.#directory(parent), name))
  }

  attributes(ino: Ino): Attributes {
    this.#slot(ino)
    return this.#tree.attributes(ino)
  }

  setAttributes(ino: Ino, changes: AttributeChanges): Attributes {
    this.#checkWritable()
    const slot = this.#slot(ino)
    if (changes.sizeBytes !== undefined) {
      this.#checkRegular(slot)
      checkFileSize(changes.sizeBytes)
    }
    this.#record({ kind: 'attributes', ino, changes, timeNs: this.#nowNs() })
    return this.#tree.attributes(ino)
  }

  readLink(ino: Ino): string {
    const slot = this.#slot(ino)
    const content = this.#tree.inodes.content(slot)
    if (!isSymlink(this.#tree.inodes.mode(slot))) throw failure('INVALID', 'not a symbolic link')
    return typeof content === 'string' ? content : ''
  }

  makeNode(parent: Ino, name: string, mode: number, device: number, caller: Caller): Attributes {
    const kind = mode & S_IFMT
    if (kind === S_IFDIR || kind === S_IFLNK) throw failure('INVALID', 'not a kind of node')
    const full = kind === 0 ? mode | S_IFREG : mode
    return this.#make(parent, name, full, device, '', caller)
  }

  makeDirectory(parent: Ino, name: string, mode: number, caller: Caller): Attributes {
    return this.#make(parent, name, S_IFDIR | (mode & ~S_IFMT), 0, '', caller)
  }

  makeSymlink(parent: Ino, name: string, target: string, caller: Caller): Attributes {
    const bytes = Buffer.byteLength(target)
    if (bytes > TARGET_BYTES_MAX) throw failure('NAME_TOO_LONG', 'the target is too long')
    if (bytes === 0) throw failure('NOT_FOUND', 'the target is empty')
    return this.#make(parent, name, S_IFLNK | 0o777, 0, target, caller)
  }

  link(ino: Ino, parent: Ino, name: string): Attributes {
    this.#checkWritable()
    const slot = this.#slot(ino)
    const { inodes } = this.#tree
    if (isDirectory(inodes.mode(slot))) throw failure('NOT_PERMITTED', 'directories have one name')
    if (inodes.links(slot) === 0) throw failure('NOT_FOUND', 'the file has no name any more')
    if (inodes.links(slot) >= LINKS_MAX) throw failure('TOO_MANY_LINKS', 'too many names')
    this.#checkFree(parent, name)
    this.#record({ kind: 'link', ino, parent, name, timeNs: this.#nowNs() })
    return this.#tree.attributes(ino)
  }

  unlink(parent: Ino, name: string): void {
    this.#checkWritable()
    const ino = this.#named(this.#directory(parent), name)
    if (this.#isDirectory(ino)) throw failure('IS_DIRECTORY', 'a directory')
    this.#record({ kind: 'unlink', parent, name, timeNs: this.#nowNs() })
    this.#collect(ino)
  }

  removeDirectory(parent: Ino, name: string): void {
    this.#checkWritable()
    const ino = this.#named(this.#directory(parent), name)
    if (!this.#isDirectory(ino)) throw failure('NOT_DIRECTORY', 'not a directory')
    if (this.#tree.directory(ino).size > 0) throw failure('NOT_EMPTY', 'names in the directory')
    this.#record({ kind: 'unlink', parent, name, timeNs: this.#nowNs() })
    this.#collect(ino)
  }

  rename(
    from: { parent: Ino; name: string },
    to: { parent: Ino; name: string },
    { noReplace, exchange }: RenameOptions,
  ): void {
    this.#checkWritable()
    const moved = this.#named(this.#directory(from.parent), from.name)
    checkName(to.name)
    const target = this.#directory(to.parent)
    const replaced = target.get(to.name)
    if (noReplace && exchange) throw failure('INVALID', 'flags exclude each other')
    if (noReplace && replaced !== undefined) throw failure('EXISTS', 'the target is there')
    if (exchange && replaced === undefined) throw failure('NOT_FOUND', 'nothing to exchange with')
    this.#checkNamed(to.parent)
    this.#checkNotInside(moved, to.parent)
    if (exchange && replaced !== undefined) this.#checkNotInside(replaced, from.parent)
    if (replaced === moved) return
    if (replaced !== undefined && !exchange) this.#checkReplaceable(moved, replaced)
    if (from.parent !== to.parent) this.#checkDirectoryLinks(moved, replaced, to.parent)
    this.#record({
      kind: 'rename',
      fromParent: from.parent,
      fromName: from.name,
      toParent: to.parent,
      toName: to.name,
      exchange,
      timeNs: this.#nowNs(),
    })
    if (replaced !== undefined && !exchange) this.#collect(replaced)
  }

  open(ino: Ino, flags: number): Handle {
    const slot = this.#slot(ino)
    const mode = this.#tree.inodes.mode(slot)
    if (isDirectory(mode)) throw failure('IS_DIRECTORY', 'a directory')
    if ((flags & O_ACCMODE) !== 0) this.#checkWritable()
    if ((flags & O_TRUNC) !== 0 && isRegular(mode)) this.setAttributes(ino, { sizeBytes: 0 })
    return this.#opened(ino)
  }

  create(
    parent: Ino,
    name: string,
    mode: number,
    _flags: number,
    caller: Caller,
  ): { attributes: Attributes; handle: Handle } {
    this.#checkHandles()
    const attributes = this.#make(parent, name, S_IFREG | (mode & ~S_IFMT), 0, '', caller)
    const handle = this.#opened(attributes.ino)
    return { attributes, handle }
  }

  read(handle: Handle, offset: number, into: Uint8Array): Reply<number> {
    const file = this.#file(handle)
    const slot = this.#slot(file.ino)
    const size = this.#tree.inodes.size(slot)
    const length = Math.min(into.byteLength, size - offset)
    if (length <= 0) return 0
    const list = this.#tree.extents(file.ino)
    const done = this.#reader.read(list, offset, into.subarray(0, length))
    if (offset === file.nextOffset && offset + length < size) {
      this.#reader.readAhead(list, offset + length)
    }
    file.nextOffset = offset + length
    return done instanceof Promise ? done.then(() => length) : length
  }

  write(handle: Handle, offset: number, bytes: Uint8Array): Reply<number> {
    const file = this.#file(handle)
    const { disperser } = this.#checkWritable()
    const slot = this.#slot(file.ino)
    this.#checkRegular(slot)
    if (offset < 0) throw failure('INVALID', 'a negative offset')
    if (bytes.byteLength === 0) return 0
    checkFileSize(offset + bytes.byteLength)
    const wait = disperser.backPressure()
    if (wait) {
      const copy = Uint8Array.from(bytes)
      return wait.then(() => this.write(handle, offset, copy))
    }
    this.#checkRoom(file.ino, offset, bytes.byteLength)
    this.#checkDisk(bytes.byteLength)
    for (let at = 0; at < bytes.byteLength; at += RECORD_DATA_MAX) {
      this.#recordWrite(file.ino, offset + at, bytes.subarray(at, at + RECORD_DATA_MAX))
    }
    return bytes.byteLength
  }

  sync(ino: Ino, _dataOnly: boolean): Reply<void> {
    this.#slot(ino)
    return this.#sync()
  }

  allocate(handle: Handle, mode: number, offset: number, length: number): void {
    const { ino } = this.#file(handle)
    this.#checkWritable()
    this.#checkRegular(this.#slot(ino))
    if (offset < 0 || length <= 0) throw failure('INVALID', 'an empty range')
    const isPunch = mode === (PUNCH_HOLE | KEEP_SIZE)
    if (mode !== 0 && mode !== KEEP_SIZE && !isPunch) throw failure('NOT_SUPPORTED', 'mode')
    if (!isPunch || offset + length > Number.MAX_SAFE_INTEGER) checkFileSize(offset + length)
    if (!isPunch) this.#checkRoom(ino, offset, length)
    const timeNs = this.#nowNs()
    this.#record({ kind: 'allocate', ino, mode, offset, lengthBytes: length, timeNs })
  }

  seek(handle: Handle, offset: number, data: boolean): number {
    const { ino } = this.#file(handle)
    const slot = this.#slot(ino)
    this.#checkRegular(slot)
    const size = this.#tree.inodes.size(slot)
    if (offset < 0 || offset >= size) throw failure('NO_DATA', 'past the end')
    const list = this.#tree.extents(ino)
    if (!data) return Math.min(list?.holeFrom(offset) ?? offset, size)
    const found = list?.dataFrom(offset)
    if (found === undefined || found >= size) throw failure('NO_DATA', 'no data from there on')
    return found
  }

  release(handle: Handle): void {
    const { ino } = this.#file(handle)
    this.#files.delete(handle)
    this.#closed(ino)
  }

  openDirectory(ino: Ino): Handle {
    this.#directory(ino)
    this.#checkHandles()
    const handle = ++this.#lastHandle
    this.#directories.set(handle, { ino, names: [] })
    this.#opens.set(ino, (this.#opens.get(ino) ?? 0) + 1)
    this.#forgotten.delete(ino)
    return handle
  }

  readDirectory(handle: Handle, cookie: number, limit: number): readonly DirectoryEntry[] {
    const open = this.#openDirectory(handle)
    const directory = this.#directory(open.ino)
    // Names are listed once, at the start: cookies stay valid whatever is made or removed meanwhile.
    if (cookie === 0) open.names = [...directory.keys()]
    const entries: DirectoryEntry[] = []
    for (let at = cookie; at < open.names.length && entries.length < limit; at++) {
      const name = open.names[at]
      const ino = name === undefined ? undefined : directory.get(name)
      if (name === undefined || ino === undefined) continue
      entries.push({ name, attributes: this.#tree.attributes(ino), cookie: at + 1 })
    }
    return entries
  }

  releaseDirectory(handle: Handle): void {
    const { ino } = this.#openDirectory(handle)
    this.#directories.delete(handle)
    this.#closed(ino)
  }

  syncDirectory(ino: Ino): Reply<void> {
    this.#directory(ino)
    return this.#sync()
  }

  getExtended(ino: Ino, name: string): Uint8Array {
    this.#slot(ino)
    const value = this.#tree.extended.get(ino)?.get(name)
    if (!value) throw failure('NO_ATTRIBUTE', name)
    return value
  }

  setExtended(ino: Ino, name: string, value: Uint8Array, how: 'any' | 'create' | 'replace'): void {
    this.#checkWritable()
    this.#slot(ino)
    if (Buffer.byteLength(name) > NAME_BYTES_MAX) throw failure('NAME_TOO_LONG', name)
    const all = this.#tree.extended.get(ino)
    if (how === 'create' && all?.has(name)) throw failure('EXISTS', name)
    if (how === 'replace' && !all?.has(name)) throw failure('NO_ATTRIBUTE', name)
    if (value.byteLength > EXTENDED_BYTES_MAX) throw failure('ATTRIBUTE_TOO_BIG', name)
    let total = value.byteLength
    for (const [other, held] of all ?? []) if (other !== name) total += held.byteLength
    if (total > EXTENDED_BYTES_MAX)
      throw failure('NO_SPACE', 'the attributes of the inode are full')
    const copy = Uint8Array.from(value)
    this.#record({ kind: 'extended', ino, name, value: copy, timeNs: this.#nowNs() })
  }

  listExtended(ino: Ino): readonly string[] {
    this.#slot(ino)
    return [...(this.#tree.extended.get(ino)?.keys() ?? [])]
  }

  removeExtended(ino: Ino, name: string): void {
    this.#checkWritable()
    this.getExtended(ino, name)
    this.#record({ kind: 'extended', ino, name, value: undefined, timeNs: this.#nowNs() })
  }

  forget(ino: Ino): void {
    if (!this.#tree.orphans.has(ino)) return
    this.#forgotten.add(ino)
    this.#collect(ino)
  }

  /** Sets the root's time on a new volume, removes what was open when the last writer stopped, starts to disperse. */
  async #start(state: VolumeState): Promise<void> {
    const { disk } = this.#ports
    const { journal, disperser } = required(this.#writer, 'a writer is started')
    await disk.syncDirectory('')
    const root = this.#tree.inodes.at(ROOT)
    if (state.head.sequence === 0 && this.#tree.inodes.changed(root) === 0n) {
      const timeNs = this.#nowNs()
      const changes = { accessedNs: timeNs, modifiedNs: timeNs }
      this.#append({ kind: 'attributes', ino: ROOT, changes, timeNs })
    }
    for (const ino of [...this.#tree.orphans]) this.#append({ kind: 'purge', ino })
    await journal.sync()
    disperser.run()
  }

  #make(
    parent: Ino,
    name: string,
    mode: number,
    device: number,
    target: string,
    caller: Caller,
  ): Attributes {
    this.#checkWritable()
    this.#checkFree(parent, name)
    const { inodes } = this.#tree
    if (inodes.count >= (this.#options.inodesMax ?? INODES_MAX)) {
      throw failure('NO_SPACE', 'the volume holds as many files as it may')
    }
    const above = inodes.at(parent)
    const isDir = isDirectory(mode)
    if (isDir && inodes.links(above) >= LINKS_MAX) throw failure('TOO_MANY_LINKS', name)
    const inherits = (inodes.mode(above) & S_ISGID) !== 0
    const ino = this.#tree.nextIno
    this.#record({
      kind: 'make',
      parent,
      name,
      ino,
      mode: inherits && isDir ? mode | S_ISGID : mode,
      device,
      uid: caller.uid,
      gid: inherits ? inodes.gid(above) : caller.gid,
      target,
      timeNs: this.#nowNs(),
    })
    return this.#tree.attributes(ino)
  }

  #sync(): Reply<void> {
    const writer = this.#writer
    if (!writer) return
    if (this.#options.sync !== 'dispersed' && writer.journal.isDurable) return
    return this.#syncNow(writer)
  }

  async #syncNow({ journal, disperser }: Writer): Promise<void> {
    try {
      await journal.sync()
      if (this.#options.sync === 'dispersed') await disperser.flush()
    } catch (caught) {
      if (isNodeError(caught, 'JOURNAL_FAILED', 'DISK_IO')) throw ioFailure(caught)
      throw caught
    }
  }

  /** Records and applies a metadata operation. */
  #record(operation: Exclude<Operation, { kind: 'write' }>): void {
    const { journal } = required(this.#writer, 'writability was checked')
    const { journalBytesMax = JOURNAL_BYTES_MAX } = this.#options
    if (journal.diskBytes > journalBytesMax + JOURNAL_RESERVE_BYTES) {
      throw failure('NO_SPACE', 'the journal is full while stores are away')
    }
    this.#append(operation)
    this.#writer?.disperser.noticed()
    if (this.#uncollected.size === 0) return
    const again = [...this.#uncollected]
    this.#uncollected.clear()
    for (const ino of again) this.#collect(ino)
  }

  #append(operation: Exclude<Operation, { kind: 'write' }>): void {
    const { journal } = required(this.#writer, 'writability was checked')
    this.#encoder.clear()
    encodeOperation(this.#encoder, operation)
    this.#appendBytes(journal, undefined)
    this.#tree.apply(operation)
  }

  #recordWrite(ino: Ino, offset: number, data: Uint8Array): void {
    const { journal, disperser } = required(this.#writer, 'writability was checked')
    const timeNs = this.#nowNs()
    const lengthBytes = data.byteLength
    this.#encoder.clear()
    const operation = { kind: 'write', ino, offset, lengthBytes, position: 0, timeNs } as const
    encodeOperation(this.#encoder, operation)
    const start = this.#appendBytes(journal, data)
    this.#tree.apply({ ...operation, position: start + this.#encoder.lengthBytes })
    disperser.noticed()
  }

  #appendBytes(journal: Journal, data: Uint8Array | undefined): number {
    try {
      return journal.append(this.#encoder.view(), data)
    } catch (caught) {
      if (isNodeError(caught, 'DISK_FULL')) {
        throw new NodeError('NO_SPACE', 'the local disk is full', { cause: caught })
      }
      if (isNodeError(caught)) throw ioFailure(caught)
      throw caught
    }
  }

  #checkWritable(): Writer {
    if (this.#isClosed) throw failure('IO', 'the volume is closed')
    const writer = this.#writer
    if (!writer) throw failure('READ_ONLY', 'the volume is mounted read-only')
    const { state } = writer.disperser
    if (state === 'fenced') throw failure('READ_ONLY', 'a newer writer took the volume over')
    if (state === 'failed') throw failure('IO', 'the volume stopped; see the log')
    return writer
  }

  /** The quota: bytes that files hold never exceed what was ordered. */
  #checkRoom(ino: Ino, offset: number, length: number): void {
    const left = this.#options.sizeBytes - this.#tree.allocatedBytes
    if (length <= left) return
    const covered = this.#tree.extents(ino)?.coveredBytes(offset, offset + length) ?? 0
    if (length - covered > left) throw failure('NO_SPACE', 'the volume is full')
  }

  /** The local disk: data is refused while it could not hold the commits that would free it. */
  #checkDisk(length: number): void {
    const { journal } = required(this.#writer, 'writability was checked')
    const { journalBytesMax = JOURNAL_BYTES_MAX } = this.#options
    if (journal.diskBytes + length > journalBytesMax) {
      throw failure('NO_SPACE', 'the journal is full while stores are away')
    }
    if (journal.writtenBytes >= this.#nextDiskCheck || this.#isDiskLow) {
      this.#nextDiskCheck = journal.writtenBytes + DISK_CHECK_BYTES
      this.#isDiskLow = this.#ports.disk.space().freeBytes < DISK_RESERVE_BYTES
    }
    if (this.#isDiskLow) throw failure('NO_SPACE', 'the local disk is nearly full')
  }

  #checkFree(parent: Ino, name: string): void {
    checkName(name)
    const directory = this.#directory(parent)
    if (directory.has(name)) throw failure('EXISTS', name)
    this.#checkNamed(parent)
  }

  #checkNamed(directory: Ino): void {
    if (this.#tree.orphans.has(directory)) throw failure('NOT_FOUND', 'the directory was removed')
  }

  #checkNotInside(moved: Ino, directory: Ino): void {
    if (!this.#isDirectory(moved)) return
    const { inodes } = this.#tree
    for (let at = directory; ; at = inodes.parent(inodes.at(at))) {
      if (at === moved) throw failure('INVALID', 'a directory cannot be moved into itself')
      if (at === ROOT) return
      assert(at !== 0, 'every directory is below the root')
    }
  }

  #checkReplaceable(moved: Ino, replaced: Ino): void {
    if (!this.#isDirectory(replaced)) {
      if (this.#isDirectory(moved)) throw failure('NOT_DIRECTORY', 'the target is a file')
      return
    }
    if (!this.#isDirectory(moved)) throw failure('IS_DIRECTORY', 'the target is a directory')
    if (this.#tree.directory(replaced).size > 0) throw failure('NOT_EMPTY', 'the target has names')
  }

  #checkDirectoryLinks(moved: Ino, replaced: Ino | undefined, to: Ino): void {
    if (!this.#isDirectory(moved)) return
    if (replaced !== undefined && this.#isDirectory(replaced)) return
    const { inodes } = this.#tree
    if (inodes.links(inodes.at(to)) >= LINKS_MAX) throw failure('TOO_MANY_LINKS', 'directories')
  }

  #checkRegular(slot: Slot): void {
    const mode = this.#tree.inodes.mode(slot)
    if (isDirectory(mode)) throw failure('IS_DIRECTORY', 'a directory')
    if (!isRegular(mode)) throw failure('INVALID', 'not a regular file')
  }

  #checkHandles(): void {
    if (this.#files.size + this.#directories.size >= HANDLES_MAX) {
      throw failure('NO_SPACE', 'too many open files')
    }
  }

  #slot(ino: Ino): Slot {
    const slot = this.#tree.inodes.find(ino)
    if (slot === undefined) throw failure('NOT_FOUND', `inode ${ino}`)
    return slot
  }

  #isDirectory(ino: Ino): boolean {
    return isDirectory(this.#tree.inodes.mode(this.#slot(ino)))
  }

  #directory(ino: Ino): Directory {
    const content = this.#tree.inodes.content(this.#slot(ino))
    if (!(content instanceof Map)) throw failure('NOT_DIRECTORY', `inode ${ino}`)
    return content
  }

  #named(directory: Directory, name: string): Ino {
    checkName(name)
    const ino = directory.get(name)
    if (ino === undefined) throw failure('NOT_FOUND', name)
    return ino
  }

  #file(handle: Handle): OpenFile {
    const file = this.#files.get(handle)
    if (!file) throw failure('STALE', `handle ${handle}`)
    return file
  }

  #openDirectory(handle: Handle): OpenDirectory {
    const open = this.#directories.get(handle)
    if (!open) throw failure('STALE', `handle ${handle}`)
    return open
  }

  #opened(ino: Ino): Handle {
    this.#checkHandles()
    const handle = ++this.#lastHandle
    this.#files.set(handle, { ino, nextOffset: 0 })
    this.#opens.set(ino, (this.#opens.get(ino) ?? 0) + 1)
    this.#forgotten.delete(ino)
    return handle
  }

  #closed(ino: Ino): void {
    const left = (this.#opens.get(ino) ?? 1) - 1
    if (left > 0) this.#opens.set(ino, left)
    else this.#opens.delete(ino)
    this.#collect(ino)
  }

  /** What has no name, no handle, and is not known to the kernel goes. */
  #collect(ino: Ino): void {
    if (!this.#tree.orphans.has(ino) || this.#opens.has(ino) || !this.#forgotten.has(ino)) return
    const writer = this.#writer
    if (!writer) this.#tree.removeInode(ino)
    else {
      try {
        this.#append({ kind: 'purge', ino })
        writer.disperser.noticed()
      } catch (caught) {
        // Nobody waits for this: it is tried again after the next operation that succeeds, and at the next opening.
        this.#uncollected.add(ino)
        this.#ports.log.warn({ ino, error: describeError(caught) }, 'removed file not yet freed')
        return
      }
    }
    this.#forgotten.delete(ino)
  }

  #nowNs(): bigint {
    return BigInt(Math.floor(this.#ports.clock.now() * 1000)) * 1000n
  }
}

function checkName(name: string): void {
  if (name.length > NAME_BYTES_MAX || Buffer.byteLength(name) > NAME_BYTES_MAX) {
    throw failure('NAME_TOO_LONG', 'a name has at most 255 bytes')
  }
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) {
    throw failure('INVALID', 'not a name')
  }
}

function checkFileSize(bytes: number): void {
  if (bytes < 0) throw failure('INVALID', 'a negative size')
  if (bytes > FILE_BYTES_MAX) throw failure('FILE_TOO_BIG', 'the file would be too big')
}

function failure(code: FileErrorCode, message: string): NodeError<FileErrorCode> {
  return new NodeError(code, message)
}

function ioFailure(cause: unknown): NodeError<FileErrorCode> {
  return new NodeError('IO', 'the local disk failed', { cause })
}
