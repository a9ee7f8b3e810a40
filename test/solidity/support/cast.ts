/**
 * A grid with one of everything and everybody: whoever plays a role in the law, and arguments with which each act succeeds
 * for whom it is for.
 */
import { type Signer, ZeroAddress, ZeroHash } from 'ethers'
import {
  ANY_RATE,
  anAccount,
  deployTestGrid,
  GIB,
  KIND,
  publicKeyOf,
  SEALING_KEY,
  storeSpec,
  type TestGrid,
  TOKEN,
} from './grid.ts'

/** Far beyond any test. */
const FOREVER = 2n ** 40n
const WORD = `0x${'11'.repeat(32)}`
const SIGNATURE = `0x${'11'.repeat(65)}`
const COMMITMENT = [1n, 1n, 0n, 0n, 1n, WORD, 0n]
const ENTRY = [COMMITMENT, 0n, '0x', '0x']
const LOCATION = [WORD, WORD, WORD, [], [], ENTRY]

/** Who is who, and with what arguments what is tried, by contract and signature. */
export interface Cast {
  readonly grid: TestGrid
  readonly roles: ReadonlyMap<string, string>
  readonly samples: Readonly<Record<string, readonly unknown[]>>
}

/** Deploys a grid, and has everybody do what makes them what they are. */
export async function deployCast(): Promise<Cast> {
  const grid = await deployTestGrid({
    policy: {
      ...{ HeartbeatSeconds: 20_000n, LostSeconds: 40_000n, AuditEpochSeconds: 1000n },
      ...{ AuditWindowSeconds: 100n, AuditWindowBlocks: 1n, AuditAnswerSeconds: 50n },
    },
  })
  const { contracts, actors } = grid
  const [farmer, guardian, contractor, reviewer, key, reporter] = actors.owners as [
    ...[Signer, Signer, Signer, Signer, Signer, Signer],
  ]
  const people = {
    ...{ stranger: actors.attacker, tenant: actors.tenant, deployer: actors.holder },
    ...{ farmer, guardian, contractor, reviewer, key, reporter },
  }
  const roles = new Map<string, string>()
  for (const [role, signer] of Object.entries(people)) {
    await grid.fund(signer, 1000n * TOKEN)
    await contracts.token.connect(signer).approve(await contracts.audits.getAddress(), TOKEN)
    roles.set(role, await signer.getAddress())
  }
  const addressOf = (role: string) => roles.get(role) ?? ZeroAddress
  for (const name of ['governor', 'orders', 'audits', 'desk'] as const) {
    roles.set(name, await contracts[name].getAddress())
  }
  roles.set('timelock', grid.timelock)

  const farm = await grid.addFarm(farmer)
  const registry = contracts.nodes.connect(farmer)
  await registry.setReporter(farm, addressOf('reporter'))
  const node = await grid.addNode(farmer, farm)
  await grid.addNode(farmer, await grid.addFarm(farmer))
  const leaving = await grid.addNode(farmer, farm)
  await registry.setDraining(leaving.id, true)
  const sponsored = grid.newWallet()
  await registry.sponsor(farm, sponsored.address, TOKEN)
  await registry.sponsor(farm, anAccount(77), TOKEN)
  roles.set('node', node.wallet.address).set('sponsored', sponsored.address)

  await grid.place(KIND.Store, storeSpec(), [{ node: node.id, sizeBytes: GIB }])
  await contracts.desk.connect(actors.tenant).allow(addressOf('key'), 2, FOREVER)
  await contracts.escrow.connect(actors.tenant).deposit(addressOf('tenant'), 10n)
  const due = BigInt(await grid.time.latest()) + 100_000n
  const milestones = Array(4).fill({ amount: 10n, dueBy: due })
  await contracts.token.transfer(grid.timelock, TOKEN)
  await grid.asTimelock(async (owner) => {
    await contracts.policy.connect(owner).appointGuardian(addressOf('guardian'), FOREVER)
    await contracts.policy.connect(owner).approveRelease(WORD, 'r', 0n)
    await contracts.token.connect(owner).approve(await contracts.contractors.getAddress(), TOKEN)
    const agreements = contracts.contractors.connect(owner)
    const parties = [addressOf('contractor'), addressOf('reviewer')] as const
    await agreements.agree(...parties, ZeroHash, 0n, milestones)
    await agreements.agree(...parties, ZeroHash, 10n * due, milestones)
  })
  for (const agreement of [1n, 2n]) {
    await contracts.contractors.connect(contractor).deliver(agreement, 1n, WORD)
    await contracts.contractors.connect(contractor).deliver(agreement, 2n, WORD)
    await contracts.contractors.connect(reviewer).accept(agreement, 2n)
  }
  await contracts.audits.draw()
  await contracts.token.connect(actors.attacker).delegate(addressOf('stranger'))
  await grid.pass(1n)
  const call = contracts.policy.interface.encodeFunctionData('set', [2, 50_000n])
  const proposal = [[await contracts.policy.getAddress()], [0n], [call]]
  await contracts.governor
    .connect(actors.attacker)
    .propose(proposal[0] as string[], [0n], [call], 'x')
  const described = grid.connection.ethers.id('x')
  const id = await contracts.governor.hashProposal(proposal[0] as string[], [0n], [call], described)
  await grid.pass(2n)

  const milestone = { Open: 0n, Delivered: 1n, Accepted: 2n }
  const cancelFirst = contracts.orders.interface.encodeFunctionData('cancel', [1n])
  const offer = [10n * GIB, 7n]
  const slots = [[2n, GIB]]
  const place = [KIND.Store, 0n, storeSpec(), slots, 100n, 2n ** 96n - 1n]
  const now = BigInt(await grid.time.latest())
  const samples: Cast['samples'] = {
    'Audits.answer(uint64,bytes)': [1n, '0x'],
    'Audits.challenge(uint32,uint32,uint16)': [1n, 1n, 1n],
    'Audits.challengeLocated(uint32,uint32,uint16,tuple)': [1n, 1n, 1n, LOCATION],
    'Audits.collect(uint64)': [1n],
    'Audits.commit(bytes32,uint64)': [WORD, 5n],
    'Audits.demand(tuple,bytes)': [ENTRY, SIGNATURE],
    'Audits.draw()': [],
    'Audits.expire(uint64)': [1n],
    'Audits.locate(uint64,tuple)': [1n, LOCATION],
    'Audits.markMissed(uint32,uint32[])': [1n, [1n]],
    'Audits.openSample(uint32,uint32,tuple,bytes)': [1n, 1n, ENTRY, '0x'],
    'Audits.postDigest(uint32,bytes28)': [1n, `0x${'d1'.repeat(28)}`],
    'Audits.postDigests(uint32,uint32,bytes28,uint256)': [1n, 0n, `0x${'d1'.repeat(28)}`, 2n],
    'Audits.proveBroken(uint32,uint32,uint16,tuple,bytes32,bytes32[])': [
      ...[1n, 1n, 1n, LOCATION, WORD, []],
    ],
    'Audits.proveRepeated(uint32,uint32,tuple,tuple)': [1n, 1n, ENTRY, ENTRY],
    'Audits.setAggregator(address)': [anAccount(5)],
    'Audits.show(uint64,tuple)': [1n, ENTRY],
    'Audits.sweep()': [],
    'Audits.wire(address)': [addressOf('orders')],
    'Audits.withdrawCredit()': [],
    'CapacityVotes.refresh(uint32)': [1n],
    'Contractors.accept(uint256,uint256)': [1n, milestone.Delivered],
    'Contractors.agree(address,address,bytes32,uint64,tuple[])': [
      ...[anAccount(5), anAccount(6), WORD, 0n, [[1n, due]]],
    ],
    'Contractors.cancel(uint256)': [1n],
    'Contractors.clawBack(uint256,uint256)': [2n, milestone.Accepted],
    'Contractors.collect(uint256,uint256)': [1n, milestone.Accepted],
    'Contractors.deliver(uint256,uint256,bytes32)': [1n, milestone.Open, WORD],
    'Contractors.lapse(uint256,uint256)': [1n, milestone.Open],
    'Contractors.reject(uint256,uint256,bytes32)': [1n, milestone.Delivered, WORD],
    'Contractors.transferOwnership(address)': [anAccount(5)],
    'Escrow.accrue(address)': [addressOf('tenant')],
    'Escrow.deposit(address,uint256)': [addressOf('tenant'), 1n],
    'Escrow.depositWithPermit(address,uint256,uint256,uint8,bytes32,bytes32)': [
      ...[addressOf('tenant'), 1n, FOREVER, 27, WORD, WORD],
    ],
    'Escrow.hold(address,address,uint256)': [addressOf('tenant'), addressOf('tenant'), 1n],
    'Escrow.pay(address,address[],uint256[],uint256)': [addressOf('tenant'), [], [], 1n],
    'Escrow.restream(address,uint32,uint256,uint256,uint256)': [
      ...[addressOf('tenant'), 0n, 0n, 0n, 0n],
    ],
    'Escrow.stream(address,uint256,uint24,uint64)': [addressOf('tenant'), 0n, 0n, 0n],
    'Escrow.wire(address)': [addressOf('orders')],
    'Escrow.withdraw(uint256)': [5n],
    'GridGovernor.cancel(address[],uint256[],bytes[],bytes32)': [...proposal, described],
    'GridGovernor.castVote(uint256,uint8)': [id, 1n],
    'GridGovernor.castVoteBySig(uint256,uint8,address,bytes)': [
      ...[id, 1n, addressOf('stranger'), SIGNATURE],
    ],
    'GridGovernor.castVoteWithReason(uint256,uint8,string)': [id, 1n, 'why'],
    'GridGovernor.castVoteWithReasonAndParams(uint256,uint8,string,bytes)': [id, 1n, 'why', '0x'],
    'GridGovernor.castVoteWithReasonAndParamsBySig(uint256,uint8,address,string,bytes,bytes)': [
      ...[id, 1n, addressOf('stranger'), 'why', '0x', SIGNATURE],
    ],
    'GridGovernor.execute(address[],uint256[],bytes[],bytes32)': [...proposal, described],
    'GridGovernor.onERC1155BatchReceived(address,address,uint256[],uint256[],bytes)': [
      ...[anAccount(5), anAccount(5), [], [], '0x'],
    ],
    'GridGovernor.onERC1155Received(address,address,uint256,uint256,bytes)': [
      ...[anAccount(5), anAccount(5), 1n, 1n, '0x'],
    ],
    'GridGovernor.onERC721Received(address,address,uint256,bytes)': [
      ...[anAccount(5), anAccount(5), 1n, '0x'],
    ],
    'GridGovernor.propose(address[],uint256[],bytes[],string)': [...proposal, 'y'],
    'GridGovernor.queue(address[],uint256[],bytes[],bytes32)': [...proposal, described],
    'GridGovernor.relay(address,uint256,bytes)': [anAccount(5), 0n, '0x'],
    'GridGovernor.setProposalThreshold(uint256)': [1n],
    'GridGovernor.setVotingDelay(uint48)': [1n],
    'GridGovernor.setVotingPeriod(uint32)': [1n],
    'GridGovernor.updateQuorumNumerator(uint256)': [1n],
    'GridGovernor.updateTimelock(address)': [anAccount(5)],
    'GridToken.approve(address,uint256)': [anAccount(5), 1n],
    'GridToken.delegate(address)': [anAccount(5)],
    'GridToken.delegateBySig(address,uint256,uint256,uint8,bytes32,bytes32)': [
      ...[anAccount(5), 0n, FOREVER, 27, WORD, `0x${'00'.repeat(32)}`],
    ],
    'GridToken.permit(address,address,uint256,uint256,uint8,bytes32,bytes32)': [
      ...[addressOf('tenant'), anAccount(5), 1n, FOREVER, 27, WORD, WORD],
    ],
    'GridToken.transfer(address,uint256)': [anAccount(5), 1n],
    'GridToken.transferFrom(address,address,uint256)': [addressOf('tenant'), anAccount(5), 1n],
    'Nodes.addStake(uint32,uint128)': [1n, 1n],
    'Nodes.announceMaintenance(uint32,uint64,uint64)': [1n, now + 7200n, now + 7300n],
    'Nodes.createFarm(string)': ['farm'],
    'Nodes.exit(uint32)': [leaving.id],
    'Nodes.heartbeat()': [],
    'Nodes.heartbeats(uint32,uint32[],uint208[])': [farm, [0n], [1n << node.id]],
    'Nodes.lock(tuple[],uint64,uint64)': [slots, 2n ** 63n, 10_000n],
    'Nodes.recordMiss(uint32,uint64,uint64)': [1n, now - 2n, now - 1n],
    'Nodes.register(bytes,bytes,tuple,string[])': [publicKeyOf(sponsored), SEALING_KEY, offer, []],
    'Nodes.setAddresses(string[])': [['/a']],
    'Nodes.setDraining(uint32,bool)': [1n, true],
    'Nodes.setOffer(tuple)': [offer],
    'Nodes.setReporter(uint32,address)': [farm, anAccount(5)],
    'Nodes.setResources(tuple)': [[1n, 1n, 1n, 1n, 1n]],
    'Nodes.slash(uint32,uint256)': [1n, 1n],
    'Nodes.sponsor(uint32,address,uint128)': [farm, anAccount(78), 1n],
    'Nodes.transferFarm(uint32,address)': [farm, anAccount(5)],
    'Nodes.unlock(tuple[])': [[[1n, 1n]]],
    'Nodes.unsponsor(uint32,address)': [farm, anAccount(77)],
    'Nodes.wire(address)': [addressOf('orders')],
    'OrderDesk.actFor(address,bytes)': [addressOf('tenant'), cancelFirst],
    'OrderDesk.allow(address,uint8,uint64)': [anAccount(5), 1n, FOREVER],
    'OrderDesk.skip(uint192)': [1n],
    'OrderDesk.submit(tuple,bytes)': [
      ...[[addressOf('tenant'), addressOf('tenant'), cancelFirst, 0n, FOREVER], SIGNATURE],
    ],
    'OrderDesk.wire(address)': [addressOf('orders')],
    'Orders.cancel(uint64)': [1n],
    'Orders.extend(uint64,uint64)': [1n, 10n],
    'Orders.place(uint8,uint64,bytes,tuple[],uint64,uint96)': place,
    'Nodes.evict(uint32)': [1n],
    'Orders.resign(uint64,uint16)': [1n, 0n],
    'Orders.replace(uint64,uint16,uint32,uint96)': [1n, 0n, 2n, ANY_RATE],
    'Orders.settle(uint64)': [1n],
    'Policy.appointGuardian(address,uint64)': [anAccount(5), FOREVER],
    'Policy.approveRelease(bytes32,string,uint64)': [`0x${'22'.repeat(32)}`, 'r', 0n],
    'Policy.pause(uint64)': [10n],
    'Policy.revokeRelease(bytes32)': [WORD],
    'Policy.set(uint8,uint256)': [2n, 50_000n],
    'Policy.transferOwnership(address)': [anAccount(5)],
    'Policy.unpause()': [],
    'TimelockController.cancel(bytes32)': [WORD],
    'TimelockController.execute(address,uint256,bytes,bytes32,bytes32)': [
      ...[anAccount(5), 0n, '0x', ZeroHash, ZeroHash],
    ],
    'TimelockController.executeBatch(address[],uint256[],bytes[],bytes32,bytes32)': [
      ...[[], [], [], ZeroHash, ZeroHash],
    ],
    'TimelockController.grantRole(bytes32,address)': [ZeroHash, anAccount(5)],
    'TimelockController.onERC1155BatchReceived(address,address,uint256[],uint256[],bytes)': [
      ...[anAccount(5), anAccount(5), [], [], '0x'],
    ],
    'TimelockController.onERC1155Received(address,address,uint256,uint256,bytes)': [
      ...[anAccount(5), anAccount(5), 1n, 1n, '0x'],
    ],
    'TimelockController.onERC721Received(address,address,uint256,bytes)': [
      ...[anAccount(5), anAccount(5), 1n, '0x'],
    ],
    'TimelockController.renounceRole(bytes32,address)': [ZeroHash, grid.timelock],
    'TimelockController.revokeRole(bytes32,address)': [ZeroHash, anAccount(5)],
    'TimelockController.schedule(address,uint256,bytes,bytes32,bytes32,uint256)': [
      ...[anAccount(5), 0n, '0x', ZeroHash, ZeroHash, FOREVER],
    ],
    'TimelockController.scheduleBatch(address[],uint256[],bytes[],bytes32,bytes32,uint256)': [
      ...[[], [], [], ZeroHash, ZeroHash, FOREVER],
    ],
    'TimelockController.updateDelay(uint256)': [1n],
  }
  return { grid, roles, samples }
}
