/** Which slots move, where to, and when nobody dares. */
import { assert } from 'chai'
import fc from 'fast-check'
import { farmId, nodeId } from '../../../agent/base/ids.ts'
import { planRepairs, type RepairsWorld } from '../../../agent/plan/repairs.ts'
import { aMount, aNode, aPolicy, aSlot, aVolume, NOW } from '../../support/fake-orders.ts'

const DEAD = { lastSeen: NOW - 31 }
const deadNode = (n: number) => aNode(n, { lastHeartbeat: NOW - 31 })

function world(more: Partial<RepairsWorld>): RepairsWorld {
  const nodes = more.nodes ?? [aNode(1), deadNode(2), aNode(3), aNode(4), aNode(5)]
  return {
    own: nodes.find(({ id }) => id === 1),
    self: nodeId(1),
    now: NOW,
    nodesReadAt: NOW,
    volumes: [aVolume(1, { slots: [aSlot(2, DEAD), aSlot(3), aSlot(4)] })],
    mounts: [aMount(9, 1, 1)],
    nodes,
    policy: aPolicy(),
    ...more,
  }
}

const show = (more: Partial<RepairsWorld>) =>
  planRepairs(world(more))
    .repairs.map(({ order, slot, state, to }) => `${order}.${slot} ${to ?? state}`)
    .join('; ') || 'nothing'

const only = (...numbers: number[]) => [
  aNode(1, { capacityBytes: 0 }),
  ...numbers.map((n) => aNode(n)),
]
const volume = (...slots: ReturnType<typeof aSlot>[]) => [aVolume(1, { slots })]

// biome-ignore format: a table
const CASES: [why: string, world: Partial<RepairsWorld>, want: string][] = [
  ['moves a slot of a silent node',                     { nodes: [...only(3, 4, 5), deadNode(2)] },                 '1.0 5'],
  ['waits while the node is only late',                 { volumes: volume(aSlot(2, { lastSeen: NOW - 30 }), aSlot(3), aSlot(4)) }, 'nothing'],
  ['leaves volumes that it does not write',             { mounts: [aMount(9, 1, 3)] },                              'nothing'],
  ['leaves volumes that it only reads',                 { mounts: [aMount(9, 1, 1, { readOnly: true })] },          'nothing'],
  ['leaves volumes whose writer is newer',              { mounts: [aMount(9, 1, 1), aMount(10, 1, 3)] },            'nothing'],
  ['leaves volumes that are not paid',                  { volumes: [aVolume(1, { state: 'suspended', slots: [aSlot(2, DEAD), aSlot(3), aSlot(4)] })] }, 'nothing'],
  ['trusts nobody when it looks dead itself',           { nodes: [aNode(1, { lastHeartbeat: NOW - 21 }), deadNode(2), aNode(3), aNode(5)] }, 'nothing'],
  ['does nothing before it is registered',              { self: undefined },                                        'nothing'],
  ['says when nobody can take it',                      { nodes: [...only(3, 4), deadNode(2)] .filter(({ id }) => id !== 4) }, '1.0 no-candidate'],
  ['lets a metadata node take a data slot',             { nodes: [...only(3, 4), deadNode(2)] },                    '1.0 4'],
  ['does not give it to a node without room',           { nodes: [...only(3), aNode(5, { usedBytes: 901 }), deadNode(2)] }, '1.0 no-candidate'],
  ['does not give it to a node that drains',            { nodes: [...only(3), aNode(5, { state: 'draining' }), deadNode(2)] }, '1.0 no-candidate'],
  ['does not give it to another dead node',             { nodes: [...only(3), deadNode(5), deadNode(2)] },          '1.0 no-candidate'],
  ['does not give it to a farm of the group',           { nodes: [...only(3), aNode(5, { farm: farmId(3) }), deadNode(2)] }, '1.0 no-candidate'],
  ['does so where the order allows it',                 { volumes: [aVolume(1, { sameFarmAllowed: true, slots: [aSlot(2, DEAD), aSlot(3), aSlot(4)] })], nodes: [...only(3), aNode(5, { farm: farmId(3) }), deadNode(2)] }, '1.0 5'],
  ['does not spend more than twice the price',          { nodes: [...only(3), aNode(5, { pricePerGibSecond: 21n }), deadNode(2)] }, '1.0 no-candidate'],
  ['moves a slot away from a node that drains',         { volumes: volume(aSlot(2), aSlot(3), aSlot(4)), nodes: [...only(3, 4, 5), aNode(2, { state: 'draining' })] }, '1.0 5'],
  ['moves data and metadata slots alike',               { volumes: volume(aSlot(3), aSlot(4), aSlot(2, DEAD)), nodes: [...only(5), deadNode(2), aNode(3, { usedBytes: 1000 }), aNode(4, { usedBytes: 1000 })] }, '1.2 5'],
  ['never puts two slots of a group on one node',       { volumes: volume(aSlot(2, DEAD), aSlot(3, DEAD), aSlot(4)), nodes: [...only(5), aNode(4, { usedBytes: 1000 }), deadNode(2), deadNode(3)] }, '1.0 5; 1.1 no-candidate'],
]

describe('planRepairs', () => {
  for (const [why, given, want] of CASES) it(why, () => assert.equal(show(given), want))

  it('asks for one transaction for each move, named after the generation that it ends', () => {
    const { transactions } = planRepairs(world({ nodes: [...only(3, 4, 5), deadNode(2)] }))
    assert.deepEqual(transactions.map(({ id, call }) => [id, call]) as unknown, [
      ['replace/1/0/0/5', { method: 'replace', order: 1, slot: 0, node: 5, maxRatePerSecond: 1n }],
    ])
  })

  it('keeps the slots of a group on distinct farms, whoever is dead', () =>
    fc.assert(
      fc.property(
        fc.array(fc.record({ farm: fc.integer({ min: 1, max: 6 }), dead: fc.boolean() }), {
          minLength: 6,
          maxLength: 12,
        }),
        (given) => {
          const nodes = given.map(({ farm, dead }, index) =>
            aNode(index + 1, {
              farm: farmId(farm),
              lastHeartbeat: index > 0 && dead ? NOW - 31 : NOW,
            }),
          )
          // A group that is well placed before: the first three nodes of distinct farms.
          const seen = new Set<number>()
          const placed = nodes.filter(({ farm }) => !seen.has(farm) && seen.add(farm)).slice(0, 3)
          fc.pre(placed.length === 3)
          const slots = placed.map((node) =>
            aSlot(node.id, { lastSeen: node.lastHeartbeat, sizeBytes: 1 }),
          )
          const volumes = [aVolume(1, { slots, dataShards: 2, parityShards: 1, metaStores: 0 })]
          const { repairs } = planRepairs(world({ nodes, volumes }))
          const after = slots.map(
            ({ node }, index) => repairs.find(({ slot }) => slot === index)?.to ?? node,
          )
          const farms = after.map((id) => nodes.find((node) => node.id === id)?.farm)
          assert.equal(new Set(farms).size, 3)
          for (const { to } of repairs) {
            if (to !== undefined)
              assert.equal(nodes.find(({ id }) => id === to)?.lastHeartbeat, NOW)
          }
        },
      ),
    ))
})
