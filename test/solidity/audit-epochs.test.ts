// Audits without trees: epochs, what nodes commit and post, misses, pay, slashes, refills, and votes from capacity.
import { expect } from 'chai'
import { type Signer, ZeroHash } from 'ethers'
import { nodeId } from '../../agent/base/ids.ts'
import { isDrawn } from '../../agent/engines/audit/index.ts'
import {
  ANY_RATE,
  deployTestGrid,
  GIB,
  KIND,
  storeSpec,
  type TestGrid,
  type TestNode,
  TOKEN,
} from './support/grid.ts'

const EPOCH = 10_000n
const WINDOW = 1_000n
const ANSWER = 500n
/** Of the stake, in hundredths of a percent. */
const MISS_SLASH = 100n
const REPORTER_SHARE = 1_000n
const STAKE = 2n * TOKEN
const DIGEST = `0x${'d1'.repeat(28)}`
const ROOT = `0x${'a5'.repeat(32)}`
const UNITS = 1_000n

describe('Audits: epochs', () => {
  let grid: TestGrid
  let nodes: TestNode[]
  let tenant: Signer
  let keeper: Signer
  let restore: () => Promise<void>

  const as = (signer: Signer) => grid.contracts.audits.connect(signer)
  const refuse = (call: Promise<unknown>, error: string, from = grid.contracts.audits) =>
    expect(call).to.be.revertedWithCustomError(from, error)
  const node = (index: number) => nodes[index] as TestNode
  const set = (name: bigint, value: bigint) =>
    grid.asTimelock((owner) => grid.contracts.policy.connect(owner).set(name, value))
  const PARAMETER = { AuditEpochSeconds: 12n, AuditOpenOdds: 16n, StakePerGib: 4n } as const
  const VOTES = { VotesPerGib: 22n, CapacityVotesPercent: 23n } as const

  /** The next epoch begins, everybody alive. */
  async function nextEpoch(): Promise<bigint> {
    await grid.pass(EPOCH)
    await as(keeper).draw()
    // After the draw: only then is it known that they lived through all of the epoch that is over.
    await grid.beat(nodes)
    return grid.contracts.audits.epoch()
  }
  /** Each of these holds a slot: it can stand for nothing else. */
  async function fill(which: readonly TestNode[], sizeBytes = UNITS * 32n): Promise<void> {
    for (const { id } of which) await grid.place(KIND.Store, storeSpec(), [{ node: id, sizeBytes }])
  }
  /** All these stand for something from the next epoch on. */
  async function commit(which: readonly TestNode[]): Promise<void> {
    await fill(which)
    for (const { wallet } of which) await as(wallet).commit(ROOT, UNITS)
  }
  async function postAll(epoch: bigint, which: readonly TestNode[]): Promise<void> {
    for (const { wallet } of which) await as(wallet).postDigest(epoch, DIGEST)
  }
  const missedEpochOf = async (one: TestNode) =>
    (await grid.contracts.audits.proverOf(one.id)).missedEpoch

  before(async () => {
    grid = await deployTestGrid({
      policy: {
        ...{ HeartbeatSeconds: 20_000n, LostSeconds: 40_000n, GraceSeconds: 0n, MinSeconds: 10n },
        ...{ AuditEpochSeconds: EPOCH, AuditWindowSeconds: WINDOW, AuditWindowBlocks: 1n },
        ...{ AuditSamples: 4n, AuditOpenOdds: 0n, AuditAnswerSeconds: ANSWER, AuditBond: 50n },
        ...{ AuditMissSlash: MISS_SLASH, AuditReporterShare: REPORTER_SHARE },
        ...{ AuditFraudSlash: 2_000n },
      },
    })
    tenant = grid.actors.tenant
    keeper = grid.actors.attacker
    nodes = await grid.addNodes(4, { stake: STAKE, pricePerGibSecond: 1_000n })
    await grid.fund(tenant)
    await grid.fund(keeper)
    for (const { wallet } of nodes) await as(wallet).commit(ZeroHash, 0n)
    restore = await grid.snapshot()
  })
  beforeEach(() => restore())

  describe('drawing', () => {
    it('begins the first epoch at once and each further one when the last has lasted', async () => {
      const { audits } = grid.contracts
      expect(await audits.epoch()).to.equal(0n)
      await as(keeper).draw()
      const first = await audits.epochs(1n)
      expect(first.dueAt).to.equal(first.drawnAt + WINDOW)
      expect(first.samples).to.equal(4n)
      await grid.pass(1n)
      await grid.at(first.drawnAt + EPOCH - 1n)
      await refuse(as(keeper).draw(), 'AuditTooEarly')
      await grid.at(first.drawnAt + EPOCH)
      await expect(as(keeper).draw()).to.emit(audits, 'EpochDrawn')
      expect(await audits.epoch()).to.equal(2n)
      expect((await audits.epochs(2n)).seed).to.not.equal(first.seed)
      expect((await audits.epochs(3n)).drawnAt).to.equal(0n)
    })

    it('waits for the blocks of the window too, so that a chain that stood still punishes nobody', async () => {
      await grid.asTimelock((owner) => grid.contracts.policy.connect(owner).set(14n, 5n))
      await fill([node(0)])
      await as(keeper).draw()
      await as(node(0).wallet).commit(ROOT, UNITS)
      await grid.pass(EPOCH)
      await refuse(as(keeper).draw(), 'AuditPending')
      await as(node(0).wallet).postDigest(1n, DIGEST)
      const { dueBlock } = await grid.contracts.audits.epochs(1n)
      while (BigInt(await grid.time.latestBlock()) < dueBlock - 1n) await grid.pass(1n)
      await as(node(0).wallet).postDigest(1n, DIGEST)
      expect(BigInt(await grid.time.latestBlock())).to.equal(dueBlock)
      await refuse(as(node(0).wallet).postDigest(1n, DIGEST), 'AuditLate')
      await as(keeper).draw()
    })

    it('stops when policy says so, and then all is judged', async () => {
      await as(keeper).draw()
      await nextEpoch()
      const { audits } = grid.contracts
      expect(await audits.judgedUntil()).to.equal((await audits.epochs(1n)).drawnAt)
      await set(PARAMETER.AuditEpochSeconds, 0n)
      await refuse(as(keeper).draw(), 'AuditOff')
      expect(await audits.judgedUntil()).to.equal(2n ** 64n - 1n)
    })
  })

  describe('what a node stands for', () => {
    it('is committed by the node alone, root and units together', async () => {
      await refuse(as(keeper).commit(ROOT, 1n), 'AuditNotNode')
      const own = as(node(0).wallet)
      await refuse(own.commit(ROOT, 0n), 'AuditUnitsInvalid')
      await refuse(own.commit(ZeroHash, 1n), 'AuditUnitsInvalid')
      await refuse(own.commit(ROOT, 2n ** 47n), 'AuditUnitsInvalid')
      await refuse(own.commit(ROOT, 1n), 'AuditUnitsInvalid')
      await fill([node(0)], 99n * 32n + 1n)
      await refuse(own.commit(ROOT, 101n), 'AuditUnitsInvalid')
      await own.commit(ROOT, 100n)
      await own.commit(ZeroHash, 0n)
      await expect(own.commit(ROOT, 7n))
        .to.emit(grid.contracts.audits, 'AccumulatorCommitted')
        .withArgs(node(0).id, ROOT, 7n)
    })

    it('counts from the next epoch on, and is still known in the one after', async () => {
      const { audits } = grid.contracts
      const units = async (epoch: bigint) => (await audits.accumulatorOf(node(0).id, epoch)).units
      await fill([node(0)])
      await as(keeper).draw()
      expect(await units(1n)).to.equal(0n)
      for (const epoch of [1n, 2n, 3n, 4n]) {
        await as(node(0).wallet).commit(ROOT, 99n)
        await as(node(0).wallet).commit(ROOT, 100n + epoch)
        expect(await units(epoch)).to.equal(epoch === 1n ? 0n : 99n + epoch)
        expect(await units(epoch + 1n)).to.equal(100n + epoch)
        // Of the epoch before this one misses are marked and disputes opened.
        if (epoch > 2n) expect(await units(epoch - 1n)).to.equal(98n + epoch)
        await nextEpoch()
        expect(await units(epoch)).to.equal(epoch === 1n ? 0n : 99n + epoch)
      }
      await nextEpoch()
      await nextEpoch()
      expect(await units(7n)).to.equal(104n)
    })

    it('is nothing for an epoch before which all it knows was committed', async () => {
      const { audits } = grid.contracts
      await fill([node(0)])
      for (let epoch = 0; epoch < 5; epoch += 1) {
        await as(node(0).wallet).commit(ROOT, 5n)
        await nextEpoch()
      }
      expect((await audits.accumulatorOf(node(0).id, 1n)).units).to.equal(0n)
    })
  })

  describe('posting', () => {
    it('is taken while the window is open, for an epoch that began', async () => {
      await refuse(as(node(0).wallet).postDigest(0n, DIGEST), 'AuditLate')
      await refuse(as(keeper).postDigests(1n, 0n, DIGEST, 1n), 'AuditLate')
      await as(keeper).draw()
      const { dueAt } = await grid.contracts.audits.epochs(1n)
      await grid.pass(10n)
      await grid.at(dueAt)
      await expect(as(node(0).wallet).postDigest(1n, DIGEST))
        .to.emit(grid.contracts.audits, 'DigestPosted')
        .withArgs(1n, node(0).wallet.address, DIGEST)
      expect(await grid.contracts.audits.isProven(node(0).id, 1n)).to.equal(true)
      const claim = await grid.contracts.audits.claimOf(node(0).id, 1n)
      expect([claim.claim, claim.batched]).to.deep.equal([DIGEST, false])
      await grid.at(dueAt + 1n)
      await refuse(as(node(1).wallet).postDigest(1n, DIGEST), 'AuditLate')
      await grid.at(dueAt + 2n)
      await refuse(as(keeper).postDigests(1n, 0n, DIGEST, 1n), 'AuditLate')
    })

    it('in batches counts for those who chose the aggregator, and for members alone', async () => {
      const { audits } = grid.contracts
      const chosen = as(node(0).wallet).setAggregator(await keeper.getAddress())
      await expect(chosen)
        .to.emit(audits, 'AggregatorChosen')
        .withArgs(node(0).id, await keeper.getAddress())
      await as(node(1).wallet).setAggregator(await keeper.getAddress())
      await refuse(as(keeper).setAggregator(await keeper.getAddress()), 'AuditNotNode')
      await as(keeper).draw()
      const bit = (one: TestNode) => 1n << one.id
      await expect(as(keeper).postDigests(1n, 0n, DIGEST, bit(node(0)) | bit(node(2))))
        .to.emit(audits, 'DigestsPosted')
        .withArgs(1n, await keeper.getAddress(), 0n, DIGEST, bit(node(0)) | bit(node(2)))
      const proven = async () => Promise.all(nodes.map(({ id }) => audits.isProven(id, 1n)))
      expect(await proven()).to.deep.equal([true, false, false, false])
      await as(node(2).wallet).postDigest(1n, DIGEST)
      expect(await proven()).to.deep.equal([true, false, true, false])
      await as(node(0).wallet).setAggregator(ZeroHash.slice(0, 42))
      expect(await proven()).to.deep.equal([false, false, true, false])
    })

    it('of an aggregator does not last either', async () => {
      const { audits } = grid.contracts
      await as(node(0).wallet).setAggregator(await keeper.getAddress())
      await as(keeper).draw()
      await as(keeper).postDigests(1n, 0n, DIGEST, 1n << node(0).id)
      expect(await audits.claimOf(node(0).id, 1n)).to.deep.equal([DIGEST, true])
      await nextEpoch()
      await nextEpoch()
      expect(await audits.claimOf(node(0).id, 3n)).to.deep.equal([`0x${'00'.repeat(28)}`, true])
    })

    it('lasts through the next epoch and not longer', async () => {
      const { audits } = grid.contracts
      await as(keeper).draw()
      await postAll(1n, [node(0)])
      await nextEpoch()
      await postAll(2n, [node(0)])
      expect(await audits.isProven(node(0).id, 1n)).to.equal(true)
      await nextEpoch()
      await postAll(3n, [node(0)])
      expect(await audits.isProven(node(0).id, 1n)).to.equal(false)
      expect(await audits.isProven(node(0).id, 2n)).to.equal(true)
    })
  })

  describe('missing', () => {
    it('is marked in the next epoch, for a share, with the rest for the treasury', async () => {
      const { audits, nodes: registry } = grid.contracts
      await grid.place(KIND.Store, storeSpec(), [{ node: node(1).id, sizeBytes: GIB }])
      await commit(nodes)
      await as(keeper).draw()
      await postAll(1n, [node(0), node(2)])
      await refuse(as(keeper).markMissed(1n, [node(1).id]), 'AuditWrongEpoch')
      await refuse(as(keeper).markMissed(0n, [node(1).id]), 'AuditWrongEpoch')
      await nextEpoch()
      const { drawnAt } = await audits.epochs(1n)
      const until = (await audits.epochs(2n)).drawnAt
      const slash = (STAKE * MISS_SLASH) / 10_000n
      const marked = as(keeper).markMissed(1n, [node(0).id, node(1).id, node(1).id, 99n])
      await expect(marked).to.emit(audits, 'EpochMissed').withArgs(1n, node(1).id, slash)
      await expect(marked).to.emit(registry, 'NodeMissed').withArgs(node(1).id, drawnAt, until)
      await expect(marked).to.emit(registry, 'NodeSlashed').withArgs(node(1).id, slash)
      expect((await grid.node(node(1).id)).stake).to.equal(STAKE - slash)
      expect(await missedEpochOf(node(0))).to.equal(0n)
      const share = (slash * REPORTER_SHARE) / 10_000n
      expect(await audits.creditOf(await keeper.getAddress())).to.equal(share)
      expect(await audits.treasuryShare()).to.equal(slash - share)
      expect(await audits.owed()).to.equal(slash)
      expect(await grid.contracts.token.balanceOf(await audits.getAddress())).to.equal(slash)
      await nextEpoch()
      await refuse(as(keeper).markMissed(1n, [node(3).id]), 'AuditWrongEpoch')
      expect((await grid.node(node(3).id)).stake).to.equal(STAKE)
    })

    it('passes over who had nothing to prove, was away as announced, or has left', async () => {
      const { nodes: registry } = grid.contracts
      await commit([node(1)])
      const now = BigInt(await grid.time.latest())
      const from = now + 4_000n
      await registry.connect(node(1).wallet).announceMaintenance(node(1).id, from, from + 100n)
      await registry.connect(node(2).wallet).setDraining(node(2).id, true)
      await grid.at(from - WINDOW)
      await as(keeper).draw()
      await registry.connect(node(2).wallet).exit(node(2).id)
      await grid.pass(EPOCH)
      await as(keeper).draw()
      for (const index of [0, 1, 3]) await registry.connect(node(index).wallet).heartbeat()
      await as(keeper).markMissed(1n, [node(0).id, node(1).id, node(2).id])
      for (const index of [0, 1, 2]) expect(await missedEpochOf(node(index))).to.equal(0n)
      // The next epoch finds the node back, and no longer excused.
      await grid.pass(EPOCH)
      await as(keeper).draw()
      await registry.connect(node(1).wallet).heartbeat()
      await as(keeper).markMissed(2n, [node(1).id])
      expect(await missedEpochOf(node(1))).to.equal(2n)
    })

    it('is marked of a node that drains as of any other', async () => {
      await commit([node(1)])
      await as(keeper).draw()
      await grid.contracts.nodes.connect(node(1).wallet).setDraining(node(1).id, true)
      await nextEpoch()
      await as(keeper).markMissed(1n, [node(1).id])
      expect(await missedEpochOf(node(1))).to.equal(1n)
    })

    it('is excused to the second: maintenance that ended before the draw, or begins after the window', async () => {
      const { nodes: registry, audits } = grid.contracts
      await commit(nodes)
      const from = BigInt(await grid.time.latest()) + 4_000n
      for (const each of nodes.slice(0, 2)) {
        await registry.connect(each.wallet).announceMaintenance(each.id, from, from + 100n)
      }
      await grid.at(from + 101n)
      await as(keeper).draw()
      await nextEpoch()
      await as(keeper).markMissed(1n, [node(0).id])
      expect(await missedEpochOf(node(0))).to.equal(1n)
      const { dueAt } = await audits.epochs(2n)
      await registry
        .connect(node(2).wallet)
        .announceMaintenance(node(2).id, dueAt + 4_000n, dueAt + 4_100n)
      await nextEpoch()
      await as(keeper).markMissed(2n, [node(2).id])
      expect(await missedEpochOf(node(2))).to.equal(2n)
    })

    it('waits until it is known whether the node lived, and then pays none of it', async () => {
      const { nodes: registry } = grid.contracts
      await commit([node(0)])
      await as(keeper).draw()
      await grid.pass(EPOCH)
      await as(keeper).draw()
      await as(keeper).markMissed(1n, [node(0).id])
      expect(await missedEpochOf(node(0))).to.equal(0n)
      await registry.connect(node(0).wallet).heartbeat()
      await as(keeper).markMissed(1n, [node(0).id])
      expect(await missedEpochOf(node(0))).to.equal(1n)
      const view = await grid.node(node(0).id)
      const { drawnAt } = await grid.contracts.audits.epochs(1n)
      const until = (await grid.contracts.audits.epochs(2n)).drawnAt
      expect(view.aliveSeconds).to.equal(view.lastHeartbeat - view.registeredAt - (until - drawnAt))
    })

    it('does not count a second twice that was in a gap already', async () => {
      const { nodes: registry, audits } = grid.contracts
      await commit([node(0)])
      await registry.connect(node(0).wallet).heartbeat()
      const silentFrom = BigInt(await grid.time.latest())
      await grid.pass(5_000n)
      await as(keeper).draw()
      await grid.pass(60_000n)
      await as(keeper).draw()
      // Late, so all of it is dead already, and known to be.
      await as(keeper).markMissed(1n, [node(0).id])
      expect(await missedEpochOf(node(0))).to.equal(1n)
      await registry.connect(node(0).wallet).heartbeat()
      const back = BigInt(await grid.time.latest())
      const view = await grid.node(node(0).id)
      expect(view.aliveSeconds).to.equal(
        view.lastHeartbeat - view.registeredAt - (back - silentFrom),
      )
      expect((await audits.epochs(1n)).drawnAt).to.be.greaterThan(silentFrom)
    })

    it('asks a drawn node for its opening as well', async () => {
      await set(PARAMETER.AuditOpenOdds, 1n)
      await commit([node(0)])
      await as(keeper).draw()
      const { audits } = grid.contracts
      expect(await audits.isDrawn(node(0).id, 1n)).to.equal(true)
      await postAll(1n, [node(0)])
      expect(await audits.isProven(node(0).id, 1n)).to.equal(false)
      await nextEpoch()
      await as(keeper).markMissed(1n, [node(0).id])
      expect(await missedEpochOf(node(0))).to.equal(1n)
    })

    it('draws about one node in as many as the odds say', async () => {
      await set(PARAMETER.AuditOpenOdds, 8n)
      await as(keeper).draw()
      const { audits } = grid.contracts
      const { seed } = await audits.epochs(1n)
      const drawn = await Promise.all(
        Array.from({ length: 800 }, (_, i) => audits.isDrawn(BigInt(i + 1), 1n)),
      )
      expect(drawn).to.deep.equal(drawn.map((_, i) => isDrawn(seed, nodeId(i + 1), 8)))
      const count = drawn.filter(Boolean).length
      // 100 expected, standard deviation 9.4: five of them.
      expect(count).to.be.greaterThan(53)
      expect(count).to.be.lessThan(147)
    })
  })

  describe('pay', () => {
    it('waits for judgement, leaves out what was missed, and gives the benefit of the doubt at the end', async () => {
      const { orders, escrow, audits } = grid.contracts
      const owner = await node(0).owner.getAddress()
      const order = await grid.place(
        KIND.Store,
        storeSpec(),
        [{ node: node(0).id, sizeBytes: GIB }],
        { seconds: 200_000n },
      )
      const { placedAt } = await grid.order(order)
      const earned = async () => (await escrow.freeBalance(owner)) / 1_000n
      await commit([node(0)])
      await as(keeper).draw()
      await grid.beat(nodes)
      await orders.settle(order)
      const first = (await audits.epochs(1n)).drawnAt
      expect(await earned()).to.equal(first - placedAt)
      // Epoch 1 is proven, epoch 2 is missed, epoch 3 is not over.
      await postAll(1n, [node(0)])
      await nextEpoch()
      await orders.settle(order)
      expect(await earned()).to.equal(first - placedAt)
      await nextEpoch()
      await orders.settle(order)
      const second = (await audits.epochs(2n)).drawnAt
      expect(await earned()).to.equal(second - placedAt)
      await as(keeper).markMissed(2n, [node(0).id])
      const third = (await audits.epochs(3n)).drawnAt
      await nextEpoch()
      const held = await escrow.held(order)
      await orders.settle(order)
      expect(await escrow.held(order)).to.equal(held)
      expect(await earned()).to.equal(second - placedAt)
      const before = await escrow.freeBalance(await tenant.getAddress())
      await orders.connect(tenant).cancel(order)
      const end = BigInt(await grid.time.latest())
      expect(await earned()).to.equal(second - placedAt + (end - third))
      const paidTo = placedAt + 200_000n
      const refund = (await escrow.freeBalance(await tenant.getAddress())) - before
      expect(refund).to.equal((paidTo - end) * 1_000n)
      expect(await escrow.held(order)).to.equal(0n)
    })
  })

  describe('a slash', () => {
    /** Node 1 holds one GiB of a store and is slashed for missing epoch 1, by `reporter`. */
    async function slashed(reporter: Signer = keeper): Promise<{ order: bigint; taken: bigint }> {
      const slots = [{ node: node(1).id, sizeBytes: GIB }]
      const order = await grid.place(KIND.Store, storeSpec(), slots, { seconds: 500_000n })
      await commit([node(1)])
      await as(keeper).draw()
      await nextEpoch()
      const { stake } = await grid.node(node(1).id)
      await as(reporter).markMissed(1n, [node(1).id])
      return { order, taken: stake - (await grid.node(node(1).id)).stake }
    }

    it('leaves the treasury all but the share of whoever reported it', async () => {
      const { audits, token } = grid.contracts
      await refuse(as(keeper).sweep(), 'AuditNoCredit')
      const { taken } = await slashed()
      const credit = await audits.creditOf(await keeper.getAddress())
      expect([credit, await audits.treasuryShare()]).to.deep.equal([
        taken / 10n,
        (taken * 9n) / 10n,
      ])
      expect(await audits.owed()).to.equal(taken)
      const before = await token.balanceOf(grid.timelock)
      await expect(as(keeper).sweep())
        .to.emit(audits, 'TreasuryPaid')
        .withArgs(taken - credit)
      expect((await token.balanceOf(grid.timelock)) - before).to.equal(taken - credit)
      expect(await audits.owed()).to.equal(credit)
      await refuse(as(keeper).sweep(), 'AuditNoCredit')
      await expect(as(keeper).withdrawCredit()).to.changeTokenBalances(
        grid.connection.ethers,
        grid.contracts.token,
        [keeper, await audits.getAddress()],
        [credit, -credit],
      )
      await refuse(as(keeper).withdrawCredit(), 'AuditNoCredit')
      const [out] = await audits.queryFilter(audits.filters.CreditWithdrawn())
      expect([out?.args.account, out?.args.amount]).to.deep.equal([
        await keeper.getAddress(),
        credit,
      ])
    })

    it('costs a farm nine tenths of it, though it marks itself and moves the slot to a sibling', async () => {
      const { orders, audits } = grid.contracts
      const { owner } = node(1)
      const { order, taken } = await slashed(owner)
      await orders.connect(tenant).replace(order, 0n, node(2).id, ANY_RATE)
      const sibling = await node(2).owner.getAddress()
      const back =
        (await audits.creditOf(await owner.getAddress())) + (await audits.creditOf(sibling))
      expect(back).to.equal(taken / 10n)
    })

    it('closes a node to new orders until its stake covers its offer again', async () => {
      const { nodes: registry } = grid.contracts
      // The stake of 2 tokens is exactly what 200 GiB ask for.
      await registry
        .connect(node(1).wallet)
        .setOffer({ capacityBytes: 200n * GIB, pricePerGibSecond: 1_000n })
      await slashed()
      const place = () =>
        grid.place(KIND.Store, storeSpec(), [{ node: node(1).id, sizeBytes: GIB }])
      await refuse(place(), 'NodeUnderstaked', registry as never)
      const missing = STAKE - (await grid.node(node(1).id)).stake
      await registry.connect(node(1).owner).addStake(node(1).id, missing - 1n)
      await refuse(place(), 'NodeUnderstaked', registry as never)
      await registry.connect(node(1).owner).addStake(node(1).id, 1n)
      await place()
    })

    it('is lifted by an offer that the stake covers', async () => {
      const { nodes: registry } = grid.contracts
      await registry
        .connect(node(1).wallet)
        .setOffer({ capacityBytes: 200n * GIB, pricePerGibSecond: 1_000n })
      await slashed()
      await registry
        .connect(node(1).wallet)
        .setOffer({ capacityBytes: 100n * GIB, pricePerGibSecond: 1_000n })
      await grid.place(KIND.Store, storeSpec(), [{ node: node(1).id, sizeBytes: GIB }])
    })

    it('is for the audits alone to take, and refills are for the order book to tell', async () => {
      const { nodes: registry } = grid.contracts
      await refuse(registry.connect(keeper).slash(1n, 1n), 'NodesOnlyAudits', registry as never)
      await refuse(
        registry.connect(keeper).recordMiss(1n, 0n, 1n),
        'NodesOnlyAudits',
        registry as never,
      )
    })
  })

  describe('votes from capacity', () => {
    const votesPerGib = 5n * TOKEN

    beforeEach(async () => {
      await set(VOTES.VotesPerGib, votesPerGib)
      for (const each of nodes) {
        await grid.place(KIND.Store, storeSpec(), [{ node: each.id, sizeBytes: 2n * GIB }], {
          seconds: 900_000n,
        })
        await as(each.wallet).commit(ROOT, GIB / 32n)
      }
      await as(keeper).draw()
    })
    const refresh = (one: TestNode) => grid.contracts.votes.refresh(one.id)
    const votesOf = async (one: TestNode) =>
      grid.contracts.votes.getVotes(await one.owner.getAddress())

    it('follow what was proven in the epoch that is over', async () => {
      const { votes } = grid.contracts
      await postAll(1n, [node(0)])
      await refresh(node(0))
      expect(await votesOf(node(0))).to.equal(0n)
      await nextEpoch()
      await expect(refresh(node(0)))
        .to.emit(votes, 'CapacityVotesChanged')
        .withArgs(node(0).id, await node(0).owner.getAddress(), votesPerGib)
      await refresh(node(1))
      expect(await votesOf(node(0))).to.equal(votesPerGib)
      expect(await votes.votesOf(node(0).id)).to.equal(votesPerGib)
      expect(await votesOf(node(1))).to.equal(0n)
      // What is ordered: a node cannot commit more.
      await as(node(1).wallet).commit(ROOT, GIB / 16n)
      await nextEpoch()
      await postAll(3n, nodes)
      await nextEpoch()
      await refresh(node(1))
      expect(await votesOf(node(1))).to.equal(2n * votesPerGib)
      await refresh(node(0))
      await refresh(node(0))
      expect(await votesOf(node(0))).to.equal(votesPerGib)
    })

    it('go with a miss, for 28 epochs', async () => {
      await postAll(1n, [node(0)])
      await nextEpoch()
      await refresh(node(0))
      await nextEpoch()
      await as(keeper).markMissed(2n, [node(0).id])
      await postAll(3n, nodes)
      for (let epoch = 4n; epoch <= 30n; epoch += 1n) {
        await nextEpoch()
        await postAll(epoch, [node(0)])
        if (epoch < 6n || epoch > 27n) await refresh(node(0))
        expect(await votesOf(node(0)), `epoch ${epoch}`).to.equal(
          epoch === 30n || epoch === 4n ? (epoch === 30n ? votesPerGib : 0n) : 0n,
        )
      }
    })

    it('go with a node that falls silent, and move with its farm', async () => {
      const { nodes: registry } = grid.contracts
      await postAll(1n, [node(0)])
      await nextEpoch()
      await refresh(node(0))
      await registry.connect(node(0).owner).transferFarm(node(0).farm, await keeper.getAddress())
      await refresh(node(0))
      expect(await votesOf(node(0))).to.equal(0n)
      expect(await grid.contracts.votes.getVotes(await keeper.getAddress())).to.equal(votesPerGib)
      await grid.pass(50_000n)
      await refresh(node(0))
      expect(await grid.contracts.votes.getVotes(await keeper.getAddress())).to.equal(0n)
    })

    it('are bounded by a share of the supply', async () => {
      const supply = await grid.contracts.token.totalSupply()
      await set(VOTES.VotesPerGib, 10n ** 19n)
      await set(VOTES.CapacityVotesPercent, 0n)
      await postAll(1n, nodes)
      await nextEpoch()
      await refresh(node(0))
      expect(await votesOf(node(0))).to.equal(0n)
      await set(VOTES.CapacityVotesPercent, 50n)
      await refresh(node(0))
      expect(await votesOf(node(0))).to.equal(10n ** 19n)
      expect(supply / 2n).to.be.greaterThan(10n ** 19n)
    })

    it('stop at that share, and share it by what is proven, whoever came first', async () => {
      const { token, nodes: registry } = grid.contracts
      await set(PARAMETER.StakePerGib, 0n)
      await set(VOTES.VotesPerGib, 10n ** 19n)
      await set(VOTES.CapacityVotesPercent, 1n)
      const huge = 2n ** 50n
      const offer = { capacityBytes: 2n * huge, pricePerGibSecond: 0n }
      await registry.connect(node(0).wallet).setOffer(offer)
      await grid.place(KIND.Store, storeSpec(), [{ node: node(0).id, sizeBytes: huge }], {
        seconds: 900_000n,
      })
      await as(node(0).wallet).commit(ROOT, huge / 32n)
      await nextEpoch()
      await postAll(2n, [node(0), node(1)])
      await nextEpoch()
      await refresh(node(1))
      const small = 10n ** 19n
      expect(await votesOf(node(1))).to.equal(small)
      const limit = (await token.totalSupply()) / 100n
      const large = (small * huge) / GIB
      for (let i = 0; i < 3; i += 1) {
        await refresh(node(0))
        expect(await votesOf(node(0))).to.equal((large * limit) / (large + small))
        expect(await votesOf(node(1))).to.equal((small * limit) / (large + small))
      }
      await grid.pass(1n)
      const { votes } = grid.contracts
      const then = BigInt(await grid.time.latest()) - 1n
      expect(await votes.getPastTotalSupply(then)).to.equal(limit)
      expect(await votes.getPastVotes(await node(1).owner.getAddress(), then)).to.equal(
        (small * limit) / (large + small),
      )
      await set(VOTES.CapacityVotesPercent, 0n)
      await refresh(node(0))
      expect(await votesOf(node(0))).to.equal(0n)
    })

    it('count in the governor, for the vote and for the quorum, at the time of the snapshot', async () => {
      const { governor, votes, token } = grid.contracts
      await postAll(1n, [node(0)])
      await nextEpoch()
      const owner = await node(0).owner.getAddress()
      const before = BigInt(await grid.time.latest())
      await grid.pass(10n)
      await refresh(node(0))
      const at = BigInt(await grid.time.latest())
      await grid.pass(10n)
      expect(await governor.getVotes(owner, at)).to.equal(
        votesPerGib + (await token.getPastVotes(owner, at)),
      )
      expect(await votes.getPastVotes(owner, before)).to.equal(0n)
      expect(await votes.getPastTotalSupply(at)).to.equal(votesPerGib)
      const percent = await governor['quorumNumerator()']()
      const ofTokens = ((await token.getPastTotalSupply(at)) * percent) / 100n
      expect(await governor.quorum(at)).to.equal(ofTokens + (votesPerGib * percent) / 100n)
      expect(await governor.quorum(before)).to.equal(ofTokens)
      const now = BigInt(await grid.time.latest())
      await refuse(votes.getPastVotes(owner, now), 'CapacityVotesFuture', votes as never)
      await refuse(votes.getPastTotalSupply(now), 'CapacityVotesFuture', votes as never)
      expect(await votes.clock()).to.equal(now)
    })
  })

  describe('what a node offers beside space', () => {
    it('is told by the node, within the prices that policy allows', async () => {
      const { nodes: registry } = grid.contracts
      const offer = {
        cores: 4n,
        memoryBytes: 8n * GIB,
        pricePerCoreSecond: 1n,
        pricePerMemoryGibSecond: 2n,
        pricePerEgressGib: 3n,
      }
      await refuse(registry.connect(keeper).setResources(offer), 'NodeUnknown', registry as never)
      await expect(registry.connect(node(0).wallet).setResources(offer))
        .to.emit(registry, 'NodeChanged')
        .withArgs(node(0).id)
      const told = await registry.resourcesOf(node(0).id)
      expect(
        Object.fromEntries(Object.keys(offer).map((key) => [key, told[key as keyof typeof offer]])),
      ).to.deep.equal(offer)
      for (const price of [
        'pricePerCoreSecond',
        'pricePerMemoryGibSecond',
        'pricePerEgressGib',
      ] as const) {
        const dear = { ...offer, [price]: TOKEN }
        await refuse(
          registry.connect(node(0).wallet).setResources(dear),
          'NodePriceAboveCap',
          registry as never,
        )
      }
    })
  })
})
