/**
 * The tree over a slot's shards: follows the store, and shows any unit of any state that the slot once had.
 *
 * Shards are hashed once, as they arrive. Nothing here is believed when a unit is shown: the shard is read and hashed anew,
 * so a node learns that it lost bytes from its own audit and not from a slash.
 */
import { createHash } from 'node:crypto'
import { bytesEqual } from '../../base/bytes.ts'
import { bytesRoot, leafCount } from '../../base/bytes-root.ts'
import { NodeError } from '../../base/errors.ts'
import { LEAVES_PER_WRITE, LIST_SHARDS, SHARD_BYTES_MAX, SHARD_KEY_BYTES_MAX } from './constants.ts'
import { type LeafFile, NAME_BYTES, type ShardLeaf } from './leaf-file.ts'
import { packOpening } from './opening.ts'
import type { ShardInfo, ShardSource } from './ports.ts'
import { type SlotName, slotText } from './slot-name.ts'
import { showUnit } from './tree/shard-tree.ts'
import { type SumNode, sumLeaf } from './tree/sum-node.ts'
import { SumTree } from './tree/sum-tree.ts'

/** Root and units of a slot: what a commitment says. */
export interface SlotState {
  /** 32 bytes. */
  readonly root: Uint8Array
  readonly units: number
}

/** The tree of one slot. */
export class SlotTree {
  readonly name: SlotName
  readonly #source: ShardSource
  readonly #leaves: LeafFile | undefined
  #tree = new SumTree()
  #revision: number | undefined
  #following: Promise<void> | undefined

  /**
   * An empty tree; {@link SlotTree.follow} fills it.
   *
   * @param name - The slot.
   * @param source - Its shards.
   * @param leaves - Where to keep leaves; without it all shards are hashed anew after a restart.
   */
  constructor(name: SlotName, source: ShardSource, leaves?: LeafFile) {
    this.name = name
    this.#source = source
    this.#leaves = leaves
  }

  /** Shards taken in. */
  get shards(): number {
    return this.#tree.size
  }

  /** The slot as it is now, undefined while it has no shard. */
  get state(): SlotState | undefined {
    if (this.#tree.size === 0) return undefined
    const { hash, sum } = this.#tree.root()
    return { root: hash, units: sum }
  }

  /**
   * Takes in what was written since; calls while it runs share its work.
   *
   * @param signal - Gives up, with what was taken in.
   * @throws NodeError `AUDIT_SHARD_LOST`, `AUDIT_SHARD_TOO_LARGE`: the tree ends before that shard.
   */
  follow(signal: AbortSignal): Promise<void> {
    this.#following ??= this.#followOnce(signal).finally(() => {
      this.#following = undefined
    })
    return this.#following
  }

  /**
   * The root that the slot had when it had so many units.
   *
   * @returns 32 bytes, or undefined if it never had.
   */
  rootAt(units: number): Uint8Array | undefined {
    const size = this.#tree.sizeAt(units)
    return size === undefined || size === 0 ? undefined : this.#tree.root(size).hash
  }

  /**
   * Shows a unit of a state of the slot; reads one shard.
   *
   * @param state - What was committed.
   * @param unitNumber - Which unit of it.
   * @returns The opening, packed.
   * @throws NodeError `AUDIT_SLOT_BEHIND` if the slot never was in that state, `AUDIT_SHARD_LOST` if the shard is not what
   *   it was.
   */
  async open(state: SlotState, unitNumber: number, signal: AbortSignal): Promise<Uint8Array> {
    const size = this.#sizeIn(state)
    const { leaf: index, before } = this.#tree.place(unitNumber, size)
    // All that is needed of the tree is taken before waiting: it may begin anew in the meantime.
    const leaf = this.#tree.leaf(index)
    const slotPath = this.#tree.path(index, size)
    const bytes = await this.#readShard(index, leaf.sum, signal)
    const shown = bytes && showUnit(bytes, unitNumber - before)
    if (!shown || !isLeaf(leaf, shown.root, leaf.sum)) throw this.#lost(index)
    return packOpening({
      unit: shown.unit,
      unitNumber,
      shardBytes: bytes.byteLength,
      shardPath: shown.path,
      slotPath,
    })
  }

  #sizeIn(state: SlotState): number {
    const size = this.#tree.sizeAt(state.units)
    const isSame = size !== undefined && size > 0
    if (isSame && bytesEqual(this.#tree.root(size).hash, state.root)) return size
    throw new NodeError(
      'AUDIT_SLOT_BEHIND',
      `slot ${slotText(this.name)} has no such state of ${state.units} units`,
    )
  }

  async #readShard(
    index: number,
    units: number,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    const [shard] = await this.#source.list(this.name, index, 1, signal)
    if (!shard || leafCount(shard.lengthBytes) !== units) return undefined
    const bytes = await this.#source.read(this.name, shard, signal)
    return bytes?.byteLength === shard.lengthBytes ? bytes : undefined
  }

  #lost(index: number): NodeError {
    return new NodeError('AUDIT_SHARD_LOST', `shard ${index} of slot ${slotText(this.name)}`, {
      details: { ...this.name, shard: index },
    })
  }

  async #followOnce(signal: AbortSignal): Promise<void> {
    const revision = await this.#source.revision(this.name, signal)
    if (revision !== this.#revision) await this.#startOver(signal)
    this.#revision = revision
    for (;;) {
      const listed = await this.#source.list(this.name, this.#tree.size, LIST_SHARDS, signal)
      await this.#takeIn(listed, signal)
      if (listed.length < LIST_SHARDS) break
    }
    await this.#leaves?.sync()
  }

  /** Takes the leaves that were kept and still are those of the shards listed. */
  async #startOver(signal: AbortSignal): Promise<void> {
    const tree = new SumTree()
    for (;;) {
      const listed = await this.#source.list(this.name, tree.size, LIST_SHARDS, signal)
      const known = this.#leaves?.read(tree.size, listed.length) ?? []
      const same = countSame(known, listed)
      tree.append(known.slice(0, same).map(leafOf))
      if (same < LIST_SHARDS) break
    }
    this.#leaves?.keep(tree.size)
    this.#tree = tree
  }

  async #takeIn(listed: readonly ShardInfo[], signal: AbortSignal): Promise<void> {
    let taken: ShardLeaf[] = []
    const write = () => {
      this.#leaves?.append(taken)
      this.#tree.append(taken.map(leafOf))
      taken = []
    }
    try {
      for (const shard of listed) {
        signal.throwIfAborted()
        taken.push(await this.#hash(shard, this.#tree.size + taken.length, signal))
        if (taken.length === LEAVES_PER_WRITE) write()
      }
    } finally {
      // What was hashed before an abort or a lost shard need not be hashed again.
      write()
    }
  }

  async #hash(shard: ShardInfo, index: number, signal: AbortSignal): Promise<ShardLeaf> {
    const keyBytes = shard.key.byteLength
    if (shard.lengthBytes > SHARD_BYTES_MAX || keyBytes > SHARD_KEY_BYTES_MAX) {
      throw new NodeError('AUDIT_SHARD_TOO_LARGE', `${shard.lengthBytes} bytes, key ${keyBytes}`)
    }
    const known = this.#source.root?.(this.name, shard)
    if (known) return { root: known, name: shardName(shard), lengthBytes: shard.lengthBytes }
    const bytes = await this.#source.read(this.name, shard, signal)
    if (bytes?.byteLength !== shard.lengthBytes) throw this.#lost(index)
    return { root: bytesRoot(bytes), name: shardName(shard), lengthBytes: bytes.byteLength }
  }
}

function countSame(known: readonly ShardLeaf[], listed: readonly ShardInfo[]): number {
  const end = known.findIndex((leaf, at) => {
    const shard = listed[at]
    return shard?.lengthBytes !== leaf.lengthBytes || !bytesEqual(shardName(shard), leaf.name)
  })
  return end < 0 ? known.length : end
}

function shardName(shard: ShardInfo): Uint8Array {
  return createHash('sha256').update(shard.key).digest().subarray(0, NAME_BYTES)
}

function leafOf({ root, lengthBytes }: ShardLeaf): SumNode {
  return sumLeaf(root, leafCount(lengthBytes))
}

function isLeaf(leaf: SumNode, root: Uint8Array, units: number): boolean {
  return leaf.sum === units && bytesEqual(leaf.hash, sumLeaf(root, units).hash)
}
