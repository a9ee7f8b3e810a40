/**
 * A complete file system in memory: the plain model that FUSE is tested with, and by which other file systems are judged.
 *
 * Files are sparse maps of blocks; everything is answered at once. It favours being evidently right over being fast, yet is fast
 * enough to measure the protocol above it.
 */
import { assert } from '../../agent/base/assert.ts'
import { NodeError } from '../../agent/base/errors.ts'
import { nameBytes } from '../../agent/base/name-text.ts'
import type { FileErrorCode } from '../../agent/engines/fuse/index.ts'
import type {
  AttributeChanges,
  Attributes,
  Caller,
  DirectoryEntry,
  FileSystem,
  Handle,
  Ino,
  RenameOptions,
  SpaceFigures,
} from '../../agent/engines/fuse/ports.ts'
import { SparseBytes } from './sparse-bytes.ts'

const TYPE = 0o170000
const DIRECTORY = 0o040000
const REGULAR = 0o100000
const SYMLINK = 0o120000
const SETGID = 0o2000
const PERMISSIONS = 0o7777
const O_TRUNC = 0o1000
const KEEP_SIZE = 1
const PUNCH_HOLE = 2
const ZERO_RANGE = 16
const ROOT: Ino = 1
const LINKS_MAX = 65_000
/** As ext4 with 4 KiB blocks. */
const FILE_BYTES_MAX = 2 ** 44
/** What Linux allows for one value. */
const EXTENDED_BYTES_MAX = 65_536
const INODES_MAX = 1_000_000

interface Inode {
  readonly ino: Ino
  mode: number
  links: number
  uid: number
  gid: number
  readonly device: number
  accessedNs: bigint
  modifiedNs: bigint
  changedNs: bigint
  readonly extended: Map<string, Uint8Array>
  readonly content: SparseBytes | undefined
  readonly entries: Map<string, Entry> | undefined
  readonly target: string
  /** Of directories. */
  parent: Ino
  handles: number
  isForgotten: boolean
  /** Made in no directory, and may be given a name. */
  isTemporary?: boolean
}

interface Entry {
  readonly ino: Ino
  readonly cookie: number
}

interface OpenDirectory {
  readonly ino: Ino
  names: { readonly name: string; readonly cookie: number }[]
}

/** What the model is made of. */
export interface MemoryFileSystemOptions {
  /** Bytes of data that fit; `Infinity`-like by default. */
  readonly totalBytes?: number
  readonly nowNs?: () => bigint
}

/** A file system in memory. */
export class MemoryFileSystem implements FileSystem {
  readonly #inodes = new Map<Ino, Inode>()
  readonly #files = new Map<Handle, Inode>()
  readonly #directories = new Map<Handle, OpenDirectory>()
  readonly #totalBytes: number
  readonly #nowNs: () => bigint
  #usedBytes = 0
  #lastIno = ROOT
  #lastHandle = 0
  #lastCookie = 0

  constructor(options: MemoryFileSystemOptions = {}) {
    this.#totalBytes = options.totalBytes ?? 2 ** 40
    this.#nowNs = options.nowNs ?? wallNs
    const now = this.#nowNs()
    this.#inodes.set(ROOT, {
      ...{ ino: ROOT, mode: DIRECTORY | 0o755, links: 2, uid: 0, gid: 0, device: 0 },
      ...{ accessedNs: now, modifiedNs: now, changedNs: now, extended: new Map() },
      ...{ content: undefined, entries: new Map(), target: '', parent: ROOT },
      ...{ handles: 0, isForgotten: false },
    })
  }

  /** Inodes and handles that exist: what tests of leaks look at. */
  get counts(): { inodes: number; handles: number } {
    return { inodes: this.#inodes.size, handles: this.#files.size + this.#directories.size }
  }

  space(): SpaceFigures {
    return {
      totalBytes: this.#totalBytes,
      freeBytes: Math.max(0, this.#totalBytes - this.#usedBytes),
      files: INODES_MAX,
      filesFree: Math.max(0, INODES_MAX - this.#inodes.size),
    }
  }

  lookup(parent: Ino, name: string): Attributes {
    const { ino } = this.#entry(this.#directory(parent), name)
    return this.attributes(ino)
  }

  attributes(ino: Ino): Attributes {
    const inode = this.#inode(ino)
    return {
      ino,
      mode: inode.mode,
      links: inode.links,
      uid: inode.uid,
      gid: inode.gid,
      device: inode.device,
      sizeBytes: sizeOf(inode),
      allocatedBytes: inode.content?.allocatedBytes ?? 0,
      accessedNs: inode.accessedNs,
      modifiedNs: inode.modifiedNs,
      changedNs: inode.changedNs,
    }
  }

  setAttributes(ino: Ino, changes: AttributeChanges): Attributes {
    const inode = this.#inode(ino)
    if (changes.sizeBytes !== undefined) this.#resize(inode, changes.sizeBytes)
    if (changes.mode !== undefined) inode.mode = (inode.mode & TYPE) | (changes.mode & PERMISSIONS)
    inode.uid = changes.uid ?? inode.uid
    inode.gid = changes.gid ?? inode.gid
    inode.accessedNs = changes.accessedNs ?? inode.accessedNs
    inode.modifiedNs = changes.modifiedNs ?? inode.modifiedNs
    inode.changedNs = this.#nowNs()
    return this.attributes(ino)
  }

  readLink(ino: Ino): string {
    const inode = this.#inode(ino)
    if ((inode.mode & TYPE) !== SYMLINK) throw failure('INVALID', 'not a symbolic link')
    return inode.target
  }

  makeNode(parent: Ino, name: string, mode: number, device: number, caller: Caller): Attributes {
    const type = mode & TYPE
    if (type === DIRECTORY || type === SYMLINK) throw failure('INVALID', 'not a kind of node')
    return this.attributes(this.#make(parent, name, mode, caller, { device }).ino)
  }

  makeDirectory(parent: Ino, name: string, mode: number, caller: Caller): Attributes {
    return this.attributes(
      this.#make(parent, name, DIRECTORY | (mode & PERMISSIONS), caller, {}).ino,
    )
  }

  makeSymlink(parent: Ino, name: string, target: string, caller: Caller): Attributes {
    return this.attributes(this.#make(parent, name, SYMLINK | 0o777, caller, { target }).ino)
  }

  link(ino: Ino, parent: Ino, name: string): Attributes {
    const inode = this.#inode(ino)
    const directory = this.#directory(parent)
    if (inode.entries) throw failure('NOT_PERMITTED', 'directories have one name')
    if (inode.links === 0 && !inode.isTemporary) throw failure('NOT_FOUND', 'the file has no name')
    if (inode.links >= LINKS_MAX) throw failure('TOO_MANY_LINKS', 'too many names')
    this.#checkFree(directory, name)
    this.#put(directory, name, inode)
    inode.links++
    inode.changedNs = this.#nowNs()
    return this.attributes(ino)
  }

  unlink(parent: Ino, name: string): void {
    const directory = this.#directory(parent)
    const inode = this.#inode(this.#entry(directory, name).ino)
    if (inode.entries) throw failure('IS_DIRECTORY', 'a directory')
    this.#take(directory, name)
    this.#lostName(inode)
  }

  removeDirectory(parent: Ino, name: string): void {
    const directory = this.#directory(parent)
    const inode = this.#inode(this.#entry(directory, name).ino)
    if (!inode.entries) throw failure('NOT_DIRECTORY', 'not a directory')
    if (inode.entries.size > 0) throw failure('NOT_EMPTY', 'names in the directory')
    this.#take(directory, name)
    this.#lostName(inode)
  }

  rename(
    from: { parent: Ino; name: string },
    to: { parent: Ino; name: string },
    { noReplace, exchange }: RenameOptions,
  ): void {
    const [source, target] = [this.#directory(from.parent), this.#directory(to.parent)]
    const moved = this.#inode(this.#entry(source, from.name).ino)
    checkName(to.name)
    const taken = target.entries.get(to.name)
    const replaced = taken && this.#inode(taken.ino)
    if (noReplace && replaced) throw failure('EXISTS', 'the target is there')
    if (noReplace && exchange) throw failure('INVALID', 'flags exclude each other')
    if (exchange && !replaced) throw failure('NOT_FOUND', 'nothing to exchange with')
    this.#checkNotInside(moved, target)
    if (exchange && replaced) this.#checkNotInside(replaced, source)
    if (replaced === moved) return
    if (replaced && !exchange) checkReplaceable(moved, replaced)
    if (target.links >= LINKS_MAX && moved.entries && !replaced?.entries) {
      throw failure('TOO_MANY_LINKS', 'too many directories')
    }

    this.#take(source, from.name)
    if (replaced) this.#take(target, to.name)
    this.#put(target, to.name, moved)
    moved.changedNs = this.#nowNs()
    if (replaced && exchange) {
      this.#put(source, from.name, replaced)
      replaced.changedNs = this.#nowNs()
    } else if (replaced) {
      this.#lostName(replaced)
    }
  }

  open(ino: Ino, flags: number): Handle {
    const inode = this.#inode(ino)
    if (inode.entries) throw failure('IS_DIRECTORY', 'a directory')
    if ((flags & O_TRUNC) !== 0) this.#resize(inode, 0)
    return this.#opened(inode)
  }

  create(
    parent: Ino,
    name: string,
    mode: number,
    _flags: number,
    caller: Caller,
  ): { attributes: Attributes; handle: Handle } {
    const inode = this.#make(parent, name, REGULAR | (mode & PERMISSIONS), caller, {})
    return { attributes: this.attributes(inode.ino), handle: this.#opened(inode) }
  }

  createTemporary(
    parent: Ino,
    mode: number,
    caller: Caller,
  ): { attributes: Attributes; handle: Handle } {
    const name = `.temporary-${this.#lastIno + 1}`
    const inode = this.#make(parent, name, REGULAR | (mode & PERMISSIONS), caller, {})
    const handle = this.#opened(inode)
    this.unlink(parent, name)
    inode.isTemporary = true
    return { attributes: this.attributes(inode.ino), handle }
  }

  read(handle: Handle, offset: number, into: Uint8Array): number {
    const { content } = this.#file(handle)
    if (!content) throw failure('INVALID', 'not a regular file')
    return content.read(offset, into)
  }

  write(handle: Handle, offset: number, bytes: Uint8Array): number {
    const inode = this.#file(handle)
    if (!inode.content) throw failure('INVALID', 'not a regular file')
    if (bytes.byteLength === 0) return 0
    if (offset + bytes.byteLength > FILE_BYTES_MAX) throw failure('FILE_TOO_BIG', 'too big')
    const { content } = inode
    this.#growing(inode, content.newBytes(offset, bytes.byteLength), () =>
      content.write(offset, bytes),
    )
    this.#modified(inode)
    return bytes.byteLength
  }

  sync(ino: Ino): void {
    this.#inode(ino)
  }

  allocate(handle: Handle, mode: number, offset: number, length: number): void {
    const inode = this.#file(handle)
    const { content } = inode
    if (!content) throw failure('INVALID', 'not a regular file')
    if (length <= 0) throw failure('INVALID', 'empty range')
    if (offset + length > FILE_BYTES_MAX) throw failure('FILE_TOO_BIG', 'too big')
    if ((mode & PUNCH_HOLE) !== 0) {
      this.#growing(inode, 0, () => content.punch(offset, length))
    } else {
      if ((mode & ZERO_RANGE) !== 0) this.#growing(inode, 0, () => content.punch(offset, length))
      this.#growing(inode, content.newBytes(offset, length), () => content.allocate(offset, length))
      if ((mode & KEEP_SIZE) === 0 && offset + length > content.sizeBytes) {
        content.resize(offset + length)
      }
    }
    this.#modified(inode)
  }

  seek(handle: Handle, offset: number, data: boolean): number {
    const { content } = this.#file(handle)
    if (!content) throw failure('INVALID', 'not a regular file')
    const found = data ? content.nextData(offset) : content.nextHole(offset)
    if (found === undefined) throw failure('NO_DATA', 'past the end')
    return found
  }

  release(handle: Handle): void {
    const inode = this.#file(handle)
    this.#files.delete(handle)
    inode.handles--
    this.#collect(inode)
  }

  openDirectory(ino: Ino): Handle {
    const inode = this.#directory(ino)
    inode.handles++
    const handle = ++this.#lastHandle
    this.#directories.set(handle, { ino, names: [] })
    return handle
  }

  readDirectory(handle: Handle, cookie: number, limit: number): DirectoryEntry[] {
    const open = this.#openDirectory(handle)
    const directory = this.#directory(open.ino)
    if (cookie === 0)
      open.names = [...directory.entries].map(([name, entry]) => ({ name, cookie: entry.cookie }))
    const found: DirectoryEntry[] = []
    for (let at = firstAfter(open.names, cookie); at < open.names.length; at++) {
      const listed = open.names[at]
      const entry = listed && directory.entries.get(listed.name)
      if (!listed || !entry || entry.cookie !== listed.cookie) continue
      found.push({
        name: listed.name,
        attributes: this.attributes(entry.ino),
        cookie: listed.cookie,
      })
      if (found.length === limit) break
    }
    return found
  }

  releaseDirectory(handle: Handle): void {
    const { ino } = this.#openDirectory(handle)
    this.#directories.delete(handle)
    const inode = this.#inode(ino)
    inode.handles--
    this.#collect(inode)
  }

  syncDirectory(ino: Ino): void {
    this.#directory(ino)
  }

  getExtended(ino: Ino, name: string): Uint8Array {
    const value = this.#inode(ino).extended.get(name)
    if (!value) throw failure('NO_ATTRIBUTE', name)
    return value
  }

  setExtended(ino: Ino, name: string, value: Uint8Array, how: 'any' | 'create' | 'replace'): void {
    const inode = this.#inode(ino)
    const has = inode.extended.has(name)
    if (how === 'create' && has) throw failure('EXISTS', name)
    if (how === 'replace' && !has) throw failure('NO_ATTRIBUTE', name)
    if (value.byteLength > EXTENDED_BYTES_MAX) throw failure('ATTRIBUTE_TOO_BIG', name)
    inode.extended.set(name, Uint8Array.from(value))
    inode.changedNs = this.#nowNs()
  }

  listExtended(ino: Ino): string[] {
    return [...this.#inode(ino).extended.keys()]
  }

  removeExtended(ino: Ino, name: string): void {
    const inode = this.#inode(ino)
    if (!inode.extended.delete(name)) throw failure('NO_ATTRIBUTE', name)
    inode.changedNs = this.#nowNs()
  }

  forget(ino: Ino): void {
    const inode = this.#inodes.get(ino)
    if (!inode) return
    inode.isForgotten = true
    this.#collect(inode)
  }

  #inode(ino: Ino): Inode {
    const inode = this.#inodes.get(ino)
    if (!inode) throw failure('NOT_FOUND', `inode ${ino}`)
    return inode
  }

  #directory(ino: Ino): Inode & { entries: Map<string, Entry> } {
    const inode = this.#inode(ino)
    const { entries } = inode
    if (!entries) throw failure('NOT_DIRECTORY', `inode ${ino}`)
    return inode as Inode & { entries: Map<string, Entry> }
  }

  #file(handle: Handle): Inode {
    const inode = this.#files.get(handle)
    if (!inode) throw failure('STALE', `handle ${handle}`)
    return inode
  }

  #openDirectory(handle: Handle): OpenDirectory {
    const open = this.#directories.get(handle)
    if (!open) throw failure('STALE', `handle ${handle}`)
    return open
  }

  #entry(directory: Inode & { entries: Map<string, Entry> }, name: string): Entry {
    checkName(name)
    const entry = directory.entries.get(name)
    if (!entry) throw failure('NOT_FOUND', name)
    return entry
  }

  #checkFree(directory: Inode & { entries: Map<string, Entry> }, name: string): void {
    checkName(name)
    if (directory.entries.has(name)) throw failure('EXISTS', name)
    if (directory.links === 0) throw failure('NOT_FOUND', 'the directory was removed')
  }

  #make(
    parent: Ino,
    name: string,
    mode: number,
    caller: Caller,
    of: { device?: number; target?: string },
  ): Inode {
    const directory = this.#directory(parent)
    this.#checkFree(directory, name)
    if (this.#inodes.size >= INODES_MAX) throw failure('NO_SPACE', 'too many inodes')
    const isDirectory = (mode & TYPE) === DIRECTORY
    if (isDirectory && directory.links >= LINKS_MAX) throw failure('TOO_MANY_LINKS', name)
    const inherits = (directory.mode & SETGID) !== 0
    const now = this.#nowNs()
    const inode: Inode = {
      ino: ++this.#lastIno,
      mode: inherits && isDirectory ? mode | SETGID : mode,
      links: isDirectory ? 2 : 1,
      uid: caller.uid,
      gid: inherits ? directory.gid : caller.gid,
      device: of.device ?? 0,
      accessedNs: now,
      modifiedNs: now,
      changedNs: now,
      extended: new Map(),
      content: (mode & TYPE) === REGULAR ? new SparseBytes() : undefined,
      entries: isDirectory ? new Map() : undefined,
      target: of.target ?? '',
      parent,
      handles: 0,
      isForgotten: false,
    }
    this.#inodes.set(inode.ino, inode)
    this.#put(directory, name, inode)
    return inode
  }

  #put(directory: Inode & { entries: Map<string, Entry> }, name: string, inode: Inode): void {
    directory.entries.set(name, { ino: inode.ino, cookie: ++this.#lastCookie })
    if (inode.entries) {
      directory.links++
      inode.parent = directory.ino
    }
    this.#modified(directory)
  }

  #take(directory: Inode & { entries: Map<string, Entry> }, name: string): void {
    const inode = this.#inode(this.#entry(directory, name).ino)
    directory.entries.delete(name)
    if (inode.entries) directory.links--
    this.#modified(directory)
  }

  #lostName(inode: Inode): void {
    inode.links = inode.entries ? 0 : inode.links - 1
    inode.changedNs = this.#nowNs()
    this.#collect(inode)
  }

  /** What has no name, no handle, and is not known to the kernel goes. */
  #collect(inode: Inode): void {
    if (inode.links > 0 || inode.handles > 0 || !inode.isForgotten) return
    this.#usedBytes -= inode.content?.allocatedBytes ?? 0
    this.#inodes.delete(inode.ino)
  }

  #opened(inode: Inode): Handle {
    inode.handles++
    inode.isForgotten = false
    const handle = ++this.#lastHandle
    this.#files.set(handle, inode)
    return handle
  }

  #resize(inode: Inode, sizeBytes: number): void {
    const { content } = inode
    if (inode.entries) throw failure('IS_DIRECTORY', 'a directory has no size to set')
    if (!content) throw failure('INVALID', 'not a regular file')
    if (sizeBytes > FILE_BYTES_MAX) throw failure('FILE_TOO_BIG', 'too big')
    this.#growing(inode, 0, () => content.resize(sizeBytes))
    this.#modified(inode)
  }

  #growing(inode: Inode, newBytes: number, change: () => void): void {
    if (newBytes > this.#totalBytes - this.#usedBytes) throw failure('NO_SPACE', 'full')
    const before = inode.content?.allocatedBytes ?? 0
    change()
    this.#usedBytes += (inode.content?.allocatedBytes ?? 0) - before
    assert(this.#usedBytes >= 0, 'what is freed was used')
  }

  #modified(inode: Inode): void {
    inode.modifiedNs = this.#nowNs()
    inode.changedNs = inode.modifiedNs
  }

  #checkNotInside(moved: Inode, directory: Inode): void {
    if (!moved.entries) return
    for (let at = directory; ; at = this.#inode(at.parent)) {
      if (at === moved) throw failure('INVALID', 'a directory cannot be moved into itself')
      if (at.ino === ROOT) return
    }
  }
}

function checkReplaceable(moved: Inode, replaced: Inode): void {
  if (replaced.entries && !moved.entries) throw failure('IS_DIRECTORY', 'target is a directory')
  if (!replaced.entries && moved.entries) throw failure('NOT_DIRECTORY', 'target is a file')
  if (replaced.entries && replaced.entries.size > 0) throw failure('NOT_EMPTY', 'target has names')
}

function checkName(name: string): void {
  if (nameBytes(name) > 255) throw failure('NAME_TOO_LONG', 'beyond 255 bytes')
}

function sizeOf({ content, target, entries }: Inode): number {
  if (content) return content.sizeBytes
  return entries ? 4096 : nameBytes(target)
}

/** Index of the first name whose cookie is larger; cookies ascend. */
function firstAfter(names: readonly { cookie: number }[], cookie: number): number {
  let [low, high] = [0, names.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((names[middle]?.cookie ?? 0) > cookie) high = middle
    else low = middle + 1
  }
  return low
}

const failure = (code: FileErrorCode, message: string): NodeError => new NodeError(code, message)

const startNs = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint()
const wallNs = (): bigint => startNs + process.hrtime.bigint()
