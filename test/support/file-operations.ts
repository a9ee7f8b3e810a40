/**
 * Operations on a file system as plain values, and what a file system looks like as text: what model tests are made of.
 *
 * The same operation does the same to every file system, so one may be held against another, and a crashed
 * one against every state that it may have come back to.
 */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { codeOf } from '../../agent/base/errors.ts'
import type { FileSystem, Ino } from '../../agent/engines/fuse/ports.ts'
import { CALLER, pattern } from './volume-world.ts'

/** One thing to do; files and directories are named by small numbers, names too. */
export type FileOperation =
  | {
      readonly kind: 'create' | 'mkdir' | 'symlink'
      readonly directory: number
      readonly name: number
      readonly mode: number
    }
  | { readonly kind: 'unlink' | 'rmdir'; readonly directory: number; readonly name: number }
  | {
      readonly kind: 'link'
      readonly file: number
      readonly directory: number
      readonly name: number
    }
  | {
      readonly kind: 'rename'
      readonly directory: number
      readonly name: number
      readonly toDirectory: number
      readonly toName: number
      readonly flags: number
    }
  | {
      readonly kind: 'write' | 'allocate' | 'keep' | 'punch'
      readonly file: number
      readonly offset: number
      readonly length: number
    }
  | { readonly kind: 'truncate'; readonly file: number; readonly length: number }
  | { readonly kind: 'chmod'; readonly file: number; readonly mode: number }
  | { readonly kind: 'set' | 'unset'; readonly file: number; readonly name: number }

const NAMES = 5
const small = fc.nat({ max: 7 })
const name = fc.nat({ max: NAMES - 1 })
const offset = fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 40_000 }))
const length = fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 20_000 }))

/** Any operation; about half of them move data. */
export const anyFileOperation: fc.Arbitrary<FileOperation> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('create', 'mkdir', 'symlink' as const),
      directory: small,
      name,
      mode: fc.constantFrom(0o644, 0o600, 0o2755),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('unlink', 'rmdir' as const),
      directory: small,
      name,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('link' as const),
      file: small,
      directory: small,
      name,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('rename' as const),
      directory: small,
      name,
      toDirectory: small,
      toName: name,
      flags: fc.constantFrom(0, 0, 0, 1, 2),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constantFrom('write', 'write', 'write', 'allocate', 'keep', 'punch' as const),
      file: small,
      offset,
      length,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('truncate' as const), file: small, length: offset }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('chmod' as const),
      file: small,
      mode: fc.constantFrom(0o600, 0o777),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('set', 'unset' as const), file: small, name }),
  },
)

/**
 * Does an operation.
 *
 * @param seed - Decides the bytes that a write writes.
 * @returns `ok` or the code of the failure.
 */
export async function perform(
  fs: FileSystem,
  operation: FileOperation,
  seed: number,
): Promise<string> {
  try {
    await attempt(fs, operation, seed)
    return 'ok'
  } catch (caught) {
    const code = codeOf(caught)
    if (code === undefined) throw caught
    return code
  }
}

/** Everything that can be seen of a file system, as text. */
export async function fingerprint(fs: FileSystem): Promise<string> {
  const lines: string[] = []
  const seen: Ino[] = []
  for (const { path, ino } of await walk(fs)) {
    const a = await fs.attributes(ino)
    // Which names are one file is seen; what number it has is not.
    if (!seen.includes(ino)) seen.push(ino)
    const extended = (await fs.listExtended(ino)).toSorted()
    const values: string[] = []
    for (const key of extended) {
      values.push(`${key}=${Buffer.from(await fs.getExtended(ino, key)).toString('hex')}`)
    }
    const size = isKind(a.mode, 0o040000) ? 0 : a.sizeBytes
    // The root is made when the file system is, which the model cannot know.
    const stamps = path !== '/' ? `${a.modifiedNs} ${a.changedNs}` : ''
    lines.push(
      `${path} #${seen.indexOf(ino)} ${a.mode.toString(8)} links=${a.links} ${a.uid}:${a.gid} size=${size} ${stamps} ${values} ${await content(fs, ino, a.mode, a.sizeBytes)}`,
    )
  }
  return lines.join('\n')
}

/** Removes everything below a directory. */
export async function removeAll(fs: FileSystem, directory: Ino): Promise<void> {
  const handle = await fs.openDirectory(directory)
  for (const { name, attributes } of await fs.readDirectory(handle, 0, 10_000)) {
    if (isKind(attributes.mode, 0o040000)) {
      await removeAll(fs, attributes.ino)
      await fs.removeDirectory(directory, name)
    } else await fs.unlink(directory, name)
    fs.forget(attributes.ino)
  }
  await fs.releaseDirectory(handle)
}

async function attempt(fs: FileSystem, operation: FileOperation, seed: number): Promise<void> {
  switch (operation.kind) {
    case 'create': {
      const parent = await directory(fs, operation.directory)
      const made = await fs.create(parent, nameOf(operation.name), operation.mode, 2, CALLER)
      await fs.release(made.handle)
      return
    }
    case 'mkdir':
      await fs.makeDirectory(
        await directory(fs, operation.directory),
        nameOf(operation.name),
        operation.mode,
        CALLER,
      )
      return
    case 'symlink':
      await fs.makeSymlink(
        await directory(fs, operation.directory),
        nameOf(operation.name),
        `to-${seed}`,
        CALLER,
      )
      return
    case 'unlink':
    case 'rmdir': {
      const parent = await directory(fs, operation.directory)
      const { ino } = await fs.lookup(parent, nameOf(operation.name))
      if (operation.kind === 'unlink') await fs.unlink(parent, nameOf(operation.name))
      else await fs.removeDirectory(parent, nameOf(operation.name))
      fs.forget(ino)
      return
    }
    case 'link':
      await fs.link(
        await file(fs, operation.file),
        await directory(fs, operation.directory),
        nameOf(operation.name),
      )
      return
    case 'rename':
      return await rename(fs, operation)
    case 'truncate':
      await fs.setAttributes(await file(fs, operation.file), { sizeBytes: operation.length })
      return
    case 'chmod':
      await fs.setAttributes(await file(fs, operation.file), { mode: operation.mode })
      return
    case 'set':
      await fs.setExtended(
        await file(fs, operation.file),
        `user.${operation.name}`,
        pattern(9, seed),
        'any',
      )
      return
    case 'unset':
      await fs.removeExtended(await file(fs, operation.file), `user.${operation.name}`)
      return
    default:
      return await changeContent(fs, operation, seed)
  }
}

async function rename(
  fs: FileSystem,
  operation: FileOperation & { kind: 'rename' },
): Promise<void> {
  const from = { parent: await directory(fs, operation.directory), name: nameOf(operation.name) }
  const to = { parent: await directory(fs, operation.toDirectory), name: nameOf(operation.toName) }
  const flags = { noReplace: (operation.flags & 1) !== 0, exchange: (operation.flags & 2) !== 0 }
  let replaced: Ino | undefined
  try {
    replaced = (await fs.lookup(to.parent, to.name)).ino
  } catch {
    replaced = undefined
  }
  await fs.rename(from, to, flags)
  if (replaced !== undefined) fs.forget(replaced)
}

async function changeContent(
  fs: FileSystem,
  operation: FileOperation & { kind: 'write' | 'allocate' | 'keep' | 'punch' },
  seed: number,
): Promise<void> {
  const ino = await file(fs, operation.file)
  const handle = await fs.open(ino, 2)
  try {
    const { offset, length } = operation
    if (operation.kind === 'write') await fs.write(handle, offset, pattern(length, seed))
    else if (operation.kind === 'allocate') await fs.allocate(handle, 0, offset, length)
    else if (operation.kind === 'keep') await fs.allocate(handle, 1, offset, length)
    else await fs.allocate(handle, 3, offset, length)
  } finally {
    await fs.release(handle)
  }
}

async function content(fs: FileSystem, ino: Ino, mode: number, sizeBytes: number): Promise<string> {
  if (isKind(mode, 0o120000)) return await fs.readLink(ino)
  if (!isKind(mode, 0o100000)) return ''
  const bytes = Buffer.alloc(sizeBytes)
  const handle = await fs.open(ino, 0)
  const length = await fs.read(handle, 0, bytes)
  await fs.release(handle)
  return `${length} ${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}`
}

/** All names, breadth first, sorted within a directory, the root first. */
async function walk(fs: FileSystem): Promise<{ path: string; ino: Ino; mode: number }[]> {
  const all = [{ path: '/', ino: 1, mode: 0o040000 }]
  for (let at = 0; at < all.length; at++) {
    const { path, ino, mode } = all[at]!
    if (!isKind(mode, 0o040000)) continue
    const handle = await fs.openDirectory(ino)
    const entries = [...(await fs.readDirectory(handle, 0, 10_000))]
    await fs.releaseDirectory(handle)
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      all.push({
        path: `${path}${entry.name}${isKind(entry.attributes.mode, 0o040000) ? '/' : ''}`,
        ino: entry.attributes.ino,
        mode: entry.attributes.mode,
      })
    }
  }
  return all
}

async function directory(fs: FileSystem, number: number): Promise<Ino> {
  const all = (await walk(fs)).filter(({ mode }) => isKind(mode, 0o040000))
  return all[number % all.length]!.ino
}

/** The numbered file, preferring regular ones; the root if there is none. */
async function file(fs: FileSystem, number: number): Promise<Ino> {
  const all = (await walk(fs)).filter(({ mode }) => !isKind(mode, 0o040000))
  return all[number % Math.max(1, all.length)]?.ino ?? 1
}

function nameOf(number: number): string {
  return `n${number}`
}

function isKind(mode: number, kind: number): boolean {
  return (mode & 0o170000) === kind
}
