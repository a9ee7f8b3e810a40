/**
 * The data directory of a node: its lock, its identity, and the places of its units.
 *
 * The kernel holds the lock, so there is no stale one to clean up. `agent.lock` says who, for people.
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
  writeSync,
} from 'node:fs'
import { isAbsolute, join, resolve } from 'node:path'
import { fromHex, toHex } from '../../base/bytes.ts'
import { codeOf, describeError, isNodeError, NodeError } from '../../base/errors.ts'
import { IDENTITY_SEED_BYTES, type Identity, identityFromSeed } from '../../base/identity.ts'
import { parseObject } from '../../base/json.ts'
import { lockDirectory } from '../kernel/directory-lock.ts'
import { giveUpMountPoint } from './mount-claims.ts'

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
  const unlock = lock(root)
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
 * Removes what a mount kept locally, and its mount point.
 *
 * @param dataDir - Absolute path of the data directory.
 * @param name - Unit name of the mount, `mount-<order>`; others are refused.
 */
export async function discardMount(dataDir: string, name: string): Promise<void> {
  const order = /^mount-([1-9][0-9]*)$/.exec(name)?.[1]
  if (order === undefined || !isAbsolute(dataDir)) return
  await giveUpMountPoint(dataDir, order)
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

function lock(root: string): () => void {
  try {
    return lockDirectory(root, 'agent.lock')
  } catch (cause) {
    if (!isNodeError(cause, 'DISK_LOCKED')) throw cause
    throw new NodeError('AGENT_ALREADY_RUNNING', cause.message, { details: cause.details })
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
