/** Placement: a table to read down, then the laws that make it fit for repair. */
import { assert } from 'chai'
import fc from 'fast-check'
import { isNodeError } from '../../../agent/base/errors.ts'
import { type FarmId, farmId, type NodeId, nodeId } from '../../../agent/base/ids.ts'
import { chooseNodes, type PlacementCandidate } from '../../../agent/base/placement.ts'

const one = (node: number, farm: number, freeBytes = 100, weight = 1): PlacementCandidate => ({
  node: nodeId(node),
  farm: farmId(farm),
  freeBytes,
  weight,
})

const anyCandidates = fc
  .uniqueArray(
    fc.record({ node: fc.integer({ min: 1, max: 500 }), farm: fc.integer({ min: 1, max: 60 }) }),
    {
      selector: (candidate) => candidate.node,
      minLength: 1,
      maxLength: 80,
    },
  )
  .map((list) => list.map(({ node, farm }) => one(node, farm)))

const farmsOf = (candidates: readonly PlacementCandidate[], chosen: readonly NodeId[]): FarmId[] =>
  chosen.flatMap((node) => candidates.find((candidate) => candidate.node === node)?.farm ?? [])

describe('placement', () => {
  // biome-ignore format: a table to read down
  const cases: [why: string, candidates: PlacementCandidate[], want: Partial<Parameters<typeof chooseNodes>[0]>, chosen: number[] | 'too few'][] = [
    ['takes the only node', [one(1, 1)], {}, [1]],
    ['never takes a full node', [one(1, 1, 9)], { sizeBytes: 10 }, 'too few'],
    ['takes a node that fits exactly', [one(1, 1, 10)], { sizeBytes: 10 }, [1]],
    ['never takes two nodes of a farm', [one(1, 1), one(2, 1)], { count: 2 }, 'too few'],
    ['takes two nodes of a farm where allowed', [one(1, 1)], { count: 1, sameFarmAllowed: true }, [1]],
    ['avoids farms that hold a slot', [one(1, 1), one(2, 2)], { avoidFarms: new Set([farmId(1)]) }, [2]],
    ['avoids nodes it is told to', [one(1, 1), one(2, 2)], { avoidNodes: new Set([nodeId(2)]) }, [1]],
  ]
  for (const [why, candidates, want, chosen] of cases) {
    it(why, () => {
      const place = () => chooseNodes({ candidates, seed: 's', count: 1, sizeBytes: 1, ...want })
      if (chosen !== 'too few') return assert.deepEqual(place(), chosen.map(nodeId))
      try {
        place()
      } catch (caught) {
        return assert.isTrue(isNodeError(caught, 'PLACEMENT_TOO_FEW'))
      }
      return assert.fail('it chose where nothing fits')
    })
  }

  it('chooses distinct nodes of distinct farms, whatever the candidates', () => {
    fc.assert(
      fc.property(anyCandidates, fc.string(), (candidates, seed) => {
        const count = new Set(candidates.map(({ farm }) => farm)).size
        const chosen = chooseNodes({ candidates, seed, count, sizeBytes: 1 })
        assert.equal(new Set(chosen).size, count)
        assert.equal(new Set(farmsOf(candidates, chosen)).size, count)
      }),
    )
  })

  it('does not depend on the order of the candidates', () => {
    fc.assert(
      fc.property(anyCandidates, (candidates) => {
        const place = (list: PlacementCandidate[]) =>
          chooseNodes({ candidates: list, seed: 's', count: 1, sizeBytes: 1 })
        assert.deepEqual(place([...candidates].reverse()), place(candidates))
      }),
    )
  })

  it('moves nothing but the slots of a node that goes', () => {
    fc.assert(
      fc.property(anyCandidates, fc.nat(), (candidates, pick) => {
        const farms = new Set(candidates.map(({ farm }) => farm)).size
        fc.pre(farms >= 2)
        const before = chooseNodes({ candidates, seed: 's', count: farms - 1, sizeBytes: 1 })
        const gone = before[pick % before.length]
        const after = chooseNodes({
          candidates: candidates.filter(({ node }) => node !== gone),
          ...{ seed: 's', count: farms - 1, sizeBytes: 1 },
        })
        const kept = before.filter((node) => node !== gone)
        assert.includeMembers(
          after,
          kept.filter((node) => farmsOf(candidates, [node])[0] !== farmsOf(candidates, [gone!])[0]),
        )
      }),
    )
  })

  it('prefers by weight, in proportion', () => {
    const candidates = [one(1, 1, 100, 3), one(2, 2, 100, 1)]
    const ROUNDS = 2000
    let first = 0
    for (let seed = 0; seed < ROUNDS; seed++) {
      if (chooseNodes({ candidates, seed: String(seed), count: 1, sizeBytes: 1 })[0] === 1) first++
    }
    assert.closeTo(first / ROUNDS, 0.75, 0.04)
  })
})
