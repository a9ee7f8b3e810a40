/** Operations on open files, but for READ, which has its own buffers (`reads.ts`). */
import { NodeError } from '../../../base/errors.ts'
import {
  type Encode,
  nothing,
  type Operation,
  operation,
  type Serving,
  then,
} from '../operation.ts'
import type { Attributes, Handle, Ino, Reply } from '../ports.ts'
import {
  FALLOCATE,
  FSYNC_DATA_ONLY,
  O_TRUNC,
  OP,
  OPEN_KILL_SUIDGID,
  SEEK,
  TRANSFER_BYTES_MAX,
  WRITE_KILL_SUIDGID,
} from '../protocol.ts'
import type { ReplyWriter } from '../reply-writer.ts'
import { dropPrivileges } from './attributes.ts'

/** `fuse_open_out`. */
function opened(serving: Serving, out: ReplyWriter, handle: Handle): void {
  out.u64(handle)
  out.u32(serving.openFileFlags)
  out.u32(0)
  serving.inodes.opened('file', handle)
}

const open = operation('open', (serving, { ino }, reader) => {
  const flags = reader.u32()
  const drops = (reader.u32() & OPEN_KILL_SUIDGID) !== 0 && (flags & O_TRUNC) !== 0
  const handle = serving.fileSystem.open(ino, flags)
  return then(handle, (value) =>
    then(
      drops ? dropPrivileges(serving, ino) : undefined,
      (): Encode => (out) => opened(serving, out, value),
    ),
  )
})

const create = operation(
  'create',
  (serving, header, reader) => {
    const flags = reader.u32()
    const mode = reader.u32()
    reader.skip(8) // the umask, which the kernel applied, and flags that mean nothing for a new file
    const name = reader.name()
    const { uid, gid, pid, ino } = header
    return created(
      serving,
      ino,
      serving.fileSystem.create(ino, name, mode, flags, { uid, gid, pid }),
    )
  },
  {
    again(serving, { ino }, reader) {
      const flags = reader.u32()
      reader.skip(12)
      const { fileSystem } = serving
      return then(fileSystem.lookup(ino, reader.name()), (attributes) =>
        then(fileSystem.open(attributes.ino, flags & ~O_TRUNC), (handle) =>
          created(serving, ino, { attributes, handle }),
        ),
      )
    },
  },
)

const createTemporary = operation('tmpfile', (serving, header, reader) => {
  reader.skip(4) // flags
  const mode = reader.u32()
  const { uid, gid, pid, ino } = header
  return created(serving, ino, serving.fileSystem.createTemporary(ino, mode, { uid, gid, pid }))
})

/** `fuse_entry_out` and `fuse_open_out` of a file that is open from its making. */
function created(
  serving: Serving,
  parent: Ino,
  made: Reply<{ attributes: Attributes; handle: Handle }>,
): Reply<Encode> {
  return then(made, ({ attributes, handle }) => (out) => {
    out.entry(attributes, serving.lifetimes)
    opened(serving, out, handle)
    serving.inodes.named(attributes, parent)
  })
}

const write = operation(
  'write',
  (serving, { ino }, reader) => {
    const handle = reader.u64()
    const offset = reader.extent()
    const lengthBytes = reader.u32()
    const drops = (reader.u32() & WRITE_KILL_SUIDGID) !== 0
    reader.skip(16) // lock owner, open flags, padding
    if (lengthBytes > TRANSFER_BYTES_MAX) throw new NodeError('INVALID', 'write beyond max_write')
    const written = serving.fileSystem.write(handle, offset, reader.view(lengthBytes))
    return then(written, (bytes) =>
      then(drops ? dropPrivileges(serving, ino) : undefined, (): Encode => (out) => out.u64(bytes)),
    )
  },
  { holdsRequest: true },
)

const flush = operation('flush', ({ fileSystem }, _header, reader) =>
  then(fileSystem.flush?.(reader.u64()), () => nothing),
)

const release = operation('release', ({ fileSystem, inodes }, _header, reader) => {
  const handle = reader.u64()
  if (!inodes.closed('file', handle)) throw new NodeError('STALE', 'handle is not open')
  return then(fileSystem.release(handle), () => nothing)
})

const sync = operation('fsync', ({ fileSystem }, { ino }, reader) => {
  reader.skip(8)
  const dataOnly = (reader.u32() & FSYNC_DATA_ONLY) !== 0
  return then(fileSystem.sync(ino, dataOnly), () => nothing)
})

/** The kernel sends it only for file systems that it trusts more; answered all the same. */
const syncAll = operation('syncfs', ({ fileSystem }, { ino }) =>
  then(fileSystem.syncDirectory(ino), () => nothing),
)

const ALLOCATIONS: readonly number[] = [
  0,
  FALLOCATE.KEEP_SIZE,
  FALLOCATE.KEEP_SIZE | FALLOCATE.PUNCH_HOLE,
  FALLOCATE.ZERO_RANGE,
  FALLOCATE.ZERO_RANGE | FALLOCATE.KEEP_SIZE,
]

const allocate = operation('fallocate', ({ fileSystem }, _header, reader) => {
  const handle = reader.u64()
  const offset = reader.extent()
  const length = reader.extent()
  const mode = reader.u32()
  if (!ALLOCATIONS.includes(mode)) throw new NodeError('NOT_SUPPORTED', `fallocate mode ${mode}`)
  return then(fileSystem.allocate(handle, mode, offset, length), () => nothing)
})

const seek = operation(
  'lseek',
  ({ fileSystem }, _header, reader) => {
    const handle = reader.u64()
    const offset = reader.extent()
    const whence = reader.u32()
    if (whence !== SEEK.DATA && whence !== SEEK.HOLE) throw new NodeError('INVALID', 'whence')
    const found = fileSystem.seek(handle, offset, whence === SEEK.DATA)
    return then(
      found,
      (at): Encode =>
        (out) =>
          out.u64(at),
    )
  },
  { stoppable: true },
)

/** By operation code. */
export const FILES: Readonly<Record<number, Operation>> = {
  [OP.OPEN]: open,
  [OP.CREATE]: create,
  [OP.WRITE]: write,
  [OP.FLUSH]: flush,
  [OP.RELEASE]: release,
  [OP.FSYNC]: sync,
  [OP.FALLOCATE]: allocate,
  [OP.LSEEK]: seek,
  [OP.SYNCFS]: syncAll,
  [OP.TMPFILE]: createTemporary,
}
