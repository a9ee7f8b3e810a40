/** The odds of audits are those of the parameters that are shipped, and what is promised of them holds. */
import { assert } from 'chai'
import {
  chanceToStayUnfound,
  EPOCHS_A_DAY,
  faultsOf,
  SAMPLES,
  type SoundnessRow,
} from '../../../scripts/bench/soundness.ts'
import { communityParameters } from '../../../scripts/deploy/parameters.ts'

const DAY_SECONDS = 86_400n

describe('the odds of audits', () => {
  it('are computed for what is shipped', () => {
    const { policy } = communityParameters(`0x${'11'.repeat(20)}`)
    assert.equal(policy.AuditSamples, BigInt(SAMPLES))
    assert.equal(DAY_SECONDS / policy.AuditEpochSeconds, BigInt(EPOCHS_A_DAY))
  })

  it('find a node that lost 5 % within a day', () => {
    assert.isBelow(chanceToStayUnfound(0.05, EPOCHS_A_DAY), 0.001)
    assert.approximately(chanceToStayUnfound(0.05, 1), 0.95 ** 64, 1e-12)
    assert.equal(chanceToStayUnfound(0, 100), 1)
  })

  it('are at fault where what was tried differs from what was computed', () => {
    const row: SoundnessRow = {
      lostShare: 0.05,
      loss: 'units',
      epoch: 0.04,
      day: 1e-6,
      week: 0,
      tried: 100,
      found: 96,
      deviations: 1,
      dayDeviations: -1,
    }
    assert.deepEqual(faultsOf([row]), [])
    assert.lengthOf(faultsOf([{ ...row, deviations: 5 }]), 1)
    assert.lengthOf(faultsOf([{ ...row, dayDeviations: -5 }]), 1)
    assert.lengthOf(faultsOf([{ ...row, day: 0.01 }]), 1)
  })
})
