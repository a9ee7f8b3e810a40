/**
 * The gate: refuses who is not in the book, in both directions, as soon as the handshake has proven who it is, and
 * refuses handshakes that come faster than they can be afforded.
 */
import type { ConnectionGater, PeerId } from '@libp2p/interface'
import type { Clock } from '../../base/ports.ts'
import { SECOND_MS } from '../../base/units.ts'
import { INBOUND_HANDSHAKES_PER_SECOND_MAX } from './constants.ts'
import { accountOfPeerId, type PeerBook } from './peer-book.ts'

/** Handshakes refused since the start. */
export interface GateCounts {
  strangers: number
  tooFast: number
  tooMany: number
}

/**
 * Makes the gate that libp2p asks.
 *
 * @param book - Gives the book in force.
 * @param clock - For the rate.
 * @returns The gate, and its counts, which it keeps up to date.
 */
export function gateFor(
  book: () => PeerBook,
  clock: Clock,
): { readonly gater: ConnectionGater; readonly counts: GateCounts } {
  const counts: GateCounts = { strangers: 0, tooFast: 0, tooMany: 0 }
  const rate = tokenBucket(INBOUND_HANDSHAKES_PER_SECOND_MAX, clock)
  const isStranger = (peerId: PeerId): boolean => {
    const account = accountOfPeerId(peerId)
    return account === undefined || !book().allows(account)
  }
  const refuseStranger = (peerId: PeerId): boolean => {
    const refused = isStranger(peerId)
    if (refused) counts.strangers++
    return refused
  }
  return {
    counts,
    gater: {
      denyDialPeer: isStranger,
      denyInboundConnection() {
        const refused = !rate.take()
        if (refused) counts.tooFast++
        return refused
      },
      denyInboundEncryptedConnection: refuseStranger,
      denyOutboundEncryptedConnection: refuseStranger,
      // What peers claim about addresses is never kept: the registry says where they are.
      filterMultiaddrForPeer: () => false,
    },
  }
}

/** Lets `perSecond` through a second, and as many at once after a quiet second. */
function tokenBucket(perSecond: number, clock: Clock): { take(): boolean } {
  let tokens = perSecond
  let filledMs = clock.monotonic()
  return {
    take() {
      const nowMs = clock.monotonic()
      tokens = Math.min(perSecond, tokens + ((nowMs - filledMs) / SECOND_MS) * perSecond)
      filledMs = nowMs
      if (tokens < 1) return false
      tokens -= 1
      return true
    },
  }
}
