/**
 * Cuts bytes where their content says so, so that equal content gives equal chunks wherever it stands.
 *
 * FastCDC's shape: no cut in the first 16 KiB, a strict limit up to 64 KiB, a loose one up to 256 KiB (normalised
 * chunking). The 64 bytes before the first place of a cut are hashed too, so a cut depends on the last 64 bytes only. The
 * gear table is derived from the volume's key: lengths of chunks tell nothing to who does not have it.
 */
import { createHmac, type KeyObject } from 'node:crypto'
import { compileKernel, type Kernel } from '../../base/kernel.ts'
import { KIB } from '../../base/units.ts'
import { GEAR } from './kernel/gear-wasm.ts'
import type { ByteSource } from './ports.ts'

/** Shortest chunk, but for the end of a range. */
export const CHUNK_BYTES_MIN = 16 * KIB
/** Where the strict limit ends; close to the mean length. */
export const CHUNK_BYTES_NORMAL = 64 * KIB
/** Longest chunk. */
export const CHUNK_BYTES_MAX = 256 * KIB

/** Bytes that a 64-bit gear hash remembers. */
export const GEAR_WINDOW_BYTES = 64
/** Chance of a cut is 2^-18 a byte before the normal length ... */
export const STRICT_LIMIT = 1n << 46n
/** ... and 2^-14 after it: two bits to either side of the mean, FastCDC's normalisation level 2. */
export const LOOSE_LIMIT = 1n << 50n

/** Bytes read from a source at a time: several chunks, within the second-level cache. */
const WINDOW_BYTES = 1024 * KIB

const TABLE_BYTES = 256 * 8
const TABLE_AT = 64
const WINDOW_AT = 4096

type FindCut = (
  table: number,
  warmFrom: number,
  from: number,
  normal: number,
  end: number,
  strictLimit: bigint,
  looseLimit: bigint,
) => number

let compiled: Kernel | undefined

/**
 * Derives the gear table of a volume.
 *
 * @param key - The volume's `chunk-id` key.
 * @returns `[256]` words.
 */
export function gearTable(key: KeyObject): BigUint64Array {
  const table = new BigUint64Array(256)
  for (let first = 0; first < 256; first += 4) {
    const words = createHmac('sha256', key).update(`varve/gear/1/${first}`).digest()
    for (let index = 0; index < 4; index++) table[first + index] = words.readBigUInt64LE(index * 8)
  }
  return table
}

/** Cuts ranges of bytes, one at a time. */
export class Cutter {
  readonly #window: Uint8Array<ArrayBuffer>
  readonly #findCut: FindCut

  /** @param table - `[256]` words of {@link gearTable}. */
  constructor(table: BigUint64Array) {
    compiled ??= compileKernel([GEAR])
    const { memory, entry } = compiled.instantiate(WINDOW_AT + WINDOW_BYTES)
    new BigUint64Array(memory, TABLE_AT, TABLE_BYTES / 8).set(table)
    this.#window = new Uint8Array(memory, WINDOW_AT, WINDOW_BYTES)
    this.#findCut = entry<FindCut>('findCut')
  }

  /**
   * Cuts a range.
   *
   * @param source - The range.
   * @yields Views of the chunks in order, `1..256 KiB` each; a view is good until the next is asked for, and the cutter
   *   is not to be used for another range before this one ends.
   */
  *cut(source: ByteSource): Generator<Uint8Array<ArrayBuffer>> {
    let read = 0
    let start = 0
    let end = 0
    while (start < end || read < source.lengthBytes) {
      if (end - start < CHUNK_BYTES_MAX && read < source.lengthBytes) {
        this.#window.copyWithin(0, start, end)
        end -= start
        start = 0
        const more = Math.min(WINDOW_BYTES - end, source.lengthBytes - read)
        source.read(read, this.#window.subarray(end, end + more))
        read += more
        end += more
      }
      const length = this.#firstChunk(start, end)
      yield this.#window.subarray(start, start + length)
      start += length
    }
  }

  #firstChunk(start: number, end: number): number {
    const length = Math.min(end - start, CHUNK_BYTES_MAX)
    if (length <= CHUNK_BYTES_MIN) return length
    const at = WINDOW_AT + start
    const cut = this.#findCut(
      TABLE_AT,
      at + CHUNK_BYTES_MIN - GEAR_WINDOW_BYTES,
      at + CHUNK_BYTES_MIN,
      at + Math.min(CHUNK_BYTES_NORMAL, length),
      at + length,
      STRICT_LIMIT,
      LOOSE_LIMIT,
    )
    return cut - at
  }
}
