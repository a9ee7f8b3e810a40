/**
 * A chain in memory that speaks the contracts' ABI, and endpoints in front of it that may be slow, wrong or lying.
 *
 * Every block keeps the whole world after it, so that a call at any block's hash is answered as a node would.
 */
import { createHash } from 'node:crypto'
import { AbiCoder } from 'ethers/abi'
import { toHex } from '../../agent/base/bytes.ts'
import { NodeError } from '../../agent/base/errors.ts'
import type { Account } from '../../agent/base/ids.ts'
import {
  GRID_ABI,
  NODES_ABI,
  ORDERS_ABI,
  PARAMETERS,
  POLICY_ABI,
  SPEC_TYPES,
} from '../../agent/ledger/abi.ts'
import type { LedgerSource, LogEntry } from '../../agent/ledger/ports.ts'
import type { BlockRef } from '../../agent/ledger/types.ts'
import { aNode } from './fake-orders.ts'

const CHAIN_ID = 31_337
/** 2026-01-01, like the virtual clock. */
const GENESIS_SECONDS = 1_767_225_600
const at = (n: number) => `0x${n.toString(16).padStart(40, '0')}`
const ADDRESSES = {
  grid: at(0x901),
  policy: at(0x902),
  nodes: at(0x903),
  orders: at(0x904),
  escrow: at(0x905),
  token: at(0x906),
}
/** Longer than any test. */
const PAID_UNTIL = 2 ** 40
export const FAKE_GRID = ADDRESSES.grid as Account
const TENANT = at(0x777)
/** The first parameters of the policy, from FinalityDepth on. */
const POLICY: readonly bigint[] = [1n, 10n, 30n, 100n, 0n, 1000n, 14n, 20n, 1n, 1000n, 5n, 60n]

/** An order as the fake contract keeps it. */
export interface FakeOrder {
  id: number
  kind: number
  state: number
  parent: number
  paidUntil: number
  endedAt: number
  deletableAt: number
  writerEpoch: number
  spec: string
  slots: { node: number; sizeBytes: number; generation: number; assignedAt: number }[]
  children: number[]
}

/** What the contracts hold. */
export interface FakeWorld {
  policy: bigint[]
  policyVersion: number
  orders: FakeOrder[]
  sequence: number
  registryVersion: number
  /** Numbers of the registered nodes: 1 to this. */
  nodeCount: number
  heartbeats: Record<number, number>
  sponsored: Record<string, number>
}

interface FakeBlock extends BlockRef {
  readonly world: FakeWorld
  readonly logs: readonly LogEntry[]
}

/** What can be done to the chain in a block. */
export class FakeActs {
  readonly world: FakeWorld
  readonly now: number
  readonly logs: { topics: string[]; data: string }[] = []

  constructor(world: FakeWorld, now: number) {
    this.world = world
    this.now = now
  }

  register(): number {
    this.world.registryVersion++
    this.world.nodeCount++
    this.world.heartbeats[this.world.nodeCount] = this.now
    return this.world.nodeCount
  }

  place(kind: number, spec: string, nodes: readonly number[], parent = 0): number {
    const id = this.world.orders.length + 1
    this.world.orders.push({
      ...{
        id,
        kind,
        state: 1,
        parent,
        paidUntil: PAID_UNTIL,
        endedAt: 0,
        deletableAt: 0,
        writerEpoch: 0,
        spec,
      },
      slots: nodes.map((node) => ({ node, sizeBytes: 100, generation: 0, assignedAt: this.now })),
      children: [],
    })
    const volume = this.world.orders[parent - 1]
    volume?.children.push(id)
    if (volume) volume.writerEpoch++
    this.#emit('OrderPlaced', [id, TENANT, kind])
    return id
  }

  replace(order: number, slot: number, node: number): void {
    const found = this.world.orders[order - 1]?.slots[slot]
    if (!found) throw new TypeError('no such slot')
    const from = found.node
    found.node = node
    found.generation++
    found.assignedAt = this.now
    this.#emit('SlotReplaced', [order, slot, from, node])
  }

  end(order: number, graceSeconds: number): void {
    const found = this.world.orders[order - 1]
    if (!found) throw new TypeError('no such order')
    Object.assign(found, { state: 3, endedAt: this.now, deletableAt: this.now + graceSeconds })
    this.#emit('OrderCancelled', [order, 0])
  }

  release(mount: number): void {
    for (const order of this.world.orders) {
      order.children = order.children.filter((child) => child !== mount)
    }
    this.#emit('OrderReleased', [mount])
  }

  #emit(name: string, values: readonly unknown[]): void {
    this.logs.push(ORDERS_ABI.encodeEventLog(name, [++this.world.sequence, ...values]))
  }
}

/** A chain whose blocks are made by tests. */
export class FakeChain {
  readonly blocks: FakeBlock[] = []
  #fork = 0

  constructor() {
    this.mine()
  }

  get head(): FakeBlock {
    const head = this.blocks.at(-1)
    if (!head) throw new TypeError('a chain has a first block')
    return head
  }

  /** Adds a block in which something happens; a second passes. */
  mine(act: (acts: FakeActs) => void = () => undefined): this {
    const parent = this.blocks.at(-1)
    const number = this.blocks.length
    const timestamp = parent ? parent.timestamp + 1 : GENESIS_SECONDS
    const acts = new FakeActs(structuredClone(parent?.world ?? genesis()), timestamp)
    act(acts)
    const hash = hashOf(`${this.#fork}/${parent?.hash}/${number}`)
    const logs = acts.logs.map((log) => ({ ...log, blockNumber: number, blockHash: hash }))
    const parentHash = parent?.hash ?? hashOf('nothing')
    this.blocks.push({ number, hash, parentHash, timestamp, world: acts.world, logs })
    return this
  }

  mineMany(count: number): this {
    for (let i = 0; i < count; i++) this.mine()
    return this
  }

  /** Throws away the newest blocks: those mined next have other hashes. */
  rewind(count: number): this {
    this.blocks.splice(this.blocks.length - count)
    this.#fork++
    return this
  }

  /** Another chain with the same past, which goes its own way. */
  fork(): FakeChain {
    const other = new FakeChain()
    other.blocks.splice(0, other.blocks.length, ...this.blocks)
    other.#fork = this.#fork + 1000
    return other
  }
}

/** What is wrong with an endpoint. */
export interface Faults {
  chain?: FakeChain
  chainId?: number
  /** Blocks between head and the finalized tag. */
  finalLag?: number
  /** True: the endpoint knows no final block. */
  noFinality?: boolean
  /** Blocks that it lags behind the chain. */
  behind?: number
  down?: boolean
  /** Drops logs for which it gives true. */
  withhold?: (log: LogEntry, index: number) => boolean
  /** Seconds by which it lies about the time of every block, or of those for which it gives more. */
  timeOff?: number | ((block: BlockRef) => number)
  /** Answers a call with other bytes. */
  forge?: (abi: string, result: string) => string
  /** Other code at all addresses. */
  code?: string
}

/** An endpoint whose faults may be changed while it is used, and which counts what it was asked. */
export interface FakeSource extends LedgerSource {
  faults: Faults
  calls: number
}

/** An endpoint in front of a chain. */
export function fakeSource(chain: FakeChain, faults: Faults = {}, name = 'fake'): FakeSource {
  const visible = () => {
    const blocks = (source.faults.chain ?? chain).blocks
    return blocks.slice(0, blocks.length - (source.faults.behind ?? 0))
  }
  const up = () => {
    source.calls++
    if (source.faults.down) throw new NodeError('LEDGER_UNREACHABLE', `no answer from ${name}`)
  }
  const atHash = (hash: string) => {
    const blocks = visible()
    const block = hash === 'latest' ? blocks.at(-1) : blocks.find((one) => one.hash === hash)
    if (!block) throw new NodeError('LEDGER_RPC_FAILED', 'eth_call: header not found')
    return block
  }
  const source: FakeSource = {
    name,
    faults,
    calls: 0,
    async chainId() {
      up()
      return source.faults.chainId ?? CHAIN_ID
    },
    async block(which) {
      up()
      const blocks = visible()
      if (which === 'finalized' && source.faults.noFinality) return undefined
      const last = blocks.length - 1
      const index =
        which === 'latest'
          ? last
          : which === 'finalized'
            ? Math.max(0, last - (source.faults.finalLag ?? 2))
            : which
      const found = blocks[index]
      if (!found) return undefined
      const { world: _world, logs: _logs, ...ref } = found
      const { timeOff = 0 } = source.faults
      const off = typeof timeOff === 'number' ? timeOff : timeOff(ref)
      return { ...ref, timestamp: ref.timestamp + off }
    },
    async call(to, data, blockHash) {
      up()
      const result = answerCall(to, data, atHash(blockHash))
      return source.faults.forge?.(data.slice(0, 10), result) ?? result
    },
    async code(address, blockHash) {
      up()
      atHash(blockHash)
      const isKnown = Object.values(ADDRESSES).includes(address)
      return isKnown ? (source.faults.code ?? `0x60${address.slice(2)}`) : '0x'
    },
    async logs({ fromBlock, toBlock, topics = [] }) {
      up()
      const found = visible()
        .filter(({ number }) => number >= fromBlock && number <= toBlock)
        .flatMap(({ logs }) => logs)
        .filter((log) =>
          topics.every((topic, index) => topic === null || log.topics[index] === topic),
        )
      return found.filter((log, index) => !source.faults.withhold?.(log, index))
    },
  }
  return source
}

/** `abi.encode` of a spec. */
export const specs = {
  store: (writers: readonly string[] = [TENANT]) =>
    encode(SPEC_TYPES.store, [1, 0, false, writers, []]),
  volume: (dataShards: number, parityShards: number, metaStores: number) =>
    encode(SPEC_TYPES.volume, [
      ...[1, dataShards, parityShards, metaStores, false, 1000],
      `0x${'ab'.repeat(32)}`,
    ]),
  mount: (name: string, readOnly = false) => encode(SPEC_TYPES.mount, [1, readOnly, name, '0x01']),
}

function encode(type: string, fields: readonly unknown[]): string {
  return AbiCoder.defaultAbiCoder().encode([type], [fields])
}

function genesis(): FakeWorld {
  return {
    // Finality depth 1, heartbeat 10 s, lost after 30 s, grace 100 s.
    // What no test looks at is 0.
    policy: PARAMETERS.map((_, index) => POLICY[index] ?? 0n),
    policyVersion: 1,
    orders: [],
    sequence: 0,
    registryVersion: 0,
    nodeCount: 0,
    heartbeats: {},
    sponsored: {},
  }
}

function hashOf(text: string): string {
  return `0x${createHash('sha256').update(text).digest('hex')}`
}

function answerCall(to: string, data: string, block: FakeBlock): string {
  const { world } = block
  switch (to) {
    case ADDRESSES.grid: {
      const { token, policy, nodes, orders, escrow } = ADDRESSES
      return GRID_ABI.encodeFunctionResult('contracts', [
        [token, at(1), at(2), policy, nodes, orders, escrow, 0],
      ])
    }
    case ADDRESSES.policy:
      if (data === POLICY_ABI.encodeFunctionData('version')) {
        return POLICY_ABI.encodeFunctionResult('version', [world.policyVersion])
      }
      return POLICY_ABI.encodeFunctionResult('all', [world.policyVersion, world.policy])
    case ADDRESSES.nodes:
      return answerNodes(data, world)
    default:
      return answerOrders(data, world)
  }
}

function answerNodes(data: string, world: FakeWorld): string {
  const call = NODES_ABI.parseTransaction({ data })
  if (!call) throw new TypeError('unknown call')
  const { name, args } = call
  const reply = (...values: unknown[]) => NODES_ABI.encodeFunctionResult(name, values)
  if (name === 'registryVersion') return reply(world.registryVersion)
  if (name === 'nodeCount') return reply(world.nodeCount)
  if (name === 'farmSponsoring')
    return reply(world.sponsored[String(args[0]).toLowerCase()] ?? 0, 5)
  const numbers = Array.from({ length: world.nodeCount }, (_, index) => index + 1)
  if (name === 'nodeOf') {
    return reply(numbers.find((n) => aNode(n).account === String(args[0]).toLowerCase()) ?? 0)
  }
  const [from, limit] = [Number(args[0]), Number(args[1])]
  const views = numbers.slice(from - 1, from - 1 + limit).map((n) => {
    const node = aNode(n, { lastHeartbeat: world.heartbeats[n] ?? 0 })
    return { ...node, state: 2, aliveSeconds: 0, addresses: [...node.addresses] }
  })
  return reply(views)
}

function answerOrders(data: string, world: FakeWorld): string {
  const call = ORDERS_ABI.parseTransaction({ data })
  if (!call) throw new TypeError('unknown call')
  const { name, args } = call
  const reply = (value: unknown) => ORDERS_ABI.encodeFunctionResult(name, [value])
  if (name === 'sequence') return reply(world.sequence)
  if (name === 'orderCount') return reply(world.orders.length)
  const none = { kind: 0, state: 0, parent: 0, endedAt: 0, deletableAt: 0, writerEpoch: 0 }
  return reply(
    [...args[0]].map((id: bigint) => {
      const order = world.orders[Number(id) - 1]
      return {
        ...none,
        ...{
          tenant: TENANT,
          placedAt: 1,
          paidUntil: order?.paidUntil ?? 0,
          ratePerSecond: 1,
          spec: '0x',
        },
        ...(order ?? { id, children: [], slots: [] }),
        slots: (order?.slots ?? []).map((slot) => ({
          ...slot,
          lastSeen: world.heartbeats[slot.node] ?? 0,
        })),
      }
    }),
  )
}

/** Lower-case hexadecimal of a number as a log topic. */
export function topicOf(value: number): string {
  const bytes = new Uint8Array(32)
  new DataView(bytes.buffer).setBigUint64(24, BigInt(value))
  return `0x${toHex(bytes)}`
}
