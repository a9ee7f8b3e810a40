/** What can go wrong while the agent makes the machine match. */
import type { ErrorCatalogue } from '../base/errors.ts'

export type ReconcileErrorCode = 'UNIT_DIED' | 'UNIT_SILENT'

export const RECONCILE_ERRORS: ErrorCatalogue<ReconcileErrorCode> = {
  UNIT_DIED: {
    means: 'A unit’s process ended, or closed its control socket.',
    hint: 'It is started again with back-off; its last log lines say why it ended.',
  },
  UNIT_SILENT: {
    means: 'A unit was started and did not open its control socket in time.',
    hint: 'It is started again; look for a full or slow disk.',
  },
}
