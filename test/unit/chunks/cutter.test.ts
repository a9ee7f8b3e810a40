/** Cutting: the kernel against the reference, and what content-defined cutting promises. */
import { assert } from 'chai'
import fc from 'fast-check'
import { concatBytes } from '../../../agent/base/bytes.ts'
import { KIB, MIB } from '../../../agent/base/units.ts'
import {
  CHUNK_BYTES_MAX,
  CHUNK_BYTES_MIN,
  Cutter,
  gearTable,
} from '../../../agent/engines/chunks/cutter.ts'
import { noise, sourceOf, testKey } from '../disperse/fixture.ts'
import { cutReference } from './gear-reference.ts'

const table = gearTable(testKey(1))

describe('cutting', () => {
  const inputs: [string, Uint8Array][] = [
    ['noise', noise(900_001, 1)],
    ['zeros', new Uint8Array(600_000)],
    ['a pattern', Uint8Array.from({ length: 500_000 }, (_, at) => (at * at) >> 5)],
    ['text', Buffer.from('the quick brown fox '.repeat(20_000))],
    ['one byte', Uint8Array.of(7)],
    ['the shortest chunk', noise(CHUNK_BYTES_MIN, 2)],
    ['one byte more', noise(CHUNK_BYTES_MIN + 1, 3)],
    ['five bytes more', noise(CHUNK_BYTES_MIN + 5, 4)],
    ['nothing', new Uint8Array()],
  ]
  for (const [what, bytes] of inputs) {
    it(`cuts ${what} as the reference does`, () => {
      assert.deepEqual(lengths(bytes), cutReference(table, bytes))
    })
  }

  it('cuts any end as the reference does', () => {
    const bytes = noise(300_000, 5)
    fc.assert(
      fc.property(fc.integer({ min: 0, max: bytes.length }), (size) => {
        const part = bytes.subarray(0, size)
        assert.deepEqual(lengths(part), cutReference(table, part))
      }),
      { numRuns: 20 },
    )
  })

  it('gives back all bytes in order, whatever the window holds', () => {
    const bytes = noise(5 * MIB + 333, 6)
    const chunks = [...new Cutter(table).cut(sourceOf(bytes))].map((chunk) => chunk.slice())
    const copies: Uint8Array[] = []
    for (const chunk of new Cutter(table).cut(sourceOf(bytes))) copies.push(chunk.slice())
    assert.ok(Buffer.from(concatBytes(copies)).equals(Buffer.from(bytes)))
    assert.equal(chunks.length, copies.length)
  })

  it('keeps within its limits and near the mean', () => {
    const cut = lengths(noise(24 * MIB, 7))
    for (const length of cut.slice(0, -1)) {
      assert.isAbove(length, CHUNK_BYTES_MIN)
      assert.isAtMost(length, CHUNK_BYTES_MAX)
    }
    const mean = (24 * MIB) / cut.length
    assert.isAbove(mean, 56 * KIB)
    assert.isBelow(mean, 88 * KIB)
  })

  it('finds the same cuts again after bytes were put in front', () => {
    const bytes = noise(4 * MIB, 8)
    const before = ends(bytes)
    const shift = 12_345
    const after = new Set(ends(concatBytes([noise(shift, 9), bytes])).map((end) => end - shift))
    const kept = before.filter((end) => after.has(end)).length
    assert.isAbove(kept / before.length, 0.9)
  })

  it('cuts elsewhere under another key', () => {
    const bytes = noise(2 * MIB, 10)
    const other = new Set(ends(bytes, gearTable(testKey(2))))
    assert.isBelow(ends(bytes).filter((end) => other.has(end)).length, 3)
  })

  it('never reads a range twice nor beyond its end', () => {
    const bytes = noise(3 * MIB + 1, 11)
    let next = 0
    const source = {
      lengthBytes: bytes.length,
      read(offset: number, into: Uint8Array) {
        assert.equal(offset, next)
        next += into.byteLength
        into.set(bytes.subarray(offset, offset + into.byteLength))
      },
    }
    for (const _ of new Cutter(table).cut(source)) assert.isAtMost(next, bytes.length)
    assert.equal(next, bytes.length)
  })
})

function lengths(bytes: Uint8Array, of = table): number[] {
  return Array.from(new Cutter(of).cut(sourceOf(bytes)), (chunk) => chunk.byteLength)
}

function ends(bytes: Uint8Array, of = table): number[] {
  let end = 0
  return lengths(bytes, of).map((length) => (end += length))
}
