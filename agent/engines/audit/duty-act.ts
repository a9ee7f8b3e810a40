/** Turns a planned duty into the act that the contract takes, from the transcripts and accumulators that the node keeps. */
import { unreachable } from '../../base/assert.ts'
import type { NodeId } from '../../base/ids.ts'
import type { AuditAct } from './acts.ts'
import { POSTED_BYTES } from './constants.ts'
import type { Duty } from './duties.ts'
import type { NodeAccumulator } from './node-accumulator.ts'
import type { SlotName } from './slot-name.ts'
import { locate, type Transcript } from './transcript.ts'

/** What a node keeps of the newest two epochs. */
export interface DutyStore {
  readonly node: NodeId
  transcript(epoch: number): Transcript | undefined
  /** What the node was audited for. */
  accumulator(epoch: number): NodeAccumulator | undefined
  /** From the node's digest up to what its aggregator posted; empty if the node posted its own. */
  groupPath(epoch: number): readonly Uint8Array[]
  /** Which slot a dispute demands. */
  demanded(dispute: number): SlotName | undefined
}

/**
 * Says what to send for a duty.
 *
 * @param duty - As planned.
 * @param store - What the node keeps.
 * @returns The act; undefined where nothing is sent to the ledger (proving, sending to an aggregator) or where what it
 *   needs is not at hand.
 * @example
 * const act = dutyAct(duty, store)
 */
export function dutyAct(duty: Duty, store: DutyStore): AuditAct | undefined {
  switch (duty.kind) {
    case 'prove':
    case 'send':
      return undefined
    case 'draw':
      return { method: 'draw', args: [] }
    case 'commit':
      return { method: 'commit', args: [duty.root, duty.units] }
    case 'post':
      return { method: 'postDigest', args: [duty.epoch, duty.digest.slice(0, POSTED_BYTES)] }
    case 'open':
      return openAct(duty.epoch, store)
    case 'show':
      return showAct(duty.dispute, duty.epoch, store)
    case 'locate':
    case 'answer':
      return replyAct(duty, store)
    default:
      return unreachable(duty)
  }
}

function openAct(epoch: number, store: DutyStore): AuditAct | undefined {
  const transcript = store.transcript(epoch)
  const first = transcript?.samples[0]
  const entry = first && transcript.entries[first.entry]
  if (!entry) return undefined
  return { method: 'openSample', args: [epoch, store.node, entry, first.opening] }
}

function showAct(dispute: number, epoch: number, store: DutyStore): AuditAct | undefined {
  const slot = store.demanded(dispute)
  const entry = slot && store.accumulator(epoch)?.find(slot)
  return entry && { method: 'show', args: [dispute, entry] }
}

function replyAct(
  duty: Extract<Duty, { kind: 'locate' | 'answer' }>,
  store: DutyStore,
): AuditAct | undefined {
  const transcript = store.transcript(duty.epoch)
  const shown = transcript?.samples[duty.sample - 1]
  if (!shown) return undefined
  if (duty.kind === 'answer') return { method: 'answer', args: [duty.dispute, shown.opening] }
  const location = locate(transcript, duty.sample, store.groupPath(duty.epoch))
  return { method: 'locate', args: [duty.dispute, location] }
}
