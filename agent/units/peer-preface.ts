/** The line that the links unit writes first on a stream of a peer: who the peer is, proved by the link. */
import { type Account, account } from '../base/ids.ts'
import { fieldOf } from '../base/json.ts'

/**
 * Reads who a peer is.
 *
 * @param message - What the first line says.
 * @returns Undefined if it names no account: the stream did not come through the links unit.
 * @example
 * prefacedPeer({ account: '0xf39f…' })
 */
export function prefacedPeer(message: unknown): Account | undefined {
  const given = fieldOf(message, 'account')
  try {
    return typeof given === 'string' ? account(given) : undefined
  } catch {
    return undefined
  }
}
