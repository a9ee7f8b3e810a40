/** An RPC endpoint between an agent and a real ledger that can lie: whatever passes may be changed by the test. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

interface RpcCall {
  readonly id: number
  readonly method: string
  readonly params: readonly unknown[]
}

/** Changes a result, or returns it. */
export type Lie = (call: RpcCall, result: unknown) => unknown

/** Whether a call gets no answer for ever: its question is not passed on, or its answer is not. */
export type Hold = (call: RpcCall) => 'question' | 'answer' | undefined

/** The endpoint. */
export interface LyingRpc {
  readonly url: string
  /** Undefined tells the truth; `down` drops every connection. */
  lie: Lie | 'down' | undefined
  /** Undefined answers everything. */
  hold: Hold | undefined
  /** Questions that were asked so far. */
  asked: number
  close(): Promise<void>
}

/** Starts the endpoint in front of a ledger. */
export async function lyingRpc(target: string): Promise<LyingRpc> {
  const server = createServer(async (request, response) => {
    if (rpc.lie === 'down') return void request.socket.destroy()
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    const body = Buffer.concat(parts).toString('utf8')
    const calls: unknown = JSON.parse(body)
    const list = (Array.isArray(calls) ? calls : [calls]) as RpcCall[]
    rpc.asked += list.length
    const held = list.map((call) => rpc.hold?.(call))
    if (held.includes('question')) return
    const headers = { 'content-type': 'application/json' }
    try {
      const told = await fetch(target, { method: 'POST', headers, body })
      const answers: unknown = await told.json()
      if (held.includes('answer')) return
      const answerList = (Array.isArray(answers) ? answers : [answers]) as {
        id: number
        result?: unknown
      }[]
      const { lie } = rpc
      if (typeof lie === 'function') {
        for (const answer of answerList) {
          const call = list.find(({ id }) => id === answer.id)
          if (call && 'result' in answer) answer.result = lie(call, answer.result)
        }
      }
      response.writeHead(200, headers).end(JSON.stringify(answers))
    } catch {
      response.destroy()
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const rpc: LyingRpc = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    lie: undefined,
    hold: undefined,
    asked: 0,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return rpc
}
