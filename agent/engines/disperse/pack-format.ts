/**
 * Bytes of the pack table: whole (snapshot) and as changes; what travels inside the signed commits.
 *
 * ```text
 * changes  = version kind=1 shards generations next packs(added) touched released erased
 * snapshot = version kind=2 shards generations next packs(all)
 * generations = count (slot generation)*
 * packs    = count (gap state id[16] length missing[ceil(shards/8)] hashes[32 * shards])*
 * touched  = count (number missing[..])*
 * ```
 */
import { ByteReader, ByteWriter } from '../../base/byte-codec.ts'
import { MIB } from '../../base/units.ts'

/** Bytes of a pack at most (docs/design/0001, section 7). */
export const PACK_BYTES_MAX = 4 * MIB
/** Bytes of a pack's name in the stores. */
export const PACK_ID_BYTES = 16
/** Bytes of a shard's hash. */
export const SHARD_HASH_BYTES = 32

const VERSION = 1
const KIND_CHANGES = 1
const KIND_SNAPSHOT = 2
const NUMBER_MAX = 0xffffffff
const GENERATION_MAX = Number.MAX_SAFE_INTEGER

/** What is known of a pack. */
export interface PackRecord {
  readonly number: number
  readonly id: Uint8Array
  readonly lengthBytes: number
  /** One bit a shard, lowest first: set where the slot's present generation does not hold it. */
  readonly missing: Uint8Array
  /** SHA-256 of each shard, one after another. */
  readonly hashes: Uint8Array
  /** Nothing refers to it in a durable commit; its shards are being deleted. */
  isReleased: boolean
}

/** What one commit changes. */
export interface PackChanges {
  readonly generations: readonly (readonly [slot: number, generation: number])[]
  /** Number of the first added pack. */
  readonly next: number
  readonly added: readonly PackRecord[]
  readonly touched: readonly Pick<PackRecord, 'number' | 'missing'>[]
  readonly released: readonly number[]
  readonly erased: readonly number[]
}

/** The whole table. */
export interface PackSnapshot {
  readonly generations: readonly (readonly [slot: number, generation: number])[]
  /** Number that the next pack gets. */
  readonly next: number
  readonly packs: readonly PackRecord[]
}

/** Writes changes. @param shards - k + m of the volume. */
export function encodeChanges(shards: number, changes: PackChanges): Uint8Array {
  const writer = new ByteWriter().byte(VERSION).byte(KIND_CHANGES).integer(shards)
  writeGenerations(writer, changes.generations)
  writer.integer(changes.next)
  writePacks(writer, changes.next, changes.added)
  writer.integer(changes.touched.length)
  for (const { number, missing } of changes.touched) writer.integer(number).bytes(missing)
  writeNumbers(writer, changes.released)
  writeNumbers(writer, changes.erased)
  return writer.finish()
}

/** Reads changes; all arrays are copies. @throws NodeError `PACK_TABLE_INVALID`. */
export function decodeChanges(shards: number, bytes: Uint8Array): PackChanges {
  const reader = open(shards, bytes, KIND_CHANGES)
  const generations = readGenerations(reader, shards)
  const next = reader.integer(NUMBER_MAX)
  const added = readPacks(reader, shards, next)
  added.forEach((pack, index) => {
    if (pack.number !== next + index) throw reader.fault('added packs leave a gap')
  })
  const touched = Array.from({ length: reader.count(1 + missingBytes(shards)) }, () => ({
    number: reader.integer(NUMBER_MAX),
    missing: readMissing(reader, shards),
  }))
  const released = readNumbers(reader)
  const erased = readNumbers(reader)
  reader.end()
  return { generations, next, added, touched, released, erased }
}

/** Writes the whole table. @param table - Its packs in ascending order of number. */
export function encodeSnapshot(shards: number, table: PackSnapshot): Uint8Array {
  const writer = new ByteWriter().byte(VERSION).byte(KIND_SNAPSHOT).integer(shards)
  writeGenerations(writer, table.generations)
  writer.integer(table.next)
  writePacks(writer, 0, table.packs)
  return writer.finish()
}

/** Reads the whole table; all arrays are copies. @throws NodeError `PACK_TABLE_INVALID`. */
export function decodeSnapshot(shards: number, bytes: Uint8Array): PackSnapshot {
  const reader = open(shards, bytes, KIND_SNAPSHOT)
  const generations = readGenerations(reader, shards)
  const next = reader.integer(NUMBER_MAX)
  const packs = readPacks(reader, shards, 0)
  if ((packs.at(-1)?.number ?? -1) >= next) throw reader.fault('a pack has a number never given')
  reader.end()
  return { generations, next, packs }
}

/** Bytes of the set of missing shards. */
export function missingBytes(shards: number): number {
  return Math.ceil(shards / 8)
}

function open(shards: number, bytes: Uint8Array, kind: number): ByteReader {
  const reader = new ByteReader(bytes, 'PACK_TABLE_INVALID')
  if (reader.byte() !== VERSION) throw reader.fault('the version is not known')
  if (reader.byte() !== kind) throw reader.fault('it is of another kind')
  if (reader.integer(255) !== shards) throw reader.fault('it is of another code')
  return reader
}

function writeGenerations(writer: ByteWriter, list: PackChanges['generations']): void {
  writer.integer(list.length)
  for (const [slot, generation] of list) writer.integer(slot).integer(generation)
}

function readGenerations(reader: ByteReader, shards: number): [number, number][] {
  return Array.from({ length: reader.count(2) }, () => [
    reader.integer(shards - 1),
    reader.integer(GENERATION_MAX),
  ])
}

function writePacks(writer: ByteWriter, first: number, packs: readonly PackRecord[]): void {
  writer.integer(packs.length)
  let expected = first
  for (const pack of packs) {
    writer.integer(pack.number - expected).byte(pack.isReleased ? 1 : 0)
    writer.bytes(pack.id).integer(pack.lengthBytes).bytes(pack.missing).bytes(pack.hashes)
    expected = pack.number + 1
  }
}

function readPacks(reader: ByteReader, shards: number, first: number): PackRecord[] {
  const bytesMin = 3 + PACK_ID_BYTES + missingBytes(shards) + shards * SHARD_HASH_BYTES
  let number = first
  return Array.from({ length: reader.count(bytesMin) }, () => {
    number += reader.integer(NUMBER_MAX)
    if (number > NUMBER_MAX) throw reader.fault('a pack number is too great')
    const state = reader.byte()
    if (state > 1) throw reader.fault('a state is not known')
    const id = reader.bytes(PACK_ID_BYTES).slice()
    const lengthBytes = reader.integer(PACK_BYTES_MAX)
    if (lengthBytes === 0) throw reader.fault('a pack is empty')
    const missing = readMissing(reader, shards)
    const hashes = reader.bytes(shards * SHARD_HASH_BYTES).slice()
    return { number: number++, id, lengthBytes, missing, hashes, isReleased: state === 1 }
  })
}

function readMissing(reader: ByteReader, shards: number): Uint8Array {
  const missing = reader.bytes(missingBytes(shards)).slice()
  const used = shards % 8
  if (used !== 0 && (missing.at(-1) ?? 0) >> used !== 0) throw reader.fault('no such shard')
  return missing
}

function writeNumbers(writer: ByteWriter, numbers: readonly number[]): void {
  writer.integer(numbers.length)
  for (const number of numbers) writer.integer(number)
}

function readNumbers(reader: ByteReader): number[] {
  return Array.from({ length: reader.count(1) }, () => reader.integer(NUMBER_MAX))
}
