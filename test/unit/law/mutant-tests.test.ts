// Which tests a mutant is tried against, and what must be done anew for it.
import { assert } from 'chai'
import { planTests } from '../../../scripts/law/mutant-tests.ts'
import type { Mutant } from '../../../scripts/law/schemata.ts'

const mutant = (number: number): Mutant => ({
  ...{ number, name: `Till.take: ${number}`, file: 'contracts/Till.sol', line: 1, operator: 'x' },
})

describe('The tests of a mutant', () => {
  const reach = {
    deployments: [3],
    setups: { Till: [2, 3], Desk: [3] },
    tests: {
      'Till takes slowly': { seconds: 10, reached: [1] },
      'Till takes': { seconds: 2, reached: [1] },
      'Till takes quickly': { seconds: 1, reached: [1] },
      'Till gives': { seconds: 0.5, reached: [2] },
      'Desk takes': { seconds: 0.1, reached: [1] },
    },
  }
  const plans = planTests([mutant(3), mutant(2), mutant(4), mutant(1)], reach)
  const planOf = (number: number) => plans.find((plan) => plan.mutant.number === number)

  it('are those that reach it: of its own contract first, quick ones first, slow ones apart', () => {
    assert.deepEqual(planOf(1)?.titles, ['Till takes quickly', 'Till takes', 'Desk takes'])
    assert.deepEqual(planOf(1)?.slowTitles, ['Till takes slowly'])
    assert.deepEqual(planOf(4)?.titles, [])
  })

  it('are all of a suite in whose set-up it is reached, those that reach it themselves first', () => {
    assert.deepEqual(planOf(2)?.titles, ['Till gives', 'Till takes quickly', 'Till takes'])
    assert.deepEqual(planOf(2)?.slowTitles, ['Till takes slowly'])
    assert.lengthOf(planOf(3)?.titles ?? [], 4)
  })

  it('keep what it is not reached in, and those that keep most come first', () => {
    const order = plans.map((plan) => [plan.mutant.number, plan.reachedIn])
    // Few mutants do not pay for set-ups that are kept.
    assert.deepEqual(order, [
      [4, 'setups'],
      [2, 'setups'],
      [1, 'setups'],
      [3, 'deployments'],
    ])
    const many = planTests(
      Array.from({ length: 30 }, (_, at) => mutant(at + 100)),
      reach,
    )
    assert.isTrue(many.every(({ reachedIn }) => reachedIn === 'testsAlone'))
  })
})
