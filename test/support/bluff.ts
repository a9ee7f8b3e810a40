/** A node that lost bytes and says so to nobody: it makes up the units that it cannot show, and goes on. */
import { assert } from '../../agent/base/assert.ts'
import type { Entry, ProveInit, SlotState, Transcript } from '../../agent/engines/audit/index.ts'
import { packOpening, unpackOpening } from '../../agent/engines/audit/opening.ts'
import { firstState, nextState, unitAfter } from '../../agent/engines/audit/sampling.ts'

/** Makes the opening of a unit that is lost. */
export type MakeUp = (state: SlotState, unitNumber: number) => Uint8Array | Promise<Uint8Array>

/**
 * Answers all samples of an epoch, right where it can.
 *
 * @param init - As for the prover.
 * @param makeUp - What it shows of a lost unit: zeros without a path if left out.
 * @returns A transcript whose chain of states is whole.
 */
export async function bluff(init: ProveInit, makeUp: MakeUp = pathless): Promise<Transcript> {
  const { node, epoch, accumulator } = init
  const entries: Entry[] = accumulator.slots.map((_, index) => accumulator.entry(index))
  const samples = []
  const states = []
  let earlier: Uint8Array = firstState(init.seed, node, epoch)
  while (states.length < init.samples) {
    const { index, unitNumber } = accumulator.place(unitAfter(earlier, accumulator.units))
    const commitment = entries[index]?.commitment
    const tree = commitment && init.slots(commitment)
    assert(tree, 'it knows what it committed')
    const opening = await tree
      .open(commitment, unitNumber, init.signal)
      .catch(() => makeUp(commitment, unitNumber))
    const unit = unpackOpening(opening)?.unit.slice() ?? new Uint8Array(32)
    samples.push({ earlier, unit, entry: index, opening })
    earlier = nextState(earlier, unit)
    states.push(earlier)
  }
  return { node, epoch, states, samples, entries }
}

/** Zeros, and no way to show them. */
function pathless(_state: SlotState, unitNumber: number): Uint8Array {
  return packOpening({
    unit: new Uint8Array(32),
    unitNumber,
    shardBytes: 32,
    shardPath: new Uint8Array(0),
    slotPath: new Uint8Array(0),
  })
}
