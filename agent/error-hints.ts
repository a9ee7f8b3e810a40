/** What to do about a failure, by its code: the catalogues of all parts of the agent, joined for people. */

import { DISK_ERRORS } from './adapters/disk/node-disk.ts'
import { KERNEL_ERRORS } from './adapters/kernel/errors.ts'
import { PROCESS_ERRORS } from './adapters/process/errors.ts'
import { OUTPUT_ERRORS } from './adapters/process/standard-streams.ts'
import { DIAL_ERRORS } from './adapters/socket/dial-errors.ts'
import { STORE_ERRORS } from './adapters/socket/resp-errors.ts'
import { COMMIT_SEAL_ERRORS } from './base/commit-sealer.ts'
import type { ErrorDescription } from './base/errors.ts'
import { LEDGER_KEY_ERRORS } from './base/ledger-key.ts'
import { SEAL_ERRORS } from './base/sealing.ts'
import { CONFIG_ERRORS } from './config/errors.ts'
import { AUDIT_ERRORS } from './engines/audit/errors.ts'
import { CHUNKS_ERRORS } from './engines/chunks/errors.ts'
import { DISPERSE_ERRORS } from './engines/disperse/errors.ts'
import { FILES_ERRORS } from './engines/files/errors.ts'
import { FUSE_ERRORS } from './engines/fuse/errors.ts'
import { LINK_ERRORS } from './engines/links/errors.ts'
import { NETWORK_ERRORS } from './engines/network/errors.ts'
import { LOG_ERRORS } from './engines/store/errors.ts'
import { LEDGER_ERRORS } from './ledger/errors.ts'
import { PLAN_REFUSALS } from './plan/errors.ts'
import { RECONCILE_ERRORS } from './reconcile/errors.ts'
import { STATE_ERRORS } from './state/errors.ts'
import { SURFACE_ERRORS } from './surfaces/errors.ts'
import { AUDIT_UNIT_ERRORS } from './units/audit/errors.ts'
import { UNIT_ERRORS } from './units/errors.ts'

/** Descriptions of all codes that an agent, its units or its tools can show. */
export const AGENT_ERRORS: Readonly<Record<string, ErrorDescription>> = {
  ...NETWORK_ERRORS,
  ...DISPERSE_ERRORS,
  ...FUSE_ERRORS,
  ...AUDIT_ERRORS,
  ...FILES_ERRORS,
  ...CHUNKS_ERRORS,
  ...LOG_ERRORS,
  ...LINK_ERRORS,
  ...COMMIT_SEAL_ERRORS,
  ...KERNEL_ERRORS,
  ...DIAL_ERRORS,
  ...STORE_ERRORS,
  ...DISK_ERRORS,
  ...OUTPUT_ERRORS,
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
