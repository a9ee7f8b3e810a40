/**
 * Streams to services of other nodes, for processes of this node: over the dial socket of the links unit
 * (docs/design/0001, section 1).
 */
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { NodeError } from '../../base/errors.ts'
import type { Account } from '../../base/ids.ts'
import { failureFrom } from '../../base/json.ts'
import type { DialErrorCode } from './dial-errors.ts'
import { readFirstLine } from './dial-line.ts'

/** The links unit gives up on a peer after at most 18 s; beyond this it is the links unit that hangs. */
const ANSWER_MS_MAX = 30_000

/**
 * Opens a stream to a service of a node.
 *
 * @param options.dialSocketPath - `run/links/dial.sock` of this node.
 * @param options.account - The node; this one's own is joined locally.
 * @param options.service - `store`, or another name that nodes serve.
 * @param options.signal - Gives up waiting for the stream; once it is open, destroy it instead.
 * @returns The stream. If the link breaks it closes in both directions; whoever waits for an answer on it will not get
 *   one. It ends by itself when the other side ended.
 * @throws NodeError `DIAL_UNREACHABLE`, `DIAL_PROTOCOL`, a `LINK_*` code of the links unit, or the signal's reason.
 * @example
 * const stream = await dialService({ dialSocketPath, account, service: 'store', signal })
 */
export async function dialService(options: {
  readonly dialSocketPath: string
  readonly account: Account
  readonly service: string
  readonly signal: AbortSignal
}): Promise<Duplex> {
  const { dialSocketPath, account, service, signal } = options
  const socket = await connectUnix(dialSocketPath, signal)
  socket.write(`${JSON.stringify({ account, service })}\n`)
  const answer = await readFirstLine(socket, { msMax: ANSWER_MS_MAX, signal })
  if (answer['ok'] !== true) {
    socket.destroy()
    throw failureFrom(answer['error'], {
      code: 'DIAL_PROTOCOL',
      message: 'the links unit refused',
    })
  }
  await unpause(socket)
  return socket
}

/**
 * Makes a paused socket like a fresh one, which begins to flow with its first `data` listener. Node has no call for it,
 * but forgets a pause when the last `readable` listener went, one turn later.
 */
async function unpause(socket: Socket): Promise<void> {
  const nothing = () => undefined
  socket.on('readable', nothing)
  socket.off('readable', nothing)
  const { promise, resolve } = Promise.withResolvers<void>()
  setImmediate(resolve)
  await promise
}

/**
 * Connects to a unix socket.
 *
 * @param path - The socket.
 * @param signal - Gives up.
 * @param options.allowHalfOpen - Whether our end stays open after the other's ended; false if left out.
 * @returns The socket. Its errors are swallowed: whoever uses it sees `close`, and its own failed reads and writes.
 * @throws NodeError `DIAL_UNREACHABLE`, or the signal's reason.
 * @example
 * const socket = await connectUnix(peerSocketPath, signal)
 */
export async function connectUnix(
  path: string,
  signal: AbortSignal,
  options: { readonly allowHalfOpen?: boolean } = {},
): Promise<Socket> {
  signal.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const socket = connect({ path, allowHalfOpen: options.allowHalfOpen ?? false })
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  socket.once('connect', resolve)
  // Stays: an error that nobody listens for would end the process. `close` always follows.
  socket.on('error', (cause) => {
    reject(new NodeError<DialErrorCode>('DIAL_UNREACHABLE', `nobody answers on ${path}`, { cause }))
  })
  try {
    await promise
    return socket
  } catch (caught) {
    socket.destroy()
    throw caught
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
