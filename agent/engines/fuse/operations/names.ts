/** Operations on names in directories: find, make, link, move, remove. */
import { isNodeError, NodeError } from '../../../base/errors.ts'
import {
  type Encode,
  nothing,
  type Operation,
  operation,
  type Serving,
  then,
} from '../operation.ts'
import type { Attributes, Caller, Ino, RenameOptions, Reply } from '../ports.ts'
import { OP, RENAME } from '../protocol.ts'
import type { RequestHeader } from '../request-reader.ts'

type Traits = Pick<Operation, 'again'>

const callerOf = ({ uid, gid, pid }: RequestHeader): Caller => ({ uid, gid, pid })

/** Answers with an inode as the entry of `parent`. */
function entry(serving: Serving, parent: Ino, reply: Reply<Attributes>): Reply<Encode> {
  return then(reply, (attributes) => (out) => {
    out.entry(attributes, serving.lifetimes)
    serving.inodes.named(attributes, parent)
  })
}

/** A missing name is an answer too, which the kernel may remember. */
const lookup = operation(
  'lookup',
  (serving, { ino }, reader) => {
    const absent = (caught: unknown): Encode => {
      if (!isNodeError(caught, 'NOT_FOUND') || serving.lifetimes.entrySeconds === 0) throw caught
      return (out) => out.absentEntry(serving.lifetimes.entrySeconds)
    }
    const name = reader.name()
    try {
      const found = entry(serving, ino, serving.fileSystem.lookup(ino, name))
      return found instanceof Promise ? found.catch(absent) : found
    } catch (caught) {
      return absent(caught)
    }
  },
  { stoppable: true },
)

/** What was made is there under its name: nobody else's change came between, because the directory was locked. */
const found = (serving: Serving, parent: Ino, name: string): Reply<Encode> =>
  entry(serving, parent, serving.fileSystem.lookup(parent, name))

const MADE_NODE: Traits = {
  again(serving, { ino }, reader) {
    reader.skip(16)
    return found(serving, ino, reader.name())
  },
}

const MADE_DIRECTORY: Traits = {
  again(serving, { ino }, reader) {
    reader.skip(8)
    return found(serving, ino, reader.name())
  },
}

const MADE_SYMLINK: Traits = {
  again: (serving, { ino }, reader) => found(serving, ino, reader.name()),
}

const MADE_LINK: Traits = {
  again(serving, { ino }, reader) {
    reader.skip(8)
    return found(serving, ino, reader.name())
  },
}

/** The kernel wants to know no more than that it is done. */
const DONE: Traits = { again: () => nothing }

const makeNode = operation(
  'mknod',
  (serving, header, reader) => {
    const mode = reader.u32()
    const device = reader.u32()
    reader.skip(8) // the umask, which the kernel applied, and padding
    const name = reader.name()
    const made = serving.fileSystem.makeNode(header.ino, name, mode, device, callerOf(header))
    return entry(serving, header.ino, made)
  },
  MADE_NODE,
)

const makeDirectory = operation(
  'mkdir',
  (serving, header, reader) => {
    const mode = reader.u32()
    reader.skip(4)
    const name = reader.name()
    const made = serving.fileSystem.makeDirectory(header.ino, name, mode, callerOf(header))
    return entry(serving, header.ino, made)
  },
  MADE_DIRECTORY,
)

const makeSymlink = operation(
  'symlink',
  (serving, header, reader) => {
    const name = reader.name()
    const target = reader.text()
    const made = serving.fileSystem.makeSymlink(header.ino, name, target, callerOf(header))
    return entry(serving, header.ino, made)
  },
  MADE_SYMLINK,
)

const link = operation(
  'link',
  (serving, { ino }, reader) => {
    const from = reader.u64()
    return entry(serving, ino, serving.fileSystem.link(from, ino, reader.name()))
  },
  MADE_LINK,
)

const unlink = operation(
  'unlink',
  ({ fileSystem }, { ino }, reader) => then(fileSystem.unlink(ino, reader.name()), () => nothing),
  DONE,
)

const removeDirectory = operation(
  'rmdir',
  ({ fileSystem }, { ino }, reader) =>
    then(fileSystem.removeDirectory(ino, reader.name()), () => nothing),
  DONE,
)

const readLink = operation(
  'readlink',
  ({ fileSystem }, { ino }) =>
    then(
      fileSystem.readLink(ino),
      (target): Encode =>
        (out) =>
          out.text(target),
    ),
  { stoppable: true },
)

const rename = operation(
  'rename',
  (serving, { ino }, reader) => {
    const to = reader.u64()
    const [oldName, newName] = [reader.name(), reader.name()]
    return move(serving, { parent: ino, name: oldName }, { parent: to, name: newName }, 0)
  },
  DONE,
)

const rename2 = operation(
  'rename2',
  (serving, { ino }, reader) => {
    const to = reader.u64()
    const flags = reader.u32()
    reader.skip(4)
    const [oldName, newName] = [reader.name(), reader.name()]
    return move(serving, { parent: ino, name: oldName }, { parent: to, name: newName }, flags)
  },
  DONE,
)

interface Place {
  parent: Ino
  name: string
}

function move(serving: Serving, from: Place, to: Place, flags: number): Reply<Encode> {
  if ((flags & ~(RENAME.NOREPLACE | RENAME.EXCHANGE)) !== 0) {
    throw new NodeError('INVALID', 'rename flags that are not served')
  }
  const options: RenameOptions = {
    noReplace: (flags & RENAME.NOREPLACE) !== 0,
    exchange: (flags & RENAME.EXCHANGE) !== 0,
  }
  const moved = serving.fileSystem.rename(from, to, options)
  if (from.parent === to.parent) return then(moved, () => nothing)
  return then(moved, () =>
    then(noteParent(serving, to), () =>
      then(options.exchange ? noteParent(serving, from) : undefined, () => nothing),
    ),
  )
}

/** After a move between directories, `..` of what was moved is another. */
function noteParent({ fileSystem, inodes }: Serving, { parent, name }: Place): Reply<void> {
  const moved = fileSystem.lookup(parent, name)
  return then(moved, ({ ino }) => inodes.moved(ino, parent))
}

/** By operation code. */
export const NAMES: Readonly<Record<number, Operation>> = {
  [OP.LOOKUP]: lookup,
  [OP.MKNOD]: makeNode,
  [OP.MKDIR]: makeDirectory,
  [OP.SYMLINK]: makeSymlink,
  [OP.LINK]: link,
  [OP.UNLINK]: unlink,
  [OP.RMDIR]: removeDirectory,
  [OP.READLINK]: readLink,
  [OP.RENAME]: rename,
  [OP.RENAME2]: rename2,
}
