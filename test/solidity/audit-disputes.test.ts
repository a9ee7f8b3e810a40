// Disputes of audits: every act from its good side and from each bad one, and the money that moves.
import { expect } from 'chai'
import { type Signer, ZeroAddress, ZeroHash } from 'ethers'
import { fromHex, toHex } from '../../agent/base/bytes.ts'
import { BinaryTree } from '../../agent/engines/audit/tree/binary-tree.ts'
import { POLICY_PARAMETERS } from '../../scripts/deploy/parameters.ts'
import { AuditScene, type Proof } from './support/audit-scene.ts'
import {
  ANY_RATE,
  deployTestGrid,
  GIB,
  KIND,
  mountSpec,
  type TestGrid,
  type TestNode,
  TOKEN,
  volumeSpec,
} from './support/grid.ts'

const VOTES_PER_GIB = BigInt(POLICY_PARAMETERS.indexOf('VotesPerGib'))
const EPOCH = 10_000n
const WINDOW = 5_000n
const ANSWER = 500n
const BOND = 50n
const STAKE = 2n * TOKEN
const FRAUD = (STAKE * 2_000n) / 10_000n
const SHARE = FRAUD / 10n
const STATE = { Challenged: 1n, Located: 2n, Demanded: 3n, Answered: 4n, Lost: 5n, Collected: 6n }

/** Shards of different lengths, one of them empty and one of a part of a unit. */
const SHARDS = [1000, 0, 31, 4096, 33].map((length, seed) =>
  new Uint8Array(length).map((_, at) => (at * 7 + seed * 13 + 1) % 256),
)

describe('Audits: disputes', () => {
  let grid: TestGrid
  let nodes: TestNode[]
  let node: TestNode
  let tenant: Signer
  let watcher: Signer
  let scene: AuditScene
  let proof: Proof
  let restoreOpen: () => Promise<void>

  const as = (signer: Signer) => grid.contracts.audits.connect(signer)
  const refuse = (call: Promise<unknown>, error: string) =>
    expect(call).to.be.revertedWithCustomError(grid.contracts.audits, error)
  const creditOf = async (who: Signer) => grid.contracts.audits.creditOf(await who.getAddress())
  const stateOf = async (dispute: bigint) => (await grid.contracts.audits.disputes(dispute)).state
  const deadlineOf = async (dispute: bigint) =>
    (await grid.contracts.audits.disputes(dispute)).deadline

  before(async () => {
    grid = await deployTestGrid({
      policy: {
        ...{ HeartbeatSeconds: 20_000n, LostSeconds: 40_000n, GraceSeconds: 0n, MinSeconds: 10n },
        ...{ AuditEpochSeconds: EPOCH, AuditWindowSeconds: WINDOW, AuditWindowBlocks: 1n },
        ...{ AuditSamples: 64n, AuditOpenOdds: 0n, AuditAnswerSeconds: ANSWER, AuditBond: BOND },
        ...{ AuditReporterShare: 1_000n, AuditFraudSlash: 2_000n, AuditMissSlash: 100n },
      },
    })
    tenant = grid.actors.tenant
    watcher = grid.actors.attacker
    nodes = await grid.addNodes(6, { stake: STAKE })
    node = nodes[2] as TestNode
    await grid.fund(tenant)
    await grid.fund(watcher)
    const audits = await grid.contracts.audits.getAddress()
    await grid.contracts.token.connect(watcher).approve(audits, TOKEN)
    scene = await AuditScene.make(grid, node, { shards: SHARDS, otherSlots: 60, sizeBytes: 5_249n })
    await scene.commit()
    await as(watcher).draw()
    proof = await scene.prove(1n)
    await scene.post(proof)
    restoreOpen = await grid.snapshot()
  })
  beforeEach(async () => {
    await restoreOpen()
    await closeWindow()
  })

  /** What was posted can be doubted from now on. */
  async function closeWindow(): Promise<void> {
    await grid.pass(WINDOW)
    await grid.pass(1n)
  }
  /** A sample that falls into the store, after the first. */
  function ownSample(after = 1): number {
    const sample = proof.own.find((each) => each > after)
    if (!sample) throw new TypeError('of 64 samples in three quarters of the units one falls there')
    return sample
  }
  const challenge = (sample = ownSample(), by = watcher) => as(by).challenge(node.id, 1n, sample)
  const challengeLocated = (sample = ownSample(), by = watcher) =>
    as(by).challengeLocated(node.id, 1n, sample, proof.location(sample))

  describe('a challenge', () => {
    it('waits for the window, in which a node may still put right what its aggregator posted', async () => {
      await restoreOpen()
      await refuse(challenge(), 'AuditPending')
      const tree = new BinaryTree(proof.states)
      await refuse(
        as(watcher).proveBroken(node.id, 1n, 2, proof.location(2), ZeroHash, tree.path(0)),
        'AuditPending',
      )
    })

    it('is of a sample of the newest epoch for which something was posted, and costs a bond', async () => {
      const { token, audits } = grid.contracts
      await refuse(as(watcher).challenge(node.id, 0n, 1n), 'AuditWrongEpoch')
      await refuse(as(watcher).challenge(node.id, 2n, 1n), 'AuditWrongEpoch')
      await refuse(challenge(0), 'AuditSampleInvalid')
      await refuse(challenge(65), 'AuditSampleInvalid')
      await refuse(as(watcher).challenge(nodes[0]?.id ?? 0n, 1n, 1n), 'AuditNothingClaimed')
      await expect(challenge(5, tenant)).to.be.revertedWithCustomError(
        token,
        'ERC20InsufficientAllowance',
      )
      const opened = challenge(5)
      await expect(opened).to.emit(audits, 'DisputeOpened').withArgs(1n, node.id, 1n, 5n)
      await expect(opened).to.changeTokenBalances(
        grid.connection.ethers,
        token,
        [await watcher.getAddress(), await audits.getAddress()],
        [-BOND, BOND],
      )
      const view = await audits.disputes(1n)
      expect([view.state, view.node, view.epoch, view.sample]).to.deep.equal([1n, node.id, 1n, 5n])
      expect(view.challenger).to.equal(await watcher.getAddress())
      expect(view.deadline).to.equal(BigInt(await grid.time.latest()) + ANSWER)
      expect(await audits.disputeCount()).to.equal(1n)
      expect(await audits.owed()).to.equal(BOND)
    })

    it('costs nothing where policy asks for no bond', async () => {
      const bond = BigInt(POLICY_PARAMETERS.indexOf('AuditBond'))
      await grid.asTimelock((owner) => grid.contracts.policy.connect(owner).set(bond, 0n))
      await expect(challenge()).to.changeTokenBalance(
        grid.connection.ethers,
        grid.contracts.token,
        await watcher.getAddress(),
        0n,
      )
      expect(await stateOf(1n)).to.equal(STATE.Challenged)
    })

    it('is not made while the node has said that it would be away', async () => {
      const from = BigInt(await grid.time.latest()) + 4_000n
      await grid.contracts.nodes
        .connect(node.wallet)
        .announceMaintenance(node.id, from, from + 1_000n)
      await grid.at(from - 2n * ANSWER - 1n)
      await challenge()
      await grid.at(from - 2n * ANSWER)
      await refuse(challenge(), 'AuditExcused')
      await grid.at(from + 1_000n)
      await refuse(challenge(), 'AuditExcused')
      await grid.at(from + 1_001n)
      await challenge()
    })
  })

  describe('a location', () => {
    it('binds the sample to a unit of a slot, once, in time, and gives the node its time again', async () => {
      await challenge()
      const deadline = await deadlineOf(1n)
      await grid.at(deadline)
      const { audits } = grid.contracts
      const unit = (await challengeUnit()).unit
      await expect(as(tenant).locate(1n, proof.location(ownSample())))
        .to.emit(audits, 'DisputeLocated')
        .withArgs(1n, scene.order, 0n, unit)
      expect(await stateOf(1n)).to.equal(STATE.Located)
      expect(await deadlineOf(1n)).to.equal(deadline + ANSWER)
      await refuse(as(tenant).locate(1n, proof.location(ownSample())), 'AuditDisputeState')
      await challenge()
      await grid.at((await deadlineOf(2n)) + 1n)
      await refuse(as(tenant).locate(2n, proof.location(ownSample())), 'AuditDeadline')
    })

    /** Which unit of the store the sample asks for, as its opening says. */
    async function challengeUnit() {
      const opening = proof.opening(ownSample())
      return { unit: BigInt(`0x${toHex(opening.slice(32, 38))}`) }
    }

    const wrong = (change: Partial<ReturnType<Proof['location']>>, error = 'AuditPathWrong') =>
      refuse(as(tenant).locate(1n, { ...proof.location(ownSample()), ...change }), error)

    it('must lead to what was posted', async () => {
      await challenge()
      const other = new Uint8Array(32).fill(9)
      await wrong({ digest: other })
      await wrong({ unit: other })
      await wrong({ earlier: other })
      await wrong({ statePath: [] })
      await wrong({ statePath: [...proof.location(ownSample()).statePath, other] })
      await refuse(
        as(tenant).locate(1n, proof.location(ownSample(ownSample()) || 1)),
        'AuditPathWrong',
      )
    })

    it('of the first sample begins with the seed', async () => {
      // A chain that begins with anything else: one path of the digest is as good as another, but for the beginning.
      const forged = await forgedStart()
      await challenge(1)
      await refuse(as(tenant).locate(1n, forged.location), 'AuditPathWrong')
    })

    it('must name a slot of the node that holds the unit, signed by a writer', async () => {
      await challenge()
      const location = proof.location(ownSample())
      const { entry } = location
      const other = scene.accumulator.entry(1)
      await wrong({ entry: { ...entry, path: new Uint8Array(37) } }, 'AuditPathMalformed')
      await wrong({ entry: { ...entry, path: new Uint8Array(38) } })
      await wrong({ entry: { ...entry, signature: await scene.sign(watcher) } }, 'AuditNotWriter')
      await wrong({ entry: { ...entry, signature: new Uint8Array(3) } }, 'AuditNotWriter')
      const elsewhere = { ...entry.commitment, node: 1 } as typeof entry.commitment
      await wrong({ entry: { ...entry, commitment: elsewhere } }, 'AuditCommitmentInvalid')
      const empty = { ...entry.commitment, units: 0 }
      await wrong({ entry: { ...entry, commitment: empty } }, 'AuditCommitmentInvalid')
      // A slot that was never ordered, and so has no bytes.
      await wrong({ entry: other }, 'AuditCommitmentInvalid')
      await wrong({ entry: { ...entry, mount: 9 } }, 'AuditNotWriter')
    })

    it('believes a signature of the tenant also after its account was given code that denies it', async () => {
      await grid.connection.networkHelpers.setCode(await tenant.getAddress(), '0x5f5ffd')
      await challengeLocated()
      expect(await stateOf(1n)).to.equal(STATE.Located)
    })

    it('must lead to as many units as the node committed to', async () => {
      await restoreOpen()
      const { root, units } = scene.accumulator
      await as(node.wallet).commit(root, units + 1)
      await grid.pass(EPOCH)
      await as(watcher).draw()
      const next = await scene.prove(2n)
      await scene.post(next)
      await closeWindow()
      await as(watcher).challenge(node.id, 2n, 1n)
      await refuse(as(tenant).locate(1n, next.location(1)), 'AuditPathWrong')
    })

    it('must name the slot that the sample falls into', async () => {
      const elsewhere = proof.states.findIndex((_, at) => !proof.own.includes(at + 1)) + 1
      expect(elsewhere).to.be.greaterThan(0)
      await challenge(elsewhere)
      await refuse(as(tenant).locate(1n, proof.location(elsewhere)), 'AuditUnitWrong')
    })

    it('must not name a slot behind the one that the sample falls into', async () => {
      const init = { shards: SHARDS, otherSlots: 60, isStoreLast: true }
      const last = await AuditScene.make(grid, nodes[3] as TestNode, init)
      await last.commit()
      await grid.pass(EPOCH)
      await as(watcher).draw()
      const next = await last.prove(2n)
      await last.post(next)
      await closeWindow()
      const elsewhere = next.states.findIndex((_, at) => !next.own.includes(at + 1)) + 1
      expect(elsewhere).to.be.greaterThan(0)
      await as(watcher).challenge(last.node.id, 2n, elsewhere)
      await refuse(as(tenant).locate(1n, next.location(elsewhere)), 'AuditUnitWrong')
    })

    it('is not signed by nobody, although the spec of the store names the account zero', async () => {
      const init = { shards: SHARDS, writers: [ZeroAddress] }
      const open = await AuditScene.make(grid, nodes[3] as TestNode, init)
      await open.commit()
      await grid.pass(EPOCH)
      await as(watcher).draw()
      const next = await open.prove(2n)
      await open.post(next)
      await closeWindow()
      await as(watcher).challenge(open.node.id, 2n, 1n)
      const location = next.location(1)
      const entry = { ...location.entry, signature: new Uint8Array(3) }
      await refuse(as(tenant).locate(1n, { ...location, entry }), 'AuditNotWriter')
    })

    it('goes through the group where an aggregator posted', async () => {
      const digests: Uint8Array[] = Array.from({ length: 256 }, () => new Uint8Array(32))
      digests[Number(node.id)] = proof.digest
      const tree = new BinaryTree(digests)
      await as(node.wallet).setAggregator(await watcher.getAddress())
      await grid.pass(EPOCH)
      await as(watcher).draw()
      const next = await scene.prove(2n)
      digests[Number(node.id)] = next.digest
      const group = new BinaryTree(digests)
      await as(watcher).postDigests(2n, 0n, group.root.slice(0, 28), 1n << node.id)
      await closeWindow()
      const path = group.path(Number(node.id))
      const sample = next.own[0] ?? 1
      await as(watcher).challenge(node.id, 2n, sample)
      const locate = (groupPath: Uint8Array[]) =>
        as(tenant).locate(1n, next.location(sample, groupPath))
      await refuse(locate([]), 'AuditPathWrong')
      await refuse(locate(path.slice(1)), 'AuditPathWrong')
      await refuse(
        locate(tree.path(Number(node.id)).with(0, new Uint8Array(32).fill(1))),
        'AuditPathWrong',
      )
      await locate(path)
      await as(tenant).answer(1n, next.opening(sample))
      expect(await stateOf(1n)).to.equal(STATE.Answered)
    })
  })

  /** A proof whose first state does not follow from the seed. */
  async function forgedStart() {
    await restoreOpen()
    const earlier = new Uint8Array(32).fill(7)
    const unit = new Uint8Array(32)
    const { nextState } = await import('../../agent/engines/audit/sampling.ts')
    const states = [nextState(earlier, unit), ...proof.states.slice(1)]
    const tree = new BinaryTree(states)
    await scene.post({ epoch: 1n, digest: tree.root })
    await closeWindow()
    const parts = { earlier, unit, digest: tree.root, statePath: tree.path(0) }
    return { tree, states, location: scene.location(parts) }
  }

  describe('an answer', () => {
    it('shows the unit of every sample that falls into the store', async () => {
      for (const [index, sample] of proof.own.entries()) {
        await challengeLocated(sample)
        await expect(as(tenant).answer(BigInt(index + 1), proof.opening(sample)))
          .to.emit(grid.contracts.audits, 'DisputeAnswered')
          .withArgs(BigInt(index + 1))
      }
      expect(proof.own.length).to.be.greaterThan(1)
    })

    it('is of the unit asked for, whole, in time and once', async () => {
      const opening = proof.opening(ownSample())
      await refuse(as(tenant).answer(1n, opening), 'AuditDisputeState')
      await challenge()
      await refuse(as(tenant).answer(1n, opening), 'AuditDisputeState')
      await as(tenant).locate(1n, proof.location(ownSample()))
      const number = Number(BigInt(`0x${toHex(opening.slice(32, 38))}`))
      const other = scene.opening((number + 1) % scene.commitment.units)
      await refuse(as(tenant).answer(1n, other), 'AuditPathWrong')
      const flip = (at: number) => opening.with(at, (opening[at] ?? 0) ^ 1)
      await refuse(as(tenant).answer(1n, flip(0)), 'AuditPathWrong')
      await refuse(as(tenant).answer(1n, flip(50)), 'AuditPathWrong')
      await refuse(as(tenant).answer(1n, flip(opening.length - 1)), 'AuditPathWrong')
      await refuse(as(tenant).answer(1n, opening.slice(0, 43)), 'AuditPathMalformed')
      await refuse(as(tenant).answer(1n, opening.slice(0, 60)), 'AuditPathMalformed')
      await refuse(as(tenant).answer(1n, opening.slice(0, -1)), 'AuditPathMalformed')
      const beyond = fromHex(
        `${toHex(opening.slice(0, 32))}7fffffffffff${toHex(opening.slice(38))}`,
      )
      await refuse(as(tenant).answer(1n, beyond), 'AuditUnitWrong')
      const later = scene.opening(scene.commitment.units - 1)
      const before = fromHex(
        `${toHex(later.slice(0, 32))}${'00'.repeat(6)}${toHex(later.slice(38))}`,
      )
      await refuse(as(tenant).answer(1n, before), 'AuditUnitWrong')
      await grid.at(await deadlineOf(1n))
      await as(tenant).answer(1n, opening)
      expect(await stateOf(1n)).to.equal(STATE.Answered)
      await refuse(as(tenant).answer(1n, opening), 'AuditDisputeState')
      await challengeLocated()
      await grid.at((await deadlineOf(2n)) + 1n)
      await refuse(as(tenant).answer(2n, opening), 'AuditDeadline')
    })

    it('earns the farm the bond, once', async () => {
      await refuse(as(tenant).collect(1n), 'AuditDisputeState')
      await challengeLocated()
      await refuse(as(tenant).collect(1n), 'AuditDisputeState')
      await as(tenant).answer(1n, proof.opening(ownSample()))
      await as(tenant).collect(1n)
      expect(await creditOf(node.owner)).to.equal(BOND)
      expect(await stateOf(1n)).to.equal(STATE.Collected)
      await refuse(as(tenant).collect(1n), 'AuditDisputeState')
      await refuse(as(tenant).expire(1n), 'AuditDisputeState')
      expect(await grid.contracts.audits.owed()).to.equal(BOND)
    })
  })

  describe('silence', () => {
    it('loses the dispute after the deadline and not before, located or not', async () => {
      const { audits } = grid.contracts
      await refuse(as(tenant).expire(1n), 'AuditDisputeState')
      await challenge()
      await challengeLocated(ownSample(), watcher)
      await grid.at(await deadlineOf(1n))
      await refuse(as(tenant).expire(1n), 'AuditDeadline')
      await grid.at((await deadlineOf(1n)) + 1n)
      await expect(as(tenant).expire(1n))
        .to.emit(audits, 'DisputeLost')
        .withArgs(1n, node.id, FRAUD)
      expect(await stateOf(1n)).to.equal(STATE.Lost)
      expect((await grid.node(node.id)).stake).to.equal(STAKE - FRAUD)
      expect(await creditOf(watcher)).to.equal(BOND + SHARE)
      await refuse(as(tenant).expire(1n), 'AuditDisputeState')
      // The same fault is punished once; who else found it gets the bond back.
      await grid.at((await deadlineOf(2n)) + 1n)
      await expect(as(tenant).expire(2n)).to.emit(audits, 'DisputeLost').withArgs(2n, node.id, 0n)
      expect(await creditOf(watcher)).to.equal(2n * BOND + SHARE)
      expect(await audits.treasuryShare()).to.equal(FRAUD - SHARE)
      expect(await audits.owed()).to.equal(2n * BOND + FRAUD)
    })

    it('is as good as having posted nothing: the epoch is not paid, and not slashed again', async () => {
      await challenge()
      await grid.at((await deadlineOf(1n)) + 1n)
      await as(tenant).expire(1n)
      expect(await grid.contracts.audits.isProven(node.id, 1n)).to.equal(false)
      await grid.pass(EPOCH)
      await as(watcher).draw()
      await grid.beat([node])
      await expect(as(watcher).markMissed(1n, [node.id]))
        .to.emit(grid.contracts.audits, 'EpochMissed')
        .withArgs(1n, node.id, 0n)
      expect((await grid.node(node.id)).stake).to.equal(STAKE - FRAUD)
    })
  })

  it('that a node lost costs it its votes, also before anybody marks the epoch', async () => {
    const { policy, votes } = grid.contracts
    await grid.asTimelock((lock) => policy.connect(lock).set(VOTES_PER_GIB, TOKEN))
    const votesAfterTwoEpochs = async () => {
      await grid.pass(EPOCH)
      await as(watcher).draw()
      await as(node.wallet).postDigest(2n, `0x${'d1'.repeat(28)}`)
      await grid.pass(EPOCH)
      await as(watcher).draw()
      await grid.beat([node])
      await votes.refresh(node.id)
      return votes.votesOf(node.id)
    }
    const restore = await grid.snapshot()
    expect(await votesAfterTwoEpochs()).to.be.greaterThan(0n)
    await restore()
    await challenge()
    await grid.at((await deadlineOf(1n)) + 1n)
    await as(tenant).expire(1n)
    expect(await votesAfterTwoEpochs()).to.equal(0n)
  })

  describe('a chain of states', () => {
    const broken = (
      sample: number,
      location: object,
      prior: Uint8Array | string,
      path: Uint8Array[],
    ) => as(watcher).proveBroken(node.id, 1n, sample, location as never, prior, path)

    it('that is sound cannot be called broken', async () => {
      const tree = new BinaryTree(proof.states)
      const prior = proof.states[0] as Uint8Array
      await refuse(broken(2, proof.location(2), prior, tree.path(0)), 'AuditChainSound')
      await refuse(broken(1, proof.location(1), ZeroHash, []), 'AuditChainSound')
      await refuse(broken(2, proof.location(2), new Uint8Array(32), tree.path(0)), 'AuditPathWrong')
      await refuse(broken(2, proof.location(3), prior, tree.path(0)), 'AuditPathWrong')
      await refuse(broken(2, proof.location(2), prior, []), 'AuditPathWrong')
      await refuse(broken(0, proof.location(2), prior, tree.path(0)), 'AuditSampleInvalid')
    })

    it('that does not begin with the seed is slashed at once, and once', async () => {
      const forged = await forgedStart()
      await expect(broken(1, forged.location, ZeroHash, []))
        .to.emit(grid.contracts.audits, 'ChainBroken')
        .withArgs(1n, node.id, FRAUD)
      expect(await creditOf(watcher)).to.equal(SHARE)
      await refuse(broken(1, forged.location, ZeroHash, []), 'AuditAlreadySlashed')
    })

    it('whose neighbours contradict each other is slashed at once', async () => {
      const forged = await forgedStart()
      // Sample 2 still follows from the state that an honest first sample would have left.
      const honest = proof.location(2)
      const location = { ...honest, digest: forged.tree.root, statePath: forged.tree.path(1) }
      await expect(broken(2, location, forged.states[0] as Uint8Array, forged.tree.path(0)))
        .to.emit(grid.contracts.audits, 'ChainBroken')
        .withArgs(1n, node.id, FRAUD)
    })
  })

  describe('a demand', () => {
    const demand = async (change: object = {}, by: Signer = node.wallet, units?: number) => {
      const commitment = {
        ...scene.commitment,
        ...(units === undefined ? {} : { units }),
        ...change,
      }
      const entry = {
        ...scene.entry(),
        commitment,
        signature: await scene.sign(tenant, commitment),
      }
      return as(watcher).demand(entry, await scene.sign(by, commitment))
    }
    beforeEach(async () => {
      await grid.pass(EPOCH)
      await as(watcher).draw()
    })

    it('is met by the slot, with at least as many units, in what the node committed', async () => {
      const { order, slot, generation, units } = scene.commitment
      await expect(demand())
        .to.emit(grid.contracts.audits, 'SlotDemanded')
        .withArgs(1n, order, slot, generation, units)
      const view = await grid.contracts.audits.disputes(1n)
      expect([view.state, view.epoch, view.sample]).to.deep.equal([STATE.Demanded, 2n, 0n])
      await refuse(as(tenant).locate(1n, proof.location(2)), 'AuditDisputeState')
      await refuse(as(tenant).show(1n, scene.accumulator.entry(1)), 'AuditCommitmentInvalid')
      await refuse(as(tenant).show(1n, scene.entry({ path: new Uint8Array(38) })), 'AuditPathWrong')
      await expect(as(tenant).show(1n, scene.entry()))
        .to.emit(grid.contracts.audits, 'DisputeAnswered')
        .withArgs(1n)
      expect(await stateOf(1n)).to.equal(STATE.Answered)
      await refuse(as(tenant).show(1n, scene.entry()), 'AuditDisputeState')
      await as(tenant).collect(1n)
      expect(await creditOf(node.owner)).to.equal(BOND)
    })

    it('for more than its writer signed later is met by that', async () => {
      await demand({}, node.wallet, scene.commitment.units + 1)
      const later = { ...scene.commitment, epoch: 1 }
      const entry = {
        ...scene.entry(),
        commitment: later,
        signature: await scene.sign(tenant, later),
      }
      await as(tenant).show(1n, entry)
      expect(await stateOf(1n)).to.equal(STATE.Answered)
    })

    it('is not met by less that was signed no later', async () => {
      await grid.pass(EPOCH)
      await as(watcher).draw()
      await demand({ epoch: 1 }, node.wallet, scene.commitment.units + 1)
      const same = { ...scene.commitment, epoch: 1 }
      const entry = {
        ...scene.entry(),
        commitment: same,
        signature: await scene.sign(tenant, same),
      }
      await refuse(as(tenant).show(1n, entry), 'AuditCommitmentInvalid')
    })

    it('for more than is shown is not met, and costs the node its slash', async () => {
      await demand({}, node.wallet, scene.commitment.units + 1)
      await refuse(as(tenant).show(1n, scene.entry()), 'AuditCommitmentInvalid')
      await grid.at((await deadlineOf(1n)) + 1n)
      await as(tenant).expire(1n)
      expect((await grid.node(node.id)).stake).to.equal(STAKE - FRAUD)
    })

    it('needs both signatures, two epochs, and the slot in the node’s hands', async () => {
      await refuse(demand({}, watcher as never), 'AuditNotCountersigned')
      await refuse(demand({ epoch: 1 }), 'AuditDemandInvalid')
      await refuse(demand({ units: 0 }), 'AuditDemandInvalid')
      await refuse(demand({ generation: 1 }), 'AuditDemandInvalid')
      await refuse(demand({ node: Number(nodes[0]?.id) }), 'AuditDemandInvalid')
      await refuse(demand({ order: 77, node: 0 }), 'AuditCommitmentInvalid')
      const entry = { ...scene.entry(), signature: await scene.sign(watcher) }
      await refuse(as(watcher).demand(entry, await scene.sign(node.wallet)), 'AuditNotWriter')
      await refuse(demand({ units: 166 }), 'AuditCommitmentInvalid')
      await grid.contracts.orders
        .connect(tenant)
        .replace(scene.order, 0n, nodes[0]?.id ?? 0n, ANY_RATE)
      await refuse(demand(), 'AuditDemandInvalid')
    })
  })

  describe('writers', () => {
    const demandBy = async (signer: Signer, own: AuditScene, mount = 0n) => {
      const entry = { ...own.entry(), mount, signature: await own.sign(signer) }
      return as(watcher).demand(entry, await own.sign(node.wallet))
    }
    const twoEpochs = async () => {
      await grid.pass(EPOCH)
      await as(watcher).draw()
    }

    it('of a store are the tenant and the accounts in its spec', async () => {
      const writer = nodes[1] as TestNode
      const own = await AuditScene.make(grid, node, {
        shards: SHARDS,
        writers: [writer.wallet.address],
      })
      await twoEpochs()
      await demandBy(tenant, own)
      await demandBy(writer.wallet, own)
      await refuse(demandBy(watcher, own), 'AuditNotWriter')
      await refuse(demandBy(writer.wallet, scene), 'AuditNotWriter')
    })

    it('of a volume are the tenant and the nodes of its writable mounts', async () => {
      const [one, two] = [nodes[0] as TestNode, nodes[1] as TestNode]
      const on = [node, one, two, nodes[3] as TestNode, nodes[4] as TestNode]
      const volume = await grid.placeVolume(on, { spec: volumeSpec(), seconds: 900_000n })
      const mount = (readOnly: boolean, at: TestNode, name: string) =>
        grid.place(KIND.Mount, mountSpec({ readOnly, name }), [{ node: at.id, sizeBytes: GIB }], {
          parent: volume,
          seconds: 900_000n,
        })
      const writable = await mount(false, one, 'a')
      const reading = await mount(true, two, 'b')
      await twoEpochs()
      const commitment = { ...scene.commitment, order: volume }
      const demand = async (signer: Signer, by: bigint) => {
        const entry = {
          ...scene.entry(),
          commitment,
          mount: by,
          signature: await scene.sign(signer, commitment as never),
        }
        return as(watcher).demand(
          entry as never,
          await scene.sign(node.wallet, commitment as never),
        )
      }
      await demand(tenant, 0n)
      await demand(one.wallet, writable)
      await refuse(demand(two.wallet, writable), 'AuditNotWriter')
      await refuse(demand(two.wallet, reading), 'AuditNotWriter')
      await refuse(demand(one.wallet, 0n), 'AuditNotWriter')
      await refuse(demand(one.wallet, volume), 'AuditNotWriter')
      // A mount that ended wrote what it wrote.
      await grid.contracts.orders.connect(tenant).cancel(writable)
      await demand(one.wallet, writable)
    })
  })

  describe('a drawn node', () => {
    it('opens its first sample in the window', async () => {
      await restoreOpen()
      await grid.asTimelock((owner) => grid.contracts.policy.connect(owner).set(16n, 1n))
      const { audits } = grid.contracts
      await refuse(
        as(tenant).openSample(1n, node.id, scene.entry(), proof.opening(ownSample())),
        'AuditNotDrawn',
      )
      let next = proof
      let epoch = 1n
      // Until the first sample falls into the store, which it nearly always does.
      do {
        await grid.pass(EPOCH)
        await as(watcher).draw()
        epoch += 1n
        next = await scene.prove(epoch)
      } while (!next.own.includes(1))
      await scene.post(next)
      expect(await audits.isProven(node.id, epoch)).to.equal(false)
      const open = (entry: object, opening: Uint8Array, which = node.id) =>
        as(tenant).openSample(epoch, which, entry as never, opening)
      const opening = next.opening(1)
      const number = Number(BigInt(`0x${toHex(opening.slice(32, 38))}`))
      await refuse(
        open(scene.entry(), scene.opening((number + 1) % scene.commitment.units)),
        'AuditPathWrong',
      )
      await refuse(open(scene.entry(), opening, nodes[0]?.id), 'AuditNothingClaimed')
      await refuse(open(scene.entry(), new Uint8Array(3)), 'AuditPathMalformed')
      await expect(open(scene.entry(), opening))
        .to.emit(audits, 'SampleOpened')
        .withArgs(epoch, node.id)
      expect(await audits.isProven(node.id, epoch)).to.equal(true)
      await grid.pass(5_001n)
      await refuse(open(scene.entry(), opening), 'AuditLate')
    })
  })
})
