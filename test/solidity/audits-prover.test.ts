// The whole of the audits: nodes with real shards, the engine's trees, proofs and plans, and the contracts that judge them.
import { expect } from 'chai'
import { hexlify, type Signer } from 'ethers'
import { fromHex } from '../../agent/base/bytes.ts'
import {
  type Countersigned,
  commitmentDigest,
  countersign,
  DigestGroup,
  type Doubt,
  digestTree,
  type Entry,
  type IsWriter,
  planDemand,
  type SlotName,
  signCommitment,
  type Transcript,
  verifyTranscript,
} from '../../agent/engines/audit/index.ts'
import { packOpening, unpackOpening } from '../../agent/engines/audit/opening.ts'
import { firstState, nextState, unitAfter } from '../../agent/engines/audit/sampling.ts'
import { NEVER, WRITER } from '../support/audit-node.ts'
import { bluff, type MakeUp } from '../support/bluff.ts'
import { rejectsWith } from '../support/rejects-with.ts'
import { seededChance } from '../support/seeded-chance.ts'
import { domainOf, epochFacts, ProvingNode, send } from './support/audits.ts'
import {
  deployTestGrid,
  GIB,
  KIND,
  storeSpec,
  type TestGrid,
  type TestNode,
  TOKEN,
} from './support/grid.ts'

const EPOCH = 21_600n
const WINDOW = 1_800n
const WINDOW_BLOCKS = 3
const ANSWER = 3_600n
const SAMPLES = 64n
const BOND = TOKEN
const STAKE = 2n * TOKEN
const MISS = STAKE / 100n
const FRAUD = STAKE / 5n
/** What a reporter gets of a slash. */
const share = (slash: bigint) => slash / 10n
/** Of the policy: one node in so many opens a sample on chain. */
const AUDIT_OPEN_ODDS = 16n
/** Shards of a test slot: 100 of a KiB or less, so that 5 % are five of them. */
const LENGTHS = Array.from({ length: 100 }, (_, at) => 1024 - (at % 3))

describe('Audits: provers', () => {
  let grid: TestGrid
  let tests: TestNode[]
  let honest: ProvingNode
  let other: ProvingNode
  let slot: SlotName
  let otherSlot: SlotName
  let watcher: Signer
  let watcherAddress: string
  let orders: bigint[]
  let restore: () => Promise<void>

  const audits = () => grid.contracts.audits
  const isWriter: IsWriter = (_signed, signer) => signer === WRITER.account
  const stakeOf = async (node: ProvingNode) => (await grid.node(node.test.id)).stake
  const creditOf = (address: string) => audits().creditOf(address)
  const ownerOf = (node: ProvingNode) => node.test.owner.getAddress()
  const tokensOf = (address: string) => grid.contracts.token.balanceOf(address)
  const refuse = (call: Promise<unknown>, error: string) =>
    expect(call).to.be.revertedWithCustomError(audits(), error)
  const beat = () => grid.beat([honest.test, other.test])

  /** The next epoch, drawn by anybody, with everybody alive. */
  async function nextEpoch(): Promise<number> {
    await grid.pass(EPOCH)
    await audits().connect(watcher).draw()
    await beat()
    return Number(await audits().epoch())
  }

  /** Commits at the end of an epoch, and goes on to the next one. */
  async function commitAndDraw(...nodes: ProvingNode[]): Promise<number> {
    await grid.pass((EPOCH * 3n) / 4n)
    for (const node of nodes) await node.work()
    return nextEpoch()
  }

  /** Nobody can post any more, and everybody can doubt. */
  async function closeWindow(): Promise<void> {
    for (let block = 0; block < WINDOW_BLOCKS; block++) await grid.pass(WINDOW)
  }

  async function doubts(
    node: ProvingNode,
    transcript: Transcript | undefined,
  ): Promise<readonly Doubt[]> {
    const claim = await node.claim()
    return verifyTranscript({
      claim,
      domain: await domainOf(grid),
      isWriter,
      transcript,
      groupPath: node.groupPath(claim.epoch),
    })
  }

  /** Puts a doubt on chain and returns the dispute's number. */
  async function raise(doubt: Doubt | undefined): Promise<number> {
    await closeWindow()
    await send(grid, watcher, doubt?.act)
    return Number(await audits().disputeCount())
  }

  /** A dispute that the node must have lost: its stake, the watcher's money, and what was taken in all. */
  async function expectLost(node: ProvingNode, dispute: number): Promise<void> {
    const before = await tokensOf(watcherAddress)
    await refuse(audits().connect(watcher).expire(dispute), 'AuditDeadline')
    await grid.pass(ANSWER + 1n)
    await audits().connect(watcher).expire(dispute)
    expect(await stakeOf(node)).to.equal(STAKE - FRAUD)
    await audits().connect(watcher).withdrawCredit()
    expect((await tokensOf(watcherAddress)) - before).to.equal(BOND + share(FRAUD))
    expect(await audits().treasuryShare()).to.equal(FRAUD - share(FRAUD))
    expect(await audits().owed()).to.equal(FRAUD - share(FRAUD))
    const epoch = await audits().epoch()
    expect(await audits().isProven(node.id, epoch)).to.equal(false)
  }

  before(async () => {
    grid = await deployTestGrid({
      policy: {
        ...{ HeartbeatSeconds: 86_400n, LostSeconds: 200_000n, GraceSeconds: 0n, MinSeconds: 10n },
        ...{
          AuditEpochSeconds: EPOCH,
          AuditWindowSeconds: WINDOW,
          AuditWindowBlocks: BigInt(WINDOW_BLOCKS),
        },
        ...{ AuditSamples: SAMPLES, AuditOpenOdds: 0n, AuditAnswerSeconds: ANSWER },
        ...{ AuditBond: BOND, AuditMissSlash: 100n, AuditFraudSlash: 2_000n },
        ...{ AuditReporterShare: 1_000n },
      },
    })
    watcher = grid.actors.attacker
    watcherAddress = await watcher.getAddress()
    await grid.fund(grid.actors.tenant)
    await grid.fund(watcher)
    await grid.contracts.token.connect(watcher).approve(await audits().getAddress(), 100n * BOND)
    tests = await grid.addNodes(2, { stake: STAKE })
    const spec = storeSpec({ writers: [WRITER.account] })
    orders = []
    for (const { id } of tests) {
      const slots = [{ node: id, sizeBytes: GIB }]
      orders.push(await grid.place(KIND.Store, spec, slots, { seconds: 30n * 86_400n }))
    }
    await fillNodes()
    // The first epoch finds nothing committed; the second is the first that audits.
    for (const node of [honest, other]) await node.work(['draw'])
    await nextEpoch()
    restore = await grid.snapshot()
  })

  beforeEach(async () => {
    await restore()
    await fillNodes()
    for (const node of [honest, other]) node.remember()
  })

  /** Both nodes with all their shards, as they were when they committed. */
  async function fillNodes(): Promise<void> {
    const domain = await domainOf(grid)
    const [first, second] = tests.map((test) => new ProvingNode(grid, test, domain))
    honest = first!
    other = second!
    slot = await honest.hold(orders[0]!, LENGTHS, seededChance(1))
    otherSlot = await other.hold(orders[1]!, LENGTHS, seededChance(2))
  }

  it('agrees with the contract on what is signed and where a chain begins', async () => {
    const { commitment } = honest.audit.sign(slot)
    const digest = commitmentDigest(await domainOf(grid), commitment)
    expect(await audits().commitmentHash(commitment)).to.equal(hexlify(digest))
    const epoch = (await epochFacts(grid))!
    await honest.work()
    const [first] = honest.transcripts.get(epoch.number)!.samples
    const state = firstState(epoch.seed, honest.audit.node, epoch.number)
    expect(hexlify(first!.earlier)).to.equal(hexlify(state))
    expect(unpackOpening(first!.opening)!.unitNumber).to.equal(
      unitAfter(state, honest.audit.accumulator().units),
    )
  })

  describe('an honest node', () => {
    it('proves epoch after epoch: through an aggregator, by itself, with a sample opened', async () => {
      const { orders: book, policy } = grid.contracts
      const owner = await ownerOf(honest)
      // Tier 0: its digest goes through an aggregator, next to another node's.
      const group = new DigestGroup(1, 0)
      const aggregator = grid.actors.holder
      for (const node of [honest, other]) {
        await audits()
          .connect(node.test.wallet)
          .setAggregator(await aggregator.getAddress())
        node.aggregator = (from, digest) => group.add(from.audit.node, digest)
        expect(await node.work()).to.include.members(['prove', 'send'])
      }
      expect(await audits().isProven(honest.id, 1)).to.equal(false)
      const act = group.seal()
      await send(grid, aggregator, act)
      if (act?.method !== 'postDigests') throw new TypeError('nothing was gathered')
      for (const node of [honest, other]) {
        node.batches.set(1, { root: act.args[2], groupPath: group.path(node.audit.node) })
        expect(await node.work()).to.deep.equal([])
        expect(await audits().isProven(node.id, 1)).to.equal(true)
        expect(await doubts(node, node.transcripts.get(1))).to.deep.equal([])
      }

      // Tier 1: both post for themselves, and what they hold has grown.
      for (const node of [honest, other]) node.aggregator = undefined
      await honest.hold(orders[0]!, [500, 33], seededChance(3))
      expect(await commitAndDraw(honest, other)).to.equal(2)
      expect(await honest.work()).to.deep.equal(['prove', 'post'])
      await other.work()
      expect(await doubts(honest, honest.transcripts.get(2))).to.deep.equal([])

      // Tier 2: everybody is drawn to open a sample on chain.
      await grid.asTimelock((signer) => policy.connect(signer).set(AUDIT_OPEN_ODDS, 1n))
      expect(await commitAndDraw(honest, other)).to.equal(3)
      expect(await honest.work()).to.deep.equal(['prove', 'open', 'post'])
      expect(await audits().isProven(honest.id, 3)).to.equal(true)
      await other.work(['open'])
      expect(await audits().isProven(other.id, 3)).to.equal(false)

      // Nobody finds anything to report of it, and it keeps its stake and is paid for every second that was judged.
      const from = (await audits().epochs(1)).drawnAt
      expect(await nextEpoch()).to.equal(4)
      await audits().connect(watcher).markMissed(3, [honest.id, other.id])
      expect((await audits().proverOf(honest.id)).missedEpoch).to.equal(0)
      expect((await audits().proverOf(other.id)).missedEpoch).to.equal(3)
      expect(await stakeOf(honest)).to.equal(STAKE)
      expect(await stakeOf(other)).to.equal(STAKE - MISS)
      const judged = (await audits().judgedUntil()) - from
      expect(judged).to.be.greaterThan(2n * EPOCH)
      const before = await grid.contracts.escrow.freeBalance(owner)
      await book.settle(orders[0]!)
      const paid = (await grid.contracts.escrow.freeBalance(owner)) - before
      const { ratePerSecond } = await grid.order(orders[0]!)
      expect(paid).to.be.at.least(judged * ratePerSecond)
    })

    it("answers a griefer, whose bond then is its farm's", async () => {
      await honest.work()
      const before = await tokensOf(watcherAddress)
      await closeWindow()
      await audits().connect(watcher).challenge(honest.id, 1, 17)
      expect(await honest.work()).to.deep.equal(['locate', 'answer'])
      await grid.pass(ANSWER + 1n)
      await refuse(audits().connect(watcher).expire(1), 'AuditDisputeState')
      await audits().collect(1)
      expect(await creditOf(await ownerOf(honest))).to.equal(BOND)
      expect(await creditOf(watcherAddress)).to.equal(0)
      expect(before - (await tokensOf(watcherAddress))).to.equal(BOND)
      expect(await stakeOf(honest)).to.equal(STAKE)
      expect(await audits().isProven(honest.id, 1)).to.equal(true)
      expect(await audits().owed()).to.equal(BOND)
    })

    it('answers every sample of a transcript, also through a group', async () => {
      const group = new DigestGroup(1, 0)
      const aggregator = grid.actors.holder
      await audits()
        .connect(honest.test.wallet)
        .setAggregator(await aggregator.getAddress())
      honest.aggregator = (from, digest) => group.add(from.audit.node, digest)
      await honest.work()
      const act = group.seal()
      await send(grid, aggregator, act)
      if (act?.method !== 'postDigests') throw new TypeError('nothing was gathered')
      honest.batches.set(1, { root: act.args[2], groupPath: group.path(honest.audit.node) })
      await closeWindow()
      for (const sample of [1, 2, 33, 63, 64]) {
        await audits().connect(watcher).challenge(honest.id, 1, sample)
        expect(await honest.work()).to.deep.equal(['locate', 'answer'])
      }
      expect(await stakeOf(honest)).to.equal(STAKE)
    })

    it('shows a slot that is demanded', async () => {
      const countersigned = await agreed(honest, slot)
      await honest.work()
      await commitAndDraw(honest)
      const known = await honest.audited(2)
      const world = { newestEpoch: 2, accumulator: known, shown: undefined }
      await send(grid, watcher, planDemand(countersigned, world))
      honest.demanded.set(1, slot)
      expect(await honest.work()).to.include('show')
      await audits().collect(1)
      expect(await creditOf(await ownerOf(honest))).to.equal(BOND)
      // Who asks it before going on chain needs no demand.
      const shown = known.find(slot)
      expect(planDemand(countersigned, { ...world, shown })).to.equal(undefined)
    })
  })

  it('makes a node that threw everything away miss, and go unpaid', async () => {
    const { escrow, orders: book } = grid.contracts
    for (let at = 0; at < LENGTHS.length; at++) honest.audit.source.lose(slot, at)
    await rejectsWith('AUDIT_SHARD_LOST', () => honest.work())
    await other.work()
    await nextEpoch()
    await audits().connect(watcher).markMissed(1, [honest.id, other.id])
    expect(await stakeOf(honest)).to.equal(STAKE - MISS)
    expect(await stakeOf(other)).to.equal(STAKE)
    expect(await creditOf(watcherAddress)).to.equal(share(MISS))
    expect(await audits().treasuryShare()).to.equal(MISS - share(MISS))
    // The next epoch makes the first one judged: the honest one is paid for it, the other is not.
    await nextEpoch()
    const span = (await audits().epochs(2)).drawnAt - (await audits().epochs(1)).drawnAt
    const paid = []
    for (const [at, node] of [honest, other].entries()) {
      const owner = await ownerOf(node)
      const before = await escrow.freeBalance(owner)
      await book.settle(orders[at]!)
      paid.push((await escrow.freeBalance(owner)) - before)
    }
    const rates = await Promise.all(orders.map(async (id) => (await grid.order(id)).ratePerSecond))
    expect(rates[0]).to.equal(rates[1])
    expect(paid[1]! - paid[0]!).to.be.closeTo(span * rates[0]!, 100n * rates[0]!)
  })

  describe('a node that makes up what it lost', () => {
    it('is caught within a day after losing 5 %, located, and slashed', async () => {
      for (let at = 0; at < 5; at++) other.audit.source.lose(otherSlot, at * 20)
      for (let epoch = 1; epoch <= 4; epoch++) {
        const shown = await bluffOf(other)
        await other.post(epoch, digestTree(shown).root)
        const found = await doubts(other, shown)
        if (found.length > 0) {
          expect(found[0]!.reason).to.equal('unit-not-shown')
          const dispute = await raise(found[0])
          // It may try what it has: the paths lead elsewhere.
          const { opening } = shown.samples[found[0]!.sample - 1]!
          const answer = audits().connect(other.test.wallet).answer(dispute, opening)
          await refuse(answer, 'AuditUnitWrong')
          return expectLost(other, dispute)
        }
        await nextEpoch()
      }
      expect.fail('64 samples an epoch, four epochs, and nothing was found')
    })

    it('is caught at once if it kept every hash of its trees and none of the bytes', async () => {
      const [, second] = tests
      const twin = new ProvingNode(grid, second!, await domainOf(grid))
      await twin.hold(orders[1]!, LENGTHS, seededChance(2))
      const { tree } = twin.audit.slot(otherSlot)
      for (let at = 0; at < LENGTHS.length; at++) other.audit.source.lose(otherSlot, at)
      // Every path is right; what lies below the lowest hash is gone.
      const shown = await bluffOf(other, async (state, unitNumber) => {
        const opening = unpackOpening(await tree.open(state, unitNumber, NEVER))!
        return packOpening({ ...opening, unit: new Uint8Array(32) })
      })
      await other.post(1, digestTree(shown).root)
      const found = await doubts(other, shown)
      expect(found).to.have.lengthOf(64)
      const dispute = await raise(found[40])
      await expectLost(other, dispute)
    })

    it('loses as well if it shows nothing to watchers and locates when it must', async () => {
      for (let at = 0; at < LENGTHS.length; at++) other.audit.source.lose(otherSlot, at)
      const shown = await bluffOf(other)
      await other.post(1, digestTree(shown).root)
      const [doubt] = await doubts(other, undefined)
      expect(doubt?.reason).to.equal('not-shown')
      const dispute = await raise(doubt)
      other.transcripts.set(1, shown)
      await refuse(other.work(), 'AuditUnitWrong')
      await expectLost(other, dispute)
    })

    it('loses as well if it posts a digest of nothing', async () => {
      await other.post(1, new Uint8Array(32).fill(7))
      const [doubt] = await doubts(other, undefined)
      await expectLost(other, await raise(doubt))
    })
  })

  it('takes a late answer from nobody', async () => {
    await other.work()
    await closeWindow()
    await audits().connect(watcher).challenge(other.id, 1, 9)
    await other.work(['answer'])
    await grid.pass(ANSWER + 1n)
    const { opening } = other.transcripts.get(1)!.samples[8]!
    await refuse(audits().connect(other.test.wallet).answer(1, opening), 'AuditDeadline')
    expect(await other.work()).to.deep.equal([])
    const before = await tokensOf(watcherAddress)
    await audits().connect(watcher).expire(1)
    await audits().connect(watcher).withdrawCredit()
    expect((await tokensOf(watcherAddress)) - before).to.equal(BOND + share(FRAUD))
    expect(await stakeOf(other)).to.equal(STAKE - FRAUD)
  })

  it('slashes at once where a digest contradicts itself', async () => {
    const epoch = (await epochFacts(grid))!
    const transcript = await other.audit.prove(epoch, await other.audited(1))
    const states = [...transcript.states]
    const samples = [...transcript.samples]
    // From sample 30 on it goes on from a state of its choice, which draws units that it likes.
    let state = new Uint8Array(32).fill(3)
    for (let at = 29; at < 64; at++) {
      samples[at] = { ...samples[at]!, earlier: state }
      state = new Uint8Array(nextState(state, samples[at]!.unit))
      states[at] = state
    }
    const shown = { ...transcript, states, samples }
    await other.post(1, digestTree(shown).root)
    const [doubt] = await doubts(other, shown)
    expect(doubt?.reason).to.equal('chain-broken')
    expect(doubt?.sample).to.equal(30)
    await refuse(send(grid, watcher, doubt?.act), 'AuditPending')
    await closeWindow()
    await send(grid, watcher, doubt?.act)
    expect(await stakeOf(other)).to.equal(STAKE - FRAUD)
    expect(await creditOf(watcherAddress)).to.equal(share(FRAUD))
    // Once an epoch is enough.
    await refuse(send(grid, watcher, doubt?.act), 'AuditAlreadySlashed')
  })

  it('slashes a chain that does not begin with the seed', async () => {
    const epoch = (await epochFacts(grid))!
    const shown = await other.audit.prove({ ...epoch, seed: 1n }, await other.audited(1))
    await other.post(1, digestTree(shown).root)
    const [doubt] = await doubts(other, shown)
    expect(doubt?.sample).to.equal(1)
    await closeWindow()
    await send(grid, watcher, doubt?.act)
    expect(await stakeOf(other)).to.equal(STAKE - FRAUD)
  })

  it('lets a node whose aggregator lies post for itself, unharmed', async () => {
    const liar = grid.actors.holder
    await audits()
      .connect(honest.test.wallet)
      .setAggregator(await liar.getAddress())
    honest.aggregator = () => undefined
    await honest.work()
    const group = new DigestGroup(1, 0)
    group.add(honest.audit.node, seededChance(5).bytes(32))
    const act = group.seal()
    await send(grid, liar, act)
    if (act?.method !== 'postDigests') throw new TypeError('nothing was gathered')
    honest.batches.set(1, { root: act.args[2], groupPath: group.path(honest.audit.node) })
    expect(await honest.work()).to.deep.equal(['post'])
    expect(await doubts(honest, honest.transcripts.get(1))).to.deep.equal([])
    await closeWindow()
    await audits().connect(watcher).challenge(honest.id, 1, 5)
    expect(await honest.work()).to.deep.equal(['locate', 'answer'])
    await nextEpoch()
    await audits().connect(watcher).markMissed(1, [honest.id])
    expect(await stakeOf(honest)).to.equal(STAKE)
  })

  it('slashes a node that leaves out a slot that it countersigned', async () => {
    const countersigned = await agreed(other, otherSlot)
    const second = await grid.place(
      KIND.Store,
      storeSpec({ writers: [WRITER.account] }),
      [{ node: other.test.id, sizeBytes: GIB }],
      { seconds: 30n * 86_400n },
    )
    await other.hold(second, [100], seededChance(9))
    other.hidden = [otherSlot]
    await other.work()
    await commitAndDraw(other)
    await other.work(['commit'])
    const accumulator = await other.audited(2)
    expect(accumulator.find(otherSlot)).to.equal(undefined)
    const demand = planDemand(countersigned, { newestEpoch: 2, accumulator, shown: undefined })
    await send(grid, watcher, demand)
    // All that it can show is another slot, or the slot in what it committed earlier.
    const show = (entry: Entry) =>
      send(grid, other.test.wallet, { method: 'show', args: [1, entry] })
    await refuse(show(accumulator.entry(0)), 'AuditCommitmentInvalid')
    await refuse(show((await other.audited(1)).find(otherSlot)!), 'AuditPathWrong')
    await expectLost(other, 1)
  })

  /** Writer and node agree on what is in a slot, as of epoch 0. */
  async function agreed(node: ProvingNode, name: SlotName): Promise<Countersigned> {
    const domain = await domainOf(grid)
    const key = { privateKey: fromHex(node.test.wallet.privateKey) }
    const signed = node.audit.sign(name, 0)
    const countersignature = await countersign(signed, {
      domain,
      node: node.audit.node,
      key,
      tree: node.audit.slot(name).tree,
      sizeBytes: Number(GIB),
      newestEpoch: 1,
      newestSigned: undefined,
      isWriter,
    })
    expect(hexlify(countersignature)).to.equal(
      hexlify(signCommitment(domain, signed.commitment, key)),
    )
    return { ...signed, countersignature }
  }

  /** What a node shows that makes up what it lost, and shows of it what `makeUp` can. */
  async function bluffOf(node: ProvingNode, makeUp?: MakeUp): Promise<Transcript> {
    const { number, seed, samples } = (await epochFacts(grid))!
    const accumulator = await node.audited(number)
    const slots = (name: SlotName) => node.audit.slot(name).tree
    const asked = { node: node.audit.node, epoch: number, seed, samples }
    return bluff({ ...asked, accumulator, slots, signal: NEVER }, makeUp)
  }
})
