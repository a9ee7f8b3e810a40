/**
 * Every change to the tree as one value: what the journal records and what recovery applies again.
 *
 * Operations carry all that decides their outcome (inode number, owner, time), so that applying them twice from the same
 * state gives the same state. They are checked before they are recorded, never after.
 */
import { ByteReader, type ByteWriter, malformed } from './codec.ts'
import type { AttributeChanges, Ino } from './file-system.ts'

/** One change. */
export type Operation =
  | {
      readonly kind: 'make'
      readonly parent: Ino
      /** Empty: the file is in no directory yet (O_TMPFILE). */
      readonly name: string
      readonly ino: Ino
      readonly mode: number
      readonly device: number
      readonly uid: number
      readonly gid: number
      /** Of a symlink, else empty. */
      readonly target: string
      readonly timeNs: bigint
    }
  | {
      readonly kind: 'link'
      readonly ino: Ino
      readonly parent: Ino
      readonly name: string
      readonly timeNs: bigint
    }
  | {
      readonly kind: 'unlink'
      readonly parent: Ino
      readonly name: string
      readonly timeNs: bigint
    }
  | {
      readonly kind: 'rename'
      readonly fromParent: Ino
      readonly fromName: string
      readonly toParent: Ino
      readonly toName: string
      readonly exchange: boolean
      readonly timeNs: bigint
    }
  | {
      readonly kind: 'attributes'
      readonly ino: Ino
      readonly changes: AttributeChanges
      readonly timeNs: bigint
    }
  | WriteOperation
  | {
      readonly kind: 'allocate'
      readonly ino: Ino
      readonly mode: number
      readonly offset: number
      readonly lengthBytes: number
      readonly timeNs: bigint
    }
  | {
      readonly kind: 'extended'
      readonly ino: Ino
      readonly name: string
      /** Undefined removes the attribute. */
      readonly value: Uint8Array | undefined
      readonly timeNs: bigint
    }
  | { readonly kind: 'purge'; readonly ino: Ino }

/** Data written; its bytes follow the encoded operation in the journal. */
export interface WriteOperation {
  readonly kind: 'write'
  readonly ino: Ino
  readonly offset: number
  readonly lengthBytes: number
  /** Where the journal has the bytes. */
  readonly position: number
  readonly timeNs: bigint
}

const MAKE = 1
const LINK = 2
const UNLINK = 3
const RENAME = 4
const ATTRIBUTES = 5
const WRITE = 6
const ALLOCATE = 7
const EXTENDED = 8
const PURGE = 9

/**
 * Encodes an operation; of a write everything but its data.
 *
 * @param out - Where to append.
 * @param operation - The operation.
 */
export function encodeOperation(out: ByteWriter, operation: Operation): void {
  switch (operation.kind) {
    case 'make':
      out.byte(MAKE)
      out.number(operation.parent)
      out.text(operation.name)
      out.number(operation.ino)
      out.number(operation.mode)
      out.number(operation.device)
      out.number(operation.uid)
      out.number(operation.gid)
      out.text(operation.target)
      out.time(operation.timeNs)
      break
    case 'link':
      out.byte(LINK)
      out.number(operation.ino)
      out.number(operation.parent)
      out.text(operation.name)
      out.time(operation.timeNs)
      break
    case 'unlink':
      out.byte(UNLINK)
      out.number(operation.parent)
      out.text(operation.name)
      out.time(operation.timeNs)
      break
    case 'rename':
      out.byte(RENAME)
      out.number(operation.fromParent)
      out.text(operation.fromName)
      out.number(operation.toParent)
      out.text(operation.toName)
      out.byte(operation.exchange ? 1 : 0)
      out.time(operation.timeNs)
      break
    case 'attributes':
      out.byte(ATTRIBUTES)
      out.number(operation.ino)
      encodeChanges(out, operation.changes)
      out.time(operation.timeNs)
      break
    case 'write':
      out.byte(WRITE)
      out.number(operation.ino)
      out.number(operation.offset)
      out.time(operation.timeNs)
      break
    case 'allocate':
      out.byte(ALLOCATE)
      out.number(operation.ino)
      out.number(operation.mode)
      out.number(operation.offset)
      out.number(operation.lengthBytes)
      out.time(operation.timeNs)
      break
    case 'extended':
      out.byte(EXTENDED)
      out.number(operation.ino)
      out.text(operation.name)
      out.byte(operation.value ? 1 : 0)
      if (operation.value) out.bytes(operation.value)
      out.time(operation.timeNs)
      break
    case 'purge':
      out.byte(PURGE)
      out.number(operation.ino)
      break
  }
}

/**
 * Reads an operation.
 *
 * @param bytes - One journal record.
 * @param position - Where the journal has its first byte.
 * @throws NodeError `COMMIT_MALFORMED`.
 */
export function decodeOperation(bytes: Uint8Array, position: number): Operation {
  const reader = new ByteReader(bytes)
  const code = reader.byte()
  switch (code) {
    case MAKE:
      return {
        kind: 'make',
        parent: reader.number(),
        name: reader.text(),
        ino: reader.number(),
        mode: reader.number(),
        device: reader.number(),
        uid: reader.number(),
        gid: reader.number(),
        target: reader.text(),
        timeNs: reader.time(),
      }
    case LINK:
      return {
        kind: 'link',
        ino: reader.number(),
        parent: reader.number(),
        name: reader.text(),
        timeNs: reader.time(),
      }
    case UNLINK:
      return { kind: 'unlink', parent: reader.number(), name: reader.text(), timeNs: reader.time() }
    case RENAME:
      return {
        kind: 'rename',
        fromParent: reader.number(),
        fromName: reader.text(),
        toParent: reader.number(),
        toName: reader.text(),
        exchange: reader.byte() === 1,
        timeNs: reader.time(),
      }
    case ATTRIBUTES:
      return {
        kind: 'attributes',
        ino: reader.number(),
        changes: decodeChanges(reader),
        timeNs: reader.time(),
      }
    case WRITE: {
      const ino = reader.number()
      const offset = reader.number()
      const timeNs = reader.time()
      const lengthBytes = bytes.byteLength - reader.offset
      return { kind: 'write', ino, offset, lengthBytes, position: position + reader.offset, timeNs }
    }
    case ALLOCATE:
      return {
        kind: 'allocate',
        ino: reader.number(),
        mode: reader.number(),
        offset: reader.number(),
        lengthBytes: reader.number(),
        timeNs: reader.time(),
      }
    case EXTENDED:
      return {
        kind: 'extended',
        ino: reader.number(),
        name: reader.text(),
        value: reader.byte() === 1 ? Uint8Array.from(reader.bytes()) : undefined,
        timeNs: reader.time(),
      }
    case PURGE:
      return { kind: 'purge', ino: reader.number() }
    default:
      throw malformed(`journal record of unknown kind ${code}`)
  }
}

const HAS_MODE = 1
const HAS_UID = 2
const HAS_GID = 4
const HAS_SIZE = 8
const HAS_ACCESSED = 16
const HAS_MODIFIED = 32

function encodeChanges(out: ByteWriter, changes: AttributeChanges): void {
  const { mode, uid, gid, sizeBytes, accessedNs, modifiedNs } = changes
  let mask = 0
  if (mode !== undefined) mask |= HAS_MODE
  if (uid !== undefined) mask |= HAS_UID
  if (gid !== undefined) mask |= HAS_GID
  if (sizeBytes !== undefined) mask |= HAS_SIZE
  if (accessedNs !== undefined) mask |= HAS_ACCESSED
  if (modifiedNs !== undefined) mask |= HAS_MODIFIED
  out.byte(mask)
  if (mode !== undefined) out.number(mode)
  if (uid !== undefined) out.number(uid)
  if (gid !== undefined) out.number(gid)
  if (sizeBytes !== undefined) out.number(sizeBytes)
  if (accessedNs !== undefined) out.time(accessedNs)
  if (modifiedNs !== undefined) out.time(modifiedNs)
}

function decodeChanges(reader: ByteReader): AttributeChanges {
  const mask = reader.byte()
  return {
    ...(mask & HAS_MODE ? { mode: reader.number() } : {}),
    ...(mask & HAS_UID ? { uid: reader.number() } : {}),
    ...(mask & HAS_GID ? { gid: reader.number() } : {}),
    ...(mask & HAS_SIZE ? { sizeBytes: reader.number() } : {}),
    ...(mask & HAS_ACCESSED ? { accessedNs: reader.time() } : {}),
    ...(mask & HAS_MODIFIED ? { modifiedNs: reader.time() } : {}),
  }
}
