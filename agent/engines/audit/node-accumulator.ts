/** The sum tree over a node's slots: what the node commits on chain and is audited for in the next epoch. */
import { required } from '../../base/assert.ts'
import { NODE_BYTES } from '../../base/hash-blocks.ts'
import { type Accumulator, type Entry, entryLeaf, type SignedCommitment } from './entry.ts'
import { compareSlots, isSameSlot, type SlotName } from './slot-name.ts'
import { SumTree } from './tree/sum-tree.ts'

/** Where a sample falls. */
export interface SamplePlace {
  /** Which slot of the accumulator. */
  readonly index: number
  /** Number of the unit in that slot. */
  readonly unitNumber: number
}

/** An accumulator, whole: made anew for each commitment of the node, as it has some thousand slots at most. */
export class NodeAccumulator implements Accumulator {
  readonly root: Uint8Array
  readonly units: number
  /** The slots, by ascending name. */
  readonly slots: readonly SignedCommitment[]
  readonly #tree = new SumTree()

  /**
   * @param slots - `[n]` commitments of different slots, any order.
   */
  constructor(slots: readonly SignedCommitment[]) {
    this.slots = slots.toSorted((a, b) => compareSlots(a.commitment, b.commitment))
    this.#tree.append(this.slots.map(({ commitment }) => entryLeaf(commitment)))
    const isEmpty = this.slots.length === 0
    this.root = isEmpty ? new Uint8Array(NODE_BYTES) : this.#tree.root().hash
    this.units = this.#tree.units()
  }

  /** Where unit `unit` of the accumulator is, `< units`. */
  place(unit: number): SamplePlace {
    const { leaf, before } = this.#tree.place(unit)
    return { index: leaf, unitNumber: unit - before }
  }

  /** Slot `index` with its path. */
  entry(index: number): Entry {
    const slot = required(this.slots[index], 'an entry that is asked for is there')
    return { ...slot, path: this.#tree.path(index) }
  }

  /** A slot with its path, undefined if it is not in here. */
  find(name: SlotName): Entry | undefined {
    const index = this.slots.findIndex(({ commitment }) => isSameSlot(commitment, name))
    return index < 0 ? undefined : this.entry(index)
  }
}
