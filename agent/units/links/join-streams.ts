/**
 * Joins a local socket and a link: bytes both ways, each way as slow as its reader, each end's ending passed on.
 *
 * A clean end is passed on as an end, a broken one as a broken one: the socket is destroyed, the link aborted.
 */
import type { Socket } from 'node:net'
import { type LinkStream, linkClosed } from '../../engines/links/index.ts'

/** Bytes read from the socket and not yet accepted by the link, before reading pauses: four reads of a unix socket. */
const READ_AHEAD_BYTES = 256 * 1024

/**
 * Pumps until both directions ended or either broke.
 *
 * @param socket - Half-open allowed, paused.
 * @param stream - The link.
 * @returns Resolves when nothing is left to pump; never rejects.
 */
export async function joinStreams(socket: Socket, stream: LinkStream): Promise<void> {
  const ended = { input: false, output: false }
  const breakBoth = (reason: unknown) => {
    stream.abort(reason)
    socket.destroy()
  }
  // Each way may be waiting for the other end of the link, which does not know yet that the socket is gone.
  const onClose = () => {
    if (!ended.input || !ended.output) breakBoth(linkClosed())
  }
  socket.once('close', onClose)
  if (socket.destroyed) breakBoth(linkClosed())
  await Promise.all([
    pumpToLink(socket, stream, () => {
      ended.input = true
    }).catch(breakBoth),
    pumpToSocket(stream, socket, () => {
      ended.output = true
    }).catch(breakBoth),
  ])
}

function pumpToLink(socket: Socket, stream: LinkStream, onEnd: () => void): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let aheadBytes = 0
  let lastWrite: Promise<void> = Promise.resolve()

  socket.on('data', (chunk: Buffer) => {
    aheadBytes += chunk.byteLength
    if (aheadBytes >= READ_AHEAD_BYTES) socket.pause()
    lastWrite = lastWrite
      .then(() => stream.write(chunk))
      .then(() => {
        aheadBytes -= chunk.byteLength
        if (aheadBytes < READ_AHEAD_BYTES) socket.resume()
      })
    lastWrite.catch(reject)
  })
  let isEnded = false
  socket.once('end', () => {
    isEnded = true
    onEnd()
    lastWrite.then(() => stream.end()).then(resolve, reject)
  })
  // After the end, a `close` may overtake the last write, and is no failure.
  socket.once('close', () => {
    if (!isEnded) reject(linkClosed())
  })
  if (socket.destroyed) reject(linkClosed())
  socket.resume()
  return promise
}

async function pumpToSocket(stream: LinkStream, socket: Socket, onEnd: () => void): Promise<void> {
  for (let bytes = await stream.read(); bytes; bytes = await stream.read()) {
    if (socket.destroyed) throw linkClosed()
    if (!socket.write(bytes)) await drained(socket)
  }
  onEnd()
  socket.end()
}

function drained(socket: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const done = () => {
    socket.off('drain', done)
    socket.off('close', done)
    resolve()
  }
  socket.on('drain', done)
  socket.on('close', done)
  return promise
}
