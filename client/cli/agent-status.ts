/** Asks a local agent, over its read-only socket, what it makes of an order. */
import { request } from 'node:http'
import { NodeError } from '../../agent/base/errors.ts'

const ANSWER_MS_MAX = 5_000
const ANSWER_BYTES_MAX = 16 * 1024 * 1024

type Fields = Readonly<Record<string, unknown>>

/** An agent's view of one order: the entries of its status that name it. */
export interface AgentView {
  /** State of the agent's reading of the ledger, and why it waits if it does. */
  readonly ledger: Fields
  readonly orders: readonly Fields[]
  readonly slots: readonly Fields[]
  readonly mounts: readonly Fields[]
  readonly repairs: readonly Fields[]
  /** What is wrong with the order there, and with the node as a whole. */
  readonly problems: readonly Fields[]
}

/**
 * Reads an agent's view of an order.
 *
 * @param socketPath - `run/status.sock` in the agent's data directory.
 * @param order - Number of the order.
 * @throws NodeError `STATUS_UNREACHABLE`.
 */
export async function readAgentView(socketPath: string, order: number): Promise<AgentView> {
  const status = await ask(socketPath)
  const list = (name: string): readonly Fields[] => {
    const listed: unknown = status[name]
    return Array.isArray(listed) ? (listed as Fields[]) : []
  }
  const about = (name: string) => {
    return list(name).filter((one) => one['order'] === order || one['volume'] === order)
  }
  return {
    ledger: (status['ledger'] ?? {}) as Fields,
    orders: about('orders'),
    slots: about('slots'),
    mounts: about('mounts'),
    repairs: about('repairs'),
    problems: list('problems').filter((one) => {
      // Of the node, only what it must mend itself; of the order, also what its tenant must.
      return one['order'] === order || (one['order'] === undefined && one['level'] === 'alarm')
    }),
  }
}

function ask(socketPath: string): Promise<Fields> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) =>
      reject(new NodeError('STATUS_UNREACHABLE', `no agent answers at ${socketPath}`, { cause }))
    const outgoing = request(
      { socketPath, path: '/status', timeout: ANSWER_MS_MAX },
      (incoming) => {
        const parts: Buffer[] = []
        let sizeBytes = 0
        incoming.on('data', (part: Buffer) => {
          sizeBytes += part.byteLength
          if (sizeBytes > ANSWER_BYTES_MAX) outgoing.destroy()
          else parts.push(part)
        })
        incoming.on('error', fail)
        incoming.on('aborted', fail)
        incoming.on('end', () => {
          try {
            resolve(JSON.parse(Buffer.concat(parts).toString('utf8')) as Fields)
          } catch (cause) {
            fail(cause)
          }
        })
      },
    )
    outgoing.on('timeout', () => outgoing.destroy())
    outgoing.on('error', fail)
    outgoing.end()
  })
}
