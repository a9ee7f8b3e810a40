/** An aggregator's tree: every node finds its digest in it, and no digest gets in unchecked where a transcript is asked for. */
import { assert } from 'chai'
import { nodeId } from '../../../agent/base/ids.ts'
import {
  DigestGroup,
  digestTree,
  GROUP_NODES,
  isPosted,
  verifyTranscript,
} from '../../../agent/engines/audit/index.ts'
import { AuditNode, isTestWriter, slotOf, TEST_DOMAIN } from '../../support/audit-node.ts'
import { rejectsWith } from '../../support/rejects-with.ts'
import { seededChance } from '../../support/seeded-chance.ts'

const EPOCH = { number: 2, seed: 99n, samples: 5 }

describe('a group of digests', () => {
  it('shows every node its digest, and says what to post', () => {
    const chance = seededChance(1)
    const group = new DigestGroup(2, 3)
    const first = 3 * GROUP_NODES
    const members = [first, first + 1, first + 100, first + 255].map(nodeId)
    const digests = members.map(() => chance.bytes(32))
    members.forEach((node, at) => {
      group.add(node, digests[at]!)
    })
    const act = group.seal()
    if (act?.method !== 'postDigests') throw new TypeError('nothing to post')
    const [epoch, number, root, bits] = act.args
    assert.deepEqual([epoch, number, group.size], [2, 3, 4])
    assert.equal(bits, 1n | (1n << 1n) | (1n << 100n) | (1n << 255n))
    members.forEach((node, at) => {
      const posted = { by: 'aggregator', root } as const
      const path = group.path(node)
      assert.lengthOf(path, 8)
      assert.isTrue(isPosted(digests[at]!, { node, posted }, path))
      assert.isFalse(isPosted(chance.bytes(32), { node, posted }, path))
      assert.isFalse(isPosted(digests[at]!, { node, posted }, path.slice(1)))
      const other = nodeId(node === first + 1 ? first : first + 1)
      assert.isFalse(isPosted(digests[at]!, { node: other, posted }, path))
    })
  })

  it('takes no digest of another group, and none once it is sealed', async () => {
    const group = new DigestGroup(2, 0)
    assert.isUndefined(group.seal())
    await rejectsWith('AUDIT_NOT_IN_GROUP', () => group.add(nodeId(256), new Uint8Array(32)))
    await rejectsWith('AUDIT_NOT_IN_GROUP', () => group.add(nodeId(1), new Uint8Array(31)))
    group.add(nodeId(1), new Uint8Array(32))
    const act = group.seal()
    await rejectsWith('AUDIT_GROUP_SEALED', () => group.add(nodeId(2), new Uint8Array(32)))
    assert.deepEqual(group.seal(), act)
  })

  it('takes a checked digest only with a transcript that it follows from', async () => {
    const node = new AuditNode()
    await node.fill(slotOf(1), [300, 20], seededChance(1))
    const transcript = await node.prove(EPOCH)
    const claim = node.claim(EPOCH, transcript)
    const init = { claim, domain: TEST_DOMAIN, isWriter: isTestWriter, transcript }
    const digest = digestTree(transcript).root
    const group = new DigestGroup(2, 0)
    const other = digest.slice()
    other[31] = (other[31] ?? 0) ^ 1
    await rejectsWith('AUDIT_DIGEST_DOUBTFUL', () => group.addVerified(other, init))
    await rejectsWith('AUDIT_DIGEST_DOUBTFUL', () =>
      group.addVerified(digest, { ...init, transcript: undefined }),
    )
    await rejectsWith('AUDIT_DIGEST_DOUBTFUL', () =>
      group.addVerified(digest, { ...init, isWriter: () => false }),
    )
    assert.equal(group.size, 0)
    await group.addVerified(digest, init)

    const act = group.seal()
    if (act?.method !== 'postDigests') throw new TypeError('nothing to post')
    const posted = { by: 'aggregator', root: act.args[2] } as const
    const batched = { ...init, claim: { ...claim, posted } }
    const groupPath = group.path(node.node)
    assert.deepEqual(await verifyTranscript({ ...batched, groupPath }), [])
    assert.equal((await verifyTranscript(batched))[0]?.reason, 'not-shown')
  })
})
