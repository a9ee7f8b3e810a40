/** Slots that a node countersigned and then left out of what it commits: the doubt that no sample can raise. */
import type { AuditAct } from './acts.ts'
import { type Accumulator, type Entry, type SignedCommitment, unitsBefore } from './entry.ts'
import { isSameSlot } from './slot-name.ts'

/** Epochs that a node has to commit what it countersigned. */
export const EPOCHS_TO_COMMIT = 2

/** What a tenant keeps of a commitment that its node countersigned. */
export interface Countersigned extends SignedCommitment {
  /** The node's signature, 65 bytes. */
  readonly countersignature: Uint8Array
}

/** What is known when a demand is weighed. */
export interface DemandWorld {
  readonly newestEpoch: number
  /** What the node is audited for in the newest epoch. */
  readonly accumulator: Accumulator
  /** What the node shows of the slot when asked off chain, undefined if nothing; not trusted. */
  readonly shown: Entry | undefined
}

/**
 * Says whether a node must be made to show a slot.
 *
 * @param signed - The newest commitment that the node countersigned.
 * @param world - The ledger, and what the node shows.
 * @returns The demand, or undefined if the slot is shown or not due yet.
 * @example
 * planDemand(signed, { newestEpoch: 7, accumulator, shown: undefined })
 */
export function planDemand(signed: Countersigned, world: DemandWorld): AuditAct | undefined {
  const { commitment, countersignature } = signed
  if (world.newestEpoch < commitment.epoch + EPOCHS_TO_COMMIT) return undefined
  const { shown } = world
  const isShown =
    shown !== undefined &&
    shown.commitment.node === commitment.node &&
    isSameSlot(shown.commitment, commitment) &&
    (shown.commitment.epoch > commitment.epoch ||
      (shown.commitment.epoch === commitment.epoch &&
        shown.commitment.units >= commitment.units)) &&
    unitsBefore(shown, world.accumulator) !== undefined
  if (isShown) return undefined
  const { mount, signature } = signed
  const entry = { commitment, mount, signature, path: new Uint8Array(0) }
  return { method: 'demand', args: [entry, countersignature] }
}
