/** A commit opens only where and as it was sealed, and only if a writer signed it. */
import { assert } from 'chai'
import fc from 'fast-check'
import { bytesEqual, concatBytes } from '../../../agent/base/bytes.ts'
import {
  COMMIT_OVERHEAD_BYTES,
  type CommitSealerInit,
  commitSealer,
} from '../../../agent/base/commit-sealer.ts'
import { codeOf } from '../../../agent/base/errors.ts'
import { account } from '../../../agent/base/ids.ts'
import { ledgerKeyFrom } from '../../../agent/base/ledger-key.ts'
import { volumeKeyContext, volumeKeysFrom } from '../../../agent/base/volume-keys.ts'
import type { CommitSealer } from '../../../agent/engines/files/ports.ts'

const writer = ledgerKeyFrom(new Uint8Array(32).fill(1))
const successor = ledgerKeyFrom(new Uint8Array(32).fill(2))
const stranger = ledgerKeyFrom(new Uint8Array(32).fill(3))
const plain = Buffer.from('what happened')

const init: CommitSealerInit = {
  volumeKey: new Uint8Array(32).fill(9),
  privateKey: writer.privateKey,
  writers: [writer.account, successor.account],
  volume: 7,
  epoch: 1,
  grid: `0x${'ab'.repeat(20)}`,
  chainId: 31337,
}
const sealer = commitSealer(init)

function openFails(opener: CommitSealer, sequence: number, sealed: Uint8Array): boolean {
  try {
    opener.open(sequence, sealed)
    return false
  } catch (caught) {
    assert.equal(codeOf(caught), 'COMMIT_INVALID')
    return true
  }
}

describe('commit sealing', () => {
  it('gives back any commit at its place', () =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000 }), fc.maxSafeNat(), (bytes, sequence) => {
        const sealed = sealer.seal(sequence, bytes)
        assert.equal(sealed.byteLength, bytes.byteLength + COMMIT_OVERHEAD_BYTES)
        assert.isTrue(bytesEqual(sealer.open(sequence, sealed), bytes))
      }),
      { numRuns: 30 },
    ))

  it('lets readers and later writers read what earlier writers wrote', () => {
    const sealed = sealer.seal(3, plain)
    const later = commitSealer({ ...init, privateKey: successor.privateKey, epoch: 2 })
    const reader = commitSealer({ ...init, privateKey: stranger.privateKey })
    assert.isTrue(bytesEqual(later.open(3, sealed), plain))
    assert.isTrue(bytesEqual(reader.open(3, sealed), plain))
    const signed = reader.openSigned(3, later.seal(3, plain))
    assert.deepEqual([signed.epoch, signed.writer], [2, successor.account])
  })

  it('is the same for the same input and shares no key stream between different ones', () => {
    assert.deepEqual(sealer.seal(3, plain), sealer.seal(3, plain))
    const other = Buffer.from(plain)
    other[0] = (other[0] ?? 0) ^ 1
    const a = sealer.seal(3, plain).subarray(49, -81)
    const b = sealer.seal(3, other).subarray(49, -81)
    const sameBytes = a.filter((byte, i) => byte === b[i]).length
    assert.isBelow(sameBytes, 4, 'a reused key stream would leave all bytes but one equal')
  })

  const elsewhere: [why: string, change: Partial<CommitSealerInit>][] = [
    ['another volume key', { volumeKey: new Uint8Array(32).fill(8) }],
    ['another volume', { volume: 8 }],
    ['another grid', { grid: `0x${'ac'.repeat(20)}` }],
    ['another chain', { chainId: 1 }],
    ['a list of writers without its signer', { writers: [successor.account] }],
    ['no writers at all', { writers: [] }],
  ]
  for (const [why, change] of elsewhere) {
    it(`does not open under ${why}`, () => {
      const sealed = sealer.seal(3, plain)
      assert.isTrue(openFails(commitSealer({ ...init, ...change }), 3, sealed))
    })
  }

  it('does not open at another place of the log', () => {
    assert.isTrue(openFails(sealer, 4, sealer.seal(3, plain)))
  })

  it('does not believe a reader who has the key of the volume but may not write', () => {
    const forger = commitSealer({
      ...init,
      privateKey: stranger.privateKey,
      writers: [stranger.account],
    })
    const forged = forger.seal(3, plain)
    assert.isTrue(bytesEqual(forger.open(3, forged), plain))
    assert.isTrue(openFails(sealer, 3, forged))
  })

  it('notices any changed, missing or added byte', () => {
    const sealed = sealer.seal(3, plain)
    fc.assert(
      fc.property(fc.nat({ max: sealed.byteLength * 8 - 1 }), (bit) => {
        const changed = new Uint8Array(sealed)
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        assert.isTrue(openFails(sealer, 3, changed))
      }),
      { numRuns: 150 },
    )
    for (const length of [0, COMMIT_OVERHEAD_BYTES - 1, sealed.byteLength - 1])
      assert.isTrue(openFails(sealer, 3, sealed.subarray(0, length)))
    assert.isTrue(openFails(sealer, 3, concatBytes([sealed, Uint8Array.of(0)])))
  })
})

describe('volume keys', () => {
  it('keep the values that version 1 gave a key, one a purpose', () => {
    const keys = volumeKeysFrom(new Uint8Array(32).fill(9))
    const shown = Object.entries(keys).map(([name, key]) => [
      name,
      key.export().toString('hex').slice(0, 16),
    ])
    assert.deepEqual(Object.fromEntries(shown), {
      chunkId: '88e46cfbaf8326b0',
      chunkKey: '16ba15cf6a474184',
      commitKey: '2f0172a81174ec45',
      commitSalt: '6743f7404e2d59b2',
    })
  })

  it('seal under a context that names chain, grid, volume and node', () => {
    assert.equal(
      volumeKeyContext({ chainId: 5, grid: '0xAB', volume: 7, account: account(stranger.account) }),
      `varve/volume-key/1 chain 5 grid 0xab volume 7 node ${stranger.account}`,
    )
  })
})
