// Attacks that worked once: each fails now, and what the attacker has at the end is compared with what it had at first.
import { expect } from 'chai'
import { type Signer, ZeroHash } from 'ethers'
import { communityParameters } from '../../scripts/deploy/parameters.ts'
import { AuditScene } from './support/audit-scene.ts'
import {
  ANY_RATE,
  anAccount,
  deployTestGrid,
  GIB,
  KIND,
  mined,
  mountSpec,
  STATE,
  storeSpec,
  type TestGrid,
  type TestNode,
  TOKEN,
  volumeSpec,
} from './support/grid.ts'

const DAY = 86_400n
const ROOT = `0x${'11'.repeat(32)}`
const DIGEST = `0x${'22'.repeat(28)}`
const U40 = 2n ** 40n
const shipped = communityParameters(anAccount(9)).policy
const EPOCH = shipped.AuditEpochSeconds
const WINDOW = shipped.AuditWindowSeconds
/** Whole shards of a slot of 5,249 bytes. */
const SHARDS = [1000, 0, 31, 4096, 33].map((length, seed) =>
  new Uint8Array(length).map((_, at) => (at * 7 + seed * 13 + 1) % 256),
)

describe('Attacks', function () {
  this.timeout(120_000)
  let grid: TestGrid
  let nodes: TestNode[]
  let tenant: Signer
  let keeper: Signer
  let restore: () => Promise<void>

  const node = (index: number) => nodes[index] as TestNode
  const audits = (by: Signer) => grid.contracts.audits.connect(by)
  const registry = (by: Signer) => grid.contracts.nodes.connect(by)
  const book = (by: Signer) => grid.contracts.orders.connect(by)
  const now = async () => BigInt(await grid.time.latest())
  const stakeOf = async ({ id }: TestNode) => (await grid.node(id)).stake
  const missedBy = async ({ id }: TestNode) => (await audits(keeper).proverOf(id)).missedEpoch

  /** Everything that accounts have: in the wallet, in the escrow, free or held, and credited by audits. */
  async function worth(...accounts: readonly (Signer | string)[]): Promise<bigint> {
    const { token, escrow, audits: funds } = grid.contracts
    let sum = 0n
    for (const one of accounts) {
      const address = typeof one === 'string' ? one : await one.getAddress()
      sum += await token.balanceOf(address)
      sum += (await escrow.freeBalance(address)) + (await escrow.heldOf(address))
      sum += await funds.creditOf(address)
    }
    return sum
  }

  /** The next epoch begins, with everybody alive. */
  async function nextEpoch(): Promise<bigint> {
    await grid.pass(EPOCH)
    await mined(audits(keeper).draw())
    await grid.beat(nodes)
    return grid.contracts.audits.epoch()
  }

  const fill = (on: TestNode, sizeBytes = 100n * GIB, seconds = 30n * DAY) =>
    grid.place(KIND.Store, storeSpec(), [{ node: on.id, sizeBytes }], { seconds })

  before(async () => {
    // As shipped, but that heartbeats come seldom: this is not about them.
    const policy = {
      ...shipped,
      ...{ HeartbeatSeconds: 43_200n, LostSeconds: 7n * DAY, VotesPerGib: TOKEN },
      AuditWindowBlocks: 1n,
    }
    grid = await deployTestGrid({ policy })
    tenant = grid.actors.tenant
    keeper = grid.actors.attacker
    await grid.fund(tenant)
    await grid.fund(keeper)
    const { token, audits: funds } = grid.contracts
    for (const signer of [tenant, keeper]) {
      await mined(token.connect(signer).approve(await funds.getAddress(), 1_000n * TOKEN))
    }
    nodes = await grid.addNodes(8, { stake: 20n * TOKEN, pricePerGibSecond: 1_000n })
    restore = await grid.snapshot()
  })
  beforeEach(() => restore())

  describe('1: a maintenance of which 40 of 64 bits are kept', () => {
    it('is refused, and so excuses nobody: not paid, marked, without a vote', async () => {
      const [liar, control] = [node(0), node(1)]
      await fill(liar)
      const before = await worth(liar.owner)
      for (const { wallet } of [liar, control]) await mined(audits(wallet).commit(ZeroHash, 0n))
      await mined(audits(liar.wallet).commit(ROOT, (100n * GIB) / 32n))
      await mined(audits(keeper).draw())
      for (let epoch = 1n; epoch <= 4n; epoch += 1n) {
        const at = await now()
        for (const from of [U40 + at - 43_000n, U40 * 7n + at, U40 - 1n, at - 10n]) {
          const announced = registry(liar.wallet).announceMaintenance(liar.id, from, from + DAY)
          await expect(announced).to.be.revertedWithCustomError(
            grid.contracts.nodes,
            'NodeMaintenanceInvalid',
          )
        }
        await nextEpoch()
        await mined(audits(keeper).markMissed(epoch, [liar.id, control.id]))
        expect(await missedBy(liar)).to.equal(epoch)
      }
      expect(await missedBy(control)).to.equal(0n)
      await mined(book(keeper).settle(1n))
      // Paid for the time before the first audit alone, and that is less than what the marks took.
      const gain = (await worth(liar.owner)) - before
      expect(gain + (await stakeOf(liar)) - 20n * TOKEN).to.be.lessThan(0n)
      await mined(grid.contracts.votes.refresh(liar.id))
      expect(await grid.contracts.votes.votesOf(liar.id)).to.equal(0n)
    })
  })

  describe('2: a demand for what has ended', () => {
    it('is refused: an honest node that let go of it loses nothing', async () => {
      const honest = node(0)
      const scene = await AuditScene.make(grid, honest, { shards: SHARDS, sizeBytes: 5_249n })
      await scene.commit()
      const countersignature = await scene.sign(honest.wallet)
      await mined(audits(keeper).draw())
      await mined(book(tenant).cancel(scene.order))
      const before = await worth(tenant)
      const entry = { ...scene.entry(), signature: scene.signature }
      for (let epoch = 0; epoch < 40; epoch += 1) {
        await nextEpoch()
        if (epoch < 2) continue
        // First in its grace, in which it has ended but is kept, then after it was released.
        await expect(audits(tenant).demand(entry, countersignature)).to.be.revertedWithCustomError(
          grid.contracts.audits,
          'AuditDemandInvalid',
        )
        if (epoch === 30) await mined(book(keeper).settle(scene.order))
      }
      expect((await grid.node(honest.id)).usedBytes).to.equal(0n)
      expect(await stakeOf(honest)).to.equal(20n * TOKEN)
      // What the grace cost, and nothing is gained.
      expect((await worth(tenant)) - before).to.be.at.most(0n)
    })
  })

  describe('3: an accumulator with more than the node holds', () => {
    it('cannot be committed: units are bounded by what is locked', async () => {
      const liar = node(0)
      await fill(liar, 5_249n)
      const refused = [165n + 1n, 2n ** 40n, 2n ** 47n - 1n]
      for (const units of refused) {
        await expect(audits(liar.wallet).commit(ROOT, units)).to.be.revertedWithCustomError(
          grid.contracts.audits,
          'AuditUnitsInvalid',
        )
      }
      await mined(audits(liar.wallet).commit(ROOT, 165n))
    })

    it('is a fault where one slot is in it twice, which two entries show', async () => {
      const liar = node(0)
      const scene = await AuditScene.make(grid, liar, { shards: SHARDS, sizeBytes: 5_249n })
      await fill(liar, 2n * 5_249n)
      const [one, other] = await scene.commitTwice()
      await mined(audits(keeper).draw())
      const before = await worth(keeper)
      const same = audits(keeper).proveRepeated(liar.id, 1n, one, one)
      await expect(same).to.be.revertedWithCustomError(grid.contracts.audits, 'AuditSlotsDistinct')
      await expect(audits(keeper).proveRepeated(liar.id, 1n, one, other)).to.emit(
        grid.contracts.audits,
        'SlotRepeated',
      )
      const taken = (20n * TOKEN * shipped.AuditFraudSlash) / 10_000n
      expect(await stakeOf(liar)).to.equal(20n * TOKEN - taken)
      expect((await worth(keeper)) - before).to.equal(taken / 10n)
      expect(await grid.contracts.audits.isProven(liar.id, 1n)).to.equal(false)
      await expect(
        audits(keeper).proveRepeated(liar.id, 1n, one, other),
      ).to.be.revertedWithCustomError(grid.contracts.audits, 'AuditAlreadySlashed')
    })

    it('of slots that are long gone shows nothing: their samples cannot be located', async () => {
      const liar = node(0)
      const scene = await AuditScene.make(grid, liar, { shards: SHARDS, sizeBytes: 5_249n })
      await scene.commit()
      await mined(book(tenant).cancel(scene.order))
      await mined(audits(keeper).draw())
      // In the grace it is kept and paid, and counts.
      await expectLocatable(scene, liar, true)
      for (let epoch = 0n; epoch < shipped.GraceSeconds / EPOCH + 2n; epoch += 1n) await nextEpoch()
      await expectLocatable(scene, liar, false)
    })

    async function expectLocatable(scene: AuditScene, on: TestNode, may: boolean): Promise<void> {
      const epoch = await grid.contracts.audits.epoch()
      const proof = await scene.prove(epoch)
      await scene.post(proof)
      await grid.pass(WINDOW + 1n)
      const [sample = 1] = proof.own
      const call = audits(keeper).challengeLocated(on.id, epoch, sample, proof.location(sample))
      if (may) await mined(call)
      else {
        const error = 'AuditCommitmentInvalid'
        await expect(call).to.be.revertedWithCustomError(grid.contracts.audits, error)
      }
    }
  })

  describe('4: capacity that is locked and not paid', () => {
    const capacity = 100n * GIB

    it('costs the grace, though the order is cancelled in the block in which it is placed', async () => {
      const before = await worth(keeper)
      const rate = 100_000n
      await grid.connection.provider.request({ method: 'evm_setAutomine', params: [false] })
      const nonce = await keeper.getNonce()
      const gasLimit = 1_500_000n
      const slots = [{ node: 1n, sizeBytes: capacity }]
      const options = { nonce, gasLimit }
      await book(keeper).place(KIND.Store, 0n, storeSpec(), slots, 3_600n, ANY_RATE, options)
      await book(keeper).cancel(1n, { nonce: nonce + 1, gasLimit })
      await grid.connection.provider.request({ method: 'evm_mine', params: [] })
      await grid.connection.provider.request({ method: 'evm_setAutomine', params: [true] })
      expect((await grid.order(1n)).state).to.equal(STATE.Ended)
      expect((await grid.node(1n)).usedBytes).to.equal(capacity)
      await liveUntil((await grid.order(1n)).deletableAt)
      const farm = await worth(node(0).owner)
      await mined(book(keeper).settle(1n))
      const paid = rate * shipped.GraceSeconds
      expect((await worth(keeper)) - before).to.equal(-paid)
      expect((await worth(node(0).owner)) - farm).to.equal(paid)
      expect((await grid.node(1n)).usedBytes).to.equal(0n)
    })

    it('costs the grace, though the balance of a stream is withdrawn at once', async () => {
      const { escrow } = grid.contracts
      const address = await keeper.getAddress()
      const before = await worth(keeper)
      await mined(escrow.connect(keeper).deposit(address, 1_000n * TOKEN))
      const id = await grid.place(KIND.Store, storeSpec(), [{ node: 1n, sizeBytes: capacity }], {
        ...{ seconds: 0n, tenant: keeper },
      })
      const free = await escrow.freeBalance(address)
      await mined(escrow.connect(keeper).withdraw(free - 100_000n))
      const end = await grid.contracts.orders.paidUntil(id)
      const { placedAt } = await grid.order(id)
      await liveUntil(end + shipped.GraceSeconds)
      const farm = await worth(node(0).owner)
      await mined(book(keeper).settle(id))
      const paid = 100_000n * (end - placedAt + shipped.GraceSeconds)
      expect((await worth(keeper)) - before).to.equal(-paid)
      expect((await worth(node(0).owner)) - farm).to.equal(paid)
    })

    it('lasts no second longer than what was paid, however and whenever it is cancelled', async () => {
      const id = await fill(node(0), GIB, 3_600n)
      const { paidUntil } = await grid.order(id)
      await grid.at(paidUntil + shipped.GraceSeconds - 1n)
      await mined(book(tenant).cancel(id))
      expect((await grid.order(id)).deletableAt).to.equal(paidUntil + shipped.GraceSeconds)
    })

    async function liveUntil(time: bigint): Promise<void> {
      while ((await now()) < time) {
        await grid.pass(DAY / 2n)
        await grid.beat(nodes)
      }
    }
  })

  describe('5: a writer that moves a slot to and fro', () => {
    it('never lifts its price above twice what the tenant agreed to', async () => {
      const [a, writer, b] = [node(0), node(5), node(6)]
      const { orders } = grid.contracts
      const year = 365n * DAY
      const spec = { seconds: year, sizeBytes: 100n * GIB, spec: volumeSpec() }
      const volume = await grid.placeVolume(nodes.slice(0, 5), spec)
      const slots = [{ node: writer.id, sizeBytes: GIB }]
      await grid.place(KIND.Mount, mountSpec(), slots, { parent: volume, seconds: year })
      const until = (await grid.order(volume)).paidUntil
      const agreed = (await grid.order(volume)).ratePerSecond / 5n
      let [from, to] = [a, b]
      for (let price = 2_000n; price <= 2n ** 14n * 1_000n; price *= 2n) {
        await mined(registry(to.wallet).setDraining(to.id, false))
        const offer = { capacityBytes: 1_000n * GIB, pricePerGibSecond: price }
        await mined(registry(to.wallet).setOffer(offer))
        await mined(registry(from.wallet).setDraining(from.id, true))
        const moved = book(writer.wallet).replace(volume, 0n, to.id, ANY_RATE)
        if (price === 2_000n) {
          await mined(moved)
          ;[from, to] = [to, from]
        } else {
          await expect(moved)
            .to.be.revertedWithCustomError(orders, 'OrderReplacementTooDear')
            .withArgs(100n * price, 2n * agreed)
        }
      }
      // One slot of five at twice the price: a sixth of the time at most.
      const order = await grid.order(volume)
      expect(order.ratePerSecond).to.equal(6n * agreed)
      expect(order.paidUntil - (await now())).to.be.greaterThan(((until - (await now())) * 4n) / 5n)
      // What the tenant agrees to itself is the new measure, and only that.
      await mined(registry(to.wallet).setDraining(to.id, false))
      await mined(book(tenant).replace(volume, 0n, node(7).id, ANY_RATE))
      await mined(registry(node(7).wallet).setDraining(node(7).id, true))
      const dear = { capacityBytes: 1_000n * GIB, pricePerGibSecond: 2_001n }
      await mined(registry(to.wallet).setOffer(dear))
      await expect(
        book(writer.wallet).replace(volume, 0n, to.id, ANY_RATE),
      ).to.be.revertedWithCustomError(orders, 'OrderReplacementTooDear')
    })
  })

  describe('6: a node that never commits', () => {
    it('is marked from the first epoch after its first slot on, and not paid for it', async () => {
      const silent = node(0)
      const before = await worth(silent.owner)
      const id = await fill(silent)
      const { placedAt } = await grid.order(id)
      await mined(audits(keeper).draw())
      const first = (await grid.contracts.audits.epochs(1n)).drawnAt
      await grid.beat(nodes)
      for (let epoch = 1n; epoch <= 4n; epoch += 1n) {
        // What it posts counts for nothing while it has committed nothing.
        await mined(audits(silent.wallet).postDigest(epoch, DIGEST))
        expect(await grid.contracts.audits.isProven(silent.id, epoch)).to.equal(false)
        expect(await grid.contracts.audits.owes(silent.id, epoch)).to.equal(true)
        await nextEpoch()
        await mined(audits(keeper).markMissed(epoch, [silent.id, node(1).id]))
        expect(await missedBy(silent)).to.equal(epoch)
      }
      expect(await missedBy(node(1))).to.equal(0n)
      await mined(book(keeper).settle(id))
      expect((await worth(silent.owner)) - before).to.equal(100_000n * (first - placedAt))
    })

    it('or that commits and says nothing is marked as well; one that says so has done its duty', async () => {
      const [silent, honest] = [node(0), node(1)]
      for (const one of [silent, honest]) {
        await fill(one, GIB)
        await mined(audits(one.wallet).commit(ZeroHash, 0n))
      }
      await mined(audits(keeper).draw())
      await mined(audits(honest.wallet).postDigest(1n, `0x${'00'.repeat(28)}`))
      await grid.pass(WINDOW + 1n)
      const doubt = audits(keeper).challenge(honest.id, 1n, 1n)
      const error = 'AuditNothingClaimed'
      await expect(doubt).to.be.revertedWithCustomError(grid.contracts.audits, error)
      await nextEpoch()
      await mined(audits(keeper).markMissed(1n, [silent.id, honest.id]))
      expect([await missedBy(silent), await missedBy(honest)]).to.deep.equal([1n, 0n])
    })

    it('is not marked for an epoch that began before it had a slot', async () => {
      const fresh = node(0)
      await mined(audits(keeper).draw())
      await fill(fresh, GIB)
      await nextEpoch()
      await mined(audits(keeper).markMissed(1n, [fresh.id]))
      expect([await missedBy(fresh), await stakeOf(fresh)]).to.deep.equal([0n, 20n * TOKEN])
    })
  })

  describe('7: leaving with the stake while it can be taken', () => {
    it('is refused until everything is judged, and while a dispute is open', async () => {
      const liar = node(0)
      const { nodes: refuser } = grid.contracts
      const scene = await AuditScene.make(grid, liar, { shards: SHARDS, sizeBytes: 5_249n })
      await scene.commit()
      await mined(audits(keeper).draw())
      await mined(audits(liar.wallet).postDigest(1n, DIGEST))
      await mined(book(tenant).replace(scene.order, 0n, node(1).id, ANY_RATE))
      await mined(registry(liar.owner).setDraining(liar.id, true))
      const leave = () => registry(liar.owner).exit(liar.id)
      await expect(leave()).to.be.revertedWithCustomError(refuser, 'NodeNotJudged')
      await grid.pass(WINDOW + 1n)
      await mined(audits(keeper).challenge(liar.id, 1n, 1n))
      await nextEpoch()
      await expect(leave()).to.be.revertedWithCustomError(refuser, 'NodeNotJudged')
      // The next one would have judged it, but for the dispute, audits switched off or not.
      await nextEpoch()
      await expect(leave()).to.be.revertedWithCustomError(refuser, 'NodeNotJudged')
      await grid.asTimelock((owner) => grid.contracts.policy.connect(owner).set(12n, 0n))
      await expect(leave()).to.be.revertedWithCustomError(refuser, 'NodeNotJudged')
      await mined(audits(keeper).expire(1n))
      const taken = 20n * TOKEN - (await stakeOf(liar))
      expect(taken).to.equal((20n * TOKEN * shipped.AuditFraudSlash) / 10_000n)
      await grid.pass(DAY + 3n * shipped.AuditAnswerSeconds)
      const before = await worth(liar.owner)
      await mined(leave())
      // The stake but what was taken, and the fee for the days in the registry.
      const back = (await worth(liar.owner)) - before
      expect(back).to.be.within(
        20n * TOKEN - taken - shipped.NodeFeePerDay * 3n,
        20n * TOKEN - taken,
      )
    })

    it('is free for who never had a slot, and for who proved all', async () => {
      const [idle, honest] = [node(0), node(1)]
      const id = await fill(honest, GIB)
      await mined(audits(honest.wallet).commit(ZeroHash, 0n))
      await mined(audits(keeper).draw())
      await mined(book(tenant).replace(id, 0n, node(2).id, ANY_RATE))
      for (const one of [idle, honest]) await mined(registry(one.owner).setDraining(one.id, true))
      await mined(registry(idle.owner).exit(idle.id))
      await grid.pass(EPOCH)
      await mined(audits(keeper).draw())
      await expect(registry(honest.owner).exit(honest.id)).to.be.revertedWithCustomError(
        grid.contracts.nodes,
        'NodeNotJudged',
      )
      await grid.pass(EPOCH)
      await mined(audits(keeper).draw())
      await mined(registry(honest.owner).exit(honest.id))
    })
  })

  describe('8: a farm that marks itself', () => {
    it('gets back no more than the share of whoever reports it', async () => {
      const [own, sibling] = [node(0), node(1)]
      await grid.fund(own.owner)
      await fill(own, GIB)
      await mined(audits(keeper).draw())
      await nextEpoch()
      const before = (await worth(own.owner, sibling.owner)) + (await stakeOf(own))
      const stake = await stakeOf(own)
      await mined(audits(own.owner).markMissed(1n, [own.id]))
      const taken = stake - (await stakeOf(own))
      for (const to of [sibling, node(2), sibling]) {
        await grid.beat([own, to])
        await mined(book(tenant).replace(1n, 0n, to.id, ANY_RATE))
      }
      const paid = await grid.contracts.escrow.freeBalance(await own.owner.getAddress())
      const earned =
        paid + (await grid.contracts.escrow.freeBalance(await sibling.owner.getAddress()))
      const after = (await worth(own.owner, sibling.owner)) + (await stakeOf(own))
      expect(after - before - earned).to.equal(taken / 10n - taken)
      expect(await grid.contracts.audits.treasuryShare()).to.equal((taken * 9n) / 10n)
    })
  })

  describe('9: the node of a mount that has ended', () => {
    it('signs nothing away: not for an epoch after its end, nor in place of what was signed later', async () => {
      const [store, writer] = [node(0), node(5)]
      const on = [store, node(1), node(2), node(3), node(4)]
      const volume = await grid.placeVolume(on, { spec: volumeSpec(), seconds: 300n * DAY })
      const slots = [{ node: writer.id, sizeBytes: GIB }]
      const mount = await grid.place(KIND.Mount, mountSpec(), slots, {
        ...{ parent: volume, seconds: 300n * DAY },
      })
      const scene = await AuditScene.make(grid, store, { shards: SHARDS })
      await mined(audits(keeper).draw())
      await mined(book(tenant).cancel(mount))
      const demand = async (by: Signer, epoch: number, units: number) => {
        const commitment = { ...scene.commitment, order: volume, epoch, units } as never
        const signature = await scene.sign(by, commitment)
        const entry = { ...scene.entry(), commitment, mount, signature } as never
        return audits(keeper).demand(entry, await scene.sign(store.wallet, commitment))
      }
      for (let epoch = 0; epoch < 4; epoch += 1) await nextEpoch()
      // Signed when it was the writer, or an epoch that had begun by then.
      await mined(demand(writer.wallet, 0, 10))
      await mined(demand(writer.wallet, 1, 10))
      const refused = { contract: grid.contracts.audits, error: 'AuditNotWriter' }
      for (const epoch of [2, 3]) {
        await expect(demand(writer.wallet, epoch, 10)).to.be.revertedWithCustomError(
          refused.contract,
          refused.error,
        )
      }
      await expect(demand(writer.wallet, 2 ** 32 - 1, 10)).to.be.revertedWithCustomError(
        grid.contracts.audits,
        'AuditDemandInvalid',
      )
    })
  })

  describe('11: nodes of nobody', () => {
    const offer = { capacityBytes: 1n, pricePerGibSecond: 0n }

    it('cost a stake whatever they offer, and a fee for each day in the registry', async () => {
      const owner = node(0).owner
      await expect(
        grid.addNode(owner, node(0).farm, { ...offer, stake: shipped.MinNodeStake - 1n }),
      ).to.be.revertedWithCustomError(grid.contracts.nodes, 'NodeStakeTooLow')
      const before = await worth(owner)
      const junk = await grid.addNode(owner, node(0).farm, {
        ...offer,
        stake: shipped.MinNodeStake,
      })
      const { registeredAt } = await grid.node(junk.id)
      await mined(registry(owner).setDraining(junk.id, true))
      await grid.at(registeredAt + 10n * DAY)
      const treasury = await worth(grid.timelock)
      await mined(registry(owner).exit(junk.id))
      expect((await worth(owner)) - before).to.equal(-10n * shipped.NodeFeePerDay)
      expect((await worth(grid.timelock)) - treasury).to.equal(10n * shipped.NodeFeePerDay)
    })

    it('are removed by anybody once the fee has used up their stake, and not before', async () => {
      const { nodes: refuser } = grid.contracts
      const stake = shipped.MinNodeStake
      const junk = await grid.addNode(node(0).owner, node(0).farm, { ...offer, stake })
      const { registeredAt } = await grid.node(junk.id)
      const end = registeredAt + (stake * DAY) / shipped.NodeFeePerDay
      await grid.time.increaseTo(end - DAY)
      // A vote for another fee takes nothing of a stake that is there.
      await grid.asTimelock((lock) => grid.contracts.policy.connect(lock).set(29n, TOKEN))
      const early = registry(keeper).evict(junk.id)
      await expect(early).to.be.revertedWithCustomError(refuser, 'NodeStakeLeft')
      await grid.time.increaseTo(end)
      expect(await refuser.feeDue(junk.id)).to.equal(stake)
      const treasury = await worth(grid.timelock)
      await mined(registry(keeper).evict(junk.id))
      expect((await worth(grid.timelock)) - treasury).to.equal(stake)
      expect((await grid.node(junk.id)).state).to.equal(4n)
      const again = registry(keeper).evict(junk.id)
      await expect(again).to.be.revertedWithCustomError(refuser, 'NodeNotEmpty')
    })

    it('but one with a slot stays', async () => {
      await fill(node(0), GIB)
      await expect(registry(keeper).evict(1n)).to.be.revertedWithCustomError(
        grid.contracts.nodes,
        'NodeNotEmpty',
      )
    })
  })

  describe('12: a price that is raised while a move is underway', () => {
    it('stops the move', async () => {
      const id = await fill(node(0), GIB)
      const offer = { capacityBytes: 100n * GIB, pricePerGibSecond: 1_001n }
      await mined(registry(node(1).wallet).setOffer(offer))
      const before = await worth(tenant)
      await expect(book(tenant).replace(id, 0n, node(1).id, 1_000n))
        .to.be.revertedWithCustomError(grid.contracts.orders, 'OrderReplacementTooDear')
        .withArgs(1_001n, 1_000n)
      expect(await worth(tenant)).to.equal(before)
    })
  })

  describe('13: announcing the next maintenance', () => {
    it('is refused before what the present one excuses is judged', async () => {
      const away = node(0)
      await fill(away, GIB)
      await mined(audits(keeper).draw())
      const { drawnAt } = await grid.contracts.audits.epochs(1n)
      const from = drawnAt + EPOCH - 300n
      await mined(registry(away.owner).announceMaintenance(away.id, from, from + 1_200n))
      const next = () => {
        const start = from + 20n * DAY
        return registry(away.owner).announceMaintenance(away.id, start, start + 3_600n)
      }
      const refused = async () =>
        expect(next()).to.be.revertedWithCustomError(grid.contracts.nodes, 'NodeMaintenanceInvalid')
      await refused()
      await grid.time.increaseTo(from + 600n)
      await mined(audits(keeper).draw())
      await refused()
      await grid.time.increaseTo(from + 1_201n)
      await refused()
      await nextEpoch()
      await refused()
      await mined(audits(keeper).markMissed(2n, [away.id]))
      expect(await missedBy(away)).to.equal(0n)
      await nextEpoch()
      await mined(next())
    })
  })

  describe('14: an order that is extended for ever', () => {
    it('holds no node longer than its notice: it is paid until then, and lets go', async () => {
      const { orders, nodes: registryOf } = grid.contracts
      const held = node(0)
      const volume = await grid.placeVolume(nodes.slice(0, 5), { seconds: 300n * DAY })
      await mined(book(keeper).extend(volume, 700n * DAY))
      await mined(registry(held.owner).setDraining(held.id, true))
      const from = await now()
      const resign = (by: Signer) => book(by).resign(volume, 0n)
      const early = async (by: Signer) =>
        expect(resign(by)).to.be.revertedWithCustomError(orders, 'OrderNoticeNotGiven')
      await early(held.owner)
      // Draining again does not begin the notice anew; opening would.
      await mined(registry(held.owner).setDraining(held.id, true))
      await grid.time.increaseTo(from + shipped.NoticeSeconds - 2n)
      await grid.beat(nodes)
      await early(keeper)
      await early(node(1).owner)
      const before = await grid.order(volume)
      await mined(resign(held.owner))
      const after = await grid.order(volume)
      expect(after.ratePerSecond).to.equal((before.ratePerSecond * 4n) / 5n)
      expect((await grid.node(held.id)).usedBytes).to.equal(0n)
      expect((await orders.slotOf(volume, 0n)).node).to.equal(0n)
      await early(held.owner)
      await mined(registry(held.owner).exit(held.id))
      // The slot waits for another node, at the price that was agreed, and the money is all there.
      await mined(book(tenant).replace(volume, 0n, node(5).id, ANY_RATE))
      expect((await grid.order(volume)).ratePerSecond).to.equal(before.ratePerSecond)
      expect((await grid.order(volume)).slots[0]?.sizeBytes).to.equal(GIB)
      expect((await grid.node(node(5).id)).usedBytes).to.equal(GIB)
      expect(await registryOf.isAlive(held.id)).to.equal(false)
    })

    it('lets a writer take over what was let go, at most at twice the price', async () => {
      const [held, writer] = [node(0), node(5)]
      const volume = await grid.placeVolume(nodes.slice(0, 5), { seconds: 300n * DAY })
      const slots = [{ node: writer.id, sizeBytes: GIB }]
      const rest = { parent: volume, seconds: 300n * DAY }
      await grid.place(KIND.Mount, mountSpec(), slots, rest)
      await mined(registry(held.owner).setDraining(held.id, true))
      await grid.pass(shipped.NoticeSeconds)
      await grid.beat(nodes)
      await mined(book(held.wallet).resign(volume, 0n))
      const offered = (pricePerGibSecond: bigint) =>
        registry(node(6).wallet).setOffer({ capacityBytes: 100n * GIB, pricePerGibSecond })
      await mined(offered(2_001n))
      const moved = () => book(writer.wallet).replace(volume, 0n, node(6).id, ANY_RATE)
      const error = 'OrderReplacementTooDear'
      await expect(moved()).to.be.revertedWithCustomError(grid.contracts.orders, error)
      await mined(offered(2_000n))
      await mined(moved())
    })

    it('gives back what an order of one slot held, and releases nothing twice', async () => {
      const held = node(0)
      const before = await worth(tenant)
      const id = await fill(held, GIB, 300n * DAY)
      await mined(registry(held.owner).setDraining(held.id, true))
      await grid.pass(shipped.NoticeSeconds)
      await grid.beat(nodes)
      await mined(book(held.owner).resign(id, 0n))
      expect(await grid.contracts.orders.held(id)).to.equal(0n)
      const paid = before - (await worth(tenant))
      expect(paid).to.equal(await grid.contracts.escrow.freeBalance(await held.owner.getAddress()))
      await mined(book(tenant).cancel(id))
      await grid.pass(shipped.GraceSeconds)
      await mined(book(keeper).settle(id))
      expect((await grid.node(held.id)).usedBytes).to.equal(0n)
    })
  })

  describe('15: acts that are free to anybody', () => {
    it('make nobody read nodes again', async () => {
      const { nodes: farms } = grid.contracts
      const before = await farms.registryVersion()
      const address = await keeper.getAddress()
      await mined(registry(keeper).createFarm('junk'))
      const farm = await farms.farmCount()
      await mined(registry(keeper).setReporter(farm, address))
      await mined(registry(keeper).transferFarm(farm, address))
      await mined(registry(keeper).sponsor(farm, anAccount(77), 0n))
      await mined(registry(keeper).unsponsor(farm, anAccount(77)))
      expect(await farms.registryVersion()).to.equal(before)
    })
  })

  describe('17: a stake of hours of revenue', () => {
    it('is too low: it covers what the offered bytes earn in a month', async () => {
      const price = shipped.MaxPricePerGibSecond
      const stake = (100n * GIB * price * shipped.StakeSeconds) / GIB
      const offer = { capacityBytes: 100n * GIB, pricePerGibSecond: price }
      const setOffer = () => registry(node(0).wallet).setOffer(offer)
      await expect(setOffer())
        .to.be.revertedWithCustomError(grid.contracts.nodes, 'NodeStakeTooLow')
        .withArgs(20n * TOKEN, stake)
      await mined(registry(node(0).owner).addStake(1n, stake - 20n * TOKEN))
      await mined(setOffer())
    })
  })

  describe('17: an aggregator that posts at the last moment', () => {
    it('is too late: the second half of the window is the nodes’ own', async () => {
      const victim = node(0)
      await mined(audits(victim.wallet).setAggregator(await keeper.getAddress()))
      await mined(audits(keeper).draw())
      const { drawnAt } = await grid.contracts.audits.epochs(1n)
      const post = () => audits(keeper).postDigests(1n, 0n, DIGEST, 2n ** 256n - 1n)
      await grid.at(drawnAt + WINDOW / 2n)
      await mined(post())
      await grid.at(drawnAt + WINDOW / 2n + 1n)
      await expect(post()).to.be.revertedWithCustomError(grid.contracts.audits, 'AuditLate')
      await mined(audits(victim.wallet).postDigest(1n, `0x${'33'.repeat(28)}`))
      expect((await grid.contracts.audits.claimOf(victim.id, 1n)).batched).to.equal(false)
    })
  })
})
