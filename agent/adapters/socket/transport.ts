/**
 * How bytes get from accepted sockets to a session and back. There are two: by Node's own streams, on any system, and by
 * io_uring, which costs less a command. A listener knows only this, so both serve the same protocol in the same way.
 */
import type { Socket } from 'node:net'

/** A receiver that has memory of its own for what comes next; links that cannot use it do not ask. */
export interface PlaceLender {
  /** How many bytes should be there before {@link PlaceLender.lend} is called; 0 where no place is worth it. */
  readonly awaitedBytes: number
  /** Lends a place, which is the link's until {@link PlaceLender.returned} is called, before anything else is. */
  lend(): Buffer | undefined
  /** The place is given back, with this many bytes that arrived from its start on. */
  returned(lengthBytes: number): void
}

/** Takes what a link receives, and learns of its end. */
export interface LinkReceiver {
  readonly places?: PlaceLender
  /**
   * Bytes arrived.
   *
   * @param bytes - The link's again after the call.
   * @param lengthBytes - How many of them arrived.
   */
  received(bytes: Buffer, lengthBytes: number): void
  /** The other end sends no more, and may still read. */
  ended(): void
  /** The connection is gone; called once. Only sends may still be answered after it. */
  closed(): void
}

/** Bytes to send. */
export interface Sending {
  /** Not empty; in place and unchanged until `done`. */
  readonly parts: readonly Buffer[]
}

/** A connection. */
export interface SocketLink {
  /** Name of the other end, for people. */
  readonly peerName: string
  /** Begins to receive. */
  start(receiver: LinkReceiver): void
  /** Sends after all that was sent before; `done` once it is written, or never will be, never inside the call. */
  send(sending: Sending, done: () => void): void
  /**
   * Sends as {@link SocketLink.send}, and what is large and may go now before the call returns.
   *
   * @returns Whether all of it is written; `done` is not called then.
   */
  sendNow(sending: Sending, done: () => void): boolean
  /** Stops receiving; what has arrived meanwhile may still be handed over. */
  pause(): void
  resume(): void
  /** Ends this side once everything is sent, and lets go when the other side ends too. */
  end(): void
  /** Breaks the connection. */
  destroy(): void
}

/** A way to move bytes. */
export interface Transport {
  readonly kind: 'uring' | 'libuv'
  /** Takes over an accepted socket, paused since it was accepted. */
  link(accepted: Socket): SocketLink
  /** Runs a task once the present burst of input is done, never inside the call. */
  atEndOfBurst(task: () => void): void
  /** Gives up what it holds, once the last link is gone. */
  close(): Promise<void>
}

/**
 * Says who is at the other end.
 *
 * @param socket - A connected socket.
 * @returns Address and port, or `unix:0`.
 */
export function peerNameOf(socket: Socket): string {
  return `${socket.remoteAddress ?? 'unix'}:${socket.remotePort ?? 0}`
}
