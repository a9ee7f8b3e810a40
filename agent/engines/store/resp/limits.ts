/** Names and limits that sessions and their server share. */
import { MIB } from '../../../base/units.ts'

/** Bytes that all incomplete commands together may hold. */
export const RECEIVE_BYTES_MAX = 512 * MIB
/** Namespace in which guests start, as in 0-db. */
export const DEFAULT_NAMESPACE = 'default'
