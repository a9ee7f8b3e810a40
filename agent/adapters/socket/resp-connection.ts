/**
 * One connection to a store: requests out, replies in, in order.
 *
 * A request that is given up (its caller aborted) keeps its place in the queue, because the reply still comes. One that
 * takes too long ends the connection: nothing after it could be told apart.
 */
import type { Duplex } from 'node:stream'
import { describeError, isNodeError, NodeError } from '../../base/errors.ts'
import { type Reply, ReplyReader } from './resp-reply-reader.ts'

/** Until then a lost link is not tried again by the caller. */
const RETRY_AFTER_MS = 500

/** A connection that speaks the store's protocol. */
export interface RespConnection {
  readonly isOpen: boolean
  /** Sends a command and waits for its reply. @throws NodeError `STORE_UNREACHABLE`. */
  request(args: readonly (string | Uint8Array)[]): Promise<Reply>
  close(): void
}

interface Pending {
  readonly deadline: number
  resolve(reply: Reply): void
  reject(failure: NodeError): void
}

/**
 * Speaks the store's protocol over a stream.
 *
 * @param stream - A connected byte stream; closed by this connection.
 * @param timeoutMs - How long a reply may take, `> 0`.
 * @returns The connection.
 * @example
 * const connection = respConnection(connect('/run/store/peer.sock'), 10_000)
 * await connection.request(['PING']) // 'PONG'
 */
export function respConnection(stream: Duplex, timeoutMs: number): RespConnection {
  const pending: Pending[] = []
  let failure: NodeError | undefined

  const reader = new ReplyReader((reply) => {
    const first = pending.shift()
    if (first) first.resolve(reply)
    else fail(new NodeError('STORE_REFUSED', 'a reply that nobody asked for'))
    watch()
  })
  let timer: NodeJS.Timeout | undefined

  function fail(cause: unknown): void {
    if (failure) return
    failure = isNodeError(cause, 'STORE_REFUSED') ? cause : unreachable(cause)
    clearTimeout(timer)
    stream.destroy()
    for (const one of pending.splice(0)) one.reject(failure)
  }

  /** One timer a connection, for the request that waits longest. */
  function watch(): void {
    clearTimeout(timer)
    const first = pending[0]
    if (!first || failure) return
    timer = setTimeout(() => fail('no reply in time'), Math.max(1, first.deadline - Date.now()))
  }

  stream.on('data', (data: Buffer) => {
    try {
      reader.receive(data)
    } catch (caught) {
      fail(caught)
    }
  })
  stream.on('error', fail)
  stream.on('end', () => fail('the other end closed'))
  stream.on('close', () => fail('the connection closed'))

  return {
    get isOpen() {
      return failure === undefined
    },
    request(args) {
      if (failure) return Promise.reject(failure)
      const { promise, resolve, reject } = Promise.withResolvers<Reply>()
      pending.push({ deadline: Date.now() + timeoutMs, resolve, reject })
      if (pending.length === 1) watch()
      writeCommand(stream, args)
      return promise
    },
    close() {
      fail('closed on this side')
    },
  }
}

/** Values go out as they are; what frames them is joined. */
export function writeCommand(stream: Duplex, args: readonly (string | Uint8Array)[]): void {
  const COPY_BYTES_MAX = 16 * 1024
  stream.cork()
  let text: Uint8Array[] = [Buffer.from(`*${args.length}\r\n`)]
  for (const arg of args) {
    const bytes = typeof arg === 'string' ? Buffer.from(arg) : arg
    text.push(Buffer.from(`$${bytes.byteLength}\r\n`))
    if (bytes.byteLength > COPY_BYTES_MAX) {
      stream.write(Buffer.concat(text))
      stream.write(bytes)
      text = [CRLF]
    } else text.push(bytes, CRLF)
  }
  stream.write(Buffer.concat(text))
  stream.uncork()
}

const CRLF = Buffer.from('\r\n')

function unreachable(cause: unknown): NodeError {
  return new NodeError('STORE_UNREACHABLE', describeError(cause), {
    cause,
    retryAfterMs: RETRY_AFTER_MS,
  })
}
