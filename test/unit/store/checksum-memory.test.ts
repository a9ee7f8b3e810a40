/** The checksum kernel agrees with the definition of CRC-32C, and its memory is handed out without overlap. */
import { assert } from 'chai'
import fc from 'fast-check'
import { required } from '../../../agent/base/assert.ts'
import { KIB, MIB } from '../../../agent/base/units.ts'
import { ChecksumMemory, GRAIN_BYTES } from '../../../agent/engines/store/checksum-memory.ts'
import { crc32c } from '../../../agent/engines/store/crc32c.ts'
import { BufferPool } from '../../../agent/engines/store/resp/buffer-pool.ts'
import { FAR_DISTANCES, NEAR_DISTANCES } from '../../../scripts/wasm/checksum-fold.ts'

/** Bit by bit, as the polynomial is written down. */
function byDefinition(bytes: Uint8Array, initial = 0): number {
  let crc = ~initial
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  }
  return ~crc >>> 0
}

/** `x^(8 n)` modulo the generator, highest power in the highest bit. */
function powerOfByte(n: number): number {
  let power = 1
  for (let bit = 0; bit < 8 * n; bit++) power = (power << 1) ^ (power < 0 ? 0x1edc6f41 : 0)
  return power >>> 0
}

describe('checksum memory', () => {
  const memory = required(ChecksumMemory.make(), 'there is address space')
  const piece = required(memory.take(256 * KIB), 'it has room')
  for (let at = 0; at < piece.byteLength; at++) piece[at] = Math.imul(at, 0x9e3779b1) >>> 23

  it('moves bytes by relations that hold modulo the generator', () => {
    for (const distances of [FAR_DISTANCES, NEAR_DISTANCES]) {
      const reach = Math.max(...distances)
      const sum = distances.reduce((all, one) => all ^ powerOfByte(reach - one), 0)
      assert.equal(sum >>> 0, powerOfByte(reach))
    }
  })

  it('agrees with the definition at every length and place', () => {
    const short = fc.integer({ min: 0, max: KIB })
    const near = fc.integer({ min: 0, max: 9 * KIB })
    const far = fc.integer({ min: 0, max: 200 * KIB })
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 4 * KIB }),
        fc.oneof(short, near, far),
        fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2 ** 32 - 1 })),
        (start, lengthBytes, initial) => {
          const part = piece.subarray(start, start + lengthBytes)
          assert.equal(
            crc32c(piece, start, start + lengthBytes, initial),
            byDefinition(part, initial),
          )
        },
      ),
      { numRuns: 300 },
    )
  })

  it('agrees at the lengths where its way changes', () => {
    for (const edge of [64, 640, 8 * KIB, 64 * KIB, 65 * KIB, 128 * KIB, 129 * KIB]) {
      for (let lengthBytes = edge - 17; lengthBytes <= edge + 80; lengthBytes++) {
        const copy = Buffer.from(piece.subarray(3, 3 + lengthBytes))
        assert.equal(crc32c(piece, 3, 3 + lengthBytes), crc32c(copy, 0, lengthBytes))
      }
    }
  })

  it('leaves what it reads unchanged', () => {
    const before = Buffer.from(piece)
    crc32c(piece, 0, piece.byteLength)
    assert.isTrue(before.equals(piece))
  })

  it('hands out pieces that do not overlap, and joins what comes back', () => {
    const own = required(ChecksumMemory.make(), 'there is address space')
    const size = fc.integer({ min: 1, max: 3 * MIB })
    fc.assert(
      fc.property(
        fc.array(fc.record({ size, gives: fc.nat() }), { minLength: 1, maxLength: 80 }),
        (steps) => {
          const out: Buffer[] = []
          for (const step of steps) {
            const taken = own.take(step.size)
            if (taken) {
              assert.equal(taken.byteLength, step.size)
              out.push(taken)
            }
            if (step.gives % 2 === 0) {
              const [back] = out.splice(step.gives % out.length, 1)
              if (back) own.give(back)
            }
            const places = out.map((one) => [one.byteOffset, one.byteOffset + one.byteLength])
            places.sort((a, b) => (a[0] as number) - (b[0] as number))
            for (const [at, place] of places.entries()) {
              const end = places[at - 1]?.[1] ?? 0
              assert.isAtLeast(place[0] as number, end)
            }
          }
          for (const one of out) own.give(one)
          const whole = own.take(64 * MIB)
          assert.isDefined(whole)
          if (whole) own.give(whole)
        },
      ),
    )
  })

  it('is what a pool hands out, and what it has beyond that is ordinary memory', () => {
    const pool = new BufferPool()
    const all = Array.from({ length: 40 }, () => pool.take(2 * MIB))
    const inside = all.filter((one) => ChecksumMemory.of(one.buffer) !== undefined)
    assert.equal(inside.length, 31)
    assert.isTrue(all.every((one) => one.byteLength === 2 * MIB + GRAIN_BYTES))
    for (const one of all) pool.give(one)
    assert.equal(pool.outBytes, 0)
    // Another size gets the memory that lies idle.
    assert.isDefined(ChecksumMemory.of(pool.take(5 * MIB).buffer))
  })
})
