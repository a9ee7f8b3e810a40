/** The one line that opens every stream between units: JSON, then bytes that are nobody's business. */
import type { Socket } from 'node:net'
import { NodeError } from '../../base/errors.ts'
import { parseObject } from '../../base/json.ts'

/** Two names and an account, or an error message: 4 KiB is plenty, and a bound for whoever sends garbage. */
export const DIAL_LINE_BYTES_MAX = 4096

/** Units on one machine answer in milliseconds; whoever sends no line in time sends none. */
export const DIAL_LINE_MS_MAX = 5000

/**
 * Reads the first line of a socket and leaves the rest in it, paused.
 *
 * @param socket - Nothing was read from it yet, and nobody listens for data.
 * @param options.msMax - How long to wait for the line; 5 s if left out.
 * @param options.signal - Gives up earlier.
 * @returns The object on the line.
 * @throws NodeError `DIAL_PROTOCOL` if there is no such line, or the signal's reason. The socket is then destroyed.
 * @example
 * const { account } = await readFirstLine(socket)
 */
export async function readFirstLine(
  socket: Socket,
  options: { readonly msMax?: number; readonly signal?: AbortSignal } = {},
): Promise<Record<string, unknown>> {
  const { promise, resolve, reject } = Promise.withResolvers<Record<string, unknown>>()
  const { signal } = options
  const parts: Buffer[] = []
  let lengthBytes = 0

  const onData = (chunk: Buffer) => {
    const end = chunk.indexOf(10)
    parts.push(end < 0 ? chunk : chunk.subarray(0, end))
    lengthBytes += chunk.length
    if (end < 0 && lengthBytes > DIAL_LINE_BYTES_MAX) return fail('the first line is too long')
    if (end < 0) return
    socket.pause()
    socket.off('data', onData)
    if (end + 1 < chunk.length) socket.unshift(chunk.subarray(end + 1))
    settleWithLine()
  }
  const settleWithLine = () => {
    const line = Buffer.concat(parts)
    const message = line.length > DIAL_LINE_BYTES_MAX ? undefined : parseObject(line)
    if (message) resolve(message)
    else fail('the first line is no JSON object')
  }
  const fail = (why: string, cause?: unknown) =>
    reject(new NodeError('DIAL_PROTOCOL', why, cause === undefined ? {} : { cause }))
  const onError = (cause: unknown) => fail('the socket broke before its first line', cause)
  const onClose = () => fail('the socket closed before its first line')
  const onAbort = () => reject(signal?.reason)

  const timer = setTimeout(() => fail('no first line in time'), options.msMax ?? DIAL_LINE_MS_MAX)
  signal?.addEventListener('abort', onAbort, { once: true })
  socket.on('data', onData)
  socket.on('error', onError)
  socket.on('close', onClose)
  socket.on('end', onClose)
  socket.resume()
  if (signal?.aborted) onAbort()
  try {
    return await promise
  } catch (caught) {
    socket.destroy()
    throw caught
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
    socket.off('data', onData)
    socket.off('error', onError)
    socket.off('close', onClose)
    socket.off('end', onClose)
  }
}
