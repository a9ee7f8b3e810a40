/**
 * A libp2p stream as a `LinkStream`: pulled instead of pushed, with back-pressure both ways, and never mistaking a
 * connection that went away for the end of the data.
 *
 * libp2p closes a stream without an error when the TCP connection below ends (a killed peer, too). Only the peer's FIN
 * on the stream itself counts as its end here.
 */
import type { Stream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'
import type { NodeError } from '../../base/errors.ts'
import type { Account } from '../../base/ids.ts'
import { READ_AHEAD_BYTES, WRITE_AHEAD_BYTES } from './constants.ts'
import { linkClosed } from './errors.ts'
import type { LinkStream } from './ports.ts'

/** Told of everything that passes. */
export interface StreamMeter {
  received(bytes: number): void
  sent(bytes: number): void
  closed(): void
}

/**
 * Wraps a stream whose protocol is agreed on. Nothing else may listen to it.
 *
 * @param stream - The stream, open or already closed again.
 * @param peer - Who is at its other end.
 * @param meter - Told of bytes and of the end; `closed` comes exactly once.
 * @returns The same stream behind the port.
 */
export function libp2pLinkStream(stream: Stream, peer: Account, meter: StreamMeter): LinkStream {
  return new Libp2pLinkStream(stream, peer, meter)
}

class Libp2pLinkStream implements LinkStream {
  readonly peer: Account
  readonly #stream: Stream
  readonly #meter: StreamMeter
  #chunks: Uint8Array[] = []
  #chunkBytes = 0
  #paused = false
  #finished = false
  #failure: NodeError | undefined
  #reader: PromiseWithResolvers<void> | undefined
  #writer: PromiseWithResolvers<void> | undefined

  constructor(stream: Stream, peer: Account, meter: StreamMeter) {
    this.peer = peer
    this.#stream = stream
    this.#meter = meter
    // The FIN may have come before anybody listened; a stream that is still open was ended by it, not by a failure.
    this.#finished = stream.status === 'open' && stream.remoteWriteStatus === 'closed'
    if (stream.status !== 'open') {
      this.#onClose(undefined)
      return
    }
    stream.addEventListener('remoteCloseWrite', () => {
      this.#finished = true
      this.#reader?.resolve()
    })
    stream.addEventListener('end', () => this.#reader?.resolve())
    stream.addEventListener('drain', () => this.#writer?.resolve())
    stream.addEventListener('idle', () => this.#writer?.resolve())
    stream.addEventListener('close', (event) => this.#onClose(event))
    stream.addEventListener('message', (event) => this.#onMessage(event))
  }

  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      if (this.#failure) throw this.#failure
      const chunk = this.#chunks.shift()
      if (chunk) {
        this.#chunkBytes -= chunk.byteLength
        this.#resumeIfRead()
        return chunk
      }
      this.#resumeIfRead()
      // Resuming delivers what waited inside libp2p at once.
      if (this.#chunks.length > 0) continue
      if (this.#finished && this.#stream.readBufferLength === 0) return undefined
      this.#reader = Promise.withResolvers()
      await this.#reader.promise
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#failure) throw this.#failure
    if (bytes.byteLength === 0) return
    try {
      this.#stream.send(bytes)
    } catch (cause) {
      throw this.#fail(cause)
    }
    this.#meter.sent(bytes.byteLength)
    // A drain of the connection wakes every stream on it, also those whose own window is full: look again each time.
    while (this.#stream.writableNeedsDrain || this.#stream.writeBufferLength > WRITE_AHEAD_BYTES) {
      if (this.#failure) throw this.#failure
      this.#writer = Promise.withResolvers()
      await this.#writer.promise
    }
    if (this.#failure) throw this.#failure
  }

  async end(): Promise<void> {
    if (this.#failure) throw this.#failure
    try {
      await this.#stream.close()
    } catch (cause) {
      throw this.#fail(cause)
    }
  }

  abort(reason: unknown): void {
    this.#stream.abort(linkClosed(reason))
  }

  #onMessage(event: StreamMessageEvent): void {
    this.#meter.received(event.data.byteLength)
    if (event.data instanceof Uint8Array) this.#chunks.push(event.data)
    else for (const chunk of event.data) this.#chunks.push(chunk)
    this.#chunkBytes += event.data.byteLength
    this.#pauseIfAhead()
    this.#reader?.resolve()
  }

  #pauseIfAhead(): void {
    if (this.#paused || this.#chunkBytes < READ_AHEAD_BYTES) return
    if (this.#stream.readStatus !== 'readable') return
    this.#paused = true
    this.#stream.pause()
  }

  #resumeIfRead(): void {
    if (!this.#paused || this.#chunkBytes >= READ_AHEAD_BYTES / 2) return
    try {
      // Delivers at once what waited inside libp2p. A pause from within would be undone by the rest of `resume` without
      // a trace, and the window stay open for ever: so `#paused` holds until it is through.
      this.#stream.resume()
    } catch {
      // The connection is gone: what libp2p still held was delivered before it threw, and `close` tells the rest.
    }
    this.#paused = false
    this.#pauseIfAhead()
  }

  #onClose(event: StreamCloseEvent | undefined): void {
    if (!this.#finished || event?.error) this.#fail(event?.error)
    this.#meter.closed()
    this.#reader?.resolve()
    this.#writer?.resolve()
  }

  #fail(cause: unknown): NodeError {
    this.#failure ??= linkClosed(cause)
    this.#chunks = []
    this.#chunkBytes = 0
    this.#reader?.resolve()
    this.#writer?.resolve()
    if (this.#stream.status === 'open') this.#stream.abort(this.#failure)
    return this.#failure
  }
}
