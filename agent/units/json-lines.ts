/**
 * Requests and answers as lines of JSON on a stream: what the control sockets of units speak, and peers to the audit unit.
 *
 * `{id, method, params}` one way, `{id, result}` or `{id, error: {code, message, hint}}` the other, answered in any order.
 * Lines and waiting requests are bounded; whoever sends anything else is cut off.
 */
import type { Duplex } from 'node:stream'
import { assert } from '../base/assert.ts'
import { codeOf, NodeError } from '../base/errors.ts'
import { failureFrom, parseObject } from '../base/json.ts'

/** What an error is taken for that does not say what it is. */
const OTHER_END = { code: 'CONTROL_MESSAGE_INVALID', message: 'the other end failed' } as const

/** Bounds of a stream. */
export interface LineLimits {
  /** Longest line. */
  readonly lineBytesMax: number
  /** Requests that may wait for their answers at once. */
  readonly pendingMax: number
}

/** The asking end. */
export interface LineClient {
  /** Resolves when the connection ended, for whatever reason. */
  readonly closed: Promise<void>
  /**
   * Asks and waits for the answer.
   *
   * @param method - What the other end has; on control sockets `hello`, `configure`, `status`, `stop`, or one of the unit's own.
   * @param params - Anything JSON takes.
   * @param options.timeoutMs - `> 0`; the connection is closed when it passes, since the order of answers is then in doubt.
   * @throws NodeError of the other end's code, or `CONTROL_TIMEOUT`, `CONTROL_CLOSED`, `CONTROL_BUSY`.
   */
  call(method: string, params: unknown, options: { readonly timeoutMs: number }): Promise<unknown>
  close(): void
}

/**
 * Asks over a stream.
 *
 * @param stream - Connected; closed by the client. Its errors must be listened for by the caller.
 * @param options - Bounds, and the other end's name for messages.
 * @returns The asking end.
 * @example
 * const client = askLines(stream, { name: 'audit', lineBytesMax: MIB, pendingMax: 8 })
 * await client.call('era', { order: 7, slot: 0, generation: 0 }, { timeoutMs: 5_000 })
 */
export function askLines(
  stream: Duplex,
  options: LineLimits & { readonly name: string },
): LineClient {
  const { name, lineBytesMax, pendingMax } = options
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  const done = Promise.withResolvers<void>()
  let lastId = 0

  stream.once('close', () => {
    for (const { reject } of waiting.values()) {
      reject(new NodeError('CONTROL_CLOSED', `the connection to ${name} ended before the answer`))
    }
    waiting.clear()
    done.resolve()
  })
  readLines(stream, lineBytesMax, (message) => {
    const id = typeof message['id'] === 'number' ? message['id'] : -1
    const pending = waiting.get(id)
    if (!pending) return
    waiting.delete(id)
    if ('error' in message) pending.reject(failureFrom(message['error'], OTHER_END))
    else pending.resolve(message['result'])
  })

  return {
    closed: done.promise,
    close: () => void stream.destroy(),
    async call(method, params, { timeoutMs }) {
      assert(timeoutMs > 0, 'a call has a time limit')
      if (stream.destroyed) throw new NodeError('CONTROL_CLOSED', `no connection to ${name}`)
      if (waiting.size >= pendingMax) throw new NodeError('CONTROL_BUSY', name)
      const id = ++lastId
      const pending = Promise.withResolvers<unknown>()
      waiting.set(id, pending)
      const timer = setTimeout(() => {
        waiting.delete(id)
        pending.reject(
          new NodeError('CONTROL_TIMEOUT', `no answer to ${method} on ${name} in ${timeoutMs} ms`),
        )
        stream.destroy()
      }, timeoutMs)
      try {
        stream.write(`${JSON.stringify({ id, method, params })}\n`)
        return await pending.promise
      } finally {
        clearTimeout(timer)
      }
    },
  }
}

/** The answering end. */
export interface LineAnswers extends LineLimits {
  /** @throws what the asker is told: a NodeError's code, message and hint. */
  handle(method: string, params: unknown): Promise<unknown>
  /** Takes the first line, where it says who speaks. @returns False to cut the other end off. */
  readonly preface?: (message: Readonly<Record<string, unknown>>) => boolean
}

/**
 * Answers on a stream until it ends.
 *
 * @param stream - Connected.
 * @param answers - Bounds, and what is answered.
 */
export function answerLines(stream: Duplex, answers: LineAnswers): void {
  let pending = 0
  let isPrefaced = answers.preface === undefined
  const reply = (message: object) => {
    if (stream.writable) stream.write(`${JSON.stringify(message)}\n`)
  }
  stream.on('error', () => undefined)
  readLines(stream, answers.lineBytesMax, (message) => {
    if (!isPrefaced) {
      isPrefaced = answers.preface?.(message) === true
      if (!isPrefaced) stream.destroy()
      return
    }
    const { id, method, params } = message
    if (typeof id !== 'number' || typeof method !== 'string') return void stream.destroy()
    if (pending >= answers.pendingMax) {
      return reply({ id, error: errorToJson(new NodeError('CONTROL_BUSY', 'too many requests')) })
    }
    pending++
    answers
      .handle(method, params)
      .then(
        (result) => reply({ id, result: result ?? null }),
        (caught: unknown) => reply({ id, error: errorToJson(caught) }),
      )
      .finally(() => pending--)
  })
}

/** Cuts a byte stream into lines and parses them; whoever sends anything else is cut off. */
function readLines(
  stream: Duplex,
  lineBytesMax: number,
  take: (message: Record<string, unknown>) => void,
): void {
  let parts: Buffer[] = []
  let lengthBytes = 0
  stream.on('data', (data: Buffer) => {
    let rest = data
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      parts.push(rest.subarray(0, end))
      const message = parseObject(Buffer.concat(parts))
      parts = []
      lengthBytes = 0
      rest = rest.subarray(end + 1)
      if (!message) return void stream.destroy()
      take(message)
    }
    lengthBytes += rest.byteLength
    if (lengthBytes > lineBytesMax) return void stream.destroy()
    if (rest.byteLength > 0) parts.push(rest)
  })
}

function errorToJson(caught: unknown): object {
  const message = caught instanceof Error ? caught.message : String(caught)
  const code = codeOf(caught) ?? 'UNIT_FAILED'
  if (!(caught instanceof NodeError)) return { code, message }
  const { hint, retryAfterMs } = caught
  return {
    code,
    message,
    ...(hint && { hint }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  }
}
