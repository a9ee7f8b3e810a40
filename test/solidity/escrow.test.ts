// Escrow: deposits, permits, withdrawals, and who may move what.
import { expect } from 'chai'
import { type HDNodeWallet, Signature, type Signer, Wallet } from 'ethers'
import { anAccount, deployTestGrid, type TestGrid, TOKEN } from './support/grid.ts'

describe('Escrow', () => {
  let grid: TestGrid
  let tenant: Signer
  let restore: () => Promise<void>

  const as = (signer: Signer) => grid.contracts.escrow.connect(signer)
  const refuse = (call: Promise<unknown>, error: string) =>
    expect(call).to.be.revertedWithCustomError(grid.contracts.escrow, error)

  before(async () => {
    grid = await deployTestGrid()
    tenant = grid.actors.tenant
    await grid.fund(tenant)
    restore = await grid.snapshot()
  })
  beforeEach(() => restore())

  it('takes deposits for anyone and gives back only to the account itself', async () => {
    const address = await grid.actors.attacker.getAddress()
    await expect(as(tenant).deposit(address, 10n))
      .to.emit(grid.contracts.escrow, 'Deposited')
      .withArgs(address, await tenant.getAddress(), 10n)
    await refuse(as(tenant).withdraw(1n), 'EscrowBalanceTooLow')
    await expect(as(grid.actors.attacker).withdraw(10n))
      .to.emit(grid.contracts.escrow, 'Withdrawn')
      .withArgs(address, 10n)
    expect(await grid.contracts.token.balanceOf(address)).to.equal(10n)
    expect([...(await grid.contracts.escrow.totals())]).to.deep.equal([10n, 10n, 0n, 0n])
  })

  it('refuses amounts of nothing or beyond 120 bits, and the account zero', async () => {
    const address = await tenant.getAddress()
    await refuse(as(tenant).deposit(address, 0n), 'EscrowAmountInvalid')
    await refuse(as(tenant).deposit(address, 1n << 120n), 'EscrowAmountInvalid')
    // The largest amount is none that anybody has, and is asked of the token.
    await expect(as(tenant).deposit(address, (1n << 120n) - 1n)).to.be.revertedWithCustomError(
      grid.contracts.token,
      'ERC20InsufficientAllowance',
    )
    await refuse(as(tenant).deposit(anAccount(0), 1n), 'EscrowAccountZero')
    await refuse(as(tenant).withdraw(0n), 'EscrowAmountInvalid')
  })

  it('deposits with a permit, even if somebody submitted that permit first', async () => {
    const { token, escrow } = grid.contracts
    const wallet = new Wallet(`0x${'21'.repeat(32)}`, grid.connection.ethers.provider as never)
    await grid.actors.holder.sendTransaction({ to: wallet.address, value: TOKEN })
    await token.transfer(wallet.address, 100n)
    const spender = await escrow.getAddress()
    const permit = await signPermit(grid, wallet, spender, 60n)
    await token
      .connect(grid.actors.attacker)
      .permit(wallet.address, spender, 60n, permit.deadline, permit.v, permit.r, permit.s)
    await as(wallet).depositWithPermit(
      wallet.address,
      60n,
      permit.deadline,
      permit.v,
      permit.r,
      permit.s,
    )
    expect(await escrow.freeBalance(wallet.address)).to.equal(60n)
    const second = await signPermit(grid, wallet, spender, 40n)
    await as(wallet).depositWithPermit(
      wallet.address,
      40n,
      second.deadline,
      second.v,
      second.r,
      second.s,
    )
    expect(await escrow.freeBalance(wallet.address)).to.equal(100n)
  })

  it('moves held money only for the order book', async () => {
    const address = await tenant.getAddress()
    for (const signer of [tenant, grid.actors.attacker, grid.actors.holder]) {
      await refuse(as(signer).hold(address, address, 1n), 'EscrowOnlyOrders')
      await refuse(as(signer).pay(address, [], [], 1n), 'EscrowOnlyOrders')
    }
  })

  it('is left alone by the timelock: no vote can move a balance', async () => {
    const address = await tenant.getAddress()
    await as(tenant).deposit(address, 10n)
    await grid.asTimelock(async (lock) => {
      await refuse(as(lock).withdraw(10n), 'EscrowBalanceTooLow')
      await refuse(as(lock).pay(address, [], [], 10n), 'EscrowOnlyOrders')
    })
  })

  it('checks what the order book asks', async () => {
    const book = await grid.impersonate(await grid.contracts.orders.getAddress())
    const address = await tenant.getAddress()
    await refuse(as(book).hold(address, address, 1n << 120n), 'EscrowAmountInvalid')
    await expect(as(book).hold(address, address, (1n << 120n) - 1n)).to.be.revertedWithCustomError(
      grid.contracts.token,
      'ERC20InsufficientAllowance',
    )
    await as(book).hold(address, address, 10n)
    expect(await grid.contracts.escrow.heldOf(address)).to.equal(10n)
    // More than is held cannot be paid out, to nobody and not in parts.
    await expect(as(book).pay(address, [anAccount(1)], [6n], 5n)).to.be.revertedWithPanic(0x11)
    await expect(as(book).pay(address, [anAccount(1), anAccount(2)], [6n, 0n], 4n))
      .to.emit(grid.contracts.escrow, 'Earned')
      .withArgs(anAccount(1), address, 6n)
    expect(await grid.contracts.escrow.freeBalance(anAccount(1))).to.equal(6n)
    expect(await grid.contracts.escrow.freeBalance(address)).to.equal(4n)
  })

  it('pays single units', async () => {
    const book = await grid.impersonate(await grid.contracts.orders.getAddress())
    const address = await tenant.getAddress()
    await as(book).hold(address, address, 2n)
    await as(book).pay(address, [anAccount(1)], [1n], 1n)
    expect(await grid.contracts.escrow.freeBalance(anAccount(1))).to.equal(1n)
    expect(await grid.contracts.escrow.freeBalance(address)).to.equal(1n)
    expect(await grid.contracts.escrow.heldOf(address)).to.equal(0n)
  })

  it('holds nothing that has streamed already, and pulls what is missing to the unit', async () => {
    const book = await grid.impersonate(await grid.contracts.orders.getAddress())
    const payer = await tenant.getAddress()
    await as(tenant).deposit(payer, 1_100n)
    await as(book).stream(payer, 1n, 1_000n, 0n)
    expect(await grid.contracts.escrow.heldOf(payer)).to.equal(1_000n)
    await grid.at(BigInt(await grid.time.latest()) + 60n)
    await expect(as(book).hold(payer, payer, 41n))
      .to.emit(grid.contracts.escrow, 'Deposited')
      .withArgs(payer, payer, 1n)
    expect(await grid.contracts.escrow.freeBalance(payer)).to.equal(0n)
    expect(await grid.contracts.escrow.heldOf(payer)).to.equal(1_101n)
  })

  it('takes nothing for a stream that ended from what is paid or refunded later', async () => {
    const book = await grid.impersonate(await grid.contracts.orders.getAddress())
    const payer = await tenant.getAddress()
    const payee = anAccount(7)
    const graceSeconds = 100n
    for (const account of [payer, payee]) {
      await as(tenant).deposit(account, 10n + graceSeconds)
      await as(book).stream(account, 1n, graceSeconds, 0n)
    }
    await grid.pass(10n + graceSeconds)
    await grid.fund(grid.actors.holder)
    await as(book).hold(await grid.actors.holder.getAddress(), payer, 12n)
    await as(book).pay(payer, [payee], [7n], 5n)
    expect(await grid.contracts.escrow.freeBalance(payee)).to.equal(7n)
    expect(await grid.contracts.escrow.freeBalance(payer)).to.equal(5n)
    expect(await grid.contracts.escrow.heldOf(payer)).to.equal(10n + graceSeconds)
  })
})

async function signPermit(
  grid: TestGrid,
  wallet: Wallet | HDNodeWallet,
  spender: string,
  value: bigint,
) {
  const { token } = grid.contracts
  const { chainId } = await grid.connection.ethers.provider.getNetwork()
  const deadline = 2n ** 40n
  const signature = await wallet.signTypedData(
    { name: 'Varve Grid', version: '1', chainId, verifyingContract: await token.getAddress() },
    {
      Permit: [
        { name: 'owner', type: 'address' },
        { name: 'spender', type: 'address' },
        { name: 'value', type: 'uint256' },
        { name: 'nonce', type: 'uint256' },
        { name: 'deadline', type: 'uint256' },
      ],
    },
    {
      owner: wallet.address,
      spender,
      value,
      nonce: await token.nonces(wallet.address),
      deadline,
    },
  )
  const { v, r, s } = Signature.from(signature)
  return { deadline, v, r, s }
}
