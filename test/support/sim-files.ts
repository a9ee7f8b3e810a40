/**
 * What a program does on the mounted volume, and a plain model of what it must find there: every state that the files ever
 * had, how many of them an fsync made certain on the machine, and how many are certain on the stores.
 */
import { createHash } from 'node:crypto'
import { isNodeError } from '../../agent/base/errors.ts'
import type { Chance } from '../../agent/base/ports.ts'
import type { Volume } from '../../agent/engines/files/index.ts'

const ROOT = 1
const CALLER = { uid: 1000, gid: 1000, pid: 1 }
const DIRECTORY_ENTRIES_MAX = 1000
const O_RDWR = 2
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f']
const FOLDERS = ['x', 'y']
/** Most writes are small; one in eight is some chunks long. */
const WRITE_BYTES_MAX = 3_000
const LONG_WRITE_BYTES_MAX = 40_000

/** Files by path. */
export type Files = ReadonlyMap<string, Buffer>

/** One change. */
export type FileChange =
  | { readonly kind: 'folder'; readonly name: string }
  | {
      readonly kind: 'write'
      readonly path: string
      readonly offset: number
      readonly bytes: Buffer
    }
  | { readonly kind: 'truncate'; readonly path: string; readonly sizeBytes: number }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }
  | { readonly kind: 'remove'; readonly path: string }

interface Look {
  readonly files: Files
  readonly digest: string
}

/** All states that the files had. */
export class FileHistory {
  #looks: Look[] = [{ files: new Map(), digest: digestOf(new Map()) }]
  /** States up to this one are certain on the machine that writes. */
  acknowledged = 0
  /** States up to this one are certain on the stores. */
  dispersed = 0

  /** Number of the newest state. */
  get newest(): number {
    return this.#looks.length - 1
  }

  get files(): Files {
    return this.#look(this.newest).files
  }

  get digest(): string {
    return this.#look(this.newest).digest
  }

  /** Notes a change that was asked for; whether it took effect shows after the next crash. */
  add(change: FileChange): void {
    const files = applied(this.files, change)
    this.#looks.push({ files, digest: digestOf(files) })
  }

  /** The newest state, not before `from`, that looks so; undefined if the files never did. */
  find(digest: string, from: number): number | undefined {
    for (let at = this.newest; at >= from; at--) if (this.#look(at).digest === digest) return at
    return undefined
  }

  /** Goes back to a state that was found after a crash. */
  resume(at: number): void {
    this.#looks = this.#looks.slice(0, at + 1)
    this.acknowledged = Math.min(this.acknowledged, at)
    this.dispersed = Math.min(this.dispersed, at)
  }

  /** For people: what the files were in a state. */
  describe(at: number): string {
    return describeFiles(this.#look(at).files)
  }

  #look(at: number): Look {
    const look = this.#looks[at]
    if (!look) throw new RangeError(`there is no state ${at}`)
    return look
  }
}

/** For people. */
export function describeFiles(files: Files): string {
  return [...files].map(([path, bytes]) => `${path}:${bytes.length}`).join(' ')
}

/** Something to do next, each step of it a change of its own. Folders first, once. */
export function nextChanges(files: Files, chance: Chance): readonly FileChange[] {
  const missing = FOLDERS.find((name) => !files.has(`${name}/`))
  if (missing !== undefined) return [{ kind: 'folder', name: missing }]
  const change = nextChange(files, chance)
  if (change.kind !== 'write' || files.has(change.path)) return [change]
  return [{ ...change, offset: 0, bytes: Buffer.alloc(0) }, change]
}

function nextChange(files: Files, chance: Chance): FileChange {
  const paths = [...files.keys()].filter((path) => !path.endsWith('/'))
  const path = `${pick(FOLDERS, chance)}/${pick(NAMES, chance)}`
  const dice = chance.below(10)
  if (paths.length < 2 || dice < 6) return writeOf(path, files.get(path)?.length ?? 0, chance)
  const old = pick(paths, chance)
  if (dice < 7) return { kind: 'truncate', path: old, sizeBytes: chance.below(5_000) }
  if (dice < 9 && old !== path) return { kind: 'rename', from: old, to: path }
  return { kind: 'remove', path: old }
}

function writeOf(path: string, sizeBytes: number, chance: Chance): FileChange {
  const isLong = chance.below(8) === 0
  const length = 1 + chance.below(isLong ? LONG_WRITE_BYTES_MAX : WRITE_BYTES_MAX)
  const offset = chance.below(2) === 0 ? sizeBytes : chance.below(sizeBytes + 1)
  // Repeated text now and then, so that chunks are compressed and found again.
  const seed = chance.below(3) === 0 ? Buffer.from('varve') : chance.bytes(64)
  const bytes = Buffer.alloc(length)
  for (let at = 0; at < length; at += seed.length) {
    bytes.set(seed.subarray(0, length - at), at)
    if (seed.length === 64) seed[at % 61] = (seed[at % 61] ?? 0) + 1
  }
  return { kind: 'write', path, offset, bytes }
}

/** Does a change on the volume. @throws what the volume throws. */
export async function perform(volume: Volume, change: FileChange): Promise<void> {
  switch (change.kind) {
    case 'folder':
      volume.makeDirectory(ROOT, change.name, 0o755, CALLER)
      return
    case 'write': {
      const [parent, name] = place(volume, change.path)
      const handle = openOrCreate(volume, parent, name)
      await volume.write(handle, change.offset, change.bytes)
      volume.release(handle)
      return
    }
    case 'truncate': {
      const [parent, name] = place(volume, change.path)
      const { ino } = volume.lookup(parent, name)
      volume.setAttributes(ino, { sizeBytes: change.sizeBytes })
      return
    }
    case 'rename': {
      const [parent, name] = place(volume, change.from)
      const [newParent, newName] = place(volume, change.to)
      const to = { parent: newParent, name: newName }
      volume.rename({ parent, name }, to, { noReplace: false, exchange: false })
      return
    }
    case 'remove': {
      const [parent, name] = place(volume, change.path)
      volume.unlink(parent, name)
      return
    }
  }
}

function openOrCreate(volume: Volume, parent: number, name: string): number {
  try {
    return volume.open(volume.lookup(parent, name).ino, O_RDWR)
  } catch (caught) {
    if (!isNodeError(caught, 'NOT_FOUND')) throw caught
    return volume.create(parent, name, 0o644, O_RDWR, CALLER).handle
  }
}

function place(volume: Volume, path: string): [parent: number, name: string] {
  const [folder = '', name = ''] = path.split('/')
  return [volume.lookup(ROOT, folder).ino, name]
}

/** Reads a file whole. @throws what the volume throws, where its bytes cannot be had. */
export async function readPath(volume: Volume, path: string): Promise<Buffer> {
  const [parent, name] = place(volume, path)
  const { ino, sizeBytes } = volume.lookup(parent, name)
  return await readIno(volume, ino, sizeBytes)
}

/** Reads everything. */
export async function readAll(volume: Volume): Promise<Files> {
  const files = new Map<string, Buffer>()
  for (const folder of entriesOf(volume, ROOT)) {
    files.set(`${folder.name}/`, Buffer.alloc(0))
    for (const { name, attributes } of entriesOf(volume, folder.attributes.ino)) {
      const bytes = await readIno(volume, attributes.ino, attributes.sizeBytes)
      files.set(`${folder.name}/${name}`, bytes)
    }
  }
  return files
}

function entriesOf(volume: Volume, ino: number) {
  const handle = volume.openDirectory(ino)
  const entries = volume.readDirectory(handle, 0, DIRECTORY_ENTRIES_MAX)
  volume.releaseDirectory(handle)
  return entries.filter(({ name }) => name !== '.' && name !== '..')
}

async function readIno(volume: Volume, ino: number, sizeBytes: number): Promise<Buffer> {
  const handle = volume.open(ino, 0)
  try {
    const bytes = Buffer.alloc(sizeBytes)
    const length = await volume.read(handle, 0, bytes)
    return bytes.subarray(0, length)
  } finally {
    volume.release(handle)
  }
}

/** Equal for equal files. */
export function digestOf(files: Files): string {
  const hash = createHash('sha256')
  for (const path of [...files.keys()].sort()) {
    const bytes = files.get(path) ?? Buffer.alloc(0)
    hash.update(`${path} ${bytes.length}\n`).update(bytes)
  }
  return hash.digest('hex')
}

function applied(before: Files, change: FileChange): Files {
  const files = new Map(before)
  switch (change.kind) {
    case 'folder':
      files.set(`${change.name}/`, Buffer.alloc(0))
      break
    case 'write': {
      const old = files.get(change.path) ?? Buffer.alloc(0)
      const end = change.offset + change.bytes.length
      const bytes = Buffer.alloc(Math.max(old.length, end))
      bytes.set(old)
      bytes.set(change.bytes, change.offset)
      files.set(change.path, bytes)
      break
    }
    case 'truncate': {
      const bytes = Buffer.alloc(change.sizeBytes)
      bytes.set((files.get(change.path) ?? bytes).subarray(0, change.sizeBytes))
      files.set(change.path, bytes)
      break
    }
    case 'rename': {
      const bytes = files.get(change.from) ?? Buffer.alloc(0)
      files.delete(change.from)
      files.set(change.to, bytes)
      break
    }
    case 'remove':
      files.delete(change.path)
      break
  }
  return files
}

function pick<T>(items: readonly T[], chance: Chance): T {
  return items[chance.below(items.length)] as T
}
