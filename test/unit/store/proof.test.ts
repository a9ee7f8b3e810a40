/** Proofs about logs: made by the range, believed by the verifier, and never when changed. */
import { readFileSync, writeFileSync } from 'node:fs'
import { assert } from 'chai'
import fc from 'fast-check'
import { bytesRoot } from '../../../agent/base/bytes-root.ts'
import { hashPair, mixInLength } from '../../../agent/base/hash-blocks.ts'
import {
  computeRoots,
  recordRoot,
  verifyConsistency,
  verifyInclusion,
} from '../../../agent/engines/store/index.ts'
import { MountainRange } from '../../../agent/engines/store/tree/mountain-range.ts'
import { faultDisk } from '../../support/fault-disk.ts'
import { proofVectors, sampleRange, vectorsAsSolidity } from '../../support/log-proof-vectors.ts'
import { openTestStore } from '../../support/log-store.ts'
import { seededChance } from '../../support/seeded-chance.ts'

const SOLIDITY = new URL('../../solidity/support/LogProofVectors.sol', import.meta.url)

describe('proofs about a log', () => {
  it('shows every record to be in every later log, and no other', () => {
    const range = sampleRange(40)
    for (let size = 1; size <= 40; size++) {
      for (let index = 0; index < size; index++) {
        const path = range.inclusion(index, size)
        const root = range.root(size)
        assert.isTrue(verifyInclusion(root, size, index, range.leaf(index), path))
        assert.isFalse(verifyInclusion(root, size, index, range.leaf((index + 1) % 40), path))
        assert.isFalse(verifyInclusion(root, size + 1, index, range.leaf(index), path))
        if (size > 1) {
          const other = (index + 1) % size
          assert.isFalse(verifyInclusion(root, size, other, range.leaf(index), path))
        }
      }
    }
  })

  it('shows every log to be the beginning of every later one', () => {
    const range = sampleRange(40)
    const other = sampleRange(40)
    for (let size2 = 1; size2 <= 40; size2++) {
      for (let size1 = 1; size1 <= size2; size1++) {
        const path = range.consistency(size1, size2)
        assert.isTrue(
          verifyConsistency(range.root(size1), size1, range.root(size2), size2, path),
          `${size1} in ${size2}`,
        )
        const wrong = Buffer.from(other.root(size1))
        wrong[5] = (wrong[5] ?? 0) ^ 1
        assert.isFalse(verifyConsistency(wrong, size1, range.root(size2), size2, path))
      }
    }
  })

  it('is not fooled by a changed, shortened or lengthened path', () => {
    const range = sampleRange(64)
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 64 }),
        fc.nat(63),
        fc.nat(255),
        fc.nat(2),
        (size, at, bit, how) => {
          const index = at % size
          const path = range.inclusion(index, size).map((node) => node.slice())
          const victim = path[bit % path.length]
          if (how === 0 && victim) victim[bit % 32] = (victim[bit % 32] ?? 0) ^ (1 << (bit % 8))
          if (how === 1) path.pop()
          if (how === 2) path.push(new Uint8Array(32))
          assert.isFalse(verifyInclusion(range.root(size), size, index, range.leaf(index), path))
        },
      ),
    )
  })

  it('gives the same range whether leaves come one by one or many at once', () => {
    const single = sampleRange(50)
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 6 }), (runs) => {
        const range = new MountainRange(faultDisk(seededChance(1)), 'tree', 0)
        for (const run of runs) {
          const count = Math.min(run, 50 - range.leaves)
          const leaves = Array.from({ length: count }, (_, at) => single.leaf(range.leaves + at))
          if (count > 0) range.append(Buffer.concat(leaves))
        }
        const size = range.leaves
        assert.deepEqual(Buffer.from(range.root(size)), Buffer.from(single.root(size)))
        for (let index = 0; index < size; index++) {
          assert.deepEqual(range.inclusion(index, size), single.inclusion(index, size))
        }
      }),
    )
  })

  it('commits to every byte of key and value, their lengths, the kind and the time', () => {
    const base = { kind: 1, key: Buffer.from('a'), value: Buffer.alloc(33), timeSeconds: 7 }
    const changed = [
      base,
      { ...base, kind: 2 },
      { ...base, key: Buffer.from('b') },
      { ...base, key: Buffer.from('a\0') },
      { ...base, value: Buffer.alloc(34) },
      { ...base, value: Buffer.alloc(64) },
      { ...base, value: Buffer.alloc(65) },
      { ...base, value: Buffer.alloc(0) },
      { ...base, timeSeconds: 8 },
    ]
    const roots = changed.map((one) => Buffer.from(recordRoot(one)).toString('hex'))
    assert.equal(new Set(roots).size, changed.length)
  })

  it('makes byte strings trees in the manner of SSZ', () => {
    const [a, b, c] = [1, 2, 3].map((byte) => Buffer.alloc(32, byte))
    const value = Buffer.concat([a!, b!, c!])
    const expected = hashPair(hashPair(a!, b!), hashPair(c!, new Uint8Array(32)))
    assert.deepEqual(Buffer.from(bytesRoot(value)), Buffer.from(mixInLength(expected, 96)))
  })

  it('computes the roots of a segment as one by one', async () => {
    const { store, disk } = await openTestStore()
    const namespace = await store.create('a')
    const sizes = [0, 1, 31, 32, 33, 100, 1000, 4096, 4097, 70_000]
    sizes.forEach((size, at) => {
      const key = Buffer.from(`k${at}`)
      namespace.set(key, 0, key.length, Buffer.alloc(size, at), 0, size, 1000 + at)
    })
    namespace.log.flush()
    const { roots } = computeRoots(disk, {
      path: 'ns/n-a/00000001.0.seg',
      fromOffset: 64,
      toOffset: Number.MAX_SAFE_INTEGER,
      firstSerial: 0,
    })
    const expected = sizes.map((size, at) =>
      recordRoot({
        kind: 1,
        key: Buffer.from(`k${at}`),
        value: Buffer.alloc(size, at),
        timeSeconds: 1000 + at,
      }),
    )
    assert.deepEqual(Buffer.from(roots), Buffer.concat(expected))
  })

  it('accepts the vectors that the Solidity verifier is run on, and they are those', () => {
    const vectors = proofVectors()
    for (const { root, size, index, leaf, path } of vectors.inclusions) {
      assert.isTrue(verifyInclusion(root, size, index, leaf, path))
    }
    for (const { root1, size1, root2, size2, path } of vectors.consistencies) {
      assert.isTrue(verifyConsistency(root1, size1, root2, size2, path))
    }
    const text = vectorsAsSolidity(vectors)
    if (process.env['UPDATE_GOLDEN']) writeFileSync(SOLIDITY, text)
    assert.equal(readFileSync(SOLIDITY, 'utf8'), text)
  })
})
