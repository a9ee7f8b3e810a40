/** Commitments: signed as wallets sign them, and countersigned only when the node finds the same in its own bytes. */
import { assert } from 'chai'
import { Wallet } from 'ethers'
import { toHex } from '../../../agent/base/bytes.ts'
import { nodeId } from '../../../agent/base/ids.ts'
import {
  COMMITMENT_TYPES,
  type CountersignInit,
  commitmentDigest,
  commitmentSigner,
  countersign,
  type SignedCommitment,
  type SlotCommitment,
  signCommitment,
  typedDomain,
} from '../../../agent/engines/audit/index.ts'
import {
  AuditNode,
  isTestWriter,
  slotOf,
  TEST_DOMAIN,
  testKey,
  WRITER,
} from '../../support/audit-node.ts'
import { rejectsWith } from '../../support/rejects-with.ts'
import { seededChance } from '../../support/seeded-chance.ts'

const SLOT = slotOf(4, 2)
const NODE_KEY = testKey(3)

async function world(): Promise<{ node: AuditNode; init: CountersignInit }> {
  const node = new AuditNode()
  await node.fill(SLOT, [100, 40, 1000], seededChance(2))
  const init: CountersignInit = {
    domain: TEST_DOMAIN,
    node: node.node,
    key: NODE_KEY,
    tree: node.slot(SLOT).tree,
    sizeBytes: 2000,
    newestEpoch: 1,
    newestSigned: undefined,
    isWriter: isTestWriter,
  }
  return { node, init }
}

function signed(commitment: SlotCommitment, key = WRITER): SignedCommitment {
  return { commitment, mount: 0, signature: signCommitment(TEST_DOMAIN, commitment, key) }
}

describe('commitments', () => {
  it('are signed as a wallet signs them', async () => {
    const { node } = await world()
    const { commitment, signature } = node.sign(SLOT)
    const wallet = new Wallet(`0x${toHex(WRITER.privateKey)}`)
    const typed = await wallet.signTypedData(typedDomain(TEST_DOMAIN), COMMITMENT_TYPES, commitment)
    assert.equal(`0x${toHex(signature)}`, typed)
    assert.equal(commitmentSigner(TEST_DOMAIN, commitment, signature), WRITER.account)
  })

  it('bind every field, the chain and the contract', async () => {
    const { node } = await world()
    const { commitment } = node.sign(SLOT)
    const domains = [
      TEST_DOMAIN,
      { ...TEST_DOMAIN, chainId: 1 },
      { ...TEST_DOMAIN, audits: WRITER.account },
    ]
    const commitments: SlotCommitment[] = [
      { ...commitment, node: nodeId(8) },
      { ...commitment, ...slotOf(5, 2) },
      { ...commitment, slot: 3 },
      { ...commitment, generation: 2 },
      { ...commitment, units: commitment.units + 1 },
      { ...commitment, root: new Uint8Array(32) },
      { ...commitment, epoch: 2 },
    ]
    const digests = [
      ...domains.map((domain) => toHex(commitmentDigest(domain, commitment))),
      ...commitments.map((one) => toHex(commitmentDigest(TEST_DOMAIN, one))),
    ]
    assert.equal(new Set(digests).size, domains.length + commitments.length)
  })

  it('have no signer where no key can have signed', async () => {
    const { node } = await world()
    const { commitment, signature } = node.sign(SLOT)
    for (const wrong of [
      new Uint8Array(65),
      signature.subarray(1),
      new Uint8Array(65).fill(0xff),
      Uint8Array.from(signature, (byte, at) => (at === 64 ? 1 : byte)),
    ]) {
      assert.isUndefined(commitmentSigner(TEST_DOMAIN, commitment, wrong))
    }
  })
})

describe('a node that is to countersign', () => {
  it('signs what it finds in its own bytes, also as they were earlier', async () => {
    const { node, init } = await world()
    const earlier = node.sign(SLOT)
    await node.fill(SLOT, [200], seededChance(3))
    for (const one of [earlier, node.sign(SLOT)]) {
      const signature = await countersign(one, init)
      assert.equal(commitmentSigner(TEST_DOMAIN, one.commitment, signature), NODE_KEY.account)
    }
  })

  it('refuses everything else, and says why', async () => {
    const { node, init } = await world()
    const own = node.sign(SLOT).commitment
    const cases: [
      code: string,
      commitment: Partial<SlotCommitment>,
      init: Partial<CountersignInit>,
    ][] = [
      ['AUDIT_COMMITMENT_FOREIGN', { node: nodeId(9) }, {}],
      ['AUDIT_COMMITMENT_FOREIGN', { slot: 7 }, {}],
      ['AUDIT_COMMITMENT_FOREIGN', { generation: 2 }, {}],
      ['AUDIT_COMMITMENT_EPOCH', { epoch: 2 }, {}],
      ['AUDIT_COMMITMENT_EPOCH', {}, { newestEpoch: 3 }],
      ['AUDIT_COMMITMENT_TOO_LARGE', {}, { sizeBytes: (own.units - 1) * 32 }],
      ['AUDIT_COMMITMENT_TOO_LARGE', { units: 0 }, {}],
      ['AUDIT_COMMITMENT_SHRINKS', {}, { newestSigned: { ...own, units: own.units + 1 } }],
      [
        'AUDIT_COMMITMENT_SHRINKS',
        {},
        { newestSigned: { ...own, epoch: own.epoch + 1, units: 1 } },
      ],
      ['AUDIT_COMMITMENT_BEHIND', { units: own.units + 1 }, {}],
      ['AUDIT_COMMITMENT_MISMATCH', { root: new Uint8Array(32) }, {}],
      ['AUDIT_COMMITMENT_MISMATCH', { units: own.units - 1 }, {}],
    ]
    for (const [code, changes, rest] of cases) {
      const one = signed({ ...own, ...changes })
      await rejectsWith(code, () => countersign(one, { ...init, ...rest }))
    }
    await rejectsWith('AUDIT_COMMITMENT_UNSIGNED', () => countersign(signed(own, testKey(9)), init))
    assert.lengthOf(await countersign(signed(own), { ...init, sizeBytes: own.units * 32 }), 65)
    const more = { units: own.units + 1, epoch: own.epoch - 1 }
    assert.lengthOf(await countersign(signed(own), { ...init, newestSigned: more }), 65)
  })
})
