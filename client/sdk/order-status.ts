/** Orders as they are on the ledger now, in words. */

import { NodeError } from '../../agent/base/errors.ts'
import {
  type Account,
  account,
  type NodeId,
  nodeId,
  type OrderId,
  orderId,
} from '../../agent/base/ids.ts'
import { ORDER_KINDS, ORDER_STATES } from '../../agent/ledger/abi.ts'
import { type Connection, reading, view } from './connection.ts'
import { decodeSpec, type OrderKind, type Spec } from './specs.ts'

/** Orders asked for in one call: each is up to some KiB of answer. */
const PAGE = 50
/** Blocks searched for logs in one call; many RPCs refuse more. */
const LOG_BLOCKS = 10_000

/** What a slot is for. */
export type SlotRole = 'store' | 'data' | 'parity' | 'metadata' | 'mount'

/** A slot as it is now. */
export interface SlotStatus {
  readonly index: number
  readonly role: SlotRole
  readonly node: NodeId
  readonly sizeBytes: number
  /** Second since 1970 at which the slot came to the node. */
  readonly assignedAt: number
  /** Second since 1970 of the node's last heartbeat. */
  readonly lastSeen: number
  /** Changes when the slot moves to another node. */
  readonly generation: number
}

/** An order as it is now; times are seconds since 1970 by the ledger's clock. */
export interface OrderStatus {
  readonly id: OrderId
  readonly kind: OrderKind
  readonly state: (typeof ORDER_STATES)[number]
  readonly tenant: Account
  /** The volume of a mount. */
  readonly volume: OrderId | undefined
  readonly placedAt: number
  readonly paidUntil: number
  /** 0 while it is not over. */
  readonly endedAt: number
  /** When its data may go; 0 while it is not over. */
  readonly deletableAt: number
  readonly writerEpoch: number
  /** Smallest token units for each second. */
  readonly ratePerSecond: bigint
  /** What it still holds, smallest token units. */
  readonly held: bigint
  /** Undefined if this version cannot read it. */
  readonly spec: Spec | undefined
  readonly slots: readonly SlotStatus[]
  /** Mounts of a volume. */
  readonly mounts: readonly OrderId[]
}

interface RawOrder {
  readonly [field: string]: unknown
  readonly spec: string
  readonly slots: readonly Record<string, bigint>[]
  readonly children: readonly bigint[]
}

/**
 * Reads orders by number.
 *
 * @param connection - The grid.
 * @param ids - `[n]` numbers.
 * @returns `[n]` in the same order.
 * @throws NodeError `ORDER_NOT_FOUND` if one does not exist.
 */
export async function readOrders(
  connection: Connection,
  ids: readonly number[],
): Promise<OrderStatus[]> {
  const { orders } = connection.contracts
  const found: OrderStatus[] = []
  for (let from = 0; from < ids.length; from += PAGE) {
    const page = ids.slice(from, from + PAGE)
    const [views, held] = await Promise.all([
      view(orders, 'get', page) as Promise<{ toObject(): RawOrder }[]>,
      Promise.all(
        page.map((id) => view(connection.contracts.escrow, 'held', id) as Promise<bigint>),
      ),
    ])
    page.forEach((id, at) => {
      const order = views[at]?.toObject()
      found.push(readOrder(id, order, held[at] ?? 0n))
    })
  }
  return found
}

function readOrder(id: number, order: RawOrder | undefined, held: bigint): OrderStatus {
  const number = (name: string) => Number(order?.[name] ?? 0)
  const state = ORDER_STATES[number('state')] ?? 'none'
  if (order === undefined || state === 'none') {
    throw new NodeError('ORDER_NOT_FOUND', `there is no order ${id}`)
  }
  const kind = ORDER_KINDS[number('kind')] ?? 'none'
  const spec = decodeSpec(kind, order.spec)
  return {
    ...{ id: orderId(id), kind, state, tenant: account(String(order['tenant'])) },
    volume: number('parent') === 0 ? undefined : orderId(number('parent')),
    ...{ placedAt: number('placedAt'), paidUntil: number('paidUntil') },
    ...{ endedAt: number('endedAt'), deletableAt: number('deletableAt') },
    ...{ writerEpoch: number('writerEpoch'), ratePerSecond: order['ratePerSecond'] as bigint },
    ...{ held, spec },
    slots: [...order.slots].map((slot, index) => ({
      ...{ index, role: roleOf(kind, spec, index), node: nodeId(slot['node'] ?? 0n) },
      sizeBytes: Number(slot['sizeBytes']),
      assignedAt: Number(slot['assignedAt']),
      lastSeen: Number(slot['lastSeen']),
      generation: Number(slot['generation']),
    })),
    mounts: [...order.children].map((child) => orderId(child)),
  }
}

function roleOf(kind: OrderKind, spec: Spec | undefined, index: number): SlotRole {
  if (kind === 'mount') return 'mount'
  if (spec?.kind !== 'volume') return 'store'
  if (index < spec.dataShards) return 'data'
  return index < spec.dataShards + spec.parityShards ? 'parity' : 'metadata'
}

/**
 * Finds the orders that an account placed.
 *
 * @param connection - The grid.
 * @param tenant - The account.
 * @returns Numbers, ascending.
 */
export async function findOrders(connection: Connection, tenant: string): Promise<OrderId[]> {
  const { orders } = connection.contracts
  const filter = await orders.getEvent('OrderPlaced').getFragment()
  const topics = orders.interface.encodeFilterTopics(filter, [null, null, tenant])
  const head = await reading(connection.provider.getBlockNumber())
  const found: OrderId[] = []
  for (let from = connection.deployedAtBlock; from <= head; from += LOG_BLOCKS) {
    const toBlock = Math.min(head, from + LOG_BLOCKS - 1)
    const address = await orders.getAddress()
    const logs = await reading(
      connection.provider.getLogs({ address, topics, fromBlock: from, toBlock }),
    )
    for (const log of logs) found.push(orderId(BigInt(log.topics[2] ?? '0x0')))
  }
  return found
}
