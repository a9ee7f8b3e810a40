// Nodes: farms, sponsorship, registration, offers, heartbeats, draining and leaving, each from every role.
import { expect } from 'chai'
import { type Signer, Wallet } from 'ethers'
import {
  anAccount,
  deployTestGrid,
  GIB,
  KIND,
  NODE_STATE,
  publicKeyOf,
  SEALING_KEY,
  storeSpec,
  type TestGrid,
  type TestNode,
  TOKEN,
} from './support/grid.ts'

const OFFER = { capacityBytes: 10n * GIB, pricePerGibSecond: 7n }
const LATE = 2000n

describe('Nodes', () => {
  let grid: TestGrid
  let owner: Signer
  let stranger: Signer
  let farm: bigint
  let restore: () => Promise<void>

  const as = (signer: Signer) => grid.contracts.nodes.connect(signer)
  const refuse = (call: Promise<unknown>, error: string) =>
    expect(call).to.be.revertedWithCustomError(grid.contracts.nodes, error)
  const stakeHeld = async () =>
    grid.contracts.token.balanceOf(await grid.contracts.nodes.getAddress())

  before(async () => {
    grid = await deployTestGrid({
      policy: { HeartbeatSeconds: LATE / 2n, LostSeconds: LATE, GraceSeconds: 0n },
    })
    owner = grid.actors.owners[0] as Signer
    stranger = grid.actors.attacker
    await grid.fund(owner)
    await grid.fund(stranger)
    await grid.fund(grid.actors.tenant)
    farm = await grid.addFarm(owner)
    restore = await grid.snapshot()
  })
  beforeEach(() => restore())

  describe('farms', () => {
    it('have a name of 1 to 64 bytes and an owner', async () => {
      await refuse(as(owner).createFarm(''), 'FarmNameLength')
      await refuse(as(owner).createFarm('x'.repeat(65)), 'FarmNameLength')
      await expect(as(owner).createFarm('x'.repeat(64)))
        .to.emit(grid.contracts.nodes, 'FarmCreated')
        .withArgs(2n, await owner.getAddress(), 'x'.repeat(64))
      const farms = await grid.contracts.nodes.farms(1, 9)
      expect(farms.map((each) => each.name)).to.deep.equal(['farm', 'x'.repeat(64)])
      expect(farms.map((each) => each.id)).to.deep.equal([1n, 2n])
      expect(await grid.contracts.nodes.reporterOf(2n)).to.equal(anAccount(0))
      expect(await grid.contracts.nodes.farms(0, 9)).to.deep.equal([])
      expect(await grid.contracts.nodes.farms(3, 9)).to.deep.equal([])
    })

    it('are given away only by their owner, and never to nobody', async () => {
      const to = await stranger.getAddress()
      await refuse(as(stranger).transferFarm(farm, to), 'FarmNotOwner')
      await refuse(as(owner).transferFarm(99n, to), 'FarmNotOwner')
      await refuse(as(owner).transferFarm(2n ** 24n + farm, to), 'FarmNotOwner')
      await refuse(as(owner).transferFarm(farm, anAccount(0)), 'FarmOwnerZero')
      await expect(as(owner).transferFarm(farm, to))
        .to.emit(grid.contracts.nodes, 'FarmOwnerChanged')
        .withArgs(farm, await owner.getAddress(), to)
      await refuse(as(owner).transferFarm(farm, to), 'FarmNotOwner')
      // Anybody may make and give away farms: no reader must look at nodes again because of it.
      expect(await grid.contracts.nodes.registryVersion()).to.equal(0n)
      await as(stranger).transferFarm(farm, await owner.getAddress())
    })
  })

  describe('sponsorship', () => {
    it('pulls the stake and passes ether on', async () => {
      const account = anAccount(0xbeef)
      await expect(as(owner).sponsor(farm, account, 5n, { value: 3n }))
        .to.emit(grid.contracts.nodes, 'NodeSponsored')
        .withArgs(farm, account, 5n)
      expect(await stakeHeld()).to.equal(5n)
      expect(await grid.connection.ethers.provider.getBalance(account)).to.equal(3n)
      const [sponsor, stake] = await grid.contracts.nodes.farmSponsoring(account)
      expect([sponsor, stake]).to.deep.equal([farm, 5n])
    })

    it('is for the farm’s owner, and for accounts that are nothing yet', async () => {
      const node = await grid.addNode(owner, farm)
      await refuse(as(stranger).sponsor(farm, anAccount(1), 1n), 'FarmNotOwner')
      await refuse(as(owner).sponsor(farm, anAccount(0), 1n), 'NodeAlreadyKnown')
      await refuse(as(owner).sponsor(farm, node.wallet.address, 1n), 'NodeAlreadyKnown')
      await as(owner).sponsor(farm, anAccount(1), 1n)
      await refuse(as(owner).sponsor(farm, anAccount(1), 1n), 'NodeAlreadyKnown')
    })

    it('fails as a whole if the ether cannot be passed on', async () => {
      const policy = await grid.contracts.policy.getAddress()
      await refuse(as(owner).sponsor(farm, policy, 1n, { value: 1n }), 'NodeGasNotForwarded')
      expect(await stakeHeld()).to.equal(0n)
    })

    it('can be taken back, with its stake, until the account registers', async () => {
      await as(owner).sponsor(farm, anAccount(5), 9n)
      await refuse(as(stranger).unsponsor(farm, anAccount(5)), 'FarmNotOwner')
      const other = await (await as(stranger).createFarm('other')).wait()
      expect(other?.status).to.equal(1)
      await refuse(as(stranger).unsponsor(2n, anAccount(5)), 'NodeNotSponsored')
      const version = await grid.contracts.nodes.registryVersion()
      await expect(as(owner).unsponsor(farm, anAccount(5)))
        .to.emit(grid.contracts.nodes, 'SponsorshipEnded')
        .withArgs(farm, anAccount(5), 9n)
      expect(await grid.contracts.nodes.registryVersion()).to.equal(version)
      expect(await stakeHeld()).to.equal(0n)
      await refuse(as(owner).unsponsor(farm, anAccount(5)), 'NodeNotSponsored')
    })
  })

  describe('registration', () => {
    const register = async (
      change: Partial<{
        key: string
        sealing: string
        offer: { capacityBytes: bigint; pricePerGibSecond: bigint }
        addresses: string[]
        stake: bigint
      }> = {},
    ) => {
      const wallet = grid.newWallet()
      await as(owner).sponsor(farm, wallet.address, change.stake ?? TOKEN, { value: TOKEN })
      return as(wallet).register(
        change.key ?? publicKeyOf(wallet),
        change.sealing ?? SEALING_KEY,
        change.offer ?? OFFER,
        change.addresses ?? ['/ip4/127.0.0.1/tcp/1', '/ip6/::1/tcp/1'],
      )
    }

    it('makes a node with everything in one read', async () => {
      const before = await grid.contracts.nodes.registryVersion()
      const registering = register()
      const receipt = await (await registering).wait()
      const time = BigInt((await receipt?.getBlock())?.timestamp ?? 0)
      const node = await grid.node(1n)
      expect(node.farm).to.equal(farm)
      expect(node.state).to.equal(NODE_STATE.Active)
      expect(node.capacityBytes).to.equal(OFFER.capacityBytes)
      expect(node.pricePerGibSecond).to.equal(OFFER.pricePerGibSecond)
      expect(node.stake).to.equal(TOKEN)
      expect(node.registeredAt).to.equal(time)
      expect(node.lastHeartbeat).to.equal(time)
      expect(node.aliveSeconds).to.equal(0n)
      expect(node.sealingKey).to.equal(SEALING_KEY)
      expect(node.addresses).to.deep.equal(['/ip4/127.0.0.1/tcp/1', '/ip6/::1/tcp/1'])
      expect(node.account).to.equal(
        grid.connection.ethers.getAddress(
          `0x${grid.connection.ethers.keccak256(node.publicKey).slice(-40)}`,
        ),
      )
      await expect(registering)
        .to.emit(grid.contracts.nodes, 'NodeRegistered')
        .withArgs(1n, farm, node.account)
      expect([...(await grid.contracts.nodes.maintenanceOf(1n))]).to.deep.equal([0n, 0n])
      expect(await grid.contracts.nodes.nodeOf(node.account)).to.equal(1n)
      expect(await grid.contracts.nodes.farmOf(1n)).to.equal(farm)
      expect(await grid.contracts.nodes.isAlive(1n)).to.equal(true)
      expect(await grid.contracts.nodes.registryVersion()).to.equal(before + 1n)
      expect((await grid.contracts.nodes.farmSponsoring(node.account))[0]).to.equal(0n)
    })

    it('is for sponsored accounts only, once', async () => {
      const wallet = await grid.addNode(owner, farm)
      const again = as(wallet.wallet).register(publicKeyOf(wallet.wallet), SEALING_KEY, OFFER, [])
      await expect(again)
        .to.be.revertedWithCustomError(grid.contracts.nodes, 'NodeNotSponsored')
        .withArgs(await wallet.wallet.getAddress(), 0n)
    })

    const other = publicKeyOf(unusedWallet())
    const cases: [why: string, error: string, change: Parameters<typeof register>[0]][] = [
      ['a key of somebody else', 'NodeKeyMismatch', { key: other }],
      ['a key with a byte too many', 'NodeKeyMismatch', { key: `${other}00` }],
      ['a short sealing key', 'NodeSealingKeyLength', { sealing: SEALING_KEY.slice(0, -2) }],
      ['no capacity', 'NodeCapacityOutOfRange', { offer: { ...OFFER, capacityBytes: 0n } }],
      ['2^56 bytes', 'NodeCapacityOutOfRange', { offer: { ...OFFER, capacityBytes: 1n << 56n } }],
      [
        'a price above the cap',
        'NodePriceAboveCap',
        { offer: { ...OFFER, pricePerGibSecond: TOKEN } },
      ],
      ['too little stake', 'NodeStakeTooLow', { stake: TOKEN / 10n - 1n }],
      ['nine addresses', 'NodeAddressesInvalid', { addresses: Array(9).fill('/x') }],
      ['an empty address', 'NodeAddressesInvalid', { addresses: ['/x', ''] }],
      ['a long address', 'NodeAddressesInvalid', { addresses: ['x'.repeat(257)] }],
    ]
    for (const [why, error, change] of cases) {
      it(`refuses ${why}: ${error}`, async () => {
        await refuse(register(change), error)
        expect(await grid.contracts.nodes.nodeCount()).to.equal(0n)
      })
    }

    it('takes the largest capacity there is room to note', async () => {
      const { policy, nodes } = grid.contracts
      await grid.asTimelock((timelock) => policy.connect(timelock).set(4, 0n))
      const capacityBytes = (1n << 56n) - 1n
      await register({ offer: { ...OFFER, capacityBytes } })
      expect((await nodes.nodes(1, 1))[0]?.capacityBytes).to.equal(capacityBytes)
    })

    it('takes the limits themselves', async () => {
      await register({ stake: TOKEN / 10n, addresses: Array(8).fill('x'.repeat(256)) })
      await register({ addresses: [] })
      expect((await grid.contracts.nodes.nodes(1, 1))[0]?.addresses.length).to.equal(8)
      expect((await grid.contracts.nodes.nodes(2, 9)).length).to.equal(1)
      expect((await grid.contracts.nodes.nodes(0, 9)).length).to.equal(0)
      expect((await grid.contracts.nodes.nodes(3, 9)).length).to.equal(0)
    })
  })

  describe('of a registered node', () => {
    let node: TestNode
    const order = (sizeBytes = GIB) =>
      grid.place(KIND.Store, storeSpec(), [{ node: node.id, sizeBytes }])

    beforeEach(async () => {
      node = await grid.addNode(owner, farm, OFFER)
    })

    it('the offer is changed only by the node, within stake, cap and use', async () => {
      await refuse(as(owner).setOffer(OFFER), 'NodeUnknown')
      await order(2n * GIB)
      await refuse(
        as(node.wallet).setOffer({ ...OFFER, capacityBytes: 2n * GIB - 1n }),
        'NodeCapacityInUse',
      )
      await refuse(
        as(node.wallet).setOffer({ ...OFFER, capacityBytes: 201n * GIB }),
        'NodeStakeTooLow',
      )
      await refuse(
        as(node.wallet).setOffer({ ...OFFER, pricePerGibSecond: TOKEN }),
        'NodePriceAboveCap',
      )
      await expect(as(node.wallet).setOffer({ capacityBytes: 2n * GIB, pricePerGibSecond: 8n }))
        .to.emit(grid.contracts.nodes, 'NodeChanged')
        .withArgs(node.id)
      expect((await grid.node(node.id)).pricePerGibSecond).to.equal(8n)
      expect((await grid.order(1n)).ratePerSecond).to.equal(14n)
    })

    it('the addresses are changed only by the node', async () => {
      await refuse(as(stranger).setAddresses(['/a']), 'NodeUnknown')
      await refuse(as(node.wallet).setAddresses(['']), 'NodeAddressesInvalid')
      await expect(as(node.wallet).setAddresses(['/dns/n/tcp/2']))
        .to.emit(grid.contracts.nodes, 'NodeChanged')
        .withArgs(node.id)
      expect((await grid.node(node.id)).addresses).to.deep.equal(['/dns/n/tcp/2'])
    })

    it('the stake is raised by anyone', async () => {
      await as(stranger).addStake(node.id, 4n)
      expect((await grid.node(node.id)).stake).to.equal(2n * TOKEN + 4n)
      expect(await stakeHeld()).to.equal(2n * TOKEN + 4n)
      await as(owner).setDraining(node.id, true)
      await as(stranger).addStake(node.id, 1n)
      expect((await grid.node(node.id)).stake).to.equal(2n * TOKEN + 5n)
      await refuse(as(stranger).addStake(99n, 4n), 'NodeClosed')
    })

    it('a heartbeat is its own, and unknown to others', async () => {
      await refuse(as(stranger).heartbeat(), 'NodeUnknown')
      await refuse(as(owner).heartbeat(), 'NodeUnknown')
      const { registeredAt } = await grid.node(node.id)
      const before = await grid.contracts.nodes.registryVersion()
      await grid.at(registeredAt + 10n)
      await as(node.wallet).heartbeat()
      const seen = await grid.node(node.id)
      expect(seen.lastHeartbeat).to.equal(registeredAt + 10n)
      expect(seen.aliveSeconds).to.equal(10n)
      expect(await grid.contracts.nodes.registryVersion()).to.equal(before)
    })

    it('life ends when the limit has passed, and the gap never counts', async () => {
      const { registeredAt } = await grid.node(node.id)
      await grid.pass(LATE)
      expect(await grid.contracts.nodes.isAlive(node.id)).to.equal(true)
      await grid.pass(1n)
      expect(await grid.contracts.nodes.isAlive(node.id)).to.equal(false)
      await grid.at(registeredAt + 3000n)
      await as(node.wallet).heartbeat()
      await grid.at(registeredAt + 3001n)
      await as(node.wallet).heartbeat()
      expect((await grid.node(node.id)).aliveSeconds).to.equal(1n)
      expect(await grid.contracts.nodes.isAlive(node.id)).to.equal(true)
      expect(await grid.contracts.nodes.isAlive(99n)).to.equal(false)
    })

    it('draining is for the node and its farm’s owner, and can be undone', async () => {
      await refuse(as(stranger).setDraining(node.id, true), 'NodeNotController')
      await refuse(as(owner).setDraining(99n, true), 'NodeMissing')
      const version = await grid.contracts.nodes.registryVersion()
      await expect(as(node.wallet).setDraining(node.id, true))
        .to.emit(grid.contracts.nodes, 'NodeChanged')
        .withArgs(node.id)
      expect(await grid.contracts.nodes.registryVersion()).to.equal(version + 1n)
      expect((await grid.node(node.id)).state).to.equal(NODE_STATE.Draining)
      expect(await grid.contracts.nodes.isAlive(node.id)).to.equal(true)
      await as(owner).setDraining(node.id, false)
      await order()
    })

    it('leaving needs draining and no slot, returns the stake, and frees the account', async () => {
      await refuse(as(owner).exit(node.id), 'NodeNotEmpty')
      await order()
      await as(owner).setDraining(node.id, true)
      await refuse(as(owner).exit(node.id), 'NodeNotEmpty')
      await refuse(as(stranger).exit(node.id), 'NodeNotController')
      const { orders } = grid.contracts
      await orders.connect(grid.actors.tenant).cancel(1n)
      await orders.settle(1n)
      const before = await grid.contracts.token.balanceOf(await owner.getAddress())
      await expect(as(node.wallet).exit(node.id))
        .to.emit(grid.contracts.nodes, 'NodeChanged')
        .withArgs(node.id)
      expect((await grid.node(node.id)).stake).to.equal(0n)
      const after = await grid.contracts.token.balanceOf(await owner.getAddress())
      expect(after - before).to.equal(2n * TOKEN)
      expect(await stakeHeld()).to.equal(0n)
      expect((await grid.node(node.id)).state).to.equal(NODE_STATE.Exited)
      expect(await grid.contracts.nodes.isAlive(node.id)).to.equal(false)
      await refuse(as(node.wallet).heartbeat(), 'NodeUnknown')
      await refuse(as(owner).setDraining(node.id, false), 'NodeClosed')
      await refuse(as(owner).addStake(node.id, 1n), 'NodeClosed')
      await refuse(as(owner).exit(node.id), 'NodeNotEmpty')
      await as(owner).sponsor(farm, node.wallet.address, TOKEN)
      await as(node.wallet).register(publicKeyOf(node.wallet), SEALING_KEY, OFFER, [])
      expect(await grid.contracts.nodes.nodeOf(node.wallet.address)).to.equal(2n)
    })

    it('a slot earns from its first byte on, and no more than 64 bits a second', async () => {
      await as(node.wallet).setOffer({ ...OFFER, pricePerGibSecond: 1n })
      await order(1n)
      expect((await grid.order(1n)).ratePerSecond).to.equal(1n)
      await grid.asTimelock((lock) => grid.contracts.policy.connect(lock).set(5, 2n ** 64n - 1n))
      await as(node.wallet).setOffer({ ...OFFER, pricePerGibSecond: 2n ** 64n - 1n })
      await refuse(order(GIB + 1n), 'NodeRateTooHigh')
      await order(GIB)
      expect((await grid.order(2n)).ratePerSecond).to.equal(2n ** 64n - 1n)
    })
  })

  describe('batched heartbeats', () => {
    let made: TestNode[]
    const bits = (...list: TestNode[]) => list.reduce((sum, each) => sum | (1n << each.id), 0n)
    const beat = (members: bigint, by: Signer = owner) => as(by).heartbeats(farm, [0], [members])
    const lastOf = async (node: TestNode) => (await grid.node(node.id)).lastHeartbeat
    const now = async () => BigInt(await grid.time.latest())

    beforeEach(async () => {
      made = []
      for (let i = 0; i < 4; i += 1) made.push(await grid.addNode(owner, farm, OFFER))
    })

    it('are for the farm’s owner and its reporter', async () => {
      const reporter = grid.actors.tenant
      await refuse(beat(bits(made[0]!), stranger), 'FarmNotOwner')
      await refuse(beat(bits(made[0]!), made[0]!.wallet), 'FarmNotOwner')
      await refuse(as(stranger).setReporter(farm, await stranger.getAddress()), 'FarmNotOwner')
      const version = await grid.contracts.nodes.registryVersion()
      await expect(as(owner).setReporter(farm, await reporter.getAddress()))
        .to.emit(grid.contracts.nodes, 'FarmReporterChanged')
        .withArgs(farm, await reporter.getAddress())
      expect(await grid.contracts.nodes.registryVersion()).to.equal(version)
      expect(await grid.contracts.nodes.reporterOf(farm)).to.equal(await reporter.getAddress())
      expect(await grid.contracts.nodes.reporterOf(99n)).to.equal(anAccount(0))
      await beat(bits(made[0]!), reporter)
      await refuse(as(owner).heartbeats(99n, [], []), 'FarmNotOwner')
      await refuse(as(owner).heartbeats(farm, [0], []), 'NodeBatchLength')
    })

    it('do not speak for a member that left, died, came back alone, and fell silent', async () => {
      const [one, other] = made as [TestNode, TestNode]
      const alive = async () =>
        Promise.all([one, other].map(({ id }) => grid.contracts.nodes.isAlive(id)))
      await beat(bits(one, other))
      await beat(bits(other))
      await grid.pass(LATE + 1n)
      await beat(bits(other))
      await as(one.wallet).heartbeat()
      expect(await alive()).to.deep.equal([true, true])
      await grid.pass(LATE - 10n)
      await beat(bits(other))
      await grid.pass(20n)
      expect(await alive()).to.deep.equal([false, true])
    })

    it('keep all members alive and no one else', async () => {
      const { registeredAt } = await grid.node(made[3]!.id)
      await grid.at(registeredAt + 100n)
      await beat(bits(...made.slice(0, 3)))
      await grid.at(registeredAt + 200n)
      await beat(bits(...made.slice(0, 3)))
      expect(await lastOf(made[0]!)).to.equal(registeredAt + 200n)
      expect(await lastOf(made[2]!)).to.equal(registeredAt + 200n)
      expect(await lastOf(made[3]!)).to.equal(registeredAt)
      await grid.at(registeredAt + 300n)
      await as(made[0]!.wallet).heartbeat()
      expect(await lastOf(made[0]!)).to.equal(registeredAt + 300n)
      await grid.at(registeredAt + 400n)
      await beat(bits(made[0]!))
      expect(await lastOf(made[0]!)).to.equal(registeredAt + 400n)
      expect(await lastOf(made[1]!)).to.equal(registeredAt + 200n)
      await grid.pass(LATE - 100n)
      expect(await grid.contracts.nodes.isAlive(made[1]!.id)).to.equal(false)
      expect(await grid.contracts.nodes.isAlive(made[0]!.id)).to.equal(true)
      await grid.place(KIND.Store, storeSpec(), [{ node: made[0]!.id, sizeBytes: GIB }])
    })

    it('record the gap of every member when they come too late', async () => {
      await beat(bits(made[0]!, made[1]!))
      const first = await now()
      await grid.at(first + LATE + 1n)
      await beat(bits(made[0]!, made[1]!))
      await grid.at(first + LATE + 51n)
      await beat(bits(made[0]!))
      await grid.at(first + LATE + 61n)
      await beat(bits(made[0]!, made[1]!))
      for (const node of made.slice(0, 2)) {
        const { aliveSeconds, registeredAt } = await grid.node(node.id)
        expect(aliveSeconds).to.equal(first - registeredAt + 60n)
      }
    })

    it('pay slots exactly as single ones do', async () => {
      await beat(bits(made[0]!))
      const id = await grid.place(
        KIND.Store,
        storeSpec(),
        [{ node: made[0]!.id, sizeBytes: GIB }],
        { seconds: 20_000n },
      )
      const { placedAt } = await grid.order(id)
      for (const [after] of [[500n], [2400n], [4401n], [4500n]] as const) {
        await grid.at(placedAt + after)
        await beat(bits(made[0]!))
      }
      await grid.contracts.orders.settle(id)
      const earned = await grid.contracts.escrow.freeBalance(await owner.getAddress())
      expect(earned).to.equal((2400n + 99n) * OFFER.pricePerGibSecond)
    })

    it('write nothing for a member that was in the last one', async () => {
      const gasOf = async (members: bigint) => {
        const sent = await beat(members)
        return (await sent.wait())?.gasUsed ?? 0n
      }
      const first = await gasOf(bits(...made))
      const second = await gasOf(bits(...made))
      // A word for each of four members and one for the batch itself against that one.
      expect(first - second).to.be.greaterThan(4n * 5_000n)
    })

    it('go by groups of 208', async () => {
      const small = { ...OFFER, capacityBytes: 1n }
      let last = made[3]!
      while (last.id < 209n) last = await grid.addNode(owner, farm, small)
      const [before, after] = [last.id - 2n, last.id]
      const { registeredAt } = await grid.node(after)
      await grid.at(registeredAt + 100n)
      // Numbers 207 and 209: the last of the first group and the second of the next.
      await as(owner).heartbeats(farm, [0, 1], [1n << before, 1n << (after - 208n)])
      const seen = await grid.contracts.nodes.nodes(before, 3)
      expect(seen.map((each) => each.lastHeartbeat === registeredAt + 100n)).to.deep.equal([
        true,
        false,
        true,
      ])
    })

    it('refuse nodes of another farm, that left, or that are not there', async () => {
      const other = await grid.addFarm(stranger)
      const theirs = await grid.addNode(stranger, other, OFFER)
      await refuse(beat(bits(made[0]!, theirs)), 'NodeNotOfFarm')
      await refuse(beat(1n << 200n), 'NodeNotOfFarm')
      await refuse(beat(1n), 'NodeNotOfFarm')
      await as(owner).setDraining(made[0]!.id, true)
      await beat(bits(made[0]!))
      await beat(0n)
      await as(owner).exit(made[0]!.id)
      await refuse(beat(bits(made[0]!)), 'NodeNotOfFarm')
    })
  })

  describe('maintenance', () => {
    const HOUR = 3600n
    const DAY = 24n * HOUR
    it('is announced in time, short, seldom, and by node or owner', async () => {
      const node = await grid.addNode(owner, farm, OFFER)
      const start = BigInt(await grid.time.latest()) + 100n
      const announce = async (from: bigint, until: bigint, by: Signer = owner) => {
        await grid.at(BigInt(await grid.time.latest()) + 1n)
        return as(by).announceMaintenance(node.id, from, until)
      }
      await refuse(announce(start + 2n * HOUR, start + 3n * HOUR, stranger), 'NodeNotController')
      await refuse(announce(start, start + HOUR), 'NodeMaintenanceInvalid')
      const next = BigInt(await grid.time.latest()) + 1n
      await refuse(announce(next + HOUR - 1n, next + 2n * HOUR), 'NodeMaintenanceInvalid')
      const soon = await grid.addNode(owner, farm, OFFER)
      const version = await grid.contracts.nodes.registryVersion()
      const then = BigInt(await grid.time.latest()) + 1n
      await grid.at(then)
      await as(owner).announceMaintenance(soon.id, then + HOUR, then + 2n * HOUR)
      expect(await grid.contracts.nodes.registryVersion()).to.equal(version + 1n)
      await refuse(announce(start + 2n * HOUR, start + 2n * HOUR), 'NodeMaintenanceInvalid')
      await refuse(
        announce(start + 2n * HOUR, start + 2n * HOUR + DAY + 1n),
        'NodeMaintenanceInvalid',
      )
      const from = start + 2n * HOUR
      await expect(announce(from, from + DAY, node.wallet))
        .to.emit(grid.contracts.nodes, 'NodeMaintenance')
        .withArgs(node.id, from, from + DAY)
      expect([...(await grid.contracts.nodes.maintenanceOf(node.id))]).to.deep.equal([
        from,
        from + DAY,
      ])
      // The next one would take the place of the present excuse.
      await refuse(announce(from + 20n * DAY, from + 21n * DAY), 'NodeMaintenanceInvalid')
      await grid.at(from + DAY)
      await refuse(
        as(owner).announceMaintenance(node.id, from + 20n * DAY, from + 21n * DAY),
        'NodeMaintenanceInvalid',
      )
      await grid.time.increaseTo(from + 2n * DAY)
      await refuse(announce(from + 15n * DAY - 1n, from + 15n * DAY), 'NodeMaintenanceInvalid')
      await announce(from + 15n * DAY, from + 15n * DAY + 1n)
    })

    it('excuses from its first second on, and whoever was alive until then', async () => {
      const { nodes } = grid.contracts
      const node = await grid.addNode(owner, farm, OFFER)
      const from = BigInt(await grid.time.latest()) + 3n * HOUR
      await as(owner).announceMaintenance(node.id, from, from + HOUR)
      await grid.at(from - LATE)
      await as(node.wallet).heartbeat()
      await grid.time.increaseTo(from - 1n)
      expect((await nodes.pulse(node.id))[1]).to.equal(from - LATE)
      await grid.time.increaseTo(from)
      expect((await nodes.pulse(node.id))[1]).to.equal(from + HOUR)
    })

    it('excuses a silence into which the node went alive, and no other', async () => {
      const { nodes } = grid.contracts
      const node = await grid.addNode(owner, farm, OFFER)
      const dead = await grid.addNode(owner, farm, OFFER)
      const from = BigInt(await grid.time.latest()) + 2n * HOUR
      await as(owner).announceMaintenance(node.id, from, from + HOUR)
      await as(owner).announceMaintenance(dead.id, from, from + HOUR)
      const { lastHeartbeat } = await grid.node(dead.id)
      await grid.at(from - 10n)
      await as(node.wallet).heartbeat()
      expect((await nodes.pulse(node.id))[1]).to.equal(from - 10n)
      await grid.pass(20n)
      expect((await nodes.pulse(node.id))[1]).to.equal(from + HOUR)
      expect((await nodes.pulse(dead.id))[1]).to.equal(lastHeartbeat)
      await grid.at(from + 2n * HOUR)
      await as(node.wallet).heartbeat()
      expect((await nodes.pulse(node.id))[1]).to.equal(from + 2n * HOUR)
      // Excused is not alive: the silence is not paid.
      const seen = await grid.node(node.id)
      expect(seen.aliveSeconds).to.equal(0n)
    })
  })

  it('answers only the order book where capacity is concerned', async () => {
    for (const signer of [owner, stranger, grid.actors.holder]) {
      await refuse(as(signer).lock([], 0n, 0n), 'NodesOnlyOrders')
      await refuse(as(signer).unlock([]), 'NodesOnlyOrders')
    }
  })

  it('was wired once and forgot by whom', async () => {
    const { nodes, orders } = grid.contracts
    await refuse(as(grid.actors.holder).wire(await orders.getAddress()), 'WiringRefused')
    expect(await nodes.orders()).to.equal(await orders.getAddress())
    const factory = await grid.connection.ethers.getContractFactory('Escrow')
    const fresh = await factory.deploy(await grid.contracts.token.getAddress())
    const wire = fresh.getFunction('wire')
    await expect(wire(anAccount(1))).to.be.revertedWithCustomError(fresh, 'WiringRefused')
  })
})

/** A key that no test grid hands out. */
function unusedWallet() {
  return new Wallet(`0x${'77'.repeat(32)}`)
}
