/**
 * Links over io_uring: one system call hands over all replies of a burst and brings all that arrived.
 *
 * While something is there the thread stays with the ring, in turns short enough for Node's event loop; then it goes back
 * to that loop, which a counter of the ring wakes. Whether something is there shows in shared memory, without a call, and
 * so it looks there a little longer where clients answer at once. Waiting in the ring instead was tried: setting its timer
 * costs more than it saves.
 */
import type { Socket } from 'node:net'
import { assert } from '../../base/assert.ts'
import { describeError, isNodeError, type NodeError } from '../../base/errors.ts'
import type { Log } from '../../base/ports.ts'
import { IoRing } from '../kernel/io-ring.ts'
import { socketCalls } from '../kernel/socket-calls.ts'
import { BriefWait } from './brief-wait.ts'
import { libuvTransport } from './libuv-transport.ts'
import { RingLink, type RingLinkHost } from './ring-link.ts'
import type { SocketLink, Transport } from './transport.ts'

/** More operations than this in one burst take a second system call. */
const SUBMISSIONS = 512
/** Completions of a burst; what comes beyond waits in kernel memory. */
const COMPLETIONS = 8192
/** 2 MiB: arrivals of one burst. What comes beyond waits in its socket. */
const ARRIVALS = 128
const ARRIVAL_BYTES = 16 * 1024
/** How long timers, fsync and other sockets may wait for the event loop; a turn of it costs 2 µs. */
const BURST_MS_MAX = 0.25
/** Sizes that tests make small. */
export interface RingTransportInit {
  readonly log: Log
  readonly arrivals?: number
  readonly submissions?: number
  readonly completions?: number
}

/** Links over a ring. */
export class RingTransport implements Transport, RingLinkHost {
  readonly kind = 'uring'
  readonly ring: IoRing
  readonly calls = socketCalls()
  readonly #log: Log
  readonly #links: (RingLink | undefined)[] = []
  readonly #freeOwners: number[] = []
  #linkCount = 0
  #tasks: (() => void)[] = []
  #isInBurst = false
  #next: NodeJS.Immediate | undefined
  #isWaking = false
  readonly #briefWait = new BriefWait()
  readonly #hasWork = () => this.ring.hasWork
  /** For sockets that the ring cannot take. */
  #streams: Transport | undefined
  #hasFailed = false
  #isClosed = false

  constructor(ring: IoRing, log: Log) {
    this.ring = ring
    this.#log = log
    ring.wake.on('wake', () => this.#woken())
    ring.wake.on('error', () => undefined)
    ring.wake.resume()
    ring.wake.unref()
    this.#becomeIdle()
  }

  /**
   * Makes the transport.
   *
   * @param init - Where it logs.
   * @returns It, tried.
   * @throws NodeError `IO_RING_UNAVAILABLE`.
   */
  static open(init: RingTransportInit): RingTransport {
    const ring = IoRing.open({
      submissions: init.submissions ?? SUBMISSIONS,
      completions: init.completions ?? COMPLETIONS,
      buffers: init.arrivals ?? ARRIVALS,
      bufferBytes: ARRIVAL_BYTES,
    })
    return new RingTransport(ring, init.log)
  }

  link(accepted: Socket): SocketLink {
    const fd = descriptorOf(accepted)
    if (this.#hasFailed || fd === undefined) {
      this.#streams ??= libuvTransport()
      return this.#streams.link(accepted)
    }
    const owner = this.#freeOwners.pop() ?? this.#links.length
    const link = new RingLink(accepted, fd, owner, this)
    this.#links[owner] = link
    if (this.#linkCount++ === 0) this.ring.wake.ref()
    return link
  }

  atEndOfBurst(task: () => void): void {
    if (this.#isInBurst) this.#tasks.push(task)
    else setImmediate(task)
  }

  close(): Promise<void> {
    if (this.#isClosed) return Promise.resolve()
    this.#isClosed = true
    clearImmediate(this.#next)
    this.ring.wake.destroy()
    assert(this.#linkCount === 0, 'links are gone before their transport')
    if (!this.#hasFailed) this.ring.close()
    return Promise.resolve()
  }

  queued(): void {
    if (this.#isInBurst || this.#next) return
    this.#setWaking(false)
    this.#next = setImmediate(() => this.#turn())
  }

  gone(link: RingLink): void {
    this.#links[link.owner] = undefined
    this.#freeOwners.push(link.owner)
    if (--this.#linkCount === 0) this.ring.wake.unref()
  }

  /** For the ring. */
  completed(owner: number, kind: number, result: number, flags: number): void {
    this.#links[owner]?.completed(kind, result, flags)
  }

  #woken(): void {
    if (this.#isClosed || this.#hasFailed) return
    this.#briefWait.woken()
    this.#turn()
  }

  #turn(): void {
    clearImmediate(this.#next)
    this.#next = undefined
    this.#setWaking(false)
    try {
      const deadline = performance.now() + BURST_MS_MAX
      while (this.#round() || this.#briefWait.hasFound(this.#hasWork)) {
        if (performance.now() < deadline) continue
        this.#next = setImmediate(() => this.#turn())
        return
      }
      this.#becomeIdle()
    } catch (caught) {
      if (!isNodeError(caught, 'IO_RING_FAILED')) throw caught
      this.#fail(caught)
    }
  }

  /** Hands over, takes what came, and ends the burst. @returns Whether there may be more at once. */
  #round(): boolean {
    const { ring } = this
    if (ring.hasWork || ring.queued > 0) ring.enter()
    else if (this.#tasks.length === 0) return false
    this.#isInBurst = true
    try {
      const count = ring.reap(this)
      const tasks = this.#tasks
      this.#tasks = []
      for (const task of tasks) task()
      return count > 0 || ring.queued > 0 || this.#tasks.length > 0
    } finally {
      this.#isInBurst = false
    }
  }

  #becomeIdle(): void {
    this.#setWaking(true)
    this.#briefWait.sleeps()
    // What came before waking was on would wake nobody.
    if (this.ring.hasWork) this.queued()
  }

  #setWaking(isOn: boolean): void {
    if (this.#isWaking === isOn) return
    this.#isWaking = isOn
    this.ring.setWaking(isOn)
  }

  /** The ring broke, which no kernel should do: its connections end, and later ones go by streams. */
  #fail(cause: NodeError): void {
    this.#log.error({ cause: describeError(cause) }, 'io_uring failed; serving without it')
    this.#hasFailed = true
    this.ring.wake.destroy()
    this.ring.abandon()
    for (const link of this.#links) link?.abandon()
    for (const task of this.#tasks.splice(0)) setImmediate(task)
  }
}

/** The descriptor of a socket, which node:net knows and does not tell. */
function descriptorOf(socket: Socket): number | undefined {
  const handle: unknown = Reflect.get(socket, '_handle')
  const fd: unknown =
    typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined
  return typeof fd === 'number' && fd >= 0 ? fd : undefined
}
