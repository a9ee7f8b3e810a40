/** What the audit unit is told, and what of its words is believed: a table to read down, then laws. */
import { assert } from 'chai'
import { account, nodeId } from '../../../agent/base/ids.ts'
import type { AuditFacts } from '../../../agent/ledger/types.ts'
import { type AuditsWorld, planAudits } from '../../../agent/plan/audits.ts'
import { planStores } from '../../../agent/plan/stores.ts'
import type { UnitStatus } from '../../../agent/state/kinds.ts'
import { aMount, aNode, aSlot, aStore, aVolume, NOW } from '../../support/fake-orders.ts'

const NODES = [aNode(1), aNode(2), aNode(3), aNode(4)]
const ROOT = `0x${'12'.repeat(32)}`
const NONE = `0x${'00'.repeat(32)}`
const AUDITS = account(`0x${'a0'.repeat(20)}`)

const EPOCH = {
  ...{ number: 7, seed: '99', drawnAt: NOW - 10, dueAt: NOW + 20, dueBlock: 100 },
  ...{ samples: 16, openOdds: 0 },
}

function facts(more: Partial<AuditFacts> = {}): AuditFacts {
  return {
    audits: AUDITS,
    epoch: EPOCH,
    audited: { root: ROOT, units: 50 },
    auditedBefore: { root: NONE, units: 0 },
    committed: undefined,
    claim: undefined,
    ...{ isProven: false, owes: true, wasProven: false, missedEpoch: 0, slashedEpoch: 0 },
    ...{ disputesRead: 0, disputes: [], answered: [] },
    ...more,
  }
}

function unit(
  figures: Record<string, unknown> | undefined,
  more: Partial<UnitStatus> = {},
): UnitStatus {
  return {
    ...{ name: 'audit', kind: 'audit', state: 'running', pid: 1, configured: true },
    ...{ adopted: false, restarts: 0, code: undefined, message: undefined, figures },
    ...more,
  }
}

function world(more: Partial<AuditsWorld> & { epochSeconds?: number } = {}): AuditsWorld {
  const { epochSeconds = 600, ...rest } = more
  const policy = { values: { auditEpochSeconds: epochSeconds } } as AuditsWorld['policy']
  return {
    ...{ self: nodeId(1), privateKey: 'aa', chainId: 1, policy, facts: facts() },
    head: { time: NOW, number: 90 },
    ...{ stores: [], volumes: [], mounts: [], nodes: NODES, unit: undefined, isHoldKnown: false },
    encode: ({ method, args }) => `${method} ${args.join(' ')}`,
    ...rest,
  }
}

/** Slots that the unit is told of, `o1.0/2` with its generation, and who may sign for them. */
function slots(more: Partial<AuditsWorld>): string {
  const [wanted] = planAudits(world(more)).units
  if (!wanted?.run) return wanted ? 'stop' : 'nothing'
  const shown = wanted.config.slots.map(({ namespace, generation, mounts }) =>
    [`${namespace}/${generation}`, ...mounts.map(({ mount }) => `m${mount}`)].join(' '),
  )
  return shown.join(', ') || 'none'
}

const off = { epochSeconds: 0 } as Partial<AuditsWorld>

// biome-ignore format: a table
const CASES: [why: string, world: Partial<AuditsWorld>, want: string][] = [
  ['wants nothing while audits are off',             off,                                                         'nothing'],
  ['stops a unit once audits are off',               { ...off, unit: unit({}) },                                  'stop'],
  ['waits until the ledger was read',                { facts: undefined },                                        'nothing'],
  ['waits until a head is known',                    { head: undefined },                                         'nothing'],
  ['tells of a store',                               { stores: [aStore(1)] },                                     'o1.0/0'],
  ['tells of what is not paid for: it is owed yet',  { stores: [aStore(1, { state: 'suspended' })] },             'o1.0/0'],
  ['does not tell of what ended',                    { stores: [aStore(1, { state: 'ended', endedAt: NOW })] },   'none'],
  ['does not tell of slots of others',               { stores: [aStore(1, { slots: [aSlot(2)] })] },              'none'],
  ['names the mounts that may sign',                 { volumes: [aVolume(1)], mounts: [aMount(2, 1, 4)] },        'o1.0/0 m2'],
  ['names also mounts that ended: they signed once', { volumes: [aVolume(1)], mounts: [aMount(2, 1, 4, { state: 'ended' })] }, 'o1.0/0 m2'],
  ['does not name mounts that only read',            { volumes: [aVolume(1)], mounts: [aMount(2, 1, 4, { readOnly: true })] }, 'o1.0/0'],
]

describe('planAudits', () => {
  for (const [why, given, want] of CASES) it(why, () => assert.equal(slots(given), want))

  it('sends what the unit made ready, to the contract that the ledger names', () => {
    const acts = [{ id: 'audit/2/draw', act: '0x01', why: 'it is due' }, { id: 7 }, 'nonsense']
    const { transactions } = planAudits(world({ unit: unit({ acts }) }))
    const call = { method: 'audit', audits: AUDITS, act: '0x01' } as const
    assert.deepEqual([...transactions], [{ id: 'audit/2/draw', why: 'it is due', call }])
  })

  it('believes nothing of a unit that does not run', () => {
    const acts = [{ id: 'audit/2/draw', act: '0x01', why: 'it is due' }]
    const stale = unit({ acts, holds: [] }, { state: 'backing-off' })
    const plan = planAudits(world({ unit: stale }))
    assert.deepEqual([...plan.transactions], [])
    assert.isUndefined(plan.holds, 'what must stay is as it was')
  })

  it('remembers that it was told what must stay', () => {
    const known = (more: Partial<AuditsWorld>) => planAudits(world(more)).statuses[0]?.isHoldKnown
    assert.isFalse(known({}))
    assert.isTrue(known({ unit: unit({ holds: [] }) }))
    assert.isTrue(known({ isHoldKnown: true }))
  })

  it('says how an epoch goes, and what is due next', () => {
    const status = (more: Partial<AuditFacts>, head = NOW) =>
      planAudits(world({ facts: facts(more), head: { time: head, number: 90 } })).statuses[0]
    assert.include(status({}), { state: 'proving', deadline: EPOCH.dueAt, provenEpoch: 0 })
    assert.include(status({ isProven: true }), { state: 'proven', deadline: 0, provenEpoch: 7 })
    assert.include(status({ wasProven: true }), { state: 'proving', provenEpoch: 6 })
    assert.include(status({}, EPOCH.dueAt + 1), { state: 'missed', deadline: 0 })
    assert.include(status({ audited: { root: NONE, units: 0 } }), { state: 'nothing-to-prove' })
    assert.include(status({ epoch: undefined }), { state: 'waiting', epoch: 0 })
    const common = { state: 'located', epoch: 7, sample: 3, slot: undefined } as const
    const disputes = [
      { ...common, id: 1, deadline: NOW + 9 },
      { ...common, id: 2, deadline: NOW + 5 },
    ]
    assert.include(status({ disputes }), { disputes: 2, deadline: NOW + 5 })
  })
})

describe('planKeeping', () => {
  /** Ids and acts that a keeper would send. */
  const acts = (more: Partial<AuditFacts>, now = NOW) =>
    planAudits(world({ facts: facts(more), head: { time: now, number: 90 } })).transactions.map(
      ({ id, call }) => `${id}: ${call.method === 'audit' ? call.act : call.method}`,
    )
  const suspects = [nodeId(3), nodeId(4)]
  const others = { epoch: 6, scannedTo: 4, suspects, undecided: [], waiting: [] }

  it('marks who missed the epoch before the newest', () => {
    assert.deepEqual(acts({ others }), ['audit/4/mark/6/3.4: markMissed 6 3,4'])
  })
  it('marks nobody for an epoch that is no longer judged', () => {
    assert.deepEqual(acts({ others: { ...others, epoch: 5 } }), [])
  })
  it('marks many in several calls', () => {
    const many = Array.from({ length: 40 }, (_, at) => nodeId(at + 1))
    const [first = '', ...rest] = acts({ others: { ...others, suspects: many } })
    assert.lengthOf(rest, 0, 'the others once the first are marked')
    assert.include(first, 'markMissed 6 1,2,3')
    assert.notInclude(first, ',40')
  })
  it('ends a dispute that nobody answered only when whoever opened it has not', () => {
    const waiting = [{ id: 9, deadline: NOW - 10 }]
    assert.deepEqual(acts({ others: { ...others, suspects: [], waiting } }), [])
    const late = acts({ others: { ...others, suspects: [], waiting } }, NOW + 1000)
    assert.deepEqual(late, ['audit/4/expire/9: expire 9'])
  })
  it('credits the bonds of what this node answered, keeper or not', () => {
    assert.deepEqual(acts({ answered: [5] }), ['audit/4/collect/5: collect 5'])
  })
})

describe('what audits keep from going', () => {
  const ended = aStore(1, { state: 'ended', endedAt: NOW - 9, deletableAt: NOW - 1 })
  const plan = (holds: Parameters<typeof planStores>[0]['holds']) => {
    const common = { self: nodeId(1), now: NOW, graceSeconds: 1, volumes: [], mounts: [] }
    return planStores({ ...common, stores: [ended], unreadable: [], nodes: NODES, holds }).config
  }
  const hold = { namespace: 'o1.0', keptSince: 5, isNeeded: true }

  it('is removed where nobody audits', () => assert.deepEqual([...plan('off').ended], ['o1.0']))
  it('stays while nobody has said', () => assert.deepEqual([...plan('unknown').ended], []))
  it('stays while something committed has it', () => {
    assert.deepEqual([...plan([hold]).ended], [])
    assert.equal(plan([hold]).namespaces[0]?.keptSince, 5)
  })
  it('goes once nothing has it', () => {
    assert.deepEqual([...plan([{ ...hold, isNeeded: false }]).ended], ['o1.0'])
    assert.deepEqual([...plan([]).ended], ['o1.0'])
  })
})
