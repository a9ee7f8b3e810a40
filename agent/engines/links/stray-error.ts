/**
 * Errors that libp2p lets escape: thrown in a microtask or a timer of its own when a connection dies at the wrong moment,
 * where no caller can catch them. The stream they belong to is broken already, and says so through its own port.
 */

const STRAY_NAMES = new Set([
  'AbortError',
  'ConnectionClosedError',
  'MuxerClosedError',
  'StreamAbortedError',
  'StreamBufferError',
  'StreamClosedError',
  'StreamResetError',
  'StreamStateError',
  'TimeoutError',
  'UnexpectedEOFError',
])

/**
 * Tells whether an uncaught error may be logged and forgotten.
 *
 * @param caught - From `uncaughtException` or `unhandledRejection` of a process that does nothing but links.
 * @returns True for the errors that libp2p throws about its own dead streams; false for everything else: end the process.
 */
export function isStrayLinkError(caught: unknown): boolean {
  return caught instanceof Error && STRAY_NAMES.has(caught.name)
}
