/** What is read of audits at a block: the node's own, and what a keeper sees of others. */
import { assert } from 'chai'
import { nodeId, orderId } from '../../../agent/base/ids.ts'
import { AUDITS_ABI, GRID_ABI, NODES_ABI } from '../../../agent/ledger/abi.ts'
import { type AuditReading, readAudits } from '../../../agent/ledger/read-audits.ts'

const GRID = `0x${'01'.repeat(20)}`
const NODES = `0x${'02'.repeat(20)}`
const AUDITS = `0x${'a0'.repeat(20)}`
const ROOT = `0x${'12'.repeat(32)}`
const NONE = `0x${'00'.repeat(32)}`
const SELF = nodeId(1)
const DRAWN_AT = 1_000_000
const EPOCH = 7

/** A contract that a test sets up. */
interface World {
  epoch: number
  /** Units by node, the same in every epoch. */
  units: Record<number, number>
  proven: number[]
  marked: number[]
  away: number[]
  /** Times of the last heartbeats, where not that of the reading. */
  heartbeats: Record<number, number>
  dead: number[]
  disputes: { node: number; state: number; deadline: number; epoch: number; sample: number }[]
}

function contract(world: World, more: Partial<AuditReading> = {}): AuditReading {
  const views: Record<string, (args: readonly bigint[]) => unknown[]> = {
    epoch: () => [world.epoch],
    epochs: ([which = 0n]) => {
      const drawnAt = DRAWN_AT - 600 * (EPOCH - Number(which))
      return [[99, drawnAt, drawnAt + 300, 50, 16, 0]]
    },
    accumulatorOf: ([node = 0n, which = 0n]) => {
      const units = world.units[Number(node)] ?? 0
      const inEpoch = units > 0 ? Math.max(0, Number(which) - 1) : 0
      return [[units > 0 ? ROOT : NONE, units, inEpoch, units > 0]]
    },
    claimOf: ([node = 0n]) => [
      world.proven.includes(Number(node)) ? `0x${'cc'.repeat(28)}` : `0x${'00'.repeat(28)}`,
      false,
    ],
    isProven: ([node = 0n]) => [world.proven.includes(Number(node))],
    owes: ([node = 0n]) => {
      const id = Number(node)
      const isFree = world.proven.includes(id) || world.away.includes(id)
      return [!isFree && (world.units[id] ?? 0) > 0]
    },
    proverOf: ([node = 0n]) => [
      world.marked.includes(Number(node)) ? world.epoch - 1 : 0,
      0,
      `0x${'00'.repeat(20)}`,
    ],
    disputeCount: () => [world.disputes.length],
    disputes: ([id = 0n]) => {
      const one = world.disputes[Number(id) - 1]
      return [[one?.state, one?.node, one?.epoch, one?.sample, one?.deadline, GRID, 0]]
    },
  }
  return {
    ...{ grid: GRID, nodes: NODES, fromBlock: 1, now: DRAWN_AT + 500, keeps: false },
    ...{ nodeCount: 4, epochSeconds: 600 },
    async call(to, data) {
      if (to === GRID) {
        const zero = `0x${'00'.repeat(20)}`
        const addresses = [[zero, zero, zero, AUDITS, zero]]
        return GRID_ABI.encodeFunctionResult('furtherContracts', addresses)
      }
      if (to === NODES) {
        const asked = NODES_ABI.parseTransaction({ data })
        const node = Number(asked?.args[0])
        const answers: Record<string, unknown[]> = {
          nodes: [[nodeView(node, world.heartbeats[node] ?? DRAWN_AT + 500)]],
          isAlive: [!world.dead.includes(node)],
        }
        const { name = '' } = asked ?? {}
        return NODES_ABI.encodeFunctionResult(name, answers[name])
      }
      const asked = AUDITS_ABI.parseTransaction({ data })
      const view = asked && views[asked.name]
      if (!asked || !view) throw new RangeError(`nobody answers ${data}`)
      return AUDITS_ABI.encodeFunctionResult(asked.name, view([...asked.args]))
    },
    async logsOf(address, _from, topics) {
      const values = [3, 1, 40]
      const event = AUDITS_ABI.encodeEventLog('SlotDemanded', [
        BigInt(topics[1] ?? 0),
        12,
        ...values,
      ])
      return [
        { blockNumber: 1, blockHash: ROOT, topics: event.topics as string[], data: event.data },
      ].filter(() => address === AUDITS.toLowerCase() || address === AUDITS)
    },
    ...more,
  }
}

/** A node as the registry shows it, of which only the heartbeat matters here. */
function nodeView(id: number, lastHeartbeat: number): readonly unknown[] {
  return [id, 1, GRID, 1, 0, 0, 0, 0, 0, lastHeartbeat, 0, '0x', '0x', []]
}

function world(more: Partial<World> = {}): World {
  const units = { 1: 50, 2: 10, 3: 20, 4: 0 }
  return {
    ...{ epoch: EPOCH, units, proven: [1, 2] },
    ...{ marked: [], away: [], disputes: [], heartbeats: {}, dead: [] },
    ...more,
  }
}

describe('reading audits', () => {
  it('gives the epoch, what the node stands for, and what was posted for it', async () => {
    const facts = await readAudits(contract(world()), SELF, undefined)
    assert.equal(facts.audits, AUDITS)
    assert.deepEqual(facts.epoch, {
      ...{ number: EPOCH, seed: '99', drawnAt: DRAWN_AT, dueAt: DRAWN_AT + 300, dueBlock: 50 },
      ...{ samples: 16, openOdds: 0 },
    })
    assert.deepEqual(facts.audited, { root: ROOT, units: 50 })
    assert.equal(facts.claim, `0x${'cc'.repeat(28)}`)
    assert.isTrue(facts.isProven)
    assert.isFalse(facts.owes)
    assert.isTrue((await readAudits(contract(world()), nodeId(3), undefined)).owes)
    assert.notProperty(facts, 'others', 'only keepers look at others')
  })

  it('says nothing of an epoch before the first', async () => {
    const none = world({ epoch: 0, units: {}, proven: [] })
    const facts = await readAudits(contract(none), SELF, undefined)
    assert.isUndefined(facts.epoch)
    assert.isUndefined(facts.committed)
    assert.isUndefined(facts.claim)
  })

  it('finds disputes that wait for this node, and which slot is demanded', async () => {
    const common = { deadline: DRAWN_AT + 900, epoch: EPOCH, sample: 3 }
    const disputes = [
      { ...common, node: 1, state: 2 },
      { ...common, node: 1, state: 3, sample: 0 },
      { ...common, node: 1, state: 4 },
      { ...common, node: 1, state: 5 },
      { ...common, node: 2, state: 1 },
    ]
    const facts = await readAudits(contract(world({ disputes })), SELF, undefined)
    assert.deepEqual(
      facts.disputes.map(({ id, state }) => [id, state]),
      [
        [1, 'located'],
        [2, 'demanded'],
      ],
    )
    assert.deepEqual(facts.disputes[1]?.slot, { order: orderId(12), slot: 3, generation: 1 })
    assert.deepEqual([...facts.answered], [3])
    assert.equal(facts.disputesRead, 5)
    const settled = disputes.map((one) => ({ ...one, state: 6 }))
    const later = await readAudits(contract(world({ disputes: settled })), SELF, facts)
    assert.deepEqual([later.disputes, later.answered], [[], []])
  })

  it('finds who owed a proof and gave none, and leaves out whom nobody may mark', async () => {
    const seen = async (more: Partial<World>, reading: Partial<AuditReading> = {}) => {
      const facts = await readAudits(
        contract(world(more), { keeps: true, ...reading }),
        SELF,
        undefined,
      )
      return facts.others?.suspects.map(Number)
    }
    assert.deepEqual(await seen({}), [3])
    assert.deepEqual(await seen({ marked: [3] }), [], 'another keeper was first')
    assert.deepEqual(await seen({ away: [3] }), [], 'it announced maintenance')
    assert.deepEqual(await seen({ units: { 3: 0 } }), [], 'it had committed nothing')
    assert.deepEqual(await seen({ epoch: 1 }), [], 'there is nothing to judge yet')
    assert.deepEqual(await seen({}, { now: DRAWN_AT - 1 }), [], 'its time has not come')
  })

  it('waits for the heartbeat that tells whether a node lived through the epoch', async () => {
    const waiting = world({ heartbeats: { 3: DRAWN_AT - 1 } })
    const reading = (of: World) => contract(of, { keeps: true })
    const first = await readAudits(reading(waiting), SELF, undefined)
    assert.deepEqual([first.others?.suspects, first.others?.undecided.map(Number)], [[], [3]])
    const heard = { ...waiting, heartbeats: { 3: DRAWN_AT } }
    const second = await readAudits(reading(heard), SELF, first)
    assert.deepEqual([second.others?.suspects.map(Number), second.others?.undecided], [[3], []])
    const silent = await readAudits(reading({ ...waiting, dead: [3] }), SELF, first)
    assert.deepEqual(silent.others?.suspects.map(Number), [3], 'it is late: it did not')
    const proven = await readAudits(reading({ ...heard, proven: [1, 2, 3] }), SELF, first)
    assert.deepEqual([proven.others?.suspects, proven.others?.undecided], [[], []])
  })

  it('looks at many nodes in several blocks, and again only at suspects', async () => {
    const ids = Array.from({ length: 300 }, (_, at) => at + 1)
    const units = Object.fromEntries(ids.map((id) => [id, 5]))
    const many = world({ units, proven: ids.slice(0, 280) })
    let asked = 0
    const reading = () => {
      const made = contract(many, { keeps: true, nodeCount: ids.length })
      const call: AuditReading['call'] = (to, data) => {
        if (data.startsWith(AUDITS_ABI.getFunction('owes')?.selector ?? '')) asked++
        return made.call(to, data)
      }
      return { ...made, call }
    }
    let facts = await readAudits(reading(), SELF, undefined)
    assert.equal(facts.others?.scannedTo, 256)
    assert.lengthOf(facts.others?.suspects ?? [], 0)
    facts = await readAudits(reading(), SELF, facts)
    assert.equal(facts.others?.scannedTo, 300)
    assert.lengthOf(facts.others?.suspects ?? [], 20)
    many.marked = ids.slice(0, 290)
    facts = await readAudits(reading(), SELF, facts)
    assert.lengthOf(facts.others?.suspects ?? [], 10)
    asked = 0
    await readAudits(reading(), nodeId(1), facts)
    assert.isAtMost(asked, 12)
  })
})
