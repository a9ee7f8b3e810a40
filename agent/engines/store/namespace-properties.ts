/**
 * What a namespace is told to be, and the small files that keep it: one line of JSON and one line with its checksum, replaced
 * as a whole by a rename, so that a crash leaves the old or the new one. There are two, written one after the other, so that
 * a damaged one costs nothing: without its properties nobody may use a namespace.
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import type { Disk } from '../../base/disk.ts'
import { NodeError } from '../../base/errors.ts'
import type { Account } from '../../base/ids.ts'
import { replaceFile } from '../../base/replace-file.ts'
import { crc32c } from './crc32c.ts'
import type { SyncMode } from './ports.ts'

const FILE_NAMES = ['namespace.json', 'namespace.copy.json'] as const
/** Under this ending a file is kept that could not be read, when another is written in its place. */
const ASIDE = '.aside'
const FORMAT = 1
/** About 30 ms and 16 MiB a try: enough to make guessing slow, little enough for a server. */
const SCRYPT = { N: 16384, r: 8, p: 1 } as const
const HASH_BYTES = 32
const SALT_BYTES = 16
const FILE_BYTES_MAX = 16 * 1024 * 1024

/** A password as it is kept. */
export interface PasswordHash {
  /** Hexadecimal. */
  readonly salt: string
  /** scrypt of password and salt, hexadecimal. */
  readonly hash: string
}

/** A log that another one continues: the first `size` records are the same. */
export interface LogAncestor {
  readonly logId: string
  readonly size: number
}

/** The properties of a namespace. */
export interface NamespaceProperties {
  /** Bytes as latin1. */
  readonly name: string
  readonly mode: 'user' | 'seq'
  /** Bytes on disk at most, 0 for no limit. */
  readonly maxBytes: number
  /** No overwriting, no deleting. */
  readonly worm: boolean
  /** Readable without password. */
  readonly isPublic: boolean
  /** Read-only for now. */
  readonly isLocked: boolean
  /** Neither read nor written for now. */
  readonly isFrozen: boolean
  readonly password: PasswordHash | null
  readonly sync: SyncMode
  /** In whose words clients are answered here; `auto`: as each shows what it is. */
  readonly dialect: 'auto' | 'redis' | '0-db'
  /** Seconds for which replaced and deleted values stay readable; -1 for ever. */
  readonly historySeconds: number
  /** Seconds since 1970: what was replaced or deleted since then stays readable, however long; 0 for no such time. */
  readonly keptSince: number
  /** Whether records are committed to a Merkle mountain range. */
  readonly isProvable: boolean
  readonly writers: readonly Account[]
  readonly readers: readonly Account[]
  /** Names the log, hexadecimal: its copies have the same name, what continues it on its own has another. Empty: none yet. */
  readonly logId: string
  /** The logs that this one continues, oldest first. */
  readonly ancestors: readonly LogAncestor[]
  /** Takes records from its primary and from nobody else. */
  readonly isReplica: boolean
  /** Has or had replicas: compaction keeps deletions, because one that was away must still hear of them. */
  readonly isReplicated: boolean
  /** Is being imported: a store that finds it so when it is opened removes it, because nobody was told that it exists. */
  readonly isPartial: boolean
}

/**
 * Properties of a namespace that nobody said anything about.
 *
 * @param name - Bytes as latin1.
 * @param overrides - What differs.
 * @returns Public, writable, without limit.
 * @example
 * defaultProperties('a', { mode: 'seq' })
 */
export function defaultProperties(
  name: string,
  overrides: Partial<NamespaceProperties> = {},
): NamespaceProperties {
  return {
    name,
    mode: 'user',
    maxBytes: 0,
    worm: false,
    isPublic: true,
    isLocked: false,
    isFrozen: false,
    password: null,
    sync: 'group',
    dialect: 'auto',
    historySeconds: -1,
    keptSince: 0,
    isProvable: false,
    writers: [],
    readers: [],
    logId: '',
    ancestors: [],
    isReplica: false,
    isReplicated: false,
    isPartial: false,
    ...overrides,
  }
}

/** Properties as they were found. */
export interface FoundProperties {
  readonly properties: NamespaceProperties
  /** What is wrong with one of the files; undefined where both say the same. */
  readonly problem: string | undefined
}

/**
 * Reads the properties kept in a directory: those of the first file, else those of its copy.
 *
 * @param disk - The disk.
 * @param directory - Directory of the namespace.
 * @returns Them, or undefined if there is neither file.
 * @throws NodeError `LOG_FORMAT_UNKNOWN` if neither can be used: damaged, missing, or newer than this program.
 */
export function readProperties(disk: Disk, directory: string): FoundProperties | undefined {
  const [first, copy] = FILE_NAMES.map((name) => readOne(disk, `${directory}/${name}`))
  if (first === undefined && copy === undefined) return undefined
  const found = isRead(first) ? first : copy
  if (!isRead(found)) {
    throw new NodeError('LOG_FORMAT_UNKNOWN', [first, copy].filter((one) => one).join(', '))
  }
  const others = [first, copy].filter((one) => one !== found)
  const problem = others.map((one) => describeOther(one, found)).find((one) => one !== undefined)
  return { properties: found.properties, problem }
}

interface ReadProperties {
  readonly properties: NamespaceProperties
  readonly json: string
}

const isRead = (one: ReadProperties | string | undefined): one is ReadProperties =>
  typeof one === 'object'

function describeOther(
  other: ReadProperties | string | undefined,
  found: ReadProperties,
): string | undefined {
  if (other === undefined) return 'one of the two files is missing'
  if (typeof other === 'string') return other
  return other.json === found.json ? undefined : 'the two files differ'
}

/** @returns What a file says, in words what is wrong with it, or undefined if it is not there. */
function readOne(disk: Disk, path: string): ReadProperties | string | undefined {
  if (!disk.exists(path)) return undefined
  const file = disk.open(path, 'read')
  try {
    const size = file.sizeBytes
    if (size > FILE_BYTES_MAX) return `${path} is too long`
    const bytes = Buffer.alloc(size)
    file.read(bytes, 0)
    const [json = '', sum = ''] = bytes.toString('utf8').split('\n')
    if (checksum(json) !== sum) return `${path} is damaged`
    const { format, ...properties } = JSON.parse(json) as NamespaceProperties & { format: number }
    if (format !== FORMAT) return `${path}: format ${format}`
    // Files of earlier builds lack what was added since.
    return { properties: { ...defaultProperties(properties.name), ...properties }, json }
  } finally {
    file.close()
  }
}

/**
 * Keeps files that cannot be read under other names, before others are written in their place.
 *
 * @param disk - The disk.
 * @param directory - Directory of the namespace.
 * @throws NodeError `DISK_*`.
 */
export function setPropertiesAside(disk: Disk, directory: string): void {
  for (const name of FILE_NAMES) {
    const path = `${directory}/${name}`
    if (typeof readOne(disk, path) === 'string') disk.rename(path, `${path}${ASIDE}`)
  }
}

/**
 * Writes properties durably.
 *
 * @param disk - The disk.
 * @param directory - Directory of the namespace; exists.
 * @param properties - What to keep.
 * @throws NodeError `DISK_*`.
 */
export async function writeProperties(
  disk: Disk,
  directory: string,
  properties: NamespaceProperties,
): Promise<void> {
  const json = JSON.stringify({ format: FORMAT, ...properties })
  const bytes = Buffer.from(`${json}\n${checksum(json)}\n`)
  for (const name of FILE_NAMES) await replaceFile(disk, directory, name, bytes)
}

/**
 * Makes the form in which a password is kept; costs 30 ms of another thread.
 *
 * @param password - Any bytes.
 * @returns Salt and hash.
 * @example
 * const kept = await hashPassword(Buffer.from('secret'))
 */
export async function hashPassword(password: Uint8Array): Promise<PasswordHash> {
  const salt = randomBytes(SALT_BYTES)
  const hash = await scryptOf(password, salt)
  return { salt: salt.toString('hex'), hash: hash.toString('hex') }
}

/**
 * Checks a password, in constant time.
 *
 * @param password - What was given.
 * @param kept - What was kept.
 * @returns True if it is the one.
 * @example
 * await isPassword(Buffer.from('secret'), kept)
 */
export async function isPassword(password: Uint8Array, kept: PasswordHash): Promise<boolean> {
  const hash = await scryptOf(password, Buffer.from(kept.salt, 'hex'))
  return timingSafeEqual(hash, Buffer.from(kept.hash, 'hex'))
}

/** On a thread of the process' pool: nobody else waits for it. */
function scryptOf(password: Uint8Array, salt: Uint8Array): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  scrypt(password, salt, HASH_BYTES, SCRYPT, (failure, hash) => {
    if (failure) reject(failure)
    else resolve(hash)
  })
  return promise
}

function checksum(json: string): string {
  const bytes = Buffer.from(json)
  return crc32c(bytes, 0, bytes.byteLength).toString(16).padStart(8, '0')
}
