/**
 * Answers an epoch's samples from the shards: one after another, as each asks for the next.
 *
 * One shard is in memory at a time. A shard that cannot be shown ends the proof: there is nothing to go on with, and claiming
 * a state that does not follow would cost more than posting nothing.
 */
import { assert } from '../../base/assert.ts'
import { NodeError } from '../../base/errors.ts'
import type { NodeId } from '../../base/ids.ts'
import { SAMPLES_MAX } from './constants.ts'
import type { Entry } from './entry.ts'
import type { NodeAccumulator } from './node-accumulator.ts'
import { unpackOpening } from './opening.ts'
import { firstState, nextState, unitAfter } from './sampling.ts'
import { type SlotName, slotText } from './slot-name.ts'
import type { SlotTree } from './slot-tree.ts'
import type { ShownSample, Transcript } from './transcript.ts'

/** What a proof is made from. */
export interface ProveInit {
  readonly node: NodeId
  readonly epoch: number
  /** The epoch's seed, 112 bits. */
  readonly seed: bigint
  /** Samples to answer, `1..255`. */
  readonly samples: number
  /** What the node is audited for in this epoch. */
  readonly accumulator: NodeAccumulator
  /** The tree of a slot, undefined if this node has none. */
  readonly slots: (name: SlotName) => SlotTree | undefined
  readonly signal: AbortSignal
}

/**
 * Answers all samples of an epoch.
 *
 * @param init - Seed, what was committed, and the trees that can show it.
 * @returns The transcript.
 * @throws NodeError `AUDIT_NOTHING_COMMITTED`, `AUDIT_SLOT_UNKNOWN`, `AUDIT_SLOT_BEHIND`, `AUDIT_SHARD_LOST`; the
 *   signal's reason if it aborts.
 * @example
 * const transcript = await prove({ node, epoch, seed, samples: 64, accumulator, slots, signal })
 */
export async function prove(init: ProveInit): Promise<Transcript> {
  const { node, epoch, accumulator, signal } = init
  assert(init.samples >= 1 && init.samples <= SAMPLES_MAX, 'an epoch has 1 to 255 samples')
  if (accumulator.units === 0) {
    throw new NodeError('AUDIT_NOTHING_COMMITTED', `node ${node} holds nothing in epoch ${epoch}`)
  }
  const states: Uint8Array[] = []
  const samples: ShownSample[] = []
  const entries = new EntryList(accumulator)
  let state = firstState(init.seed, node, epoch)
  while (states.length < init.samples) {
    signal.throwIfAborted()
    const sample = await answer(init, state, entries)
    samples.push(sample)
    state = nextState(state, sample.unit)
    states.push(state)
  }
  return { node, epoch, states, samples, entries: entries.list }
}

async function answer(
  init: ProveInit,
  earlier: Uint8Array,
  entries: EntryList,
): Promise<ShownSample> {
  const { accumulator, slots, signal } = init
  const { index, unitNumber } = accumulator.place(unitAfter(earlier, accumulator.units))
  const entry = entries.numberOf(index)
  const commitment = entries.commitment(entry)
  const tree = slots(commitment)
  if (!tree) throw new NodeError('AUDIT_SLOT_UNKNOWN', `no tree of slot ${slotText(commitment)}`)
  const opening = await tree.open(commitment, unitNumber, signal)
  const unit = unpackOpening(opening)?.unit
  assert(unit !== undefined, 'an opening that was packed can be taken apart')
  return { earlier, unit: unit.slice(), entry, opening }
}

/** The entries that samples fell into so far, each once. */
class EntryList {
  readonly list: Entry[] = []
  readonly #accumulator: NodeAccumulator
  readonly #numbers = new Map<number, number>()

  constructor(accumulator: NodeAccumulator) {
    this.#accumulator = accumulator
  }

  numberOf(index: number): number {
    const known = this.#numbers.get(index)
    if (known !== undefined) return known
    this.#numbers.set(index, this.list.length)
    return this.list.push(this.#accumulator.entry(index)) - 1
  }

  commitment(number: number): Entry['commitment'] {
    const entry = this.list[number]
    assert(entry !== undefined, 'a number comes from the list')
    return entry.commitment
  }
}
