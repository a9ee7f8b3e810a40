/** What can be told from an order alone, without asking the ledger. */
import type { NodeId } from '../base/ids.ts'
import { ORDER_KINDS } from './abi.ts'
import type { Order, Policy, VolumeOrder } from './types.ts'

const MOUNT = ORDER_KINDS.indexOf('mount')

/** An ended order whose data may go never changes again. */
export function mayChange(order: Order): boolean {
  return order.state !== 'ended' || order.deletableAt === 0
}

/**
 * When time alone gives an order another state.
 *
 * @param order - As it was read.
 * @param policy - An order keeps the grace that it was placed with; where policy has another since, the next sweep finds the end.
 * @returns Seconds of the ledger's time; infinite for one that ended.
 */
export function changesAt(order: Order, policy: Policy): number {
  if (order.state === 'live') return order.paidUntil
  if (order.state === 'suspended') return order.paidUntil + policy.values.graceSeconds
  return order.deletableAt === 0 ? 0 : Number.POSITIVE_INFINITY
}

/** Whether an order has another state by now than when it was read. */
export function isChangedByTime(order: Order, now: number, policy: Policy): boolean {
  return now >= changesAt(order, policy)
}

/** The volume of a mount, also of one that cannot be read; 0 for others. */
export function volumeOf(order: Order): number {
  if (order.kind === 'mount') return order.volume
  return order.kind === 'unreadable' && order.kindNumber === MOUNT ? order.parent : 0
}

/** Mounts that a volume names; none for others. */
export function mountsOf(order: Order): readonly number[] {
  return order.kind === 'volume' ? order.mounts : []
}

/** Whether a node has a live mount that may write a volume, be it the newest or not. */
export function isWrittenBy(
  volume: VolumeOrder,
  node: NodeId | undefined,
  orders: readonly Order[],
): boolean {
  return orders.some(
    (order) =>
      order.kind === 'mount' &&
      order.volume === volume.id &&
      order.state === 'live' &&
      !order.readOnly &&
      order.slots[0]?.node === node,
  )
}
