/** An endpoint between an agent and its ledger that counts what passes. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What passed so far. */
export interface RpcCounts {
  /** HTTP requests. */
  requests: number
  /** JSON-RPC calls in them. */
  calls: number
  /** Bytes of bodies, both ways. */
  bytes: number
}

/** The endpoint. */
export interface CountingRpc {
  readonly url: string
  readonly counts: RpcCounts
  close(): Promise<void>
}

/**
 * Starts the endpoint on loopback.
 *
 * @param target - URL of the ledger.
 */
export async function countingRpc(target: string): Promise<CountingRpc> {
  const counts: RpcCounts = { requests: 0, calls: 0, bytes: 0 }
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    const body = Buffer.concat(parts)
    const calls: unknown = JSON.parse(body.toString('utf8'))
    counts.requests++
    counts.calls += Array.isArray(calls) ? calls.length : 1
    try {
      const headers = { 'content-type': 'application/json' }
      const told = await fetch(target, { method: 'POST', headers, body })
      const answer = Buffer.from(await told.arrayBuffer())
      counts.bytes += body.byteLength + answer.byteLength
      response.writeHead(told.status, headers).end(answer)
    } catch {
      // The ledger is being started again: the agent sees a connection that breaks.
      response.destroy()
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    counts,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
