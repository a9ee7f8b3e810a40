// Orders: placing, living, ending, replacing, and the money of each.
import { expect } from 'chai'
import type { Signer } from 'ethers'
import {
  ANY_RATE,
  anAccount,
  deployTestGrid,
  GIB,
  KIND,
  mountSpec,
  STATE,
  storeSpec,
  type TestGrid,
  type TestNode,
  TOKEN,
  volumeSpec,
} from './support/grid.ts'

/** Long enough that no node is late in a test that does not want it. */
const HEARTBEAT = 1000n
const LATE = 2n * HEARTBEAT
const LOST = 3000n
const GRACE = 5000n
/** Rate of one GiB on a test node. */
const RATE = 1000n

describe('Orders', () => {
  let grid: TestGrid
  let nodes: TestNode[]
  let tenant: Signer
  let attacker: Signer
  let restore: () => Promise<void>

  const freeOf = async (signer: Signer) =>
    grid.contracts.escrow.freeBalance(await signer.getAddress())
  const slotsOn = (...ids: number[]) => ids.map((id) => ({ node: BigInt(id), sizeBytes: GIB }))
  const store = (node: number, rest = {}) =>
    grid.place(KIND.Store, storeSpec(), slotsOn(node), rest)
  const mount = (volume: bigint, node: number, spec = mountSpec(), rest = {}) =>
    grid.place(KIND.Mount, spec, slotsOn(node), { parent: volume, ...rest })
  const as = (signer: Signer) => grid.contracts.orders.connect(signer)
  const asNode = (n: number) => grid.contracts.orders.connect(nodes[n - 1]!.wallet)

  /** All nodes stay alive until the grace of what ends now is over. */
  async function liveThrough(): Promise<void> {
    for (let part = 0; part < 4; part += 1) {
      await grid.pass(GRACE / 4n)
      await grid.beat(nodes)
    }
  }

  before(async () => {
    grid = await deployTestGrid({
      policy: {
        HeartbeatSeconds: HEARTBEAT,
        LostSeconds: LOST,
        GraceSeconds: GRACE,
        MaxSeconds: 100_000n,
        MaxSlots: 8n,
      },
    })
    nodes = await grid.addNodes(8)
    ;({ tenant, attacker } = grid.actors)
    await grid.fund(tenant)
    await grid.fund(attacker)
    restore = await grid.snapshot()
  })
  beforeEach(() => restore())

  describe('place', () => {
    it('makes a volume live, locks capacity and price, and shows all of it in one read', async () => {
      const id = await grid.placeVolume(nodes.slice(0, 5))
      const order = await grid.order(id)
      expect(order.id).to.equal(1n)
      expect(order.kind).to.equal(BigInt(KIND.Volume))
      expect(order.state).to.equal(STATE.Live)
      expect(order.tenant).to.equal(await tenant.getAddress())
      expect(order.paidUntil - order.placedAt).to.equal(100n)
      expect(order.ratePerSecond).to.equal(5n * RATE)
      expect(order.spec).to.equal(volumeSpec())
      expect(order.endedAt).to.equal(0n)
      expect(order.deletableAt).to.equal(0n)
      expect(order.slots.map((slot) => slot.node)).to.deep.equal([1n, 2n, 3n, 4n, 5n])
      expect(order.slots[0]?.assignedAt).to.equal(order.placedAt)
      expect(order.slots[0]?.lastSeen).to.equal((await grid.node(1n)).lastHeartbeat)
      expect(await grid.contracts.escrow.held(id)).to.equal((100n + GRACE) * 5n * RATE)
      expect((await grid.node(1n)).usedBytes).to.equal(GIB)
      expect((await grid.node(6n)).usedBytes).to.equal(0n)
    })

    it('rounds the rate of every slot up', async () => {
      await grid.place(KIND.Store, storeSpec(), [{ node: 1n, sizeBytes: 1n }])
      expect((await grid.order(1n)).ratePerSecond).to.equal(1n)
      await grid.place(KIND.Store, storeSpec(), [{ node: 1n, sizeBytes: GIB + 1n }])
      expect((await grid.order(2n)).ratePerSecond).to.equal(RATE + 1n)
    })

    it('takes the price from the free balance first and pulls only the rest', async () => {
      const { escrow, token } = grid.contracts
      const address = await tenant.getAddress()
      await escrow.connect(tenant).deposit(address, 30n * RATE)
      const before = await token.balanceOf(address)
      await store(1)
      expect(await freeOf(tenant)).to.equal(0n)
      expect(before - (await token.balanceOf(address))).to.equal((70n + GRACE) * RATE)
    })

    it('keeps every spec where its number leads, whatever the count', async () => {
      for (let i = 0; i < 260; i += 1)
        await grid.place(KIND.Store, storeSpec(), [{ node: 1n, sizeBytes: 1n }])
      for (const id of [1n, 127n, 128n, 255n, 256n, 260n]) {
        expect((await grid.order(id)).spec).to.equal(storeSpec())
      }
    })

    it('takes as many slots for as long a time as policy allows', async () => {
      const seconds = 100_000n
      const id = await grid.place(KIND.Volume, volumeSpec({ dataShards: 5 }), volumeSlots(8), {
        seconds,
      })
      const { slots, placedAt, paidUntil } = await grid.order(id)
      expect(slots.length).to.equal(8)
      expect(paidUntil - placedAt).to.equal(seconds)
    })

    it('takes what a node has free to the last byte, and no more', async () => {
      const { nodes: registry } = grid.contracts
      const ask = (sizeBytes: bigint) =>
        grid.place(KIND.Store, storeSpec(), [{ node: 1n, sizeBytes }])
      await ask(60n * GIB)
      await expect(ask(40n * GIB + 1n)).to.be.revertedWithCustomError(registry, 'NodeFull')
      await ask(40n * GIB)
      await expect(ask(1n)).to.be.revertedWithCustomError(registry, 'NodeFull')
    })

    it('takes a rate that is just the limit', async () => {
      await grid.place(KIND.Store, storeSpec(), slotsOn(1), { maxRate: RATE })
      expect((await grid.order(1n)).ratePerSecond).to.equal(RATE)
    })

    it('takes a store of either mode', async () => {
      for (const mode of [0, 1]) await grid.place(KIND.Store, storeSpec({ mode }), slotsOn(1))
      expect((await grid.order(2n)).spec).to.equal(storeSpec({ mode: 1 }))
    })

    it('takes as many writers and readers as a spec may name', async () => {
      const accounts = Array.from({ length: 64 }, (_, index) => anAccount(index + 1))
      const spec = storeSpec({ writers: accounts, readers: accounts })
      await grid.place(KIND.Store, spec, slotsOn(1))
      expect((await grid.order(1n)).spec).to.equal(spec)
    })

    it('numbers its events without gap', async () => {
      const id = await grid.placeVolume(nodes.slice(0, 5))
      await mount(id, 6)
      await as(tenant).extend(id, 10n)
      await as(tenant).replace(id, 0, 7n, ANY_RATE)
      await as(tenant).cancel(id)
      await grid.pass(GRACE)
      await as(attacker).settle(id)
      const { orders } = grid.contracts
      const logs = await orders.queryFilter('*' as never)
      const sequences = logs.map((log) => BigInt(log.topics[1] ?? 0))
      expect(sequences).to.deep.equal([1n, 2n, 3n, 4n, 5n, 6n])
      expect(await orders.sequence()).to.equal(6n)
    })

    it('gives an empty view of an order that is not there', async () => {
      const views = await grid.contracts.orders.get([0n, 99n])
      expect(views.map((view) => view.state)).to.deep.equal([STATE.None, STATE.None])
      expect(await grid.contracts.orders.held(99n)).to.equal(0n)
      expect(await grid.contracts.orders.paidUntil(99n)).to.equal(0n)
    })

    const volumeSlots = (count: number) =>
      slotsOn(...Array.from({ length: count }, (_, index) => index + 1))
    type Case = [
      why: string,
      error: string,
      kind: number,
      spec: string,
      slots: { node: bigint; sizeBytes: bigint }[],
      rest?: { parent?: bigint; seconds?: bigint; maxRate?: bigint },
    ]
    // biome-ignore format: a table to read down
    const refused: Case[] = [
      ['a kind that policy does not allow', 'OrderKindNotAllowed', KIND.Network, storeSpec(), slotsOn(1)],
      ['no kind at all', 'OrderKindNotAllowed', KIND.None, storeSpec(), slotsOn(1)],
      ['too short a time', 'OrderDurationOutOfRange', KIND.Store, storeSpec(), slotsOn(1), { seconds: 9n }],
      ['too long a time', 'OrderDurationOutOfRange', KIND.Store, storeSpec(), slotsOn(1), { seconds: 100_001n }],
      ['an empty spec', 'SpecMalformed', KIND.Store, '0x', slotsOn(1)],
      ['a spec of another kind', 'SpecMalformed', KIND.Store, volumeSpec(), slotsOn(1)],
      ['bytes after the spec', 'SpecMalformed', KIND.Volume, `${volumeSpec()}00`, volumeSlots(5)],
      ['a volume spec cut short', 'SpecMalformed', KIND.Volume, volumeSpec().slice(0, -2), volumeSlots(5)],
      ['a store spec of a later version', 'SpecVersionUnknown', KIND.Store, storeSpec({ version: 2 }), slotsOn(1)],
      ['a volume spec of no version', 'SpecVersionUnknown', KIND.Volume, volumeSpec({ version: 0 }), volumeSlots(5)],
      ['an unknown mode', 'SpecModeUnknown', KIND.Store, storeSpec({ mode: 2 }), slotsOn(1)],
      ['a store without writers', 'SpecAccessInvalid', KIND.Store, storeSpec({ writers: [] }), slotsOn(1)],
      ['65 writers', 'SpecAccessInvalid', KIND.Store, storeSpec({ writers: Array.from({ length: 65 }, () => anAccount(7)) }), slotsOn(1)],
      ['65 readers', 'SpecAccessInvalid', KIND.Store, storeSpec({ readers: Array.from({ length: 65 }, () => anAccount(7)) }), slotsOn(1)],
      ['no data shard', 'SpecShardsInvalid', KIND.Volume, volumeSpec({ dataShards: 0 }), volumeSlots(3)],
      ['256 shards', 'SpecShardsInvalid', KIND.Volume, volumeSpec({ dataShards: 200, parityShards: 56 }), volumeSlots(8)],
      ['one metadata store', 'SpecShardsInvalid', KIND.Volume, volumeSpec({ metaStores: 1 }), volumeSlots(4)],
      ['a volume of no bytes', 'SpecSizeZero', KIND.Volume, volumeSpec({ sizeBytes: 0n }), volumeSlots(5)],
      ['a slot too few', 'OrderSlotCount', KIND.Volume, volumeSpec(), volumeSlots(4)],
      ['a slot too many', 'OrderSlotCount', KIND.Volume, volumeSpec(), volumeSlots(6)],
      ['two slots for a store', 'OrderSlotCount', KIND.Store, storeSpec(), slotsOn(1, 2)],
      ['more slots than policy allows', 'OrderTooManySlots', KIND.Volume, volumeSpec({ dataShards: 7 }), [...volumeSlots(8), ...slotsOn(1, 2)]],
      ['a slot of no bytes', 'OrderSlotEmpty', KIND.Store, storeSpec(), [{ node: 1n, sizeBytes: 0n }]],
      ['data slots on one farm', 'OrderFarmRepeated', KIND.Volume, volumeSpec(), slotsOn(1, 2, 1, 4, 5)],
      ['metadata slots on one farm', 'OrderFarmRepeated', KIND.Volume, volumeSpec(), slotsOn(1, 2, 3, 4, 4)],
      ['a price above the caller’s limit', 'OrderRateAboveLimit', KIND.Store, storeSpec(), slotsOn(1), { maxRate: RATE - 1n }],
      ['a parent for a store', 'OrderParentInvalid', KIND.Store, storeSpec(), slotsOn(1), { parent: 1n }],
      ['a mount without a volume', 'OrderParentInvalid', KIND.Mount, mountSpec(), slotsOn(1), { parent: 9n }],
      ['two slots for a mount', 'OrderSlotCount', KIND.Mount, mountSpec(), slotsOn(1, 2), { parent: 1n }],
      ['a node that is not there', 'NodeClosed', KIND.Store, storeSpec(), slotsOn(99)],
      ['more bytes than the node has', 'NodeFull', KIND.Store, storeSpec(), [{ node: 1n, sizeBytes: 101n * GIB }]],
      ['a mount without its key', 'SpecKeyMissing', KIND.Mount, mountSpec({ sealedKey: '0x' }), slotsOn(1), { parent: 1n }],
      ['a mount spec of a later version', 'SpecVersionUnknown', KIND.Mount, mountSpec({ version: 3 }), slotsOn(1), { parent: 1n }],
      ['a mount spec of garbage', 'SpecMalformed', KIND.Mount, '0x1234', slotsOn(1), { parent: 1n }],
    ]
    for (const [why, error, kind, spec, slots, rest] of refused) {
      it(`refuses ${why}: ${error}`, async () => {
        const { orders, nodes: registry, rules } = grid.contracts
        const from = error.startsWith('Spec') ? rules : error.startsWith('Node') ? registry : orders
        await expect(grid.place(kind, spec, slots, rest)).to.be.revertedWithCustomError(from, error)
        expect(await orders.orderCount()).to.equal(0n)
        expect((await grid.node(1n)).usedBytes).to.equal(0n)
      })
    }

    it('says how many slots each kind has', async () => {
      const { orders } = grid.contracts
      const cases = [
        [KIND.Store, storeSpec(), slotsOn(1, 2), 0n, 1n],
        [KIND.Volume, volumeSpec(), volumeSlots(4), 0n, 5n],
        [KIND.Mount, mountSpec(), slotsOn(1, 2), 1n, 1n],
      ] as const
      for (const [kind, spec, slots, parent, count] of cases) {
        await expect(grid.place(kind, spec, slots, { parent }))
          .to.be.revertedWithCustomError(orders, 'OrderSlotCount')
          .withArgs(BigInt(slots.length), count)
      }
    })

    it('refuses a kind that policy allows but this version does not know', async () => {
      const { policy, orders } = grid.contracts
      await grid.asTimelock((owner) => policy.connect(owner).set(6, 126n))
      await expect(grid.place(KIND.Network, storeSpec(), slotsOn(1))).to.be.revertedWithCustomError(
        orders,
        'OrderKindUnknown',
      )
    })

    it('refuses a node that is draining, silent or dearer than policy allows now', async () => {
      const { nodes: registry, policy } = grid.contracts
      await registry.connect(nodes[0]!.wallet).setDraining(1n, true)
      await expect(store(1)).to.be.revertedWithCustomError(registry, 'NodeClosed')
      await grid.asTimelock((owner) => policy.connect(owner).set(5, RATE - 1n))
      await expect(store(2)).to.be.revertedWithCustomError(registry, 'NodePriceAboveCap')
      await grid.pass(LATE + 1n)
      await expect(store(2)).to.be.revertedWithCustomError(registry, 'NodeNotAlive')
    })

    it('lets slots share farms, and nodes, where the spec says so', async () => {
      const spec = volumeSpec({ sameFarmAllowed: true })
      await grid.place(KIND.Volume, spec, slotsOn(1, 1, 1, 1, 1))
      expect((await grid.node(1n)).usedBytes).to.equal(5n * GIB)
    })

    it('lets a data slot and a metadata slot share a farm', async () => {
      await grid.place(KIND.Volume, volumeSpec(), slotsOn(1, 2, 3, 1, 2))
      expect((await grid.node(1n)).usedBytes).to.equal(2n * GIB)
    })

    it('tells farms apart whose numbers are equal modulo 256', async () => {
      const { nodes: registry } = grid.contracts
      const owner = grid.actors.owners[0] as Signer
      while ((await registry.farmCount()) < 256n) await registry.connect(owner).createFarm('f')
      const far = await grid.addNode(owner, await grid.addFarm(owner))
      expect(far.farm).to.equal(257n)
      const id = await grid.place(KIND.Volume, volumeSpec(), [
        ...slotsOn(1, Number(far.id), 2, 3, 4),
      ])
      expect((await grid.order(id)).state).to.equal(STATE.Live)
      for (const farm of [255n, 256n]) {
        const [one, other] = [await grid.addNode(owner, farm), await grid.addNode(owner, farm)]
        const slots = slotsOn(1, Number(one.id), Number(other.id), 2, 3)
        await expect(grid.place(KIND.Volume, volumeSpec(), slots)).to.be.revertedWithCustomError(
          grid.contracts.orders,
          'OrderFarmRepeated',
        )
      }
    })
  })

  describe('mounts', () => {
    let volume: bigint
    beforeEach(async () => {
      volume = await grid.placeVolume(nodes.slice(0, 5), { seconds: 1000n })
    })

    it('counts writers, not readers', async () => {
      await mount(volume, 6)
      await mount(volume, 7, mountSpec({ readOnly: true }))
      await mount(volume, 8)
      const order = await grid.order(volume)
      expect(order.writerEpoch).to.equal(2n)
      expect(order.children).to.deep.equal([2n, 3n, 4n])
    })

    it('refuses a volume of somebody else, and one that is not live', async () => {
      const { orders } = grid.contracts
      await expect(
        mount(volume, 6, mountSpec(), { tenant: attacker }),
      ).to.be.revertedWithCustomError(orders, 'OrderParentInvalid')
      await as(tenant).cancel(volume)
      await expect(mount(volume, 6)).to.be.revertedWithCustomError(orders, 'OrderParentInvalid')
    })

    it('refuses a store as a parent', async () => {
      const parent = await store(1)
      await expect(mount(parent, 6)).to.be.revertedWithCustomError(
        grid.contracts.orders,
        'OrderParentInvalid',
      )
    })

    it('gives a name on a node to one mount until that ends', async () => {
      const { orders } = grid.contracts
      const first = await mount(volume, 6)
      await expect(mount(volume, 6)).to.be.revertedWithCustomError(orders, 'OrderMountExists')
      await mount(volume, 7)
      await mount(volume, 6, mountSpec({ name: 'other' }))
      await as(tenant).cancel(first)
      await mount(volume, 6)
    })

    it('refuses a 257th mount until one is released', async () => {
      const { orders } = grid.contracts
      const spec = (i: number) => mountSpec({ name: `m${i}`, readOnly: true })
      for (let i = 0; i < 256; i += 1) {
        if (i % 50 === 0) await grid.beat(nodes)
        await mount(volume, 6 + (i % 3), spec(i), { seconds: 10n })
      }
      await expect(mount(volume, 6, spec(256))).to.be.revertedWithCustomError(
        orders,
        'OrderTooManyMounts',
      )
      await as(tenant).extend(volume, 90_000n)
      await grid.pass(GRACE + 10n)
      await grid.beat(nodes)
      await as(attacker).settle(100n)
      const id = await mount(volume, 6, spec(256))
      const mounts = Array.from({ length: 257 }, (_, i) => volume + 1n + BigInt(i))
      expect(id).to.equal(mounts.at(-1))
      const { children } = await grid.order(volume)
      expect([...children]).to.deep.equal(mounts.filter((each) => each !== 100n))
    })

    it('forgets the one that is released, be it the first or the last', async () => {
      const made: bigint[] = []
      for (const node of [6, 7, 8]) {
        made.push(await mount(volume, node, mountSpec(), { seconds: 20n }))
      }
      await as(tenant).extend(volume, 90_000n)
      await grid.pass(GRACE + 30n)
      await as(attacker).settle(made[0]!)
      expect([...(await grid.order(volume)).children]).to.deep.equal(made.slice(1))
      await as(attacker).settle(made[2]!)
      expect([...(await grid.order(volume)).children]).to.deep.equal([made[1]])
      await as(attacker).settle(made[1]!)
      expect([...(await grid.order(volume)).children]).to.deep.equal([])
    })

    const names: [name: string, safe: boolean][] = [
      ['a', true],
      ['azAZ09', true],
      ['geth/ancient', true],
      ['A.b_c-9/..x/...', true],
      ['x'.repeat(255), true],
      ['', false],
      ['x'.repeat(256), false],
      ['/a', false],
      ['a/', false],
      ['a//b', false],
      ['.', false],
      ['..', false],
      ['a/../b', false],
      ['a/.', false],
      ['a b', false],
      ['a\u0000', false],
      ['ä', false],
      ['a\\b', false],
      ['@', false],
      ['[', false],
      ['`', false],
      ['{', false],
      [':', false],
    ]
    it('takes only safe relative paths as names', async () => {
      const { rules } = grid.contracts
      for (const [name, safe] of names) {
        const read = rules.readMount(mountSpec({ name }))
        if (safe) expect((await read).name).to.equal(name)
        else await expect(read, name).to.be.revertedWithCustomError(rules, 'SpecNameInvalid')
      }
    })
  })

  describe('money and time', () => {
    it('pays up to the last heartbeat and keeps the rest until the next', async () => {
      const id = await store(1, { seconds: 5000n })
      const { placedAt } = await grid.order(id)
      await grid.at(placedAt + 700n)
      await grid.beat([nodes[0]!])
      await grid.at(placedAt + 900n)
      await as(attacker).settle(id)
      expect(await freeOf(nodes[0]!.owner)).to.equal(700n * RATE)
      expect(await grid.contracts.escrow.held(id)).to.equal((4300n + GRACE) * RATE)
      await as(attacker).settle(id)
      expect(await freeOf(nodes[0]!.owner)).to.equal(700n * RATE)
    })

    it('does not pay for a silence that was too long, and gives that money back', async () => {
      const id = await store(1, { seconds: 9000n })
      const { placedAt } = await grid.order(id)
      await grid.at(placedAt + 500n)
      await grid.beat([nodes[0]!])
      await grid.at(placedAt + 500n + LATE + 1n)
      await grid.beat([nodes[0]!])
      await grid.at(placedAt + 3000n)
      await grid.beat([nodes[0]!])
      await as(attacker).settle(id)
      const alive = 500n + (3000n - 500n - LATE - 1n)
      expect(await freeOf(nodes[0]!.owner)).to.equal(alive * RATE)
      expect(await freeOf(tenant)).to.equal((LATE + 1n) * RATE)
    })

    it('counts a gap of exactly the limit as alive', async () => {
      const id = await store(1, { seconds: 9000n })
      const { placedAt } = await grid.order(id)
      await grid.at(placedAt + 500n)
      await grid.beat([nodes[0]!])
      await grid.at(placedAt + 500n + LATE)
      await grid.beat([nodes[0]!])
      await as(attacker).settle(id)
      expect(await freeOf(nodes[0]!.owner)).to.equal((500n + LATE) * RATE)
    })

    it('refunds a dead node’s seconds while it is silent', async () => {
      const id = await store(1, { seconds: 9000n })
      const node = await grid.node(1n)
      const { placedAt } = await grid.order(id)
      await grid.at(node.lastHeartbeat + LATE + 500n)
      await as(attacker).settle(id)
      expect(await freeOf(nodes[0]!.owner)).to.equal(0n)
      expect(await freeOf(tenant)).to.equal((node.lastHeartbeat + LATE + 500n - placedAt) * RATE)
    })

    it('judges a span among many gaps exactly', async () => {
      const id = await store(1, { seconds: 90_000n })
      const { placedAt } = await grid.order(id)
      let now = placedAt
      let alive = 0n
      for (const step of [100n, 2500n, 300n, 2001n, 2000n, 4000n, 50n, 9999n, 10n]) {
        now += step
        await grid.at(now)
        await grid.beat([nodes[0]!])
        if (step <= LATE) alive += step
      }
      await as(attacker).settle(id)
      expect(await freeOf(nodes[0]!.owner)).to.equal(alive * RATE)
      expect(await freeOf(tenant)).to.equal((now - placedAt - alive) * RATE)
      const node = await grid.node(1n)
      const before = placedAt - node.registeredAt
      expect(node.aliveSeconds).to.equal(alive + before)
    })

    it('ends by time: suspended when the money ends, ended after the grace, released by anyone', async () => {
      const { escrow, orders } = grid.contracts
      const id = await store(1)
      const { paidUntil } = await grid.order(id)
      await grid.at(paidUntil - 1n)
      await grid.beat([nodes[0]!])
      expect((await grid.order(id)).state).to.equal(STATE.Live)
      await grid.pass(1n)
      expect((await grid.order(id)).state).to.equal(STATE.Suspended)
      expect((await grid.order(id)).endedAt).to.equal(0n)
      await grid.at(paidUntil + GRACE)
      await expect(as(attacker).settle(id)).to.emit(orders, 'OrderReleased').withArgs(2n, id)
      const order = await grid.order(id)
      expect(order.state).to.equal(STATE.Ended)
      expect(order.endedAt).to.equal(paidUntil)
      expect(order.deletableAt).to.equal(paidUntil + GRACE)
      expect((await grid.node(1n)).usedBytes).to.equal(0n)
      expect(await escrow.held(id)).to.equal(0n)
      // Alive until one second before the end; then silent for longer than the limit.
      expect(await freeOf(nodes[0]!.owner)).to.equal(99n * RATE)
      expect(await freeOf(tenant)).to.equal((1n + GRACE) * RATE)
    })

    it('shows the end of an order that nobody has settled', async () => {
      const id = await store(1)
      const { paidUntil } = await grid.order(id)
      await grid.pass(GRACE + 200n)
      const order = await grid.order(id)
      expect(order.state).to.equal(STATE.Ended)
      expect(order.endedAt).to.equal(paidUntil)
      expect(await grid.contracts.orders.held(id)).to.equal(0n)
      await expect(as(tenant).extend(id, 10n)).to.be.revertedWithCustomError(
        grid.contracts.orders,
        'OrderWrongState',
      )
    })

    it('decides all of the money at the end, also of a node that may yet be alive', async () => {
      await grid.asTimelock((lock) => grid.contracts.policy.connect(lock).set(3n, 10n))
      const id = await store(1)
      const { paidUntil } = await grid.order(id)
      await grid.at(paidUntil + 10n)
      await as(attacker).settle(id)
      expect(await grid.contracts.escrow.held(id)).to.equal(0n)
      expect(await grid.contracts.escrow.heldOf(await tenant.getAddress())).to.equal(0n)
      expect(await freeOf(nodes[0]!.owner)).to.equal(110n * RATE)
    })

    it('pays the nodes for the grace in which they keep the bytes, of what was paid at first', async () => {
      const id = await store(1)
      const { paidUntil } = await grid.order(id)
      await grid.at(paidUntil + 50n)
      await grid.beat([nodes[0]!])
      await as(attacker).settle(id)
      expect(await freeOf(nodes[0]!.owner)).to.equal(150n * RATE)
      await liveThrough()
      await as(attacker).settle(id)
      expect(await freeOf(nodes[0]!.owner)).to.equal((100n + GRACE) * RATE)
      expect(await freeOf(tenant)).to.equal(0n)
      expect(await grid.contracts.escrow.held(id)).to.equal(0n)
    })

    it('does not release before the data may go, and only once', async () => {
      const { orders } = grid.contracts
      const id = await store(1)
      await as(tenant).cancel(id)
      await as(attacker).settle(id)
      expect((await grid.node(1n)).usedBytes).to.equal(GIB)
      await grid.pass(GRACE)
      await as(attacker).settle(id)
      expect((await grid.node(1n)).usedBytes).to.equal(0n)
      await expect(as(attacker).settle(id)).to.not.emit(orders, 'OrderReleased')
      expect((await grid.node(1n)).usedBytes).to.equal(0n)
    })

    it('cancels with an exact refund, at once', async () => {
      const { orders } = grid.contracts
      const id = await grid.placeVolume(nodes.slice(0, 5))
      const { placedAt } = await grid.order(id)
      await grid.at(placedAt + 40n)
      await expect(as(tenant).cancel(id))
        .to.emit(orders, 'OrderCancelled')
        .withArgs(2n, id, 60n * 5n * RATE)
      expect(await freeOf(tenant)).to.equal(60n * 5n * RATE)
      const order = await grid.order(id)
      expect(order.state).to.equal(STATE.Ended)
      expect(order.endedAt).to.equal(placedAt + 40n)
      expect(order.paidUntil).to.equal(placedAt + 40n)
      expect(order.deletableAt).to.equal(placedAt + 40n + GRACE)
      await liveThrough()
      await as(attacker).settle(id)
      const earned = (40n + GRACE) * RATE
      for (const node of nodes.slice(0, 5)) expect(await freeOf(node.owner)).to.equal(earned)
    })

    it('cancels a suspended order where its money ended: its grace is not begun again', async () => {
      const id = await store(1)
      const { placedAt, paidUntil } = await grid.order(id)
      await grid.at(placedAt + 499n)
      await grid.beat([nodes[0]!])
      await as(tenant).cancel(id)
      expect(await freeOf(nodes[0]!.owner)).to.equal(499n * RATE)
      expect(await freeOf(tenant)).to.equal(0n)
      const { endedAt, deletableAt } = await grid.order(id)
      expect([endedAt, deletableAt]).to.deep.equal([paidUntil, paidUntil + GRACE])
    })

    it('extends from the old end, also out of suspension, by anyone, for the tenant', async () => {
      const { orders } = grid.contracts
      const id = await store(1)
      const { paidUntil } = await grid.order(id)
      await grid.at(paidUntil + 50n)
      await expect(as(attacker).extend(id, 100n))
        .to.emit(orders, 'OrderExtended')
        .withArgs(2n, id, paidUntil + 100n)
      expect((await grid.order(id)).state).to.equal(STATE.Live)
      await grid.at(paidUntil + 59n)
      await grid.beat([nodes[0]!])
      await as(tenant).cancel(id)
      expect(await freeOf(nodes[0]!.owner)).to.equal(159n * RATE)
      expect(await freeOf(tenant)).to.equal(40n * RATE)
    })

    it('refuses to extend by nothing, too far, or what is not there', async () => {
      const { orders, policy } = grid.contracts
      const id = await store(1)
      for (const seconds of [0n, 100_001n, 2n ** 64n - 1n]) {
        await expect(as(tenant).extend(id, seconds)).to.be.revertedWithCustomError(
          orders,
          'OrderDurationOutOfRange',
        )
      }
      await expect(as(tenant).extend(9n, 1n)).to.be.revertedWithCustomError(
        orders,
        'OrderWrongState',
      )
      await as(tenant).extend(id, 90_000n)
      await grid.asTimelock((owner) => policy.connect(owner).set(9, 1000n))
      await expect(as(tenant).extend(id, 1n))
        .to.be.revertedWithCustomError(orders, 'OrderDurationOutOfRange')
        .withArgs(1n, 1n, 0n)
    })

    it('extends to the last second that policy allows', async () => {
      const { orders } = grid.contracts
      const id = await store(1)
      const { paidUntil } = await grid.order(id)
      const time = paidUntil - 10n
      const limit = time + 100_000n
      await grid.at(time)
      await expect(as(tenant).extend(id, limit + 1n - paidUntil))
        .to.be.revertedWithCustomError(orders, 'OrderDurationOutOfRange')
        .withArgs(limit + 1n - paidUntil, 1n, limit - paidUntil)
      await grid.at(time + 1n)
      await as(tenant).extend(id, limit + 1n - paidUntil)
      expect((await grid.order(id)).paidUntil).to.equal(limit + 1n)
    })

    it('settles only what is there', async () => {
      const { orders } = grid.contracts
      await expect(as(tenant).settle(1n)).to.be.revertedWithCustomError(orders, 'OrderUnknown')
    })

    it('lets nobody but the tenant cancel', async () => {
      const { orders } = grid.contracts
      const id = await store(1)
      for (const signer of [attacker, nodes[0]!.owner, nodes[0]!.wallet, grid.actors.holder]) {
        await expect(as(signer).cancel(id)).to.be.revertedWithCustomError(orders, 'OrderNotTenant')
      }
      await as(tenant).cancel(id)
      await expect(as(tenant).cancel(id)).to.be.revertedWithCustomError(orders, 'OrderWrongState')
    })
  })

  describe('streaming', () => {
    const deposit = async (amount: bigint) =>
      grid.contracts.escrow.connect(tenant).deposit(await tenant.getAddress(), amount)
    /** The grace is held from the start: it is deposited beside what is there. */
    async function stream(node: number): Promise<bigint> {
      await deposit(GRACE * RATE)
      return store(node, { seconds: 0n })
    }
    const now = async () => BigInt(await grid.time.latest())
    const beatAll = () => grid.beat(nodes)

    it('pays all orders from one balance, by the second, until one time', async () => {
      const { orders, escrow } = grid.contracts
      await deposit(5000n * RATE)
      const first = await stream(1)
      const begun = await now()
      expect(await orders.paidUntil(first)).to.equal(begun + 5000n)
      await grid.at(begun + 999n)
      await deposit(GRACE * RATE)
      await grid.at(begun + 1000n)
      const second = await store(2, { seconds: 0n })
      expect(await orders.paidUntil(first)).to.equal(begun + 1000n + 2000n)
      expect(await orders.paidUntil(second)).to.equal(begun + 3000n)
      expect(await escrow.paidUntil(await tenant.getAddress())).to.equal(begun + 3000n)
      await grid.at(begun + 1500n)
      await beatAll()
      await grid.at(begun + 1600n)
      await as(tenant).cancel(second)
      expect(await orders.paidUntil(first)).to.equal(begun + 1600n + 2800n)
      expect(await freeOf(tenant)).to.equal(2800n * RATE)
      expect(await freeOf(nodes[1]!.owner)).to.equal(501n * RATE)
      expect((await grid.order(second)).endedAt).to.equal(begun + 1600n)
      expect(await escrow.held(first)).to.be.greaterThan(0n)
    })

    it('needs a balance that lasts for the shortest time', async () => {
      const { escrow } = grid.contracts
      await deposit((10n + GRACE) * RATE - 1n)
      const streaming = () => store(1, { seconds: 0n })
      await expect(streaming()).to.be.revertedWithCustomError(escrow, 'EscrowStreamTooShort')
      await deposit(1n)
      await streaming()
    })

    it('shows what is free and held at any second without a transaction', async () => {
      const { escrow } = grid.contracts
      await deposit(1000n * RATE)
      await stream(1)
      await grid.pass(300n)
      expect(await freeOf(tenant)).to.equal(700n * RATE)
      expect(await escrow.heldOf(await tenant.getAddress())).to.equal((300n + GRACE) * RATE)
      const [rate, epoch, grace] = await escrow.streamOf(await tenant.getAddress())
      expect([rate, epoch, grace]).to.deep.equal([RATE, 0n, GRACE])
    })

    it('suspends at the last second covered, resumes by a deposit within the grace, and pays for the time between', async () => {
      await deposit(100n * RATE + 7n)
      const id = await stream(1)
      const begun = await now()
      await grid.at(begun + 100n)
      await grid.contracts.escrow.accrue(await tenant.getAddress())
      expect((await grid.order(id)).state).to.equal(STATE.Suspended)
      expect(await freeOf(tenant)).to.equal(7n)
      await grid.at(begun + 150n)
      await expect(store(2, { seconds: 0n })).to.be.revertedWithCustomError(
        grid.contracts.escrow,
        'EscrowStreamSuspended',
      )
      await grid.at(begun + 160n)
      await deposit(100n * RATE - 7n)
      const order = await grid.order(id)
      expect(order.state).to.equal(STATE.Live)
      expect(order.paidUntil).to.equal(begun + 200n)
      expect(await freeOf(tenant)).to.equal(40n * RATE)
    })

    it('ends for good when the grace is over, whatever is deposited later', async () => {
      const { orders, escrow } = grid.contracts
      await deposit(100n * RATE)
      const id = await stream(1)
      const begun = await now()
      await grid.at(begun + 100n + GRACE)
      await expect(deposit(1000n * RATE)).to.emit(escrow, 'StreamEnded')
      const order = await grid.order(id)
      expect(order.state).to.equal(STATE.Ended)
      expect(order.endedAt).to.equal(begun + 100n)
      expect(await freeOf(tenant)).to.equal(1000n * RATE)
      await grid.beat([nodes[0]!])
      const next = await stream(1)
      expect((await grid.order(next)).state).to.equal(STATE.Live)
      await expect(as(attacker).settle(id)).to.emit(orders, 'OrderReleased')
      // The node was silent for longer than the limit, so the whole of it comes back, into the new stream.
      expect(await freeOf(nodes[0]!.owner)).to.equal(0n)
      expect((await escrow.streamOf(await tenant.getAddress()))[1]).to.equal(1n)
      expect((await grid.order(id)).endedAt).to.equal(begun + 100n)
    })

    it('ends in each of its epochs where that one’s money ended', async () => {
      const { orders } = grid.contracts
      await deposit(100n * RATE)
      await stream(1)
      await grid.pass(100n + GRACE)
      await beatAll()
      await deposit(200n * RATE)
      const second = await stream(1)
      const begun = await now()
      await grid.at(begun + 200n + GRACE)
      await expect(as(attacker).settle(second)).to.emit(orders, 'OrderReleased')
      const order = await grid.order(second)
      expect([order.endedAt, order.paidUntil]).to.deep.equal([begun + 200n, begun + 200n])
      expect(await grid.contracts.escrow.held(second)).to.equal(0n)
      await expect(as(attacker).settle(second)).to.not.emit(orders, 'OrderReleased')
    })

    it('takes the grace that is policy when it begins anew', async () => {
      const { escrow, policy } = grid.contracts
      const address = await tenant.getAddress()
      await deposit(100n * RATE)
      await stream(1)
      await grid.asTimelock((lock) => policy.connect(lock).set(3n, 7n))
      expect((await escrow.streamOf(address)).graceSeconds).to.equal(GRACE)
      const shares = await stream(2)
      await as(tenant).cancel(shares)
      const { endedAt, deletableAt } = await grid.order(shares)
      expect(deletableAt - endedAt).to.equal(GRACE)
      await grid.pass(100n + GRACE)
      await beatAll()
      await deposit(100n * RATE)
      const id = await stream(1)
      expect((await escrow.streamOf(address)).graceSeconds).to.equal(7n)
      const { paidUntil } = await grid.order(id)
      await grid.at(paidUntil + 6n)
      await escrow.accrue(address)
      expect((await grid.order(id)).state).to.equal(STATE.Suspended)
      await grid.at(paidUntil + 7n)
      await escrow.accrue(address)
      expect((await grid.order(id)).state).to.equal(STATE.Ended)
    })

    it('is not extended but refilled', async () => {
      await deposit(100n * RATE)
      const id = await stream(1)
      await expect(as(tenant).extend(id, 10n)).to.be.revertedWithCustomError(
        grid.contracts.orders,
        'OrderStreams',
      )
    })

    it('changes its rate when a slot is replaced by a dearer one', async () => {
      await grid.contracts.nodes
        .connect(nodes[1]!.wallet)
        .setOffer({ capacityBytes: 100n * GIB, pricePerGibSecond: 3n * RATE })
      await deposit((900n + 2n * GRACE) * RATE)
      const id = await stream(1)
      const begun = await now()
      await grid.at(begun + 300n)
      await as(tenant).replace(id, 0, 2n, ANY_RATE)
      // The grace costs more as well, and comes from the balance: 600 seconds are left of it.
      expect(await grid.contracts.orders.paidUntil(id)).to.equal(begun + 500n)
      expect(await grid.contracts.escrow.held(id)).to.equal(3n * GRACE * RATE)
      await grid.at(begun + 400n)
      await as(tenant).replace(id, 0, 3n, ANY_RATE)
      expect(await grid.contracts.escrow.held(id)).to.equal(GRACE * RATE)
      expect(await freeOf(tenant)).to.equal((600n - 300n + 2n * GRACE) * RATE)
    })

    it('pays a suspended order that is cancelled up to where the balance ended', async () => {
      await deposit(100n * RATE)
      const id = await stream(1)
      const begun = await now()
      await grid.at(begun + 499n)
      await grid.beat([nodes[0]!])
      await as(tenant).cancel(id)
      expect(await freeOf(nodes[0]!.owner)).to.equal(499n * RATE)
      expect((await grid.order(id)).endedAt).to.equal(begun + 100n)
    })

    it('lets a tenant withdraw what has not streamed, which ends the stream now', async () => {
      const { escrow, orders } = grid.contracts
      await deposit(100n * RATE)
      const id = await stream(1)
      const begun = await now()
      await grid.at(begun + 40n)
      await escrow.connect(tenant).withdraw(60n * RATE)
      expect(await orders.paidUntil(id)).to.equal(begun + 40n)
    })

    it('lets nobody withdraw what has streamed already', async () => {
      const { escrow } = grid.contracts
      await deposit(100n * RATE)
      await stream(1)
      const begun = await now()
      await grid.at(begun + 40n)
      await expect(escrow.connect(tenant).withdraw(60n * RATE + 1n)).to.be.revertedWithCustomError(
        escrow,
        'EscrowBalanceTooLow',
      )
    })

    it('is brought up to date by anyone, and ends for good only once', async () => {
      const { escrow } = grid.contracts
      const address = await tenant.getAddress()
      await deposit(100n * RATE)
      await stream(1)
      const begun = await now()
      await grid.at(begun + 30n)
      await escrow.connect(attacker).accrue(address)
      expect((await escrow.totals())[3]).to.equal((30n + GRACE) * RATE)
      await grid.at(begun + 100n + GRACE)
      await expect(escrow.connect(attacker).accrue(address))
        .to.emit(escrow, 'StreamEnded')
        .withArgs(address, 0n, begun + 100n)
      const ended = await escrow.streamOf(address)
      expect([ended.ratePerSecond, ended.epoch]).to.deep.equal([0n, 1n])
      await expect(escrow.accrue(address)).to.not.emit(escrow, 'StreamEnded')
      expect((await escrow.streamOf(address)).epoch).to.equal(1n)
      await expect(escrow.accrue(await attacker.getAddress())).to.not.emit(escrow, 'StreamEnded')
    })

    it('lasts for ever where nothing is asked', async () => {
      const free = await grid.addNode(nodes[0]!.owner, nodes[0]!.farm, { pricePerGibSecond: 0n })
      const id = await stream(Number(free.id))
      expect((await grid.order(id)).paidUntil).to.equal(2n ** 40n - 1n)
      await as(tenant).cancel(id)
    })
  })

  describe('replace', () => {
    let volume: bigint
    beforeEach(async () => {
      volume = await grid.placeVolume(nodes.slice(0, 5), { seconds: 20_000n })
    })

    it('moves a slot, settles the old node and frees its bytes', async () => {
      const { orders } = grid.contracts
      const { placedAt } = await grid.order(volume)
      await grid.at(placedAt + 100n)
      await expect(as(tenant).replace(volume, 1, 6n, ANY_RATE))
        .to.emit(orders, 'SlotReplaced')
        .withArgs(2n, volume, 1, 2n, 6n)
      const slot = (await grid.order(volume)).slots[1]
      expect(slot?.node).to.equal(6n)
      expect(slot?.generation).to.equal(1n)
      expect(slot?.assignedAt).to.equal(placedAt + 100n)
      expect((await grid.node(2n)).usedBytes).to.equal(0n)
      expect((await grid.node(6n)).usedBytes).to.equal(GIB)
      expect(await freeOf(nodes[1]!.owner)).to.equal(100n * RATE)
    })

    it('spreads the money over less time where the new node is dearer, and keeps every unit', async () => {
      const { nodes: registry, escrow } = grid.contracts
      await registry
        .connect(nodes[5]!.wallet)
        .setOffer({ capacityBytes: 100n * GIB, pricePerGibSecond: 3n * RATE })
      const { placedAt } = await grid.order(volume)
      await grid.at(placedAt + 100n)
      await as(tenant).replace(volume, 0, 6n, ANY_RATE)
      const order = await grid.order(volume)
      expect(order.ratePerSecond).to.equal(7n * RATE)
      const rest = (19_900n + GRACE) * 5n * RATE
      expect(order.paidUntil).to.equal(placedAt + 100n + rest / (7n * RATE) - GRACE)
      expect(await freeOf(tenant)).to.equal(rest % (7n * RATE))
      const { deposited, withdrawn, free, heldByOrders } = await escrow.totals()
      expect(deposited).to.equal(withdrawn + free + heldByOrders)
    })

    it('spreads the money no further than policy lets anybody pay ahead, and gives back the rest', async () => {
      const cheap = await grid.addNode(nodes[0]!.owner, nodes[0]!.farm, { pricePerGibSecond: 1n })
      const id = await store(1)
      const { placedAt } = await grid.order(id)
      await grid.at(placedAt + 10n)
      await as(tenant).replace(id, 0, cheap.id, ANY_RATE)
      const order = await grid.order(id)
      expect(order.ratePerSecond).to.equal(1n)
      expect(order.paidUntil).to.equal(placedAt + 10n + 100_000n)
      expect(await freeOf(tenant)).to.equal((90n + GRACE) * RATE - 100_000n - GRACE)
      expect(await grid.contracts.escrow.held(id)).to.equal(100_000n + GRACE)
    })

    it('is refused where what is held would not pay for the grace at the new price', async () => {
      const { nodes: registry, orders } = grid.contracts
      await registry
        .connect(nodes[5]!.wallet)
        .setOffer({ capacityBytes: 100n * GIB, pricePerGibSecond: 2n * RATE })
      const id = await store(1)
      await expect(as(tenant).replace(id, 0, 6n, ANY_RATE))
        .to.be.revertedWithCustomError(orders, 'OrderRestTooLow')
        .withArgs((GRACE + 99n) * RATE, 2n * GRACE * RATE)
      await as(tenant).extend(id, GRACE)
      await as(tenant).replace(id, 0, 6n, ANY_RATE)
    })

    it('never costs the tenant more than it said, whatever the node asks by then', async () => {
      const { orders } = grid.contracts
      const asked = as(tenant).replace(volume, 0, 6n, RATE - 1n)
      await expect(asked)
        .to.be.revertedWithCustomError(orders, 'OrderReplacementTooDear')
        .withArgs(RATE, RATE - 1n)
      await as(tenant).replace(volume, 0, 6n, RATE)
    })

    it('leaves the end as it is when nothing is paid any more, and gives back what was paid', async () => {
      const { nodes: registry, escrow } = grid.contracts
      const free = await grid.addNode(nodes[0]!.owner, nodes[0]!.farm, { pricePerGibSecond: 0n })
      const id = await store(1)
      const { paidUntil, placedAt } = await grid.order(id)
      const before = { free: await freeOf(tenant), held: await escrow.heldOf(tenant) }
      await grid.at(placedAt + 10n)
      await as(tenant).replace(id, 0, free.id, ANY_RATE)
      const order = await grid.order(id)
      expect(order.ratePerSecond).to.equal(0n)
      expect(order.paidUntil).to.equal(paidUntil)
      const rest = (paidUntil - placedAt - 10n + GRACE) * RATE
      expect(await freeOf(tenant)).to.equal(before.free + rest)
      expect(await escrow.heldOf(tenant)).to.equal(before.held - rest - 10n * RATE)
      expect(await escrow.held(id)).to.equal(0n)
      await expect(as(tenant).replace(id, 0, 2n, ANY_RATE)).to.be.revertedWithCustomError(
        grid.contracts.orders,
        'OrderRestTooLow',
      )
      expect(await registry.nodeCount()).to.equal(9n)
    })

    it('keeps the groups on distinct farms', async () => {
      const { orders } = grid.contracts
      const repeated: [slot: number, node: bigint][] = [
        [0, 2n],
        [4, 4n],
        [2, 1n],
        [3, 5n],
      ]
      for (const [slot, node] of repeated) {
        await expect(
          as(tenant).replace(volume, slot, node, ANY_RATE),
        ).to.be.revertedWithCustomError(orders, 'OrderFarmRepeated')
      }
      await as(tenant).replace(volume, 0, 4n, ANY_RATE)
      await as(tenant).replace(volume, 3, 2n, ANY_RATE)
    })

    it('lets slots share where the spec says so', async () => {
      const id = await grid.place(
        KIND.Volume,
        volumeSpec({ sameFarmAllowed: true }),
        slotsOn(1, 2, 3, 4, 5),
      )
      await as(tenant).replace(id, 0, 2n, ANY_RATE)
      expect((await grid.node(2n)).usedBytes).to.equal(3n * GIB)
    })

    it('is refused for mounts, unknown slots, the same node, and ended orders', async () => {
      const { orders } = grid.contracts
      const shown = await mount(volume, 6)
      const refuse = (call: Promise<unknown>, error: string) =>
        expect(call).to.be.revertedWithCustomError(orders, error)
      await refuse(as(tenant).replace(shown, 0, 7n, ANY_RATE), 'OrderNotReplaceable')
      await refuse(as(tenant).replace(volume, 5, 7n, ANY_RATE), 'OrderSlotMissing')
      await refuse(as(tenant).replace(volume, 0, 1n, ANY_RATE), 'OrderSlotUnchanged')
      await refuse(as(tenant).replace(99n, 0, 1n, ANY_RATE), 'OrderWrongState')
      await as(tenant).cancel(volume)
      await refuse(as(tenant).replace(volume, 0, 7n, ANY_RATE), 'OrderWrongState')
    })

    it('is open to the writer’s node only once the slot’s node is lost', async () => {
      const { orders } = grid.contracts
      await mount(volume, 6, mountSpec(), { seconds: 20_000n })
      await grid.pass(LATE)
      await grid.beat(nodes.slice(1))
      await expect(asNode(6).replace(volume, 0, 7n, ANY_RATE)).to.be.revertedWithCustomError(
        orders,
        'OrderNodeNotLost',
      )
      await grid.pass(LOST - LATE)
      await grid.beat(nodes.slice(1))
      await asNode(6).replace(volume, 0, 7n, ANY_RATE)
      expect((await grid.order(volume)).slots[0]?.node).to.equal(7n)
      expect(await freeOf(nodes[0]!.owner)).to.equal(0n)
    })

    it('is open to the writer’s node while the slot’s node drains', async () => {
      await mount(volume, 6)
      await grid.contracts.nodes.connect(nodes[0]!.owner).setDraining(1n, true)
      await asNode(6).replace(volume, 0, 7n, ANY_RATE)
      expect((await grid.order(volume)).slots[0]?.node).to.equal(7n)
    })

    it('is refused to everyone else, to readers, and to a writer that a newer one replaced', async () => {
      const { orders, nodes: registry } = grid.contracts
      const refuse = (call: Promise<unknown>) =>
        expect(call).to.be.revertedWithCustomError(orders, 'OrderNotRepairer')
      await registry.connect(nodes[0]!.owner).setDraining(1n, true)
      await refuse(asNode(6).replace(volume, 0, 7n, ANY_RATE))
      await refuse(asNode(1).replace(volume, 0, 7n, ANY_RATE))
      await mount(volume, 6)
      await mount(volume, 8, mountSpec({ readOnly: true }))
      await refuse(asNode(8).replace(volume, 0, 7n, ANY_RATE))
      await refuse(as(attacker).replace(volume, 0, 7n, ANY_RATE))
      await refuse(as(nodes[0]!.owner).replace(volume, 0, 7n, ANY_RATE))
      const newer = await mount(volume, 7)
      await refuse(asNode(6).replace(volume, 0, 8n, ANY_RATE))
      await as(tenant).cancel(newer)
      await asNode(6).replace(volume, 0, 8n, ANY_RATE)
    })

    it('is open to the writer’s node, be it the first of all, from the second on after which a node is lost', async () => {
      const { orders } = grid.contracts
      await mount(volume, 1, mountSpec(), { seconds: 20_000n })
      const silent = nodes[1]!
      await grid.beat([silent])
      const { lastHeartbeat } = await grid.node(silent.id)
      await grid.pass(LATE / 2n)
      await grid.beat(nodes.filter((each) => each !== silent))
      await grid.at(lastHeartbeat + LOST)
      await expect(asNode(1).replace(volume, 1, 7n, ANY_RATE)).to.be.revertedWithCustomError(
        orders,
        'OrderNodeNotLost',
      )
      await grid.at(lastHeartbeat + LOST + 1n)
      await asNode(1).replace(volume, 1, 7n, ANY_RATE)
      expect((await grid.order(volume)).slots[1]?.node).to.equal(7n)
    })

    it('lets a writer’s node pay at most twice the old price', async () => {
      const { orders, nodes: registry } = grid.contracts
      await mount(volume, 6)
      await registry.connect(nodes[0]!.owner).setDraining(1n, true)
      const offer = (price: bigint) =>
        registry
          .connect(nodes[6]!.wallet)
          .setOffer({ capacityBytes: 100n * GIB, pricePerGibSecond: price })
      await offer(2n * RATE + 1n)
      await expect(asNode(6).replace(volume, 0, 7n, ANY_RATE)).to.be.revertedWithCustomError(
        orders,
        'OrderReplacementTooDear',
      )
      await offer(2n * RATE)
      await asNode(6).replace(volume, 0, 7n, ANY_RATE)
    })
  })

  it('answers a call at any block with the state of that block', async () => {
    const { orders } = grid.contracts
    const id = await store(1)
    const provider = grid.connection.ethers.provider
    const placedIn = await provider.getBlockNumber()
    await grid.pass(GRACE + 200n)
    const [then] = await orders.get([id], { blockTag: placedIn })
    const [now] = await orders.get([id])
    expect(then?.state).to.equal(STATE.Live)
    expect(now?.state).to.equal(STATE.Ended)
    expect(await orders.held(id, { blockTag: placedIn })).to.equal((100n + GRACE) * RATE)
  })

  it('asks a stranger’s money only for what the stranger extends', async () => {
    const { token } = grid.contracts
    const before = await token.balanceOf(await tenant.getAddress())
    const id = await store(1, { tenant: attacker })
    await as(attacker).extend(id, 10n)
    expect(await token.balanceOf(await tenant.getAddress())).to.equal(before)
    expect(before).to.be.greaterThan(TOKEN)
  })
})
