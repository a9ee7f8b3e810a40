/** Placement: distinct farms, the same everywhere, and hardly changed by a node that comes or goes. */
import { assert } from 'chai'
import fc from 'fast-check'
import { farmId, nodeId } from '../../../agent/base/ids.ts'
import { chooseNodes, type PlacementCandidate } from '../../../agent/base/placement.ts'

describe('placement', () => {
  it('chooses what it always chose', () => {
    const candidates = Array.from({ length: 12 }, (_, index) => node(index + 1, index + 1))
    const { nodes, shortBy } = chooseNodes({ candidates, seed: 'order 7', count: 6, sizeBytes: 1 })
    assert.deepEqual([[...nodes], shortBy], [GOLDEN, 0])
  })

  it('gives distinct farms with room, none avoided, and says how many are missing', () =>
    fc.assert(
      fc.property(
        anyCandidates,
        fc.nat(8),
        fc.nat(20),
        fc.nat(10),
        (candidates, count, size, seed) => {
          const avoidFarms = [farmId(1)]
          const avoidNodes = [nodeId(2)]
          const request = {
            candidates,
            seed: `${seed}`,
            count,
            sizeBytes: size,
            avoidFarms,
            avoidNodes,
          }
          const { nodes, shortBy } = chooseNodes(request)
          const chosen = nodes.map((id) => candidates.find((candidate) => candidate.node === id)!)
          assert.equal(new Set(chosen.map(({ farm }) => farm)).size, nodes.length)
          for (const { node, farm, freeBytes } of chosen) {
            assert.isAtLeast(freeBytes, size)
            assert.notEqual(farm, farmId(1))
            assert.notEqual(node, nodeId(2))
          }
          const fit = candidates.filter(
            ({ node, farm, freeBytes }) => freeBytes >= size && farm !== 1 && node !== 2,
          )
          const farms = new Set(fit.map(({ farm }) => farm)).size
          assert.equal(nodes.length, Math.min(count, farms))
          assert.equal(shortBy, count - nodes.length)
        },
      ),
    ))

  it('does not depend on the order of the candidates', () =>
    fc.assert(
      fc.property(anyCandidates, fc.nat(8), (candidates, count) => {
        const request = { seed: 's', count, sizeBytes: 0 }
        assert.deepEqual(
          chooseNodes({ ...request, candidates }),
          chooseNodes({ ...request, candidates: [...candidates].reverse() }),
        )
      }),
    ))

  it('keeps every other choice when a node that was not chosen goes', () =>
    fc.assert(
      fc.property(anyCandidates, fc.nat(6), fc.nat(1000), (candidates, count, seed) => {
        const request = { seed: `${seed}`, count, sizeBytes: 0 }
        const { nodes } = chooseNodes({ ...request, candidates })
        for (const gone of candidates.filter(({ node }) => !nodes.includes(node))) {
          const rest = candidates.filter((candidate) => candidate !== gone)
          assert.deepEqual(chooseNodes({ ...request, candidates: rest }).nodes, nodes)
        }
      }),
    ))

  it('replaces only the chosen node that goes, where each farm has one node', () =>
    fc.assert(
      fc.property(fc.integer({ min: 4, max: 20 }), fc.nat(1000), (farms, seed) => {
        const candidates = Array.from({ length: farms }, (_, index) => node(index + 1, index + 1))
        const request = { seed: `${seed}`, count: 3, sizeBytes: 0 }
        const { nodes } = chooseNodes({ ...request, candidates })
        const rest = candidates.filter((candidate) => candidate.node !== nodes[1])
        const after = chooseNodes({ ...request, candidates: rest }).nodes
        assert.equal(after.filter((id) => nodes.includes(id)).length, 2)
      }),
    ))

  it('chooses in proportion to weight and to the inverse of the price', () => {
    const candidates = [
      { ...node(1, 1), weight: 1, price: 100n },
      { ...node(2, 2), weight: 3, price: 100n },
      { ...node(3, 3), weight: 1, price: 25n },
    ]
    const wins = [0, 0, 0]
    const draws = 8000
    for (let seed = 0; seed < draws; seed++) {
      const [first] = chooseNodes({ candidates, seed: `${seed}`, count: 1, sizeBytes: 0 }).nodes
      wins[first! - 1]!++
    }
    // Shares 1 : 3 : 4; four standard deviations are below 0.023.
    const want = [1 / 8, 3 / 8, 4 / 8]
    want.forEach((share, index) => {
      assert.closeTo(wins[index]! / draws, share, 0.023)
    })
  })
})

// The same list comes out of ten lines of Python with `math.log`.
const GOLDEN = [7, 5, 2, 12, 6, 4].map(nodeId)

function node(number: number, farm: number): PlacementCandidate {
  return { node: nodeId(number), farm: farmId(farm), freeBytes: 10, price: 5n, weight: 1 }
}

const anyCandidates = fc
  .uniqueArray(fc.integer({ min: 1, max: 30 }), { maxLength: 15 })
  .chain((numbers) =>
    fc.tuple(
      ...numbers.map((number) =>
        fc.record({
          node: fc.constant(nodeId(number)),
          farm: fc.integer({ min: 1, max: 6 }).map(farmId),
          freeBytes: fc.nat(20),
          price: fc.bigInt({ min: 0n, max: 9n }),
          weight: fc.integer({ min: 1, max: 9 }),
        }),
      ),
    ),
  )
