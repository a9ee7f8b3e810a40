/** The SDK against the real contracts on the real local ledger: what a tenant, a farmer and a voter do. */
import { assert } from 'chai'
import { bytesEqual } from '../../../agent/base/bytes.ts'
import { codeOf, NodeError } from '../../../agent/base/errors.ts'
import { open } from '../../../agent/base/sealing.ts'
import { volumeKeyCommitment, volumeKeyContext } from '../../../agent/base/volume-keys.ts'
import {
  Grid,
  parseTokens,
  slotSizes,
  type TransactionProgress,
} from '../../../client/sdk/index.ts'
import {
  CAPACITY_BYTES,
  GIB,
  type GridFixture,
  gridFixture,
  PRICE,
  VOTING_SECONDS,
} from './grid-fixture.ts'

const DAY = 86_400
const mined = { until: 'mined' } as const

describe('SDK on a grid of seven nodes', () => {
  let fixture: GridFixture
  let tenant: Grid
  let holder: Grid

  before(async () => {
    fixture = await gridFixture(7)
    tenant = await fixture.connect(fixture.tenant)
    holder = await fixture.connect(fixture.holder)
    const { account } = await tenant.balance()
    await holder.transfer(account, parseTokens('1000') ?? 0n, mined)
    await holder.delegate(undefined, mined)
    await fixture.beat()
  })
  after(async () => {
    tenant?.close()
    holder?.close()
    await fixture?.close()
  })

  it('reads nodes and farms as they registered', async () => {
    const [nodes, farms] = await Promise.all([tenant.nodes(), tenant.farms()])
    assert.deepEqual(
      nodes.map((node) => [node.id, node.farm, node.account, node.isAlive, node.freeBytes]),
      fixture.nodes.map((node, at) => [
        at + 1,
        at + 1,
        node.account,
        true,
        CAPACITY_BYTES,
      ]) as never,
    )
    assert.deepEqual(
      farms.map(({ name }) => name),
      fixture.nodes.map((_, at) => `farm ${at + 1}`),
    )
  })

  it('orders a volume on distinct farms and a mount whose node can open the key', async () => {
    const told: TransactionProgress[] = []
    const onProgress = (one: TransactionProgress) => told.push(one)
    const quote = await tenant.quoteVolume({ sizeBytes: GIB, seconds: DAY })
    const { dataBytes, metaBytes } = slotSizes({
      ...{ sizeBytes: GIB, dataShards: 4, parityShards: 2, metaStores: 3 },
    })
    assert.equal(quote.missing, quote.price, 'nothing is deposited yet')
    const placed = await tenant.place(quote, { onProgress })
    assert.deepEqual(
      told.map(({ stage }) => stage),
      ['sent', 'mined', 'sent', 'mined', 'final'],
    )

    const volume = await tenant.order(placed.order)
    assert.deepEqual(
      volume.slots.map(({ role, sizeBytes }) => [role, sizeBytes]),
      [
        ...Array.from({ length: 4 }, () => ['data', dataBytes]),
        ...Array.from({ length: 2 }, () => ['parity', dataBytes]),
        ...Array.from({ length: 3 }, () => ['metadata', metaBytes]),
      ] as never,
    )
    for (const group of [volume.slots.slice(0, 6), volume.slots.slice(6)]) {
      assert.equal(new Set(group.map(({ node }) => node)).size, group.length)
    }
    assert.equal(volume.ratePerSecond, quote.ratePerSecond)
    assert.equal(volume.paidUntil - volume.placedAt, DAY)
    assert.equal(volume.held, quote.price)

    const name = 'geth/ancient'
    const mount = await tenant.orderMount({ volume: volume.id, node: 7, name, seconds: DAY }, mined)
    const { spec, volume: parent, slots } = await tenant.order(mount.order)
    assert.equal(parent, volume.id)
    assert.deepEqual([slots.length, slots[0]?.role, slots[0]?.node], [1, 'mount', 7] as never)
    assert.deepEqual((await tenant.order(volume.id)).mounts, [mount.order])
    assert.equal(spec?.kind, 'mount')
    if (spec?.kind !== 'mount' || volume.spec?.kind !== 'volume') return
    const node = fixture.nodes[6]
    assert.isDefined(node)
    const context = volumeKeyContext({
      ...{ chainId: tenant.chainId, grid: tenant.address, volume: volume.id },
      account: node!.account,
    })
    const key = open(node!, spec.sealedKey, context)
    assert.isTrue(bytesEqual(volumeKeyCommitment(key), volume.spec.keyCommitment))

    const again = await tenant.quoteMount({
      ...{ volume: volume.id, node: 1, name: 'reader', readOnly: true, seconds: DAY },
    })
    const other = again.spec.kind === 'mount' ? again.spec.sealedKey : new Uint8Array()
    const otherContext = context.replace(node!.account, fixture.nodes[0]?.account ?? '')
    assert.isTrue(bytesEqual(open(fixture.nodes[0]!, other, otherContext), key), 'found again')
  })

  it('gives each volume another key', async () => {
    const commitments = new Set<string>()
    for (let round = 0; round < 2; round++) {
      const { order } = await tenant.orderVolume(
        { sizeBytes: GIB / 4, dataShards: 2, parityShards: 1, seconds: DAY },
        mined,
      )
      const { spec } = await tenant.order(order)
      if (spec?.kind === 'volume') commitments.add(Buffer.from(spec.keyCommitment).toString('hex'))
    }
    assert.equal(commitments.size, 2)
  })

  it('orders a store, extends it, cancels it, and gets the exact rest back', async () => {
    const request = { sizeBytes: GIB, seconds: DAY, mode: 'seq', worm: true } as const
    const { order } = await tenant.orderStore(request, mined)
    const placed = await tenant.order(order)
    assert.deepEqual(
      { kind: placed.kind, state: placed.state, rate: placed.ratePerSecond },
      { kind: 'store', state: 'live', rate: PRICE },
    )
    assert.deepInclude(placed.spec as object, { mode: 'seq', worm: true })
    const { price } = await tenant.extend(order, 3600, mined)
    assert.equal(price, 3600n * PRICE)
    assert.equal((await tenant.order(order)).paidUntil, placed.paidUntil + 3600)

    const before = await tenant.balance()
    const { refund } = await tenant.cancel(order, mined)
    const ended = await tenant.order(order)
    const after = await tenant.balance()
    assert.equal(ended.state, 'ended')
    assert.equal(after.free - before.free, refund)
    const earned = BigInt(ended.endedAt - ended.placedAt) * PRICE
    assert.isTrue((refund ?? 0n) >= BigInt(DAY + 3600) * PRICE - earned)
    assert.include(
      (await tenant.orders()).map(({ id }) => id),
      order,
    )
    await tenant.withdraw(after.free, mined)
    assert.equal((await tenant.balance()).free, 0n)
  })

  it('moves a slot of a volume to another node', async () => {
    const shape = { sizeBytes: GIB / 4, dataShards: 2, parityShards: 1, metaStores: 3 }
    const { order } = await tenant.orderVolume({ ...shape, seconds: DAY }, mined)
    const { slots } = await tenant.order(order)
    const used = new Set(slots.slice(0, 3).map(({ node }) => Number(node)))
    const node = [1, 2, 3, 4, 5, 6, 7].find((id) => !used.has(id)) ?? 0
    await tenant.replace({ order, slot: 1, node }, mined)
    const moved = (await tenant.order(order)).slots[1]
    assert.deepEqual([Number(moved?.node), moved?.generation], [node, 1])
    await tenant.settle(order, mined)
  })

  it('changes policy by a vote that is proposed, passed, queued and executed', async () => {
    const { proposal } = await holder.propose(
      [{ kind: 'parameter', parameter: 'scrub-seconds', value: 7200n }],
      undefined,
      mined,
    )
    assert.isDefined(proposal)
    const id = proposal ?? 0n
    const pending = await holder.proposal(id)
    assert.deepEqual(pending.actions, ['set scrubSeconds to 7200 (2h)'])
    assert.equal(pending.state, 'pending')
    await holder.untilProposal(id, 'active')
    await holder.vote(id, 'for', 'scrub less', mined)
    const states: string[] = []
    const onState = ({ state }: { readonly state: string }) => {
      states.push(state)
      if (state === 'active') void fixture.devnet.advance(VOTING_SECONDS)
    }
    await holder.untilProposal(id, 'succeeded', { onState })
    assert.deepEqual(states, ['active', 'succeeded'])
    await fixture.beat()
    await holder.queue(id, mined)
    await holder.untilProposal(id, 'executable')
    await holder.execute(id, mined)
    const policy = await tenant.policy()
    assert.equal(policy.parameters.find(({ name }) => name === 'scrubSeconds')?.value, 7200n)
    const done = await holder.proposal(String(id).slice(0, 12))
    assert.equal(done.state, 'executed')
    assert.isTrue(done.votes.for > 0n && done.votes.against === 0n)
  })

  it('approves a release by a vote', async () => {
    const imageDigest = `0x${'ab'.repeat(32)}`
    const action = {
      kind: 'approve-release',
      imageDigest,
      version: '1.2.3',
      activatesAt: 0,
    } as const
    const { proposal } = await holder.propose([action], 'Release 1.2.3', mined)
    const id = proposal ?? 0n
    await holder.untilProposal(id, 'active')
    await holder.vote(id, 'for', '', mined)
    await fixture.devnet.advance(VOTING_SECONDS)
    await holder.untilProposal(id, 'succeeded')
    await fixture.beat()
    await holder.queue(id, mined)
    await holder.untilProposal(id, 'executable')
    await holder.execute(id, mined)
    assert.deepInclude((await tenant.policy()).releases[0], { imageDigest, version: '1.2.3' })
  })

  describe('explains refusals with a code and a hint:', () => {
    const stranger = `0x${'77'.repeat(20)}`
    // biome-ignore format: a table to read down
    const cases: [why: string, code: string, act: () => Promise<unknown>][] = [
      ['an order that is not there', 'ORDER_NOT_FOUND', () => tenant.order(9999)],
      ['a time too short', 'ORDER_DURATION_OUT_OF_RANGE', () => tenant.orderStore({ sizeBytes: GIB, seconds: 1 })],
      ['more than any node has', 'NODES_TOO_FEW', () => tenant.orderStore({ sizeBytes: 2 * CAPACITY_BYTES, seconds: DAY })],
      ['more farms than there are', 'NODES_TOO_FEW', () => tenant.orderVolume({ sizeBytes: GIB, dataShards: 6, parityShards: 2, seconds: DAY })],
      ['a node filled by the order itself', 'NODE_FULL', () => tenant.orderStore({ sizeBytes: 2 * CAPACITY_BYTES, node: 1, seconds: DAY })],
      ['a path that leaves the root', 'SPEC_NAME_INVALID', () => tenant.orderMount({ volume: 1, node: 6, name: '../etc', seconds: DAY })],
      ['a mount that is there', 'ORDER_MOUNT_EXISTS', () => tenant.orderMount({ volume: 1, node: 7, name: 'geth/ancient', seconds: DAY })],
      ['a mount of what is no volume', 'VOLUME_INVALID', () => tenant.orderMount({ volume: 2, node: 7, name: 'x', seconds: DAY })],
      ['a mount of a stranger’s volume', 'VOLUME_KEY_UNKNOWN', () => holder.orderMount({ volume: 1, node: 7, name: 'y', seconds: DAY })],
      ['a node that is not there', 'NODE_NOT_FOUND', () => tenant.orderStore({ sizeBytes: GIB, node: 99, seconds: DAY })],
      ['a stranger’s order', 'ORDER_NOT_TENANT', () => holder.cancel(1)],
      ['more tokens than there are', 'TOKENS_MISSING', () => tenant.deposit(10n ** 30n)],
      ['more than is free', 'ESCROW_BALANCE_TOO_LOW', () => tenant.withdraw(10n ** 30n)],
      ['a farm of another', 'FARM_NOT_OWNER', () => tenant.sponsor({ farm: 1, account: stranger, stake: 0n, gasWei: 0n })],
      ['a parameter that is not there', 'PARAMETER_UNKNOWN', () => holder.propose([{ kind: 'parameter', parameter: 'taste', value: 1n }])],
      ['a value out of bounds', 'POLICY_OUT_OF_BOUNDS', () => holder.propose([{ kind: 'parameter', parameter: 'scrubSeconds', value: 10n ** 18n }])],
      ['a proposal that is not there', 'PROPOSAL_NOT_FOUND', () => holder.vote(123456789012345678901n, 'for')],
    ]
    for (const [why, code, act] of cases) {
      it(why, async () => {
        const before = await tenant.balance()
        const caught = await act().then(
          () => undefined,
          (failure: unknown) => failure,
        )
        assert.equal(codeOf(caught), code, String(caught))
        assert.instanceOf(caught, NodeError)
        const { tokens, free } = await tenant.balance()
        assert.deepEqual({ tokens, free }, { tokens: before.tokens, free: before.free })
      })
    }

    it('no key', async () => {
      const reader = await fixture.connect(undefined)
      try {
        assert.isAbove((await reader.nodes()).length, 0)
        assert.equal(await reader.cancel(1).then(() => '', codeOf), 'SIGNER_MISSING')
      } finally {
        reader.close()
      }
    })

    it('no ledger, and no grid', async () => {
      const url = 'http://127.0.0.1:9'
      const { address } = tenant
      assert.equal(
        await Grid.connect({ url, address }).then(() => '', codeOf),
        'LEDGER_UNREACHABLE',
      )
      const elsewhere = { url: fixture.devnet.url, address: stranger }
      assert.equal(await Grid.connect(elsewhere).then(() => '', codeOf), 'GRID_MISSING')
      const token = { url: fixture.devnet.url, address: fixture.deployed.contracts.token }
      assert.equal(await Grid.connect(token).then(() => '', codeOf), 'GRID_MISSING')
    })

    it('no gas', async () => {
      const poor = await fixture.connect(`0x${'13'.repeat(32)}`)
      try {
        assert.equal(await poor.createFarm('x').then(() => '', codeOf), 'GAS_MISSING')
      } finally {
        poor.close()
      }
    })
  })
})
