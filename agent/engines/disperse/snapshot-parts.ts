/**
 * Snapshots on metadata stores: parts of 1 MiB and, last, a header that says how they belong together.
 *
 * The header is sealed by the writer and holds a hash for each part. So a store can claim nothing of its own, each part is
 * checked as it comes, whichever store it comes from, and memory is spent only on what a writer signed. Headers of older
 * volumes are not sealed (version 1): what they claim is bounded, and such snapshots are tried last and within a time.
 */
import { hash } from 'node:crypto'
import { ByteReader, ByteWriter } from '../../base/byte-codec.ts'
import { bytesEqual, concatBytes } from '../../base/bytes.ts'
import { isNodeError } from '../../base/errors.ts'
import { GIB, MIB } from '../../base/units.ts'
import { listAll } from './metadata-store.ts'
import type { RecordSeal, ShardStore } from './ports.ts'
import { COMMITS, SNAPSHOTS, sequenceOf, snapshotKey } from './shard-key.ts'

/** Bytes of one part of a snapshot. */
export const SNAPSHOT_PART_BYTES = MIB
/** Bytes of a snapshot at most. */
export const SNAPSHOT_BYTES_MAX = 2 * GIB
/** Bytes believed of a header that nobody sealed, by a volume whose size is not known. */
export const UNSEALED_BYTES_MAX = 256 * MIB
/** Snapshots kept: the newest may turn out unreadable. */
export const SNAPSHOTS_KEPT = 2
const MAGIC = 0x48
const SEALED_VERSION = 2
const PLAIN_VERSION = 1
const HASH_BYTES = 32

/** What belongs to a snapshot. */
export interface SnapshotHeader {
  readonly sequence: number
  readonly lengthBytes: number
  readonly digest: Uint8Array
  /** SHA-256 of each part, undefined in a header that nobody sealed. */
  readonly partHashes: readonly Uint8Array[] | undefined
}

/** The header of a snapshot, with its sealed bytes. */
export function sealHeader(seal: RecordSeal, sequence: number, bytes: Uint8Array): Uint8Array {
  const plain = new ByteWriter()
    .byte(MAGIC)
    .byte(SEALED_VERSION)
    .integer(bytes.byteLength)
    .bytes(hash('sha256', bytes, 'buffer'))
  for (let part = 0; part < partsOf(bytes.byteLength); part++) {
    plain.bytes(hash('sha256', partAt(bytes, part), 'buffer'))
  }
  return seal.seal(sequence, plain.finish())
}

/** Bytes of one part. @param part - From 0. */
export function partAt(bytes: Uint8Array, part: number): Uint8Array {
  return bytes.subarray(part * SNAPSHOT_PART_BYTES, (part + 1) * SNAPSHOT_PART_BYTES)
}

/** Parts of a snapshot. */
export function partsOf(lengthBytes: number): number {
  return Math.ceil(lengthBytes / SNAPSHOT_PART_BYTES)
}

/**
 * Opens a header.
 *
 * @param plainBytesMax - Bytes believed of a header that nobody sealed.
 * @returns Undefined if it is none: such a store has no snapshot.
 */
export function openHeader(
  seal: RecordSeal,
  sequence: number,
  bytes: Uint8Array,
  plainBytesMax: number,
): SnapshotHeader | undefined {
  return (
    openSealed(seal, sequence, bytes) ??
    (bytes[0] === PLAIN_VERSION ? openPlain(sequence, bytes, plainBytesMax) : undefined)
  )
}

/** Whether a part is what the header says. */
export function isPartRight(header: SnapshotHeader, part: number, bytes: Uint8Array): boolean {
  const left = header.lengthBytes - part * SNAPSHOT_PART_BYTES
  if (bytes.byteLength !== Math.min(SNAPSHOT_PART_BYTES, left)) return false
  const expected = header.partHashes?.[part]
  return expected === undefined || bytesEqual(hash('sha256', bytes, 'buffer'), expected)
}

/** Puts parts together. @returns Undefined if together they are not the snapshot. */
export function joinParts(
  header: SnapshotHeader,
  parts: readonly Uint8Array[],
): Uint8Array | undefined {
  const bytes = concatBytes(parts)
  return bytesEqual(hash('sha256', bytes, 'buffer'), header.digest) ? bytes : undefined
}

/** Stores a snapshot on one store; the header goes last: who has it has everything. */
export async function putSnapshotOn(
  store: ShardStore,
  sequence: number,
  bytes: Uint8Array,
  header: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  for (let part = 0; part < partsOf(bytes.byteLength); part++) {
    await store.put(snapshotKey(sequence, part + 1), partAt(bytes, part), signal)
  }
  await store.put(snapshotKey(sequence, 0), header, signal)
}

/** The newest headers that a store shows, as they are. */
export async function headersOf(
  store: ShardStore,
  signal: AbortSignal,
): Promise<{ sequence: number; bytes: Uint8Array }[]> {
  const keys = (await listAll(store, SNAPSHOTS, signal)).filter(isHeaderKey).slice(-SNAPSHOTS_KEPT)
  const found: { sequence: number; bytes: Uint8Array }[] = []
  for (const key of keys) {
    const bytes = await store.get(key, signal)
    const sequence = sequenceOf(key)
    if (bytes !== undefined && sequence !== undefined) found.push({ sequence, bytes })
  }
  return found
}

/** Deletes what only snapshots older than the kept ones need; nothing while there are not enough. */
export async function prune(store: ShardStore, signal: AbortSignal): Promise<void> {
  const snapshotKeys = await listAll(store, SNAPSHOTS, signal)
  const headers = snapshotKeys.filter(isHeaderKey).map((key) => sequenceOf(key) ?? 0)
  const kept = headers.slice(-SNAPSHOTS_KEPT)
  const oldest = kept[0]
  if (oldest === undefined || kept.length < SNAPSHOTS_KEPT) return
  // Headers sort before their parts, so a torn removal leaves no header without parts.
  for (const key of snapshotKeys)
    if ((sequenceOf(key) ?? 0) < oldest) await store.delete(key, signal)
  for (const key of await listAll(store, COMMITS, signal)) {
    if ((sequenceOf(key) ?? Number.MAX_SAFE_INTEGER) > oldest) break
    await store.delete(key, signal)
  }
}

/** Whether a key is that of a snapshot's header. */
export function isHeaderKey(key: Uint8Array): boolean {
  return key.byteLength === 13 && key.subarray(9).every((byte) => byte === 0)
}

function openSealed(
  seal: RecordSeal,
  sequence: number,
  bytes: Uint8Array,
): SnapshotHeader | undefined {
  try {
    const reader = new ByteReader(seal.open(sequence, bytes), 'SNAPSHOT_TOO_LARGE')
    if (reader.byte() !== MAGIC || reader.byte() !== SEALED_VERSION) return undefined
    const lengthBytes = reader.integer(SNAPSHOT_BYTES_MAX)
    const digest = reader.bytes(HASH_BYTES).slice()
    const partHashes: Uint8Array[] = []
    for (let part = 0; part < partsOf(lengthBytes); part++) {
      partHashes.push(reader.bytes(HASH_BYTES).slice())
    }
    reader.end()
    return { sequence, lengthBytes, digest, partHashes }
  } catch (caught) {
    if (isNodeError(caught)) return undefined
    throw caught
  }
}

function openPlain(
  sequence: number,
  bytes: Uint8Array,
  bytesMax: number,
): SnapshotHeader | undefined {
  try {
    const reader = new ByteReader(bytes, 'SNAPSHOT_TOO_LARGE')
    reader.byte()
    const lengthBytes = reader.integer(bytesMax)
    const digest = reader.bytes(HASH_BYTES).slice()
    reader.end()
    return { sequence, lengthBytes, digest, partHashes: undefined }
  } catch (caught) {
    if (isNodeError(caught)) return undefined
    throw caught
  }
}
