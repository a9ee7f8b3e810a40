/**
 * Branded identifiers: an order's number cannot be passed where a node's is meant.
 *
 * Numbers come from the contracts, which hand them out from 1 upwards and never twice.
 */
import { NodeError } from './errors.ts'

declare const brand: unique symbol
type Branded<T, Name extends string> = T & { readonly [brand]: Name }

/** An order's number on the ledger, `>= 1`. */
export type OrderId = Branded<number, 'OrderId'>
/** A node's number in the registry, `>= 1`. */
export type NodeId = Branded<number, 'NodeId'>
/** A farm's number in the registry, `>= 1`. */
export type FarmId = Branded<number, 'FarmId'>
/** A ledger account, `0x` and 40 lower-case hexadecimal digits; also names a peer of the links unit. */
export type Account = Branded<string, 'Account'>

/**
 * Brands a number as an order's.
 *
 * @param value - A safe integer `>= 1`.
 * @throws NodeError `ID_INVALID` otherwise.
 * @example
 * orderId(7)
 */
export const orderId = (value: number | bigint): OrderId => checked(value, 'order') as OrderId

/**
 * Brands a number as a node's.
 *
 * @param value - A safe integer `>= 1`.
 * @throws NodeError `ID_INVALID` otherwise.
 * @example
 * nodeId(3n)
 */
export const nodeId = (value: number | bigint): NodeId => checked(value, 'node') as NodeId

/**
 * Brands a number as a farm's.
 *
 * @param value - A safe integer `>= 1`.
 * @throws NodeError `ID_INVALID` otherwise.
 * @example
 * farmId(1)
 */
export const farmId = (value: number | bigint): FarmId => checked(value, 'farm') as FarmId

/**
 * Brands a string as a ledger account, in lower case so that equal accounts are equal strings.
 *
 * @param value - `0x` and 40 hexadecimal digits of any case.
 * @throws NodeError `ID_INVALID` otherwise.
 * @example
 * account('0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266')
 */
export function account(value: string): Account {
  if (!/^0x[0-9a-fA-F]{40}$/.test(value)) {
    throw new NodeError('ID_INVALID', `"${value}" is not an account (0x and 40 hexadecimal digits)`)
  }
  return value.toLowerCase() as Account
}

function checked(value: number | bigint, kind: string): number {
  const number = Number(value)
  if (!Number.isSafeInteger(number) || number < 1) {
    throw new NodeError('ID_INVALID', `${value} is not the number of a ${kind}`)
  }
  return number
}
