// Contractors: agreements, milestones and their money, from every role.
import { expect } from 'chai'
import { type Signer, ZeroAddress, ZeroHash } from 'ethers'
import { anAccount, deployTestGrid, type TestGrid } from './support/grid.ts'

const TERMS = `0x${'7e'.repeat(32)}`
const EVIDENCE = `0x${'e1'.repeat(32)}`
const HOLD = 100n
const DUE = 1000n
const STATE = { Open: 0n, Delivered: 1n, Accepted: 2n, Paid: 3n, Returned: 4n } as const

describe('Contractors', () => {
  let grid: TestGrid
  let contractor: Signer
  let reviewer: Signer
  let stranger: Signer
  let due: bigint
  let restore: () => Promise<void>

  const as = (signer: Signer) => grid.contracts.contractors.connect(signer)
  const refuse = (call: Promise<unknown>, error: string) =>
    expect(call).to.be.revertedWithCustomError(grid.contracts.contractors, error)
  const balanceOf = (address: string) => grid.contracts.token.balanceOf(address)
  const agree = async (
    milestones: { amount: bigint; dueBy: bigint }[],
    who?: string,
    judge?: string,
  ) => {
    const [to, by] = [await contractor.getAddress(), await reviewer.getAddress()]
    return grid.asTimelock((owner) =>
      as(owner).agree(who ?? to, judge ?? by, TERMS, HOLD, milestones),
    )
  }
  const stateOf = async (milestone: number) =>
    (await grid.contracts.contractors.agreements(1n)).milestones[milestone]?.state

  before(async () => {
    grid = await deployTestGrid()
    ;[contractor, reviewer, stranger] = grid.actors.owners as [Signer, Signer, Signer]
    const { token, contractors } = grid.contracts
    await token.transfer(grid.timelock, 10_000n)
    const spender = await contractors.getAddress()
    await grid.asTimelock((owner) => token.connect(owner).approve(spender, 10_000n))
    due = BigInt(await grid.time.latest()) + DUE
    await agree([
      { amount: 300n, dueBy: due },
      { amount: 500n, dueBy: due + DUE },
    ])
    restore = await grid.snapshot()
  })
  beforeEach(() => restore())

  it('sets the whole pay aside and shows everything', async () => {
    const view = await grid.contracts.contractors.agreements(1n)
    expect(view.contractor).to.equal(await contractor.getAddress())
    expect(view.reviewer).to.equal(await reviewer.getAddress())
    expect(view.terms).to.equal(TERMS)
    expect(view.milestones.map((each) => each.amount)).to.deep.equal([300n, 500n])
    expect(await balanceOf(await grid.contracts.contractors.getAddress())).to.equal(800n)
    expect(await grid.contracts.contractors.agreementCount()).to.equal(1n)
  })

  it('tells what was agreed, numbered from one', async () => {
    const { contractors } = grid.contracts
    const parties = [await contractor.getAddress(), await reviewer.getAddress()] as const
    const milestones = [{ amount: 1n, dueBy: due }]
    await grid.asTimelock(async (owner) => {
      const given = await as(owner).agree.staticCall(...parties, TERMS, HOLD, milestones)
      expect(given).to.equal(2n)
      await expect(as(owner).agree(...parties, TERMS, HOLD, milestones))
        .to.emit(contractors, 'AgreementMade')
        .withArgs(2n, ...parties, TERMS)
    })
    const view = await contractors.agreements(2n)
    expect([view.holdSeconds, view.cancelled]).to.deep.equal([HOLD, false])
    expect([...(view.milestones[0] ?? [])]).to.deep.equal([1n, due, STATE.Open, 0n, ZeroHash])
  })

  it('is agreed only by vote, and only if there is something to agree', async () => {
    await refuse(
      as(stranger).agree(anAccount(1), ZeroAddress, TERMS, 0n, [{ amount: 1n, dueBy: due }]),
      'OwnableUnauthorizedAccount',
    )
    await refuse(agree([]), 'AgreementInvalid')
    await refuse(agree([{ amount: 0n, dueBy: due }]), 'AgreementInvalid')
    await refuse(agree([{ amount: 1n, dueBy: due }], ZeroAddress), 'AgreementInvalid')
    await refuse(agree(Array(65).fill({ amount: 1n, dueBy: due })), 'AgreementInvalid')
    await agree(Array(64).fill({ amount: 1n, dueBy: due }))
  })

  it('pays a milestone that was delivered, accepted and held', async () => {
    await expect(as(contractor).deliver(1n, 0n, EVIDENCE))
      .to.emit(grid.contracts.contractors, 'MilestoneChanged')
      .withArgs(1n, 0n, STATE.Delivered, EVIDENCE)
    await as(reviewer).accept(1n, 0n)
    const { payableAt } = (await grid.contracts.contractors.agreements(1n)).milestones[0]!
    expect(payableAt).to.equal(BigInt(await grid.time.latest()) + HOLD)
    await grid.at(payableAt - 1n)
    await refuse(as(stranger).collect(1n, 0n), 'MilestoneWrongTime')
    await grid.at(payableAt)
    await as(stranger).collect(1n, 0n)
    expect(await balanceOf(await contractor.getAddress())).to.equal(300n)
    expect(await stateOf(0)).to.equal(STATE.Paid)
    await refuse(as(stranger).collect(1n, 0n), 'MilestoneWrongState')
  })

  it('keeps what was handed in, up to the last second of its time', async () => {
    await grid.at(due)
    await as(contractor).deliver(1n, 0n, EVIDENCE)
    const [first] = (await grid.contracts.contractors.agreements(1n)).milestones
    expect(first?.evidence).to.equal(EVIDENCE)
  })

  it('judges only what was handed in', async () => {
    await refuse(as(reviewer).accept(1n, 0n), 'MilestoneWrongState')
    await refuse(as(reviewer).reject(1n, 0n, TERMS), 'MilestoneWrongState')
    await refuse(as(stranger).collect(1n, 0n), 'MilestoneWrongState')
    await grid.asTimelock((owner) => refuse(as(owner).clawBack(1n, 0n), 'MilestoneWrongState'))
    await as(contractor).deliver(1n, 0n, EVIDENCE)
    await grid.at(due + 1n)
    await refuse(as(stranger).lapse(1n, 0n), 'MilestoneWrongState')
  })

  it('lets each step be taken only by whom it is for', async () => {
    await refuse(as(stranger).deliver(1n, 0n, EVIDENCE), 'AgreementNotParty')
    await refuse(as(reviewer).deliver(1n, 0n, EVIDENCE), 'AgreementNotParty')
    await as(contractor).deliver(1n, 0n, EVIDENCE)
    for (const signer of [contractor, stranger]) {
      await refuse(as(signer).accept(1n, 0n), 'AgreementNotParty')
      await refuse(as(signer).reject(1n, 0n, ZeroHash), 'AgreementNotParty')
    }
    await as(reviewer).accept(1n, 0n)
    for (const signer of [contractor, reviewer, stranger]) {
      await refuse(as(signer).clawBack(1n, 0n), 'OwnableUnauthorizedAccount')
    }
    for (const signer of [reviewer, stranger]) {
      await refuse(as(signer).cancel(1n), 'AgreementNotParty')
    }
  })

  it('lets a vote accept where no reviewer does', async () => {
    await as(contractor).deliver(1n, 0n, EVIDENCE)
    await grid.asTimelock((owner) => as(owner).accept(1n, 0n))
    expect(await stateOf(0)).to.equal(STATE.Accepted)
  })

  it('sends rejected work back, with the reason, to be delivered again in time', async () => {
    await as(contractor).deliver(1n, 0n, EVIDENCE)
    await as(reviewer).reject(1n, 0n, TERMS)
    await as(contractor).deliver(1n, 0n, EVIDENCE)
    await as(reviewer).reject(1n, 0n, TERMS)
    await grid.at(due + 1n)
    await refuse(as(contractor).deliver(1n, 0n, EVIDENCE), 'MilestoneWrongTime')
  })

  it('claws back within the hold, and not after', async () => {
    const before = await balanceOf(grid.timelock)
    for (const milestone of [0n, 1n]) {
      await as(contractor).deliver(1n, milestone, EVIDENCE)
      await as(reviewer).accept(1n, milestone)
    }
    await grid.asTimelock((owner) => as(owner).clawBack(1n, 0n))
    expect(await balanceOf(grid.timelock)).to.equal(before + 300n)
    expect(await stateOf(0)).to.equal(STATE.Returned)
    const { payableAt } = (await grid.contracts.contractors.agreements(1n)).milestones[1]!
    await grid.asTimelock(async (owner) => {
      await grid.time.increaseTo(payableAt - 1n)
      await as(owner).clawBack.staticCall(1n, 1n, { blockTag: 'latest' })
      await grid.time.increaseTo(payableAt)
      await refuse(as(owner).clawBack(1n, 1n), 'MilestoneWrongTime')
      await refuse(as(owner).clawBack.staticCall(1n, 1n), 'MilestoneWrongTime')
    })
  })

  it('returns what was not delivered in time, by anyone', async () => {
    await refuse(as(stranger).lapse(1n, 0n), 'MilestoneWrongTime')
    const before = await balanceOf(grid.timelock)
    await grid.at(due)
    await refuse(as(stranger).lapse(1n, 0n), 'MilestoneWrongTime')
    await grid.at(due + 1n)
    await as(stranger).lapse(1n, 0n)
    expect(await balanceOf(grid.timelock)).to.equal(before + 300n)
    await refuse(as(stranger).lapse(1n, 0n), 'MilestoneWrongState')
  })

  it('cancels: what is accepted is still paid, the rest goes back', async () => {
    await as(contractor).deliver(1n, 0n, EVIDENCE)
    await as(reviewer).accept(1n, 0n)
    const before = await balanceOf(grid.timelock)
    await grid.asTimelock((owner) =>
      expect(as(owner).cancel(1n))
        .to.emit(grid.contracts.contractors, 'AgreementCancelled')
        .withArgs(1n, grid.timelock),
    )
    expect((await grid.contracts.contractors.agreements(1n)).cancelled).to.equal(true)
    expect(await balanceOf(grid.timelock)).to.equal(before + 500n)
    expect(await stateOf(1)).to.equal(STATE.Returned)
    await grid.pass(HOLD)
    await as(stranger).collect(1n, 0n)
    expect(await balanceOf(await grid.contracts.contractors.getAddress())).to.equal(0n)
    await refuse(as(contractor).cancel(1n), 'AgreementNotParty')
  })

  it('lets the contractor resign', async () => {
    await as(contractor).deliver(1n, 1n, EVIDENCE)
    await as(contractor).cancel(1n)
    expect(await balanceOf(await grid.contracts.contractors.getAddress())).to.equal(0n)
    await refuse(as(reviewer).accept(1n, 1n), 'MilestoneWrongState')
  })

  it('knows what it does not know', async () => {
    await refuse(as(contractor).deliver(0n, 0n, EVIDENCE), 'MilestoneUnknown')
    await refuse(as(contractor).deliver(2n, 0n, EVIDENCE), 'MilestoneUnknown')
    await refuse(as(contractor).deliver(1n, 2n, EVIDENCE), 'MilestoneUnknown')
    await expect(as(contractor).cancel(2n))
      .to.be.revertedWithCustomError(grid.contracts.contractors, 'MilestoneUnknown')
      .withArgs(2n, 0n)
  })
})
