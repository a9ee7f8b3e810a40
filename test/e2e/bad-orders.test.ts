/**
 * Orders that must not be served: what the contracts know is refused on the ledger by name, the rest in the order's status by
 * the agent; and afterwards the agent serves a good order as if nothing had been.
 */
import { existsSync } from 'node:fs'
import { assert } from 'chai'
import { AbiCoder } from 'ethers'
import { fromHex, toHex } from '../../agent/base/bytes.ts'
import { codeOf, isNodeError } from '../../agent/base/errors.ts'
import { seal } from '../../agent/base/sealing.ts'
import { GIB, MIB } from '../../agent/base/units.ts'
import { volumeKeyContext } from '../../agent/base/volume-keys.ts'
import { ORDER_KINDS, SPEC_TYPES } from '../../agent/ledger/abi.ts'
import type { StatusDocument } from '../../agent/surfaces/status.ts'
import { encodeSpec, type Grid, type Quote, type Spec } from '../../client/sdk/index.ts'
import { send } from '../../client/sdk/transactions.ts'
import type { AgentProcess } from '../../scripts/grid/agent-process.ts'
import { type LocalGrid, until } from '../../scripts/grid/local-grid.ts'
import {
  printComplaints,
  SOON,
  type SuiteGrid,
  startSuiteGrid,
  statusOf,
  untilMounted,
  untilStatus,
} from './support/grid-suite.ts'

const AGENTS = 3
const HOUR = 3_600
const MINED = { until: 'mined' } as const
/** Stores, volumes, mounts, and networks, of which the contracts know only the number. */
const WORKLOADS_ALLOWED = 0b11110n

describe('bad orders', function () {
  this.timeout(180_000)
  let suite: SuiteGrid
  let grid: LocalGrid
  let tenant: Grid
  let agent: AgentProcess
  /** Number of `agent` in the registry, and of another node. */
  let node: number
  let other: number
  let volume: number

  before(async () => {
    suite = await startSuiteGrid({
      agents: AGENTS,
      parameters: (usual) => ({
        ...usual,
        votingPeriodSeconds: 3,
        policy: {
          ...usual.policy,
          HeartbeatSeconds: 30n,
          LostSeconds: 600n,
          WorkloadsAllowed: WORKLOADS_ALLOWED,
        },
      }),
    })
    grid = suite.grid
    agent = grid.agent(0)
    tenant = await grid.connect(grid.tenantKey)
    node = await numberOf(0)
    other = await numberOf(1)
    // The grid has few nodes.
    const few = { metaStores: 2, fewMetaStoresAllowed: true }
    const shape = { sizeBytes: GIB, dataShards: 1, parityShards: 1, ...few, seconds: HOUR }
    volume = (await tenant.orderVolume(shape)).order
  })
  after(async () => {
    tenant?.close()
    await suite?.end()
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') printComplaints(suite?.grid)
  })

  async function numberOf(index: number): Promise<number> {
    const status = await untilStatus('its number', grid.agent(index), (now) => now.node)
    return status.node ?? 0
  }

  /** What a store order looks like that would be taken. */
  const storeSpec = (): Spec => ({
    ...{ kind: 'store', mode: 'user', worm: false, readers: [] },
    writers: ['0x000000000000000000000000000000000000dEaD' as never],
  })

  /** Places by the contract itself, as a careless or hostile client would. @returns The code of the refusal. */
  async function refusalOf(order: {
    readonly kind: number
    readonly spec: string
    readonly slots?: readonly (readonly [number, number])[]
    readonly parent?: number
    readonly seconds?: number
    readonly maxRate?: bigint
  }): Promise<string | undefined> {
    const { kind, spec, slots = [[node, MIB]], parent = 0, seconds = HOUR } = order
    const args = [kind, parent, spec, slots, seconds, order.maxRate ?? 2n ** 90n]
    const { orders } = tenant.connection.contracts
    const before = await tenant.orders()
    const code = await send(
      tenant.connection,
      { what: 'a bad order', contract: orders, name: 'place', args },
      MINED,
    ).then(
      () => 'taken',
      (caught: unknown) => {
        assert.isTrue(isNodeError(caught), String(caught))
        return codeOf(caught)
      },
    )
    assert.lengthOf(await tenant.orders(), before.length, 'nothing is on the ledger')
    return code
  }

  const kindNumber = (kind: Spec['kind']) => ORDER_KINDS.indexOf(kind)
  const encode = (kind: keyof typeof SPEC_TYPES, values: readonly unknown[]) =>
    AbiCoder.defaultAbiCoder().encode([SPEC_TYPES[kind]], [values])
  const volumeSpec = (k: number, m: number, meta = 2) =>
    encode('volume', [1, k, m, meta, true, GIB, `0x${'11'.repeat(32)}`])

  /** The agent's verdict on an order that the ledger took. */
  async function verdictOn(order: number) {
    const status = await untilStatus(`a verdict on order ${order}`, agent, ({ orders }) =>
      orders.some((one) => one.order === order),
    )
    return status.orders.find((one) => one.order === order)
  }

  async function mount(name: string, change: (quote: Quote) => Quote = (quote) => quote) {
    const quote = await tenant.quoteMount({ volume, node, name, readOnly: true, seconds: HOUR })
    return (await tenant.place(change(quote), MINED)).order
  }
  const withKey = (quote: Quote, sealedKey: Uint8Array): Quote => {
    assert(quote.spec.kind === 'mount')
    return { ...quote, spec: { ...quote.spec, sealedKey } }
  }

  async function serves(): Promise<void> {
    const { order } = await tenant.orderStore({ node, sizeBytes: MIB, seconds: HOUR }, MINED)
    await untilStatus(`order ${order} to be provisioned`, agent, ({ slots, orders, ledger }) => {
      const isLive = slots.some(
        ({ namespace, state }) => namespace === `o${order}.0` && state === 'live',
      )
      const state = orders.find((one) => one.order === order)?.state
      return isLive && state === 'provisioned' && ledger.state === 'following'
    })
    await tenant.cancel(order, MINED)
  }

  it('of an unknown kind are refused by the contract', async () => {
    const spec = encodeSpec(storeSpec())
    assert.equal(await refusalOf({ kind: 4, spec }), 'ORDER_KIND_UNKNOWN', 'allowed, not known')
    assert.equal(await refusalOf({ kind: 5, spec }), 'ORDER_KIND_NOT_ALLOWED')
    assert.equal(await refusalOf({ kind: 77, spec }), 'CONTRACT_REFUSED', 'not in the enum')
  })

  it('with a spec that cannot be decoded are refused by the contract', async () => {
    const kind = kindNumber('store')
    const good = encodeSpec(storeSpec())
    for (const spec of ['0x', '0x1234', good.slice(0, -64), `${good}${'00'.repeat(32)}`]) {
      assert.equal(await refusalOf({ kind, spec }), 'SPEC_MALFORMED', spec.slice(0, 20))
    }
    const accounts = ['0x000000000000000000000000000000000000dEaD']
    const version = encode('store', [9, 0, false, accounts, []])
    assert.equal(await refusalOf({ kind, spec: version }), 'SPEC_VERSION_UNKNOWN')
    const mode = encode('store', [1, 7, false, accounts, []])
    assert.equal(await refusalOf({ kind, spec: mode }), 'SPEC_MODE_UNKNOWN')
    const nobody = encode('store', [1, 0, false, [], []])
    assert.equal(await refusalOf({ kind, spec: nobody }), 'SPEC_ACCESS_INVALID')
  })

  it('of more shards than there are nodes are refused by client and contract', async () => {
    const shape = { sizeBytes: GIB, dataShards: 4, parityShards: 2, seconds: HOUR }
    const refused = await tenant.orderVolume(shape).then(() => 'taken', codeOf)
    assert.equal(refused, 'NODES_TOO_FEW')
    const kind = kindNumber('volume')
    const slots = (count: number) => Array.from({ length: count }, () => [node, MIB] as const)
    const apart = encode('volume', [1, 1, 1, 2, false, GIB, `0x${'11'.repeat(32)}`])
    assert.equal(await refusalOf({ kind, spec: apart, slots: slots(4) }), 'ORDER_FARM_REPEATED')
    assert.equal(
      await refusalOf({ kind, spec: volumeSpec(2, 1), slots: slots(4) }),
      'ORDER_SLOT_COUNT',
    )
    assert.equal(
      await refusalOf({ kind, spec: volumeSpec(200, 56), slots: slots(258) }),
      'SPEC_SHARDS_INVALID',
    )
    assert.equal(
      await refusalOf({ kind, spec: volumeSpec(0, 2), slots: slots(4) }),
      'SPEC_SHARDS_INVALID',
    )
    const missing: [number, number] = [999, MIB]
    assert.equal(
      await refusalOf({
        kind: kindNumber('store'),
        spec: encodeSpec(storeSpec()),
        slots: [missing],
      }),
      'NODE_CLOSED',
    )
  })

  it('for a time, a size or a price that is not to be had are refused by the contract', async () => {
    const store = { kind: kindNumber('store'), spec: encodeSpec(storeSpec()) }
    assert.equal(await refusalOf({ ...store, maxRate: 0n }), 'ORDER_RATE_ABOVE_LIMIT')
    assert.equal(await refusalOf({ ...store, seconds: 1 }), 'ORDER_DURATION_OUT_OF_RANGE')
    assert.equal(await refusalOf({ ...store, slots: [[node, 0]] }), 'ORDER_SLOT_EMPTY')
    assert.equal(await refusalOf({ ...store, slots: [[node, 2 ** 50]] }), 'NODE_FULL')
  })

  it('of nodes that ask more than the voters allow are refused; agents then ask less, for as long as they must', async () => {
    const cap = async (value: bigint) => {
      const holder = await grid.connect(grid.holderKey)
      try {
        const action = { kind: 'parameter', parameter: 'maxPricePerGibSecond', value } as const
        const { proposal } = await holder.propose([action], undefined, MINED)
        const id = proposal ?? 0n
        await holder.untilProposal(id, 'active')
        await holder.vote(id, 'for', undefined, MINED)
        await holder.untilProposal(id, 'succeeded')
        await holder.queue(id, MINED)
        await holder.untilProposal(id, 'executable')
        await holder.execute(id, MINED)
      } finally {
        holder.close()
      }
    }
    const { parameters } = await tenant.policy()
    const usual = parameters.find(({ name }) => name === 'maxPricePerGibSecond')?.value ?? 0n
    const price = BigInt((await statusOf(agent))?.own?.pricePerGibSecond ?? 0n)
    assert.isAbove(Number(price), 1)
    await cap(1n)
    const store = { kind: kindNumber('store'), spec: encodeSpec(storeSpec()) }
    // Before the agents can know: they obey what is final.
    assert.equal(await refusalOf(store), 'NODE_PRICE_ABOVE_CAP')
    const asks = (price: bigint) => (status: StatusDocument) =>
      String(status.own?.pricePerGibSecond) === String(price)
    await untilStatus('the node to ask what is allowed', agent, asks(1n))
    await cap(usual)
    await untilStatus('the node to ask what it asked before', agent, asks(price))
  })

  it('for a path outside of the mount root are refused by the contract', async () => {
    const quote = await tenant.quoteMount({ volume, node, name: 'fine', seconds: HOUR })
    assert(quote.spec.kind === 'mount')
    const { sealedKey } = quote.spec
    for (const name of [
      '../etc',
      '/etc',
      'a/../../b',
      '.',
      '..',
      'a//b',
      'a/',
      '',
      'a\0b',
      'a b',
    ]) {
      const spec = encode('mount', [1, true, name, `0x${toHex(sealedKey)}`])
      const order = { kind: kindNumber('mount'), spec, parent: volume }
      assert.equal(await refusalOf(order), 'SPEC_NAME_INVALID', JSON.stringify(name))
    }
  })

  it('for a path that is taken are refused: the same by the contract, one within it by the agent', async () => {
    const first = await mount('history/main')
    const path = await untilMounted(agent, first)
    assert.equal(await mount('history/main').then(String, codeOf), 'ORDER_MOUNT_EXISTS')
    const nested = [await mount('history'), await mount('history/main/more')]
    for (const verdict of await Promise.all(nested.map(verdictOn))) {
      assert.deepInclude(verdict, { state: 'refused', code: 'MOUNT_NESTED' })
    }
    assert.equal((await verdictOn(first))?.state, 'provisioned')
    assert.equal(await untilMounted(agent, first), path)
  })

  it('with a key that is not for this node, or not the volume’s, are refused by the agent', async () => {
    const elsewhere = await tenant.quoteMount({ volume, node: other, name: 'x', seconds: HOUR })
    const sealed = elsewhere.spec.kind === 'mount' ? elsewhere.spec.sealedKey : undefined
    assert(sealed)
    const foreign = await mount('foreign', (quote) => withKey(quote, sealed))

    const me = (await tenant.nodes()).find(({ id }) => id === node)
    assert(me)
    const { chainId, grid: address } = tenant.connection
    const context = volumeKeyContext({
      chainId,
      grid: address,
      volume: volume as never,
      account: me.account,
    })
    const wrongKey = seal(fromHex(me.sealingKey), new Uint8Array(32).fill(7), context)
    const wrong = await mount('wrong', (quote) => withKey(quote, wrongKey))

    const garbage = await mount('garbage', (quote) => withKey(quote, new Uint8Array([1, 2, 3])))
    const codes = await Promise.all(
      [foreign, wrong, garbage].map(async (order) => (await verdictOn(order))?.code),
    )
    assert.deepEqual(codes, ['MOUNT_KEY_UNREADABLE', 'MOUNT_KEY_WRONG', 'MOUNT_KEY_UNREADABLE'])
    const root = (await statusOf(agent))?.mountRoot ?? ''
    for (const name of ['foreign', 'wrong', 'garbage']) {
      assert.isFalse(existsSync(`${root}/${name}`), `nothing is made at ${name}`)
    }
  })

  it('of somebody else’s volume are refused by the contract', async () => {
    const quote = await tenant.quoteMount({ volume, node, name: 'theirs', seconds: HOUR })
    const stranger = await grid.connect(grid.holderKey)
    try {
      const refused = await stranger.place({ ...quote, missing: 0n }, MINED).then(String, codeOf)
      assert.equal(refused, 'ORDER_PARENT_INVALID')
    } finally {
      stranger.close()
    }
  })

  it('left every agent well, and serving good orders', async () => {
    await serves()
    assert.deepEqual(
      grid.agents.map(({ crashes }) => crashes),
      [0, 0, 0],
    )
    await until(
      'each to follow',
      async () => {
        const statuses = await Promise.all(grid.agents.map(statusOf))
        return statuses.every((status) => status?.ledger.state === 'following')
      },
      SOON,
    )
  })
})
