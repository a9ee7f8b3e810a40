/**
 * Reads everything an agent needs at one block from one endpoint, and checks that it is whole.
 *
 * It believes the endpoint's answers only after these held: the block of the cursor has still the cursor's hash, and the
 * events since then have every number between the cursor's and the contract's own count. The result is a value; whether it
 * is adopted is decided in `follower.ts`.
 *
 * @see docs/design/0001-first-slice.md, section 3
 */
import { createHash } from 'node:crypto'
import { required } from '../base/assert.ts'
import { fromHex } from '../base/bytes.ts'
import { NodeError } from '../base/errors.ts'
import { type Account, account, farmId, type NodeId, nodeId } from '../base/ids.ts'
import { GRID_ABI, NODES_ABI, ORDER_KINDS, ORDERS_ABI, POLICY_ABI } from './abi.ts'
import {
  decodeNodes,
  decodeOrders,
  decodePolicy,
  decodeReturn,
  type RawOrder,
  readOrder,
} from './decode.ts'
import type { LedgerSource, LogEntry } from './ports.ts'
import { readAudits } from './read-audits.ts'
import type {
  AuditFacts,
  BlockRef,
  GridPin,
  LedgerNode,
  LedgerView,
  Order,
  Policy,
  Registration,
  SlotRelease,
} from './types.ts'

/** Blocks of one log request: what the strictest public endpoints still serve. */
export const LOG_BLOCKS_MAX = 2_000
/** Orders of one call: 32 with full specs stay below 1 MiB. */
export const ORDERS_PER_CALL = 32
/** Nodes of one call: 64 with keys and addresses stay below 200 KiB. */
export const NODES_PER_CALL = 64
/** Calls that wait for one endpoint at once. */
const CALLS_AT_ONCE = 8
/** Nodes of a grid at most: beyond it an answer is not believed. */
const NODES_MAX = 100_000

/** What to read, and from where on. */
export interface ReadRequest {
  readonly account: Account
  /** The final block to read at. */
  readonly block: BlockRef
  /** What was read last, undefined at first start. */
  readonly known: LedgerView | undefined
  readonly pin: GridPin
  /** Whether this node keeps others to their audits, where policy pays for it; false if left out. */
  readonly keeps?: boolean
  /**
   * Seconds: what is first seen now happened no earlier by this machine's clock; 0 where the block's time needs no second witness.
   */
  readonly notBefore: number
}

/**
 * Reads the pin: the contracts behind the grid address, and a digest of their code.
 *
 * @param grid - Address of the `Grid` directory.
 * @param blockHash - Block to read at.
 * @throws NodeError `LEDGER_WRONG_GRID` if there is no grid.
 */
export async function readPin(
  source: LedgerSource,
  grid: Account,
  blockHash: string,
  signal: AbortSignal,
): Promise<GridPin> {
  const chainId = await source.chainId(signal)
  if ((await source.code(grid, blockHash, signal)) === '0x') {
    throw new NodeError('LEDGER_WRONG_GRID', `there is no contract at ${grid}`)
  }
  const data = GRID_ABI.encodeFunctionData('contracts')
  const [contracts] = decodeReturn(
    GRID_ABI,
    'contracts',
    await source.call(grid, data, blockHash, signal),
  )
  const addresses = {
    policy: account(contracts['policy']),
    nodes: account(contracts['nodes']),
    orders: account(contracts['orders']),
    escrow: account(contracts['escrow']),
    token: account(contracts['token']),
  }
  const codes = await Promise.all(
    [grid, ...Object.values(addresses)].map((address) => source.code(address, blockHash, signal)),
  )
  if (codes.includes('0x')) {
    throw new NodeError('LEDGER_WRONG_GRID', `a contract of the grid ${grid} has no code`)
  }
  const hash = createHash('sha256')
  for (const code of codes) hash.update(createHash('sha256').update(fromHex(code)).digest())
  const deployedAtBlock = Number(contracts['deployedAtBlock'])
  return { chainId, grid, ...addresses, deployedAtBlock, codeDigest: hash.digest('hex') }
}

/**
 * Reads the whole view at one block.
 *
 * @param source - The endpoint.
 * @param request - What to read.
 * @returns The view; `cursor.finalNumber` is left to the caller and is that of `known`, or 0.
 * @throws NodeError `LEDGER_FORKED`, `LEDGER_BEHIND`, `LEDGER_LOGS_WITHHELD`, or what the endpoint failed with.
 * @example
 * const view = await readView(source, { account, block, known, pin }, signal)
 */
export async function readView(
  source: LedgerSource,
  request: ReadRequest,
  signal: AbortSignal,
): Promise<LedgerView> {
  const { block, known, pin } = request
  const seenAt = Math.max(block.timestamp, request.notBefore)
  const reading = new Reading(source, pin, block, seenAt, signal)
  if (known) await reading.checkContinuity(known.cursor.block)
  const [sequence, registryVersion, policy, registration] = await Promise.all([
    reading.count(pin.orders, ORDERS_ABI, 'sequence'),
    reading.count(pin.nodes, NODES_ABI, 'registryVersion'),
    reading.policy(),
    reading.registration(request.account, known?.registration),
  ])
  const changed = await reading.changedOrders(known, sequence)
  const { nodes, nodesReadAt } = await reading.nodes(known, registryVersion, policy, registration)
  const orders = await new OrderReading(reading, registration.node, known?.orders ?? []).read(
    changed,
  )
  const audits = await reading.audits({ policy, registration, known, nodes, keeps: request.keeps })
  const finalNumber = known?.cursor.finalNumber ?? 0
  return {
    cursor: { pin, block, sequence, registryVersion, nodesReadAt, finalNumber },
    registration,
    policy,
    nodes,
    orders,
    ...(audits && { audits }),
  }
}

/** Reads at one block of one endpoint. */
class Reading {
  readonly source: LedgerSource
  readonly pin: GridPin
  readonly block: BlockRef
  /** When what is first seen now happened at the latest, seconds. */
  readonly seenAt: number
  readonly signal: AbortSignal

  constructor(
    source: LedgerSource,
    pin: GridPin,
    block: BlockRef,
    seenAt: number,
    signal: AbortSignal,
  ) {
    this.source = source
    this.pin = pin
    this.block = block
    this.seenAt = seenAt
    this.signal = signal
  }

  call(to: string, data: string): Promise<string> {
    return this.source.call(to, data, this.block.hash, this.signal)
  }

  async count(
    to: string,
    abi: typeof ORDERS_ABI,
    name: 'sequence' | 'registryVersion' | 'orderCount' | 'nodeCount',
  ): Promise<number> {
    const [value] = decodeReturn(abi, name, await this.call(to, abi.encodeFunctionData(name)))
    return Number(value)
  }

  async policy(): Promise<Policy> {
    const data = POLICY_ABI.encodeFunctionData('all')
    return decodePolicy(await this.call(this.pin.policy, data))
  }

  async checkContinuity(cursor: BlockRef): Promise<void> {
    const now = await this.source.block(cursor.number, this.signal)
    const shown = (block: BlockRef | undefined) =>
      block ? `${block.hash} of ${block.timestamp}` : 'missing'
    const isSame = now?.hash === cursor.hash && now.timestamp === cursor.timestamp
    const isChild = this.block.number > cursor.number + 1 || this.block.parentHash === cursor.hash
    if (isSame && isChild) {
      if (this.block.timestamp >= cursor.timestamp) return
      const message = `block ${this.block.number} is older than block ${cursor.number} before it`
      throw new NodeError('LEDGER_TIME_IMPLAUSIBLE', message)
    }
    throw new NodeError(
      'LEDGER_FORKED',
      `block ${cursor.number} was ${shown(cursor)} and is ${isSame ? 'no parent' : shown(now)} now`,
    )
  }

  /** A number, once given, stays: a node that left the registry still knows which orders were its own. */
  async registration(self: Account, known: Registration | undefined): Promise<Registration> {
    const { nodes } = this.pin
    const [nodeData, sponsorData] = await Promise.all([
      this.call(nodes, NODES_ABI.encodeFunctionData('nodeOf', [self])),
      this.call(nodes, NODES_ABI.encodeFunctionData('farmSponsoring', [self])),
    ])
    const [node] = decodeReturn(NODES_ABI, 'nodeOf', nodeData)
    const [farm, stake] = decodeReturn(NODES_ABI, 'farmSponsoring', sponsorData)
    return {
      account: self,
      node: node === 0n ? known?.node : nodeId(node),
      sponsor: farm === 0n ? undefined : farmId(farm),
      sponsoredStake: BigInt(stake),
    }
  }

  /** All nodes when the registry changed or heartbeats have become old; else only this node anew. */
  async nodes(
    known: LedgerView | undefined,
    registryVersion: number,
    policy: Policy,
    registration: Registration,
  ): Promise<{ nodes: readonly LedgerNode[]; nodesReadAt: number }> {
    const age = this.block.timestamp - (known?.cursor.nodesReadAt ?? 0)
    const isFresh = age < policy.values.heartbeatSeconds
    if (known && isFresh && known.cursor.registryVersion === registryVersion) {
      const own = registration.node === undefined ? [] : await this.nodePage(registration.node, 1)
      const nodes = known.nodes.map((node) => own.find(({ id }) => id === node.id) ?? node)
      return { nodes, nodesReadAt: known.cursor.nodesReadAt }
    }
    const count = await this.count(this.pin.nodes, NODES_ABI, 'nodeCount')
    if (count > NODES_MAX) {
      throw new NodeError('LEDGER_RESPONSE_INVALID', `the registry claims ${count} nodes`)
    }
    const pages = await inGroups(range(1, count), NODES_PER_CALL, (ids) =>
      this.nodePage(ids[0] ?? 1, ids.length),
    )
    const nodes = pages.flat()
    if (nodes.length !== count) {
      throw new NodeError('LEDGER_RESPONSE_INVALID', `${nodes.length} of ${count} nodes were given`)
    }
    return { nodes, nodesReadAt: this.block.timestamp }
  }

  async nodePage(from: number, limit: number): Promise<LedgerNode[]> {
    const data = NODES_ABI.encodeFunctionData('nodes', [from, limit])
    return decodeNodes(await this.call(this.pin.nodes, data))
  }

  /** Numbers of the orders that changed since the cursor: all of them at first start. */
  async changedOrders(known: LedgerView | undefined, sequence: number): Promise<number[]> {
    if (!known) {
      return range(1, await this.count(this.pin.orders, ORDERS_ABI, 'orderCount'))
    }
    const from = known.cursor.sequence
    if (sequence < from) {
      throw new NodeError('LEDGER_FORKED', `event ${from} was read and ${sequence} is the last now`)
    }
    if (sequence === from) return []
    const logs = await this.logs(known.cursor.block.number + 1, [])
    return [...checkedEvents(logs, from, sequence)]
  }

  /** Nothing is asked while policy has audits switched off. */
  async audits(init: {
    readonly policy: Policy
    readonly registration: Registration
    readonly known: LedgerView | undefined
    readonly nodes: readonly LedgerNode[]
    readonly keeps: boolean | undefined
  }): Promise<AuditFacts | undefined> {
    const { known, nodes } = init
    const { node } = init.registration
    const { auditEpochSeconds, auditReporterShare } = init.policy.values
    if (auditEpochSeconds === 0 || node === undefined) return undefined
    const reading = {
      grid: this.pin.grid,
      nodes: this.pin.nodes,
      now: this.block.timestamp,
      // Nobody works for nothing: without a share the farms would only pay gas for each other.
      keeps: init.keeps === true && auditReporterShare > 0,
      nodeCount: nodes.at(-1)?.id ?? 0,
      epochSeconds: auditEpochSeconds,
      fromBlock: known?.audits ? known.cursor.block.number + 1 : this.pin.deployedAtBlock,
      call: (to: string, data: string) => this.call(to, data),
      logsOf: (address: string, fromBlock: number, topics: readonly (string | null)[]) =>
        this.logsOf(address, fromBlock, topics),
    }
    return readAudits(reading, node, known?.audits)
  }

  logs(fromBlock: number, topics: readonly (string | null)[]): Promise<LogEntry[]> {
    return this.logsOf(this.pin.orders, fromBlock, topics)
  }

  async logsOf(
    address: string,
    fromBlock: number,
    topics: readonly (string | null)[],
  ): Promise<LogEntry[]> {
    const all: LogEntry[] = []
    for (let from = fromBlock; from <= this.block.number; from += LOG_BLOCKS_MAX) {
      const toBlock = Math.min(from + LOG_BLOCKS_MAX - 1, this.block.number)
      all.push(
        ...(await this.source.logs({ address, fromBlock: from, toBlock, topics }, this.signal)),
      )
    }
    return all
  }

  /** Every move of an order's slots: as many as their generations say, or the endpoint withholds some. */
  async releases(
    order: RawOrder & { exists: true },
    known: Order | undefined,
  ): Promise<SlotRelease[]> {
    const moves = order.common.slots.reduce((sum, slot) => sum + slot.generation, 0)
    const before = known?.releases ?? []
    if (moves === before.length) return [...before]
    const topics = [SLOT_REPLACED, null, `0x${order.id.toString(16).padStart(64, '0')}`]
    const logs = await this.logs(this.pin.deployedAtBlock, topics)
    const releases = logs.map((log, index): SlotRelease => {
      const event = ORDERS_ABI.parseLog({ topics: [...log.topics], data: log.data })
      const at = before[index]?.at ?? this.seenAt
      return { slot: Number(event?.args['slot']), node: nodeId(event?.args['from']), at }
    })
    if (releases.length === moves) return releases
    throw new NodeError(
      'LEDGER_LOGS_WITHHELD',
      `order ${order.id} had ${moves} moves and ${releases.length} were given`,
    )
  }
}

const VOLUME = ORDER_KINDS.indexOf('volume')
const MOUNT = ORDER_KINDS.indexOf('mount')
const ORDER_PLACED = required(
  ORDERS_ABI.getEvent('OrderPlaced')?.topicHash,
  'the interface has the event',
)
const SLOT_REPLACED = required(
  ORDERS_ABI.getEvent('SlotReplaced')?.topicHash,
  'the interface has the event',
)

/**
 * Checks that the events have every number from `from + 1` to `to`, and gives the orders that they are about.
 *
 * @throws NodeError `LEDGER_LOGS_WITHHELD` if one is missing.
 */
function checkedEvents(logs: readonly LogEntry[], from: number, to: number): Set<number> {
  const orders = new Set<number>()
  const seen = new Set<number>()
  for (const { topics } of logs) {
    const [, sequenceTopic, orderTopic] = topics
    if (sequenceTopic === undefined || orderTopic === undefined) continue
    const sequence = Number(BigInt(sequenceTopic))
    if (sequence <= from || sequence > to) continue
    seen.add(sequence)
    orders.add(Number(BigInt(orderTopic)))
  }
  if (seen.size === to - from) return orders
  throw new NodeError(
    'LEDGER_LOGS_WITHHELD',
    `${seen.size} of the events ${from + 1} to ${to} were given`,
  )
}

/** Finds, among the orders that changed or were known, those that concern this node. */
class OrderReading {
  readonly reading: Reading
  readonly self: NodeId | undefined
  readonly known: ReadonlyMap<number, Order>
  readonly raw = new Map<number, RawOrder>()
  readonly orders = new Map<number, Order>()

  constructor(reading: Reading, self: NodeId | undefined, known: readonly Order[]) {
    this.reading = reading
    this.self = self
    this.known = new Map(known.map((order) => [order.id, order]))
  }

  async read(changed: readonly number[]): Promise<Order[]> {
    if (this.self === undefined) return []
    await this.fetch([...this.known.values()].filter(mayChange).map(({ id }) => id))
    await this.fetch(changed)
    // An own mount leads to its volume, a volume to all its mounts: two steps reach everything.
    await this.fetch(
      this.wanted()
        .map(volumeOf)
        .filter((id) => id > 0),
    )
    await this.fetch(this.wanted().flatMap(mountsOf))
    await this.fetch(await this.formerMounts())
    const wanted = this.wanted().sort((a, b) => a.id - b.id)
    for (const order of wanted) this.checkWriters(order)
    return wanted
  }

  /**
   * Mounts that volumes once had: who mounts a volume must know all who ever wrote it. The contract counts its writers
   * (`writerEpoch`), so a missing one is noticed.
   */
  async formerMounts(): Promise<number[]> {
    const ids: number[] = []
    for (const volume of this.wanted()) {
      if (volume.kind !== 'volume' || this.writersKnown(volume) >= volume.writerEpoch) continue
      const logs = await this.reading.logs(this.reading.pin.deployedAtBlock, [
        ORDER_PLACED,
        null,
        null,
        `0x${volume.tenant.slice(2).padStart(64, '0')}`,
      ])
      ids.push(...logs.map(({ topics }) => Number(BigInt(topics[2] ?? 0))))
    }
    return ids
  }

  checkWriters(order: Order): void {
    if (order.kind !== 'volume') return
    const known = this.writersKnown(order)
    if (known >= order.writerEpoch) return
    throw new NodeError(
      'LEDGER_LOGS_WITHHELD',
      `volume ${order.id} had ${order.writerEpoch} writers and ${known} were given`,
    )
  }

  writersKnown(volume: Order): number {
    return [...this.orders.values()].filter(
      (order) => volumeOf(order) === volume.id && !(order.kind === 'mount' && order.readOnly),
    ).length
  }

  async fetch(ids: readonly number[]): Promise<void> {
    const missing = [...new Set(ids)].filter((id) => !this.raw.has(id))
    const pages = await inGroups(missing, ORDERS_PER_CALL, async (group) => {
      const data = ORDERS_ABI.encodeFunctionData('get', [group])
      return decodeOrders(group, await this.reading.call(this.reading.pin.orders, data))
    })
    const found = pages.flat()
    for (const [index, raw] of found.entries()) {
      this.raw.set(missing[index] ?? raw.id, raw)
      if (!raw.exists || !this.mayConcern(raw)) continue
      const releases = await this.reading.releases(raw, this.known.get(raw.id))
      this.orders.set(raw.id, readOrder(raw, releases))
    }
    for (const [id, order] of this.known) {
      if (!mayChange(order) && !this.orders.has(id)) this.orders.set(id, order)
    }
  }

  /** A first, wide choice by what costs nothing; `wanted` is exact. */
  mayConcern(raw: RawOrder & { exists: true }): boolean {
    if (this.known.has(raw.id) || raw.kindNumber === VOLUME || raw.kindNumber === MOUNT) return true
    const moved = raw.common.slots.some((slot) => slot.generation > 0)
    return moved || raw.common.slots.some((slot) => slot.node === this.self)
  }

  wanted(): Order[] {
    const all = [...this.orders.values()]
    const own = new Set<number>(all.filter((order) => this.isOwn(order)).map(({ id }) => id))
    const mounted = all.filter((order) => own.has(order.id)).map(volumeOf)
    // 0 stands for "no volume" and must not join orders that have none.
    const volumes = new Set([...own, ...mounted].filter((id) => id > 0))
    return all.filter((order) => volumes.has(order.id) || volumes.has(volumeOf(order)))
  }

  isOwn(order: Order): boolean {
    return [...order.slots, ...order.releases].some(({ node }) => node === this.self)
  }
}

/** An ended order whose data may go never changes again. */
function mayChange(order: Order): boolean {
  return order.state !== 'ended' || order.deletableAt === 0
}

/** The volume of a mount, also of one that cannot be read; 0 for others. */
function volumeOf(order: Order): number {
  if (order.kind === 'mount') return order.volume
  return order.kind === 'unreadable' && order.kindNumber === MOUNT ? order.parent : 0
}

function mountsOf(order: Order): readonly number[] {
  return order.kind === 'volume' ? order.mounts : []
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index)
}

/** Runs a call for each group of ids, some at once, results in order. */
async function inGroups<T>(
  ids: readonly number[],
  groupSize: number,
  call: (ids: number[]) => Promise<T>,
): Promise<T[]> {
  const groups: number[][] = []
  for (let at = 0; at < ids.length; at += groupSize) groups.push(ids.slice(at, at + groupSize))
  const results: T[] = []
  for (let at = 0; at < groups.length; at += CALLS_AT_ONCE) {
    results.push(...(await Promise.all(groups.slice(at, at + CALLS_AT_ONCE).map(call))))
  }
  return results
}
