/**
 * One store on one node, with all that its audit needs, each piece at hand: what tests bend, and gas is measured on.
 *
 * Beside the store the node may stand for many other slots, of one unit each and nothing in them, so that paths are long.
 */
import type { Signer, Wallet } from 'ethers'
import { fromHex } from '../../../agent/base/bytes.ts'
import { leafCount } from '../../../agent/base/bytes-root.ts'
import { account, nodeId, orderId } from '../../../agent/base/ids.ts'
import {
  type AuditDomain,
  COMMITMENT_TYPES,
  type Entry,
  NodeAccumulator,
  type SlotCommitment,
  typedDomain,
} from '../../../agent/engines/audit/index.ts'
import { packOpening, unpackOpening } from '../../../agent/engines/audit/opening.ts'
import { firstState, nextState, unitAfter } from '../../../agent/engines/audit/sampling.ts'
import { BinaryTree } from '../../../agent/engines/audit/tree/binary-tree.ts'
import { showUnit } from '../../../agent/engines/audit/tree/shard-tree.ts'
import { sumLeaf } from '../../../agent/engines/audit/tree/sum-node.ts'
import { SumTree } from '../../../agent/engines/audit/tree/sum-tree.ts'
import { KIND, mined, storeSpec, type TestGrid, type TestNode } from './grid.ts'

/** What a scene is set up with. */
export interface SceneInit {
  /** Shards of the store; the same object may stand for many. */
  readonly shards: readonly Uint8Array[]
  /** Other slots that the node stands for. */
  readonly otherSlots?: number
  /** Whether those come before the store. */
  readonly isStoreLast?: boolean
  readonly sizeBytes?: bigint
  /** Accounts in the store's spec. */
  readonly writers?: string[]
}

/** What a node may post and show of an epoch. */
export interface Proof {
  readonly epoch: bigint
  /** States after each sample. */
  readonly states: readonly Uint8Array[]
  readonly digest: Uint8Array
  /** The samples that fall into the store, from 1. */
  readonly own: readonly number[]
  location(sample: number, groupPath?: readonly Uint8Array[]): LocationArgument
  opening(sample: number): Uint8Array
}

/** As the contract takes it. */
export type LocationArgument = ReturnType<AuditScene['location']>

/** A node that is audited. */
export class AuditScene {
  readonly grid: TestGrid
  readonly node: TestNode
  readonly order: bigint
  readonly domain: AuditDomain
  readonly commitment: SlotCommitment
  readonly signature: Uint8Array
  readonly accumulator: NodeAccumulator
  readonly #shards: readonly Uint8Array[]
  readonly #slot = new SumTree()

  static async make(grid: TestGrid, node: TestNode, init: SceneInit): Promise<AuditScene> {
    const spec = storeSpec(init.writers ? { writers: init.writers } : {})
    const sizeBytes = init.sizeBytes ?? 1n << 30n
    const order = await grid.place(KIND.Store, spec, [{ node: node.id, sizeBytes }], {
      seconds: 900_000n,
    })
    // The node can stand for no more than it has locked.
    const others = [{ node: node.id, sizeBytes: 32n * BigInt(init.otherSlots ?? 0) }]
    if (init.otherSlots) await grid.place(KIND.Store, spec, others, { seconds: 900_000n })
    const { chainId } = await grid.connection.ethers.provider.getNetwork()
    const audits = account(await grid.contracts.audits.getAddress())
    const scene = new AuditScene(grid, node, order, { chainId: Number(chainId), audits }, init)
    const own = {
      commitment: scene.commitment,
      mount: 0,
      signature: await scene.sign(grid.actors.tenant),
    }
    return new AuditScene(grid, node, order, scene.domain, init, own.signature)
  }

  private constructor(
    grid: TestGrid,
    node: TestNode,
    order: bigint,
    domain: AuditDomain,
    init: SceneInit,
    signature: Uint8Array = new Uint8Array(65),
  ) {
    this.grid = grid
    this.node = node
    this.order = order
    this.domain = domain
    this.signature = signature
    this.#shards = init.shards
    const leaves = new Map<Uint8Array, ReturnType<typeof sumLeaf>>()
    for (const shard of init.shards) {
      const leaf =
        leaves.get(shard) ?? sumLeaf(showUnit(shard, 0).root, leafCount(shard.byteLength))
      leaves.set(shard, leaf)
      this.#slot.append([leaf])
    }
    const { hash, sum } = this.#slot.root()
    const name = { order: orderId(order), slot: 0, generation: 0, node: nodeId(node.id) }
    this.commitment = { ...name, units: sum, root: hash, epoch: 0 }
    // In the order of their names: of orders that come later, or slots of the one before.
    const nameOf = (at: number) =>
      init.isStoreLast
        ? { order: orderId(order - 1n), slot: at }
        : { order: orderId(1_000_000n + BigInt(at)) }
    const others = Array.from({ length: init.otherSlots ?? 0 }, (_, at) => ({
      commitment: { ...this.commitment, ...nameOf(at), units: 1 },
      mount: 0,
      signature,
    }))
    this.accumulator = new NodeAccumulator([
      { commitment: this.commitment, mount: 0, signature },
      ...others,
    ])
  }

  /** A signature of what the store holds, or of something like it. */
  async sign(by: Signer | Wallet, change: Partial<SlotCommitment> = {}): Promise<Uint8Array> {
    const commitment = { ...this.commitment, ...change }
    return fromHex(await by.signTypedData(typedDomain(this.domain), COMMITMENT_TYPES, commitment))
  }

  /** The node stands for it from the next epoch on. */
  async commit(): Promise<void> {
    const { root, units } = this.accumulator
    await mined(this.grid.contracts.audits.connect(this.node.wallet).commit(root, units))
  }

  /** The node stands for it twice from the next epoch on; both places of it. */
  async commitTwice(): Promise<[Entry, Entry]> {
    const one = { commitment: this.commitment, mount: 0, signature: this.signature }
    const twice = new NodeAccumulator([one, one])
    const audits = this.grid.contracts.audits.connect(this.node.wallet)
    await mined(audits.commit(twice.root, twice.units))
    return [twice.entry(0), twice.entry(1)]
  }

  /** The store's place in what the node committed. */
  entry(change: Partial<Entry> = {}): Entry {
    const own = this.accumulator.find(this.commitment)
    if (!own) throw new TypeError('the store is in the accumulator')
    return { ...own, ...change }
  }

  /** What an honest node has to say in an epoch. */
  async prove(epoch: bigint): Promise<Proof> {
    const view = await this.grid.contracts.audits.epochs(epoch)
    const units: { earlier: Uint8Array; unit: Uint8Array; number: number }[] = []
    const states: Uint8Array[] = []
    let state = firstState(view.seed, nodeId(this.node.id), Number(epoch))
    for (let sample = 0; sample < Number(view.samples); sample += 1) {
      const place = this.accumulator.place(unitAfter(state, this.accumulator.units))
      const isOwn = this.accumulator.slots[place.index]?.commitment === this.commitment
      const unit = isOwn ? this.#unit(place.unitNumber) : new Uint8Array(32)
      units.push({ earlier: state, unit, number: isOwn ? place.unitNumber : -1 })
      state = nextState(state, unit)
      states.push(state)
    }
    const tree = new BinaryTree(states)
    const at = (sample: number) => {
      const shown = units[sample - 1]
      if (!shown) throw new TypeError(`there is no sample ${sample}`)
      return shown
    }
    return {
      epoch,
      states,
      digest: tree.root,
      own: units.flatMap(({ number }, index) => (number < 0 ? [] : [index + 1])),
      location: (sample, groupPath = []) =>
        this.location({
          ...at(sample),
          digest: tree.root,
          statePath: tree.path(sample - 1),
          groupPath,
        }),
      opening: (sample) => this.opening(at(sample).number),
    }
  }

  /** Posts a digest as the node. */
  async post(proof: Pick<Proof, 'epoch' | 'digest'>): Promise<void> {
    const audits = this.grid.contracts.audits.connect(this.node.wallet)
    await mined(audits.postDigest(proof.epoch, proof.digest.slice(0, 28)))
  }

  /** As the contract takes it. */
  location(parts: {
    earlier: Uint8Array
    unit: Uint8Array
    digest: Uint8Array
    statePath: readonly Uint8Array[]
    groupPath?: readonly Uint8Array[]
  }) {
    const { earlier, unit, digest } = parts
    const paths = { groupPath: [...(parts.groupPath ?? [])], statePath: [...parts.statePath] }
    return { earlier, unit, digest, ...paths, entry: this.entry() }
  }

  /** One unit of the store, shown. */
  opening(number: number): Uint8Array {
    const { leaf, before } = this.#slot.place(number)
    const shard = this.#shards[leaf]
    if (!shard) throw new TypeError('a shard is there')
    const shown = showUnit(shard, number - before)
    return packOpening({
      unit: shown.unit,
      unitNumber: number,
      shardBytes: shard.byteLength,
      shardPath: shown.path,
      slotPath: this.#slot.path(leaf),
    })
  }

  #unit(number: number): Uint8Array {
    const opened = unpackOpening(this.opening(number))
    if (!opened) throw new TypeError('an opening of ours is whole')
    return opened.unit
  }
}
