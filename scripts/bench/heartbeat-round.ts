/** What one round of heartbeats of 10,000 nodes costs an agent with 10 orders: its controllers, without processes and network. */

import { setTimeout as sleep } from 'node:timers/promises'
import { SigningKey } from 'ethers/crypto'
import { systemClock } from '../../agent/adapters/time/system-clock.ts'
import { fromHex } from '../../agent/base/bytes.ts'
import { IDENTITY_SEED_BYTES, type Identity, identityFromSeed } from '../../agent/base/identity.ts'
import { account, farmId, nodeId, orderId } from '../../agent/base/ids.ts'
import { accountOfPublicKey } from '../../agent/base/ledger-key.ts'
import type { Log } from '../../agent/base/ports.ts'
import { resolveConfig } from '../../agent/config/config.ts'
import { PARAMETERS } from '../../agent/ledger/abi.ts'
import { RECORDS } from '../../agent/ledger/records.ts'
import type {
  LedgerNode,
  LedgerStatus,
  LedgerView,
  Policy,
  StoreOrder,
} from '../../agent/ledger/types.ts'
import { runControllers } from '../../agent/reconcile/runtime.ts'
import { Supervisor } from '../../agent/reconcile/units.ts'
import { agentControllers } from '../../agent/run.ts'
import { memoryJournal } from '../../agent/state/journal.ts'
import { State } from '../../agent/state/state.ts'

const NODES = 10_000
const ORDERS = 10
const ROUNDS = 5
const GRID = account(`0x${'9'.repeat(40)}`)

/** Measures, and prints a line. */
export async function heartbeatRound(): Promise<void> {
  const identity = identityFromSeed(new Uint8Array(IDENTITY_SEED_BYTES).fill(1))
  const nodes = aRegistry(identity)
  let view = aView(identity, nodes)
  let isNew = true
  const stop = new AbortController()
  const state = await State.open(memoryJournal(), RECORDS)
  const clock = systemClock()
  const nobody = async () => {
    throw new TypeError('no units run here')
  }
  const ended = Promise.withResolvers<string>()
  const host = {
    build: '',
    connect: nobody,
    start: () => ({ pid: 0, exited: ended.promise }),
    kill: () => ended.resolve('killed'),
    isRunning: () => false,
    discard: nobody,
  }
  const supervisor = new Supervisor({ host, clock, log: SILENT })
  const controllers = agentControllers({
    identity,
    config: resolveConfig({}, { ledger: ['http://localhost'], grid: GRID }).config,
    mountRoot: '/mnt',
    ledger: {
      poll: async () => {
        const given = isNew ? view : undefined
        isNew = false
        return {
          view: given,
          nextMs: 20,
          status: { ...FOLLOWING, headNumber: view.cursor.block.number },
        }
      },
    },
    sender: { step: async (_, sent) => sent },
    supervisor,
    clock,
    disk: { probe: async () => undefined },
  })
  const running = runControllers(controllers, { state, clock, log: SILENT }, stop.signal)
  await sleep(3_000)
  const costs: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const idle = await cpuMsOf(1_000)
    view = afterRound(view)
    isNew = true
    costs.push((await cpuMsOf(1_000)) - idle)
  }
  stop.abort()
  await running
  await supervisor.drain()
  costs.sort((a, b) => a - b)
  console.log(
    `a heartbeat round of ${NODES} nodes: ${costs[Math.floor(ROUNDS / 2)]?.toFixed(1)} ms of CPU (median of ${ROUNDS})`,
  )
}

/** The next block: everybody has beaten; of that an agent reads its own. */
function afterRound(view: LedgerView): LedgerView {
  const { cursor, own } = view
  const block = {
    ...cursor.block,
    number: cursor.block.number + 1,
    timestamp: cursor.block.timestamp + 60,
  }
  return {
    ...view,
    cursor: { ...cursor, block },
    own: own && { ...own, lastHeartbeat: block.timestamp },
  }
}

async function cpuMsOf(ms: number): Promise<number> {
  const before = process.cpuUsage()
  await sleep(ms)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

function aRegistry(identity: Identity): LedgerNode[] {
  return Array.from({ length: NODES }, (_, index): LedgerNode => {
    const key = Buffer.alloc(32)
    key.writeUInt32BE(index + 1, 28)
    const publicKey =
      index === 0
        ? `0x${Buffer.from(identity.publicKey).toString('hex')}`
        : `0x${SigningKey.computePublicKey(key, false).slice(4)}`
    return {
      ...{
        id: nodeId(index + 1),
        farm: farmId(index + 1),
        account: accountOfPublicKey(fromHex(publicKey)),
      },
      ...{ state: 'active', capacityBytes: 1e12, usedBytes: 0, pricePerGibSecond: 1n, stake: 1n },
      ...{ registeredAt: 1, lastHeartbeat: 1000, publicKey, sealingKey: `0x${'ab'.repeat(1216)}` },
      addresses: [`/ip4/192.0.2.1/tcp/${1024 + index}`],
    }
  })
}

function aView(identity: Identity, nodes: LedgerNode[]): LedgerView {
  const values = Object.fromEntries(PARAMETERS.map((name) => [name, 60]))
  const policy = {
    version: 1,
    values: { ...values, auditEpochSeconds: 0, maxPricePerGibSecond: 1n, stakePerGib: 0n },
  } as unknown as Policy
  const hash = `0x${'1'.repeat(64)}`
  const block = { number: 1, hash, parentHash: hash, timestamp: Math.floor(Date.now() / 1000) }
  const pin = {
    chainId: 1,
    grid: GRID,
    policy: GRID,
    nodes: GRID,
    orders: GRID,
    escrow: GRID,
    token: GRID,
    deployedAtBlock: 0,
    codeDigest: '',
  }
  const orders = Array.from(
    { length: ORDERS },
    (_, index): StoreOrder => ({
      ...{
        kind: 'store',
        id: orderId(index + 1),
        state: 'live',
        tenant: GRID,
        placedAt: 1,
        paidUntil: 2 ** 40,
      },
      ...{
        endedAt: 0,
        deletableAt: 0,
        ratePerSecond: 1n,
        releases: [],
        mode: 'user',
        worm: false,
        writers: [GRID],
        readers: [],
      },
      slots: [{ node: nodeId(1), sizeBytes: 4096, assignedAt: 1, lastSeen: 1, generation: 0 }],
    }),
  )
  return {
    cursor: {
      pin,
      block,
      sequence: ORDERS,
      registryVersion: 1,
      nodesReadAt: block.timestamp,
      finalNumber: 1,
      trail: [],
      time: { provenSeconds: block.timestamp, frozenUntil: 0, adoptedAtMs: 0 },
    },
    registration: {
      account: identity.account,
      node: nodeId(1),
      sponsor: undefined,
      sponsoredStake: 0n,
    },
    own: nodes[0],
    ...{ policy, nodes, orders },
  }
}

const FOLLOWING: Omit<LedgerStatus, 'headNumber'> = {
  ...{
    state: 'following',
    code: undefined,
    message: undefined,
    hint: undefined,
    waitingSinceMs: undefined,
  },
  ...{ headTime: 1, finalNumber: 1, sources: [] },
}

const SILENT: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: (fields, message) => console.error(message, fields),
  child: () => SILENT,
}
