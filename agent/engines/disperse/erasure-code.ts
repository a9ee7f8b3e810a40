/**
 * The code of a volume: which bytes of parity belong to k data shards, and how any k shards give back any other.
 *
 * Systematic Vandermonde over GF(2^8): row r, column c of the raw matrix is r^c, then the top square is made the identity.
 * The Rust crate `reed-solomon-erasure` (0-stor, zstor) and Backblaze's library do the same, so shards are byte-compatible.
 */
import { assert, required } from '../../base/assert.ts'
import { invertMatrix, type Matrix, multiply, multiplyMatrices, power } from './galois.ts'

/** Shards of a pack at most: one slot index is a byte, and 0xff is kept free. */
export const SHARDS_MAX = 255

/** Outputs that one pass of the kernel computes. */
export const OUTPUTS_PER_PASS = 4

/** Bytes of the nibble tables of one coefficient. */
export const COEFFICIENT_TABLES_BYTES = 32

/** Decode plans kept: loss patterns change with the state of slots, not with every read. */
const PLANS_MAX = 64

/** What the kernel needs to compute some shards out of k others. */
export interface CodingPlan {
  /** `[k]` shards to read, in the order of the tables. */
  readonly inputs: readonly number[]
  /** Shards to compute. */
  readonly outputs: readonly number[]
  /** Tables of the passes of up to four outputs, one after another; a pass is input by input, output by output. */
  readonly tables: Uint8Array
}

/** The erasure code of one volume. */
export class ErasureCode {
  readonly dataShards: number
  readonly parityShards: number
  /** Data and parity shards together. */
  readonly totalShards: number
  /** `[k + m, k]`; the first k rows are the identity. */
  readonly matrix: Matrix
  readonly #encoding: CodingPlan
  readonly #plans = new Map<string, CodingPlan>()

  /**
   * @param dataShards - k, `>= 1`.
   * @param parityShards - m, `>= 0`; k + m is at most 255.
   * @throws AssertionError outside these bounds: the ledger's order was checked before.
   */
  constructor(dataShards: number, parityShards: number) {
    assert(Number.isInteger(dataShards) && dataShards >= 1, 'at least one data shard')
    assert(Number.isInteger(parityShards) && parityShards >= 0, 'parity shards are counted')
    assert(dataShards + parityShards <= SHARDS_MAX, 'a code has at most 255 shards')
    this.dataShards = dataShards
    this.parityShards = parityShards
    this.totalShards = dataShards + parityShards
    this.matrix = systematicVandermonde(this.totalShards, dataShards)
    const inputs = Array.from({ length: dataShards }, (_, index) => index)
    const outputs = Array.from({ length: parityShards }, (_, index) => dataShards + index)
    this.#encoding = { inputs, outputs, tables: buildTables(this.#rows(outputs), dataShards) }
  }

  /** Plan that computes the parity shards out of the data shards. */
  get encoding(): CodingPlan {
    return this.#encoding
  }

  /**
   * Plan that computes shards out of k others; kept for the loss patterns seen last.
   *
   * @param inputs - `[k]` distinct shards that are there.
   * @param outputs - Shards to compute, distinct, none of them in `inputs`.
   */
  decoding(inputs: readonly number[], outputs: readonly number[]): CodingPlan {
    assert(inputs.length === this.dataShards, 'decoding takes exactly k shards')
    const key = `${inputs.join()}>${outputs.join()}`
    const known = this.#plans.get(key)
    if (known !== undefined) return known

    const inverted = required(invertMatrix(this.#rows(inputs)), 'any k rows are independent')
    const rows = multiplyMatrices(this.#rows(outputs), inverted)
    const plan = { inputs, outputs, tables: buildTables(rows, this.dataShards) }
    if (this.#plans.size >= PLANS_MAX) {
      for (const oldest of this.#plans.keys()) {
        this.#plans.delete(oldest)
        break
      }
    }
    this.#plans.set(key, plan)
    return plan
  }

  #rows(shards: readonly number[]): Matrix {
    return shards.map((shard) => required(this.matrix[shard], 'a shard has a row'))
  }
}

function systematicVandermonde(rows: number, columns: number): Matrix {
  const raw = Array.from({ length: rows }, (_, row) =>
    Uint8Array.from({ length: columns }, (_, column) => power(row, column)),
  )
  const top = required(invertMatrix(raw.slice(0, columns)), 'a Vandermonde matrix has an inverse')
  return multiplyMatrices(raw, top)
}

function buildTables(rows: Matrix, columns: number): Uint8Array {
  const tables = new Uint8Array(rows.length * columns * COEFFICIENT_TABLES_BYTES)
  let at = 0
  for (let first = 0; first < rows.length; first += OUTPUTS_PER_PASS) {
    const pass = rows.slice(first, first + OUTPUTS_PER_PASS)
    for (let column = 0; column < columns; column++) {
      for (const row of pass) {
        const coefficient = row[column] ?? 0
        for (let nibble = 0; nibble < 16; nibble++) {
          tables[at + nibble] = multiply(coefficient, nibble)
          tables[at + 16 + nibble] = multiply(coefficient, nibble << 4)
        }
        at += COEFFICIENT_TABLES_BYTES
      }
    }
  }
  return tables
}
