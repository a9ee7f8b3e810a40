/** The erasure code: vectors of other implementations, an independent reference, and every loss that m parity shards cover. */
import { createHash } from 'node:crypto'
import { assert } from 'chai'
import fc from 'fast-check'
import { bytesEqual } from '../../../agent/base/bytes.ts'
import { ErasureCode } from '../../../agent/engines/disperse/erasure-code.ts'
import { multiply } from '../../../agent/engines/disperse/galois.ts'
import { kernelVariant, Stripe, shardBytesOf } from '../../../agent/engines/disperse/stripe.ts'
import { interpolate, slowMultiply } from './reed-solomon-reference.ts'

const KERNELS = ['best', 'plain'] as const

describe('Reed-Solomon', () => {
  it('multiplies as the definition of the field does', () => {
    for (let a = 0; a < 256; a++) {
      for (let b = 0; b < 256; b++) {
        if (multiply(a, b) !== slowMultiply(a, b)) assert.fail(`${a} times ${b}`)
      }
    }
  })

  it('uses relaxed SIMD on the pinned runtime', () => {
    assert.equal(kernelVariant(), 'relaxed')
  })

  for (const kernel of KERNELS) {
    it(`gives the parity of the Rust crate's own test (${kernel})`, () => {
      // reed-solomon-erasure, tests/mod.rs, test_one_encode: 5 + 5 shards of two bytes.
      const data = [0, 1, 4, 5, 2, 3, 6, 7, 8, 9]
      const want = [12, 13, 10, 11, 14, 15, 90, 91, 94, 95]
      const stripe = new Stripe(new ErasureCode(5, 5), 64, kernel)
      const pack = new Uint8Array(5 * 64)
      for (let shard = 0; shard < 5; shard++)
        pack.set(data.slice(2 * shard, 2 * shard + 2), shard * 64)
      stripe.encode(pack)
      const got = [5, 6, 7, 8, 9].flatMap((shard) => [...stripe.shard(shard, 2)])
      assert.deepEqual(got, want)
    })

    // Computed with the Rust crate compiled to WebAssembly; data byte i is (31 i + 7 (i >> 8) + k) mod 256.
    const vectors = [
      [4, 2, 64, '62c24efd29e6dd07d4df6e05e4d7f5cdef65dd93ca5634bde0b351f8eaae4032'],
      [16, 4, 64, '1d2c9338427040a1b54ec72080ba8fa3b31e8f0efdcacdc7de63aec3e2a7aab1'],
      [29, 51, 64, 'f194075262fa091cb36d1c984431c6aa19f7ec975894217bfc24a8b66a97d587'],
      [10, 4, 192, 'abea50478226c795d187ebd19c0d0a9c6a76b4e02f17675d1bfde1be5c1b8059'],
      [200, 55, 64, '0b04cb2eac5d1d621a3bed5d0693808202e62173d08b678edb6c6de5fc74ad17'],
    ] as const
    for (const [k, m, length, want] of vectors) {
      it(`gives the parity of the Rust crate for ${k} + ${m} (${kernel})`, () => {
        const stripe = new Stripe(new ErasureCode(k, m), length, kernel)
        stripe.encode(Uint8Array.from({ length: k * length }, (_, i) => 31 * i + 7 * (i >> 8) + k))
        const hash = createHash('sha256')
        for (let shard = k; shard < k + m; shard++) hash.update(stripe.shard(shard, length))
        assert.equal(hash.digest('hex'), want)
      })
    }

    it(`agrees with interpolation for any code and data (${kernel})`, () => {
      fc.assert(
        fc.property(
          anyCode,
          fc.integer({ min: 1, max: 40_000 }),
          fc.nat(),
          ([k, m], size, seed) => {
            const pack = noise(size, seed)
            const shardBytes = shardBytesOf(size, k)
            const stripe = new Stripe(new ErasureCode(k, m), shardBytes, kernel)
            assert.equal(stripe.encode(pack), shardBytes)
            const known = shardsOf(stripe, k, shardBytes).map((bytes, shard) => ({ shard, bytes }))
            for (let shard = k; shard < k + m; shard++) {
              assertSame(stripe.shard(shard, shardBytes), interpolate(known, shard))
            }
          },
        ),
        { numRuns: 15 },
      )
    })
  }

  it('gives back every shard for every loss pattern of small codes', () => {
    for (const [k, m] of [
      [1, 0],
      [1, 1],
      [1, 3],
      [2, 1],
      [2, 2],
      [3, 2],
      [4, 2],
      [3, 5],
      [5, 3],
      [4, 4],
    ] as const) {
      const code = new ErasureCode(k, m)
      const stripe = new Stripe(code, 128)
      stripe.encode(noise(k * 128 - 5, k * 16 + m))
      const before = copyOfAll(stripe, k + m, 128)
      for (let present = 0; present < 1 << (k + m); present++) {
        const inputs = bitsOf(present, k + m)
        if (inputs.length !== k) continue
        loseAndDecode(stripe, code, inputs, before, 128)
      }
    }
  })

  it('gives back any m shards of random large codes', () => {
    fc.assert(
      fc.property(anyLargeCode, fc.nat(), ([k, m], seed) => {
        const code = new ErasureCode(k, m)
        const stripe = new Stripe(code, 192)
        stripe.encode(noise(k * 192, seed))
        const inputs = shuffled(k + m, seed).slice(0, k)
        loseAndDecode(stripe, code, inputs, copyOfAll(stripe, k + m, 192), 192)
      }),
      { numRuns: 25 },
    )
  })

  it('decodes a column range without touching the rest', () => {
    const code = new ErasureCode(4, 2)
    const stripe = new Stripe(code, 64 * 300)
    stripe.encode(noise(4 * 64 * 300, 9))
    const want = stripe.shard(1, 64 * 300).slice()
    stripe.shard(1, 64 * 300).fill(0xee)
    stripe.decode([0, 2, 3, 5], [1], 64 * 7)
    assertSame(stripe.shard(1, 64 * 7), want.subarray(0, 64 * 7))
    assert.ok(
      stripe
        .shard(1, 64 * 300)
        .subarray(64 * 7)
        .every((byte) => byte === 0xee),
    )
  })

  it('keeps decode plans for the patterns seen last', () => {
    const code = new ErasureCode(3, 2)
    const plan = code.decoding([0, 1, 4], [2])
    assert.strictEqual(code.decoding([0, 1, 4], [2]), plan)
    assert.notStrictEqual(code.decoding([0, 1, 3], [2]), plan)
  })
})

const anyCode = fc.tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 9 }))
const anyLargeCode = fc
  .integer({ min: 21, max: 255 })
  .chain((n) => fc.integer({ min: 1, max: n - 1 }).map((k) => [k, n - k] as const))

function loseAndDecode(
  stripe: Stripe,
  code: ErasureCode,
  inputs: readonly number[],
  before: readonly Uint8Array[],
  bytes: number,
): void {
  const lost = before.map((_, shard) => shard).filter((shard) => !inputs.includes(shard))
  for (const shard of lost) stripe.shard(shard, bytes).fill(0xaa)
  stripe.decode(inputs, lost, bytes)
  before.forEach((want, shard) => {
    assertSame(stripe.shard(shard, bytes), want)
  })
  assert.equal(lost.length, code.parityShards)
}

function assertSame(got: Uint8Array, want: Uint8Array): void {
  assert.ok(bytesEqual(got, want), 'the bytes are the same')
}

function shardsOf(stripe: Stripe, count: number, bytes: number): Uint8Array[] {
  return Array.from({ length: count }, (_, shard) => stripe.shard(shard, bytes))
}

function copyOfAll(stripe: Stripe, count: number, bytes: number): Uint8Array[] {
  return shardsOf(stripe, count, bytes).map((shard) => shard.slice())
}

function bitsOf(mask: number, count: number): number[] {
  return Array.from({ length: count }, (_, bit) => bit).filter((bit) => (mask >> bit) & 1)
}

function noise(size: number, seed: number): Uint8Array {
  let state = seed | 1
  return Uint8Array.from({ length: size }, () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state
  })
}

function shuffled(count: number, seed: number): number[] {
  const keys = noise(count * 2, seed + 77)
  return Array.from({ length: count }, (_, index) => index).sort(
    (a, b) => keys[a * 2]! * 256 + keys[a * 2 + 1]! - (keys[b * 2]! * 256 + keys[b * 2 + 1]!),
  )
}
