/** One JSON-RPC request to the engine, over connections that stay open, with a time limit. */
import { Agent, request } from 'node:http'
import { NodeError } from '../../agent/base/errors.ts'

/** The engine mines, dumps or loads at most this long; a longer silence counts as death. */
const ANSWER_MS_MAX = 60_000

/** The engine's own answer to one request body. */
export interface RpcAnswer {
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown }
}

/** Sends requests to one engine. */
export interface RpcClient {
  /**
   * Calls a method.
   *
   * @throws NodeError `DEVNET_RPC` (the engine refused) or `DEVNET_UNREACHABLE`.
   */
  call(method: string, params: readonly unknown[]): Promise<unknown>
  /** Sends a body as it is. @returns The answer's bytes. @throws NodeError `DEVNET_UNREACHABLE`. */
  forward(body: Uint8Array): Promise<Buffer>
  close(): void
}

/**
 * Makes a client of an engine on this machine.
 *
 * @param port - TCP port on loopback.
 * @returns The client; close it to free its connections.
 * @example
 * const height = await rpcClient(8545).call('eth_blockNumber', [])
 */
export function rpcClient(port: number): RpcClient {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  const forward = (body: Uint8Array): Promise<Buffer> => post(agent, port, body)
  return {
    forward,
    async call(method, params) {
      const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }))
      const answer = JSON.parse((await forward(body)).toString()) as RpcAnswer
      if (answer.error === undefined) return answer.result
      throw new NodeError('DEVNET_RPC', `${method}: ${answer.error.message}`, {
        details: { method, code: answer.error.code },
      })
    },
    close: () => agent.destroy(),
  }
}

function post(agent: Agent, port: number, body: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) =>
      reject(new NodeError('DEVNET_UNREACHABLE', `no answer on port ${port}`, { cause }))
    const headers = { 'content-type': 'application/json', 'content-length': body.byteLength }
    const outgoing = request(
      {
        host: '127.0.0.1',
        port,
        method: 'POST',
        path: '/',
        agent,
        headers,
        timeout: ANSWER_MS_MAX,
      },
      (incoming) => {
        const parts: Buffer[] = []
        incoming.on('data', (part: Buffer) => parts.push(part))
        incoming.on('end', () => resolve(Buffer.concat(parts)))
        incoming.on('error', fail)
        incoming.on('aborted', () => fail(undefined))
      },
    )
    outgoing.on('timeout', () => outgoing.destroy())
    outgoing.on('error', fail)
    outgoing.end(body)
  })
}
