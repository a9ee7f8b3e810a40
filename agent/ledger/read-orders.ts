/**
 * Reads the orders that concern this node: all at first, later those that events name, and those that time changes.
 *
 * Events are hints and a count: each has a number, so that a missing one is noticed; what they name is read from the contract.
 */
import { required } from '../base/assert.ts'
import { NodeError } from '../base/errors.ts'
import { type NodeId, nodeId } from '../base/ids.ts'
import { ORDER_KINDS, ORDERS_ABI } from './abi.ts'
import { type BlockReading, inGroups, range } from './block-reading.ts'
import { decodeOrders, type RawOrder, readOrder } from './decode.ts'
import { isChangedByTime, isWrittenBy, mayChange, mountsOf, volumeOf } from './order-facts.ts'
import type { LogEntry } from './ports.ts'
import type { LedgerView, Order, Policy, SlotRelease } from './types.ts'

/** Orders of one call: 32 with full specs stay below 1 MiB. */
export const ORDERS_PER_CALL = 32

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
 * Numbers of the orders that changed since the cursor: all of them at first start.
 *
 * @param sequence - The contract's count of events.
 * @throws NodeError `LEDGER_FORKED`, `LEDGER_LOGS_WITHHELD`.
 */
export async function changedOrders(
  reading: BlockReading,
  known: LedgerView | undefined,
  sequence: number,
): Promise<number[]> {
  if (!known) return range(1, await reading.count(reading.pin.orders, ORDERS_ABI, 'orderCount'))
  const from = known.cursor.sequence
  if (sequence < from) {
    throw new NodeError('LEDGER_FORKED', `event ${from} was read and ${sequence} is the last now`)
  }
  if (sequence === from) return []
  const logs = await reading.logs(reading.pin.orders, known.cursor.block.number + 1, [])
  return [...checkedEvents(logs, from, sequence)]
}

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

/** What orders are read with. */
export interface OrdersInit {
  readonly self: NodeId | undefined
  readonly known: readonly Order[]
  readonly policy: Policy
  /** Whether all that may still change is read again: once in a while, should the contract do what no event tells. */
  readonly isSweep: boolean
}

/**
 * Reads orders.
 *
 * @param reading - One endpoint at one block.
 * @param changed - `[n]` numbers of orders that changed.
 * @param init - What is known.
 * @returns The orders that concern this node, by ascending number; those that did not change are the same objects.
 * @throws NodeError `LEDGER_*`.
 */
export async function readOrders(
  reading: BlockReading,
  changed: readonly number[],
  init: OrdersInit,
): Promise<readonly Order[]> {
  return new OrderReading(reading, init).read(changed)
}

class OrderReading {
  readonly reading: BlockReading
  readonly init: OrdersInit
  readonly known: ReadonlyMap<number, Order>
  readonly raw = new Map<number, RawOrder>()
  /** Those known, and in their place what was read now. */
  readonly orders: Map<number, Order>

  constructor(reading: BlockReading, init: OrdersInit) {
    this.reading = reading
    this.init = init
    this.known = new Map(init.known.map((order) => [order.id, order]))
    this.orders = new Map(this.known)
  }

  async read(changed: readonly number[]): Promise<readonly Order[]> {
    if (this.init.self === undefined) return []
    const due = this.init.known.filter((order) => this.isDue(order)).map(({ id }) => id)
    if (due.length === 0 && changed.length === 0) return this.init.known
    await this.fetch([...due, ...changed])
    // A volume says which mounts it has, and no event of its own tells of a new one.
    await this.fetch(changed.map((id) => this.parentOf(id)).filter((id) => this.known.has(id)))
    // An own mount leads to its volume, a volume to all its mounts: two steps reach everything.
    await this.fetchNew(this.wanted().map(volumeOf))
    await this.fetchNew(this.wanted().flatMap(mountsOf))
    await this.fetchNew(await this.formerMounts())
    const wanted = this.wanted().sort((a, b) => a.id - b.id)
    for (const order of wanted) this.checkWriters(order)
    return wanted
  }

  isDue(order: Order): boolean {
    if (!mayChange(order)) return false
    const { policy, isSweep, self, known } = this.init
    if (isSweep) return true
    const now = this.reading.block.timestamp
    return isChangedByTime(order, now, policy) || this.hasSilentSlot(order, now, self, known)
  }

  /** Who writes a volume repairs it, and must know whether the silence that it remembers is still one. */
  hasSilentSlot(
    order: Order,
    now: number,
    self: NodeId | undefined,
    known: readonly Order[],
  ): boolean {
    if (order.kind !== 'volume' || order.state !== 'live') return false
    const { lostSeconds } = this.init.policy.values
    const isSilent = order.slots.some(({ lastSeen }) => now - lastSeen > lostSeconds)
    return isSilent && isWrittenBy(order, self, known)
  }

  /**
   * Mounts that volumes once had: who mounts a volume must know all who ever wrote it. The contract counts its writers
   * (`writerEpoch`), so a missing one is noticed.
   */
  async formerMounts(): Promise<number[]> {
    const ids: number[] = []
    for (const volume of this.wanted()) {
      if (volume.kind !== 'volume' || this.writersKnown(volume) >= volume.writerEpoch) continue
      const { pin } = this.reading
      const logs = await this.reading.logs(pin.orders, pin.deployedAtBlock, [
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

  parentOf(id: number): number {
    const raw = this.raw.get(id)
    return raw?.exists && raw.kindNumber === MOUNT ? raw.parent : 0
  }

  async fetchNew(ids: readonly number[]): Promise<void> {
    await this.fetch(ids.filter((id) => id > 0 && !this.orders.has(id)))
  }

  async fetch(ids: readonly number[]): Promise<void> {
    const missing = [...new Set(ids)].filter((id) => !this.raw.has(id))
    const pages = await inGroups(missing, ORDERS_PER_CALL, async (group) => {
      const data = ORDERS_ABI.encodeFunctionData('get', [group])
      return decodeOrders(group, await this.reading.call(this.reading.pin.orders, data))
    })
    for (const [index, raw] of pages.flat().entries()) {
      this.raw.set(missing[index] ?? raw.id, raw)
      if (!raw.exists || !this.mayConcern(raw)) continue
      const releases = await this.releases(raw, this.known.get(raw.id))
      this.orders.set(raw.id, readOrder(raw, releases))
    }
  }

  /** Every move of an order's slots: as many as their generations say, or the endpoint withholds some. */
  async releases(
    order: RawOrder & { exists: true },
    known: Order | undefined,
  ): Promise<SlotRelease[]> {
    const moves = order.common.slots.reduce((sum, slot) => sum + slot.generation, 0)
    const before = known?.releases ?? []
    if (moves === before.length) return [...before]
    const { pin, seenAt } = this.reading
    const topics = [SLOT_REPLACED, null, `0x${order.id.toString(16).padStart(64, '0')}`]
    const logs = await this.reading.logs(pin.orders, pin.deployedAtBlock, topics)
    const releases = logs.map((log, index): SlotRelease => {
      const event = ORDERS_ABI.parseLog({ topics: [...log.topics], data: log.data })
      const at = before[index]?.at ?? seenAt
      return { slot: Number(event?.args['slot']), node: nodeId(event?.args['from']), at }
    })
    if (releases.length === moves) return releases
    throw new NodeError(
      'LEDGER_LOGS_WITHHELD',
      `order ${order.id} had ${moves} moves and ${releases.length} were given`,
    )
  }

  /** A first, wide choice by what costs nothing; `wanted` is exact. */
  mayConcern(raw: RawOrder & { exists: true }): boolean {
    if (this.known.has(raw.id) || raw.kindNumber === VOLUME || raw.kindNumber === MOUNT) return true
    const moved = raw.common.slots.some((slot) => slot.generation > 0)
    return moved || raw.common.slots.some((slot) => slot.node === this.init.self)
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
    return [...order.slots, ...order.releases].some(({ node }) => node === this.init.self)
  }
}
