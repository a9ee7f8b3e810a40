/**
 * Reads everything an agent needs at one block from one endpoint, and checks that it is whole.
 *
 * It believes the endpoint's answers only after these held: the block can follow the cursor's, which the endpoint still has
 * (`follower.ts`), and the events since then have every number between the cursor's and the contract's own count. The result
 * is a value; whether it is adopted is decided in `follower.ts`.
 *
 * @see docs/design/0001-first-slice.md, section 3
 */
import { createHash } from 'node:crypto'
import { fromHex } from '../base/bytes.ts'
import { NodeError } from '../base/errors.ts'
import { type Account, account, farmId, type NodeId, nodeId } from '../base/ids.ts'
import { GRID_ABI, NODES_ABI, ORDERS_ABI, POLICY_ABI } from './abi.ts'
import { BlockReading, inGroups, range } from './block-reading.ts'
import { decodeNodes, decodePolicy, decodeReturn } from './decode.ts'
import { isWrittenBy } from './order-facts.ts'
import type { LedgerSource } from './ports.ts'
import { readAudits } from './read-audits.ts'
import { changedOrders, readOrders } from './read-orders.ts'
import type {
  AuditFacts,
  BlockRef,
  GridPin,
  LedgerNode,
  LedgerView,
  Order,
  Policy,
  Registration,
} from './types.ts'

/** Nodes of one call: 64 with keys and addresses stay below 200 KiB. */
export const NODES_PER_CALL = 64
/** Nodes of a grid at most: beyond it an answer is not believed. */
const NODES_MAX = 100_000
/** All orders are read again so often, seconds: 2,000 small ones are 4 MB. */
const SWEEP_SECONDS = 900

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
 * @returns The view; `cursor.finalNumber` is left to the caller and is that of `known`, or 0. What did not change is the same
 *   object as in `known`.
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
  const reading = new BlockReading(source, pin, block, seenAt, signal)
  if (known) reading.checkSuccession(known.cursor.block)
  const { sequence, registryVersion, policy, registration, own } = await readHead(reading, request)
  const changed = await changedOrders(reading, known, sequence)
  const sweptAt = known?.cursor.sweptAt ?? 0
  const isSweep = block.timestamp - sweptAt >= SWEEP_SECONDS
  const self = registration.node
  const orders = await readOrders(reading, changed, {
    ...{ self, policy, isSweep, known: known?.orders ?? [] },
  })
  const wanted = { self, policy, orders, registryVersion }
  const { nodes, nodesReadAt } = await readNodes(reading, known, wanted)
  const audits = await auditsOf(reading, { request, policy, registration, nodes })
  const finalNumber = known?.cursor.finalNumber ?? 0
  return {
    cursor: {
      ...{ pin, block, sequence, registryVersion, nodesReadAt, finalNumber },
      sweptAt: isSweep ? block.timestamp : sweptAt,
    },
    registration,
    own: own ?? nodes.find(({ id }) => id === self),
    policy,
    nodes,
    orders,
    ...(audits && { audits }),
  }
}

/** What every look needs, in one batch. */
async function readHead(reading: BlockReading, { account, known }: ReadRequest) {
  const { pin } = reading
  const node = known?.registration.node
  const [sequence, registryVersion, policy, registration, page] = await Promise.all([
    reading.count(pin.orders, ORDERS_ABI, 'sequence'),
    reading.count(pin.nodes, NODES_ABI, 'registryVersion'),
    readPolicy(reading),
    readRegistration(reading, account, known?.registration),
    node === undefined ? [] : nodePage(reading, node, 1),
  ])
  const own = page.find(({ id }) => id === node)
  return { sequence, registryVersion, policy, registration, own }
}

async function readPolicy(reading: BlockReading): Promise<Policy> {
  const data = POLICY_ABI.encodeFunctionData('all')
  return decodePolicy(await reading.call(reading.pin.policy, data))
}

/** A number, once given, stays: a node that left the registry still knows which orders were its own. */
async function readRegistration(
  reading: BlockReading,
  self: Account,
  known: Registration | undefined,
): Promise<Registration> {
  const { nodes } = reading.pin
  const [nodeData, sponsorData] = await Promise.all([
    reading.call(nodes, NODES_ABI.encodeFunctionData('nodeOf', [self])),
    reading.call(nodes, NODES_ABI.encodeFunctionData('farmSponsoring', [self])),
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

/** What the reading of nodes goes by. */
interface NodesWanted {
  readonly self: NodeId | undefined
  readonly policy: Policy
  readonly orders: readonly Order[]
  readonly registryVersion: number
}

/** All nodes when the registry changed, or when a slot needs another node and heartbeats have become old; else nothing. */
async function readNodes(
  reading: BlockReading,
  known: LedgerView | undefined,
  wanted: NodesWanted,
): Promise<{ nodes: readonly LedgerNode[]; nodesReadAt: number }> {
  const { timestamp } = reading.block
  const age = timestamp - (known?.cursor.nodesReadAt ?? 0)
  const isFresh = age < wanted.policy.values.heartbeatSeconds
  const isSame = known?.cursor.registryVersion === wanted.registryVersion
  if (known && isSame && (isFresh || !areCandidatesWanted(known.nodes, wanted, timestamp))) {
    return { nodes: known.nodes, nodesReadAt: known.cursor.nodesReadAt }
  }
  const count = await reading.count(reading.pin.nodes, NODES_ABI, 'nodeCount')
  if (count > NODES_MAX) {
    throw new NodeError('LEDGER_RESPONSE_INVALID', `the registry claims ${count} nodes`)
  }
  const pages = await inGroups(range(1, count), NODES_PER_CALL, (ids) =>
    nodePage(reading, ids[0] ?? 1, ids.length),
  )
  const nodes = pages.flat()
  if (nodes.length !== count) {
    throw new NodeError('LEDGER_RESPONSE_INVALID', `${nodes.length} of ${count} nodes were given`)
  }
  return { nodes, nodesReadAt: timestamp }
}

/** Only whoever moves a slot asks which nodes live: with one silent slot of a volume that this node writes. */
function areCandidatesWanted(
  nodes: readonly LedgerNode[],
  { self, policy, orders }: NodesWanted,
  now: number,
): boolean {
  const leaving = new Set(nodes.filter(({ state }) => state !== 'active').map(({ id }) => id))
  return orders.some(
    (order) =>
      order.kind === 'volume' &&
      order.state === 'live' &&
      order.slots.some(
        ({ node, lastSeen }) => now - lastSeen > policy.values.lostSeconds || leaving.has(node),
      ) &&
      isWrittenBy(order, self, orders),
  )
}

async function nodePage(reading: BlockReading, from: number, limit: number): Promise<LedgerNode[]> {
  const data = NODES_ABI.encodeFunctionData('nodes', [from, limit])
  return decodeNodes(await reading.call(reading.pin.nodes, data))
}

/** Nothing is asked while policy has audits switched off. */
async function auditsOf(
  reading: BlockReading,
  init: {
    readonly request: ReadRequest
    readonly registration: Registration
    readonly policy: Policy
    readonly nodes: readonly LedgerNode[]
  },
): Promise<AuditFacts | undefined> {
  const { known, keeps } = init.request
  const { node } = init.registration
  const { auditEpochSeconds, auditReporterShare } = init.policy.values
  if (auditEpochSeconds === 0 || node === undefined) return undefined
  const { pin, block } = reading
  const asked = {
    grid: pin.grid,
    nodes: pin.nodes,
    now: block.timestamp,
    // Nobody works for nothing: without a share the farms would only pay gas for each other.
    keeps: keeps === true && auditReporterShare > 0,
    nodeCount: init.nodes.at(-1)?.id ?? 0,
    epochSeconds: auditEpochSeconds,
    fromBlock: known?.audits ? known.cursor.block.number + 1 : pin.deployedAtBlock,
    call: (to: string, data: string) => reading.call(to, data),
    logsOf: (address: string, fromBlock: number, topics: readonly (string | null)[]) =>
      reading.logs(address, fromBlock, topics),
  }
  return readAudits(asked, node, known?.audits)
}
