/**
 * A node's side of a commitment: it signs only what it finds in its own bytes, because what it signs it can be made to show.
 */
import { bytesEqual } from '../../base/bytes.ts'
import { NodeError } from '../../base/errors.ts'
import type { NodeId } from '../../base/ids.ts'
import type { LedgerKey } from '../../base/ledger-key.ts'
import { type AuditDomain, type SlotCommitment, signCommitment } from './commitment.ts'
import { UNIT_BYTES, UNITS_MAX } from './constants.ts'
import { type IsWriter, isSignedByWriter, type SignedCommitment } from './entry.ts'
import type { AuditErrorCode } from './errors.ts'
import { isSameSlot, slotText } from './slot-name.ts'
import type { SlotTree } from './slot-tree.ts'

/** When a writer may ask again for what the node has not hashed yet. */
const BEHIND_RETRY_MS = 5_000

/** What a node knows of itself and the slot. */
export interface CountersignInit {
  readonly domain: AuditDomain
  readonly node: NodeId
  readonly key: Pick<LedgerKey, 'privateKey'>
  /** The slot's tree, as far as the node has hashed it. */
  readonly tree: SlotTree
  /** Bytes that were ordered. */
  readonly sizeBytes: number
  readonly newestEpoch: number
  /** The newest commitment of the slot that this node countersigned, undefined if none. */
  readonly newestSigned: Pick<SlotCommitment, 'units' | 'epoch'> | undefined
  readonly isWriter: IsWriter
}

/**
 * Checks a commitment against the node's own bytes and signs it.
 *
 * @param signed - From a writer; not trusted.
 * @param init - The node's side.
 * @returns The countersignature, 65 bytes.
 * @throws NodeError `AUDIT_COMMITMENT_*`, which the writer is told; `AUDIT_COMMITMENT_BEHIND` may be asked again.
 * @example
 * const countersignature = await countersign(signed, { domain, node, key, tree, ...slot })
 */
export async function countersign(
  signed: SignedCommitment,
  init: CountersignInit,
): Promise<Uint8Array> {
  const { commitment } = signed
  checkTerms(commitment, init)
  if (!(await isSignedByWriter(init.domain, signed, init.isWriter))) {
    throw refusal('AUDIT_COMMITMENT_UNSIGNED', commitment)
  }
  checkBytes(commitment, init.tree)
  return signCommitment(init.domain, commitment, init.key)
}

function checkTerms(commitment: SlotCommitment, init: CountersignInit): void {
  const { node, units, epoch } = commitment
  if (node !== init.node || !isSameSlot(commitment, init.tree.name)) {
    throw refusal('AUDIT_COMMITMENT_FOREIGN', commitment)
  }
  // One epoch back: the writer may not have seen the newest one yet.
  if (epoch > init.newestEpoch || epoch < init.newestEpoch - 1) {
    throw refusal('AUDIT_COMMITMENT_EPOCH', commitment)
  }
  // A shard's last unit may be filled up with zeros, so only whole units must fit.
  const hasRoom = units >= 1 && units <= UNITS_MAX && (units - 1) * UNIT_BYTES < init.sizeBytes
  if (!hasRoom) throw refusal('AUDIT_COMMITMENT_TOO_LARGE', commitment)
  // Only what was signed later, or as much in the same epoch, can be shown in place of another.
  const { newestSigned } = init
  const isLater = !newestSigned || epoch > newestSigned.epoch
  if (!isLater && (epoch < newestSigned.epoch || units < newestSigned.units)) {
    throw refusal('AUDIT_COMMITMENT_SHRINKS', commitment)
  }
}

function checkBytes(commitment: SlotCommitment, tree: SlotTree): void {
  const has = tree.state?.units ?? 0
  if (has < commitment.units) {
    throw refusal('AUDIT_COMMITMENT_BEHIND', commitment, BEHIND_RETRY_MS)
  }
  const root = tree.rootAt(commitment.units)
  if (!root || !bytesEqual(root, commitment.root)) {
    throw refusal('AUDIT_COMMITMENT_MISMATCH', commitment)
  }
}

function refusal(
  code: AuditErrorCode,
  commitment: SlotCommitment,
  retryAfterMs?: number,
): NodeError<AuditErrorCode> {
  const { node, units, epoch } = commitment
  const slot = slotText(commitment)
  return new NodeError(code, `slot ${slot} of node ${node}, ${units} units, epoch ${epoch}`, {
    details: { node, slot, units, epoch },
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  })
}
