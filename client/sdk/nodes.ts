/** The registry: nodes, what they offer, whether they live; and the farms that own them. */
import {
  type Account,
  account,
  type FarmId,
  farmId,
  type NodeId,
  nodeId,
} from '../../agent/base/ids.ts'
import { NODE_STATES } from '../../agent/ledger/abi.ts'
import { type Connection, reading, view } from './connection.ts'
import { readParameter } from './policy.ts'
import { type FollowOptions, findEvent, send, type Transaction } from './transactions.ts'

/** An entry is about 2 KiB of answer. */
const PAGE = 64

/** A node as it is now. */
export interface GridNode {
  readonly id: NodeId
  readonly farm: FarmId
  readonly account: Account
  readonly state: (typeof NODE_STATES)[number]
  /** True if it takes orders and its last heartbeat is recent enough. */
  readonly isAlive: boolean
  readonly capacityBytes: number
  readonly usedBytes: number
  readonly freeBytes: number
  /** Smallest token units for 2^30 bytes kept one second. */
  readonly pricePerGibSecond: bigint
  readonly stake: bigint
  /** Second since 1970. */
  readonly registeredAt: number
  /** Second since 1970. */
  readonly lastHeartbeat: number
  /** Seconds for which it proved that it lived. */
  readonly aliveSeconds: number
  /** Public sealing key: X25519 and ML-KEM-768. */
  readonly sealingKey: string
  /** Multiaddrs without the peer id. */
  readonly addresses: readonly string[]
}

/** A farm. */
export interface GridFarm {
  readonly id: FarmId
  readonly owner: Account
  readonly name: string
}

/**
 * Reads all nodes.
 *
 * @param connection - The grid.
 * @returns By ascending number.
 */
export async function readNodes(connection: Connection): Promise<GridNode[]> {
  const { nodes } = connection.contracts
  const [count, head, lateSeconds] = await Promise.all([
    view(nodes, 'nodeCount').then(Number),
    reading(connection.provider.getBlock('latest')),
    view(connection.contracts.terms, 'lateSeconds').then(Number),
  ])
  const now = head?.timestamp ?? 0
  const pages = await Promise.all(
    Array.from({ length: Math.ceil(count / PAGE) }, (_, page) =>
      view(nodes, 'nodes', 1 + page * PAGE, PAGE),
    ),
  )
  return (pages.flat() as { toObject(): Record<string, unknown> }[]).map((entry) =>
    readNode(entry.toObject(), now, lateSeconds),
  )
}

function readNode(fields: Record<string, unknown>, now: number, lateSeconds: number): GridNode {
  const number = (name: string) => Number(fields[name])
  const state = NODE_STATES[number('state')] ?? 'none'
  const [capacityBytes, usedBytes] = [number('capacityBytes'), number('usedBytes')]
  const lastHeartbeat = number('lastHeartbeat')
  return {
    ...{ id: nodeId(number('id')), farm: farmId(number('farm')) },
    account: account(String(fields['account'])),
    ...{ state, isAlive: state === 'active' && now - lastHeartbeat <= lateSeconds },
    ...{ capacityBytes, usedBytes, freeBytes: Math.max(0, capacityBytes - usedBytes) },
    pricePerGibSecond: fields['pricePerGibSecond'] as bigint,
    stake: fields['stake'] as bigint,
    ...{
      registeredAt: number('registeredAt'),
      lastHeartbeat,
      aliveSeconds: number('aliveSeconds'),
    },
    sealingKey: String(fields['sealingKey']),
    addresses: [...(fields['addresses'] as Iterable<string>)],
  }
}

/**
 * Reads all farms.
 *
 * @param connection - The grid.
 * @returns By ascending number.
 */
export async function readFarms(connection: Connection): Promise<GridFarm[]> {
  const { farms } = connection.contracts
  const count = Number(await view(farms, 'farmCount'))
  const pages = await Promise.all(
    Array.from({ length: Math.ceil(count / PAGE) }, (_, page) =>
      view(farms, 'farms', 1 + page * PAGE, PAGE),
    ),
  )
  return (pages.flat() as { id: bigint; owner: string; name: string }[]).map((entry) => ({
    id: farmId(entry.id),
    owner: account(entry.owner),
    name: entry.name,
  }))
}

/**
 * Makes a farm owned by the signer.
 *
 * @param connection - The grid, and who signs.
 * @param name - For people.
 * @param options - How far to follow the transaction.
 * @returns Its number, unless the transaction was only sent.
 */
export async function createFarm(
  connection: Connection,
  name: string,
  options?: FollowOptions,
): Promise<Transaction & { farm: FarmId | undefined }> {
  const { farms } = connection.contracts
  const what = `create farm ${name}`
  const sent = await send(
    connection,
    { what, contract: farms, name: 'createFarm', args: [name] },
    options,
  )
  const event = findEvent(farms, 'FarmCreated', sent.logs)
  return { ...sent, farm: event && farmId(event['farm'] as bigint) }
}

/** How a farm vouches for a node. */
export interface Sponsorship {
  readonly farm: number
  /** Account of the node, as its agent prints at first start. */
  readonly account: string
  /** Stake for it, in smallest token units; see {@link stakeFor}. */
  readonly stake: bigint
  /** Wei to send on to the node for its gas. */
  readonly gasWei: bigint
}

/**
 * Vouches for a node before it registers: pays its stake and its first gas. Allows the registry the stake first, where
 * that is not so already.
 *
 * @param connection - The grid; the signer owns the farm.
 * @param sponsorship - For whom and how much.
 * @param options - How far to follow the transactions.
 */
export async function sponsorNode(
  connection: Connection,
  sponsorship: Sponsorship,
  options: FollowOptions = {},
): Promise<Transaction> {
  const { token, farms } = connection.contracts
  const owner = await connection.signerAddress()
  const allowed = (await view(token, 'allowance', owner, farms.target)) as bigint
  if (allowed < sponsorship.stake) {
    const args = [farms.target, sponsorship.stake]
    const call = { what: 'allow the registry the stake', contract: token, name: 'approve', args }
    await send(connection, call, { ...options, until: 'mined' })
  }
  const { farm, account: node, stake, gasWei } = sponsorship
  const what = `sponsor ${node}`
  return await send(
    connection,
    { what, contract: farms, name: 'sponsor', args: [farm, node, stake], value: gasWei },
    options,
  )
}

/**
 * Computes the stake that a node needs.
 *
 * @param connection - The grid.
 * @param capacityBytes - Bytes that it will offer.
 * @returns Smallest token units, as the registry computes it.
 */
export async function stakeFor(connection: Connection, capacityBytes: number): Promise<bigint> {
  const [perGib, least] = await Promise.all([
    readParameter(connection, 'stakePerGib'),
    readParameter(connection, 'minNodeStake'),
  ])
  const gib = 1n << 30n
  const needed = (BigInt(capacityBytes) * perGib + gib - 1n) / gib
  return needed > least ? needed : least
}

/**
 * Closes a node to new orders, or opens it again. By the owner of its farm.
 *
 * @param connection - The grid, and who signs.
 * @param node - The node.
 * @param isDraining - True to close it.
 * @param options - How far to follow the transaction.
 */
export async function setDraining(
  connection: Connection,
  node: number,
  isDraining: boolean,
  options?: FollowOptions,
): Promise<Transaction> {
  const { farms: contract } = connection.contracts
  const what = `${isDraining ? 'drain' : 'open'} node ${node}`
  return await send(
    connection,
    { what, contract, name: 'setDraining', args: [node, isDraining] },
    options,
  )
}
