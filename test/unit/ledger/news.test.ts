/** What an agent reads again, and what it leaves: only what an event names, what time changed, and what it needs for a repair. */
import { assert } from 'chai'
import { NODES_ABI, ORDERS_ABI } from '../../../agent/ledger/abi.ts'
import { specs } from '../../support/fake-ledger.ts'
import { Following } from '../../support/following.ts'

const STORE = 1
const VOLUME = 2
const MOUNT = 3
const ORDERS = 200

/** Numbers of orders that are read, and ranges of nodes, from now on. */
function watching(f: Following): { orders: number[]; nodes: string[] } {
  const asked = { orders: [] as number[], nodes: [] as string[] }
  const [source] = f.sources
  const call = source!.call
  source!.call = (to, data, block, signal) => {
    const orders = ORDERS_ABI.parseTransaction({ data })
    if (orders?.name === 'get') asked.orders.push(...[...orders.args[0]].map(Number))
    const nodes = NODES_ABI.parseTransaction({ data })
    if (nodes?.name === 'nodes') asked.nodes.push(`${nodes.args[0]}+${nodes.args[1]}`)
    return call(to, data, block, signal)
  }
  return asked
}

describe('reading what changed', () => {
  it('reads of many orders only the one that an event names, and of the registry only itself', async () => {
    const f = new Following()
    f.chain.mine((acts) => {
      for (let at = 0; at < ORDERS; at++) acts.place(STORE, specs.store(), [1])
    })
    await f.settle()
    assert.lengthOf(f.known!.orders, ORDERS)
    const before = f.known!
    const asked = watching(f)
    f.chain.mine((acts) => acts.end(7, 100))
    assert.equal(await f.settle(), 'advanced')
    assert.deepEqual(asked, { orders: [7], nodes: ['1+1'] })
    assert.equal(f.known!.orders[6]!.state, 'ended')
    assert.equal(f.known!.orders[7], before.orders[7])
    assert.equal(f.known!.nodes, before.nodes)
  })

  it('leaves out blocks in which nothing happened, but confirms what it knows now and then', async () => {
    const f = new Following()
    await f.settle()
    let advanced = 0
    for (let block = 0; block < 40; block++) {
      f.chain.mine()
      if ((await f.poll()) === 'advanced') advanced++
    }
    // A heartbeat is asked for every 10 s, so a view is at most 2.5 s old: every third block.
    assert.isAtMost(advanced, 14)
    assert.isAtLeast(advanced, 10)
  })

  it('reads a whole registry when it changes, and not because of heartbeats', async () => {
    const f = new Following()
    await f.settle()
    const asked = watching(f)
    f.chain.mine((acts) => {
      for (let node = 1; node <= 4; node++) acts.world.heartbeats[node] = acts.now
    })
    f.chain.mineMany(20)
    await f.settle()
    assert.deepEqual(asked.nodes, ['1+1'])
    assert.equal(f.known!.own?.lastHeartbeat, f.chain.head.world.heartbeats[1])
    f.chain.mine((acts) => acts.register())
    await f.settle()
    assert.deepEqual(asked.nodes, ['1+1', '1+1', '1+5'])
    assert.lengthOf(f.known!.nodes, 5)
  })

  it('asks who lives while a slot of a volume that it writes is silent, and not for volumes of others', async () => {
    for (const mountedBy of [1, 4]) {
      const f = new Following()
      f.chain.mine((acts) => {
        acts.place(VOLUME, specs.volume(1, 1, 1), [1, 2, 3])
        acts.place(MOUNT, specs.mount('a'), [mountedBy], 1)
      })
      await f.settle()
      const asked = watching(f)
      f.chain.mineMany(12)
      await f.settle()
      assert.notInclude(asked.nodes, '1+4')
      // Lost after 30 s: nobody has beaten since the start.
      f.chain.mineMany(25)
      await f.settle()
      assert.equal(asked.nodes.includes('1+4'), mountedBy === 1)
      assert.equal(asked.orders.includes(1), mountedBy === 1)
    }
  })

  it('sees the end of an order that only time tells, when its time has come', async () => {
    const f = new Following()
    f.chain.mine((acts) => {
      acts.place(STORE, specs.store(), [1])
      acts.place(STORE, specs.store(), [1])
      acts.world.orders[0]!.paidUntil = acts.now + 30
    })
    await f.settle()
    const asked = watching(f)
    f.chain.mineMany(20)
    await f.settle()
    assert.deepEqual(asked.orders, [])
    f.chain.mine((acts) => {
      acts.world.orders[0]!.state = 2
    })
    f.chain.mineMany(10)
    await f.settle()
    assert.deepEqual(asked.orders, [1])
    assert.equal(f.orders(), '1 store suspended, 2 store live')
  })

  it('reads a volume again when it gets a mount', async () => {
    const f = new Following()
    f.chain.mine((acts) => acts.place(VOLUME, specs.volume(1, 1, 1), [1, 2, 3]))
    await f.settle()
    f.chain.mine((acts) => acts.place(MOUNT, specs.mount('a'), [4], 1))
    await f.settle()
    const [volume] = f.known!.orders
    assert.deepEqual(volume?.kind === 'volume' && volume.mounts.map(Number), [2])
    assert.equal(volume?.kind === 'volume' && volume.writerEpoch, 1)
  })
})
