/**
 * A grid on Hardhat's own network, deployed as every grid is, with the acts that tests repeat.
 *
 * Nodes have real keys: a node's account is the hash of its public key, and it signs its own transactions.
 */
import {
  AbiCoder,
  type ContractTransactionResponse,
  getAddress,
  type HDNodeWallet,
  id,
  type Signer,
  SigningKey,
  Wallet,
} from 'ethers'
import hre from 'hardhat'
import { artifactsIn } from '../../../scripts/deploy/artifacts.ts'
import {
  devnetParameters,
  type GridParameters,
  type PolicyParameter,
} from '../../../scripts/deploy/parameters.ts'
import { placeGrid } from '../../../scripts/deploy.ts'
import type { Audits } from '../../../types/ethers-contracts/contracts/Audits.ts'
import type { CapacityVotes } from '../../../types/ethers-contracts/contracts/CapacityVotes.ts'
import type { Contractors } from '../../../types/ethers-contracts/contracts/Contractors.ts'
import type { Escrow } from '../../../types/ethers-contracts/contracts/Escrow.ts'
import type { Grid } from '../../../types/ethers-contracts/contracts/Grid.ts'
import type { GridGovernor } from '../../../types/ethers-contracts/contracts/GridGovernor.ts'
import type { GridToken } from '../../../types/ethers-contracts/contracts/GridToken.ts'
import type { Nodes } from '../../../types/ethers-contracts/contracts/Nodes.ts'
import type { OrderDesk } from '../../../types/ethers-contracts/contracts/OrderDesk.ts'
import type { Orders } from '../../../types/ethers-contracts/contracts/Orders.ts'
import type { Policy } from '../../../types/ethers-contracts/contracts/Policy.ts'
import type { SpecRules } from '../../../types/ethers-contracts/contracts/SpecRules.ts'
import { Audits__factory } from '../../../types/ethers-contracts/factories/contracts/Audits__factory.ts'
import { CapacityVotes__factory } from '../../../types/ethers-contracts/factories/contracts/CapacityVotes__factory.ts'
import { Contractors__factory } from '../../../types/ethers-contracts/factories/contracts/Contractors__factory.ts'
import { Escrow__factory } from '../../../types/ethers-contracts/factories/contracts/Escrow__factory.ts'
import { Grid__factory } from '../../../types/ethers-contracts/factories/contracts/Grid__factory.ts'
import { GridGovernor__factory } from '../../../types/ethers-contracts/factories/contracts/GridGovernor__factory.ts'
import { GridToken__factory } from '../../../types/ethers-contracts/factories/contracts/GridToken__factory.ts'
import { Nodes__factory } from '../../../types/ethers-contracts/factories/contracts/Nodes__factory.ts'
import { OrderDesk__factory } from '../../../types/ethers-contracts/factories/contracts/OrderDesk__factory.ts'
import { Orders__factory } from '../../../types/ethers-contracts/factories/contracts/Orders__factory.ts'
import { Policy__factory } from '../../../types/ethers-contracts/factories/contracts/Policy__factory.ts'
import { SpecRules__factory } from '../../../types/ethers-contracts/factories/contracts/SpecRules__factory.ts'
import { DeployedGrids } from './deployed-grids.ts'
import { watchReverts } from './reverts.ts'

export const GIB = 2n ** 30n
export const TOKEN = 10n ** 18n
export const KIND = { None: 0, Store: 1, Volume: 2, Mount: 3, Network: 4 } as const
export const STATE = { None: 0n, Live: 1n, Suspended: 2n, Ended: 3n } as const
export const NODE_STATE = { None: 0n, Sponsored: 1n, Active: 2n, Draining: 3n, Exited: 4n } as const
export const SEALING_KEY = `0x${'5e'.repeat(1216)}`
/** No limit on a price a second. */
export const ANY_RATE = 2n ** 96n - 1n
/** Enough to pay for anything in a test. */
export const PLENTY = 10n ** 9n * TOKEN

const coder = AbiCoder.defaultAbiCoder()

/** `abi.encode(StoreSpec)`, version 1 unless told. */
export function storeSpec(
  spec: Partial<{
    version: number
    mode: number
    worm: boolean
    writers: string[]
    readers: string[]
  }> = {},
): string {
  const { version = 1, mode = 0, worm = false, writers = [anAccount(1)], readers = [] } = spec
  return coder.encode(
    ['tuple(uint8,uint8,bool,address[],address[])'],
    [[version, mode, worm, writers, readers]],
  )
}

/** `abi.encode(VolumeSpec)`: 2+1 with two metadata stores unless told. */
export function volumeSpec(
  spec: Partial<{
    version: number
    dataShards: number
    parityShards: number
    metaStores: number
    sameFarmAllowed: boolean
    sizeBytes: bigint
    keyCommitment: string
  }> = {},
): string {
  const {
    version = 1,
    dataShards = 2,
    parityShards = 1,
    metaStores = 2,
    sameFarmAllowed = false,
    sizeBytes = GIB,
    keyCommitment = `0x${'ab'.repeat(32)}`,
  } = spec
  return coder.encode(
    ['tuple(uint8,uint8,uint8,uint8,bool,uint64,bytes32)'],
    [[version, dataShards, parityShards, metaStores, sameFarmAllowed, sizeBytes, keyCommitment]],
  )
}

/** `abi.encode(MountSpec)`: a writer named `history` unless told. */
export function mountSpec(
  spec: Partial<{ version: number; readOnly: boolean; name: string; sealedKey: string }> = {},
): string {
  const { version = 1, readOnly = false, name = 'history', sealedKey = '0x01' } = spec
  return coder.encode(['tuple(uint8,bool,string,bytes)'], [[version, readOnly, name, sealedKey]])
}

/** A well-formed address that nobody holds. */
export function anAccount(n: number): string {
  return getAddress(`0x${n.toString(16).padStart(40, '0')}`)
}

/** A registered node and the wallet of its key. */
export interface TestNode {
  id: bigint
  farm: bigint
  owner: Signer
  wallet: HDNodeWallet | Wallet
}

/** Settings of a test grid: policy values that differ from the devnet's. */
export interface GridOptions {
  policy?: Partial<Record<PolicyParameter, bigint>>
  tune?: (parameters: GridParameters) => GridParameters
  /** RPC of another EVM with Hardhat's test accounts unlocked; else a fresh in-memory chain. */
  url?: string
}

/** What a deployment leaves. */
interface Deployed {
  connection: Connection
  contracts: Contracts
  actors: Actors
  parameters: GridParameters
  timelock: string
}

/** The grids of this process. */
export const deployedGrids = new DeployedGrids<Deployed>()

/** Deploys a grid on a fresh chain, or lends one that is as if. */
export async function deployTestGrid(options: GridOptions = {}): Promise<TestGrid> {
  const isPlain = options.url === undefined && options.tune === undefined
  const key = isPlain
    ? JSON.stringify(options, (_, value) => (typeof value === 'bigint' ? `${value}` : value))
    : undefined
  return new TestGrid(await deployedGrids.lend(key, () => deploy(options)))
}

async function deploy(options: GridOptions): Promise<Deployed> {
  const connection = await (options.url
    ? hre.network.create({ network: 'second', override: { url: options.url } })
    : hre.network.create())
  watchReverts(connection.provider)
  const { ethers } = connection
  const [holder, tenant, attacker, ...owners] = await ethers.getSigners()
  if (!holder || !tenant || !attacker) throw new TypeError('the network has no accounts')
  const usual = devnetParameters(await holder.getAddress())
  const changed = { ...usual, policy: { ...usual.policy, ...options.policy } }
  const parameters = options.tune?.(changed) ?? changed
  const at = await placeGrid({
    artifacts: artifactsIn(hre.config.paths.artifacts),
    parameters,
    signer: holder as never,
    // On a chain that lives on, each grid is another one.
    secret: id(`${performance.timeOrigin} ${performance.now()}`),
    say: () => undefined,
  })
  const contracts = {
    grid: Grid__factory.connect(at.grid, holder) as Grid,
    token: GridToken__factory.connect(at.token, holder) as GridToken,
    governor: GridGovernor__factory.connect(at.governor, holder) as GridGovernor,
    policy: Policy__factory.connect(at.policy, holder) as Policy,
    nodes: Nodes__factory.connect(at.nodes, holder) as Nodes,
    orders: Orders__factory.connect(at.orders, holder) as Orders,
    escrow: Escrow__factory.connect(at.escrow, holder) as Escrow,
    rules: SpecRules__factory.connect(at.rules, holder) as SpecRules,
    desk: OrderDesk__factory.connect(at.desk, holder) as OrderDesk,
    contractors: Contractors__factory.connect(at.contractors, holder) as Contractors,
    audits: Audits__factory.connect(at.audits, holder) as Audits,
    votes: CapacityVotes__factory.connect(at.votes, holder) as CapacityVotes,
  }
  const actors = { holder, tenant, attacker, owners }
  return { connection, contracts, actors, parameters, timelock: at.timelock }
}

type Connection = Awaited<ReturnType<typeof hre.network.create>>
interface Contracts {
  grid: Grid
  token: GridToken
  governor: GridGovernor
  policy: Policy
  nodes: Nodes
  orders: Orders
  escrow: Escrow
  rules: SpecRules
  desk: OrderDesk
  contractors: Contractors
  audits: Audits
  votes: CapacityVotes
}
interface Actors {
  holder: Signer
  tenant: Signer
  attacker: Signer
  owners: Signer[]
}

/** A deployed grid and the acts that tests repeat. */
export class TestGrid {
  readonly connection: Connection
  readonly contracts: Contracts
  readonly actors: Actors
  readonly parameters: GridParameters
  readonly timelock: string
  readonly time: Connection['networkHelpers']['time']
  #keys = 0

  constructor({ connection, contracts, actors, parameters, timelock }: Deployed) {
    this.connection = connection
    this.contracts = contracts
    this.actors = actors
    this.parameters = parameters
    this.timelock = timelock
    this.time = connection.networkHelpers.time
  }

  /** Remembers the chain as it is; the function returned brings it back, as often as called. */
  async snapshot(): Promise<() => Promise<void>> {
    const taken = await this.connection.networkHelpers.takeSnapshot()
    return () => taken.restore()
  }

  /** Gives an account tokens and lets the escrow and the registry take them. */
  async fund(signer: Signer, amount = PLENTY / 1000n): Promise<void> {
    const { token, escrow, nodes } = this.contracts
    await mined(token.transfer(await signer.getAddress(), amount))
    await mined(token.connect(signer).approve(await escrow.getAddress(), amount))
    await mined(token.connect(signer).approve(await nodes.getAddress(), amount))
  }

  /** Makes a farm. */
  async addFarm(owner: Signer): Promise<bigint> {
    const { nodes } = this.contracts
    await mined(nodes.connect(owner).createFarm('farm'))
    return nodes.farmCount()
  }

  /** A wallet for a node's key, the same in every run. */
  newWallet(): Wallet {
    this.#keys += 1
    const key = `0x${(0xabc0000 + this.#keys).toString(16).padStart(64, '0')}`
    return new Wallet(key, this.connection.ethers.provider as never)
  }

  /** Sponsors and registers a node. */
  async addNode(
    owner: Signer,
    farm: bigint,
    offer: Partial<{ capacityBytes: bigint; pricePerGibSecond: bigint; stake: bigint }> = {},
  ): Promise<TestNode> {
    const { capacityBytes = 100n * GIB, pricePerGibSecond = 1_000n, stake = 2n * TOKEN } = offer
    const { nodes } = this.contracts
    const wallet = this.newWallet()
    const registry = nodes.connect(owner)
    await mined(registry.sponsor(farm, wallet.address, stake, { value: TOKEN }))
    const offered = { capacityBytes, pricePerGibSecond }
    const keys = [publicKeyOf(wallet), SEALING_KEY] as const
    await mined(nodes.connect(wallet).register(...keys, offered, ['/ip4/127.0.0.1/tcp/1']))
    return { id: await nodes.nodeCount(), farm, owner, wallet }
  }

  /** `count` nodes, each on a farm of its own unless all share one. */
  async addNodes(
    count: number,
    offer: Parameters<TestGrid['addNode']>[2] = {},
  ): Promise<TestNode[]> {
    const made: TestNode[] = []
    for (let i = 0; i < count; i += 1) {
      const owner = this.actors.owners[i % this.actors.owners.length] as Signer
      if (i < this.actors.owners.length) await this.fund(owner)
      made.push(await this.addNode(owner, await this.addFarm(owner), offer))
    }
    return made
  }

  /** All these nodes say that they live. */
  async beat(nodes: readonly TestNode[]): Promise<void> {
    for (const node of nodes) await mined(this.contracts.nodes.connect(node.wallet).heartbeat())
  }

  /** Places an order and returns its number. */
  async place(
    kind: number,
    spec: string,
    slots: { node: bigint; sizeBytes: bigint }[],
    rest: Partial<{ tenant: Signer; parent: bigint; seconds: bigint; maxRate: bigint }> = {},
  ): Promise<bigint> {
    const { tenant = this.actors.tenant, parent = 0n, seconds = 100n, maxRate = ANY_RATE } = rest
    const book = this.contracts.orders.connect(tenant)
    await mined(book.place(kind, parent, spec, slots, seconds, maxRate))
    return this.contracts.orders.orderCount()
  }

  /** A 2+1 volume with two metadata stores on nodes 0..4 of the list. */
  async placeVolume(
    nodes: readonly TestNode[],
    rest: Parameters<TestGrid['place']>[3] & { spec?: string; sizeBytes?: bigint } = {},
  ): Promise<bigint> {
    const slots = nodes.map(({ id }) => ({ node: id, sizeBytes: rest.sizeBytes ?? GIB }))
    return this.place(KIND.Volume, rest.spec ?? volumeSpec(), slots, rest)
  }

  /** One order as it is now. */
  async order(id: bigint) {
    const [view] = await this.contracts.orders.get([id])
    if (!view) throw new TypeError(`no view of order ${id}`)
    return view
  }

  /** One node as it is now. */
  async node(id: bigint) {
    const [view] = await this.contracts.nodes.nodes(id, 1)
    if (!view) throw new TypeError(`no view of node ${id}`)
    return view
  }

  /** Makes the next block come `seconds` after the newest one. */
  async pass(seconds: number | bigint): Promise<void> {
    await this.time.increase(seconds)
  }

  /** Makes the next transaction's block have exactly this time. */
  async at(timestamp: number | bigint): Promise<void> {
    await this.time.setNextBlockTimestamp(timestamp)
  }

  /** Acts as the timelock, which owns the grid. */
  async asTimelock<T>(act: (signer: Signer) => Promise<T>): Promise<T> {
    const signer = await this.impersonate(this.timelock)
    try {
      return await act(signer)
    } finally {
      await this.connection.networkHelpers.stopImpersonatingAccount(this.timelock)
    }
  }

  /** A signer that is a contract, with ether for its transactions. */
  async impersonate(address: string): Promise<Signer> {
    const { networkHelpers, ethers } = this.connection
    await networkHelpers.impersonateAccount(address)
    await networkHelpers.setBalance(address, TOKEN)
    return ethers.getSigner(address)
  }
}

/** Waits until a transaction counts: the second EVM says that it has one before it has run it. */
export async function mined(sent: Promise<ContractTransactionResponse>): Promise<void> {
  await (await sent).wait()
}

/** The 64 bytes x and y of a wallet's public key. */
export function publicKeyOf(wallet: Wallet | HDNodeWallet): string {
  return `0x${SigningKey.computePublicKey(wallet.signingKey.publicKey, false).slice(4)}`
}
