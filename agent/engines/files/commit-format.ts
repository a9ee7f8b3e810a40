/**
 * A commit: the net effect of a prefix of the journal, with data replaced by runs of chunks.
 *
 * It holds the new state of what changed, not the operations, so that what was made and removed within the prefix takes
 * no bytes and applying it is the same whatever the order. Each names the hash of the one before: a chain that only its
 * writers can extend.
 */
import { createHash } from 'node:crypto'
import { ByteReader, ByteWriter, malformed } from './codec.ts'
import type { Ino } from './file-system.ts'
import {
  decodeExtended,
  decodeExtents,
  decodeInode,
  encodeExtended,
  encodeExtents,
  encodeInode,
} from './inode-format.ts'
import type { Tree, TreeChanges } from './tree.ts'

const MAGIC = 0x43
const VERSION = 1
export const HASH_BYTES = 32
export const JOURNAL_ID_BYTES = 16

/** The hash that the first commit names as the one before it. */
export const NO_HASH: Uint8Array = new Uint8Array(HASH_BYTES)

/** Changes of one of the tables that other engines keep. */
export interface SectionBytes {
  readonly name: string
  readonly bytes: Uint8Array
}

/** What says where a commit stands. */
export interface CommitHeader {
  /** From 1. */
  readonly sequence: number
  /** SHA-256 of the sealed record before. */
  readonly previous: Uint8Array
  /** The writer's epoch on the ledger. */
  readonly epoch: number
  /** Which journal it is a prefix of. */
  readonly journalId: Uint8Array
  /** Position in that journal where the prefix ends. */
  readonly cut: number
  /** When it was cut, milliseconds since 1970 UTC. */
  readonly timeMs: number
  readonly nextIno: Ino
}

/** Extents of a changed range of a file. */
export interface RangeContent {
  readonly start: number
  readonly end: number
  readonly flat: readonly number[]
}

/** The changed ranges of one file. */
export interface FileContent {
  readonly ino: Ino
  readonly ranges: readonly RangeContent[]
}

/** A parsed commit. */
export interface Commit extends CommitHeader {
  readonly removed: readonly Ino[]
  /** Chunks that nothing refers to after this commit. */
  readonly dropped: readonly number[]
  /** From {@link encodeInodeChanges}. */
  readonly inodes: Uint8Array
  readonly contents: readonly FileContent[]
  readonly sections: readonly SectionBytes[]
}

/** The hash by which the next commit names a sealed record. */
export function hashRecord(sealed: Uint8Array): Uint8Array {
  return createHash('sha256').update(sealed).digest()
}

/** Encodes the new state of all changed inodes, extents left out. */
export function encodeInodeChanges(tree: Tree, changes: TreeChanges): Uint8Array {
  const out = new ByteWriter(64 * changes.changed.size + 64)
  out.number(changes.changed.size)
  for (const [ino, change] of changes.changed) {
    encodeInode(out, tree, ino)
    out.number(change.names?.size ?? 0)
    for (const [name, target] of change.names ?? []) {
      out.text(name)
      out.number(target)
    }
    out.byte(change.hasExtended ? 1 : 0)
    if (change.hasExtended) encodeExtended(out, tree, ino)
  }
  return out.take()
}

/** Encodes a commit. */
export function encodeCommit(commit: Commit): Uint8Array {
  const out = new ByteWriter(commit.inodes.byteLength + 4096)
  out.byte(MAGIC)
  out.byte(VERSION)
  encodeHeader(out, commit)
  encodeNumbers(out, commit.removed)
  encodeNumbers(out, commit.dropped)
  out.bytes(commit.inodes)
  out.number(commit.contents.length)
  for (const file of commit.contents) encodeContent(out, file)
  encodeSections(out, commit.sections)
  return out.take()
}

/** Parses a commit. @throws NodeError `COMMIT_MALFORMED`. */
export function decodeCommit(bytes: Uint8Array): Commit {
  const reader = new ByteReader(bytes)
  if (reader.byte() !== MAGIC) throw malformed('not a commit')
  if (reader.byte() !== VERSION) throw malformed('a commit of another version')
  const header = decodeHeader(reader)
  const removed = decodeNumbers(reader)
  const dropped = decodeNumbers(reader)
  const inodes = reader.bytes()
  const contents: FileContent[] = []
  for (let left = reader.number(); left > 0; left--) contents.push(decodeContent(reader))
  const sections = decodeSections(reader)
  if (!reader.isAtEnd) throw malformed('bytes after a commit')
  return { ...header, removed, dropped, inodes, contents, sections }
}

/**
 * Brings a tree from the state before a commit to the state after it.
 *
 * @param keep - Tells of a removed inode whether to keep it, nameless, because it is open.
 * @returns Inodes that changed.
 */
export function applyCommit(tree: Tree, commit: Commit, keep: (ino: Ino) => boolean): Ino[] {
  const touched = applyInodes(tree, commit.inodes)
  for (const { ino, ranges } of commit.contents) {
    if (tree.inodes.find(ino) === undefined) throw malformed(`extents of a missing inode ${ino}`)
    for (const { start, end, flat } of ranges) tree.replaceExtents(ino, start, end, flat)
  }
  for (const ino of commit.removed) {
    const slot = tree.inodes.find(ino)
    if (slot === undefined) throw malformed(`removal of a missing inode ${ino}`)
    touched.push(ino)
    if (!keep(ino)) tree.removeInode(ino)
    else {
      tree.inodes.setLinks(slot, 0)
      tree.orphans.add(ino)
    }
  }
  tree.nextIno = Math.max(tree.nextIno, commit.nextIno)
  return touched
}

/** Numbers of all inodes that a commit changes or removes. */
export function inodesOf(commit: Commit): Set<Ino> {
  const all = new Set<Ino>(commit.removed)
  for (const { ino } of commit.contents) all.add(ino)
  const scratch = new ByteReader(commit.inodes)
  for (let left = scratch.number(); left > 0; left--) all.add(skipInodeChange(scratch))
  return all
}

/** Encodes what commits and snapshots both begin with. */
export function encodeHeader(out: ByteWriter, header: CommitHeader): void {
  out.number(header.sequence)
  out.raw(header.previous)
  out.number(header.epoch)
  out.raw(header.journalId)
  out.number(header.cut)
  out.number(header.timeMs)
  out.number(header.nextIno)
}

/** Reads it. */
export function decodeHeader(reader: ByteReader): CommitHeader {
  return {
    sequence: reader.number(),
    previous: Uint8Array.from(reader.raw(HASH_BYTES)),
    epoch: reader.number(),
    journalId: Uint8Array.from(reader.raw(JOURNAL_ID_BYTES)),
    cut: reader.number(),
    timeMs: reader.number(),
    nextIno: reader.number(),
  }
}

/** Encodes a list of numbers. */
export function encodeNumbers(out: ByteWriter, numbers: readonly number[]): void {
  out.number(numbers.length)
  for (const number of numbers) out.number(number)
}

/** Reads it. */
export function decodeNumbers(reader: ByteReader): number[] {
  const numbers: number[] = []
  for (let left = reader.number(); left > 0; left--) numbers.push(reader.number())
  return numbers
}

/** Encodes tables or their changes. */
export function encodeSections(out: ByteWriter, sections: readonly SectionBytes[]): void {
  out.number(sections.length)
  for (const { name, bytes } of sections) {
    out.text(name)
    out.bytes(bytes)
  }
}

/** Reads them. */
export function decodeSections(reader: ByteReader): SectionBytes[] {
  const sections: SectionBytes[] = []
  for (let left = reader.number(); left > 0; left--) {
    sections.push({ name: reader.text(), bytes: reader.bytes() })
  }
  return sections
}

function applyInodes(tree: Tree, bytes: Uint8Array): Ino[] {
  const reader = new ByteReader(bytes)
  const touched: Ino[] = []
  for (let left = reader.number(); left > 0; left--) {
    const ino = decodeInode(reader, tree)
    touched.push(ino)
    const names = reader.number()
    const directory = names > 0 ? tree.directory(ino) : undefined
    for (let name = 0; name < names; name++) {
      const text = reader.text()
      const target = reader.number()
      if (target === 0) directory?.delete(text)
      else directory?.set(text, target)
    }
    if (reader.byte() === 1) decodeExtended(reader, tree, ino)
  }
  return touched
}

function skipInodeChange(reader: ByteReader): Ino {
  const ino = reader.number()
  const mode = reader.number()
  for (let field = 0; field < 5; field++) reader.number()
  reader.raw(24)
  reader.number()
  if ((mode & 0o170000) === 0o120000) reader.bytes()
  for (let names = reader.number(); names > 0; names--) {
    reader.bytes()
    reader.number()
  }
  if (reader.byte() === 1) {
    for (let left = reader.number() * 2; left > 0; left--) reader.bytes()
  }
  return ino
}

function encodeContent(out: ByteWriter, file: FileContent): void {
  out.number(file.ino)
  out.number(file.ranges.length)
  let from = 0
  for (const { start, end, flat } of file.ranges) {
    out.number(start - from)
    out.number(end - start)
    encodeExtents(out, start, flat)
    from = end
  }
}

function decodeContent(reader: ByteReader): FileContent {
  const ino = reader.number()
  const ranges: RangeContent[] = []
  let from = 0
  for (let left = reader.number(); left > 0; left--) {
    const start = from + reader.number()
    const end = start + reader.number()
    if (end === start || !Number.isSafeInteger(end)) throw malformed('an empty range')
    const flat = decodeExtents(reader, start)
    ranges.push({ start, end, flat })
    from = end
  }
  return { ino, ranges }
}
