// Orders: placing, living, ending, replacing, and the money of each.
import { expect } from 'chai'
import {
  deployTestGrid,
  GIB,
  KIND,
  mountSpec,
  STATE,
  storeSpec,
  type TestGrid,
  type TestNode,
} from './support/grid.ts'

describe('Orders', () => {
  let grid: TestGrid
  let nodes: TestNode[]

  beforeEach(async () => {
    grid = await deployTestGrid({ policy: { HeartbeatSeconds: 1000n, LostSeconds: 3000n } })
    nodes = await grid.addNodes(7)
    await grid.fund(grid.actors.tenant)
  })

  it('places a volume, locks capacity and price, and shows it', async () => {
    const id = await grid.placeVolume(nodes.slice(0, 5))
    const order = await grid.order(id)
    expect(order.state).to.equal(STATE.Live)
    expect(order.slots.length).to.equal(5)
    expect(order.ratePerSecond).to.equal(5000n)
    expect(await grid.contracts.escrow.held(id)).to.equal(500_000n)
    expect((await grid.node(1n)).usedBytes).to.equal(GIB)
  })

  it('cancels with an exact refund', async () => {
    const id = await grid.placeVolume(nodes.slice(0, 5))
    const placed = (await grid.order(id)).placedAt
    await grid.at(placed + 40n)
    await grid.contracts.orders.connect(grid.actors.tenant).cancel(id)
    const free = await grid.contracts.escrow.freeBalance(await grid.actors.tenant.getAddress())
    expect(free).to.equal(60n * 5000n)
    for (const node of nodes.slice(0, 5)) {
      expect(await grid.contracts.escrow.freeBalance(await node.owner.getAddress())).to.equal(
        40_000n,
      )
    }
  })

  it('mounts and stores too', async () => {
    const id = await grid.placeVolume(nodes.slice(0, 5))
    const mount = await grid.place(KIND.Mount, mountSpec(), [{ node: 6n, sizeBytes: GIB }], {
      parent: id,
    })
    expect((await grid.order(id)).children).to.deep.equal([mount])
    expect((await grid.order(id)).writerEpoch).to.equal(1n)
    const store = await grid.place(KIND.Store, storeSpec(), [{ node: 6n, sizeBytes: GIB }])
    expect((await grid.order(store)).spec).to.equal(storeSpec())
  })
})
