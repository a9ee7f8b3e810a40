/**
 * A volume as a file system: checks what is asked, records it in the journal, applies it to the tree.
 *
 * Everything in memory is answered at once; promises come only from flushes, from chunks that are not here, and
 * from back-pressure. A volume opened read-only has the same tree without journal and disperser, and follows the writer's commits.
 */
import { required } from '../../base/assert.ts'
import { describeError, isNodeError } from '../../base/errors.ts'
import { nameBytes } from '../../base/name-text.ts'
import {
  checkFileSize,
  checkFree,
  checkRegular,
  checkRename,
  directoryOf,
  failure,
  inoNamed,
  ioFailure,
  isDirectoryAt,
  slotOf,
} from './checks.ts'
import {
  BACKLOG_BYTES,
  EXTENDED_BYTES_MAX,
  INODES_MAX,
  LINKS_MAX,
  NAME_BYTES_MAX,
  RECORD_DATA_MAX,
  SEGMENT_BYTES,
  TARGET_BYTES_MAX,
} from './constants.ts'
import { ContentReader } from './content-reader.ts'
import { Disperser } from './disperser.ts'
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
  ZERO_RANGE,
} from './file-system.ts'
import { withinTime } from './file-time.ts'
import { Follower } from './follower.ts'
import type { Journal } from './journal.ts'
import { leftBehind } from './left-behind.ts'
import { indexAfter, listingOf } from './listing.ts'
import type { LocalArchive } from './local-archive.ts'
import { OpenHandles } from './open-handles.ts'
import { type AsideReport, openReader, openWriter, type VolumeState } from './opening.ts'
import { type MetadataOperation, Recorder } from './recorder.ts'
import { Sections } from './sections.ts'
import { Snapshotter } from './snapshotter.ts'
import type { Tree } from './tree.ts'
import type { VolumeFigures, VolumeOptions, VolumePorts } from './volume-options.ts'

const O_ACCMODE = 3
const O_TRUNC = 0o1000

interface Writer {
  readonly journal: Journal
  readonly archive: LocalArchive
  readonly disperser: Disperser
  readonly recorder: Recorder
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
  readonly #handles: OpenHandles
  readonly #forgotten = new Set<Ino>()
  readonly #uncollected = new Set<Ino>()
  /** Files of O_TMPFILE, which may still be given a name. */
  readonly #temporary = new Set<Ino>()
  #tree: Tree
  #isClosed = false
  #isHandingOver = false
  #leftBehindBytes = 0

  private constructor(
    ports: VolumePorts,
    options: VolumeOptions,
    state: VolumeState,
    writer: Writer | undefined,
    sections: Sections,
  ) {
    this.#ports = ports
    this.#options = options
    this.#handles = new OpenHandles(options.isResumed)
    this.#tree = state.tree
    this.#writer = writer
    this.#reader = new ContentReader(ports.chunks, writer?.journal, ports.clock, ports.log)
    this.#follower = writer
      ? undefined
      : new Follower(ports, sections, state, options.upToSequence, {
          isOpen: (ino) => this.#handles.isOpen(ino),
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
      volume.#leftBehindBytes = await leftBehind(ports, signal)
      volume.#follower?.run()
      return volume
    }
    const opening = await openWriter(
      parts,
      options.epoch,
      options.segmentBytes ?? SEGMENT_BYTES,
      options,
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
    const recorder = new Recorder(state.tree, journal, disperser, ports, options)
    const { aside } = opening
    const writer = { journal, archive, disperser, recorder, snapshotter, aside }
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
      leftBehindBytes: this.#leftBehindBytes,
      aside: writer?.aside ?? [],
    }
  }

  /** Resolves when everything written before the call is on the stores. @throws NodeError `WRITER_FENCED`, `VOLUME_CLOSED`, `IO`. */
  async syncDispersed(): Promise<void> {
    await this.#writer?.disperser.flush()
  }

  /** Takes over another bound on the age of undispersed bytes, as policy changes it. @param ms - `>= 0`. */
  setDispersalAge(ms: number): void {
    this.#writer?.disperser.setDispersalAge(ms)
  }

  /** Which history the local journal continues, as text: a process that finds another one serves another state. */
  get continuity(): string {
    const id = this.#writer?.journal.base?.id
    return id ? Buffer.from(id).toString('hex') : ''
  }

  /** Where the journal records the next change; 0 of a reader, which changes nothing. */
  position(): number {
    return this.#writer?.journal.end ?? 0
  }

  /** Whether a change was recorded at or behind a position. */
  hasChangedSince(position: number): boolean {
    return this.#writer?.journal.hasRecordsFrom(position) ?? false
  }

  /** True if a file here or in the newest commit holds the chunk. */
  refersTo(chunk: number): boolean {
    return this.#tree.references.count(chunk) > 0
  }

  /** Commits what tables of other engines have to say although no file changed; nothing if they have nothing to say. */
  commitTables(): void {
    this.#writer?.disperser.noticedTables()
  }

  /**
   * Ends as a writer because a newer one is ordered: takes no more changes, disperses what there is, and says so to the newer one.
   *
   * @param limitMs - After this it gives up; what is left stays in the journal.
   * @returns Bytes that did not reach the stores.
   */
  async handOver(limitMs: number): Promise<number> {
    const { clock, commits, log } = this.#ports
    const writer = required(this.#writer, 'a writer hands over')
    this.#isHandingOver = true
    const stop = new AbortController()
    const late = clock.sleep(limitMs, stop.signal).then(
      () => stop.abort(),
      () => undefined,
    )
    const flushed = writer.journal
      .sync()
      .then(() => writer.disperser.flush())
      .then(() => commits.handOver(stop.signal))
      .catch((caught: unknown) => log.warn({ error: describeError(caught) }, 'hand-over failed'))
    await Promise.race([flushed, late])
    stop.abort()
    const left = writer.disperser.undispersedBytes
    const ageMs = writer.disperser.undispersedAgeMs
    if (left > 0) log.error({ bytes: left, ageMs }, 'a newer writer begins without these bytes')
    else log.info({ epoch: this.#options.epoch }, 'handed over to a newer writer')
    return left
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
    writer.recorder.close()
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
    const quotaBytes = Math.max(0, sizeBytes - this.#tree.allocatedBytes)
    return {
      totalBytes: sizeBytes,
      freeBytes: Math.min(quotaBytes, this.#roomBytes()),
      files: inodesMax,
      filesFree: Math.max(0, inodesMax - this.#tree.inodes.count),
    }
  }

  /** What can be taken now: while stores take it the journal drains, so then only a disk that is full already limits. */
  #roomBytes(): number {
    const writer = this.#writer
    if (!writer) return Number.POSITIVE_INFINITY
    const { roomBytes } = writer.recorder
    const isDraining = writer.disperser.state === 'ok' || writer.disperser.state === 'degraded'
    return isDraining && roomBytes > 0 ? Number.POSITIVE_INFINITY : roomBytes
  }

  lookup(parent: Ino, name: string): Attributes {
    return this.#tree.attributes(inoNamed(directoryOf(this.#tree, parent), name))
  }

  attributes(ino: Ino): Attributes {
    slotOf(this.#tree, ino)
    return this.#tree.attributes(ino)
  }

  setAttributes(ino: Ino, changes: AttributeChanges): Attributes {
    this.#checkWritable()
    const slot = slotOf(this.#tree, ino)
    if (changes.sizeBytes !== undefined) {
      checkRegular(this.#tree, slot)
      checkFileSize(changes.sizeBytes)
    }
    this.#record({ kind: 'attributes', ino, changes: withinTimes(changes), timeNs: this.#nowNs() })
    return this.#tree.attributes(ino)
  }

  readLink(ino: Ino): string {
    const slot = slotOf(this.#tree, ino)
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
    const bytes = nameBytes(target)
    if (bytes > TARGET_BYTES_MAX) throw failure('NAME_TOO_LONG', 'the target is too long')
    if (bytes === 0) throw failure('NOT_FOUND', 'the target is empty')
    return this.#make(parent, name, S_IFLNK | 0o777, 0, target, caller)
  }

  link(ino: Ino, parent: Ino, name: string): Attributes {
    this.#checkWritable()
    const slot = slotOf(this.#tree, ino)
    const { inodes } = this.#tree
    if (isDirectory(inodes.mode(slot))) throw failure('NOT_PERMITTED', 'directories have one name')
    if (inodes.links(slot) === 0 && !this.#temporary.has(ino)) {
      throw failure('NOT_FOUND', 'the file has no name any more')
    }
    if (inodes.links(slot) >= LINKS_MAX) throw failure('TOO_MANY_LINKS', 'too many names')
    checkFree(this.#tree, parent, name)
    this.#record({ kind: 'link', ino, parent, name, timeNs: this.#nowNs() })
    this.#temporary.delete(ino)
    return this.#tree.attributes(ino)
  }

  unlink(parent: Ino, name: string): void {
    this.#checkWritable()
    const ino = inoNamed(directoryOf(this.#tree, parent), name)
    if (isDirectoryAt(this.#tree, ino)) throw failure('IS_DIRECTORY', 'a directory')
    this.#record({ kind: 'unlink', parent, name, timeNs: this.#nowNs() })
    this.#collect(ino)
  }

  removeDirectory(parent: Ino, name: string): void {
    this.#checkWritable()
    const ino = inoNamed(directoryOf(this.#tree, parent), name)
    if (!isDirectoryAt(this.#tree, ino)) throw failure('NOT_DIRECTORY', 'not a directory')
    if (this.#tree.directory(ino).size > 0) throw failure('NOT_EMPTY', 'names in the directory')
    this.#record({ kind: 'unlink', parent, name, timeNs: this.#nowNs() })
    this.#collect(ino)
  }

  rename(
    from: { parent: Ino; name: string },
    to: { parent: Ino; name: string },
    options: RenameOptions,
  ): void {
    this.#checkWritable()
    const { moved, replaced } = checkRename(this.#tree, from, to, options)
    if (replaced === moved) return
    const { exchange } = options
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
    const slot = slotOf(this.#tree, ino)
    const mode = this.#tree.inodes.mode(slot)
    if (isDirectory(mode)) throw failure('IS_DIRECTORY', 'a directory')
    if ((flags & O_ACCMODE) !== 0) this.#checkWritable()
    if ((flags & O_TRUNC) !== 0 && isRegular(mode)) this.setAttributes(ino, { sizeBytes: 0 })
    this.#forgotten.delete(ino)
    return this.#handles.openFile(ino)
  }

  create(
    parent: Ino,
    name: string,
    mode: number,
    _flags: number,
    caller: Caller,
  ): { attributes: Attributes; handle: Handle } {
    this.#handles.checkRoom()
    const attributes = this.#make(parent, name, S_IFREG | (mode & ~S_IFMT), 0, '', caller)
    const handle = this.#handles.openFile(attributes.ino)
    return { attributes, handle }
  }

  createTemporary(
    parent: Ino,
    mode: number,
    caller: Caller,
  ): { attributes: Attributes; handle: Handle } {
    this.#handles.checkRoom()
    this.#checkWritable()
    directoryOf(this.#tree, parent)
    const attributes = this.#made(parent, '', S_IFREG | (mode & ~S_IFMT), 0, '', caller)
    this.#temporary.add(attributes.ino)
    return { attributes, handle: this.#handles.openFile(attributes.ino) }
  }

  read(handle: Handle, offset: number, into: Uint8Array): Reply<number> {
    const file = this.#handles.file(handle)
    const slot = slotOf(this.#tree, file.ino)
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
    const file = this.#handles.file(handle)
    const { disperser, recorder } = this.#checkWritable()
    const slot = slotOf(this.#tree, file.ino)
    checkRegular(this.#tree, slot)
    if (offset < 0) throw failure('INVALID', 'a negative offset')
    if (bytes.byteLength === 0) return 0
    checkFileSize(offset + bytes.byteLength)
    const wait = disperser.backPressure()
    if (wait) {
      const copy = Uint8Array.from(bytes)
      return wait.then(() => this.write(handle, offset, copy))
    }
    recorder.checkQuota(file.ino, offset, bytes.byteLength)
    recorder.checkDisk(bytes.byteLength)
    for (let at = 0; at < bytes.byteLength; at += RECORD_DATA_MAX) {
      recorder.recordWrite(file.ino, offset + at, bytes.subarray(at, at + RECORD_DATA_MAX))
    }
    return bytes.byteLength
  }

  sync(ino: Ino, _dataOnly: boolean): Reply<void> {
    slotOf(this.#tree, ino)
    return this.#sync()
  }

  allocate(handle: Handle, mode: number, offset: number, length: number): void {
    const { ino } = this.#handles.file(handle)
    const { recorder } = this.#checkWritable()
    checkRegular(this.#tree, slotOf(this.#tree, ino))
    if (offset < 0 || length <= 0) throw failure('INVALID', 'an empty range')
    const isPunch = mode === (PUNCH_HOLE | KEEP_SIZE)
    if (!isPunch && (mode & ~(KEEP_SIZE | ZERO_RANGE)) !== 0) throw failure('NOT_SUPPORTED', 'mode')
    checkFileSize(offset + length)
    if (!isPunch) recorder.checkQuota(ino, offset, length)
    const timeNs = this.#nowNs()
    this.#record({ kind: 'allocate', ino, mode, offset, lengthBytes: length, timeNs })
  }

  seek(handle: Handle, offset: number, data: boolean): number {
    const { ino } = this.#handles.file(handle)
    const slot = slotOf(this.#tree, ino)
    checkRegular(this.#tree, slot)
    const size = this.#tree.inodes.size(slot)
    if (offset < 0 || offset >= size) throw failure('NO_DATA', 'past the end')
    const list = this.#tree.extents(ino)
    if (!data) return Math.min(list?.holeFrom(offset) ?? offset, size)
    const found = list?.dataFrom(offset)
    if (found === undefined || found >= size) throw failure('NO_DATA', 'no data from there on')
    return found
  }

  release(handle: Handle): void {
    this.#collect(this.#handles.closeFile(handle))
  }

  openDirectory(ino: Ino): Handle {
    directoryOf(this.#tree, ino)
    this.#forgotten.delete(ino)
    return this.#handles.openDirectory(ino)
  }

  readDirectory(handle: Handle, cookie: number, limit: number): readonly DirectoryEntry[] {
    const open = this.#handles.directory(handle)
    const directory = directoryOf(this.#tree, open.ino)
    // Names are listed once, at the start: cookies stay valid whatever is made or removed meanwhile.
    if (cookie === 0 || !open.names) open.names = listingOf(directory)
    const entries: DirectoryEntry[] = []
    for (let at = indexAfter(open.names, cookie); entries.length < limit; at++) {
      const listed = open.names[at]
      if (!listed) break
      const ino = directory.get(listed.name)
      if (ino !== undefined) entries.push({ ...listed, attributes: this.#tree.attributes(ino) })
    }
    return entries
  }

  releaseDirectory(handle: Handle): void {
    this.#collect(this.#handles.closeDirectory(handle))
  }

  syncDirectory(ino: Ino): Reply<void> {
    directoryOf(this.#tree, ino)
    return this.#sync()
  }

  getExtended(ino: Ino, name: string): Uint8Array {
    slotOf(this.#tree, ino)
    const value = this.#tree.extended.get(ino)?.get(name)
    if (!value) throw failure('NO_ATTRIBUTE', name)
    return value
  }

  setExtended(ino: Ino, name: string, value: Uint8Array, how: 'any' | 'create' | 'replace'): void {
    this.#checkWritable()
    slotOf(this.#tree, ino)
    if (nameBytes(name) > NAME_BYTES_MAX) throw failure('NAME_TOO_LONG', name)
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
    slotOf(this.#tree, ino)
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
    const { journal, disperser, recorder } = required(this.#writer, 'a writer is started')
    await disk.syncDirectory('')
    const root = this.#tree.inodes.at(ROOT)
    if (state.head.sequence === 0 && this.#tree.inodes.changed(root) === 0n) {
      const timeNs = this.#nowNs()
      const changes = { accessedNs: timeNs, modifiedNs: timeNs }
      recorder.append({ kind: 'attributes', ino: ROOT, changes, timeNs })
    }
    if (!this.#options.isResumed) {
      for (const ino of [...this.#tree.orphans]) recorder.append({ kind: 'purge', ino })
    }
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
    checkFree(this.#tree, parent, name)
    return this.#made(parent, name, mode, device, target, caller)
  }

  #made(
    parent: Ino,
    name: string,
    mode: number,
    device: number,
    target: string,
    caller: Caller,
  ): Attributes {
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
  #record(operation: MetadataOperation): void {
    const { recorder } = required(this.#writer, 'writability was checked')
    recorder.record(operation)
    if (this.#uncollected.size === 0) return
    const again = [...this.#uncollected]
    this.#uncollected.clear()
    for (const ino of again) this.#collect(ino)
  }

  #checkWritable(): Writer {
    if (this.#isClosed) throw failure('IO', 'the volume is closed')
    const writer = this.#writer
    if (!writer) throw failure('READ_ONLY', 'the volume is mounted read-only')
    const { state } = writer.disperser
    if (this.#isHandingOver) throw failure('READ_ONLY', 'a newer writer takes the volume over')
    if (state === 'fenced') throw failure('READ_ONLY', 'a newer writer took the volume over')
    if (state === 'failed') throw failure('IO', 'the volume stopped; see the log')
    return writer
  }

  /** What has no name, no handle, and is not known to the kernel goes. */
  #collect(ino: Ino): void {
    if (!this.#tree.orphans.has(ino) || this.#handles.isOpen(ino) || !this.#forgotten.has(ino))
      return
    const writer = this.#writer
    if (!writer) this.#tree.removeInode(ino)
    else {
      try {
        writer.recorder.append({ kind: 'purge', ino })
        writer.disperser.noticed()
      } catch (caught) {
        // Nobody waits for this: it is tried again after the next operation that succeeds, and at the next opening.
        this.#uncollected.add(ino)
        this.#ports.log.warn({ ino, error: describeError(caught) }, 'removed file not yet freed')
        return
      }
    }
    this.#forgotten.delete(ino)
    this.#temporary.delete(ino)
  }

  #nowNs(): bigint {
    return required(this.#writer, 'writability was checked').recorder.nowNs()
  }
}

/** Times that fit the field: beyond its bounds the last whole second within. */
function withinTimes(changes: AttributeChanges): AttributeChanges {
  const { accessedNs, modifiedNs } = changes
  return {
    ...changes,
    ...(accessedNs !== undefined && { accessedNs: withinTime(accessedNs) }),
    ...(modifiedNs !== undefined && { modifiedNs: withinTime(modifiedNs) }),
  }
}
