/** What to do about a failure, by its code: the catalogues of all parts of the agent, joined for people. */
import { PROCESS_ERRORS } from './adapters/process/errors.ts'
import type { ErrorDescription } from './base/errors.ts'
import { LEDGER_KEY_ERRORS } from './base/ledger-key.ts'
import { SEAL_ERRORS } from './base/sealing.ts'
import { CONFIG_ERRORS } from './config/errors.ts'
import { LEDGER_ERRORS } from './ledger/errors.ts'
import { PLAN_REFUSALS } from './plan/errors.ts'
import { RECONCILE_ERRORS } from './reconcile/errors.ts'
import { STATE_ERRORS } from './state/errors.ts'
import { SURFACE_ERRORS } from './surfaces/errors.ts'
import { AUDIT_UNIT_ERRORS } from './units/audit/errors.ts'
import { UNIT_ERRORS } from './units/errors.ts'

/** All codes of the agent's own parts; the engines' are in their packages. */
export const AGENT_ERRORS: Readonly<Record<string, ErrorDescription>> = {
  ...CONFIG_ERRORS,
  ...PROCESS_ERRORS,
  ...STATE_ERRORS,
  ...LEDGER_ERRORS,
  ...PLAN_REFUSALS,
  ...RECONCILE_ERRORS,
  ...UNIT_ERRORS,
  ...AUDIT_UNIT_ERRORS,
  ...SURFACE_ERRORS,
  ...SEAL_ERRORS,
  ...LEDGER_KEY_ERRORS,
}
