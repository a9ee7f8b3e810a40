/**
 * A connection whose bytes an io_uring moves; Node keeps the descriptor.
 *
 * The descriptor is closed only when no operation on it is queued or in flight: until then the kernel may touch its
 * buffers, and its number must not come to name another connection.
 */
import type { Socket } from 'node:net'
import { assert } from '../../base/assert.ts'
import type { IoRing } from '../kernel/io-ring.ts'
import {
  CQE_BUFFER,
  CQE_MORE,
  EAGAIN,
  ECANCELED,
  EINTR,
  ENOBUFS,
} from '../kernel/io-ring-layout.ts'
import { SEND_PARTS_MAX } from '../kernel/io-ring-setup.ts'
import { type LinkReceiver, peerNameOf, type Sending, type SocketLink } from './transport.ts'

const RECEIVE = 1
const SEND = 2
const CANCEL = 3
/** Ends of a receive after which it is simply taken up again. */
const INTERRUPTIONS = new Set([ENOBUFS, ECANCELED, EAGAIN, EINTR])

/** What a broken ring may still read: kept for good, because nothing tells when it stops. */
const abandoned: Waiting[][] = []

/** What a link needs of its transport. */
export interface RingLinkHost {
  readonly ring: IoRing
  /** Sees that what was queued gets to the kernel. */
  queued(): void
  /** The link has let go of everything. */
  gone(link: RingLink): void
}

interface Waiting {
  readonly sending: Sending
  readonly done: () => void
}

/** A connection. */
export class RingLink implements SocketLink {
  readonly peerName: string
  /** Number of the link in completions. */
  readonly owner: number
  readonly #socket: Socket
  readonly #fd: number
  readonly #host: RingLinkHost
  #receiver: LinkReceiver | undefined
  /** Operations the kernel has or will have. */
  #operations = 0
  #isReceiving = false
  #isCancelling = false
  #isPaused = false
  /** The other side sends no more. */
  #hasEnded = false
  #isEnding = false
  #isDestroyed = false
  #isGone = false
  /** Parts in flight, and what they belong to, oldest first. */
  #sendParts: Buffer[] = []
  #sends: Waiting[] = []
  /** Sends whose parts are all in flight or written. */
  #sendsTaken = 0

  constructor(socket: Socket, fd: number, owner: number, host: RingLinkHost) {
    this.#socket = socket
    this.#fd = fd
    this.owner = owner
    this.#host = host
    this.peerName = peerNameOf(socket)
    socket.on('error', () => undefined)
  }

  start(receiver: LinkReceiver): void {
    this.#receiver = receiver
    this.#receive()
  }

  send(sending: Sending, done: () => void): void {
    if (this.#isDestroyed) {
      setImmediate(done)
      return
    }
    this.#sends.push({ sending, done })
    if (this.#sendParts.length === 0) this.#sendNext()
  }

  pause(): void {
    this.#isPaused = true
    if (this.#isReceiving) this.#stopReceiving()
  }

  resume(): void {
    this.#isPaused = false
    this.#receive()
  }

  end(): void {
    if (this.#isEnding) return
    this.#isEnding = true
    // The end of the other side is seen only by who reads.
    this.resume()
    if (this.#sends.length === 0) this.#endNow()
  }

  destroy(): void {
    if (this.#isDestroyed) return
    this.#isDestroyed = true
    if (this.#operations === 0) {
      setImmediate(() => this.#letGo())
      return
    }
    this.#operations++
    this.#host.ring.cancelAll(this.#fd, { owner: this.owner, kind: CANCEL })
    this.#host.queued()
  }

  /** The ring broke: lets go of everything but the memory that it may still have. */
  abandon(): void {
    this.#isDestroyed = true
    this.#operations = 0
    if (this.#sendParts.length > 0) abandoned.push(this.#sends.splice(0, this.#sendsTaken))
    this.#letGo()
  }

  /** One of the link's operations went on or completed. */
  completed(kind: number, result: number, flags: number): void {
    if ((flags & CQE_MORE) === 0) this.#operations--
    if (kind === RECEIVE) this.#arrived(result, flags)
    else if (kind === SEND) this.#sent(result)
    else this.#isCancelling = false
    if (this.#isDestroyed) {
      if (this.#operations === 0) this.#letGo()
    }
    // Taken up and paused again meanwhile.
    else if (kind === CANCEL && this.#isPaused && this.#isReceiving) this.#stopReceiving()
  }

  #receive(): void {
    if (this.#isReceiving || this.#isPaused || this.#hasEnded || this.#isDestroyed) return
    this.#isReceiving = true
    this.#operations++
    this.#host.ring.receive(this.#fd, { owner: this.owner, kind: RECEIVE })
    this.#host.queued()
  }

  #arrived(result: number, flags: number): void {
    if ((flags & CQE_MORE) === 0) this.#isReceiving = false
    if ((flags & CQE_BUFFER) !== 0) {
      const { ring } = this.#host
      try {
        if (result > 0 && !this.#isDestroyed) {
          this.#receiver?.received(ring.arrival(flags), result)
        }
      } finally {
        ring.giveBack(flags)
      }
    }
    if (result === 0) this.#otherEnded()
    else if (result < 0 && !INTERRUPTIONS.has(-result)) this.destroy()
    this.#receive()
  }

  #otherEnded(): void {
    if (this.#hasEnded || this.#isDestroyed) return
    this.#hasEnded = true
    if (this.#isEnding && this.#sends.length === 0) this.destroy()
    else if (!this.#isEnding) this.#receiver?.ended()
  }

  #endNow(): void {
    if (this.#hasEnded) this.destroy()
    // Node writes nothing on this socket, so this is the end right away.
    else this.#socket.end()
  }

  /** Hands over parts of as many sends as fit. */
  #sendNext(): void {
    const parts: Buffer[] = []
    for (let at = 0; at < this.#sends.length; at++) {
      const more = (this.#sends[at] as Waiting).sending.parts
      if (parts.length > 0 && parts.length + more.length > SEND_PARTS_MAX) break
      parts.push(...more)
      this.#sendsTaken = at + 1
    }
    this.#sendParts = parts
    this.#handOver()
  }

  #handOver(): void {
    const parts = this.#sendParts
    const name = { owner: this.owner, kind: SEND }
    this.#operations++
    if (parts.length === 1) this.#host.ring.send(this.#fd, parts[0] as Buffer, name)
    else this.#host.ring.sendAll(this.#fd, parts.slice(0, SEND_PARTS_MAX), name)
    this.#host.queued()
  }

  #sent(result: number): void {
    if (result < 0 && result !== -EINTR && result !== -EAGAIN) this.destroy()
    if (this.#isDestroyed) return
    this.#sendParts = rest(this.#sendParts, Math.max(result, 0))
    if (this.#sendParts.length > 0) {
      this.#handOver()
      return
    }
    const written = this.#sends.splice(0, this.#sendsTaken)
    this.#sendsTaken = 0
    for (const one of written) one.done()
    if (this.#sendParts.length > 0) return
    if (this.#sends.length > 0) this.#sendNext()
    else if (this.#isEnding) this.#endNow()
  }

  #stopReceiving(): void {
    if (this.#isCancelling) return
    this.#isCancelling = true
    this.#operations++
    const { owner } = this
    this.#host.ring.cancel({ owner, kind: RECEIVE }, { owner, kind: CANCEL })
    this.#host.queued()
  }

  #letGo(): void {
    if (this.#isGone) return
    this.#isGone = true
    assert(this.#operations === 0, 'a descriptor outlives the operations on it')
    this.#socket.destroy()
    this.#host.gone(this)
    this.#receiver?.closed()
    for (const one of this.#sends.splice(0)) one.done()
  }
}

/** What is left of parts after their first bytes. */
function rest(parts: Buffer[], writtenBytes: number): Buffer[] {
  let skip = writtenBytes
  let at = 0
  for (; at < parts.length && skip >= (parts[at] as Buffer).byteLength; at++) {
    skip -= (parts[at] as Buffer).byteLength
  }
  if (skip === 0) return at === 0 ? parts : parts.slice(at)
  return [(parts[at] as Buffer).subarray(skip), ...parts.slice(at + 1)]
}
