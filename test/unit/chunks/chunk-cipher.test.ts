/** Sealing: what comes back is what went in, and nothing else ever does. */
import { assert } from 'chai'
import fc from 'fast-check'
import { bytesEqual, concatBytes } from '../../../agent/base/bytes.ts'
import {
  ChunkCipher,
  type ChunkDescription,
  contentHash,
  FLAG_ZSTD,
} from '../../../agent/engines/chunks/chunk-cipher.ts'
import { noise, testKey } from '../disperse/fixture.ts'

const cipher = new ChunkCipher({ chunkId: testKey(1), chunkKey: testKey(2) })

describe('sealing chunks', () => {
  const plains: [string, Uint8Array, number][] = [
    ['noise', noise(70_000, 1), 0],
    ['zeros', new Uint8Array(70_000), FLAG_ZSTD],
    ['one byte', Uint8Array.of(9), 0],
    ['too few bytes to compress', new Uint8Array(100), 0],
    ['text', Buffer.from('block '.repeat(5000)), FLAG_ZSTD],
    ['the longest chunk', noise(256 * 1024, 2), 0],
  ]
  for (const [what, plain, flags] of plains) {
    it(`gives back ${what}, ${flags === 0 ? 'stored raw' : 'compressed'}`, () => {
      const { stored, chunk } = seal(plain)
      assert.equal(chunk.flags, flags)
      assert.equal(stored.byteLength, chunk.storedBytes)
      assert.ok(bytesEqual(cipher.open(stored, chunk)!, plain))
    })
  }

  it('stores equal chunks equally, and hides them from other keys', () => {
    const plain = Buffer.from('history '.repeat(1000))
    assert.ok(bytesEqual(seal(plain).stored, seal(plain).stored))
    const other = new ChunkCipher({ chunkId: testKey(1), chunkKey: testKey(3) })
    const { stored, chunk } = seal(plain)
    assert.isUndefined(other.open(stored, chunk))
    assert.isFalse(bytesEqual(seal(plain, other).stored, stored))
  })

  it('never uses one nonce for two payloads of one key', () => {
    // The key is that of the content; a compressor may write the same content in two ways.
    const plain = Buffer.from('history '.repeat(1000))
    const raw = seal(plain.subarray(0, 100)).stored
    const compressed = seal(plain).stored
    assert.isFalse(bytesEqual(compressed.subarray(0, 12), new Uint8Array(12)))
    assert.equal(raw.byteLength, 100 + 16)
  })

  it('opens nothing that was changed, at any byte', () => {
    for (const plain of [noise(3000, 3), Buffer.from('x'.repeat(3000))]) {
      const { stored, chunk } = seal(plain)
      fc.assert(
        fc.property(fc.nat(stored.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
          const bad = stored.slice()
          bad[at]! ^= flip
          assert.isUndefined(cipher.open(bad, chunk))
        }),
      )
    }
  })

  it('opens nothing of another length, flag, or hash', () => {
    const { stored, chunk } = seal(Buffer.from('y'.repeat(3000)))
    assert.isUndefined(cipher.open(stored.subarray(1), chunk))
    assert.isUndefined(cipher.open(concatBytes([stored, stored]), chunk))
    assert.isUndefined(cipher.open(stored, { ...chunk, flags: 0 }))
    assert.isUndefined(cipher.open(stored, { ...chunk, plainBytes: 2999 }))
    assert.isUndefined(cipher.open(stored, { ...chunk, hash: contentHash(Uint8Array.of(1)) }))
    assert.isUndefined(cipher.open(new Uint8Array(), { ...chunk, storedBytes: 0 }))
  })

  it('spends no more memory on a bomb than the table allows', () => {
    // Sealed with the right keys, but the table says that the plain chunk is short.
    const { stored, chunk } = seal(new Uint8Array(256 * 1024))
    assert.isUndefined(cipher.open(stored, { ...chunk, plainBytes: 1000 }))
  })
})

function seal(plain: Uint8Array, by = cipher): { stored: Uint8Array; chunk: ChunkDescription } {
  const hash = contentHash(plain)
  const { parts, storedBytes, flags } = by.seal(plain, hash)
  return {
    stored: concatBytes(parts),
    chunk: { hash, plainBytes: plain.byteLength, storedBytes, flags },
  }
}
