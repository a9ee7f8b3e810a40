/** What can go wrong with trees, proofs and commitments, in codes. */
import type { ErrorCatalogue } from '../../base/errors.ts'

/** Codes of failures of this engine. */
export type AuditErrorCode =
  | 'AUDIT_SHARD_LOST'
  | 'AUDIT_SHARD_TOO_LARGE'
  | 'AUDIT_SLOT_UNKNOWN'
  | 'AUDIT_SLOT_BEHIND'
  | 'AUDIT_TRANSCRIPT_MALFORMED'
  | 'AUDIT_NOTHING_COMMITTED'
  | 'AUDIT_COMMITMENT_FOREIGN'
  | 'AUDIT_COMMITMENT_EPOCH'
  | 'AUDIT_COMMITMENT_TOO_LARGE'
  | 'AUDIT_COMMITMENT_UNSIGNED'
  | 'AUDIT_COMMITMENT_BEHIND'
  | 'AUDIT_COMMITMENT_SHRINKS'
  | 'AUDIT_COMMITMENT_MISMATCH'
  | 'AUDIT_NOT_IN_GROUP'
  | 'AUDIT_DIGEST_DOUBTFUL'
  | 'AUDIT_GROUP_SEALED'

/** What each means. */
export const AUDIT_ERRORS: ErrorCatalogue<AuditErrorCode> = {
  AUDIT_SHARD_LOST: {
    means: 'A shard that the node stands for is missing or is not what it was when it was hashed.',
    hint: 'Repair the slot from the others of its volume before the next audit.',
  },
  AUDIT_SHARD_TOO_LARGE: {
    means: 'A shard or its key is longer than audits take.',
    hint: 'Store it in smaller pieces.',
  },
  AUDIT_SLOT_UNKNOWN: {
    means: 'A sample falls into a slot that this node has no tree of.',
    hint: 'Open the trees of all committed slots before proving.',
  },
  AUDIT_SLOT_BEHIND: {
    means: 'The tree of a slot has no state with as many units as were committed.',
    hint: 'Let the tree follow the store, or repair the slot.',
  },
  AUDIT_TRANSCRIPT_MALFORMED: {
    means: 'Bytes that should be a transcript are not.',
    hint: 'Whoever sent them is faulty or lying: the samples count as not shown.',
  },
  AUDIT_NOTHING_COMMITTED: {
    means: 'There is nothing to prove: the accumulator is empty.',
    hint: 'A node that holds nothing owes no digest.',
  },
  AUDIT_COMMITMENT_FOREIGN: {
    means: 'A commitment is for another node, slot or generation.',
    hint: 'The writer reads the order anew and signs again.',
  },
  AUDIT_COMMITMENT_EPOCH: {
    means: 'A commitment is of an epoch that has not begun or is long over.',
    hint: 'The writer reads the newest epoch and signs again.',
  },
  AUDIT_COMMITMENT_TOO_LARGE: {
    means: 'A commitment has more units than the slot has room for, or none.',
    hint: 'Extend the order.',
  },
  AUDIT_COMMITMENT_UNSIGNED: {
    means: 'No writer of the slot signed the commitment.',
    hint: 'Only the tenant, a writer of the store or the node of a writable mount may sign.',
  },
  AUDIT_COMMITMENT_BEHIND: {
    means: 'The node has not yet hashed as many units as the writer signed.',
    hint: 'Ask again later.',
  },
  AUDIT_COMMITMENT_SHRINKS: {
    means: 'A commitment has fewer units than one that the node countersigned in this epoch.',
    hint: 'Sign it again in the next epoch: what was signed later stands for what is kept.',
  },
  AUDIT_COMMITMENT_MISMATCH: {
    means: 'The node holds other bytes than the writer signed.',
    hint: 'Compare the shards of writer and node; write the ones that differ again.',
  },
  AUDIT_NOT_IN_GROUP: {
    means: 'A node is not of the group whose digests are gathered.',
    hint: 'Send the digest to the group of the node: its number divided by 256.',
  },
  AUDIT_DIGEST_DOUBTFUL: {
    means: 'A digest does not follow from the transcript that came with it.',
    hint: 'The node proves anew and sends both again, or posts its digest itself.',
  },
  AUDIT_GROUP_SEALED: {
    means: 'The digests of a group were already put under a root.',
    hint: 'The node posts its digest itself.',
  },
}
