/**
 * The ledger's only door: JSON-RPC over HTTP on loopback. Reads go to the engine as they are, a raw transaction goes
 * through the ledger's queue, and whatever would let a caller forge the chain (time, balances, unlocked accounts) is not
 * served at all.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { fromHex } from '../../agent/base/bytes.ts'
import { describeError, isNodeError, NodeError } from '../../agent/base/errors.ts'
import type { RpcClient } from './rpc.ts'

/** Anvil takes no more in one request either. */
const REQUEST_BYTES_MAX = 2 * 1024 * 1024
/** Calls in one batch; ethers sends up to 100. */
const BATCH_MAX = 256
/** Requests wait this long for an engine that is being restored. */
const RESTORE_MS_MAX = 30_000
/** Its death is noticed a moment after its connections break. */
const REVIVED_POLL_MS = 20

const SERVED = /^(eth_(?!send|sign)\w+|net_\w+|web3_\w+|txpool_\w+|debug_trace\w+)$/

/** What the proxy needs of the ledger. */
export interface ProxiedLedger {
  reader(): Promise<RpcClient>
  send(raw: Uint8Array): Promise<string>
}

interface Call {
  readonly id: unknown
  readonly method: string
  readonly params: unknown
}

/**
 * Serves a ledger.
 *
 * @param ledger - Where calls go.
 * @param port - TCP port on loopback, 0 for any free one.
 * @returns The server and its port.
 * @throws NodeError `DEVNET_IN_USE` if the port is taken.
 */
export async function serveLedger(
  ledger: ProxiedLedger,
  port: number,
): Promise<{ server: Server; port: number }> {
  const server = createServer((request, response) => {
    answer(ledger, request, response).catch((caught) => response.destroy(caught))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new NodeError('DEVNET_IN_USE', `port ${port} of this machine is taken`, { cause })),
    )
    server.listen(port, '127.0.0.1', resolve)
  })
  const address = server.address()
  return { server, port: typeof address === 'object' && address !== null ? address.port : port }
}

async function answer(
  ledger: ProxiedLedger,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== 'POST') return reply(response, 405, failure(null, -32600, 'POST only'))
  const body = await readBody(request)
  if (body === undefined) return reply(response, 413, failure(null, -32600, 'request too large'))
  let message: unknown
  try {
    message = JSON.parse(body.toString())
  } catch {
    return reply(response, 200, failure(null, -32700, 'not JSON'))
  }
  const calls = Array.isArray(message) ? message.map(callOf) : [callOf(message)]
  if (calls.length > BATCH_MAX) return reply(response, 200, failure(null, -32600, 'batch too long'))

  const isPlain = calls.every((call) => call !== undefined && SERVED.test(call.method))
  if (isPlain) return replyRaw(response, await forward(ledger, body, calls))
  const answers: object[] = []
  for (const call of calls) answers.push(await answerOne(ledger, call))
  reply(response, 200, Array.isArray(message) ? answers : (answers[0] ?? failure(null, -32600, '')))
}

async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const parts: Buffer[] = []
  let sizeBytes = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    sizeBytes += part.byteLength
    // What is too much is read on without being kept, so that the sender gets to hear why.
    if (sizeBytes <= REQUEST_BYTES_MAX) parts.push(part)
  }
  return sizeBytes <= REQUEST_BYTES_MAX ? Buffer.concat(parts) : undefined
}

function callOf(value: unknown): Call | undefined {
  if (typeof value !== 'object' || value === null || !('method' in value)) return undefined
  if (typeof value.method !== 'string') return undefined
  const id = 'id' in value ? value.id : null
  return { id, method: value.method, params: 'params' in value ? value.params : [] }
}

async function answerOne(ledger: ProxiedLedger, call: Call | undefined): Promise<object> {
  if (call === undefined) return failure(null, -32600, 'not a request')
  if (call.method === 'eth_sendRawTransaction') return await sendRaw(ledger, call)
  if (!SERVED.test(call.method)) {
    return failure(call.id, -32601, `${call.method} is not served: sign transactions yourself`)
  }
  const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...call }))
  return JSON.parse((await forward(ledger, body, [call])).toString()) as object
}

async function sendRaw(ledger: ProxiedLedger, call: Call): Promise<object> {
  const raw = Array.isArray(call.params) ? call.params[0] : undefined
  if (typeof raw !== 'string') return failure(call.id, -32602, 'expected a raw transaction')
  try {
    return { jsonrpc: '2.0', id: call.id, result: await ledger.send(fromHex(raw)) }
  } catch (caught) {
    if (isNodeError(caught, 'DEVNET_RPC')) {
      const code = typeof caught.details['code'] === 'number' ? caught.details['code'] : -32000
      return failure(call.id, code, caught.message.replace(/^eth_sendRawTransaction: /, ''))
    }
    if (isNodeError(caught, 'HEX_INVALID')) return failure(call.id, -32602, caught.message)
    return failure(call.id, -32000, describeError(caught))
  }
}

/** Asks the engine; again if it died underneath, because a read may be repeated, and not the dead one twice. */
async function forward(
  ledger: ProxiedLedger,
  body: Buffer,
  calls: readonly (Call | undefined)[],
): Promise<Buffer> {
  let last: unknown
  let dead: RpcClient | undefined
  const deadline = Date.now() + RESTORE_MS_MAX
  while (Date.now() < deadline) {
    try {
      const rpc = await within(ledger.reader(), deadline - Date.now())
      if (rpc !== dead) {
        dead = rpc
        return await rpc.forward(body)
      }
    } catch (caught) {
      last = caught
      if (!isNodeError(caught, 'DEVNET_UNREACHABLE')) break
    }
    await sleep(REVIVED_POLL_MS)
  }
  const failed = calls.map((call) => failure(call?.id ?? null, -32000, describeError(last)))
  return Buffer.from(JSON.stringify(failed.length === 1 ? failed[0] : failed))
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(new NodeError('DEVNET_UNREACHABLE', 'the engine is still being restored')),
    ms,
  )
  try {
    return await Promise.race([promise, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

function failure(id: unknown, code: number, message: string): object {
  return { jsonrpc: '2.0', id, error: { code, message } }
}

function reply(response: ServerResponse, status: number, message: object): void {
  response.statusCode = status
  replyRaw(response, Buffer.from(JSON.stringify(message)))
}

function replyRaw(response: ServerResponse, body: Buffer): void {
  response.setHeader('content-type', 'application/json')
  response.setHeader('content-length', body.byteLength)
  response.end(body)
}
