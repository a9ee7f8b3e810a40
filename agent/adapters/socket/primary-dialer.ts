/** Reaches the primary of a replica over TCP, and reads no faster than the replica takes. */
import { connect, type Socket } from 'node:net'
import { describeError, NodeError } from '../../base/errors.ts'
import { MIB } from '../../base/units.ts'
import type { PrimaryDialer, PrimaryLink } from '../../engines/store/ports.ts'
import { writeCommand } from './resp-connection.ts'
import { type Reply, ReplyReader } from './resp-reply-reader.ts'

/** The primary says something every second. */
const SILENCE_MS_MAX = 10_000
/** A record with its header, key and table is a little longer than the largest value. */
const BULK_BYTES_MAX = 9 * MIB
/** Replies received and not yet taken; then the socket is left alone. */
const WAITING_MAX = 16

/**
 * Dials one address.
 *
 * @param options.host - Name or address.
 * @param options.port - TCP port.
 * @returns The port of the engine.
 * @example
 * const dialer = primaryDialer({ host: '127.0.0.1', port: 9900 })
 */
export function primaryDialer(options: {
  readonly host: string
  readonly port: number
}): PrimaryDialer {
  return {
    async dial(signal) {
      signal.throwIfAborted()
      const socket = connect({ ...options, noDelay: true })
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const onAbort = () => reject(signal.reason)
      signal.addEventListener('abort', onAbort, { once: true })
      socket.once('connect', resolve)
      socket.on('error', reject)
      socket.setTimeout(SILENCE_MS_MAX, () => socket.destroy(lost('it is silent')))
      try {
        await promise
        return new SocketLink(socket)
      } catch (caught) {
        socket.destroy()
        throw signal.aborted ? caught : lost(describeError(caught))
      } finally {
        signal.removeEventListener('abort', onAbort)
      }
    },
  }
}

class SocketLink implements PrimaryLink {
  readonly #socket: Socket
  readonly #replies: Reply[] = []
  #wake: () => void = () => undefined
  #failure: NodeError | undefined

  constructor(socket: Socket) {
    this.#socket = socket
    const reader = new ReplyReader((reply) => {
      this.#replies.push(reply)
      if (this.#replies.length >= WAITING_MAX) socket.pause()
      this.#wake()
    }, BULK_BYTES_MAX)
    socket.on('data', (data: Buffer) => {
      try {
        reader.receive(data)
      } catch (caught) {
        this.#fail(caught)
      }
    })
    socket.on('error', (caught) => this.#fail(caught))
    socket.on('end', () => this.#fail('it closed the connection'))
    socket.on('close', () => this.#fail('the connection closed'))
  }

  send(args: readonly (string | Uint8Array)[]): void {
    if (!this.#failure) writeCommand(this.#socket, args)
  }

  async next(signal: AbortSignal): Promise<Reply> {
    for (;;) {
      signal.throwIfAborted()
      const reply = this.#replies.shift()
      if (reply !== undefined) {
        if (this.#replies.length === 0) this.#socket.resume()
        return reply
      }
      if (this.#failure) throw this.#failure
      await this.#arrival(signal)
    }
  }

  close(): void {
    this.#fail('closed on this side')
  }

  async #arrival(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const onAbort = () => resolve()
    this.#wake = resolve
    signal.addEventListener('abort', onAbort, { once: true })
    await promise
    signal.removeEventListener('abort', onAbort)
  }

  #fail(cause: unknown): void {
    this.#failure ??= lost(describeError(cause))
    this.#socket.destroy()
    this.#wake()
  }
}

function lost(problem: string): NodeError {
  return new NodeError('LOG_PRIMARY_LOST', `the link to the primary was lost: ${problem}`)
}
