/** Names of slots: an order, a slot of it, and how often that slot changed hands. */
import type { OrderId } from '../../base/ids.ts'
import { wordOf } from './word.ts'

/** A slot in the hands of one node. */
export interface SlotName {
  readonly order: OrderId
  /** Position in the order, `0..65535`. */
  readonly slot: number
  /** Changes when the ledger gives the slot to another node, `0..65535`. */
  readonly generation: number
}

/**
 * The word that a slot has in an accumulator.
 *
 * @param name - The slot.
 * @returns 32 bytes: `order << 32 | slot << 16 | generation`.
 * @example
 * slotKey({ order: orderId(1), slot: 0, generation: 1 })
 */
export function slotKey(name: SlotName): Uint8Array {
  return wordOf(slotNumber(name))
}

/**
 * Orders two slots as accumulators have them.
 *
 * @returns Below 0 if `a` comes first, 0 if they are one.
 */
export function compareSlots(a: SlotName, b: SlotName): number {
  return a.order - b.order || a.slot - b.slot || a.generation - b.generation
}

/**
 * Tells whether two names are of one slot.
 *
 * @returns True if they are.
 */
export function isSameSlot(a: SlotName, b: SlotName): boolean {
  return compareSlots(a, b) === 0
}

/**
 * A slot's name as text: for maps, file names and people.
 *
 * @param name - The slot.
 * @returns `order-slot-generation`.
 * @example
 * slotText({ order: orderId(7), slot: 2, generation: 1 }) // '7-2-1'
 */
export function slotText({ order, slot, generation }: SlotName): string {
  return `${order}-${slot}-${generation}`
}

function slotNumber({ order, slot, generation }: SlotName): bigint {
  return (BigInt(order) << 32n) | (BigInt(slot) << 16n) | BigInt(generation)
}
