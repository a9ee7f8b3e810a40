/**
 * The life of orders on real machines: a store used through the links unit, ended, run out, extended; money back to the last unit;
 * data deleted after the grace and never before; and a whole grid that is stopped and comes back.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { assert } from 'chai'
import { controlSocket, sharedSocket } from '../../agent/adapters/process/run-sockets.ts'
import { dialService } from '../../agent/adapters/socket/dial.ts'
import { respConnection } from '../../agent/adapters/socket/resp-connection.ts'
import { type Reply, ReplyError } from '../../agent/adapters/socket/resp-reply-reader.ts'
import { account } from '../../agent/base/ids.ts'
import { GIB, MIB } from '../../agent/base/units.ts'
import { connectControl } from '../../agent/units/control.ts'
import type { Grid } from '../../client/sdk/index.ts'
import type { AgentProcess } from '../../scripts/grid/agent-process.ts'
import { type LocalGrid, until } from '../../scripts/grid/local-grid.ts'
import {
  printComplaints,
  SOON,
  type SuiteGrid,
  startSuiteGrid,
  statusOf,
  untilDispersed,
  untilMounted,
  untilStatus,
} from './support/grid-suite.ts'

const AGENTS = 2
const HOUR = 3_600
/** As long as it takes to use a store before it runs out, on a busy machine. */
const SHORT_SECONDS = 20
const GRACE_SECONDS = 8
/** How close to the end of the grace somebody must have looked. */
const CLOSE_SECONDS = 4

describe('the life of orders', function () {
  this.timeout(240_000)
  let suite: SuiteGrid
  let grid: LocalGrid
  let tenant: Grid
  /** Where the stores are, and who uses them. */
  let host: AgentProcess
  let guest: AgentProcess
  let hostNode: number
  let hostAccount: string
  let guestAccount: string

  before(async () => {
    suite = await startSuiteGrid({
      agents: AGENTS,
      parameters: (usual) => ({
        ...usual,
        // Nodes stay alive although the machine is busy.
        policy: {
          ...usual.policy,
          ...{ HeartbeatSeconds: 15n, LostSeconds: 120n, GraceSeconds: BigInt(GRACE_SECONDS) },
        },
      }),
    })
    await use(suite.grid)
  })
  after(async () => {
    tenant?.close()
    await suite?.end()
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') printComplaints(grid)
  })

  async function use(started: LocalGrid): Promise<void> {
    grid = started
    host = grid.agent(0)
    guest = grid.agent(1)
    const [hosting, visiting] = await Promise.all(
      [host, guest].map((agent) => untilStatus('its number', agent, ({ node }) => node)),
    )
    hostNode = hosting?.node ?? 0
    hostAccount = hosting?.account ?? ''
    guestAccount = visiting?.account ?? ''
    tenant?.close()
    tenant = await grid.connect(grid.tenantKey)
  }

  async function orderStore(seconds: number): Promise<number> {
    const request = { node: hostNode, sizeBytes: MIB, seconds, writers: [guestAccount] }
    const { order } = await tenant.orderStore(request)
    await until(
      `the namespace of order ${order}`,
      async () => (await namespaces()).has(order),
      SOON,
    )
    return order
  }

  /** Orders whose namespaces the store unit has, asked of it and not of its agent. */
  async function namespaces(): Promise<Set<number>> {
    const client = await connectControl(controlSocket(host.options.dataDir, 'store'))
    try {
      const told = (await client.call('status', {}, { timeoutMs: 5_000 })) as {
        namespaces: { name: string }[]
      }
      return new Set(told.namespaces.map(({ name }) => Number(/^o(\d+)\./.exec(name)?.[1])))
    } finally {
      client.close()
    }
  }

  /** Speaks to the host's store as a node: through that node's links unit. @returns The reply, or what failed as text. */
  async function say(from: AgentProcess, order: number, ...command: string[]): Promise<string> {
    const stream = await dialService({
      dialSocketPath: sharedSocket(from.options.dataDir, 'links/dial').path,
      ...{ account: account(hostAccount), service: 'store', signal: AbortSignal.timeout(30_000) },
    })
    const connection = respConnection(stream, 10_000)
    try {
      const selected = await connection.request(['SELECT', `o${order}.0`])
      if (textOf(selected) !== 'OK') return textOf(selected)
      return textOf(await connection.request(command))
    } finally {
      connection.close()
    }
  }
  const textOf = (reply: Reply): string => {
    if (reply instanceof ReplyError) return `refused: ${reply.words}`
    return Buffer.isBuffer(reply) ? reply.toString('utf8') : String(reply)
  }

  const write = (order: number) =>
    until(
      'the writer to be let in',
      async () => (await say(guest, order, 'SET', 'k', `v${order}`)) === 'k',
      SOON,
    )
  const read = (order: number) => say(guest, order, 'GET', 'k')

  async function finalTime(): Promise<number> {
    return (await statusOf(host))?.ledger.cursor?.timestamp ?? 0
  }

  /** Watches a namespace until it is gone. @returns What the ledger's final time was when it was last there and first gone. */
  async function watch(order: number): Promise<{ there: number; gone: number }> {
    let there = 0
    const gone = await until(
      `the data of order ${order} to be deleted`,
      async () => {
        // Asked before, so that "there" is never dated too late.
        const time = await finalTime()
        if (!(await namespaces()).has(order)) return await finalTime()
        there = time
        return undefined
      },
      SOON,
    )
    return { there, gone }
  }

  const free = async (): Promise<bigint> => (await tenant.balance()).free

  describe('a store', () => {
    let cancelled: number
    let expiring: number
    let extended: number

    it('is used by the node that its order names, through the links unit, and by no other', async () => {
      cancelled = await orderStore(HOUR)
      await write(cancelled)
      assert.equal(await read(cancelled), `v${cancelled}`)
      assert.match(await say(host, cancelled, 'GET', 'k'), /not found|denied/i)
    })

    it('gives back to the last unit what was not used when it is cancelled', async () => {
      const before = await tenant.order(cancelled)
      const freeBefore = await free()
      const { refund, blockNumber } = await tenant.cancel(cancelled, { until: 'mined' })
      const block = await tenant.connection.provider.getBlock(blockNumber ?? 0)
      assert(block !== null)
      const unused = before.ratePerSecond * BigInt(before.paidUntil - block.timestamp)
      assert.equal(refund, unused)
      assert.equal((await free()) - freeBefore, unused)
      const after = await tenant.order(cancelled)
      // The grace, in which its node keeps the bytes, is paid for from the start.
      const grace = before.ratePerSecond * BigInt(GRACE_SECONDS)
      const used = before.ratePerSecond * BigInt(block.timestamp - before.placedAt)
      assert.isTrue(after.held >= grace, 'and is held until it is over')
      assert.isTrue(after.held <= grace + used, 'with what its node has not proven to have lived')
      assert.equal(after.deletableAt, block.timestamp + GRACE_SECONDS)
    })

    it('is closed at once, deleted after the grace, and never before', async () => {
      await until(
        'the writer to be refused',
        async () => /not found|denied/i.test(await read(cancelled)),
        SOON,
      )
      const { deletableAt } = await tenant.order(cancelled)
      const { there, gone } = await watch(cancelled)
      assert.isAtLeast(gone, deletableAt)
      assert.isAtLeast(there, deletableAt - CLOSE_SECONDS, 'somebody looked shortly before')
    })

    it('whose time runs out is kept for the grace, then deleted; one that was extended is kept', async () => {
      expiring = await orderStore(SHORT_SECONDS)
      extended = await orderStore(SHORT_SECONDS)
      await Promise.all([write(expiring), write(extended)])
      const { paidUntil } = await tenant.order(expiring)
      await untilStatus('the order to run out', host, ({ slots }) =>
        slots.some(({ order, state }) => order === expiring && state === 'suspended'),
      )
      // Suspended as well: paying late brings it back.
      const paid = await grid.varve(grid.tenantKey, 'extend', String(extended), '--time', '1h')
      assert.equal(paid['order'], extended)
      const { there, gone } = await watch(expiring)
      assert.isAtLeast(gone, paidUntil + GRACE_SECONDS)
      assert.isAtLeast(there, paidUntil + GRACE_SECONDS - CLOSE_SECONDS)
      assert.equal((await tenant.order(expiring)).state, 'ended')
      assert.equal((await tenant.order(expiring)).held, 0n)

      assert.isTrue((await namespaces()).has(extended))
      assert.equal((await tenant.order(extended)).state, 'live')
      await until('its data again', async () => (await read(extended)) === `v${extended}`, SOON)
    })

    it('comes back with the whole grid after it was stopped: ledger, nodes, orders, mount and files', async () => {
      // The grid has two nodes.
      const few = { metaStores: 2, fewMetaStoresAllowed: true }
      const shape = { sizeBytes: GIB, dataShards: 1, parityShards: 1, ...few, seconds: HOUR }
      const { order: volume } = await tenant.orderVolume(shape)
      const where = { volume, node: hostNode, name: 'kept', seconds: HOUR }
      const { order: mount } = await tenant.orderMount(where)
      const path = await untilMounted(host, mount)
      const large = Buffer.alloc(3 * MIB, 'history ')
      writeFileSync(join(path, 'dispersed'), large, { flush: true })
      await untilDispersed(host, mount)
      writeFileSync(join(path, 'just written'), 'local only', { flush: true })
      const before = await picture()

      await use(await suite.restart())
      assert.equal(await untilMounted(host, mount), path)
      assert.isTrue(readFileSync(join(path, 'dispersed')).equals(large))
      assert.equal(readFileSync(join(path, 'just written'), 'utf8'), 'local only')
      const now = await picture()
      assert.isAtLeast(now.height, before.height)
      assert.deepEqual(now.nodes, before.nodes)
      assert.deepEqual(now.orders, before.orders)
      assert.equal(now.grid, before.grid)
      await until('the store’s data', async () => (await read(extended)) === `v${extended}`, SOON)
      writeFileSync(join(path, 'after'), 'goes on', { flush: true })
      await untilDispersed(host, mount)
    })
  })

  /** What must be the same after a restart. */
  async function picture() {
    const [nodes, orders, height] = await Promise.all([
      tenant.nodes(),
      tenant.orders(),
      tenant.connection.provider.getBlockNumber(),
    ])
    return {
      height,
      grid: grid.deployed.grid,
      nodes: nodes.map(({ id, account: who }) => ({ id, who })),
      orders: orders.map(({ id, kind, state, paidUntil }) => ({ id, kind, state, paidUntil })),
    }
  }
})
