/** Names and limits that sessions and their server share. */
import { MIB } from '../../../base/units.ts'

/** Bytes that all incomplete commands together may hold. */
export const RECEIVE_BYTES_MAX = 512 * MIB
/** An incomplete command of which nothing comes for so long is given up: a client that lives sends on within seconds. */
export const COMMAND_SILENCE_MS_MAX = 15_000
/** Time in which a command must have come, and what it gets besides for its length. */
export const COMMAND_MS_MAX = 30_000
export const COMMAND_BYTES_PER_MS = 256
/** Memory for reuse goes back to the system when no command was incomplete for so long. */
export const MEMORY_IDLE_MS = 10_000
/** Of what recurs by the thousand, one is logged in so long. */
export const LOG_AGAIN_MS = 60_000
/** Namespace in which guests start, as in 0-db. */
export const DEFAULT_NAMESPACE = 'default'
