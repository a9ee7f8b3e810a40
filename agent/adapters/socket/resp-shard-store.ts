/**
 * A namespace of a store on some node, as the engine `disperse` sees it.
 *
 * One connection, made when first needed and again when lost; requests are pipelined, a bounded number at a time. All
 * requests may be repeated without harm, so one that a lost connection took along is sent once more.
 */
import type { Duplex } from 'node:stream'
import { assert } from '../../base/assert.ts'
import { describeError, isNodeError, NodeError } from '../../base/errors.ts'
import type { ShardStore } from '../../engines/disperse/ports.ts'
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
export interface RespShardStoreInit {
  /** Opens a stream to the store of the node, already authenticated by the link. */
  readonly connect: (signal: AbortSignal) => Promise<Duplex>
  /** `o<order>.<slot>`. */
  readonly namespace: string
  /** How long a dial or a reply may take, default 15 s. */
  readonly timeoutMs?: number
  /** Requests in flight, default 64. */
  readonly inFlightMax?: number
}

/** A remote namespace, with its connection. */
export interface RespShardStore extends ShardStore {
  /** Ends the connection; a later request makes a new one. */
  close(): void
}

/**
 * Makes a shard store out of a way to connect.
 *
 * @param init - How to reach the store and which namespace is meant.
 * @returns The store; nothing is dialled before the first request.
 * @example
 * const store = respShardStore({ namespace: 'o7.0', connect: (signal) => dial(account, 'store', signal) })
 * await store.put(key, value, signal)
 */
export function respShardStore(init: RespShardStoreInit): RespShardStore {
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

  async function ask(
    args: readonly (string | Uint8Array)[],
    signal: AbortSignal,
  ): Promise<Exclude<Reply, ReplyError>> {
    signal.throwIfAborted()
    const leave = await turns.enter(signal)
    const replied = attempt(args).finally(leave)
    const reply = await orAborted(replied, signal)
    if (reply instanceof ReplyError) throw failureOf(reply)
    return reply
  }

  return {
    async put(key, value, signal) {
      await ask(['SET', key, value], signal)
    },
    async get(key, signal) {
      return bytesOf(await ask(['GET', key], signal))
    },
    async getRange(key, offset, lengthBytes, signal) {
      assert(offset >= 0 && lengthBytes >= 0, 'a range lies within its value')
      if (lengthBytes === 0)
        return (await ask(['EXISTS', key], signal)) ? new Uint8Array(0) : undefined
      const last = offset + lengthBytes - 1
      return bytesOf(await ask(['GETRANGE', key, String(offset), String(last)], signal))
    },
    async list(prefix, after, limit, signal) {
      const start = after ? ['AFTER', after] : []
      const keys: Uint8Array[] = []
      let args = ['LIST', prefix, ...start, 'COUNT', String(limit)]
      for (;;) {
        const page = await ask(args, signal)
        if (!Array.isArray(page)) throw new NodeError('STORE_REFUSED', 'LIST did not reply a list')
        const found = page.filter((one): one is Buffer => Buffer.isBuffer(one))
        keys.push(...found)
        const last = found.at(-1)
        if (!last || keys.length >= limit) return keys
        args = ['LIST', prefix, 'AFTER', last, 'COUNT', String(limit - keys.length)]
      }
    },
    async delete(key, signal) {
      try {
        await ask(['DEL', key], signal)
      } catch (caught) {
        if (!isNodeError(caught, 'STORE_REFUSED') || caught.details['words'] !== NO_KEY)
          throw caught
      }
    },
    close() {
      connection?.close()
      connection = undefined
    },
  }
}

const NO_KEY = 'Key not found'

function bytesOf(reply: Exclude<Reply, ReplyError>): Uint8Array | undefined {
  if (reply === null) return undefined
  if (Buffer.isBuffer(reply)) return reply
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
