/**
 * Bytes of the chunk table: whole (snapshot) and as changes; what travels inside the signed commits.
 *
 * Neighbours in a pack form a run: its place is written once and each row takes 35 to 39 bytes. Limits are checked before
 * memory is spent, because a reader may get bytes of a writer that it does not trust.
 *
 * ```text
 * changes  = version kind=1 next runs releases forgotten      next: number of the first added chunk
 * snapshot = version kind=2 next runs drained                 next: number that the next chunk gets
 * runs     = count (gap pack offset count (stored plain flags hash[32])*)*
 * others   = count number*
 * ```
 */
import { ByteReader, ByteWriter } from '../../base/byte-codec.ts'
import { MIB } from '../../base/units.ts'
import { FLAGS_KNOWN, HASH_BYTES, STORED_OVERHEAD_BYTES } from './chunk-cipher.ts'
import { CHUNKS_MAX, type ChunkRow } from './chunk-table.ts'
import { CHUNK_BYTES_MAX } from './cutter.ts'

/** Bytes of stored chunks in a pack at most (docs/design/0001, section 7). */
export const PACK_BYTES_MAX = 4 * MIB

const VERSION = 1
const KIND_CHANGES = 1
const KIND_SNAPSHOT = 2
const ROW_BYTES_MIN = 3 + HASH_BYTES
const RUN_BYTES_MIN = 4 + ROW_BYTES_MIN
const PACK_MAX = 0xffffffff

/** What one commit changes. */
export interface ChunkChanges {
  /** Chunks that are new, numbered one after another from `next`. */
  readonly added: readonly ChunkRow[]
  /** Chunks that nothing refers to any more. */
  readonly released: readonly number[]
  /** Empty packs whose release the pack store has taken over. */
  readonly forgotten: readonly number[]
}

/** Writes changes. */
export function encodeChanges(next: number, changes: ChunkChanges): Uint8Array {
  const writer = new ByteWriter().byte(VERSION).byte(KIND_CHANGES).integer(next)
  writeRuns(writer, next, changes.added)
  writeNumbers(writer, changes.released)
  writeNumbers(writer, changes.forgotten)
  return writer.finish()
}

/** Reads changes. @throws NodeError `CHUNK_TABLE_INVALID`. */
export function decodeChanges(bytes: Uint8Array): ChunkChanges & { readonly next: number } {
  const reader = open(bytes, KIND_CHANGES)
  const next = reader.integer(CHUNKS_MAX)
  const added = [...readRuns(reader, next)]
  added.forEach((row, index) => {
    if (row.number !== next + index) throw reader.fault('added chunks leave a gap')
  })
  const released = readNumbers(reader, CHUNKS_MAX)
  const forgotten = readNumbers(reader, PACK_MAX)
  reader.end()
  return { next, added, released, forgotten }
}

/** Writes a whole table. @param rows - In ascending order of number, all below `next`. */
export function encodeSnapshot(
  next: number,
  rows: Iterable<ChunkRow>,
  drained: readonly number[],
): Uint8Array {
  const writer = new ByteWriter().byte(VERSION).byte(KIND_SNAPSHOT).integer(next)
  writeRuns(writer, 0, rows)
  writeNumbers(writer, drained)
  return writer.finish()
}

/**
 * Reads a whole table.
 *
 * @param add - Called with each row in ascending order; the hash is a view.
 * @throws NodeError `CHUNK_TABLE_INVALID`.
 */
export function decodeSnapshot(
  bytes: Uint8Array,
  add: (row: ChunkRow) => void,
): { next: number; drained: number[] } {
  const reader = open(bytes, KIND_SNAPSHOT)
  const next = reader.integer(CHUNKS_MAX)
  for (const row of readRuns(reader, 0)) {
    if (row.number >= next) throw reader.fault('a chunk has a number that was never given')
    add(row)
  }
  const drained = readNumbers(reader, PACK_MAX)
  reader.end()
  return { next, drained }
}

function open(bytes: Uint8Array, kind: number): ByteReader {
  const reader = new ByteReader(bytes, 'CHUNK_TABLE_INVALID')
  if (reader.byte() !== VERSION) throw reader.fault('the version is not known')
  if (reader.byte() !== kind) throw reader.fault('it is of another kind')
  return reader
}

function writeRuns(writer: ByteWriter, first: number, rows: Iterable<ChunkRow>): void {
  const runs: ByteWriter[] = []
  let run: { head: [number, number, number]; rows: ByteWriter; count: number } | undefined
  let expected = { number: first, pack: -1, offset: -1 }
  const close = () => {
    if (run === undefined) return
    const [gap, pack, offset] = run.head
    runs.push(new ByteWriter().integer(gap).integer(pack).integer(offset).integer(run.count))
    runs.push(run.rows)
  }
  for (const row of rows) {
    const gap = row.number - expected.number
    if (!run || gap !== 0 || row.pack !== expected.pack || row.offset !== expected.offset) {
      close()
      run = { head: [gap, row.pack, row.offset], rows: new ByteWriter(), count: 0 }
    }
    run.rows.integer(row.storedBytes).integer(row.plainBytes).byte(row.flags).bytes(row.hash)
    run.count++
    expected = { number: row.number + 1, pack: row.pack, offset: row.offset + row.storedBytes }
  }
  close()
  writer.integer(runs.length / 2)
  for (const part of runs) writer.bytes(part.finish())
}

function* readRuns(reader: ByteReader, first: number): Generator<ChunkRow> {
  const runs = reader.count(RUN_BYTES_MIN)
  let number = first
  for (let run = 0; run < runs; run++) {
    number += reader.integer(CHUNKS_MAX)
    const pack = reader.integer(PACK_MAX)
    let offset = reader.integer(PACK_BYTES_MAX)
    const count = reader.count(ROW_BYTES_MIN)
    for (let index = 0; index < count; index++) {
      const row = readRow(reader, number, pack, offset)
      yield row
      number++
      offset += row.storedBytes
    }
  }
}

function readRow(reader: ByteReader, number: number, pack: number, offset: number): ChunkRow {
  const storedBytes = reader.integer(CHUNK_BYTES_MAX + STORED_OVERHEAD_BYTES)
  const plainBytes = reader.integer(CHUNK_BYTES_MAX)
  const flags = reader.byte()
  const hash = reader.bytes(HASH_BYTES)
  if (number > CHUNKS_MAX) throw reader.fault('a chunk number is too great')
  if (plainBytes === 0 || storedBytes === 0) throw reader.fault('a chunk is empty')
  if ((flags & ~FLAGS_KNOWN) !== 0) throw reader.fault('a flag is not known')
  if (offset + storedBytes > PACK_BYTES_MAX) throw reader.fault('a chunk ends beyond its pack')
  return { number, pack, offset, storedBytes, plainBytes, flags, hash }
}

function writeNumbers(writer: ByteWriter, numbers: readonly number[]): void {
  writer.integer(numbers.length)
  for (const number of numbers) writer.integer(number)
}

function readNumbers(reader: ByteReader, max: number): number[] {
  return Array.from({ length: reader.count(1) }, () => reader.integer(max))
}
