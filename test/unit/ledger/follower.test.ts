/** What an agent believes of a ledger that reorganises, stalls, forks, lags, withholds and lies: final truth, or nothing. */
import { assert } from 'chai'
import fc from 'fast-check'
import { encodeResource } from '../../../agent/state/codec.ts'
import { type FakeChain, type Faults, specs } from '../../support/fake-ledger.ts'
import { Following } from '../../support/following.ts'

const STORE = 1
const VOLUME = 2
const MOUNT = 3

describe('LedgerFollower, one endpoint', () => {
  it('reads orders of this node at finality, and not before', async () => {
    const f = new Following({ finalLag: 2 })
    await f.poll()
    f.chain.mine((acts) => acts.place(STORE, specs.store(), [1]))
    f.chain.mine((acts) => acts.place(STORE, specs.store(), [2]))
    await f.poll()
    assert.equal(f.orders(), '')
    assert.equal(await f.settle(), 'advanced')
    assert.equal(f.orders(), '1 store live')
  })

  it('waits the depth that policy asks below the head, even if the chain is final sooner', async () => {
    const f = new Following({ finalLag: 0 })
    await f.poll()
    assert.equal(f.known?.cursor.block.number, f.chain.head.number - 1)
    f.chain.mine((acts) => {
      acts.world.policy[0] = 3n
    })
    f.chain.mineMany(3)
    await f.poll()
    f.chain.mineMany(4)
    await f.poll()
    assert.equal(f.known?.cursor.block.number, f.chain.head.number - 3)
    f.chain.mineMany(2)
    await f.poll()
    assert.equal(f.known?.cursor.block.number, f.chain.head.number - 3)
  })

  it('follows a volume to its mounts and a mount to its volume', async () => {
    const f = new Following()
    f.chain.mine((acts) => {
      acts.place(VOLUME, specs.volume(1, 1, 1), [2, 3, 4])
      acts.place(VOLUME, specs.volume(1, 1, 1), [1, 2, 3])
      acts.place(MOUNT, specs.mount('a'), [1], 1)
      acts.place(MOUNT, specs.mount('b'), [4], 1)
      acts.place(MOUNT, specs.mount('c'), [4], 2)
      acts.place(VOLUME, specs.volume(1, 1, 1), [2, 3, 4])
    })
    await f.settle()
    assert.equal(
      f.orders(),
      '1 volume live, 2 volume live, 3 mount live, 4 mount live, 5 mount live',
    )
  })

  it('knows every writer that a volume ever had, though the contract forgot its mount', async () => {
    const f = new Following()
    await f.settle()
    f.chain.mine((acts) => {
      acts.place(VOLUME, specs.volume(1, 1, 1), [2, 3, 4])
      acts.place(MOUNT, specs.mount('a'), [4], 1)
    })
    await f.settle()
    f.chain.mine((acts) => {
      acts.end(2, 1)
      acts.release(2)
    })
    await f.settle()
    f.chain.mine((acts) => acts.place(MOUNT, specs.mount('a'), [1], 1))
    await f.settle()
    assert.equal(f.orders(), '1 volume live, 2 mount ended, 3 mount live')
  })

  it('remembers a slot that moved away, and since when', async () => {
    const f = new Following()
    f.chain.mine((acts) => acts.place(VOLUME, specs.volume(1, 1, 1), [1, 2, 3]))
    await f.settle()
    f.chain.mine((acts) => acts.replace(1, 0, 4))
    await f.settle()
    const [order] = f.known?.orders ?? []
    const seenAt = f.clock.now() / 1000
    assert.deepEqual(order?.releases as unknown, [{ slot: 0, node: 1, at: seenAt }])
    f.chain.mineMany(5)
    await f.settle()
    assert.equal(f.known?.orders[0]?.releases[0]?.at, seenAt)
  })

  it('shows an order that it cannot read, and goes on', async () => {
    const f = new Following()
    f.chain.mine((acts) => {
      acts.place(4, '0x', [1])
      acts.place(STORE, '0x1234', [1])
      acts.place(STORE, specs.store().replace(/1/, '1'), [1])
      acts.place(STORE, `0x${'00'.repeat(31)}20${'00'.repeat(31)}07${'00'.repeat(128)}`, [1])
      acts.place(VOLUME, specs.volume(0, 1, 2), [1, 2, 3])
    })
    await f.settle()
    assert.deepEqual(
      f.known?.orders.map((order) => ('code' in order ? order.code : order.kind)),
      [
        'ORDER_KIND_UNSUPPORTED',
        'ORDER_SPEC_UNDECODABLE',
        'store',
        'ORDER_SPEC_VERSION_UNSUPPORTED',
        'ORDER_SPEC_INVALID',
      ],
    )
  })

  it('is not moved by a reorganisation below finality', async () => {
    const f = new Following({ finalLag: 4 })
    await f.settle()
    f.chain.mine((acts) => acts.place(STORE, specs.store(), [1]))
    f.chain.mine()
    await f.poll()
    f.chain.rewind(2).mineMany(12)
    assert.equal(await f.poll(), 'advanced')
    assert.equal(f.orders(), '')
  })

  it('fills the gap after a long absence', async () => {
    const f = new Following()
    await f.settle()
    f.chain.mine((acts) => acts.place(STORE, specs.store(), [1]))
    f.chain.mineMany(2500)
    f.chain.mine((acts) => acts.place(STORE, specs.store(), [1]))
    f.restart()
    assert.equal(await f.settle(), 'advanced')
    assert.equal(f.orders(), '1 store live, 2 store live')
  })

  it('reads nothing twice: an idle ledger costs seven questions in one batch a poll', async () => {
    const f = new Following()
    await f.settle()
    const before = f.sources[0]!.calls
    assert.equal(await f.poll(), 'idle')
    assert.equal(f.sources[0]!.calls - before, 7)
  })

  it('keeps its number and its orders when it has left the registry', async () => {
    const f = new Following()
    f.chain.mine((acts) => acts.place(STORE, specs.store(), [1]))
    await f.settle()
    f.chain.mine((acts) => {
      acts.world.nodeCount = 0
      acts.world.registryVersion++
    })
    await f.settle()
    assert.equal(f.known?.registration.node, 1)
    assert.equal(f.orders(), '1 store live')
  })

  // Each row: how the endpoint turns bad after an order was read, and what is said while it is.
  const BAD: [why: string, turn: (f: Following) => void, want: string][] = [
    ['is down', (f) => (f.sources[0]!.faults.down = true), 'LEDGER_UNREACHABLE'],
    ['serves another chain', (f) => (f.sources[0]!.faults.chainId = 1), 'LEDGER_WRONG_CHAIN'],
    ['has no final block', (f) => (f.sources[0]!.faults.noFinality = true), 'LEDGER_NO_FINALITY'],
    ['goes back to an older head', (f) => (f.sources[0]!.faults.behind = 16), 'LEDGER_BEHIND'],
    [
      'withholds an event',
      (f) => (f.sources[0]!.faults.withhold = (_, index) => index === 0),
      'LEDGER_LOGS_WITHHELD',
    ],
    [
      'withholds all events',
      (f) => (f.sources[0]!.faults.withhold = () => true),
      'LEDGER_LOGS_WITHHELD',
    ],
    [
      'answers garbage',
      (f) => (f.sources[0]!.faults.forge = () => '0x12'),
      'LEDGER_RESPONSE_INVALID',
    ],
    [
      'is on a fork that undid what was final',
      (f) => (f.sources[0]!.faults.chain = forkBefore(f.chain, 18)),
      'LEDGER_FORKED',
    ],
  ]
  for (const [why, turn, want] of BAD) {
    it(`believes nothing when the endpoint ${why}, says so, and recovers`, async () => {
      const f = new Following()
      f.chain.mine((acts) => acts.place(STORE, specs.store(), [1]))
      await f.settle()
      const before = encodeResource(f.known?.orders)
      f.chain.mineMany(6).mine((acts) => {
        acts.end(1, 0)
        acts.place(STORE, specs.store(), [1])
      })
      f.chain.mineMany(6)
      turn(f)
      assert.equal(await f.poll(), want)
      assert.isDefined(f.last?.status.hint)
      assert.equal(f.last?.status.sources[0]?.code, want)
      assert.equal(encodeResource(f.known?.orders), before)
      f.sources[0]!.faults = {}
      assert.equal(await f.settle(), 'advanced')
      assert.equal(f.orders(), '1 store ended, 2 store live')
    })
  }

  it('refuses another grid, or other code at its address, also after a restart', async () => {
    const f = new Following()
    await f.settle()
    f.sources[0]!.faults.code = '0x60ff'
    f.restart()
    assert.equal(await f.settle(), 'LEDGER_WRONG_GRID')
    f.sources[0]!.faults.code = '0x'
    assert.equal(await f.settle(), 'LEDGER_WRONG_GRID')
  })

  it('says when the ledger stands still', async () => {
    const f = new Following()
    await f.settle()
    assert.equal(await f.poll(), 'idle')
    await f.clock.advance(5000)
    assert.equal(await f.poll(), 'LEDGER_STALLED')
    assert.equal(await f.settle(), 'advanced')
  })

  it('waits while the chain is younger than its finality', async () => {
    const f = new Following({ finalLag: 0 })
    f.chain.rewind(f.chain.blocks.length - 1)
    assert.equal(await f.poll(), 'LEDGER_NO_FINALITY')
  })
})

describe('LedgerFollower, several endpoints', () => {
  it('follows the majority past one that lies, lags or is down', async () => {
    const faults: ((f: Following) => Faults)[] = [
      () => ({ down: true }),
      () => ({ chainId: 5 }),
      () => ({ behind: 4 }),
      () => ({ withhold: () => true }),
      (f) => ({ chain: forkBefore(f.chain, 3) }),
    ]
    for (const fault of faults) {
      const f = new Following({}, {}, {})
      await f.settle()
      f.chain.mine((acts) => acts.place(STORE, specs.store(), [1]))
      f.chain.mineMany(5)
      f.sources[1]!.faults = fault(f)
      assert.equal(await f.poll(), 'advanced')
      assert.equal(f.orders(), '1 store live')
    }
  })

  it('believes nobody while no majority agrees, and names who said what', async () => {
    const f = new Following({}, {})
    await f.settle()
    const before = f.known?.cursor.block.number
    f.chain.mineMany(3)
    f.sources[1]!.faults = { chain: forkBefore(f.chain, 4) }
    f.chain.mineMany(3)
    assert.equal(await f.poll(), 'LEDGER_DISAGREE')
    assert.equal(f.known?.cursor.block.number, before)
    f.sources[0]!.faults = { down: true }
    f.sources[1]!.faults = {}
    assert.equal(await f.poll(), 'LEDGER_UNREACHABLE')
    assert.deepEqual(
      f.last?.status.sources.map(({ code }) => code),
      ['LEDGER_UNREACHABLE', undefined],
    )
  })

  it('never adopts what only a minority says, whatever each of three endpoints does', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            lies: fc.integer({ min: 0, max: 2 }),
            how: fc.integer({ min: 0, max: 4 }),
            blocks: fc.integer({ min: 1, max: 4 }),
          }),
          { minLength: 1, maxLength: 8 },
        ),
        async (steps) => {
          const f = new Following({}, {}, {})
          await f.settle()
          const liar = forkBefore(f.chain, 2)
          liar.mine((acts) => acts.place(STORE, specs.store(), [1])).mineMany(40)
          for (const { lies, how, blocks } of steps) {
            f.chain.mineMany(blocks)
            const fault = [
              {},
              { down: true },
              { chain: liar },
              { behind: 3 },
              { withhold: () => true },
            ][how]
            for (const source of f.sources) source.faults = {}
            f.sources[lies]!.faults = fault as Faults
            await f.poll()
            // Nothing was ordered on the true chain; only the liar knows an order.
            assert.equal(f.orders(), '')
            const { number, hash } = f.known!.cursor.block
            assert.equal(f.chain.blocks[number]?.hash, hash)
          }
          for (const source of f.sources) source.faults = {}
          assert.equal(await f.settle(), 'advanced')
        },
      ),
      { numRuns: 60 },
    ))
})

/** A fork that leaves the chain some blocks below its head and is longer. */
function forkBefore(chain: FakeChain, count: number): FakeChain {
  return chain
    .fork()
    .rewind(count)
    .mineMany(count + 8)
}
