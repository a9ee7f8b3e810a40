/**
 * The two read-only doors of an agent: the status on a unix socket, the metrics on loopback. Both answer GET and nothing
 * else; neither can change anything.
 */
import { chmodSync, rmSync } from 'node:fs'
import { createServer, type RequestListener, request, type Server } from 'node:http'
import type { AddressInfo, ListenOptions } from 'node:net'
import { NodeError } from '../base/errors.ts'

/** A status of a node with thousands of orders is a few MiB. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024
const ASK_TIMEOUT_MS = 5_000

/** A path and what is answered there. */
export interface Page {
  readonly path: string
  readonly type: string
  body(): string | Promise<string>
}

/** A server that runs. */
export interface ReadOnlyServer {
  /** Undefined on a unix socket. */
  readonly port: number | undefined
  close(): Promise<void>
}

/**
 * Serves pages.
 *
 * @param where - A unix socket's path (replaced if nobody could hold it: the caller has the directory's lock), or a port
 *   of the loopback interface, 0 for a free one.
 * @param pages - `[n]` pages.
 */
export async function servePages(
  where: { readonly socketPath: string } | { readonly port: number },
  pages: readonly Page[],
): Promise<ReadOnlyServer> {
  const server = createServer({ requestTimeout: ASK_TIMEOUT_MS }, answerFrom(pages))
  server.maxConnections = 64
  if ('socketPath' in where) {
    rmSync(where.socketPath, { force: true })
    await listen(server, { path: where.socketPath })
    chmodSync(where.socketPath, 0o600)
  } else await listen(server, { host: '127.0.0.1', port: where.port })
  const address = server.address() as AddressInfo | string | null
  return {
    port: typeof address === 'object' ? address?.port : undefined,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function listen(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(options, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function answerFrom(pages: readonly Page[]): RequestListener {
  return (asked, answer) => {
    const page = pages.find(({ path }) => path === asked.url)
    if (asked.method !== 'GET' || !page) {
      answer.writeHead(page ? 405 : 404, { 'content-type': 'text/plain' })
      return void answer.end(
        page ? 'read-only\n' : `try ${pages.map(({ path }) => path).join(' ')}\n`,
      )
    }
    Promise.resolve()
      .then(() => page.body())
      .then(
        (body) => answer.writeHead(200, { 'content-type': page.type }).end(body),
        () => answer.writeHead(500).end(),
      )
  }
}

/**
 * Asks a running agent for its status.
 *
 * @param socketPath - `run/status.sock` of its data directory.
 * @returns The document, as its JSON.
 * @throws NodeError `STATUS_UNREACHABLE` if no agent answers.
 */
export function askStatus(socketPath: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) =>
      reject(
        new NodeError('STATUS_UNREACHABLE', `no agent answers on ${socketPath}`, {
          cause,
          hint: 'Start it with `varve-agent run`, or check --data.',
        }),
      )
    const call = request({ socketPath, path: '/status', timeout: ASK_TIMEOUT_MS }, (answer) => {
      const parts: Buffer[] = []
      let lengthBytes = 0
      answer.on('data', (part: Buffer) => {
        lengthBytes += part.byteLength
        if (lengthBytes > ANSWER_BYTES_MAX) call.destroy()
        else parts.push(part)
      })
      answer.once('error', fail)
      answer.once('end', () => resolve(Buffer.concat(parts).toString('utf8')))
    })
    call.once('timeout', () => call.destroy())
    call.once('error', fail)
    call.end()
  })
}
