// Policy, governor, timelock, token and directory: what votes can change, how, and what nobody can.
import { expect } from 'chai'
import { ZeroAddress } from 'ethers'
import { POLICY_PARAMETERS, type PolicyParameter } from '../../scripts/deploy/parameters.ts'
import { deployTestGrid, KIND, storeSpec, type TestGrid, TOKEN } from './support/grid.ts'

/** Numbers of the parameters of audits. */
const AUDIT = {
  EpochSeconds: POLICY_PARAMETERS.indexOf('AuditEpochSeconds'),
  WindowSeconds: POLICY_PARAMETERS.indexOf('AuditWindowSeconds'),
  AnswerSeconds: POLICY_PARAMETERS.indexOf('AuditAnswerSeconds'),
} as const
const DIGEST = `0x${'d1'.repeat(32)}`
const DAY = 86_400n
const U64_MAX = 2n ** 64n - 1n
/** What a vote can set a parameter to: least and most. */
const BOUNDS: Readonly<Record<PolicyParameter, readonly [bigint, bigint]>> = {
  FinalityDepth: [0n, 1024n],
  HeartbeatSeconds: [1n, DAY],
  LostSeconds: [2n, 90n * DAY],
  GraceSeconds: [0n, 2n ** 24n - 1n],
  StakePerGib: [0n, U64_MAX],
  MaxPricePerGibSecond: [0n, U64_MAX],
  WorkloadsAllowed: [0n, 126n],
  MaxSlots: [1n, 511n],
  MinSeconds: [1n, 3650n * DAY],
  MaxSeconds: [1n, 3650n * DAY],
  DispersalAgeSeconds: [1n, DAY],
  ScrubSeconds: [60n, 365n * DAY],
  AuditEpochSeconds: [0n, 7n * DAY],
  AuditWindowSeconds: [1n, 7n * DAY],
  AuditWindowBlocks: [1n, 7200n],
  AuditSamples: [1n, 255n],
  AuditOpenOdds: [0n, 65_535n],
  AuditAnswerSeconds: [1n, 7n * DAY],
  AuditBond: [0n, U64_MAX],
  AuditMissSlash: [0n, 10_000n],
  AuditFraudSlash: [0n, 10_000n],
  AuditReporterShare: [0n, 5000n],
  VotesPerGib: [0n, U64_MAX],
  CapacityVotesPercent: [0n, 50n],
  MaxPricePerCoreSecond: [0n, U64_MAX],
  MaxPricePerMemoryGibSecond: [0n, U64_MAX],
  MaxPricePerEgressGib: [0n, U64_MAX],
  MinNodeStake: [0n, U64_MAX],
  StakeSeconds: [0n, 365n * DAY],
  NodeFeePerDay: [0n, U64_MAX],
  NoticeSeconds: [0n, 365n * DAY],
}

describe('The DAO', () => {
  let grid: TestGrid
  let restore: () => Promise<void>

  const refusePolicy = (call: Promise<unknown>, error: string) =>
    expect(call).to.be.revertedWithCustomError(grid.contracts.policy, error)

  before(async () => {
    grid = await deployTestGrid()
    restore = await grid.snapshot()
  })
  beforeEach(() => restore())

  /** Proposes one call, votes for it, queues it and has anybody execute it. @returns Number of the proposal. */
  async function carry(target: string, call: string, description: string): Promise<bigint> {
    const { governor, token } = grid.contracts
    const [voter, , anyone] = [grid.actors.holder, grid.actors.tenant, grid.actors.attacker]
    await token.delegate(await voter.getAddress())
    await grid.pass(1n)
    const proposal = [[target], [0n], [call]] as [string[], bigint[], string[]]
    const described = grid.connection.ethers.id(description)
    await governor.propose(...proposal, description)
    const id = await governor.hashProposal(...proposal, described)
    await grid.pass(2n)
    await governor.castVote(id, 1)
    await grid.pass(5n)
    await governor.connect(anyone).queue(...proposal, described)
    await grid.pass(2n)
    await governor.connect(anyone).execute(...proposal, described)
    return id
  }

  it('changes a parameter by proposal, vote, queue and execution, and in no other way', async () => {
    const { governor, policy } = grid.contracts
    const call = policy.interface.encodeFunctionData('set', [2, 60n])
    const id = await carry(await policy.getAddress(), call, 'wait a minute before repair')
    expect(await policy.value(2)).to.equal(60n)
    expect(await policy.version()).to.equal(2n)
    expect(await governor.state(id)).to.equal(7n)
  })

  it('changes by vote how many votes a proposal needs', async () => {
    const { governor } = grid.contracts
    const threshold = governor.interface.encodeFunctionData('setProposalThreshold', [5n])
    await carry(await governor.getAddress(), threshold, 'propose with five votes')
    expect(await governor.proposalThreshold()).to.equal(5n)
  })

  it('changes how it votes by vote only', async () => {
    const { governor } = grid.contracts
    const call = governor.interface.encodeFunctionData('setVotingDelay', [3n])
    await carry(await governor.getAddress(), call, 'vote later')
    expect(await governor.votingDelay()).to.equal(3n)
    await expect(governor.setVotingDelay(1n)).to.be.revertedWithCustomError(
      governor,
      'GovernorOnlyExecutor',
    )
  })

  it('cannot be left without power over its policy and its contractors', async () => {
    const { policy, contractors } = grid.contracts
    await grid.asTimelock(async (lock) => {
      await refusePolicy(policy.connect(lock).renounceOwnership(), 'OwnerNeeded')
      const renounced = contractors.connect(lock).renounceOwnership()
      await expect(renounced).to.be.revertedWithCustomError(contractors, 'OwnerNeeded')
    })
    expect(await policy.owner()).to.equal(grid.timelock)
  })

  it('shows every parameter in one read', async () => {
    const { policy } = grid.contracts
    await grid.asTimelock(async (lock) => policy.connect(lock).set(0, 5n))
    const [version, values] = await policy.all()
    expect(version).to.equal(2n)
    expect(values[0]).to.equal(5n)
    for (const [parameter, value] of values.entries()) {
      expect(await policy.value(parameter)).to.equal(value)
    }
  })

  it('defeats what has no quorum', async () => {
    const { governor, policy, token } = grid.contracts
    const small = grid.actors.tenant
    await token.transfer(await small.getAddress(), TOKEN)
    await token.connect(small).delegate(await small.getAddress())
    await grid.pass(1n)
    const call = policy.interface.encodeFunctionData('set', [2, 60n])
    const proposal = [[await policy.getAddress()], [0n], [call]] as [string[], bigint[], string[]]
    await governor.connect(small).propose(...proposal, 'x')
    const described = grid.connection.ethers.id('x')
    const id = await governor.hashProposal(...proposal, described)
    await grid.pass(2n)
    await governor.connect(small).castVote(id, 1)
    await grid.pass(5n)
    expect(await governor.state(id)).to.equal(3n)
    await expect(governor.queue(...proposal, described)).to.be.revertedWithCustomError(
      governor,
      'GovernorUnexpectedProposalState',
    )
  })

  it('lets the proposer cancel before the vote', async () => {
    const { governor, policy } = grid.contracts
    const call = policy.interface.encodeFunctionData('set', [2, 60n])
    const proposal = [[await policy.getAddress()], [0n], [call]] as [string[], bigint[], string[]]
    await governor.propose(...proposal, 'x')
    const described = grid.connection.ethers.id('x')
    await governor.cancel(...proposal, described)
    const id = await governor.hashProposal(...proposal, described)
    expect(await governor.state(id)).to.equal(2n)
    expect(await governor.proposalNeedsQueuing(id)).to.equal(true)
  })

  it('speaks to standard tooling', async () => {
    const { governor, token } = grid.contracts
    expect(await governor.COUNTING_MODE()).to.equal('support=bravo&quorum=for,abstain')
    expect(await governor.CLOCK_MODE()).to.equal('mode=timestamp')
    expect(await token.CLOCK_MODE()).to.equal('mode=timestamp')
    expect(await token.clock()).to.equal(await grid.time.latest())
    expect(await governor.votingDelay()).to.equal(1n)
    expect(await governor.votingPeriod()).to.equal(4n)
    expect(await governor.proposalThreshold()).to.equal(0n)
    expect(await governor.timelock()).to.equal(grid.timelock)
  })

  it('leaves the deployer and everyone else without a role', async () => {
    const { ethers } = grid.connection
    const timelock = await ethers.getContractAt('TimelockController', grid.timelock)
    const governor = await grid.contracts.governor.getAddress()
    const roleOf = (name: string) => (name === '' ? ethers.ZeroHash : ethers.id(name))
    for (const name of ['', 'PROPOSER_ROLE', 'CANCELLER_ROLE']) {
      const deployer = await grid.actors.holder.getAddress()
      expect(await timelock.getFunction('hasRole')(roleOf(name), deployer), name).to.equal(false)
    }
    for (const name of ['PROPOSER_ROLE', 'CANCELLER_ROLE']) {
      expect(await timelock.getFunction('hasRole')(roleOf(name), governor)).to.equal(true)
    }
    expect(await timelock.getFunction('hasRole')(roleOf('EXECUTOR_ROLE'), ZeroAddress)).to.equal(
      true,
    )
    expect(await timelock.getFunction('hasRole')(roleOf(''), grid.timelock)).to.equal(true)
    expect(await grid.contracts.policy.owner()).to.equal(grid.timelock)
    const logs = await timelock.queryFilter(timelock.filters.RoleGranted())
    expect(logs.length).to.equal(5)
  })

  it('is found from one address', async () => {
    const { grid: directory, ...contracts } = grid.contracts
    const listed = await directory.contracts()
    for (const name of ['token', 'governor', 'policy', 'nodes', 'orders', 'escrow'] as const) {
      expect(listed[name]).to.equal(await contracts[name].getAddress())
    }
    expect(listed.timelock).to.equal(grid.timelock)
    expect(listed.deployedAtBlock).to.equal(await contracts.policy.deployedAtBlock())
    expect(listed.deployedAtBlock).to.be.greaterThan(0n)
    const further = await directory.furtherContracts()
    for (const name of ['rules', 'desk', 'contractors', 'audits', 'votes'] as const) {
      expect(further[name]).to.equal(await contracts[name].getAddress())
    }
  })

  it('names nothing that is no contract', async () => {
    const { grid: directory } = grid.contracts
    const factory = await grid.connection.ethers.getContractFactory('Grid')
    const { token, governor, timelock, policy, nodes, orders, escrow, deployedAtBlock } =
      await directory.contracts()
    const { rules, desk, contractors, audits, votes } = await directory.furtherContracts()
    const first = { token, governor, timelock, policy, nodes, orders, escrow, deployedAtBlock }
    const further = { rules, desk, contractors, audits, votes }
    const noCode = await grid.actors.holder.getAddress()
    const names = { ...first, ...further }
    for (const name of Object.keys(names).filter((one) => one !== 'deployedAtBlock')) {
      const broken = { ...names, [name]: noCode }
      await expect(factory.deploy(broken, broken), name)
        .to.be.revertedWithCustomError(directory, 'GridNoCode')
        .withArgs(noCode)
    }
    await factory.deploy(first, further)
  })

  it('has a token of fixed supply that fits in 120 bits', async () => {
    const { token } = grid.contracts
    const factory = await grid.connection.ethers.getContractFactory('GridToken')
    const holder = await grid.actors.holder.getAddress()
    await expect(factory.deploy(holder, 1n << 120n)).to.be.revertedWithCustomError(
      token,
      'TokenSupplyTooLarge',
    )
    const largest = (1n << 120n) - 1n
    expect(await (await factory.deploy(holder, largest)).totalSupply()).to.equal(largest)
    expect(await token.totalSupply()).to.equal(grid.parameters.tokenSupply)
    expect(await token.nonces(holder)).to.equal(0n)
  })

  describe('the guardian', () => {
    const order = () =>
      grid.place(KIND.Store, storeSpec(), [{ node: 1n, sizeBytes: 1n }], { seconds: 10n })
    const appoint = async (until: bigint) =>
      grid.asTimelock(async (owner) =>
        grid.contracts.policy
          .connect(owner)
          .appointGuardian(await grid.actors.attacker.getAddress(), until),
      )
    const now = async () => BigInt(await grid.time.latest())

    it('is appointed in the open', async () => {
      const { policy } = grid.contracts
      const version = await policy.version()
      await expect(appoint(2n ** 40n))
        .to.emit(policy, 'GuardianAppointed')
        .withArgs(version + 1n, await grid.actors.attacker.getAddress(), 2n ** 40n)
      expect(await policy.version()).to.equal(version + 1n)
    })

    it('is appointed by vote alone', async () => {
      const { policy } = grid.contracts
      const { attacker } = grid.actors
      await refusePolicy(
        policy.connect(attacker).appointGuardian(await attacker.getAddress(), 2n ** 40n),
        'OwnableUnauthorizedAccount',
      )
      await refusePolicy(policy.connect(attacker).pause(1n), 'PolicyNotGuardian')
      await refusePolicy(policy.connect(attacker).unpause(), 'PolicyNotGuardian')
    })

    it('pauses new orders and nothing else, once, and the pause ends by itself', async () => {
      const { policy, orders } = grid.contracts
      const { attacker, tenant } = grid.actors
      const [node] = await grid.addNodes(1)
      await grid.fund(tenant)
      await order()
      await appoint((await now()) + 100n * DAY)
      await refusePolicy(policy.connect(attacker).pause(0n), 'PolicyPauseTooLong')
      await refusePolicy(policy.connect(attacker).pause(7n * DAY + 1n), 'PolicyPauseTooLong')
      await expect(policy.connect(attacker).pause(7n * DAY)).to.emit(policy, 'PauseChanged')
      const until = await policy.pausedUntil()
      expect(until).to.equal((await now()) + 7n * DAY)
      await expect(order()).to.be.revertedWithCustomError(orders, 'OrderPaused')
      await orders.connect(tenant).extend(1n, 5n)
      await orders.connect(tenant).cancel(1n)
      await refusePolicy(policy.connect(attacker).pause(1n), 'PolicyNotGuardian')
      expect((await policy.guardian())[2]).to.equal(false)
      await grid.at(until - 1n)
      await grid.contracts.nodes.connect(node?.wallet).heartbeat()
      await grid.at(until)
      await order()
    })

    it('can end its pause, as can a vote, but not after its time', async () => {
      const { policy } = grid.contracts
      const { attacker } = grid.actors
      await appoint((await now()) + 100n)
      await policy.connect(attacker).pause(50n)
      await policy.connect(attacker).unpause()
      expect(await policy.pausedUntil()).to.equal(0n)
      await grid.asTimelock((owner) => policy.connect(owner).unpause())
      await appoint((await now()) + 100n)
      await grid.pass(100n)
      await refusePolicy(policy.connect(attacker).pause(1n), 'PolicyNotGuardian')
      await refusePolicy(policy.connect(attacker).unpause(), 'PolicyNotGuardian')
    })
  })

  describe('policy', () => {
    it('holds what it was deployed with', async () => {
      const [version, values] = await grid.contracts.policy.all()
      expect(version).to.equal(1n)
      expect([...values]).to.deep.equal(
        POLICY_PARAMETERS.map((name) => grid.parameters.policy[name]),
      )
    })

    it('is changed by its owner alone', async () => {
      const { policy } = grid.contracts
      for (const signer of [grid.actors.holder, grid.actors.tenant]) {
        const as = policy.connect(signer)
        await refusePolicy(as.set(0, 1n), 'OwnableUnauthorizedAccount')
        await refusePolicy(as.approveRelease(DIGEST, '1', 0n), 'OwnableUnauthorizedAccount')
        await refusePolicy(as.revokeRelease(DIGEST), 'OwnableUnauthorizedAccount')
      }
    })

    it('has the bounds that are written down', async () => {
      const { policy } = grid.contracts
      for (const [parameter, name] of POLICY_PARAMETERS.entries()) {
        expect([...(await policy.bounds(parameter))], name).to.deep.equal(BOUNDS[name])
      }
    })

    it('takes each parameter up to its bounds and not beyond', async () => {
      const { policy } = grid.contracts
      await grid.asTimelock(async (owner) => {
        const as = policy.connect(owner)
        // The widest room for the pairs that depend on each other.
        await as.set(2, 90n * 86_400n)
        await as.set(8, 1n)
        await as.set(9, 10n * 365n * 86_400n)
        for (const [parameter, name] of POLICY_PARAMETERS.entries()) {
          const [min, max] = await policy.bounds(parameter)
          if (min > 0n) await refusePolicy(as.set(parameter, min - 1n), 'PolicyOutOfBounds')
          await refusePolicy(as.set(parameter, max + 1n), 'PolicyOutOfBounds')
          const before = await policy.value(parameter)
          for (const value of [min, max, before]) {
            const paired = ['LostSeconds', 'MinSeconds', 'MaxSeconds'].includes(name)
            if (paired && value !== before) continue
            await as.set(parameter, value)
            expect(await policy.value(parameter)).to.equal(value)
          }
        }
      })
    })

    it('refuses values that contradict each other', async () => {
      const { policy } = grid.contracts
      await grid.asTimelock(async (owner) => {
        const as = policy.connect(owner)
        await refusePolicy(as.set(1, 5n), 'PolicyInconsistent')
        await refusePolicy(as.set(2, 5n), 'PolicyInconsistent')
        await as.set(1, 4n)
        await refusePolicy(as.set(9, 9n), 'PolicyInconsistent')
        await as.set(9, 10n)
        await refusePolicy(as.set(8, 11n), 'PolicyInconsistent')
        await as.set(AUDIT.EpochSeconds, 10_000n)
        await as.set(AUDIT.WindowSeconds, 10_000n)
        await as.set(AUDIT.AnswerSeconds, 10_000n)
        await refusePolicy(as.set(AUDIT.WindowSeconds, 10_001n), 'PolicyInconsistent')
        await refusePolicy(as.set(AUDIT.AnswerSeconds, 10_001n), 'PolicyInconsistent')
      })
    })

    it('approves a release once and revokes it for good', async () => {
      const { policy } = grid.contracts
      await grid.asTimelock(async (owner) => {
        const as = policy.connect(owner)
        await refusePolicy(as.revokeRelease(DIGEST), 'PolicyReleaseUnknown')
        await expect(as.approveRelease(DIGEST, '1.0.0', 77n))
          .to.emit(policy, 'ReleaseApproved')
          .withArgs(2n, DIGEST, '1.0.0', 77n)
        await refusePolicy(as.approveRelease(DIGEST, '1.0.0', 77n), 'PolicyReleaseExists')
        await expect(as.revokeRelease(DIGEST))
          .to.emit(policy, 'ReleaseRevoked')
          .withArgs(3n, DIGEST)
        await refusePolicy(as.revokeRelease(DIGEST), 'PolicyReleaseUnknown')
        await refusePolicy(as.approveRelease(DIGEST, '1.0.0', 77n), 'PolicyReleaseExists')
        const [release] = await policy.releases()
        expect([...(release ?? [])]).to.deep.equal([DIGEST, '1.0.0', 77n, true])
      })
    })

    it('shows the newest 256 releases, and takes more for ever', async () => {
      const { policy } = grid.contracts
      await grid.asTimelock(async (owner) => {
        const as = policy.connect(owner)
        for (let i = 0; i < 258; i += 1) {
          await as.approveRelease(`0x${i.toString(16).padStart(64, '0')}`, 'r', 0n)
        }
        const shown = await policy.releases()
        expect(shown.length).to.equal(256)
        expect(BigInt(shown[0]?.imageDigest ?? 0)).to.equal(2n)
        expect(BigInt(shown[255]?.imageDigest ?? 0)).to.equal(257n)
        await as.revokeRelease(`0x${'0'.repeat(64)}`)
      })
    })

    it('needs one initial value for each parameter, and takes it', async () => {
      const factory = await grid.connection.ethers.getContractFactory('Policy')
      await refusePolicy(factory.deploy(grid.timelock, [1n]), 'PolicyValueCount')
      const values = Object.values(grid.parameters.policy)
      const initial = values.with(0, 3n)
      const policy = await factory.deploy(grid.timelock, initial)
      for (const [parameter, value] of initial.entries()) {
        expect(await policy.value(parameter)).to.equal(value)
      }
      const contradictory = values.with(2, 5n)
      await refusePolicy(factory.deploy(grid.timelock, contradictory), 'PolicyInconsistent')
      await refusePolicy(factory.deploy(grid.timelock, values.with(1, 0n)), 'PolicyOutOfBounds')
    })
  })
})
