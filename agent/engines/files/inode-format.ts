/** Inodes and extents as bytes: the parts that commits and snapshots share. */
import { type ByteReader, type ByteWriter, malformed } from './codec.ts'
import { CHUNK, STRIDE, ZERO } from './extent-list.ts'
import { type Ino, isDirectory, isSymlink } from './file-system.ts'
import type { Tree } from './tree.ts'

/** Encodes the fixed part of an inode, and the target of a symlink. */
export function encodeInode(out: ByteWriter, tree: Tree, ino: Ino): void {
  const { inodes } = tree
  const slot = inodes.at(ino)
  out.number(ino)
  out.number(inodes.mode(slot))
  out.number(inodes.links(slot))
  out.number(inodes.uid(slot))
  out.number(inodes.gid(slot))
  out.number(inodes.device(slot))
  out.number(inodes.size(slot))
  out.time(inodes.accessed(slot))
  out.time(inodes.modified(slot))
  out.time(inodes.changed(slot))
  out.number(inodes.parent(slot))
  const content = inodes.content(slot)
  if (isSymlink(inodes.mode(slot))) out.text(typeof content === 'string' ? content : '')
}

/** Reads what {@link encodeInode} wrote into the tree, making the inode if it is new. @returns Its number. */
export function decodeInode(reader: ByteReader, tree: Tree): Ino {
  const { inodes } = tree
  const ino = reader.number()
  const found = inodes.find(ino)
  const slot = found ?? inodes.add(ino)
  const mode = reader.number()
  inodes.setMode(slot, mode)
  inodes.setLinks(slot, reader.number())
  inodes.setOwner(slot, reader.number(), reader.number())
  inodes.setDevice(slot, reader.number())
  inodes.setSize(slot, reader.number())
  inodes.setAccessed(slot, reader.time())
  inodes.setModified(slot, reader.time())
  inodes.setChanged(slot, reader.time())
  inodes.setParent(slot, reader.number())
  if (isSymlink(mode)) inodes.setContent(slot, reader.text())
  if (isDirectory(mode) && found === undefined) inodes.setContent(slot, new Map())
  if (inodes.links(slot) === 0) tree.orphans.add(ino)
  else tree.orphans.delete(ino)
  return ino
}

/** Encodes all extended attributes of an inode. */
export function encodeExtended(out: ByteWriter, tree: Tree, ino: Ino): void {
  const all = tree.extended.get(ino)
  out.number(all?.size ?? 0)
  for (const [name, value] of all ?? []) {
    out.text(name)
    out.bytes(value)
  }
}

/** Reads them in place of those that were there. */
export function decodeExtended(reader: ByteReader, tree: Tree, ino: Ino): void {
  const all = new Map<string, Uint8Array>()
  for (let left = reader.number(); left > 0; left--) {
    all.set(reader.text(), Uint8Array.from(reader.bytes()))
  }
  if (all.size > 0) tree.extended.set(ino, all)
  else tree.extended.delete(ino)
}

/**
 * Encodes flat extents, none of them in the journal.
 *
 * @param start - Offset that the first gap counts from.
 */
export function encodeExtents(out: ByteWriter, start: number, flat: readonly number[]): void {
  out.number(flat.length / STRIDE)
  let from = start
  for (let at = 0; at < flat.length; at += STRIDE) {
    const [offset = 0, length = 0, source = 0, detail = 0] = flat.slice(at, at + STRIDE)
    const kind = detail % STRIDE
    out.number(offset - from)
    out.number(length)
    out.byte(kind)
    if (kind === CHUNK) {
      out.number(source)
      out.number((detail - kind) / STRIDE)
    }
    from = offset + length
  }
}

/** Reads flat extents. @throws NodeError `COMMIT_MALFORMED`. */
export function decodeExtents(reader: ByteReader, start: number): number[] {
  const flat: number[] = []
  let from = start
  for (let left = reader.number(); left > 0; left--) {
    const offset = from + reader.number()
    const length = reader.number()
    const kind = reader.byte()
    if (length === 0 || !Number.isSafeInteger(offset + length)) throw malformed('an empty extent')
    if (kind === CHUNK) flat.push(offset, length, reader.number(), reader.number() * STRIDE + CHUNK)
    else if (kind === ZERO) flat.push(offset, length, 0, ZERO)
    else throw malformed('an extent of unknown kind')
    from = offset + length
  }
  return flat
}
