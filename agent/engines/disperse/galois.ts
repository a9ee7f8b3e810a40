/**
 * Arithmetic in GF(2^8) with the polynomial 0x11D, and matrices over it: what the erasure code is made of.
 *
 * Only coefficients pass through here (some hundred a stripe); bytes of shards go through the kernel.
 */
import { assert, required } from '../../base/assert.ts'

/** x^8 + x^4 + x^3 + x^2 + 1, in which 2 generates every non-zero element. */
const POLYNOMIAL = 0x11d

const EXP = new Uint8Array(510)
const LOG = new Uint8Array(256)
fillTables()

/** A matrix by rows. */
export type Matrix = readonly Uint8Array[]

/**
 * Product of two elements.
 *
 * @param a - `0..255`.
 * @param b - `0..255`.
 */
export function multiply(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : at(EXP, at(LOG, a) + at(LOG, b))
}

/** Inverse of a non-zero element. @param a - `1..255`. */
export function inverse(a: number): number {
  assert(a !== 0, 'zero has no inverse')
  return at(EXP, 255 - at(LOG, a))
}

/** `base` to the power `exponent`; 0 to the power 0 is 1. @param exponent - `>= 0`. */
export function power(base: number, exponent: number): number {
  if (exponent === 0) return 1
  return base === 0 ? 0 : at(EXP, (at(LOG, base) * exponent) % 255)
}

/**
 * Product of two matrices.
 *
 * @param a - `[n, k]`.
 * @param b - `[k, p]`.
 * @returns `[n, p]`.
 */
export function multiplyMatrices(a: Matrix, b: Matrix): Matrix {
  const columns = b[0]?.length ?? 0
  return a.map((row) => {
    const out = new Uint8Array(columns)
    for (let inner = 0; inner < row.length; inner++) {
      const factor = at(row, inner)
      const other = required(b[inner], 'columns of the left are rows of the right')
      for (let column = 0; column < columns; column++) {
        out[column] = at(out, column) ^ multiply(factor, at(other, column))
      }
    }
    return out
  })
}

/**
 * Inverse of a matrix, by Gauss and Jordan.
 *
 * @param matrix - `[n, n]`, not changed.
 * @returns `[n, n]`, or undefined if it has none.
 */
export function invertMatrix(matrix: Matrix): Matrix | undefined {
  const size = matrix.length
  const work = matrix.map((row, index) => {
    const wide = new Uint8Array(2 * size)
    wide.set(row)
    wide[size + index] = 1
    return wide
  })
  for (let column = 0; column < size; column++) {
    const pivot = work.findIndex((row, index) => index >= column && at(row, column) !== 0)
    if (pivot < 0) return undefined
    const row = swap(work, pivot, column)
    scale(row, inverse(at(row, column)))
    for (let other = 0; other < size; other++) {
      const target = work[other]
      if (target !== undefined && other !== column) addScaled(target, row, at(target, column))
    }
  }
  return work.map((row) => row.slice(size))
}

function swap(rows: Uint8Array[], from: number, to: number): Uint8Array {
  const row = rows[from]
  const other = rows[to]
  assert(row !== undefined && other !== undefined, 'both rows exist')
  rows[from] = other
  rows[to] = row
  return row
}

function scale(row: Uint8Array, factor: number): void {
  for (let index = 0; index < row.length; index++) row[index] = multiply(at(row, index), factor)
}

function addScaled(target: Uint8Array, row: Uint8Array, factor: number): void {
  if (factor === 0) return
  for (let index = 0; index < row.length; index++) {
    target[index] = at(target, index) ^ multiply(at(row, index), factor)
  }
}

function at(bytes: Uint8Array, index: number): number {
  return bytes[index] ?? 0
}

function fillTables(): void {
  let element = 1
  for (let exponent = 0; exponent < 255; exponent++) {
    EXP[exponent] = element
    EXP[exponent + 255] = element
    LOG[element] = exponent
    element <<= 1
    if (element & 0x100) element ^= POLYNOMIAL
  }
}
