/**
 * What an agent does with a time that is false: it deletes nothing early, and is back within two polls of the truth. The cases are
 * those at the head of `agent/ledger/ledger-time.ts`.
 */
import { assert } from 'chai'
import fc from 'fast-check'
import { trailAfter } from '../../../agent/ledger/ledger-time.ts'
import type { TrailBlock } from '../../../agent/ledger/types.ts'
import { planStores } from '../../../agent/plan/stores.ts'
import { type FakeChain, specs } from '../../support/fake-ledger.ts'
import { Following } from '../../support/following.ts'

const STORE = 1
const VOLUME = 2
const DAY = 86_400
const GRACE = 100

/** Namespaces that the store unit would be told to delete now. */
function deletes(f: Following): readonly string[] {
  const { known } = f
  if (!known) return []
  return planStores({
    self: known.registration.node,
    now: known.cursor.time?.provenSeconds ?? 0,
    graceSeconds: known.policy.values.graceSeconds,
    stores: known.orders.filter((order) => order.kind === 'store'),
    volumes: known.orders.filter((order) => order.kind === 'volume'),
    mounts: [],
    unreadable: [],
    nodes: known.nodes,
    holds: 'off',
  }).config.ended
}

/** An order that ended a moment ago, and the grace that just began. */
async function withEndedOrder(endpoints: number): Promise<Following> {
  const f = new Following(...Array.from({ length: endpoints }, () => ({})))
  await f.settle()
  f.chain.mine((acts) => acts.place(STORE, specs.store(), [1]))
  await f.settle()
  f.chain.mine((acts) => acts.end(1, GRACE))
  await f.settle()
  assert.equal(f.orders(), '1 store ended')
  return f
}

/** How the time of blocks is false, and since when. */
const LIES: [lie: string, off: number][] = [
  ['10 days ahead', 10 * DAY],
  ['3 years ahead', 3 * 365 * DAY],
  ['an hour ahead', 3600],
  ['200 seconds ahead', 200],
  ['a day back', -DAY],
  ['200 seconds back', -200],
]

for (const endpoints of [1, 2]) {
  describe(`a false time from ${endpoints === 1 ? 'the only endpoint' : 'one endpoint of two'}`, () => {
    for (const [lie, off] of LIES) {
      for (const isPartial of [false, true]) {
        const which = isPartial ? 'new blocks' : 'all blocks'
        it(`of ${lie} in ${which} deletes nothing early and is forgotten two polls later`, async () => {
          const f = await withEndedOrder(endpoints)
          const from = f.chain.head.number
          f.sources[0]!.faults.timeOff = (block) => (isPartial && block.number <= from ? 0 : off)
          for (let poll = 0; poll < 5; poll++) {
            await f.settle()
            assert.deepEqual(deletes(f), [])
          }
          f.restart()
          await f.settle()
          assert.deepEqual(deletes(f), [])
          f.sources[0]!.faults = {}
          await f.settle()
          await f.settle()
          assert.equal(f.last?.status.state, 'following')
          const { number, timestamp } = f.known!.cursor.block
          assert.equal(number, f.chain.head.number - 2)
          assert.equal(timestamp, f.chain.blocks[number]!.timestamp)
          // In the end the data goes, a grace after the last trouble at the latest.
          for (let waited = 0; waited < 3 * GRACE; waited += 30) {
            f.chain.mineMany(27)
            await f.settle()
          }
          assert.deepEqual(deletes(f), ['o1.0'])
        })
      }
    }
  })
}

describe('the time of the ledger', () => {
  it('is not believed at the very first look if it is far ahead, and is left if it was far back', async () => {
    const ahead = new Following()
    ahead.sources[0]!.faults.timeOff = 10 * DAY
    assert.equal(await ahead.settle(), 'LEDGER_TIME_IMPLAUSIBLE')
    assert.isUndefined(ahead.known)

    const back = new Following()
    back.sources[0]!.faults.timeOff = -DAY
    await back.settle()
    back.sources[0]!.faults = {}
    await back.settle()
    await back.settle()
    const { number, timestamp } = back.known!.cursor.block
    assert.equal(timestamp, back.chain.blocks[number]!.timestamp)
  })

  it('may not run faster than time passes here, though this machine’s clock is days ahead', async () => {
    const f = await withEndedOrder(1)
    f.clock.offMs = 20 * DAY * 1000
    await f.settle()
    f.sources[0]!.faults.timeOff = (block) =>
      block.number > f.known!.cursor.block.number ? 10 * DAY : 0
    assert.equal(await f.settle(), 'LEDGER_TIME_IMPLAUSIBLE')
    assert.deepEqual(deletes(f), [])
    f.sources[0]!.faults = {}
    assert.equal(await f.settle(), 'advanced')
  })

  it('is not adopted while this machine’s clock is far behind, and then is', async () => {
    const f = await withEndedOrder(1)
    f.clock.offMs = -DAY * 1000
    assert.equal(await f.settle(), 'LEDGER_TIME_IMPLAUSIBLE')
    assert.match(f.last?.status.message ?? '', /ahead of this machine’s clock/)
    f.clock.offMs = 0
    assert.equal(await f.settle(), 'advanced')
  })

  it('may stand still for long, and catch up from far behind', async () => {
    const f = await withEndedOrder(1)
    const lag = 5_000
    f.chain.mineMany(lag)
    f.sources[0]!.faults.behind = lag - 100
    assert.equal(await f.settle(), 'advanced')
    f.sources[0]!.faults.behind = 0
    assert.equal(await f.settle(), 'advanced')
  })

  it('is compared with no clock on a chain that declares that its time is moved by hand', async () => {
    const f = await withEndedOrder(1)
    f.time = 'warped'
    f.restart()
    f.clock.offMs = -DAY * 1000
    f.chain.mineMany(GRACE)
    assert.equal(await f.settle(), 'advanced')
    assert.deepEqual(deletes(f), ['o1.0'])
  })

  it('counts a grace after a move from this machine’s clock where the endpoint’s is behind', async () => {
    const f = new Following()
    f.chain.mine((acts) => acts.place(VOLUME, specs.volume(1, 1, 1), [1, 2, 3]))
    await f.settle()
    // The node was away for long, and the first time that it is told afterwards is that of the block before.
    f.chain.mineMany(5_000)
    f.chain.mine((acts) => acts.replace(1, 0, 4))
    f.sources[0]!.faults.timeOff = (block) => (block.number > 20 ? 20 - block.number : 0)
    await f.settle()
    const [release] = f.known!.orders[0]!.releases
    assert.isAtLeast(release!.at, f.chain.head.timestamp)
    f.sources[0]!.faults = {}
    await f.settle()
    await f.settle()
    assert.deepEqual(deletes(f), [])
  })
})

describe('a cursor that turns out wrong', () => {
  /** Undoes what was final, and goes on with other blocks. */
  function revert(chain: FakeChain): void {
    chain.rewind(12).mineMany(30)
  }

  for (const endpoints of [1, 2, 3]) {
    it(`is left in the second poll, with an alarm and without a deletion for a grace (${endpoints})`, async () => {
      const f = await withEndedOrder(endpoints)
      f.chain.mineMany(GRACE - 10)
      await f.settle()
      revert(f.chain)
      assert.equal(await f.poll(), 'LEDGER_FORKED')
      assert.equal(await f.settle(), 'LEDGER_REVERTED')
      assert.equal(f.last?.status.state, 'following')
      const revertedAt = f.chain.head.timestamp
      f.restart()
      while (f.chain.head.timestamp < revertedAt + GRACE - 3) {
        assert.equal(await f.settle(), 'LEDGER_REVERTED')
        assert.deepEqual(deletes(f), [])
      }
      await f.settle()
      assert.equal(await f.settle(), 'advanced')
      assert.deepEqual(deletes(f), ['o1.0'])
    })
  }

  it('is not left for a minority, nor for one poll', async () => {
    const f = await withEndedOrder(3)
    const before = f.known!.cursor.block
    const other = f.chain.fork().rewind(8).mineMany(40)
    f.sources[0]!.faults.chain = other
    for (let poll = 0; poll < 4; poll++) await f.settle()
    assert.equal(f.last?.status.state, 'following')
    f.sources[1]!.faults.chain = other
    assert.equal(await f.settle(), 'LEDGER_FORKED')
    f.sources[1]!.faults = {}
    assert.equal(await f.settle(), 'advanced')
    assert.isAbove(f.known!.cursor.block.number, before.number)
    assert.equal(f.chain.blocks[f.known!.cursor.block.number]!.hash, f.known!.cursor.block.hash)
  })

  it('of a chain that nobody has any more is left after a while, never in a hurry', async () => {
    const f = await withEndedOrder(1)
    f.chain.rewind(f.chain.blocks.length).mine()
    f.chain.mine((acts) => acts.register())
    f.chain.mineMany(60)
    for (let poll = 0; poll < 5; poll++) assert.equal(await f.settle(), 'LEDGER_FORKED')
    await f.clock.advance(10 * 60_000)
    assert.equal(await f.settle(), 'LEDGER_REVERTED')
    assert.equal(f.orders(), '')
    assert.deepEqual(deletes(f), [])
  })

  it('that lies beyond the head of the truth, or counts events that never were, is left after a while', async () => {
    for (const lie of ['height', 'events'] as const) {
      const f = await withEndedOrder(1)
      const fiction = f.chain.fork()
      if (lie === 'height') fiction.mineMany(100_000)
      else {
        fiction.mine((acts) => {
          acts.world.sequence = 0
        })
        fiction.mineMany(5)
      }
      f.sources[0]!.faults.chain = fiction
      f.clock.offMs = lie === 'height' ? 100_000_000 : 0
      await f.poll()
      f.clock.offMs = 0
      f.sources[0]!.faults = {}
      await f.settle()
      await f.settle()
      await f.clock.advance(10 * 60_000)
      await f.settle()
      await f.settle()
      assert.equal(f.last?.status.state, 'following', lie)
      assert.equal(f.known!.cursor.block.number, f.chain.head.number - 2, lie)
    }
  })
})

describe('the trail of a cursor', () => {
  it('keeps the first block and one of each doubling of the distance, whatever the steps', () =>
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 300 }),
        (steps) => {
          let number = 1
          let trail: TrailBlock[] = []
          for (const step of steps) {
            const here = { number, hash: `0x${number}`, timestamp: number }
            number += step
            trail = trailAfter([here, ...trail], number)
          }
          assert.isAtMost(trail.length, Math.log2(number) + 1)
          assert.equal(trail.at(-1)?.number, 1)
          assert.isAtLeast(trail[0]!.number, number - 2 * Math.max(...steps) - 1)
          const numbers = trail.map((block) => block.number)
          assert.deepEqual(
            numbers,
            [...new Set(numbers)].sort((a, b) => b - a),
          )
        },
      ),
    ))
})
