/** The duties of a node, as a table to read down, and the acts that are made of them. */
import { assert } from 'chai'
import { nodeId } from '../../../agent/base/ids.ts'
import {
  DigestGroup,
  type DutiesWorld,
  type Duty,
  dutyAct,
  type EpochFacts,
  planDuties,
} from '../../../agent/engines/audit/index.ts'
import { AuditNode, slotOf } from '../../support/audit-node.ts'
import { seededChance } from '../../support/seeded-chance.ts'

const word = (byte: number) => new Uint8Array(32).fill(byte)
const NODE = nodeId(7)
/** An hour's window of a quarter of a day, as shipped. */
const EPOCH: EpochFacts = {
  number: 5,
  seed: 42n,
  drawnAt: 100_000,
  dueAt: 103_600,
  dueBlock: 500,
  samples: 64,
  openOdds: 0,
}
const DRAWS_ALL = { ...EPOCH, openOdds: 1 }
const NOTHING = { root: word(0), units: 0 }
const HELD = { root: word(1), units: 9 }
const MORE = { root: word(2), units: 12 }
const PROOF = { epoch: 5, seed: 42n, root: HELD.root, digest: word(9) }
const UNPOSTED = { own: undefined, group: undefined, groupPath: undefined, isOpened: false }
const POSTED = { ...UNPOSTED, own: word(9).slice(0, 28) }
const DONE = { posted: POSTED, proofs: [PROOF] }

function world(rest: Partial<DutiesWorld> = {}): DutiesWorld {
  return {
    node: NODE,
    now: 100_010,
    block: 400,
    epochSeconds: 21_600,
    epoch: EPOCH,
    audited: HELD,
    committed: { ...HELD, epoch: 4 },
    holds: HELD,
    oldestSigned: undefined,
    proofs: [],
    posted: UNPOSTED,
    owes: true,
    hasAggregator: false,
    disputes: [],
    ...rest,
  }
}

/** A group in which the digest is, and one in which another stands for the node. */
function grouped(digest: Uint8Array) {
  const group = new DigestGroup(5, 0)
  group.add(NODE, digest)
  const act = group.seal()
  if (act?.method !== 'postDigests') throw new TypeError('nothing to post')
  return { ...UNPOSTED, group: act.args[2], groupPath: group.path(NODE) }
}

const show = (duties: readonly Duty[]) => duties.map(({ kind }) => kind).join(', ') || 'nothing'
const dispute = (rest: object) => ({
  id: 1,
  waitsFor: 'answer' as const,
  epoch: 5,
  sample: 3,
  deadline: 100_100,
  ...rest,
})
const AGGREGATED = { hasAggregator: true, proofs: [PROOF] }

// biome-ignore format: a table to read down
const cases: [why: string, rest: Partial<DutiesWorld>, want: string][] = [
  ['proves as soon as an epoch is drawn',            {},                                                                    'prove'],
  ['posts what it proved',                           { proofs: [PROOF] },                                                   'post'],
  ['is done when that is on the ledger',             DONE,                                                                  'nothing'],
  ['posts again what is on the ledger but wrong',    { proofs: [PROOF], posted: { ...POSTED, own: word(8).slice(0, 28) } }, 'post'],
  ['proves again when the chain drew another seed',  { proofs: [{ ...PROOF, seed: 41n }] },                                 'prove'],
  ['proves again when another commitment counts',    { proofs: [{ ...PROOF, root: word(3) }] },                             'prove'],
  ['owes nothing for nothing',                       { audited: NOTHING, committed: { ...NOTHING, epoch: 0 }, holds: NOTHING, owes: false }, 'nothing'],
  ['says that nobody signed anything of its slots',  { audited: NOTHING, committed: { ...NOTHING, epoch: 0 }, holds: NOTHING }, 'post'],
  ['says so in the window alone',                    { audited: NOTHING, committed: { ...NOTHING, epoch: 0 }, holds: NOTHING, now: 103_601, block: 501 }, 'nothing'],
  ['commits at first that it holds nothing',         { audited: NOTHING, committed: undefined, holds: NOTHING, owes: false }, 'commit'],
  ['does nothing when the window is over',           { now: 103_601, block: 501 },                                          'nothing'],
  ['goes on while the chain stood still',            { now: 110_000, block: 500, proofs: [PROOF] },                         'post'],
  ['goes on until the last second',                  { now: 103_600, block: 501, proofs: [PROOF] },                         'post'],
  ['opens the sample that it was drawn for first',   { epoch: DRAWS_ALL, proofs: [PROOF] },                                 'open, post'],
  ['opens it once',                                  { epoch: DRAWS_ALL, ...DONE, posted: { ...POSTED, isOpened: true } },  'nothing'],
  ['opens it although the digest is posted',         { epoch: DRAWS_ALL, ...DONE },                                         'open'],

  ['sends its digest to its aggregator',             AGGREGATED,                                                            'send'],
  ['is done when its digest is under the root',      { ...AGGREGATED, posted: grouped(word(9)) },                           'nothing'],
  ['posts itself when the aggregator lied',          { ...AGGREGATED, posted: grouped(word(8)) },                           'post'],
  ['posts itself when the window runs out',          { ...AGGREGATED, now: 102_600 },                                       'post'],
  ['posts itself when it is not shown the root',     { ...AGGREGATED, now: 102_600, posted: { ...grouped(word(9)), groupPath: undefined } }, 'post'],

  ['draws when the time has come',                   { ...DONE, now: 121_800, block: 600 },                                 'draw'],
  ['leaves others time to draw',                     { ...DONE, now: 121_600, block: 600 },                                 'nothing'],
  ['draws only when the window is over',             { ...DONE, now: 121_800, block: 500 },                                 'nothing'],
  ['draws the first epoch, and commits before it',   { epoch: undefined, committed: undefined, audited: NOTHING },          'draw, commit'],
  ['draws nothing where audits are off',             { epochSeconds: 0, epoch: undefined, committed: undefined, audited: NOTHING }, 'nothing'],

  ['commits in the second half of an epoch',         { ...DONE, holds: MORE, now: 110_800 },                                'commit'],
  ['does not before that',                           { ...DONE, holds: MORE, now: 110_600, block: 600 },                    'nothing'],
  ['commits at once what is overdue',                { ...DONE, holds: MORE, oldestSigned: 4 },                             'commit'],
  ['commits once an epoch',                          { ...DONE, holds: MORE, now: 110_800, committed: { ...HELD, epoch: 5 } }, 'nothing'],
  ['commits twice where something is overdue',       { ...DONE, holds: MORE, oldestSigned: 4, committed: { ...HELD, epoch: 5 } }, 'commit'],
  ['takes back what it stood for when all ended',    { ...DONE, holds: NOTHING, now: 110_800 },                             'commit'],

  ['answers before anything else',                   { proofs: [PROOF], disputes: [dispute({})] },                          'answer, post'],
  ['locates where that is asked',                    { ...DONE, disputes: [dispute({ waitsFor: 'location' })] },            'locate'],
  ['shows a slot that is demanded',                  { ...DONE, disputes: [dispute({ waitsFor: 'slot', sample: 0 })] },     'show'],
  ['answers the most urgent first',                  { ...DONE, disputes: [dispute({ deadline: 100_200 }), dispute({ id: 2, waitsFor: 'slot', deadline: 100_050 })] }, 'show, answer'],
  ['answers no more after the deadline',             { ...DONE, disputes: [dispute({ deadline: 100_009 })] },               'nothing'],
  ['answers until the deadline',                     { ...DONE, disputes: [dispute({ deadline: 100_010 })] },               'answer'],
  ['answers nothing of a seed that was taken back',  { proofs: [{ ...PROOF, seed: 41n }], disputes: [dispute({})] },        'prove'],
  ['answers about the epoch before as well',         { ...DONE, proofs: [PROOF, { ...PROOF, epoch: 4 }], disputes: [dispute({ epoch: 4 })] }, 'answer'],
  ['proves again what it is asked about and lost',   { now: 110_000, block: 600, disputes: [dispute({ deadline: 110_100 })] }, 'prove'],
]

describe('the duties of a node', () => {
  for (const [why, rest, want] of cases) {
    it(why, () => assert.equal(show(planDuties(world(rest))), want))
  }

  it('does not draw all at once', () => {
    const times = Array.from({ length: 50 }, (_, at) => {
      let now = 121_600
      const due = { ...DONE, block: 600, node: nodeId(at + 1) }
      while (show(planDuties(world({ ...due, now }))) === 'nothing') now++
      return now
    })
    assert.isAbove(new Set(times).size, 25)
    assert.isBelow(Math.max(...times), 121_600 + 120)
  })
})

describe('the act for a duty', () => {
  it('is made from what the node keeps, and is none where that is not at hand', async () => {
    const node = new AuditNode()
    await node.fill(slotOf(1), [500], seededChance(1))
    const transcript = await node.prove({ number: 5, seed: 1n, samples: 3 })
    const accumulator = node.accumulator()
    const store = {
      node: node.node,
      transcript: (epoch: number) => (epoch === 5 ? transcript : undefined),
      accumulator: (epoch: number) => (epoch === 5 ? accumulator : undefined),
      groupPath: () => [],
      demanded: (id: number) => (id === 1 ? slotOf(1) : slotOf(2)),
    }
    const duties: [Duty, string | undefined][] = [
      [{ kind: 'draw', epoch: 5 }, 'draw'],
      [{ kind: 'commit', root: word(1), units: 1 }, 'commit'],
      [{ kind: 'post', epoch: 5, digest: word(1) }, 'postDigest'],
      [{ kind: 'send', epoch: 5, digest: word(1) }, undefined],
      [{ kind: 'prove', epoch: 5, seed: 1n }, undefined],
      [{ kind: 'open', epoch: 5 }, 'openSample'],
      [{ kind: 'open', epoch: 4 }, undefined],
      [{ kind: 'locate', dispute: 1, epoch: 5, sample: 2 }, 'locate'],
      [{ kind: 'answer', dispute: 1, epoch: 5, sample: 2 }, 'answer'],
      [{ kind: 'answer', dispute: 1, epoch: 4, sample: 2 }, undefined],
      [{ kind: 'answer', dispute: 1, epoch: 5, sample: 4 }, undefined],
      [{ kind: 'show', dispute: 1, epoch: 5 }, 'show'],
      [{ kind: 'show', dispute: 2, epoch: 5 }, undefined],
    ]
    for (const [duty, want] of duties) assert.equal(dutyAct(duty, store)?.method, want, duty.kind)
    const act = dutyAct({ kind: 'post', epoch: 5, digest: word(1) }, store)
    assert.deepEqual(act?.args, [5, word(1).slice(0, 28)])
  })
})
