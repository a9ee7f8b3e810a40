/**
 * A connection whose bytes an io_uring moves; Node keeps the descriptor.
 *
 * The descriptor is closed only when no operation on it is queued or in flight: until then the kernel may touch its
 * buffers, and its number must not come to name another connection.
 */
import type { Socket } from 'node:net'
import { assert } from '../../base/assert.ts'
import { KIB } from '../../base/units.ts'
import type { IoRing, OperationName } from '../kernel/io-ring.ts'
import {
  CQE_BUFFER,
  CQE_MORE,
  EAGAIN,
  ECANCELED,
  EINTR,
  ENOBUFS,
} from '../kernel/io-ring-layout.ts'
import { SEND_PARTS_MAX } from '../kernel/io-ring-setup.ts'
import type { SocketCalls } from '../kernel/socket-calls.ts'
import { type LinkReceiver, peerNameOf, type Sending, type SocketLink } from './transport.ts'

/**
 * Sends from this size on are worth a call of their own: a burst of them would fill the processor's cache before the first
 * leaves, and each would be read from memory again.
 */
const NOW_BYTES_MIN = 128 * KIB
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
  readonly calls: SocketCalls
  /** Sees that what was queued gets to the kernel. */
  queued(): void
  /** The link has let go of everything. */
  gone(link: RingLink): void
}

const NO_PARTS: readonly Buffer[] = []
const NO_SENDS: readonly Waiting[] = []

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
  readonly #sendName: OperationName
  #receiver: LinkReceiver | undefined
  /** Operations the kernel has or will have. */
  #operations = 0
  #isReceiving = false
  /** Bytes that are waited for, to be received into a place; 0 while arrivals go to the ring's buffers. */
  #awaitedBytes = 0
  #isCancelling = false
  #isPaused = false
  /** The other side sends no more. */
  #hasEnded = false
  #isEnding = false
  #isDestroyed = false
  #isGone = false
  /** Parts in flight. */
  #parts: readonly Buffer[] = NO_PARTS
  /** The oldest send not answered, those behind it, and how many of those are in flight with it. */
  #first: Waiting | undefined
  #behind: Waiting[] = []
  #taken = 0

  constructor(socket: Socket, fd: number, owner: number, host: RingLinkHost) {
    this.#socket = socket
    this.#fd = fd
    this.owner = owner
    this.#host = host
    this.#sendName = { owner, kind: SEND }
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
    const waiting = { sending, done }
    if (this.#first) {
      this.#behind.push(waiting)
      return
    }
    this.#first = waiting
    this.#sendNext(waiting)
  }

  sendNow(sending: Sending, done: () => void): boolean {
    const part = sending.parts[0] as Buffer
    const isLarge = sending.parts.length === 1 && part.byteLength >= NOW_BYTES_MIN
    if (!isLarge || this.#first || this.#isDestroyed) {
      this.send(sending, done)
      return false
    }
    const sentBytes = this.#host.calls.send(this.#fd, part)
    if (sentBytes === part.byteLength) return true
    // What went wrong the ring learns too, and it waits for room.
    this.send(sentBytes > 0 ? { parts: [part.subarray(sentBytes)] } : sending, done)
    return false
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
    if (!this.#first) this.#endNow()
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
    if (this.#first) abandoned.push([this.#first, ...this.#behind.splice(0, this.#taken)])
    this.#first = undefined
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
    const { ring, calls } = this.#host
    const name = { owner: this.owner, kind: RECEIVE }
    const awaited = this.#receiver?.places?.awaitedBytes ?? 0
    this.#awaitedBytes = awaited
    if (awaited > 1) calls.setLowWater(this.#fd, awaited)
    if (awaited > 0) ring.poll(this.#fd, name)
    else ring.receive(this.#fd, name)
    this.#host.queued()
  }

  #arrived(result: number, flags: number): void {
    if ((flags & CQE_MORE) === 0) this.#isReceiving = false
    if (this.#awaitedBytes > 0) {
      this.#readable(result)
      return
    }
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
    this.#wentOn(result)
    // The receive into the ring's buffers goes on by itself, so it is ended to make way for one into a place.
    const goesOn = this.#isReceiving && !this.#isDestroyed
    if (goesOn && this.#receiver?.places?.awaitedBytes) this.#stopReceiving()
    this.#receive()
  }

  /** What was waited for is there, or the wait ended: takes it into a place that is used only now. */
  #readable(result: number): void {
    if (this.#awaitedBytes > 1) this.#host.calls.setLowWater(this.#fd, 1)
    this.#awaitedBytes = 0
    const places = this.#receiver?.places
    const place = result < 0 || this.#isDestroyed ? undefined : places?.lend()
    if (place) {
      const received = this.#host.calls.receive(this.#fd, place)
      places?.returned(Math.max(received, 0))
      this.#wentOn(received)
    } else if (result < 0) this.#wentOn(result)
    this.#receive()
  }

  /** @param result - Bytes that came, 0 at the end, or the negative error number. */
  #wentOn(result: number): void {
    if (result === 0) this.#otherEnded()
    else if (result < 0 && !INTERRUPTIONS.has(-result)) this.destroy()
  }

  #otherEnded(): void {
    if (this.#hasEnded || this.#isDestroyed) return
    this.#hasEnded = true
    if (this.#isEnding && !this.#first) this.destroy()
    else if (!this.#isEnding) this.#receiver?.ended()
  }

  #endNow(): void {
    if (this.#hasEnded) this.destroy()
    // Node writes nothing on this socket, so this is the end right away.
    else this.#socket.end()
  }

  /** Hands over the parts of the oldest send and of as many behind it as fit. */
  #sendNext(first: Waiting): void {
    let { parts } = first.sending
    this.#taken = 0
    while (this.#taken < this.#behind.length) {
      const more = (this.#behind[this.#taken] as Waiting).sending.parts
      if (parts.length + more.length > SEND_PARTS_MAX) break
      parts = [...parts, ...more]
      this.#taken++
    }
    this.#handOver(parts)
  }

  #handOver(parts: readonly Buffer[]): void {
    const { ring } = this.#host
    this.#parts = parts
    this.#operations++
    if (parts.length === 1) ring.send(this.#fd, parts[0] as Buffer, this.#sendName)
    else ring.sendAll(this.#fd, parts.slice(0, SEND_PARTS_MAX), this.#sendName)
    this.#host.queued()
  }

  #sent(result: number): void {
    if (result < 0 && result !== -EINTR && result !== -EAGAIN) this.destroy()
    if (this.#isDestroyed) return
    const left = rest(this.#parts, result)
    if (left.length > 0) {
      this.#handOver(left)
      return
    }
    const written = this.#first
    const behind = this.#taken > 0 ? this.#behind.splice(0, this.#taken) : NO_SENDS
    const next = this.#behind.shift()
    this.#first = next
    if (next) this.#sendNext(next)
    written?.done()
    for (const one of behind) one.done()
    if (!this.#first && this.#isEnding) this.#endNow()
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
    const first = this.#first
    this.#first = undefined
    first?.done()
    for (const one of this.#behind.splice(0)) one.done()
  }
}

/** What is left of parts after their first bytes; a failed call, a negative count, wrote none. */
function rest(parts: readonly Buffer[], writtenBytes: number): readonly Buffer[] {
  if (parts.length === 1 && parts[0]?.byteLength === writtenBytes) return NO_PARTS
  let skip = Math.max(writtenBytes, 0)
  let at = 0
  for (; at < parts.length && skip >= (parts[at] as Buffer).byteLength; at++) {
    skip -= (parts[at] as Buffer).byteLength
  }
  if (skip === 0) return at === 0 ? parts : parts.slice(at)
  return [(parts[at] as Buffer).subarray(skip), ...parts.slice(at + 1)]
}
