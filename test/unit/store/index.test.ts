/** The indexes against a plain map, and checksums against known ones. */
import { crc32c as native } from '@node-rs/crc32'
import { assert } from 'chai'
import fc from 'fast-check'
import { crc32c } from '../../../agent/engines/store/crc32c.ts'
import { keyIndex } from '../../../agent/engines/store/key-index.ts'
import { seqIndex, seqKeyOf, seqNumberOf } from '../../../agent/engines/store/seq-index.ts'

interface Place {
  segment: number
  offset: number
  isDeleted: boolean
}

/** Few distinct keys, so that they meet, and of all lengths. */
const anyKey = fc.oneof(
  fc.integer({ min: 0, max: 300 }).map((n) => Buffer.from(`key ${n}`)),
  fc.uint8Array({ minLength: 1, maxLength: 3 }).map((bytes) => Buffer.from(bytes)),
  fc.integer({ min: 1, max: 255 }).map((length) => Buffer.alloc(length, 7)),
)

describe('key index', () => {
  it('holds what a map holds, whatever is added, replaced, marked deleted and removed', () => {
    const step = fc.tuple(anyKey, fc.constantFrom('put', 'put', 'put', 'mark', 'remove'))
    fc.assert(
      fc.property(fc.array(step, { maxLength: 1500 }), fc.integer(), (steps, seed) => {
        const index = keyIndex(seed >>> 0)
        const model = new Map<string, Place>()
        steps.forEach(([key, act], at) => {
          const name = key.toString('latin1')
          let entry = index.find(key, 0, key.length)
          assert.equal(entry >= 0, model.has(name))
          if (act === 'remove') {
            if (entry >= 0) index.remove(entry)
            model.delete(name)
            return
          }
          if (entry < 0) entry = index.add(key, 0, key.length)
          const isDeleted = act === 'mark'
          index.place(entry, at + 1, at * 8, at, at * 3, isDeleted)
          model.set(name, { segment: at + 1, offset: at * 8, isDeleted })
        })
        const live = [...model].filter(([, place]) => !place.isDeleted).map(([name]) => name)
        assert.equal(index.liveKeys, live.length)
        for (const [name, place] of model) {
          const key = Buffer.from(name, 'latin1')
          const entry = index.find(key, 0, key.length)
          assert.equal(index.segmentOf(entry), place.segment)
          assert.equal(index.offsetOf(entry), place.offset)
          assert.equal(index.isDeleted(entry), place.isDeleted)
          assert.equal(index.keyBytesOf(entry), key.length)
        }
        const walked: string[] = []
        for (let entry = index.nextEntry(0); entry >= 0; entry = index.nextEntry(entry + 1)) {
          walked.push(Buffer.from(index.keyOf(entry)).toString('latin1'))
        }
        assert.deepEqual(walked.sort(), [...model.keys()].sort())
        const listed = index.listKeys(Buffer.from('key '), undefined, 20)
        const expected = live.filter((name) => name.startsWith('key ')).sort()
        assert.deepEqual(
          listed.map((key) => Buffer.from(key).toString('latin1')),
          expected.slice(0, 20),
        )
      }),
      { numRuns: 200 },
    )
  })

  it('costs at most 64 bytes a key beyond the key', () => {
    const KEYS = 300_000
    const index = keyIndex(1)
    const key = Buffer.alloc(16)
    for (let at = 0; at < KEYS; at++) {
      key.writeUInt32LE(at, 0)
      index.place(index.add(key, 0, 16), 1, at, 1, 1, false)
    }
    assert.isAtMost(index.memoryBytes / KEYS - 16, 64)
  })

  // The first key decides whether keys lie in their entries, so those that follow are of its kind or of the other. Tables grow
  // at 393,216 keys; 524,288 fill their chunks, which are held whole: 19 and 20 take 75 bytes right after the tables grew.
  for (const [first, others, keys] of [
    [16, 16, 420_000],
    [32, 32, 420_000],
    [7, 19, 420_000],
    [19, 20, 524_288],
    [20, 7, 420_000],
  ] as const) {
    it(`costs as little with ${keys} keys of ${others} bytes after one of ${first}`, () => {
      const index = keyIndex(1)
      index.place(index.add(Buffer.alloc(first, 1), 0, first), 1, 1, 1, 1, false)
      const key = Buffer.alloc(others)
      for (let at = 1; at < keys; at++) {
        key.writeUInt32LE(at, 0)
        index.place(index.add(key, 0, others), 1, at, 1, 1, false)
      }
      assert.isAtMost(index.memoryBytes / keys - others, 64)
    })
  }
})

describe('sequential index', () => {
  it('finds what was placed, also far apart, and lists in order', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 0, max: 400_000 }), { maxLength: 60 }),
        (all) => {
          const index = seqIndex()
          for (const number of all) {
            const key = seqKeyOf(number)
            index.place(index.add(key, 0, 8), 1, number, 1, 1, false)
          }
          for (const number of all) {
            const key = seqKeyOf(number)
            assert.equal(index.find(key, 0, 8), number)
            assert.equal(seqNumberOf(key, 0, 8), number)
          }
          for (const number of [1, 99, 65_536, 400_001]) {
            if (!all.includes(number)) assert.equal(index.find(seqKeyOf(number), 0, 8), -1)
          }
          const listed = index.listKeys(new Uint8Array(0), undefined, 100)
          assert.deepEqual(
            listed.map((key) => seqNumberOf(key, 0, 8)),
            [...all].sort((a, b) => a - b),
          )
        },
      ),
    )
  })
})

describe('crc32c', () => {
  it('is the one of RFC 3720, for any part of any length, in one piece or several', () => {
    assert.equal(crc32c(Buffer.from('123456789'), 0, 9), 0xe3069283)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), fc.nat(600), (bytes, cut) => {
        const at = Math.min(cut, bytes.length)
        const whole = native(bytes)
        assert.equal(crc32c(bytes, 0, bytes.length), whole)
        assert.equal(crc32c(bytes, at, bytes.length, crc32c(bytes, 0, at)), whole)
      }),
    )
  })
})
