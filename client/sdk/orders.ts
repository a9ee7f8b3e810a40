/**
 * Ordering: choose nodes, quote, deposit what is missing, place, and follow the order until it is final. And what happens
 * to an order afterwards: extend, cancel, settle, move a slot.
 */

import type { Contract } from 'ethers'
import { fromHex } from '../../agent/base/bytes.ts'
import { isNodeError, NodeError } from '../../agent/base/errors.ts'
import { type OrderId, orderId } from '../../agent/base/ids.ts'
import { seal } from '../../agent/base/sealing.ts'
import { slotRate } from '../../agent/base/slot-rate.ts'
import { GIB } from '../../agent/base/units.ts'
import { volumeKeyCommitment, volumeKeyContext } from '../../agent/base/volume-keys.ts'
import { ORDER_KINDS } from '../../agent/ledger/abi.ts'
import { type Connection, view } from './connection.ts'
import { givenAccount } from './given-account.ts'
import { deposit, readBalance } from './money.ts'
import { type GridNode, readNodes } from './nodes.ts'
import { readOrders } from './order-status.ts'
import { type PlacedSlot, placeSlots, placeStore } from './place-slots.ts'
import { readParameter, readPolicy } from './policy.ts'
import { encodeSpec, type Spec } from './specs.ts'
import { formatTokens } from './token-units.ts'
import { type FollowOptions, findEvent, send, type Transaction } from './transactions.ts'
import { deriveKeyRoot, findVolumeKey, volumeKey } from './volume-key.ts'

/** Local cache and journal of a mount, unless asked otherwise. */
export const MOUNT_BYTES = GIB

/** What every order has. */
interface OrderRequest {
  /** Time to pay for now. */
  readonly seconds: number
}

/** One namespace on one node. */
export interface StoreRequest extends OrderRequest {
  /** Chosen if left out. */
  readonly node?: number | undefined
  readonly sizeBytes: number
  readonly mode?: 'user' | 'seq' | undefined
  readonly worm?: boolean | undefined
  /** Accounts that read and write; the signer unless given. */
  readonly writers?: readonly string[] | undefined
  readonly readers?: readonly string[] | undefined
}

/** Metadata stores of a volume unless the order insists on fewer: one may be away, and the others are still a majority. */
const META_STORES_MIN = 3

/** A volume over many nodes. */
export interface VolumeRequest extends OrderRequest {
  readonly sizeBytes: number
  /** k, 4 unless given. */
  readonly dataShards?: number | undefined
  /** m, 2 unless given. */
  readonly parityShards?: number | undefined
  /** m + 1 unless given, at least 3: a commit and an opening need a majority of them. */
  readonly metaStores?: number | undefined
  /** True if fewer than 3 metadata stores are meant; the contracts take 2. */
  readonly fewMetaStoresAllowed?: boolean | undefined
  /** True lifts the rule that the slots of a group stand on distinct farms. */
  readonly sameFarmAllowed?: boolean | undefined
  /** Numbers of nodes that must not be chosen: the ones that will mount it, say. */
  readonly avoid?: readonly number[] | undefined
}

/** A volume shown on a node. */
export interface MountRequest extends OrderRequest {
  readonly volume: number
  readonly node: number
  /** Path below the node's mount root. */
  readonly name: string
  readonly readOnly?: boolean | undefined
  /** Local cache and journal, {@link MOUNT_BYTES} unless given. */
  readonly sizeBytes?: number | undefined
}

/** What an order would cost, before it is placed. */
export interface Quote {
  readonly kind: Spec['kind']
  readonly spec: Spec
  readonly slots: readonly PlacedSlot[]
  readonly volume: number | undefined
  readonly seconds: number
  /** Smallest token units for each second, of all slots together. */
  readonly ratePerSecond: bigint
  /** Smallest token units in all, those for the grace after the end included. */
  readonly price: bigint
  /** What is missing in the free balance and will be deposited. */
  readonly missing: bigint
}

/** An order that was placed. */
export interface PlacedOrder {
  readonly order: OrderId
  readonly quote: Quote
  readonly transaction: Transaction
  /** The deposit that went before, if one was needed. */
  readonly deposit: Transaction | undefined
}

/**
 * Quotes a store.
 *
 * @param connection - The grid, and who would sign.
 * @param request - What is wanted.
 * @throws NodeError `NODES_TOO_FEW`, `NODE_NOT_FOUND`, `SIGNER_MISSING`.
 */
export async function quoteStore(connection: Connection, request: StoreRequest): Promise<Quote> {
  const tenant = await connection.signerAddress()
  const nodes = await readNodes(connection)
  const spec: Spec = {
    kind: 'store',
    mode: request.mode ?? 'user',
    worm: request.worm ?? false,
    writers: (request.writers ?? [tenant]).map(givenAccount),
    readers: (request.readers ?? []).map(givenAccount),
  }
  const { node, sizeBytes } = request
  const slots = [
    node === undefined
      ? placeStore(await terms(connection, nodes), sizeBytes)
      : { node: knownNode(nodes, node).id, sizeBytes },
  ]
  return await quote(connection, { nodes, spec, slots, seconds: request.seconds })
}

/**
 * Quotes a volume. Asks the wallet for the signature that the volume's key comes from.
 *
 * @param connection - The grid, and who would sign.
 * @param request - What is wanted.
 * @throws NodeError `NODES_TOO_FEW`, `METADATA_STORES_FEW`, `SIGNER_MISSING`.
 */
export async function quoteVolume(connection: Connection, request: VolumeRequest): Promise<Quote> {
  const { dataShards = 4, parityShards = 2, sameFarmAllowed = false, sizeBytes } = request
  const metaStores = request.metaStores ?? Math.max(META_STORES_MIN, parityShards + 1)
  if (metaStores < META_STORES_MIN && request.fewMetaStoresAllowed !== true) {
    throw new NodeError('METADATA_STORES_FEW', `${metaStores} metadata stores`)
  }
  const shape = { sizeBytes, dataShards, parityShards, metaStores }
  const root = await deriveKeyRoot(connection.signer(), connection)
  const index = Number(await view(connection.contracts.orders, 'orderCount'))
  const keyCommitment = volumeKeyCommitment(volumeKey(root, index))
  const nodes = await readNodes(connection)
  const slots = placeSlots({
    ...(await terms(connection, nodes)),
    ...{ shape, sameFarmAllowed, avoid: request.avoid },
  })
  const spec: Spec = { kind: 'volume', ...shape, sameFarmAllowed, keyCommitment }
  return await quote(connection, { nodes, spec, slots, seconds: request.seconds })
}

/**
 * Quotes a mount: finds the volume's key again and seals it to the node.
 *
 * @param connection - The grid, and who would sign.
 * @param request - What is wanted.
 * @throws NodeError `ORDER_NOT_FOUND`, `VOLUME_INVALID`, `VOLUME_KEY_UNKNOWN`, `NODE_NOT_FOUND`, `SEAL_KEY_INVALID`.
 */
export async function quoteMount(connection: Connection, request: MountRequest): Promise<Quote> {
  const [volume] = await readOrders(connection, [request.volume])
  if (volume?.spec?.kind !== 'volume' || volume.state !== 'live') {
    throw new NodeError('VOLUME_INVALID', `order ${request.volume} is no live volume`)
  }
  const nodes = await readNodes(connection)
  const node = knownNode(nodes, request.node)
  const root = await deriveKeyRoot(connection.signer(), connection)
  const { keyCommitment } = volume.spec
  const key = findVolumeKey(root, { id: volume.id, keyCommitment })
  const { chainId, grid } = connection
  const context = volumeKeyContext({ chainId, grid, volume: volume.id, account: node.account })
  const sealedKey = seal(fromHex(node.sealingKey), key, context)
  const readOnly = request.readOnly ?? false
  const spec: Spec = { kind: 'mount', readOnly, name: request.name, sealedKey }
  const slots = [{ node: node.id, sizeBytes: request.sizeBytes ?? MOUNT_BYTES }]
  const { seconds } = request
  return await quote(connection, { nodes, spec, slots, seconds, volume: volume.id })
}

/** What every choice of nodes depends on. */
async function terms(connection: Connection, nodes: readonly GridNode[]) {
  const [tenant, count, policy] = await Promise.all([
    connection.signerAddress(),
    view(connection.contracts.orders, 'orderCount'),
    readPolicy(connection),
  ])
  const cap = policy.parameters.find(({ name }) => name === 'maxPricePerGibSecond')
  const seed = `${tenant.toLowerCase()}/${count}`
  return { nodes, seed, maxPricePerGibSecond: cap?.value ?? 0n }
}

function knownNode(nodes: readonly GridNode[], id: number): GridNode {
  const node = nodes.find((one) => one.id === id)
  if (node === undefined) throw new NodeError('NODE_NOT_FOUND', `there is no node ${id}`)
  return node
}

async function quote(
  connection: Connection,
  order: {
    readonly nodes: readonly GridNode[]
    readonly spec: Spec
    readonly slots: readonly PlacedSlot[]
    readonly seconds: number
    readonly volume?: number
  },
): Promise<Quote> {
  const { nodes, spec, slots, seconds } = order
  const ratePerSecond = slots.reduce((sum, slot) => {
    const { pricePerGibSecond } = knownNode(nodes, slot.node)
    return sum + slotRate(slot.sizeBytes, pricePerGibSecond)
  }, 0n)
  const graceSeconds = await readParameter(connection, 'graceSeconds')
  // The grace is paid with the order: its nodes keep the bytes until it is over.
  const price = ratePerSecond * (BigInt(seconds) + graceSeconds)
  const { free } = await readBalance(connection, await connection.signerAddress())
  return {
    ...{ kind: spec.kind, spec, slots, volume: order.volume, seconds, ratePerSecond, price },
    missing: price > free ? price - free : 0n,
  }
}

/**
 * Places what was quoted: deposits what is missing, then places the order at no more than the quoted rate.
 *
 * @param connection - The grid, and who signs.
 * @param quoted - From one of the `quote` functions.
 * @param options - How far to follow the transactions.
 * @returns The order. It has its number only once it is mined, so `until: 'sent'` means `'mined'`.
 * @throws NodeError `TOKENS_MISSING`, or with the code of what the contracts refused.
 */
export async function place(
  connection: Connection,
  quoted: Quote,
  options: FollowOptions = {},
): Promise<PlacedOrder> {
  const { orders } = connection.contracts
  const args = [
    ORDER_KINDS.indexOf(quoted.kind),
    quoted.volume ?? 0,
    encodeSpec(quoted.spec),
    quoted.slots.map(({ node, sizeBytes }) => [node, sizeBytes]),
    quoted.seconds,
    quoted.ratePerSecond,
  ]
  if (quoted.missing > 0n) await refuseBeforePaying(connection, args)
  const paid =
    quoted.missing > 0n
      ? await deposit(connection, quoted.missing, { ...options, until: 'mined' })
      : undefined
  const what = `order a ${quoted.kind} for ${formatTokens(quoted.price)}`
  const until = options.until === 'mined' || options.until === 'sent' ? 'mined' : 'final'
  const transaction = await send(
    connection,
    { what, contract: orders, name: 'place', args },
    { ...options, until },
  )
  const event = findEvent(orders, 'OrderPlaced', transaction.logs)
  if (event === undefined) {
    throw new NodeError(
      'CONTRACT_REFUSED',
      `${what}: the ledger shows no order in ${transaction.hash}`,
    )
  }
  return { order: orderId(event['order'] as bigint), quote: quoted, transaction, deposit: paid }
}

/** Money is pulled last, so an order that fails for want of it alone would be taken: everything else is refused here. */
async function refuseBeforePaying(connection: Connection, args: readonly unknown[]): Promise<void> {
  const orders = connection.contracts.orders.connect(connection.signer()) as Contract
  try {
    await view(orders, 'place', ...args)
  } catch (caught) {
    const isMoneyAlone = isNodeError(
      caught,
      'ERC20_INSUFFICIENT_ALLOWANCE',
      'ERC20_INSUFFICIENT_BALANCE',
    )
    if (!isMoneyAlone) throw caught
  }
}

/**
 * Pays for more time of an order, and deposits what is missing before.
 *
 * @param connection - The grid, and who pays; anyone may.
 * @param order - Its number.
 * @param seconds - Time to add.
 * @param options - How far to follow the transactions.
 * @returns What it costs, and the transaction.
 */
export async function extend(
  connection: Connection,
  order: number,
  seconds: number,
  options: FollowOptions = {},
): Promise<Transaction & { price: bigint }> {
  const [status] = await readOrders(connection, [order])
  const price = (status?.ratePerSecond ?? 0n) * BigInt(seconds)
  const { free } = await readBalance(connection, await connection.signerAddress())
  if (price > free) await deposit(connection, price - free, { ...options, until: 'mined' })
  const what = `extend order ${order} by ${seconds} seconds`
  const { orders: contract } = connection.contracts
  const sent = await send(
    connection,
    { what, contract, name: 'extend', args: [order, seconds] },
    options,
  )
  return { ...sent, price }
}

/**
 * Ends an order now. What was paid beyond the grace goes back to the free balance; the data goes after the grace.
 *
 * @param connection - The grid, and the tenant.
 * @param order - Its number.
 * @param options - How far to follow the transaction.
 * @returns The transaction, and what came back.
 */
export async function cancel(
  connection: Connection,
  order: number,
  options?: FollowOptions,
): Promise<Transaction & { refund: bigint | undefined }> {
  const { orders: contract } = connection.contracts
  const call = { what: `cancel order ${order}`, contract, name: 'cancel', args: [order] }
  const sent = await send(connection, call, options)
  const event = findEvent(contract, 'OrderCancelled', sent.logs)
  return { ...sent, refund: event?.['refund'] as bigint | undefined }
}

/**
 * Pays the nodes of an order what they earned so far. Anyone may.
 *
 * @param connection - The grid, and who signs.
 * @param order - Its number.
 * @param options - How far to follow the transaction.
 */
export async function settle(
  connection: Connection,
  order: number,
  options?: FollowOptions,
): Promise<Transaction> {
  const { orders: contract } = connection.contracts
  const call = { what: `settle order ${order}`, contract, name: 'settle', args: [order] }
  return await send(connection, call, options)
}

/**
 * Moves a slot to another node. By the tenant at any time, at no more than the node asks now.
 *
 * @param connection - The grid, and who signs.
 * @param order - Number of the order.
 * @param slot - Index of the slot.
 * @param node - Where it goes.
 * @param options - How far to follow the transaction.
 * @throws NodeError `NODE_NOT_FOUND`, `ORDER_NOT_FOUND`, or with the code of what the contracts refused.
 */
export async function replaceSlot(
  connection: Connection,
  { order, slot, node }: { readonly order: number; readonly slot: number; readonly node: number },
  options?: FollowOptions,
): Promise<Transaction> {
  const { orders: contract } = connection.contracts
  const { pricePerGibSecond } = knownNode(await readNodes(connection), node)
  const [status] = await readOrders(connection, [order])
  const rate = slotRate(status?.slots[slot]?.sizeBytes ?? 0, pricePerGibSecond)
  const what = `move slot ${slot} of order ${order} to node ${node}`
  const args = [order, slot, node, rate]
  return await send(connection, { what, contract, name: 'replace', args }, options)
}
