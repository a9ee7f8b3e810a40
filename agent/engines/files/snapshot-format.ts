/**
 * A snapshot: the whole state after a commit, so that opening need not read all commits from the first.
 *
 * It is made from the snapshot before and the commits since, never from the live tree: writes go on meanwhile, memory is
 * needed only for what changed, and it is by construction what a reader of the commits would see. Remote snapshots and
 * local checkpoints are the same bytes.
 */
import { ChunkReferences } from './chunk-references.ts'
import { ByteReader, ByteWriter, malformed } from './codec.ts'
import {
  applyCommit,
  type Commit,
  type CommitHeader,
  decodeHeader,
  decodeNumbers,
  decodeSections,
  encodeHeader,
  encodeNumbers,
  encodeSections,
  inodesOf,
  type SectionBytes,
} from './commit-format.ts'
import { SNAPSHOT_SLICE_BYTES } from './constants.ts'
import { ExtentList } from './extent-list.ts'
import { type Ino, isDirectory } from './file-system.ts'
import {
  decodeExtended,
  decodeExtents,
  decodeInode,
  encodeExtended,
  encodeExtents,
  encodeInode,
} from './inode-format.ts'
import { Tree } from './tree.ts'

const MAGIC = 0x53
const VERSION = 1

/** A parsed snapshot: the header of its commit, with that commit's own hash in place of the previous one. */
export interface Snapshot {
  readonly header: CommitHeader
  /** Chunks that its commit dropped: whether they were released, only the next commit would say. */
  readonly dropped: readonly number[]
  readonly sections: readonly SectionBytes[]
  /** Encoded inodes, one length-prefixed record after another. */
  readonly inodes: Uint8Array
}

/** Parses a snapshot. @throws NodeError `COMMIT_MALFORMED`. */
export function decodeSnapshot(bytes: Uint8Array): Snapshot {
  const reader = new ByteReader(bytes)
  if (reader.byte() !== MAGIC) throw malformed('not a snapshot')
  if (reader.byte() !== VERSION) throw malformed('a snapshot of another version')
  const header = decodeHeader(reader)
  const dropped = decodeNumbers(reader)
  const sections = decodeSections(reader)
  return { header, dropped, sections, inodes: bytes.subarray(reader.offset) }
}

/** Makes the tree that a snapshot describes. @throws NodeError `COMMIT_MALFORMED`. */
export function loadSnapshot(snapshot: Snapshot): Tree {
  const tree = new Tree(new ChunkReferences())
  const reader = new ByteReader(snapshot.inodes)
  while (!reader.isAtEnd) decodeWhole(new ByteReader(reader.bytes()), tree)
  tree.nextIno = snapshot.header.nextIno
  return tree
}

/**
 * Makes the snapshot after a run of commits.
 *
 * @param base - The snapshot before the first of them; undefined if that is commit 1.
 * @param commits - `[n]` commits, consecutive, `n >= 1`.
 * @param last - Header of the last of them, with its own hash as `previous`.
 * @param sections - Whole tables as they were when the last was made.
 * @param pause - Gives other work its turn.
 */
export async function buildSnapshot(
  base: Snapshot | undefined,
  commits: readonly Commit[],
  last: CommitHeader,
  sections: readonly SectionBytes[],
  pause: () => Promise<void>,
): Promise<Uint8Array> {
  const touched = new Set<Ino>()
  for (const commit of commits) for (const ino of inodesOf(commit)) touched.add(ino)

  const out = new ByteWriter((base?.inodes.byteLength ?? 0) + 65_536)
  out.byte(MAGIC)
  out.byte(VERSION)
  encodeHeader(out, last)
  encodeNumbers(out, commits.at(-1)?.dropped ?? [])
  encodeSections(out, sections)

  const scratch = base ? new Tree(new ChunkReferences()) : Tree.withRoot(new ChunkReferences())
  if (base) await copyUntouched(base.inodes, touched, out, scratch, pause)
  for (const commit of commits) applyCommit(scratch, commit, () => false)

  const record = new ByteWriter()
  let sliceEnd = out.lengthBytes + SNAPSHOT_SLICE_BYTES
  for (const ino of scratch.inodes.numbers()) {
    record.clear()
    encodeWhole(record, scratch, ino)
    out.bytes(record.view())
    if (out.lengthBytes < sliceEnd) continue
    sliceEnd = out.lengthBytes + SNAPSHOT_SLICE_BYTES
    await pause()
  }
  return out.take()
}

/** Copies records of inodes that did not change as they are, and parses the others. */
async function copyUntouched(
  inodes: Uint8Array,
  touched: ReadonlySet<Ino>,
  out: ByteWriter,
  scratch: Tree,
  pause: () => Promise<void>,
): Promise<void> {
  const reader = new ByteReader(inodes)
  let sliceEnd = SNAPSHOT_SLICE_BYTES
  while (!reader.isAtEnd) {
    const record = reader.bytes()
    if (touched.has(new ByteReader(record).number())) decodeWhole(new ByteReader(record), scratch)
    else out.bytes(record)
    if (reader.offset < sliceEnd) continue
    sliceEnd = reader.offset + SNAPSHOT_SLICE_BYTES
    await pause()
  }
}

function encodeWhole(out: ByteWriter, tree: Tree, ino: Ino): void {
  encodeInode(out, tree, ino)
  encodeExtended(out, tree, ino)
  const content = tree.inodes.content(tree.inodes.at(ino))
  if (content instanceof Map) {
    out.number(content.size)
    for (const [name, target] of content) {
      out.text(name)
      out.number(target)
    }
  } else {
    encodeExtents(out, 0, content instanceof ExtentList ? content.slice(0, content.endOffset) : [])
  }
}

function decodeWhole(reader: ByteReader, tree: Tree): void {
  const ino = decodeInode(reader, tree)
  decodeExtended(reader, tree, ino)
  if (isDirectory(tree.inodes.mode(tree.inodes.at(ino)))) {
    const directory = tree.directory(ino)
    for (let left = reader.number(); left > 0; left--) directory.set(reader.text(), reader.number())
    return
  }
  const flat = decodeExtents(reader, 0)
  const end = (flat.at(-4) ?? 0) + (flat.at(-3) ?? 0)
  if (end > 0) tree.replaceExtents(ino, 0, end, flat)
}
