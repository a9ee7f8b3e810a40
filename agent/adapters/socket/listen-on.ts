/**
 * Lets a server listen: on a port, or on a unix socket that is this user's alone from its first moment on and never takes the
 * place of anything but a dead socket.
 */
import { chmodSync, chownSync, lstatSync, rmSync } from 'node:fs'
import type { Server } from 'node:net'
import { codeOf, NodeError } from '../../base/errors.ts'
import { connectUnix } from './dial.ts'
import type { DialErrorCode } from './dial-errors.ts'

/** How long a socket file may keep us in doubt whether somebody answers on it. */
const PROBE_MS_MAX = 1000
/** What a new socket may not have: everything but reading and writing by its owner. */
const ALL_BUT_OWN = 0o177

/**
 * Listens.
 *
 * @param server - Not listening yet.
 * @param where - An address and port, or a path, whose directory must exist; with a group, its members may dial the socket too.
 * @returns Resolves once it listens.
 * @throws NodeError `SOCKET_PATH_TAKEN` if the path is something else than a socket, or another process answers there; or the
 *   system's code.
 * @example
 * await listenOn(server, { path: '/run/varve/store.sock' })
 */
export async function listenOn(
  server: Server,
  where:
    | { readonly host: string; readonly port: number }
    | { readonly path: string; readonly group?: number },
): Promise<void> {
  if ('path' in where) await removeDeadSocket(where.path)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  const listening = () => {
    server.off('error', reject)
    resolve()
  }
  if ('path' in where) {
    // The socket is made inside the call. Made with the usual mask it would be open to others until its mode is changed.
    const mask = process.umask(ALL_BUT_OWN)
    try {
      server.listen({ path: where.path }, listening)
    } finally {
      process.umask(mask)
    }
  } else server.listen(where, listening)
  await promise
  if ('path' in where && where.group !== undefined) shareWith(where.path, where.group)
}

async function removeDeadSocket(path: string): Promise<void> {
  if (!isThere(path)) return
  const isAlive = await connectUnix(path, AbortSignal.timeout(PROBE_MS_MAX)).then(
    (socket) => {
      socket.destroy()
      return true
    },
    () => false,
  )
  if (isAlive) throw taken(`another process listens on ${path}`)
  rmSync(path, { force: true })
}

/** The group first: between the two steps the socket is closed to everybody but its owner. */
function shareWith(path: string, group: number): void {
  chownSync(path, process.getuid?.() ?? 0, group)
  chmodSync(path, 0o660)
}

function isThere(path: string): boolean {
  try {
    if (!lstatSync(path).isSocket()) throw taken(`${path} is not a socket, and is left as it is`)
    return true
  } catch (caught) {
    if (codeOf(caught) === 'ENOENT') return false
    throw caught
  }
}

function taken(problem: string): NodeError {
  return new NodeError<DialErrorCode>('SOCKET_PATH_TAKEN', problem)
}
