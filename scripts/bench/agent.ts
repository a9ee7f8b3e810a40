/**
 * What an agent costs while nothing happens: `npm run bench -- agent [--seconds 60] [--orders 2000] [--only idle,slow,orders,registry]`.
 *
 * One agent on a local ledger with the real contracts, behind an endpoint that counts: idle at 1 s and at 12 s blocks, then with many
 * small orders at 1 s blocks; then an agent with an empty state that reads all of that; and, without processes, what a round of heartbeats
 * costs an agent in a registry of 10,000 nodes.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Wallet } from 'ethers'
import { ORDER_KINDS } from '../../agent/ledger/abi.ts'
import type { Grid } from '../../client/sdk/index.ts'
import { encodeSpec } from '../../client/sdk/specs.ts'
import { spawnDevnet } from '../devnet/spawn-devnet.ts'
import { AgentProcess } from '../grid/agent-process.ts'
import { freePort, LocalGrid, until } from '../grid/local-grid.ts'
import { countingRpc, type RpcCounts } from './counting-rpc.ts'
import { heartbeatRound } from './heartbeat-round.ts'

/** Ticks a second of the figures in `/proc`. */
const TICKS = 100
const MIB = 2 ** 20
const ORDER_BYTES = 4096
const YEAR = 31_536_000
const GAS_LIMIT = 900_000n
/** Transactions that are sent before a block is waited for. */
const SENT_AT_ONCE = 25
const LONG = { timeoutMs: 600_000 }

/** @param args - See the head of this file. */
export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: 'string', default: '60' },
      orders: { type: 'string', default: '2000' },
      only: { type: 'string', default: 'idle,slow,orders,registry' },
    },
  })
  const [seconds, orders] = [Number(values.seconds), Number(values.orders)]
  const only = new Set(values.only.split(','))
  console.log('agent                          requests/min  calls/min  KiB/min   CPU %   RSS MB')
  if (only.has('registry')) await heartbeatRound()
  if (!['idle', 'slow', 'orders'].some((one) => only.has(one))) return
  const dataDir = mkdtempSync(join(tmpdir(), 'vb-'))
  const bench = await AgentBench.start(dataDir)
  try {
    if (only.has('idle')) await bench.measure('idle, blocks of 1 s', seconds)
    if (only.has('slow'))
      await bench.withSlowBlocks(() =>
        bench.measure('idle, blocks of 12 s', Math.max(seconds, 120)),
      )
    if (!only.has('orders')) return
    await bench.order(orders)
    await bench.measure(`${orders} orders, blocks of 1 s`, seconds)
    await bench.measureFresh(orders)
  } finally {
    await bench.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
}

class AgentBench {
  readonly grid: LocalGrid
  #ledger: Pick<LocalGrid['ledger'], 'stop'>
  readonly counts: RpcCounts
  readonly closeRpc: () => Promise<void>

  private constructor(grid: LocalGrid, counts: RpcCounts, closeRpc: () => Promise<void>) {
    this.grid = grid
    this.#ledger = grid.ledger
    this.counts = counts
    this.closeRpc = closeRpc
  }

  static async start(dataDir: string): Promise<AgentBench> {
    // The port is known only once the ledger runs, so it runs once before.
    const first = await spawnDevnet({ dataDir: join(dataDir, 'ledger') })
    const rpc = await countingRpc(first.url)
    await first.stop()
    const grid = await LocalGrid.start({
      dataDir,
      agents: 1,
      ledgerUrlsFor: () => [rpc.url],
      parameters: (usual) => ({
        ...usual,
        policy: { ...usual.policy, HeartbeatSeconds: 60n, LostSeconds: 600n },
      }),
    })
    return new AgentBench(grid, rpc.counts, () => rpc.close())
  }

  async stop(): Promise<void> {
    await this.grid.agent(0).stop()
    await this.#ledger.stop()
    await this.closeRpc()
  }

  /** Lets the agent be for a while, and prints what it took. */
  async measure(what: string, seconds: number): Promise<void> {
    await sleep(20_000)
    const pid = this.grid.agent(0).pid ?? 0
    const [before, ticksBefore] = [{ ...this.counts }, ticksOf(pid)]
    const beganAt = performance.now()
    await sleep(seconds * 1000)
    const minutes = (performance.now() - beganAt) / 60_000
    const a = (now: number, then: number) => (now - then) / minutes
    const { requests, calls, bytes } = this.counts
    const cpu = ((ticksOf(pid) - ticksBefore) / TICKS / (minutes * 60)) * 100
    const cells = [
      a(requests, before.requests).toFixed(0).padStart(12),
      a(calls, before.calls).toFixed(0).padStart(10),
      (a(bytes, before.bytes) / 1024).toFixed(0).padStart(8),
      cpu.toFixed(2).padStart(7),
      (rssOf(pid) / MIB).toFixed(0).padStart(8),
    ]
    console.log(`${what.padEnd(30)} ${cells.join(' ')}`)
  }

  /** Starts the ledger again with blocks of 12 s, and afterwards as it was. */
  async withSlowBlocks(measure: () => Promise<void>): Promise<void> {
    const { dataDir } = this.grid.ledger
    await this.#ledger.stop()
    this.#ledger = await spawnDevnet({ dataDir, blockTimeSeconds: 12 })
    await sleep(60_000)
    await measure()
    await this.#ledger.stop()
    this.#ledger = await spawnDevnet({ dataDir })
    await this.#untilFollowing(this.grid.agent(0))
  }

  /** Places small store orders on the node, and waits until it serves them all. */
  async order(count: number): Promise<void> {
    const tenant = await this.grid.connect(this.grid.tenantKey)
    try {
      await this.#place(tenant, count)
    } finally {
      tenant.close()
    }
    await this.#untilServed(this.grid.agent(0), count)
  }

  async #place(tenant: Grid, count: number): Promise<void> {
    const quoted = await tenant.quoteStore({ sizeBytes: ORDER_BYTES, seconds: YEAR, node: 1 })
    await tenant.deposit((quoted.price + 1n) * BigInt(count), { until: 'mined' })
    const { orders } = tenant.connection.contracts
    const provider = tenant.connection.provider
    const signer = new Wallet(this.grid.tenantKey, provider)
    const slots = quoted.slots.map(({ node, sizeBytes }) => [node, sizeBytes])
    const data = orders.interface.encodeFunctionData('place', [
      ...[ORDER_KINDS.indexOf('store'), 0, encodeSpec(quoted.spec), slots],
      ...[quoted.seconds, quoted.ratePerSecond],
    ])
    const { chainId } = await provider.getNetwork()
    const fees = { maxFeePerGas: 10n ** 10n, maxPriorityFeePerGas: 1n, gasLimit: GAS_LIMIT }
    const to = await orders.getAddress()
    let nonce = await signer.getNonce()
    for (let placed = 0; placed < count; placed += SENT_AT_ONCE) {
      const hashes: string[] = []
      for (let at = placed; at < Math.min(count, placed + SENT_AT_ONCE); at++) {
        const signed = await signer.signTransaction({
          to,
          data,
          chainId,
          nonce: nonce++,
          type: 2,
          ...fees,
        })
        hashes.push(String(await provider.send('eth_sendRawTransaction', [signed])))
      }
      await until(
        'a batch of orders to be mined',
        async () => await provider.getTransactionReceipt(hashes.at(-1) ?? ''),
        LONG,
      )
    }
  }

  /** Starts a node's agent with an empty state, and prints how long it takes to have read everything. */
  async measureFresh(count: number): Promise<void> {
    const old = this.grid.agent(0)
    await old.stop()
    rmSync(join(old.options.dataDir, 'state'), { recursive: true, force: true })
    const fresh = new AgentProcess({
      ...old.options,
      listen: `/ip4/127.0.0.1/tcp/${await freePort()}`,
    })
    const [before, beganAt] = [{ ...this.counts }, performance.now()]
    try {
      fresh.start()
      await this.#untilServed(fresh, count)
      const seconds = (performance.now() - beganAt) / 1000
      const kib = (this.counts.bytes - before.bytes) / 1024
      console.log(
        `a fresh state of ${count} orders is read and served after ${seconds.toFixed(1)} s and ${kib.toFixed(0)} KiB`,
      )
    } finally {
      await fresh.stop()
    }
  }

  async #untilServed(agent: AgentProcess, count: number): Promise<void> {
    await until(
      `${count} orders to be served`,
      async () => {
        const status = await agent.status()
        const slots = status?.['slots']
        return Array.isArray(slots) && slots.length >= count
      },
      LONG,
    )
  }

  async #untilFollowing(agent: AgentProcess): Promise<void> {
    await until(
      'the ledger to be followed',
      async () => {
        const ledger = (await agent.status())?.['ledger']
        return (
          typeof ledger === 'object' &&
          ledger !== null &&
          Reflect.get(ledger, 'state') === 'following'
        )
      },
      LONG,
    )
  }
}

function ticksOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return Number(fields[11]) + Number(fields[12])
}

function rssOf(pid: number): number {
  const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(line?.[1] ?? 0) * 1024
}
