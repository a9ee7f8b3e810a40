/**
 * The two sockets between the links unit and the other units of its node: processes dial out through one, and streams from
 * peers come in through the socket of the unit that serves them.
 */
import type { Socket } from 'node:net'
import { connectUnix } from '../../adapters/socket/dial.ts'
import { readFirstLine } from '../../adapters/socket/dial-line.ts'
import { codeOf, NodeError } from '../../base/errors.ts'
import { account } from '../../base/ids.ts'
import type { LinkStream, Links } from '../../engines/links/index.ts'
import { joinStreams } from './join-streams.ts'

/** A unit of the same node accepts at once or not at all. */
const SERVICE_CONNECT_MS_MAX = 2000

/**
 * Serves one client of the dial socket: its request, then its stream.
 *
 * @param socket - Just accepted, half-open allowed, paused.
 * @param links - Gives the links in force; undefined before the first configuration.
 * @returns Resolves when the stream is over; never rejects.
 */
export async function serveDialClient(
  socket: Socket,
  links: () => Links | undefined,
): Promise<void> {
  const gone = new AbortController()
  const onClose = () => gone.abort(new NodeError('LINK_CLOSED', 'the client went away'))
  socket.once('close', onClose)
  try {
    const request = await readFirstLine(socket, { signal: gone.signal })
    const stream = await dialAsAsked(request, links(), gone.signal)
    socket.off('close', onClose)
    socket.write('{"ok":true}\n')
    await joinStreams(socket, stream)
  } catch (caught) {
    refuse(socket, caught)
  }
}

/**
 * Hands a stream from a peer to the unit that serves it.
 *
 * @param stream - The stream, its peer authenticated.
 * @param socketPath - Where that unit listens.
 * @returns Resolves when the stream is over. @throws NodeError `DIAL_UNREACHABLE` if the unit does not listen.
 */
export async function forwardToService(stream: LinkStream, socketPath: string): Promise<void> {
  const limit = AbortSignal.timeout(SERVICE_CONNECT_MS_MAX)
  const socket = await connectUnix(socketPath, limit, { allowHalfOpen: true })
  socket.write(`${JSON.stringify({ account: stream.peer })}\n`)
  await joinStreams(socket, stream)
}

async function dialAsAsked(
  request: Record<string, unknown>,
  links: Links | undefined,
  signal: AbortSignal,
): Promise<LinkStream> {
  const { account: peer, service } = request
  if (typeof peer !== 'string' || typeof service !== 'string') {
    throw new NodeError('DIAL_PROTOCOL', 'a dial names an account and a service')
  }
  if (!links) {
    throw new NodeError('LINK_UNREACHABLE', 'the links unit has no configuration yet', {
      retryAfterMs: SERVICE_CONNECT_MS_MAX,
    })
  }
  return links.dial(account(peer), service, signal)
}

function refuse(socket: Socket, caught: unknown): void {
  if (socket.destroyed) return
  const message = caught instanceof Error ? caught.message : String(caught)
  const isNodeError = caught instanceof NodeError
  const error = {
    code: codeOf(caught) ?? 'LINK_UNREACHABLE',
    message,
    ...(isNodeError && caught.hint !== undefined && { hint: caught.hint }),
    ...(isNodeError && caught.retryAfterMs !== undefined && { retryAfterMs: caught.retryAfterMs }),
  }
  socket.end(`${JSON.stringify({ error })}\n`)
  socket.destroySoon()
}
