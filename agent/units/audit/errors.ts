/** What can go wrong in the unit that audits this node. */
import type { ErrorCatalogue } from '../../base/errors.ts'

export type AuditUnitErrorCode =
  | 'AUDIT_FILE_DAMAGED'
  | 'AUDIT_REQUEST_INVALID'
  | 'AUDIT_REQUEST_REFUSED'
  | 'AUDIT_NOT_READY'
  | 'AUDIT_ACCUMULATOR_UNKNOWN'
  | 'AUDIT_SHARD_UNVERIFIED'

export const AUDIT_UNIT_ERRORS: ErrorCatalogue<AuditUnitErrorCode> = {
  AUDIT_FILE_DAMAGED: {
    means: 'A file in which the node keeps what it countersigned or committed cannot be read.',
    hint: 'Check the disk; what is lost with it cannot be proven in the epochs that ask for it.',
  },
  AUDIT_REQUEST_INVALID: {
    means: 'A peer asked the audit unit for something that has not the form of a request.',
    hint: 'Agents of different versions may not understand each other: update the older one.',
  },
  AUDIT_REQUEST_REFUSED: {
    means: 'A peer asked for a slot that is not here, or that it may not write.',
    hint: 'The orders on the ledger say which slots a node has and who writes them; one of both may not have read them yet.',
  },
  AUDIT_NOT_READY: {
    means:
      'The audit unit is not yet ready for this slot: its store does not hold back what dies, or the ledger was not read.',
    hint: 'Ask again in some seconds.',
  },
  AUDIT_ACCUMULATOR_UNKNOWN: {
    means: 'The node is audited for an accumulator that it has no record of.',
    hint: 'Its audit files were lost: it cannot prove this epoch, and commits anew for the next one.',
  },
  AUDIT_SHARD_UNVERIFIED: {
    means:
      'A store gave back other bytes of a shard than the mount wrote, or lists one that the mount never wrote.',
    hint: 'Scrubbing repairs what is damaged; a node that lists what was never written does not get a commitment signed.',
  },
}
