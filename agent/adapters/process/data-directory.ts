/**
 * The data directory of a node: its lock, its identity, and the places of its units.
 *
 * The lock is a unix socket in the kernel's own name space, named after the directory's device and inode: it vanishes with
 * the process that holds it, however that ends, and there is no stale lock to clean up. `agent.lock` says who, for people.
 */
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { isAbsolute, join, resolve } from 'node:path'
import { fromHex, toHex } from '../../base/bytes.ts'
import { codeOf, describeError, NodeError } from '../../base/errors.ts'
import { IDENTITY_SEED_BYTES, type Identity, identityFromSeed } from '../../base/identity.ts'
import { parseObject } from '../../base/json.ts'

/** A data directory in use by this process. */
export interface DataDirectory {
  /** Absolute path. */
  readonly path: string
  readonly identity: Identity
  /** True if the identity was made just now. */
  readonly isNew: boolean
  readonly stateFolder: string
  readonly statusSocket: string
  /** Gives the directory free. */
  release(): void
}

/**
 * Opens a data directory: makes what is missing, takes the lock, reads or makes the identity.
 *
 * @param path - The directory; made with mode 0700 if missing.
 * @throws NodeError `AGENT_ALREADY_RUNNING`, `IDENTITY_CORRUPT`, `DATA_DIRECTORY_UNUSABLE`.
 * @example
 * const data = await openDataDirectory('/var/lib/varve')
 */
export async function openDataDirectory(path: string): Promise<DataDirectory> {
  const root = resolve(path)
  makeFolders(root)
  const unlock = await lock(root)
  try {
    const { identity, isNew } = readOrMakeIdentity(join(root, 'identity.json'))
    return {
      path: root,
      identity,
      isNew,
      stateFolder: join(root, 'state'),
      statusSocket: join(root, 'run', 'status.sock'),
      release: unlock,
    }
  } catch (caught) {
    unlock()
    throw caught
  }
}

/**
 * Control socket of a unit.
 *
 * @param dataDir - The data directory.
 * @param name - `store`, `links` or `mount-<order>`.
 */
export function controlSocket(dataDir: string, name: string): string {
  return join(dataDir, 'run', `${name}.sock`)
}

/**
 * Removes what a mount kept locally.
 *
 * @param dataDir - Absolute path of the data directory.
 * @param name - Unit name of the mount, `mount-<order>`; others are refused.
 */
export function discardMount(dataDir: string, name: string): void {
  const order = /^mount-([1-9][0-9]*)$/.exec(name)?.[1]
  if (order === undefined || !isAbsolute(dataDir)) return
  rmSync(join(dataDir, 'mounts', order), { recursive: true, force: true })
}

function makeFolders(root: string): void {
  try {
    for (const folder of ['', 'state', 'store', 'mounts', 'run']) {
      mkdirSync(join(root, folder), { recursive: true, mode: 0o700 })
    }
  } catch (cause) {
    throw new NodeError('DATA_DIRECTORY_UNUSABLE', describeError(cause), { cause })
  }
}

async function lock(root: string): Promise<() => void> {
  const { dev, ino } = statSync(root)
  const server = createServer((socket) => socket.destroy())
  const taken = Promise.withResolvers<void>()
  server.once('error', taken.reject)
  server.listen(`\0varve-agent/${dev}/${ino}`, taken.resolve)
  const file = join(root, 'agent.lock')
  try {
    await taken.promise
  } catch (cause) {
    if (codeOf(cause) !== 'EADDRINUSE') throw cause
    const holder = existsSync(file) ? readFileSync(file, 'utf8').trim() : 'unknown'
    throw new NodeError('AGENT_ALREADY_RUNNING', `process ${holder} uses ${root}`, {
      details: { pid: Number(holder) || undefined },
    })
  }
  server.unref()
  writeFileSync(file, `${process.pid}\n`, { mode: 0o600 })
  return () => {
    rmSync(file, { force: true })
    server.close()
  }
}

function readOrMakeIdentity(file: string): { identity: Identity; isNew: boolean } {
  if (existsSync(file)) return { identity: identityFromSeed(readSeed(file)), isNew: false }
  const seed = randomBytes(IDENTITY_SEED_BYTES)
  const { account } = identityFromSeed(seed)
  writeDurably(file, `${JSON.stringify({ version: 1, account, seed: toHex(seed) })}\n`)
  return { identity: identityFromSeed(seed), isNew: true }
}

function readSeed(file: string): Uint8Array {
  try {
    const seed = parseObject(readFileSync(file))?.['seed']
    if (typeof seed === 'string' && seed.length === 2 * IDENTITY_SEED_BYTES) return fromHex(seed)
  } catch (caught) {
    if (codeOf(caught) === 'EACCES') throw caught
    // The content is dropped on purpose: nothing of an identity goes into a message.
  }
  throw new NodeError('IDENTITY_CORRUPT', `${file} holds no identity`)
}

function writeDurably(file: string, text: string): void {
  const temporary = `${file}.new`
  rmSync(temporary, { force: true })
  const handle = openSync(temporary, 'wx', 0o600)
  try {
    writeSync(handle, text)
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  renameSync(temporary, file)
  const folder = openSync(join(file, '..'), 'r')
  fsyncSync(folder)
  closeSync(folder)
}
