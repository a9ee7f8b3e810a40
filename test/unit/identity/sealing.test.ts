/** Identities are stable for ever, and what is sealed opens for one node and one purpose only. */
import { createHash } from 'node:crypto'
import { assert } from 'chai'
import fc from 'fast-check'
import { toHex } from '../../../agent/base/bytes.ts'
import { codeOf } from '../../../agent/base/errors.ts'
import { identityFromSeed, SEALING_KEY_BYTES } from '../../../agent/base/identity.ts'
import {
  open,
  SEAL_CONTEXT_BYTES_MAX,
  SEAL_OVERHEAD_BYTES,
  SEALED_PLAIN_BYTES_MAX,
  seal,
} from '../../../agent/base/sealing.ts'

const alice = identityFromSeed(new Uint8Array(32).fill(1))
const bob = identityFromSeed(new Uint8Array(32).fill(2))

const SEALED_BY_VERSION_1 = [
  'ATMTysI8fHEzHwdyTJqhcFLlt2OPuUWC9VBJu/ybozV4YrIQVK4U6akfOYWYdYkKCcvxsNJTjGtekAOXEeXzJWD3hE',
  'ajYTp0rZbkJT0QbBGS+Adwtsvi+0g2lATaVSEzpSvHEKH52zwaeW468x/1JlFNHxsc3xzrKPN8KDw7GU3+HJhKAMI3',
  'DiS7GeVEPRYUS6amJ1hj20bMwtWpDPARMLJTnsuy9AYJRJ2fXDM4TdxvKz5ipCMWxbgnL8wrg72EMzpDEXDYUbZnCP',
  'gV3fzOWhWYOnUJp8rMEIg/dU+kQ6p7UtQDYFpwh/VD1uqfmvBWDvyzyU9cReNNuvY1jgiBFNUHCc/oOox+WGO8GV18',
  'CFSzGBRQFUB5PGwGc1pmajvvH6UCABj255uG8TI5vORtLy3ZCFRmEBxMJTj+GfRV7+hQgyET/pFfaN1642n3Cwvm6F',
  'R8NJnNX3DztrqzoTrWSxX8D3thAAkdVVVDcBg4mLxi9i1xCbKJm3vjkWCFzn7oKg4neUTc6zyUjvcrxzHcfkhOQrK7',
  '0pIfCg12Mdj0mbYghrr3SZKKu1D85LCt1tmq+KKL4i04CtHa8L+vPfq8fAz/M0YnU2pjR8Xwlo+Z9stiI7WGxrC+st',
  'enkBTlR5XZYFbwzNr7ZhjY9czxwC3vdSTmdwff9msbnLrOAnF9tqJuHI81kl/awF2sBd44DOgBpLAWIWj6nis7gGS4',
  'I0p4jKALNHadGdx4Aw1d3akZWHl7Sbocu7+yeQs0KDARnVD7jQIX4P90P1Oqph52L68JH5bLcVmwkwQKrPpV7+Q/gT',
  'pheH1IH3ZkZkd6ee9fr7N6zxLgBAVX9yRPFl1vOHlEepWGKNGPJ0rQXjn9SmZSbelAF0gZp9mq0cswKB8i2/jvuVuo',
  'kIzFqKZLq2h0ZE82olwPmXt3bTkVd7vix4YScAmpSEfs0tI59cDOBxJKEd0JuTAUQ0QNIDd9g7C6CcF7JkUTj7z9LP',
  'P/ptRt2B96aox/Abl5Z/WBUQYa6JoujGLr5cZdRZC1fDUGLxHlmYZwj8Y3gN2aLDz5qaf+/RCRP/EToMw1SSIsjpMS',
  'Iuy/Jy5RQV2DG9j0NYp/vpsiUARoe7/BT4vJXRFhxzwZgyrz5CH5S6TGUSAaAG1wQgjeBCl1xiA9w189HmOQSurFgY',
  'k3Npp1Wgvg6NT3rZ74qZCY5QQNU8yNGJszgUQtwOQdMKY/JkguMCIFZlB34Tw54b2dBnT4C92BXahREkxqX3E6vznN',
  'ouPbK+07M6acMZwP8yukqAq0Y68WRmSegO7zfAPC3iEggbNouqcmSCl81bSF2D8TQNqPvjjOwJY3PcTGIl1ueb2xhW',
  'WSheRCX1NwQSCopatngvTI2Ve4wCMZ6kxH/JocmeQH/kLKboX0nY6vJNSPsD1vXvpCrSkpgqOrX4FpeD9zKX4bTq4L',
  'b5NZZDl9PsKGggpbKqD54fr/4iPbuAsAY69Df7Qk85IE2TRcTo5jDXtH4Sw330Jp0b0aJ/Imq37VCOfboXK+xeWbI0',
  '45pmHqKI1BWger',
].join('')

function codeThrownBy(act: () => unknown): string | undefined {
  try {
    act()
  } catch (caught) {
    return codeOf(caught)
  }
  return 'nothing thrown'
}

describe('identities', () => {
  it('keep the keys that version 1 gave a seed', () => {
    assert.equal(alice.account, '0xa10cd14a835790496a813af863ec71210ae97077')
    assert.equal(
      createHash('sha256').update(alice.sealingKey).digest('hex'),
      '3ebbb122974bdf2b2de8fb90ecb8a5f971a9f128e82637e776253b83bb39288f',
    )
  })

  it('share nothing between seeds', () => {
    assert.notEqual(alice.account, bob.account)
    assert.notDeepEqual(alice.sealingKey, bob.sealingKey)
    assert.equal(alice.sealingKey.byteLength, SEALING_KEY_BYTES)
  })

  it('do not print their sealing keys', () => {
    assert.notInclude(JSON.stringify(alice.sealingPrivateKeys), 'key')
  })

  it('refuse seeds of another length', () => {
    for (const bytes of [0, 31, 33, 64])
      assert.equal(
        codeThrownBy(() => identityFromSeed(new Uint8Array(bytes))),
        'KEY_INVALID',
      )
  })
})

describe('sealing', () => {
  it('gives back what was sealed, to the right node and context', () =>
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 2000 }),
        fc.string({ maxLength: 60 }),
        (plain, context) => {
          const sealed = seal(alice.sealingKey, plain, context)
          assert.equal(sealed.byteLength, plain.byteLength + SEAL_OVERHEAD_BYTES)
          assert.deepEqual(open(alice, sealed, context), plain)
        },
      ),
      { numRuns: 50 },
    ))

  it('opens what version 1 sealed', () => {
    const sealed = new Uint8Array(Buffer.from(SEALED_BY_VERSION_1, 'base64'))
    assert.equal(Buffer.from(open(alice, sealed, 'vector')).toString(), 'a secret of version 1')
  })

  it('never gives the same bytes twice', () => {
    const plain = new Uint8Array(32)
    const [a, b] = [seal(alice.sealingKey, plain, 'x'), seal(alice.sealingKey, plain, 'x')]
    assert.notEqual(toHex(a.subarray(1, 33)), toHex(b.subarray(1, 33)))
    assert.notEqual(toHex(a.subarray(-48)), toHex(b.subarray(-48)))
  })

  it('opens for nobody else and for no other purpose', () => {
    const sealed = seal(alice.sealingKey, new Uint8Array(32), 'mount 1')
    assert.equal(
      codeThrownBy(() => open(bob, sealed, 'mount 1')),
      'SEAL_INVALID',
    )
    assert.equal(
      codeThrownBy(() => open(alice, sealed, 'mount 2')),
      'SEAL_INVALID',
    )
  })

  it('needs both exchanges: one half swapped for an attacker’s opens nothing', () => {
    const sealed = seal(alice.sealingKey, new Uint8Array(32), 'x')
    const mixed = {
      sealingKey: alice.sealingKey,
      sealingPrivateKeys: {
        ...alice.sealingPrivateKeys,
        mlkem768: bob.sealingPrivateKeys.mlkem768,
      },
    }
    assert.equal(
      codeThrownBy(() => open(mixed, sealed, 'x')),
      'SEAL_INVALID',
    )
    const mixedToo = {
      sealingKey: alice.sealingKey,
      sealingPrivateKeys: { ...alice.sealingPrivateKeys, x25519: bob.sealingPrivateKeys.x25519 },
    }
    assert.equal(
      codeThrownBy(() => open(mixedToo, sealed, 'x')),
      'SEAL_INVALID',
    )
  })

  it('notices any changed, missing or added byte', () => {
    const sealed = seal(alice.sealingKey, new Uint8Array(40).fill(5), 'x')
    fc.assert(
      fc.property(fc.nat({ max: sealed.byteLength * 8 - 1 }), (bit) => {
        const changed = new Uint8Array(sealed)
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        assert.equal(
          codeThrownBy(() => open(alice, changed, 'x')),
          'SEAL_INVALID',
        )
      }),
      { numRuns: 200 },
    )
    for (const length of [0, 1, 33, SEAL_OVERHEAD_BYTES - 1, sealed.byteLength - 1])
      assert.equal(
        codeThrownBy(() => open(alice, sealed.subarray(0, length), 'x')),
        'SEAL_INVALID',
      )
    assert.equal(
      codeThrownBy(() => open(alice, new Uint8Array([...sealed, 0]), 'x')),
      'SEAL_INVALID',
    )
  })

  it('refuses sealing keys that are none', () => {
    const smallOrder = new Uint8Array(alice.sealingKey)
    smallOrder.fill(0, 0, 32)
    const notReduced = new Uint8Array(alice.sealingKey)
    notReduced.fill(0xff, 32, 32 + 384)
    for (const key of [new Uint8Array(0), alice.sealingKey.subarray(1), smallOrder, notReduced])
      assert.equal(
        codeThrownBy(() => seal(key, new Uint8Array(1), 'x')),
        'SEAL_KEY_INVALID',
      )
  })

  it('keeps its limits', () => {
    const most = new Uint8Array(SEALED_PLAIN_BYTES_MAX)
    assert.deepEqual(open(alice, seal(alice.sealingKey, most, ''), ''), most)
    assert.equal(
      codeThrownBy(() => seal(alice.sealingKey, new Uint8Array(SEALED_PLAIN_BYTES_MAX + 1), '')),
      'SEAL_TOO_LARGE',
    )
    assert.equal(
      codeThrownBy(() =>
        seal(alice.sealingKey, new Uint8Array(1), 'x'.repeat(SEAL_CONTEXT_BYTES_MAX + 1)),
      ),
      'SEAL_TOO_LARGE',
    )
  })
})
