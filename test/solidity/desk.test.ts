// The order desk: signed orders, keys that act for a tenant, and everything they must not do.
import { expect } from 'chai'
import { type BytesLike, type Signer, Wallet } from 'ethers'
import {
  ANY_RATE,
  deployTestGrid,
  GIB,
  KIND,
  STATE,
  storeSpec,
  type TestGrid,
  TOKEN,
} from './support/grid.ts'

const RIGHT = { None: 0, Extend: 1, Manage: 2 } as const
const FOREVER = 2n ** 40n

describe('OrderDesk', () => {
  let grid: TestGrid
  let tenant: Wallet
  let key: Signer
  let keeper: Signer
  let restore: () => Promise<void>

  const desk = (signer: Signer) => grid.contracts.desk.connect(signer)
  const refuse = (call: Promise<unknown>, error: string) =>
    expect(call).to.be.revertedWithCustomError(grid.contracts.desk, error)
  const encode = (name: 'extend' | 'cancel' | 'replace' | 'settle', args: unknown[]) =>
    grid.contracts.orders.interface.encodeFunctionData(name as 'extend', args as [bigint, bigint])
  const place = () =>
    grid.contracts.orders.interface.encodeFunctionData('place', [
      KIND.Store,
      0n,
      storeSpec(),
      [{ node: 1n, sizeBytes: GIB }],
      100n,
      10n ** 6n,
    ])

  before(async () => {
    grid = await deployTestGrid({ policy: { HeartbeatSeconds: 10_000n, LostSeconds: 20_000n } })
    key = grid.actors.tenant
    keeper = grid.actors.attacker
    await grid.addNodes(2)
    tenant = new Wallet(`0x${'31'.repeat(32)}`, grid.connection.ethers.provider as never)
    await grid.actors.holder.sendTransaction({ to: tenant.address, value: TOKEN })
    await grid.fund(tenant)
    restore = await grid.snapshot()
  })
  beforeEach(() => restore())

  const sign = async (
    call: string,
    change: Partial<{ tenant: string; signer: string; nonce: bigint; deadline: bigint }> = {},
    by: Wallet = tenant,
  ) => {
    const request = {
      tenant: change.tenant ?? tenant.address,
      signer: change.signer ?? by.address,
      call,
      nonce: change.nonce ?? 0n,
      deadline: change.deadline ?? FOREVER,
    }
    const { chainId } = await grid.connection.ethers.provider.getNetwork()
    const signature = await by.signTypedData(
      {
        name: 'Varve OrderDesk',
        version: '1',
        chainId,
        verifyingContract: await grid.contracts.desk.getAddress(),
      },
      {
        OrderRequest: [
          { name: 'tenant', type: 'address' },
          { name: 'signer', type: 'address' },
          { name: 'call', type: 'bytes' },
          { name: 'nonce', type: 'uint256' },
          { name: 'deadline', type: 'uint256' },
        ],
      },
      request,
    )
    return [request, signature] as [typeof request, BytesLike]
  }

  it('places a signed order that anyone brings, with the tenant’s money', async () => {
    const { orders, token } = grid.contracts
    const before = await token.balanceOf(tenant.address)
    await desk(keeper).submit(...(await sign(place())))
    const order = await grid.order(1n)
    expect(order.tenant).to.equal(tenant.address)
    expect(before - (await token.balanceOf(tenant.address))).to.equal(
      (100n + grid.parameters.policy.GraceSeconds) * 1000n,
    )
    expect(await orders.tenantOf(1n)).to.equal(tenant.address)
  })

  it('extends, replaces and cancels by signature', async () => {
    await desk(keeper).submit(...(await sign(place())))
    await desk(keeper).submit(...(await sign(encode('extend', [1n, 50n]), { nonce: 1n })))
    await desk(keeper).submit(
      ...(await sign(encode('replace', [1n, 0, 2n, ANY_RATE]), { nonce: 2n })),
    )
    await desk(keeper).submit(...(await sign(encode('cancel', [1n]), { nonce: 3n })))
    expect((await grid.order(1n)).state).to.equal(STATE.Ended)
  })

  it('takes a signature once, in time, and only as signed', async () => {
    const [request, signature] = await sign(place())
    await desk(keeper).submit(request, signature)
    await refuse(desk(keeper).submit(request, signature), 'InvalidAccountNonce')
    const changed = { ...request, nonce: 1n }
    await refuse(desk(keeper).submit(changed, signature), 'DeskSignatureInvalid')
    const now = BigInt(await grid.time.latest())
    await refuse(
      desk(keeper).submit(...(await sign(place(), { nonce: 1n, deadline: now }))),
      'DeskRequestLate',
    )
    const last = BigInt(await grid.time.latest()) + 10n
    const intime = await sign(place(), { nonce: 1n, deadline: last })
    await grid.at(last)
    await desk(keeper).submit(...intime)
    await refuse(
      desk(keeper).submit(...(await sign(place(), { signer: await keeper.getAddress() }))),
      'DeskSignatureInvalid',
    )
  })

  it('counts nonces apart for every key, and lets a signer void one', async () => {
    const other = 7n << 64n
    await desk(keeper).submit(...(await sign(place(), { nonce: other })))
    await desk(keeper).submit(...(await sign(place(), { nonce: 0n })))
    await desk(tenant).skip(7n)
    await refuse(
      desk(keeper).submit(...(await sign(place(), { nonce: other + 1n }))),
      'InvalidAccountNonce',
    )
  })

  it('passes on nothing but acts of a tenant', async () => {
    await refuse(desk(keeper).submit(...(await sign(encode('settle', [1n])))), 'DeskActUnknown')
    await refuse(desk(keeper).submit(...(await sign('0x'))), 'DeskActUnknown')
  })

  it('says why the order book refused', async () => {
    await expect(
      desk(keeper).submit(...(await sign(encode('cancel', [9n])))),
    ).to.be.revertedWithCustomError(grid.contracts.orders, 'OrderNotTenant')
  })

  it('lets a manager do all that the tenant can with orders, until it may not', async () => {
    const address = await key.getAddress()
    await expect(desk(tenant).allow(address, RIGHT.Manage, FOREVER))
      .to.emit(grid.contracts.desk, 'RightChanged')
      .withArgs(tenant.address, address, RIGHT.Manage, FOREVER)
    await desk(key).actFor(tenant.address, place())
    await desk(key).actFor(tenant.address, encode('extend', [1n, 10n]))
    await desk(key).actFor(tenant.address, encode('cancel', [1n]))
    expect((await grid.order(1n)).tenant).to.equal(tenant.address)
    await desk(tenant).allow(address, RIGHT.None, FOREVER)
    await refuse(desk(key).actFor(tenant.address, place()), 'DeskNoRight')
  })

  it('ends a right at its time', async () => {
    const address = await key.getAddress()
    const until = BigInt(await grid.time.latest()) + 100n
    await desk(tenant).allow(address, RIGHT.Manage, until)
    await grid.at(until)
    await desk(key).actFor(tenant.address, place())
    await refuse(desk(key).actFor(tenant.address, place()), 'DeskNoRight')
    await grid.pass(1n)
    expect((await grid.contracts.desk.rightOf(tenant.address, address))[0]).to.equal(0n)
  })

  it('lets an extender only extend, and only its tenant’s orders', async () => {
    const address = await key.getAddress()
    await desk(tenant).allow(address, RIGHT.Extend, FOREVER)
    await grid.contracts.orders
      .connect(tenant)
      .place(KIND.Store, 0n, storeSpec(), [{ node: 1n, sizeBytes: GIB }], 100n, 10n ** 6n)
    await grid.fund(keeper)
    await grid.place(KIND.Store, storeSpec(), [{ node: 1n, sizeBytes: GIB }], { tenant: keeper })
    await desk(key).actFor(tenant.address, encode('extend', [1n, 10n]))
    for (const call of [
      place(),
      encode('cancel', [1n]),
      encode('replace', [1n, 0, 2n, ANY_RATE]),
    ]) {
      await refuse(desk(key).actFor(tenant.address, call), 'DeskNoRight')
    }
    await refuse(desk(key).actFor(tenant.address, encode('extend', [2n, 10n])), 'DeskForeignOrder')
  })

  it('lets a delegated key sign too', async () => {
    const signer = new Wallet(`0x${'41'.repeat(32)}`)
    await refuse(desk(keeper).submit(...(await sign(place(), {}, signer))), 'DeskNoRight')
    await desk(tenant).allow(signer.address, RIGHT.Manage, FOREVER)
    await desk(keeper).submit(...(await sign(place(), {}, signer)))
    expect((await grid.order(1n)).tenant).to.equal(tenant.address)
  })

  it('is the only one that the order book believes: appended bytes mean nothing from others', async () => {
    await grid.contracts.orders
      .connect(tenant)
      .place(KIND.Store, 0n, storeSpec(), [{ node: 1n, sizeBytes: GIB }], 100n, 10n ** 6n)
    const forged = `${encode('cancel', [1n])}${tenant.address.slice(2)}`
    await expect(
      keeper.sendTransaction({ to: await grid.contracts.orders.getAddress(), data: forged }),
    ).to.be.revertedWithCustomError(grid.contracts.orders, 'OrderNotTenant')
  })
})
