/** Keys against known vectors and against ethers and libp2p, which others use to check them. */

import { privateKeyFromProtobuf, privateKeyFromRaw } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { assert } from 'chai'
import { computeAddress, keccak256, recoverAddress, Signature } from 'ethers'
import fc from 'fast-check'
import { concatBytes, fromHex, toHex } from '../../../agent/base/bytes.ts'
import { codeOf } from '../../../agent/base/errors.ts'
import {
  accountOfPublicKey,
  compressPublicKey,
  ledgerKeyFrom,
  libp2pPrivateKey,
  recoverSigner,
  signDigest,
} from '../../../agent/base/ledger-key.ts'

const ORDER = 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141'
const anyKey = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .filter((bytes) => toHex(bytes) < ORDER && bytes.some((byte) => byte !== 0))
const anyDigest = fc.uint8Array({ minLength: 32, maxLength: 32 })

function codeThrownBy(act: () => unknown): string | undefined {
  try {
    act()
  } catch (caught) {
    return codeOf(caught)
  }
  return 'nothing thrown'
}

describe('ledger keys', () => {
  const accounts: [privateKey: string, account: string][] = [
    [`${'00'.repeat(31)}01`, '0x7e5f4552091a69125d5dfcb7b8c2659029395bdf'],
    [
      'ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80',
      '0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266',
    ],
    [
      '4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318',
      '0x2c7536e3605d9c16a7a3d7b1898e529396a65c23',
    ],
  ]
  for (const [privateKey, account] of accounts) {
    it(`gives ${account} for its published private key`, () => {
      assert.equal(ledgerKeyFrom(fromHex(privateKey)).account, account)
    })
  }

  it('has the generator as public key of the number one', () => {
    const { publicKey, publicKeyCompressed } = ledgerKeyFrom(fromHex(`${'00'.repeat(31)}01`))
    const x = '79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798'
    const y = '483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8'
    assert.equal(toHex(publicKey), x + y)
    assert.equal(toHex(publicKeyCompressed), `02${x}`)
  })

  it('agrees with ethers and libp2p about every key', () =>
    fc.assert(
      fc.property(anyKey, (privateKey) => {
        const key = ledgerKeyFrom(privateKey)
        assert.equal(key.account, computeAddress(`0x${toHex(privateKey)}`).toLowerCase())

        const raw = privateKeyFromRaw(privateKey)
        const viaProtobuf = privateKeyFromProtobuf(libp2pPrivateKey(key))
        assert.isTrue(viaProtobuf.equals(raw))
        assert.deepEqual(key.publicKeyCompressed, new Uint8Array(raw.publicKey.raw))
        const inlined = peerIdFromPrivateKey(viaProtobuf).publicKey
        assert.equal(accountOfPublicKey(inlined?.raw ?? new Uint8Array(0)), key.account)
      }),
      { numRuns: 50 },
    ))

  it('reads a public key in all three of its forms', () =>
    fc.assert(
      fc.property(anyKey, (privateKey) => {
        const key = ledgerKeyFrom(privateKey)
        const prefixed = concatBytes([Uint8Array.of(4), key.publicKey])
        for (const form of [key.publicKey, key.publicKeyCompressed, prefixed]) {
          assert.equal(accountOfPublicKey(form), key.account)
          assert.deepEqual(compressPublicKey(form), key.publicKeyCompressed)
        }
      }),
      { numRuns: 50 },
    ))

  const invalid: [why: string, privateKey: Uint8Array][] = [
    ['zero', new Uint8Array(32)],
    ['the order of the curve', fromHex(ORDER)],
    ['31 bytes', new Uint8Array(31).fill(1)],
    ['33 bytes', new Uint8Array(33).fill(1)],
  ]
  for (const [why, privateKey] of invalid) {
    it(`refuses ${why} as a private key`, () => {
      assert.equal(
        codeThrownBy(() => ledgerKeyFrom(privateKey)),
        'KEY_INVALID',
      )
    })
  }

  it('refuses public keys that are no point of the curve', () => {
    const noSuchX = fromHex(`02${'00'.repeat(31)}05`)
    for (const bytes of [new Uint8Array(64).fill(1), noSuchX, new Uint8Array(0)])
      assert.equal(
        codeThrownBy(() => accountOfPublicKey(bytes)),
        'KEY_INVALID',
      )
  })
})

describe('signatures', () => {
  it('recover to the account that made them, here and in ethers', () =>
    fc.assert(
      fc.property(anyKey, anyDigest, (privateKey, digest) => {
        const key = ledgerKeyFrom(privateKey)
        const signature = signDigest(key, digest)
        assert.equal(signature.byteLength, 65)
        assert.equal(recoverSigner(digest, signature), key.account)

        const r = `0x${toHex(signature.subarray(0, 32))}`
        const s = `0x${toHex(signature.subarray(32, 64))}`
        const yParity = signature[64] === 1 ? 1 : 0
        const theirs = recoverAddress(digest, Signature.from({ r, s, yParity }))
        assert.equal(theirs.toLowerCase(), key.account)
      }),
      { numRuns: 50 },
    ))

  it('never recover to their maker once a bit changed', () => {
    const key = ledgerKeyFrom(new Uint8Array(32).fill(7))
    const digest = fromHex(keccak256('0x01'))
    const signature = signDigest(key, digest)
    fc.assert(
      fc.property(fc.nat({ max: 65 * 8 - 1 }), (bit) => {
        const changed = new Uint8Array(signature)
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        let signer: string | undefined
        try {
          signer = recoverSigner(digest, changed)
        } catch (caught) {
          assert.equal(codeOf(caught), 'SIGNATURE_INVALID')
        }
        assert.notEqual(signer, key.account)
      }),
      { numRuns: 200 },
    )
  })

  it('refuses the mirrored signature that anyone can make from a good one', () => {
    const key = ledgerKeyFrom(new Uint8Array(32).fill(7))
    const digest = new Uint8Array(32).fill(9)
    const signature = signDigest(key, digest)
    const s = BigInt(`0x${toHex(signature.subarray(32, 64))}`)
    const mirrored = (BigInt(`0x${ORDER}`) - s).toString(16).padStart(64, '0')
    const changed = new Uint8Array(signature)
    changed.set(fromHex(mirrored), 32)
    changed[64] = signature[64] === 1 ? 0 : 1
    assert.equal(
      codeThrownBy(() => recoverSigner(digest, changed)),
      'SIGNATURE_INVALID',
    )
  })

  it('are the same every time', () => {
    const key = ledgerKeyFrom(new Uint8Array(32).fill(7))
    const digest = new Uint8Array(32).fill(9)
    assert.deepEqual(signDigest(key, digest), signDigest(key, digest))
  })

  it('are made of digests only', () => {
    const key = ledgerKeyFrom(new Uint8Array(32).fill(7))
    for (const bytes of [0, 31, 33])
      assert.equal(
        codeThrownBy(() => signDigest(key, new Uint8Array(bytes))),
        'SIGNATURE_INVALID',
      )
  })
})
