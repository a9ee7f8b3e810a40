/**
 * Operations on open directories.
 *
 * The kernel's offsets are the file system's cookies plus two, because `.` and `..` come first and are made here.
 */
import { NodeError } from '../../../base/errors.ts'
import { nameBytes } from '../../../base/name-text.ts'
import {
  type Encode,
  nothing,
  type Operation,
  operation,
  type Serving,
  then,
} from '../operation.ts'
import type { DirectoryEntry, Ino, Reply } from '../ports.ts'
import { MODE, OP } from '../protocol.ts'
import type { ReplyWriter } from '../reply-writer.ts'
import type { RequestHeader, RequestReader } from '../request-reader.ts'

const DOTS = 2
/** Bytes of `fuse_dirent` before the name, and of `fuse_entry_out` before that in READDIRPLUS. */
const DIRENT_BYTES = 24
const ENTRY_OUT_BYTES = 128

const openDirectory = operation('opendir', (serving, { ino }) =>
  then(
    serving.fileSystem.openDirectory(ino),
    (handle): Encode =>
      (out) => {
        out.u64(handle)
        out.u32(serving.openDirectoryFlags)
        out.u32(0)
        serving.inodes.opened('directory', handle)
      },
  ),
)

const readDirectory = operation(
  'readdir',
  (serving, header, reader) => list(serving, header, reader, false),
  {
    stoppable: true,
  },
)

const readDirectoryPlus = operation(
  'readdirplus',
  (serving, header, reader) => list(serving, header, reader, true),
  { stoppable: true },
)

function list(
  serving: Serving,
  { ino }: RequestHeader,
  reader: RequestReader,
  plus: boolean,
): Reply<Encode> {
  const handle = reader.u64()
  const offset = reader.extent()
  const roomBytes = reader.u32()
  const entryBytesMin = DIRENT_BYTES + 8 + (plus ? ENTRY_OUT_BYTES : 0)
  const limit = Math.max(1, Math.floor(roomBytes / entryBytesMin))
  const entries = serving.fileSystem.readDirectory(handle, Math.max(0, offset - DOTS), limit)
  return then(
    entries,
    (found): Encode =>
      (out) => {
        const listing = new Listing(serving, out, ino, Math.min(roomBytes, out.roomBytes), plus)
        if (offset < 1) listing.dot('.', ino, 1)
        if (offset < 2) listing.dot('..', serving.inodes.parentOf(ino), 2)
        for (const entry of found) if (!listing.add(entry)) break
      },
  )
}

/** A list of entries that fills a reply as far as it goes. */
class Listing {
  readonly #serving: Serving
  readonly #out: ReplyWriter
  readonly #directory: Ino
  readonly #roomBytes: number
  readonly #plus: boolean
  #isFull = false

  constructor(
    serving: Serving,
    out: ReplyWriter,
    directory: Ino,
    roomBytes: number,
    plus: boolean,
  ) {
    this.#serving = serving
    this.#out = out
    this.#directory = directory
    this.#roomBytes = roomBytes
    this.#plus = plus
  }

  /** `.` or `..`, which the kernel is not given as inodes. */
  dot(name: string, ino: Ino, next: number): void {
    const entry = this.#plus ? () => this.#out.absentEntry(0) : undefined
    this.#put(name, ino, MODE.DIRECTORY, next, entry)
  }

  /** @returns False if the reply is full. */
  add({ name, attributes, cookie }: DirectoryEntry): boolean {
    const entry = this.#plus
      ? () => this.#out.entry(attributes, this.#serving.lifetimes)
      : undefined
    const added = this.#put(name, attributes.ino, attributes.mode, cookie + DOTS, entry)
    if (added && this.#plus) this.#serving.inodes.named(attributes, this.#directory)
    return added
  }

  #put(
    name: string,
    ino: Ino,
    mode: number,
    next: number,
    entry: (() => void) | undefined,
  ): boolean {
    const lengthBytes = nameBytes(name)
    const bytes = (this.#plus ? ENTRY_OUT_BYTES : 0) + ((DIRENT_BYTES + lengthBytes + 7) & ~7)
    if (this.#isFull || this.#out.bodyBytes + bytes > this.#roomBytes) {
      this.#isFull = true
      return false
    }
    entry?.()
    this.#out.u64(ino)
    this.#out.u64(next)
    this.#out.u32(lengthBytes)
    this.#out.u32((mode & MODE.TYPE) >> 12)
    this.#out.text(name)
    this.#out.align()
    return true
  }
}

const releaseDirectory = operation('releasedir', ({ fileSystem, inodes }, _header, reader) => {
  const handle = reader.u64()
  if (!inodes.closed('directory', handle)) throw new NodeError('STALE', 'handle is not open')
  return then(fileSystem.releaseDirectory(handle), () => nothing)
})

const syncDirectory = operation('fsyncdir', ({ fileSystem }, { ino }) =>
  then(fileSystem.syncDirectory(ino), () => nothing),
)

/** By operation code. */
export const DIRECTORIES: Readonly<Record<number, Operation>> = {
  [OP.OPENDIR]: openDirectory,
  [OP.READDIR]: readDirectory,
  [OP.READDIRPLUS]: readDirectoryPlus,
  [OP.RELEASEDIR]: releaseDirectory,
  [OP.FSYNCDIR]: syncDirectory,
}
