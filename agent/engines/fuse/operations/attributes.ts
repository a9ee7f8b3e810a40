/** Operations on attributes, extended attributes, and the space of the volume. */
import { NodeError } from '../../../base/errors.ts'
import { bytesOfName } from '../../../base/name-text.ts'
import {
  type Encode,
  nothing,
  type Operation,
  operation,
  type Serving,
  then,
} from '../operation.ts'
import type { AttributeChanges, Attributes, Ino, Reply } from '../ports.ts'
import { FATTR, MODE, NAME_BYTES_MAX, OP, XATTR } from '../protocol.ts'
import { REPLY_BYTES_MAX } from '../reply-writer.ts'
import type { RequestReader } from '../request-reader.ts'

const NS_PER_SECOND = 1_000_000_000n
/** Unit of the space figures. */
const BLOCK_BYTES = 4096

/**
 * File capabilities mean nothing on a `nosuid` mount, and keeping them would mean to drop them at every write; POSIX ACLs are
 * not kept. Both are refused, as on a file system without them.
 */
const REFUSED_ATTRIBUTES = /^(?:security\.capability$|system\.)/

function answer(serving: Serving, reply: Reply<Attributes>): Reply<Encode> {
  return then(reply, (attributes) => (out) => {
    out.u64(serving.lifetimes.attributesSeconds)
    out.u64(0)
    out.attributes(attributes)
  })
}

const getAttributes = operation(
  'getattr',
  (serving, { ino }) => answer(serving, serving.fileSystem.attributes(ino)),
  { stoppable: true },
)

const setAttributes = operation('setattr', (serving, { ino }, reader) => {
  const { changes, dropsPrivileges } = decodeChanges(reader)
  const { fileSystem } = serving
  if (!dropsPrivileges || changes.mode !== undefined) {
    return answer(serving, fileSystem.setAttributes(ino, changes))
  }
  const found = fileSystem.attributes(ino)
  const changed = then(found, ({ mode }) =>
    fileSystem.setAttributes(ino, { ...changes, ...withoutPrivileges(mode) }),
  )
  return answer(serving, changed)
})

/** `fuse_setattr_in`. Times are always given, "now" too. */
function decodeChanges(reader: RequestReader): {
  changes: AttributeChanges
  dropsPrivileges: boolean
} {
  const valid = reader.u32()
  reader.skip(12) // padding, handle
  const sizeBytes = (valid & FATTR.SIZE) !== 0 ? reader.extent() : skipped(reader, 8)
  reader.skip(8) // lock owner
  const [accessed, modified] = [reader.i64(), reader.i64()]
  reader.skip(8) // the change time is the file system's own
  const [accessedRest, modifiedRest] = [reader.u32(), reader.u32()]
  reader.skip(4)
  const mode = reader.u32()
  reader.skip(4)
  const [uid, gid] = [reader.u32(), reader.u32()]
  const changes = {
    ...((valid & FATTR.SIZE) !== 0 && { sizeBytes }),
    ...((valid & FATTR.MODE) !== 0 && { mode }),
    ...((valid & FATTR.UID) !== 0 && { uid }),
    ...((valid & FATTR.GID) !== 0 && { gid }),
    ...((valid & FATTR.ATIME) !== 0 && {
      accessedNs: accessed * NS_PER_SECOND + BigInt(accessedRest),
    }),
    ...((valid & FATTR.MTIME) !== 0 && {
      modifiedNs: modified * NS_PER_SECOND + BigInt(modifiedRest),
    }),
  }
  const ownerChanges = (valid & (FATTR.UID | FATTR.GID)) !== 0
  return { changes, dropsPrivileges: ownerChanges || (valid & FATTR.KILL_SUIDGID) !== 0 }
}

function skipped(reader: RequestReader, bytes: number): 0 {
  reader.skip(bytes)
  return 0
}

/** The mode after a change by somebody else, as Linux does it: never of directories. */
function withoutPrivileges(mode: number): { mode?: number } {
  if ((mode & MODE.TYPE) === MODE.DIRECTORY) return {}
  const group = (mode & MODE.GROUP_EXECUTE) !== 0 ? MODE.SETGID : 0
  const left = mode & ~(MODE.SETUID | group)
  return left === mode ? {} : { mode: left }
}

/**
 * Drops setuid and setgid after a write or truncation by a caller who may not keep them.
 *
 * @param serving - The connection.
 * @param ino - The file.
 */
export function dropPrivileges({ fileSystem }: Serving, ino: Ino): Reply<void> {
  return then(fileSystem.attributes(ino), ({ mode }) => {
    const change = withoutPrivileges(mode)
    if (change.mode === undefined) return undefined
    return then(fileSystem.setAttributes(ino, change), () => undefined)
  })
}

const space = operation(
  'statfs',
  ({ fileSystem }) =>
    then(
      fileSystem.space(),
      (figures): Encode =>
        (out) => {
          const freeBlocks = Math.floor(figures.freeBytes / BLOCK_BYTES)
          out.u64(Math.floor(figures.totalBytes / BLOCK_BYTES))
          out.u64(freeBlocks)
          out.u64(freeBlocks)
          out.u64(figures.files)
          out.u64(figures.filesFree)
          out.u32(BLOCK_BYTES)
          out.u32(NAME_BYTES_MAX)
          out.u32(BLOCK_BYTES)
          for (let spare = 0; spare < 7; spare++) out.u32(0)
        },
    ),
  { stoppable: true },
)

/** The value if the caller made room for it, else how much room it takes. */
function sized(value: Uint8Array, roomBytes: number): Encode {
  if (value.byteLength > REPLY_BYTES_MAX)
    throw new NodeError('ATTRIBUTE_TOO_BIG', 'attribute too long')
  if (roomBytes !== 0 && value.byteLength > roomBytes) {
    throw new NodeError('BUFFER_TOO_SMALL', 'attribute longer than the room for it')
  }
  return (out) => {
    if (roomBytes !== 0) out.raw(value)
    else out.u64(value.byteLength)
  }
}

const getExtended = operation(
  'getxattr',
  ({ fileSystem }, { ino }, reader) => {
    const roomBytes = reader.u32()
    reader.skip(4)
    const name = reader.text()
    if (REFUSED_ATTRIBUTES.test(name)) throw new NodeError('NOT_SUPPORTED', 'attribute not kept')
    return then(fileSystem.getExtended(ino, name), (value) => sized(value, roomBytes))
  },
  { stoppable: true },
)

const listExtended = operation(
  'listxattr',
  ({ fileSystem }, { ino }, reader) => {
    const roomBytes = reader.u32()
    return then(fileSystem.listExtended(ino), (names) =>
      sized(bytesOfName(names.map((name) => `${name}\0`).join('')), roomBytes),
    )
  },
  { stoppable: true },
)

const setExtended = operation(
  'setxattr',
  ({ fileSystem }, { ino }, reader) => {
    const lengthBytes = reader.u32()
    const flags = reader.u32()
    const name = reader.text()
    const value = reader.view(lengthBytes)
    if (REFUSED_ATTRIBUTES.test(name)) throw new NodeError('NOT_SUPPORTED', 'attribute not kept')
    const how =
      (flags & XATTR.CREATE) !== 0 ? 'create' : (flags & XATTR.REPLACE) !== 0 ? 'replace' : 'any'
    return then(fileSystem.setExtended(ino, name, value, how), () => nothing)
  },
  { holdsRequest: true, again: () => nothing },
)

const removeExtended = operation(
  'removexattr',
  ({ fileSystem }, { ino }, reader) =>
    then(fileSystem.removeExtended(ino, reader.text()), () => nothing),
  { again: () => nothing },
)

/** By operation code. */
export const ATTRIBUTES: Readonly<Record<number, Operation>> = {
  [OP.GETATTR]: getAttributes,
  [OP.SETATTR]: setAttributes,
  [OP.STATFS]: space,
  [OP.GETXATTR]: getExtended,
  [OP.LISTXATTR]: listExtended,
  [OP.SETXATTR]: setExtended,
  [OP.REMOVEXATTR]: removeExtended,
}
