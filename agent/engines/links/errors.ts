/** What can go wrong between nodes. */
import { type ErrorCatalogue, NodeError } from '../../base/errors.ts'

/** Failures of links. */
export type LinkErrorCode =
  | 'LINK_PEER_UNKNOWN'
  | 'LINK_NO_ADDRESS'
  | 'LINK_UNREACHABLE'
  | 'LINK_SERVICE_UNKNOWN'
  | 'LINK_LIMIT'
  | 'LINK_CLOSED'
  | 'LINK_LISTEN_FAILED'

/** What each means and what to do. */
export const LINK_ERRORS: ErrorCatalogue<LinkErrorCode> = {
  LINK_PEER_UNKNOWN: {
    means: 'The account is not a node of the registry and not a guest of this node.',
    hint: 'Check the account; a node that registered just now is known after one finality delay.',
  },
  LINK_NO_ADDRESS: {
    means:
      'The peer registered no address that this node can dial, and it has not connected by itself.',
    hint: 'Wait until it connects, or ask its farmer to register a /ip4/../tcp/.. address.',
  },
  LINK_UNREACHABLE: {
    means: 'None of the addresses of the peer led to a handshake with the peer.',
    hint: 'It is tried again by itself; check that the peer runs and that its port is open.',
  },
  LINK_SERVICE_UNKNOWN: {
    means: 'The peer is linked but does not offer the service.',
    hint: 'The peer runs another version, or its unit for this service has not started yet.',
  },
  LINK_LIMIT: {
    means: 'As many streams to or from this peer are open as are allowed.',
    hint: 'Keep streams open and reuse them; wait for one to end.',
  },
  LINK_CLOSED: {
    means: 'The stream or the connection below it broke before its end.',
    hint: 'Dial again; everything that was not acknowledged must be sent again.',
  },
  LINK_LISTEN_FAILED: {
    means: 'None of the addresses to listen on can be listened on.',
    hint: 'Check that no other process has the port, and that the address is of this machine.',
  },
}

/**
 * The one failure of a broken stream.
 *
 * @param cause - What broke it, if known.
 * @returns A `LINK_CLOSED`; a cause that is one already is returned as it is.
 */
export function linkClosed(cause?: unknown): NodeError {
  if (cause instanceof NodeError && cause.code === 'LINK_CLOSED') return cause
  return new NodeError('LINK_CLOSED', 'the link broke before the end of the stream', {
    ...(cause !== undefined && { cause }),
  })
}
