/**
 * A namespace of a store, over a stream of the store's protocol: one connection, made when first needed and again when lost.
 *
 * Requests are pipelined, a bounded number at a time. All that are sent through here may be repeated without harm, so one that a
 * lost connection took along is sent once more.
 */
import type { Duplex } from 'node:stream'
import { describeError, isNodeError, NodeError } from '../../base/errors.ts'
import { type RespConnection, respConnection } from './resp-connection.ts'
import { type Reply, ReplyError } from './resp-reply-reader.ts'

/** In flight at once: keeps a link of 100 ms and 1 Gbit/s busy with shards of 1 MiB. */
const IN_FLIGHT_MAX = 64
/** Waiting for their turn; beyond, the caller is told to come back. */
const WAITING_MAX = 4096
/** A shard of 4 MiB on a slow line takes some seconds. */
const TIMEOUT_MS = 15_000
/** After a failed dial nobody dials again for this long. */
const REDIAL_MS = 250

/** What a remote namespace is made with. */
export interface RespNamespaceInit {
  /** Opens a stream to the store of the node, already authenticated by the link. */
  readonly connect: (signal: AbortSignal) => Promise<Duplex>
  /** `o<order>.<slot>`. */
  readonly namespace: string
  /** How long a dial or a reply may take, default 15 s. */
  readonly timeoutMs?: number
  /** Requests in flight, default 64. */
  readonly inFlightMax?: number
}

/** A reply that is no refusal. */
export type Answer = Exclude<Reply, ReplyError>

/** A remote namespace, with its connection. */
export interface RespNamespace {
  /**
   * Sends a command, which must be harmless when repeated, and waits for its reply.
   *
   * @throws NodeError `STORE_*`, or the signal's reason.
   */
  ask(args: readonly (string | Uint8Array)[], signal: AbortSignal): Promise<Answer>
  /** Ends the connection; a later request makes a new one. */
  close(): void
}

/**
 * Makes a namespace out of a way to connect.
 *
 * @param init - How to reach the store and which namespace is meant.
 * @returns The namespace; nothing is dialled before the first request.
 * @example
 * const remote = respNamespace({ namespace: 'o7.0', connect: (signal) => dial(account, 'store', signal) })
 * await remote.ask(['DBSIZE'], signal)
 */
export function respNamespace(init: RespNamespaceInit): RespNamespace {
  const timeoutMs = init.timeoutMs ?? TIMEOUT_MS
  const turns = turnstile(init.inFlightMax ?? IN_FLIGHT_MAX)
  let connection: RespConnection | undefined
  let connecting: Promise<RespConnection> | undefined
  let redialAt = 0

  async function connected(): Promise<RespConnection> {
    if (connection?.isOpen) return connection
    if (Date.now() < redialAt) throw unreachable('the last attempt just failed')
    connecting ??= openConnection().finally(() => {
      connecting = undefined
    })
    return connecting
  }

  async function openConnection(): Promise<RespConnection> {
    try {
      // Shared by all who wait, so no single caller's abort may end it.
      const stream = await init.connect(AbortSignal.timeout(timeoutMs))
      const opened = respConnection(stream, timeoutMs)
      const reply = await opened.request(['SELECT', init.namespace])
      if (reply instanceof ReplyError) {
        opened.close()
        throw failureOf(reply)
      }
      connection = opened
      return opened
    } catch (caught) {
      redialAt = Date.now() + REDIAL_MS
      throw isNodeError(caught, 'STORE_REFUSED') ? caught : unreachable(caught)
    }
  }

  async function attempt(args: readonly (string | Uint8Array)[]): Promise<Reply> {
    const wasOpen = connection?.isOpen === true
    try {
      return await (await connected()).request(args)
    } catch (caught) {
      // Only where an older connection broke: a fresh one that fails would fail again.
      if (!wasOpen || !isNodeError(caught, 'STORE_UNREACHABLE')) throw caught
      return (await connected()).request(args)
    }
  }

  async function ask(args: readonly (string | Uint8Array)[], signal: AbortSignal): Promise<Answer> {
    signal.throwIfAborted()
    const leave = await turns.enter(signal)
    const replied = attempt(args).finally(leave)
    const reply = await orAborted(replied, signal)
    if (reply instanceof ReplyError) throw failureOf(reply)
    return reply
  }

  return {
    ask,
    close() {
      connection?.close()
      connection = undefined
    },
  }
}

/**
 * A reply that must be a value.
 *
 * @returns The bytes, undefined for nil. @throws NodeError `STORE_REFUSED` for any other reply.
 */
export function bytesOf(answer: Answer): Uint8Array | undefined {
  if (answer === null) return undefined
  if (Buffer.isBuffer(answer)) return answer
  throw new NodeError('STORE_REFUSED', 'expected a value')
}

/** Which words of a store mean which failure; the first that fits. */
const FAILURES: readonly [RegExp, 'STORE_FULL' | 'STORE_IO'][] = [
  [/^(No space left|DISKFULL)/, 'STORE_FULL'],
  [/^(CORRUPT|IOERR|Internal Error)/, 'STORE_IO'],
]
/** A refusal may only mean that the other node has not yet read the order. */
const REFUSED_RETRY_MS = 1000

function failureOf(reply: ReplyError): NodeError {
  const { words } = reply
  for (const [pattern, code] of FAILURES) {
    if (pattern.test(words)) return new NodeError(code, words, { details: { words } })
  }
  return new NodeError('STORE_REFUSED', words, {
    details: { words },
    retryAfterMs: REFUSED_RETRY_MS,
  })
}

function unreachable(cause: unknown): NodeError {
  if (isNodeError(cause, 'STORE_UNREACHABLE')) return cause
  return new NodeError('STORE_UNREACHABLE', describeError(cause), {
    cause,
    retryAfterMs: REDIAL_MS,
  })
}

/** Lets a bounded number in at a time, first come, first served. */
function turnstile(inside: number) {
  let free = inside
  const waiting: (() => void)[] = []

  function leave(): void {
    const next = waiting.shift()
    if (next) next()
    else free++
  }

  return {
    /** @returns What to call when done. */
    async enter(signal: AbortSignal): Promise<() => void> {
      if (free > 0) {
        free--
        return leave
      }
      if (waiting.length >= WAITING_MAX) throw unreachable('too many requests wait for this store')
      const { promise, resolve } = Promise.withResolvers<void>()
      waiting.push(resolve)
      try {
        await orAborted(promise, signal)
      } catch (caught) {
        const at = waiting.indexOf(resolve)
        if (at >= 0) waiting.splice(at, 1)
        else leave()
        throw caught
      }
      return leave
    },
  }
}

async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
    // Whichever lost the race may still fail, and nobody listens any more.
    promise.catch(() => undefined)
  }
}
