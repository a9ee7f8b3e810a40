/**
 * From what the contracts return to typed orders, nodes and policy. Pure.
 *
 * An order that cannot be read becomes an `unreadable` order with a code: the tenant sees it, and the agent goes on. A
 * contract's answer that cannot be read is the endpoint's fault and a failure.
 */
import { AbiCoder, type Interface, type Result } from 'ethers/abi'
import { codeOf, NodeError } from '../base/errors.ts'
import { account, farmId, nodeId, orderId } from '../base/ids.ts'
import {
  NODE_STATES,
  NODES_ABI,
  ORDER_STATES,
  ORDERS_ABI,
  PARAMETERS,
  POLICY_ABI,
  SPEC_TYPES,
} from './abi.ts'
import type {
  LedgerNode,
  MoneyName,
  MountOrder,
  Order,
  OrderCommon,
  OrderRefusalCode,
  OrderSlot,
  Policy,
  PolicyValues,
  SlotRelease,
  StoreOrder,
  VolumeOrder,
} from './types.ts'

/** The only version of specs that this agent knows. */
export const SPEC_VERSION = 1
/** Erasure coding works over GF(2^8): 255 shards at most. */
const SHARDS_MAX = 255
/** `Specs.sol`: longer names are nobody's path. */
const NAME_BYTES_MAX = 512

/**
 * Decodes what a contract's view returned.
 *
 * @param abi - Interface of the contract.
 * @param name - Name of the function.
 * @param data - Returned bytes as hexadecimal.
 * @returns The returned values.
 * @throws NodeError `LEDGER_RESPONSE_INVALID` if they are not what the function returns.
 * @example
 * decodeReturn(NODES_ABI, 'nodeCount', '0x…')[0] // 3n
 */
export function decodeReturn(abi: Interface, name: string, data: string): Result {
  return decoding(name, () => {
    const result = abi.decodeFunctionResult(name, data)
    touchAll(result)
    return result
  })
}

/** What is read of an order before its spec. `none` where no order has that number. */
export type RawOrder =
  | { readonly exists: false; readonly id: number }
  | {
      readonly exists: true
      readonly id: number
      readonly kindNumber: number
      readonly parent: number
      readonly writerEpoch: number
      readonly children: readonly number[]
      readonly spec: string
      readonly common: Omit<OrderCommon, 'releases'>
    }

/**
 * Decodes the return of `Orders.get`.
 *
 * @param ids - `[n]` the orders that were asked for.
 * @param data - Returned bytes as hexadecimal.
 * @returns `[n]` orders in the order asked.
 * @throws NodeError `LEDGER_RESPONSE_INVALID` also if the answer is for other orders.
 */
export function decodeOrders(ids: readonly number[], data: string): RawOrder[] {
  const [views] = decodeReturn(ORDERS_ABI, 'get', data)
  return decoding('get', () => {
    const orders = [...views].map(rawOrder)
    const matches =
      orders.length === ids.length && orders.every((order, i) => answers(order, ids[i]))
    if (!matches) throw invalid('get answered for other orders than were asked for')
    return orders
  })
}

function answers(order: RawOrder, id: number | undefined): boolean {
  return order.exists ? order.id === id : true
}

function rawOrder(view: Result): RawOrder {
  const state = ORDER_STATES[number(view['state'])]
  if (state === undefined) throw invalid(`an order has the unknown state ${view['state']}`)
  if (state === 'none') return { exists: false, id: number(view['id']) }
  const id = orderId(view['id'])
  return {
    exists: true,
    id,
    kindNumber: number(view['kind']),
    parent: number(view['parent']),
    writerEpoch: number(view['writerEpoch']),
    children: [...view['children']].map(number),
    spec: view['spec'],
    common: {
      id,
      state,
      tenant: account(view['tenant']),
      placedAt: saturated(view['placedAt']),
      paidUntil: saturated(view['paidUntil']),
      endedAt: saturated(view['endedAt']),
      deletableAt: saturated(view['deletableAt']),
      ratePerSecond: BigInt(view['ratePerSecond']),
      slots: [...view['slots']].map(slot),
    },
  }
}

function slot(view: Result): OrderSlot {
  return {
    node: nodeId(view['node']),
    sizeBytes: saturated(view['sizeBytes']),
    assignedAt: saturated(view['assignedAt']),
    lastSeen: saturated(view['lastSeen']),
    generation: number(view['generation']),
  }
}

/**
 * Reads an order's spec.
 *
 * @param raw - What {@link decodeOrders} gave.
 * @param releases - Its slots' moves so far.
 * @returns A typed order; `unreadable` with a code where the kind or the spec is not understood.
 * @example
 * const order = readOrder(raw, [])
 * if (order.kind === 'unreadable') log.warn({ code: order.code }, order.message)
 */
export function readOrder(
  raw: RawOrder & { exists: true },
  releases: readonly SlotRelease[],
): Order {
  const common: OrderCommon = { ...raw.common, releases }
  const refuse = (code: OrderRefusalCode, message: string): Order => ({
    ...common,
    kind: 'unreadable',
    kindNumber: raw.kindNumber,
    parent: raw.parent,
    mounts: raw.children.map(orderId),
    code,
    message,
  })
  try {
    switch (raw.kindNumber) {
      case 1:
        return storeOrder(common, raw.spec)
      case 2:
        return volumeOrder(common, raw)
      case 3:
        return mountOrder(common, raw)
      default:
        return refuse(
          'ORDER_KIND_UNSUPPORTED',
          `orders of kind ${raw.kindNumber} are not supported`,
        )
    }
  } catch (caught) {
    if (caught instanceof SpecRefusal) return refuse(caught.refusal, caught.message)
    throw caught
  }
}

/** Carries a refusal out of the decoders below; never leaves this file. */
class SpecRefusal extends NodeError<OrderRefusalCode> {
  readonly refusal: OrderRefusalCode
  constructor(code: OrderRefusalCode, message: string) {
    super(code, message)
    this.refusal = code
  }
}

function storeOrder(common: OrderCommon, spec: string): StoreOrder {
  const fields = decodeSpec('store', spec)
  const mode = number(fields['mode'])
  refuseUnless(mode === 0 || mode === 1, `mode ${mode} is neither 0 nor 1`)
  refuseUnless(common.slots.length === 1, 'a store order has exactly one slot')
  return {
    ...common,
    kind: 'store',
    mode: mode === 0 ? 'user' : 'seq',
    worm: fields['worm'],
    writers: [...fields['writers']].map(account),
    readers: [...fields['readers']].map(account),
  }
}

function volumeOrder(common: OrderCommon, raw: RawOrder & { exists: true }): VolumeOrder {
  const fields = decodeSpec('volume', raw.spec)
  const dataShards = number(fields['dataShards'])
  const parityShards = number(fields['parityShards'])
  const metaStores = number(fields['metaStores'])
  refuseUnless(dataShards >= 1, 'a volume has at least one data shard')
  refuseUnless(dataShards + parityShards <= SHARDS_MAX, `more than ${SHARDS_MAX} shards`)
  refuseUnless(metaStores >= 1, 'a volume has at least one metadata store')
  refuseUnless(
    common.slots.length === dataShards + parityShards + metaStores,
    `${common.slots.length} slots do not match ${dataShards}+${parityShards}+${metaStores}`,
  )
  return {
    ...common,
    kind: 'volume',
    dataShards,
    parityShards,
    metaStores,
    sameFarmAllowed: fields['sameFarmAllowed'],
    sizeBytes: specNumber(fields['sizeBytes'], 'sizeBytes'),
    keyCommitment: fields['keyCommitment'],
    writerEpoch: raw.writerEpoch,
    mounts: raw.children.map(orderId),
  }
}

function mountOrder(common: OrderCommon, raw: RawOrder & { exists: true }): MountOrder {
  const fields = decodeSpec('mount', raw.spec)
  refuseUnless(common.slots.length === 1, 'a mount order has exactly one slot')
  refuseUnless(raw.parent >= 1, 'a mount order names no volume')
  const name: string = fields['name']
  refuseUnless(Buffer.byteLength(name) <= NAME_BYTES_MAX, 'the name is too long')
  return {
    ...common,
    kind: 'mount',
    volume: orderId(raw.parent),
    readOnly: fields['readOnly'],
    name,
    sealedKey: fields['sealedKey'],
  }
}

/** A struct with members of unknown length is written behind an offset word; one without is not. */
const VERSION_WORD = { store: 1, volume: 0, mount: 1 } as const

function decodeSpec(kind: keyof typeof SPEC_TYPES, spec: string): Result {
  const at = 2 + VERSION_WORD[kind] * 64
  const versionWord = spec.slice(at, at + 64)
  if (versionWord.length !== 64) {
    throw new SpecRefusal('ORDER_SPEC_UNDECODABLE', 'the spec is shorter than any version of it')
  }
  const version = BigInt(`0x${versionWord}`)
  if (version !== BigInt(SPEC_VERSION)) {
    const shown = version < 256n ? String(version) : 'beyond 255'
    throw new SpecRefusal('ORDER_SPEC_VERSION_UNSUPPORTED', `version ${shown} of a ${kind} spec`)
  }
  try {
    const [fields] = AbiCoder.defaultAbiCoder().decode([SPEC_TYPES[kind]], spec)
    touchAll(fields)
    return fields
  } catch {
    throw new SpecRefusal('ORDER_SPEC_UNDECODABLE', `the spec is not a ${kind} spec`)
  }
}

/** ethers puts off some failures until a value is looked at; this looks at all of them. */
function touchAll(result: Result): void {
  for (const value of result.toArray(true)) void value
}

function refuseUnless(condition: boolean, message: string): void {
  if (!condition) throw new SpecRefusal('ORDER_SPEC_INVALID', message)
}

function specNumber(value: bigint, name: string): number {
  refuseUnless(value <= BigInt(Number.MAX_SAFE_INTEGER), `${name} is beyond 2^53`)
  return Number(value)
}

/**
 * Decodes the return of `Nodes.nodes`.
 *
 * @param data - Returned bytes as hexadecimal.
 * @returns `[n]` nodes by ascending number.
 * @throws NodeError `LEDGER_RESPONSE_INVALID`.
 */
export function decodeNodes(data: string): LedgerNode[] {
  const [views] = decodeReturn(NODES_ABI, 'nodes', data)
  return decoding('nodes', () => [...views].map(node))
}

function node(view: Result): LedgerNode {
  const state = NODE_STATES[number(view['state'])]
  if (state === undefined) throw invalid(`a node has the unknown state ${view['state']}`)
  return {
    id: nodeId(view['id']),
    farm: farmId(view['farm']),
    account: account(view['account']),
    state,
    capacityBytes: saturated(view['capacityBytes']),
    usedBytes: saturated(view['usedBytes']),
    pricePerGibSecond: BigInt(view['pricePerGibSecond']),
    stake: BigInt(view['stake']),
    registeredAt: number(view['registeredAt']),
    lastHeartbeat: number(view['lastHeartbeat']),
    publicKey: view['publicKey'],
    sealingKey: view['sealingKey'],
    addresses: [...view['addresses']].map(String),
  }
}

/**
 * Decodes the return of `Policy.all`.
 *
 * @param data - Returned bytes as hexadecimal.
 * @returns The policy; parameters that this agent does not know are dropped.
 * @throws NodeError `LEDGER_RESPONSE_INVALID` also if parameters are missing.
 */
export function decodePolicy(data: string): Policy {
  const [version, values] = decodeReturn(POLICY_ABI, 'all', data)
  if (values.length < PARAMETERS.length) throw invalid('the policy lacks parameters')
  const entries = PARAMETERS.map((name, index) => {
    const value: bigint = values[index]
    return [name, MONEY.has(name) ? value : saturated(value)] as const
  })
  return { version: number(version), values: Object.fromEntries(entries) as PolicyValues }
}

const MONEY: ReadonlySet<string> = new Set([
  'stakePerGib',
  'maxPricePerGibSecond',
  'auditBond',
  'votesPerGib',
  'maxPricePerCoreSecond',
  'maxPricePerMemoryGibSecond',
  'maxPricePerEgressGib',
  'minNodeStake',
  'nodeFeePerDay',
] satisfies MoneyName[])

function number(value: bigint | number): number {
  const result = Number(value)
  if (!Number.isSafeInteger(result)) throw invalid(`${value} is beyond 2^53`)
  return result
}

function saturated(value: bigint): number {
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value)
}

function decoding<T>(what: string, decode: () => T): T {
  try {
    return decode()
  } catch (caught) {
    if (codeOf(caught) === 'LEDGER_RESPONSE_INVALID') throw caught
    throw new NodeError('LEDGER_RESPONSE_INVALID', `the answer of ${what} cannot be decoded`, {
      cause: caught,
    })
  }
}

function invalid(message: string): NodeError {
  return new NodeError('LEDGER_RESPONSE_INVALID', message)
}
