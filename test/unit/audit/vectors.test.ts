/** The vectors that the Solidity verifier is run on are those that this one accepts. */
import { readFileSync, writeFileSync } from 'node:fs'
import { assert } from 'chai'
import { toHex } from '../../../agent/base/bytes.ts'
import { binaryRoot } from '../../../agent/engines/audit/tree/binary-tree.ts'
import { climb } from '../../../agent/engines/audit/tree/climb.ts'
import { shardRoot } from '../../../agent/engines/audit/tree/shard-tree.ts'
import { auditVectors, auditVectorsAsSolidity } from '../../support/audit-proof-vectors.ts'

const SOLIDITY = new URL('../../solidity/support/AuditProofVectors.sol', import.meta.url)

describe('the vectors of audits', () => {
  const vectors = auditVectors()

  it('are accepted', () => {
    for (const { root, before, leaf, path } of vectors.climbs) {
      assert.deepEqual(climb(leaf, path), { root, before })
    }
    for (const { root, index, lengthBytes, unit, path } of vectors.shards) {
      assert.equal(toHex(shardRoot(unit, index, lengthBytes, path)), toHex(root))
    }
    for (const { root, index, word, path } of vectors.words) {
      assert.deepEqual(binaryRoot(word, index, path), root)
    }
  })

  it('are those that the Solidity verifier is run on', () => {
    const text = auditVectorsAsSolidity(vectors)
    if (process.env['UPDATE_GOLDEN']) writeFileSync(SOLIDITY, text)
    assert.equal(readFileSync(SOLIDITY, 'utf8'), text)
  })
})
