/** The SDK's front: one grid, with everything that a tenant, a farmer or a voter does with it. */

import { NodeError } from '../../agent/base/errors.ts'
import type { Account, NodeId, OrderId } from '../../agent/base/ids.ts'
import { type GridAudits, readAudits } from './audits.ts'
import { type Connection, type ConnectOptions, connect } from './connection.ts'
import * as governance from './governance.ts'
import * as money from './money.ts'
import * as registry from './nodes.ts'
import { findOrders, type OrderStatus, readOrders } from './order-status.ts'
import * as ordering from './orders.ts'
import { type GridPolicy, readPolicy } from './policy.ts'
import type { FollowOptions, Transaction } from './transactions.ts'

/**
 * A grid on a ledger.
 *
 * Methods that change the ledger follow their transaction until it is final, because agents act on nothing less; pass
 * `{ until: 'mined' }` or `'sent'` to return earlier, and `onProgress` to be told.
 *
 * @example
 * const grid = await Grid.connect({ url, address, signer: new Wallet(key) })
 * const { order: volume } = await grid.orderVolume({ sizeBytes: 2 ** 30, seconds: 86_400 })
 * const { order: mount } = await grid.orderMount({ volume, node: 9, name: 'geth/ancient', seconds: 86_400 })
 * grid.close()
 */
export class Grid {
  /** The ledger and contracts below, for what this class does not offer. */
  readonly connection: Connection

  private constructor(connection: Connection) {
    this.connection = connection
  }

  /**
   * Connects.
   *
   * @param options - Where, and who signs; without a signer only reading works.
   * @throws NodeError `LEDGER_UNREACHABLE`, `GRID_MISSING`, `ID_INVALID`.
   */
  static async connect(options: ConnectOptions): Promise<Grid> {
    return new Grid(await connect(options))
  }

  /** Lets go of the ledger, so that the process can end. */
  close(): void {
    this.connection.provider.destroy()
  }

  get address(): Account {
    return this.connection.grid
  }

  get chainId(): number {
    return this.connection.chainId
  }

  /** All nodes, by ascending number. */
  nodes(): Promise<registry.GridNode[]> {
    return registry.readNodes(this.connection)
  }

  /** All farms, by ascending number. */
  farms(): Promise<registry.GridFarm[]> {
    return registry.readFarms(this.connection)
  }

  /** Audits as they stand. @param disputesMax - How many of the newest disputes; 20 if left out. */
  audits(disputesMax = 20): Promise<GridAudits> {
    return readAudits(this.connection, disputesMax)
  }

  policy(): Promise<GridPolicy> {
    return readPolicy(this.connection)
  }

  /** One order. @throws NodeError `ORDER_NOT_FOUND`. */
  async order(id: number): Promise<OrderStatus> {
    const [status] = await readOrders(this.connection, [id])
    if (status === undefined) throw new NodeError('ORDER_NOT_FOUND', `there is no order ${id}`)
    return status
  }

  /** Orders of an account, of the signer unless given; by ascending number. */
  async orders(tenant?: string): Promise<OrderStatus[]> {
    const whose = tenant ?? (await this.connection.signerAddress())
    return await readOrders(this.connection, await findOrders(this.connection, whose))
  }

  quoteStore(request: ordering.StoreRequest): Promise<ordering.Quote> {
    return ordering.quoteStore(this.connection, request)
  }

  /** Asks the wallet for the signature that the volume's key comes from. */
  quoteVolume(request: ordering.VolumeRequest): Promise<ordering.Quote> {
    return ordering.quoteVolume(this.connection, request)
  }

  quoteMount(request: ordering.MountRequest): Promise<ordering.Quote> {
    return ordering.quoteMount(this.connection, request)
  }

  /** Places what was quoted, at no more than the quoted rate; deposits what is missing before. */
  place(quote: ordering.Quote, options?: FollowOptions): Promise<ordering.PlacedOrder> {
    return ordering.place(this.connection, quote, options)
  }

  /** Quotes and places in one go. */
  async orderStore(
    request: ordering.StoreRequest,
    options?: FollowOptions,
  ): Promise<ordering.PlacedOrder> {
    return await this.place(await this.quoteStore(request), options)
  }

  /** Quotes and places in one go. */
  async orderVolume(
    request: ordering.VolumeRequest,
    options?: FollowOptions,
  ): Promise<ordering.PlacedOrder> {
    return await this.place(await this.quoteVolume(request), options)
  }

  /** Quotes and places in one go. */
  async orderMount(
    request: ordering.MountRequest,
    options?: FollowOptions,
  ): Promise<ordering.PlacedOrder> {
    return await this.place(await this.quoteMount(request), options)
  }

  extend(
    order: OrderId | number,
    seconds: number,
    options?: FollowOptions,
  ): Promise<Transaction & { price: bigint }> {
    return ordering.extend(this.connection, order, seconds, options)
  }

  cancel(
    order: OrderId | number,
    options?: FollowOptions,
  ): Promise<Transaction & { refund: bigint | undefined }> {
    return ordering.cancel(this.connection, order, options)
  }

  settle(order: OrderId | number, options?: FollowOptions): Promise<Transaction> {
    return ordering.settle(this.connection, order, options)
  }

  replace(
    move: { readonly order: number; readonly slot: number; readonly node: NodeId | number },
    options?: FollowOptions,
  ): Promise<Transaction> {
    return ordering.replaceSlot(this.connection, move, options)
  }

  /** Of the signer unless an account is given. */
  async balance(account?: string): Promise<money.Balance> {
    return await money.readBalance(
      this.connection,
      account ?? (await this.connection.signerAddress()),
    )
  }

  /** @param amount - Smallest units. */
  deposit(amount: bigint, options?: FollowOptions): Promise<Transaction> {
    return money.deposit(this.connection, amount, options)
  }

  /** @param amount - Smallest units. */
  withdraw(amount: bigint, options?: FollowOptions): Promise<Transaction> {
    return money.withdraw(this.connection, amount, options)
  }

  /** @param amount - Smallest units. */
  transfer(to: string, amount: bigint, options?: FollowOptions): Promise<Transaction> {
    return money.transfer(this.connection, to, amount, options)
  }

  createFarm(name: string, options?: FollowOptions) {
    return registry.createFarm(this.connection, name, options)
  }

  /** Stake that a node with this capacity needs, smallest units. */
  stakeFor(capacityBytes: number): Promise<bigint> {
    return registry.stakeFor(this.connection, capacityBytes)
  }

  sponsor(sponsorship: registry.Sponsorship, options?: FollowOptions): Promise<Transaction> {
    return registry.sponsorNode(this.connection, sponsorship, options)
  }

  setDraining(node: number, isDraining: boolean, options?: FollowOptions): Promise<Transaction> {
    return registry.setDraining(this.connection, node, isDraining, options)
  }

  proposals(): Promise<governance.Proposal[]> {
    return governance.readProposals(this.connection)
  }

  /** @param id - Its number, or the beginning of it. */
  proposal(id: bigint | string): Promise<governance.Proposal> {
    return governance.findProposal(this.connection, id)
  }

  propose(
    actions: readonly governance.ProposedAction[],
    description?: string,
    options?: FollowOptions,
  ) {
    return governance.propose(this.connection, actions, description, options)
  }

  vote(
    proposal: bigint | string,
    support: governance.Support,
    reason?: string,
    options?: FollowOptions,
  ): Promise<Transaction> {
    return governance.vote(this.connection, proposal, support, reason, options)
  }

  queue(proposal: bigint | string, options?: FollowOptions): Promise<Transaction> {
    return governance.queue(this.connection, proposal, options)
  }

  execute(proposal: bigint | string, options?: FollowOptions): Promise<Transaction> {
    return governance.execute(this.connection, proposal, options)
  }

  /** To the signer itself unless an account is given. */
  delegate(to?: string, options?: FollowOptions): Promise<Transaction> {
    return governance.delegate(this.connection, to, options)
  }

  /** Waits until a proposal is in a state, or `executable`: queued with its delay passed. */
  untilProposal(
    proposal: bigint | string,
    wanted: governance.ProposalState | 'executable',
    options?: Parameters<typeof governance.untilProposal>[3],
  ): Promise<governance.Proposal> {
    return governance.untilProposal(this.connection, proposal, wanted, options)
  }
}
