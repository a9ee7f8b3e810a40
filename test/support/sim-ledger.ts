/**
 * The contracts as a model: orders, slots, nodes, heartbeats, policy and event numbers, block by block, on a chain that
 * reorganises above finality.
 *
 * Every block keeps the state after it, so that any endpoint may serve any block, and the checks may look at the truth. What
 * `Orders.sol` and `Nodes.sol` refuse is refused here with the same words; money is left out but for the time it buys.
 */
import { createHash } from 'node:crypto'
import { AbiCoder } from 'ethers/abi'
import { toHex } from '../../agent/base/bytes.ts'
import type { Account } from '../../agent/base/ids.ts'
import type { Chance } from '../../agent/base/ports.ts'
import {
  GRID_ABI,
  NODES_ABI,
  ORDERS_ABI,
  PARAMETERS,
  POLICY_ABI,
  SPEC_TYPES,
} from '../../agent/ledger/abi.ts'
import type { LogEntry } from '../../agent/ledger/ports.ts'
import type { BlockRef, PolicyValues } from '../../agent/ledger/types.ts'
import { type Encodable, encodeAnswer } from './sim-abi.ts'

const contract = (digit: string): Account => `0x${digit.repeat(40)}` as Account

/** Where the contracts are. */
export const SIM_CONTRACTS = {
  grid: contract('9'),
  token: contract('1'),
  governor: contract('2'),
  timelock: contract('3'),
  policy: contract('4'),
  nodes: contract('5'),
  orders: contract('6'),
  escrow: contract('7'),
} as const
export const SIM_CHAIN_ID = 31_337
/** 2026-01-01, like the virtual clock. */
export const GENESIS_SECONDS = 1_767_225_600

const KIND = { store: 1, volume: 2, mount: 3 } as const
const STATE = { live: 1, suspended: 2, ended: 3 } as const
const ACTIVE = 2
const LATE_HEARTBEATS = 2

/** A node of the registry. */
export interface SimNode {
  readonly id: number
  readonly farm: number
  readonly account: Account
  readonly state: number
  readonly capacityBytes: number
  readonly usedBytes: number
  readonly registeredAt: number
  readonly lastHeartbeat: number
  readonly publicKey: string
  readonly sealingKey: string
  readonly addresses: readonly string[]
}

/** A slot of an order. */
export interface SimSlot {
  readonly node: number
  readonly sizeBytes: number
  readonly assignedAt: number
  readonly generation: number
}

/** A node that lost a slot. */
export interface SimMove {
  readonly slot: number
  readonly from: number
  readonly at: number
}

/** An order as the contract stores it. */
export interface SimOrder {
  readonly id: number
  readonly kind: 'store' | 'volume' | 'mount'
  readonly tenant: Account
  readonly parent: number
  readonly placedAt: number
  readonly paidUntil: number
  readonly endedAt: number
  readonly writerEpoch: number
  readonly spec: string
  readonly slots: readonly SimSlot[]
  readonly children: readonly number[]
  readonly released: boolean
  readonly readOnly: boolean
  /** Slots of the group that must stand on distinct farms: `k + m` for a volume. */
  readonly dataSlots: number
  readonly moves: readonly SimMove[]
}

/** Everything on the chain after a block. */
export interface SimState {
  readonly nodes: readonly SimNode[]
  readonly orders: readonly SimOrder[]
  readonly sequence: number
  readonly registryVersion: number
  readonly policyVersion: number
  readonly policy: PolicyValues
  readonly nonces: ReadonlyMap<Account, number>
  /** Farm that vouches for an account. */
  readonly sponsors: ReadonlyMap<Account, number>
}

type Draft = { -readonly [K in keyof SimState]: SimState[K] }

/** A block. */
export interface SimBlock extends BlockRef {
  readonly state: SimState
  readonly logs: readonly LogEntry[]
  /** Transactions by hash, and whether they succeeded. */
  readonly receipts: ReadonlyMap<string, boolean>
  readonly transactions: readonly SimTransaction[]
  /** Answers to calls at this block, made once for all endpoints. */
  readonly answers: Map<string, string>
}

/** Something that wants into a block. */
export interface SimTransaction {
  readonly hash: string
  /** Who signed it, with the nonce; undefined for the tenant, whose transactions come in any order. */
  readonly from: { readonly account: Account; readonly nonce: number } | undefined
  apply(call: SimCall): void
}

/** A contract call that was refused, by the name of its error. */
export class SimRevert extends Error {
  override readonly name = 'SimRevert'
}

function requireThat(condition: boolean, error: string): asserts condition {
  if (!condition) throw new SimRevert(error)
}

/** The chain, as the simulation moves it. */
export class SimLedger {
  readonly #chance: Chance
  /** Canonical blocks by number. */
  #chain: SimBlock[]
  #pool: SimTransaction[] = []
  #forks = 0
  #finalNumber = 0
  isFinalityStalled = false
  isStalled = false
  /** Blocks that the chain's own finality lags the head. */
  readonly #finalLag: number
  readonly #blockSeconds: number

  constructor(init: {
    readonly chance: Chance
    readonly policy: PolicyValues
    readonly finalLag: number
    readonly blockSeconds: number
    readonly nodes: readonly SimNode[]
    readonly sponsors: ReadonlyMap<Account, number>
  }) {
    this.#chance = init.chance
    this.#finalLag = init.finalLag
    this.#blockSeconds = init.blockSeconds
    const state: SimState = {
      nodes: init.nodes,
      orders: [],
      sequence: 0,
      registryVersion: 1,
      policyVersion: 1,
      policy: init.policy,
      nonces: new Map(),
      sponsors: init.sponsors,
    }
    this.#chain = [this.#block(undefined, state, [], [], new Map())]
  }

  /** All canonical blocks, the newest last; not to be changed. */
  get chain(): readonly SimBlock[] {
    return this.#chain
  }

  get head(): SimBlock {
    return this.#chain[this.#chain.length - 1] as SimBlock
  }

  /** Number of the newest block that can never be undone. */
  get finalNumber(): number {
    return this.#finalNumber
  }

  get final(): SimBlock {
    return this.#chain[this.#finalNumber] as SimBlock
  }

  /** Blocks that the policy calls final too: what agents may act on. */
  get settled(): SimBlock {
    const depth = this.final.state.policy.finalityDepth
    const number = Math.max(0, Math.min(this.#finalNumber, this.head.number - depth))
    return this.#chain[number] as SimBlock
  }

  /** Takes a transaction; one that is known already, or mined, is fine. */
  submit(transaction: SimTransaction): void {
    const isKnown =
      this.#pool.some(({ hash }) => hash === transaction.hash) ||
      this.#chain.some(({ receipts }) => receipts.has(transaction.hash))
    if (!isKnown) this.#pool.push(transaction)
  }

  /** One more block, unless the chain stands still. */
  mine(): void {
    if (this.isStalled) return
    this.#append()
    if (this.isFinalityStalled) return
    this.#finalNumber = Math.max(this.#finalNumber, this.head.number - this.#finalLag)
  }

  /**
   * Undoes the newest blocks, never a final one, and grows as many others.
   *
   * @returns Blocks undone.
   */
  reorganise(depthMax: number): number {
    const depth = Math.min(depthMax, this.head.number - this.#finalNumber)
    if (depth <= 0) return 0
    const undone = this.#chain.slice(-depth)
    this.#chain = this.#chain.slice(0, -depth)
    this.#forks++
    const again = undone.flatMap(({ transactions }) => transactions)
    // Some come later than before, in another order, or, of those without a nonce, never again.
    const kept = again.filter(({ from }) => from !== undefined || this.#chance.below(4) > 0)
    this.#pool = [...shuffled(kept, this.#chance), ...this.#pool]
    for (let count = 0; count < depth; count++) this.#append()
    return depth
  }

  /** Runs a call on the state after a block without keeping what it does. @throws SimRevert. */
  tryOn(block: SimBlock, apply: (call: SimCall) => void): void {
    apply(new SimCall({ ...block.state }, block.timestamp + this.#blockSeconds))
  }

  #append(): void {
    const parent = this.head
    const timestamp = parent.timestamp + this.#blockSeconds
    const draft: Draft = { ...parent.state }
    const call = new SimCall(draft, timestamp)
    const receipts = new Map<string, boolean>()
    const mined: SimTransaction[] = []
    const left: SimTransaction[] = []
    for (const transaction of this.#pool) {
      const { from } = transaction
      const nonce = from ? (draft.nonces.get(from.account) ?? 0) : 0
      if (from && from.nonce < nonce) continue
      // Miners take what they like.
      if ((from && from.nonce > nonce) || this.#chance.below(8) === 0) {
        left.push(transaction)
        continue
      }
      const before = { ...draft }
      const logsBefore = call.logs.length
      if (from) draft.nonces = new Map(draft.nonces).set(from.account, nonce + 1)
      const nonces = draft.nonces
      try {
        transaction.apply(call)
        receipts.set(transaction.hash, true)
      } catch (caught) {
        if (!(caught instanceof SimRevert)) throw caught
        Object.assign(draft, before, { nonces })
        call.logs.length = logsBefore
        receipts.set(transaction.hash, false)
      }
      mined.push(transaction)
    }
    this.#pool = left
    this.#chain.push(this.#block(parent, draft, mined, call.logs, receipts))
  }

  #block(
    parent: SimBlock | undefined,
    state: SimState,
    transactions: readonly SimTransaction[],
    logs: readonly Pick<LogEntry, 'topics' | 'data'>[],
    receipts: ReadonlyMap<string, boolean>,
  ): SimBlock {
    const number = parent ? parent.number + 1 : 0
    const hash = hashOf(`${parent?.hash ?? 'genesis'} ${number} ${this.#forks}`)
    return {
      number,
      hash,
      parentHash: parent?.hash ?? hashOf('nothing'),
      timestamp: parent ? parent.timestamp + this.#blockSeconds : GENESIS_SECONDS,
      state,
      logs: logs.map((log) => ({ ...log, blockNumber: number, blockHash: hash })),
      receipts,
      transactions,
      answers: new Map(),
    }
  }
}

/** What one transaction does to the state. */
export class SimCall {
  readonly draft: Draft
  readonly time: number
  readonly logs: Pick<LogEntry, 'topics' | 'data'>[] = []

  constructor(draft: Draft, time: number) {
    this.draft = draft
    this.time = time
  }

  register(account: Account, given: Omit<SimNode, 'id' | 'farm' | 'account' | 'state'>): void {
    const farm = this.draft.sponsors.get(account)
    requireThat(farm !== undefined, 'NodeNotSponsored')
    const sponsors = new Map(this.draft.sponsors)
    sponsors.delete(account)
    this.draft.sponsors = sponsors
    const id = this.draft.nodes.length + 1
    this.draft.nodes = [
      ...this.draft.nodes,
      { ...given, id, farm, account, state: ACTIVE, registeredAt: this.time },
    ]
    this.draft.registryVersion++
  }

  heartbeat(account: Account): void {
    this.#changeNode(this.#nodeOf(account), { lastHeartbeat: this.time })
  }

  change(account: Account, changes: Partial<SimNode>): void {
    this.#changeNode(this.#nodeOf(account), changes)
    this.draft.registryVersion++
  }

  /** Places an order; `slots` are node numbers with sizes. */
  place(order: {
    readonly kind: SimOrder['kind']
    readonly tenant: Account
    readonly parent: number
    readonly spec: string
    readonly slots: readonly { readonly node: number; readonly sizeBytes: number }[]
    readonly seconds: number
    readonly dataSlots: number
    readonly readOnly: boolean
  }): void {
    const id = this.draft.orders.length + 1
    const farms = new Set<number>()
    for (const [index, { node, sizeBytes }] of order.slots.entries()) {
      if (index === order.dataSlots) farms.clear()
      const { farm } = this.#lock(node, sizeBytes)
      requireThat(!farms.has(farm), 'OrderFarmRepeated')
      farms.add(farm)
    }
    if (order.kind === 'mount') {
      const volume = this.order(order.parent)
      requireThat(volume.kind === 'volume' && this.stateOf(volume) === 'live', 'OrderParentInvalid')
      this.#changeOrder(volume.id, {
        children: [...volume.children, id],
        writerEpoch: volume.writerEpoch + (order.readOnly ? 0 : 1),
      })
    }
    this.draft.orders = [
      ...this.draft.orders,
      {
        id,
        kind: order.kind,
        tenant: order.tenant,
        parent: order.parent,
        placedAt: this.time,
        paidUntil: this.time + order.seconds,
        endedAt: 0,
        writerEpoch: 0,
        spec: order.spec,
        slots: order.slots.map((slot) => ({ ...slot, assignedAt: this.time, generation: 0 })),
        children: [],
        released: false,
        readOnly: order.readOnly,
        dataSlots: order.dataSlots,
        moves: [],
      },
    ]
    this.#log('OrderPlaced', id, order.tenant, KIND[order.kind])
  }

  extend(id: number, seconds: number): void {
    const order = this.order(id)
    requireThat(this.stateOf(order) !== 'ended', 'OrderWrongState')
    this.#changeOrder(id, { paidUntil: order.paidUntil + seconds })
    this.#log('OrderExtended', id, order.paidUntil + seconds)
  }

  cancel(id: number): void {
    const order = this.order(id)
    requireThat(this.stateOf(order) !== 'ended', 'OrderWrongState')
    const paidUntil = Math.min(order.paidUntil, this.time)
    this.#changeOrder(id, { endedAt: this.time, paidUntil })
    this.#log('OrderCancelled', id, 0)
  }

  settle(id: number): void {
    const order = this.order(id)
    const deletableAt = this.endOf(order) + this.draft.policy.graceSeconds
    if (this.stateOf(order) !== 'ended' || order.released || this.time < deletableAt) return
    this.#changeOrder(id, { released: true, endedAt: this.endOf(order) })
    if (order.kind === 'mount') {
      const volume = this.order(order.parent)
      this.#changeOrder(volume.id, { children: volume.children.filter((one) => one !== id) })
    }
    for (const { node, sizeBytes } of order.slots) this.#unlock(node, sizeBytes)
    this.#log('OrderReleased', id)
  }

  /** @param by - Account of the caller: the tenant, or the node that writes the volume. */
  replace(by: Account, id: number, slot: number, node: number): void {
    const order = this.order(id)
    requireThat(this.stateOf(order) === 'live', 'OrderWrongState')
    requireThat(order.kind !== 'mount', 'OrderNotReplaceable')
    const old = order.slots[slot]
    requireThat(old !== undefined, 'OrderSlotMissing')
    requireThat(old.node !== node, 'OrderSlotUnchanged')
    if (by !== order.tenant) this.#requireLost(by, order, old.node)
    const { farm } = this.#lock(node, old.sizeBytes)
    const isData = (index: number) => index < order.dataSlots
    for (const [index, other] of order.slots.entries()) {
      if (index === slot || isData(index) !== isData(slot)) continue
      requireThat(this.node(other.node).farm !== farm, 'OrderFarmRepeated')
    }
    this.#unlock(old.node, old.sizeBytes)
    const fresh = { ...old, node, generation: old.generation + 1, assignedAt: this.time }
    this.#changeOrder(id, {
      slots: order.slots.map((one, index) => (index === slot ? fresh : one)),
      moves: [...order.moves, { slot, from: old.node, at: this.time }],
    })
    this.#log('SlotReplaced', id, slot, old.node, node)
  }

  setPolicy(values: Partial<PolicyValues>): void {
    this.draft.policy = { ...this.draft.policy, ...values }
    this.draft.policyVersion++
  }

  order(id: number): SimOrder {
    const order = this.draft.orders[id - 1]
    requireThat(order !== undefined, 'OrderUnknown')
    return order
  }

  node(id: number): SimNode {
    const node = this.draft.nodes[id - 1]
    requireThat(node !== undefined, 'NodeMissing')
    return node
  }

  stateOf(order: SimOrder): 'live' | 'suspended' | 'ended' {
    return stateAt(order, this.time, this.draft.policy.graceSeconds)
  }

  endOf(order: SimOrder): number {
    return order.endedAt === 0 ? order.paidUntil : order.endedAt
  }

  #requireLost(by: Account, order: SimOrder, node: number): void {
    const writer = order.children
      .map((id) => this.order(id))
      .filter((mount) => !mount.readOnly && this.stateOf(mount) === 'live')
      .at(-1)
    const caller = this.draft.nodes.find(({ account }) => account === by)
    requireThat(caller !== undefined && writer?.slots[0]?.node === caller.id, 'OrderNotRepairer')
    const silence = this.time - this.node(node).lastHeartbeat
    requireThat(silence > this.draft.policy.lostSeconds, 'OrderNodeNotLost')
  }

  #lock(id: number, sizeBytes: number): SimNode {
    const node = this.node(id)
    requireThat(node.state === ACTIVE, 'NodeClosed')
    const lateSeconds = LATE_HEARTBEATS * this.draft.policy.heartbeatSeconds
    requireThat(this.time - node.lastHeartbeat <= lateSeconds, 'NodeNotAlive')
    requireThat(node.usedBytes + sizeBytes <= node.capacityBytes, 'NodeFull')
    this.#changeNode(node, { usedBytes: node.usedBytes + sizeBytes })
    return node
  }

  #unlock(id: number, sizeBytes: number): void {
    const node = this.node(id)
    this.#changeNode(node, { usedBytes: node.usedBytes - sizeBytes })
  }

  #nodeOf(account: Account): SimNode {
    const node = this.draft.nodes.find((one) => one.account === account)
    requireThat(node !== undefined, 'NodeUnknown')
    return node
  }

  #changeNode(node: SimNode, changes: Partial<SimNode>): void {
    this.draft.nodes = this.draft.nodes.map((one) =>
      one.id === node.id ? { ...one, ...changes } : one,
    )
  }

  #changeOrder(id: number, changes: Partial<SimOrder>): void {
    this.draft.orders = this.draft.orders.map((one) =>
      one.id === id ? { ...one, ...changes } : one,
    )
  }

  #log(event: string, order: number, ...values: readonly (string | number)[]): void {
    this.draft.sequence++
    const args = [this.draft.sequence, order, ...values]
    const { topics, data } = ORDERS_ABI.encodeEventLog(event, args)
    this.logs.push({ topics: topics as string[], data })
  }
}

/** State of an order at a time, as `Orders._state` computes it. */
export function stateAt(
  order: SimOrder,
  time: number,
  graceSeconds: number,
): 'live' | 'suspended' | 'ended' {
  if (order.endedAt !== 0) return 'ended'
  if (time < order.paidUntil) return 'live'
  return time < order.paidUntil + graceSeconds ? 'suspended' : 'ended'
}

/** From when on the data of an order may go; undefined while it is not ended. */
export function deletableFrom(order: SimOrder, block: SimBlock): number | undefined {
  const { graceSeconds } = block.state.policy
  if (stateAt(order, block.timestamp, graceSeconds) !== 'ended') return undefined
  return (order.endedAt === 0 ? order.paidUntil : order.endedAt) + graceSeconds
}

/**
 * What `eth_call` gives at a block.
 *
 * @throws SimRevert for a contract or function that is not modelled.
 */
export function answerCall(block: SimBlock, to: string, data: string): string {
  const key = `${to}${data}`
  const known = block.answers.get(key)
  if (known !== undefined) return known
  const answer = computeAnswer(block, to, data)
  block.answers.set(key, answer)
  return answer
}

function computeAnswer(block: SimBlock, to: string, data: string): string {
  const { state } = block
  switch (to) {
    case SIM_CONTRACTS.grid:
      return GRID_ABI.encodeFunctionResult('contracts', [{ ...SIM_CONTRACTS, deployedAtBlock: 0 }])
    case SIM_CONTRACTS.policy:
      if (data === POLICY_ABI.encodeFunctionData('version')) {
        return POLICY_ABI.encodeFunctionResult('version', [state.policyVersion])
      }
      return POLICY_ABI.encodeFunctionResult('all', [
        state.policyVersion,
        PARAMETERS.map((name) => state.policy[name]),
      ])
    case SIM_CONTRACTS.nodes:
      return answerNodes(state, data)
    case SIM_CONTRACTS.orders:
      return answerOrders(block, data)
    default:
      throw new SimRevert(`no contract at ${to}`)
  }
}

function answerNodes(state: SimState, data: string): string {
  const call = NODES_ABI.parseTransaction({ data })
  const result = (values: readonly unknown[]) =>
    NODES_ABI.encodeFunctionResult(call?.name ?? '', values)
  switch (call?.name) {
    case 'registryVersion':
      return result([state.registryVersion])
    case 'nodeCount':
      return result([state.nodes.length])
    case 'nodeOf': {
      const account = String(call.args[0]).toLowerCase()
      return result([state.nodes.find((node) => node.account === account)?.id ?? 0])
    }
    case 'farmSponsoring': {
      const farm = state.sponsors.get(String(call.args[0]).toLowerCase() as Account) ?? 0
      return result([farm, farm === 0 ? 0 : 1])
    }
    case 'nodes': {
      const from = Number(call.args[0]) - 1
      const page = state.nodes.slice(from, from + Number(call.args[1]))
      return encodeAnswer([{ list: page.map(nodeView) }])
    }
    default:
      throw new SimRevert('no such function of Nodes')
  }
}

/** In the order of `NODE_VIEW`. */
function nodeView(node: SimNode): Encodable {
  const { id, farm, account, state, capacityBytes, usedBytes, registeredAt, lastHeartbeat } = node
  const offer = [capacityBytes, usedBytes, 1, 1]
  const keys = [{ bytes: node.publicKey }, { bytes: node.sealingKey }]
  const addresses = node.addresses.map((one) => ({ bytes: Buffer.from(one).toString('hex') }))
  return {
    struct: [
      ...[id, farm, BigInt(account), state, ...offer, registeredAt, lastHeartbeat, 0],
      ...keys,
      { list: addresses },
    ],
  }
}

function answerOrders(block: SimBlock, data: string): string {
  const call = ORDERS_ABI.parseTransaction({ data })
  const { state } = block
  switch (call?.name) {
    case 'sequence':
      return ORDERS_ABI.encodeFunctionResult('sequence', [state.sequence])
    case 'orderCount':
      return ORDERS_ABI.encodeFunctionResult('orderCount', [state.orders.length])
    case 'get': {
      const ids = [...call.args[0]].map(Number)
      return encodeAnswer([{ list: ids.map((id) => orderView(block, id)) }])
    }
    default:
      throw new SimRevert('no such function of Orders')
  }
}

/** In the order of `ORDER_VIEW`. */
function orderView(block: SimBlock, id: number): Encodable {
  const { state, timestamp } = block
  const order = state.orders[id - 1]
  const nothing = [{ bytes: '' }, { list: [] }, { list: [] }]
  if (!order) return { struct: [id, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ...nothing] }
  const now = stateAt(order, timestamp, state.policy.graceSeconds)
  const deletableAt = deletableFrom(order, block) ?? 0
  const endedAt = deletableAt === 0 ? 0 : deletableAt - state.policy.graceSeconds
  const slots = order.slots.map(({ node, sizeBytes, assignedAt, generation }) => {
    const lastSeen = state.nodes[node - 1]?.lastHeartbeat ?? 0
    return { struct: [node, sizeBytes, assignedAt, lastSeen, generation] }
  })
  return {
    struct: [
      ...[id, KIND[order.kind], STATE[now], BigInt(order.tenant), order.parent],
      ...[order.placedAt, order.paidUntil, endedAt, deletableAt, order.writerEpoch, 1],
      { bytes: order.spec },
      { list: slots },
      { list: order.children },
    ],
  }
}

/** Specs as the contracts keep them. */
export const simSpecs = {
  store: (writers: readonly Account[]): string =>
    AbiCoder.defaultAbiCoder().encode([SPEC_TYPES.store], [[1, 0, false, writers, []]]),
  volume: (shape: {
    readonly dataShards: number
    readonly parityShards: number
    readonly metaStores: number
    readonly sizeBytes: number
    readonly keyCommitment: Uint8Array
  }): string =>
    AbiCoder.defaultAbiCoder().encode(
      [SPEC_TYPES.volume],
      [
        [
          1,
          shape.dataShards,
          shape.parityShards,
          shape.metaStores,
          false,
          shape.sizeBytes,
          `0x${toHex(shape.keyCommitment)}`,
        ],
      ],
    ),
  mount: (name: string, readOnly: boolean, sealedKey: Uint8Array): string =>
    AbiCoder.defaultAbiCoder().encode(
      [SPEC_TYPES.mount],
      [[1, readOnly, name, `0x${toHex(sealedKey)}`]],
    ),
}

function hashOf(text: string): string {
  return `0x${createHash('sha256').update(text).digest('hex')}`
}

function shuffled<T>(items: readonly T[], chance: Chance): T[] {
  const result = [...items]
  for (let at = result.length - 1; at > 0; at--) {
    const other = chance.below(at + 1)
    const [one, two] = [result[at] as T, result[other] as T]
    result[at] = two
    result[other] = one
  }
  return result
}
