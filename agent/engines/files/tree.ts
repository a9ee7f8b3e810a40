/**
 * The state of a volume in memory: inodes, names and extents, changed only by operations and by commits.
 *
 * Applying an operation never fails and never asks the time: who records it has checked it. The tree notes what
 * operations changed since the last cut, and that note, not the operations, becomes the next commit: what was written and
 * deleted in between never leaves the machine.
 */
import { assert, unreachable } from '../../base/assert.ts'
import { nameBytes } from '../../base/name-text.ts'
import type { ChunkReferences } from './chunk-references.ts'
import { ExtentList, JOURNAL, STRIDE, ZERO } from './extent-list.ts'
import {
  type AttributeChanges,
  type Attributes,
  type Ino,
  isDirectory,
  KEEP_SIZE,
  PUNCH_HOLE,
  ROOT,
  S_IFDIR,
  S_IFMT,
  ZERO_RANGE,
} from './file-system.ts'
import { type Directory, InodeTable, type Slot } from './inode-table.ts'
import type { Operation, WriteOperation } from './operations.ts'
import { RangeSet } from './range-set.ts'

/** What changed of one inode since the last cut. Attributes are taken to have changed always. */
export interface InodeChange {
  /** Made since the last cut. */
  isNew: boolean
  hasExtended: boolean
  /** Names of a directory: inode now, 0 where removed. */
  names: Map<string, Ino> | undefined
  /** Parts of a file whose extents changed. */
  ranges: RangeSet | undefined
}

/** What changed since the last cut. */
export interface TreeChanges {
  readonly changed: Map<Ino, InodeChange>
  readonly removed: Set<Ino>
}

/** A size that says "directory" as other file systems do. */
const DIRECTORY_SIZE_BYTES = 4096

/** Inodes, names and extents. */
export class Tree {
  readonly inodes = new InodeTable()
  readonly references: ChunkReferences
  readonly extended = new Map<Ino, Map<string, Uint8Array>>()
  /** Inodes without a name, kept while open. */
  readonly orphans = new Set<Ino>()
  nextIno: Ino = ROOT + 1
  #allocatedBytes = 0
  #changed = new Map<Ino, InodeChange>()
  #removed = new Set<Ino>()

  constructor(references: ChunkReferences) {
    this.references = references
  }

  /** A tree with an empty root directory, as every new volume starts. */
  static withRoot(references: ChunkReferences): Tree {
    const tree = new Tree(references)
    const slot = tree.inodes.add(ROOT)
    tree.inodes.setMode(slot, S_IFDIR | 0o755)
    tree.inodes.setLinks(slot, 2)
    tree.inodes.setParent(slot, ROOT)
    tree.inodes.setContent(slot, new Map())
    return tree
  }

  /** Bytes that extents of all files cover. */
  get allocatedBytes(): number {
    return this.#allocatedBytes
  }

  /** Number of inodes changed since the last cut. */
  get changedCount(): number {
    return this.#changed.size + this.#removed.size
  }

  /** What changed since the last call, which becomes a commit. */
  takeChanges(): TreeChanges {
    const taken = { changed: this.#changed, removed: this.#removed }
    this.#changed = new Map()
    this.#removed = new Set()
    return taken
  }

  /** What `stat` shows of an inode that exists. */
  attributes(ino: Ino): Attributes {
    const slot = this.inodes.at(ino)
    const content = this.inodes.content(slot)
    return {
      ino,
      mode: this.inodes.mode(slot),
      links: this.inodes.links(slot),
      uid: this.inodes.uid(slot),
      gid: this.inodes.gid(slot),
      device: this.inodes.device(slot),
      sizeBytes: content instanceof Map ? DIRECTORY_SIZE_BYTES : this.inodes.size(slot),
      allocatedBytes: content instanceof ExtentList ? content.allocatedBytes : 0,
      accessedNs: this.inodes.accessed(slot),
      modifiedNs: this.inodes.modified(slot),
      changedNs: this.inodes.changed(slot),
    }
  }

  /** Names of a directory that exists. */
  directory(ino: Ino): Directory {
    const content = this.inodes.content(this.inodes.at(ino))
    assert(content instanceof Map, `inode ${ino} is a directory`)
    return content
  }

  /** Extents of a file, undefined while it has none. */
  extents(ino: Ino): ExtentList | undefined {
    const content = this.inodes.content(this.inodes.at(ino))
    return content instanceof ExtentList ? content : undefined
  }

  /** Applies a checked operation. */
  apply(operation: Operation): void {
    switch (operation.kind) {
      case 'make':
        this.#make(operation)
        break
      case 'link':
        this.#link(operation)
        break
      case 'unlink':
        this.#removeName(operation.parent, operation.name, operation.timeNs)
        break
      case 'rename':
        if (operation.exchange) this.#exchange(operation)
        else this.#rename(operation)
        break
      case 'attributes':
        this.#setAttributes(operation.ino, operation.changes, operation.timeNs)
        break
      case 'write':
        this.#write(operation)
        break
      case 'allocate':
        this.#allocate(operation)
        break
      case 'extended':
        this.#setExtended(operation)
        break
      case 'purge':
        this.#purge(operation.ino)
        break
      default:
        unreachable(operation)
    }
  }

  /** Makes part of a file hold exactly the given extents, without noting a change. */
  replaceExtents(ino: Ino, start: number, end: number, flat: readonly number[]): void {
    const slot = this.inodes.at(ino)
    let list = this.inodes.content(slot)
    if (!(list instanceof ExtentList)) {
      assert(list === undefined, `inode ${ino} is a file`)
      if (flat.length === 0) return
      list = new ExtentList()
      this.inodes.setContent(slot, list)
    }
    const before = list.allocatedBytes
    list.replace(start, end, flat, this.references)
    this.#allocatedBytes += list.allocatedBytes - before
    if (list.count === 0) this.inodes.setContent(slot, undefined)
  }

  /** Removes an inode and what it holds, without noting a change. */
  removeInode(ino: Ino): void {
    const content = this.inodes.content(this.inodes.at(ino))
    if (content instanceof ExtentList) {
      this.#allocatedBytes -= content.allocatedBytes
      content.clear(this.references)
    }
    this.inodes.remove(ino)
    this.extended.delete(ino)
    this.orphans.delete(ino)
  }

  #make(operation: Operation & { kind: 'make' }): void {
    const { inodes } = this
    const slot = inodes.add(operation.ino)
    inodes.setMode(slot, operation.mode)
    inodes.setOwner(slot, operation.uid, operation.gid)
    inodes.setDevice(slot, operation.device)
    inodes.setAccessed(slot, operation.timeNs)
    inodes.setModified(slot, operation.timeNs)
    inodes.setChanged(slot, operation.timeNs)
    const isDir = isDirectory(operation.mode)
    inodes.setLinks(slot, isDir ? 2 : 1)
    if (isDir) {
      inodes.setContent(slot, new Map())
      inodes.setParent(slot, operation.parent)
    } else if (operation.target !== '') {
      inodes.setContent(slot, operation.target)
      inodes.setSize(slot, nameBytes(operation.target))
    }
    this.#note(operation.ino).isNew = true
    this.nextIno = Math.max(this.nextIno, operation.ino + 1)
    if (operation.name === '') {
      inodes.setLinks(slot, 0)
      this.orphans.add(operation.ino)
      return
    }
    this.#setName(operation.parent, operation.name, operation.ino, operation.timeNs)
    if (isDir) this.#addLinks(operation.parent, 1)
  }

  #link(operation: Operation & { kind: 'link' }): void {
    this.orphans.delete(operation.ino)
    this.#addLinks(operation.ino, 1)
    this.#touch(operation.ino, operation.timeNs)
    this.#setName(operation.parent, operation.name, operation.ino, operation.timeNs)
  }

  /** Takes a name away and the link it was. */
  #removeName(parent: Ino, name: string, timeNs: bigint): void {
    const ino = this.directory(parent).get(name)
    assert(ino !== undefined, 'a removed name was there')
    this.#setName(parent, name, 0, timeNs)
    this.#dropLink(ino, parent, timeNs)
  }

  #dropLink(ino: Ino, parent: Ino, timeNs: bigint): void {
    const slot = this.inodes.at(ino)
    if (isDirectory(this.inodes.mode(slot))) {
      this.inodes.setLinks(slot, 0)
      this.#addLinks(parent, -1)
    } else {
      this.#addLinks(ino, -1)
    }
    this.#touch(ino, timeNs)
    if (this.inodes.links(slot) === 0) this.orphans.add(ino)
  }

  #rename(operation: Operation & { kind: 'rename' }): void {
    const { fromParent, fromName, toParent, toName, timeNs } = operation
    const ino = this.directory(fromParent).get(fromName)
    assert(ino !== undefined, 'a renamed name was there')
    const replaced = this.directory(toParent).get(toName)
    if (replaced !== undefined) this.#dropLink(replaced, toParent, timeNs)
    this.#setName(fromParent, fromName, 0, timeNs)
    this.#setName(toParent, toName, ino, timeNs)
    this.#moved(ino, fromParent, toParent, timeNs)
  }

  #exchange(operation: Operation & { kind: 'rename' }): void {
    const { fromParent, fromName, toParent, toName, timeNs } = operation
    const a = this.directory(fromParent).get(fromName)
    const b = this.directory(toParent).get(toName)
    assert(a !== undefined && b !== undefined, 'exchanged names were there')
    this.#setName(fromParent, fromName, b, timeNs)
    this.#setName(toParent, toName, a, timeNs)
    this.#moved(a, fromParent, toParent, timeNs)
    this.#moved(b, toParent, fromParent, timeNs)
  }

  #moved(ino: Ino, from: Ino, to: Ino, timeNs: bigint): void {
    this.#touch(ino, timeNs)
    const slot = this.inodes.at(ino)
    if (from === to || !isDirectory(this.inodes.mode(slot))) return
    this.inodes.setParent(slot, to)
    this.#addLinks(from, -1)
    this.#addLinks(to, 1)
  }

  #setAttributes(ino: Ino, changes: AttributeChanges, timeNs: bigint): void {
    const { inodes } = this
    const slot = inodes.at(ino)
    if (changes.mode !== undefined) {
      inodes.setMode(slot, (inodes.mode(slot) & S_IFMT) | (changes.mode & ~S_IFMT))
    }
    if (changes.uid !== undefined || changes.gid !== undefined) {
      inodes.setOwner(slot, changes.uid ?? inodes.uid(slot), changes.gid ?? inodes.gid(slot))
    }
    if (changes.sizeBytes !== undefined) {
      this.#truncate(ino, slot, changes.sizeBytes)
      inodes.setModified(slot, timeNs)
    }
    if (changes.accessedNs !== undefined) inodes.setAccessed(slot, changes.accessedNs)
    if (changes.modifiedNs !== undefined) inodes.setModified(slot, changes.modifiedNs)
    this.#touch(ino, timeNs)
  }

  #truncate(ino: Ino, slot: Slot, sizeBytes: number): void {
    const list = this.extents(ino)
    const end = list?.endOffset ?? 0
    if (sizeBytes < end) this.#changeExtents(ino, sizeBytes, end, [])
    this.inodes.setSize(slot, sizeBytes)
  }

  #write(operation: WriteOperation): void {
    const { ino, offset, lengthBytes, position, timeNs } = operation
    const slot = this.inodes.at(ino)
    const end = offset + lengthBytes
    this.#changeExtents(ino, offset, end, [offset, lengthBytes, position, JOURNAL])
    if (end > this.inodes.size(slot)) this.inodes.setSize(slot, end)
    this.inodes.setModified(slot, timeNs)
    this.inodes.setChanged(slot, timeNs)
  }

  #allocate(operation: Operation & { kind: 'allocate' }): void {
    const { ino, offset, lengthBytes, timeNs } = operation
    const slot = this.inodes.at(ino)
    const end = offset + lengthBytes
    if (operation.mode & PUNCH_HOLE) this.#changeExtents(ino, offset, end, [])
    else if (operation.mode & ZERO_RANGE) {
      this.#changeExtents(ino, offset, end, [offset, lengthBytes, 0, ZERO])
    } else this.#fillGaps(ino, offset, end)
    const keepsSize = (operation.mode & (KEEP_SIZE | PUNCH_HOLE)) !== 0
    if (!keepsSize && end > this.inodes.size(slot)) this.inodes.setSize(slot, end)
    this.inodes.setModified(slot, timeNs)
    this.#touch(ino, timeNs)
  }

  #fillGaps(ino: Ino, start: number, end: number): void {
    const present = this.extents(ino)?.slice(start, end) ?? []
    let from = start
    const gaps: [number, number][] = []
    for (let at = 0; at <= present.length; at += STRIDE) {
      const until = present[at] ?? end
      if (until > from) gaps.push([from, until])
      from = until + (present[at + 1] ?? 0)
    }
    for (const [gapStart, gapEnd] of gaps) {
      this.#changeExtents(ino, gapStart, gapEnd, [gapStart, gapEnd - gapStart, 0, ZERO])
    }
  }

  #changeExtents(ino: Ino, start: number, end: number, flat: readonly number[]): void {
    this.replaceExtents(ino, start, end, flat)
    const change = this.#note(ino)
    change.ranges ??= new RangeSet()
    change.ranges.add(start, end)
  }

  #setExtended(operation: Operation & { kind: 'extended' }): void {
    const { ino, name, value, timeNs } = operation
    const all = this.extended.get(ino) ?? new Map<string, Uint8Array>()
    if (value) all.set(name, value)
    else all.delete(name)
    if (all.size > 0) this.extended.set(ino, all)
    else this.extended.delete(ino)
    this.#note(ino).hasExtended = true
    this.#touch(ino, timeNs)
  }

  #purge(ino: Ino): void {
    const change = this.#changed.get(ino)
    this.removeInode(ino)
    this.#changed.delete(ino)
    if (!change?.isNew) this.#removed.add(ino)
  }

  #setName(parent: Ino, name: string, ino: Ino, timeNs: bigint): void {
    const directory = this.directory(parent)
    if (ino === 0) directory.delete(name)
    else directory.set(name, ino)
    const change = this.#note(parent)
    change.names ??= new Map()
    change.names.set(name, ino)
    this.inodes.setModified(this.inodes.at(parent), timeNs)
    this.#touch(parent, timeNs)
  }

  #addLinks(ino: Ino, count: number): void {
    const slot = this.inodes.at(ino)
    this.inodes.setLinks(slot, this.inodes.links(slot) + count)
    this.#note(ino)
  }

  #touch(ino: Ino, timeNs: bigint): void {
    this.inodes.setChanged(this.inodes.at(ino), timeNs)
    this.#note(ino)
  }

  #note(ino: Ino): InodeChange {
    let change = this.#changed.get(ino)
    if (!change) {
      change = { isNew: false, hasExtended: false, names: undefined, ranges: undefined }
      this.#changed.set(ino, change)
    }
    return change
  }
}
