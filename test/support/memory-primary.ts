/** A link between two stores in one process, without sockets, that a test can cut and slow down. */
import { type Reply, ReplyReader } from '../../agent/adapters/socket/resp-reply-reader.ts'
import { MIB } from '../../agent/base/units.ts'
import type { Principal, RespServer } from '../../agent/engines/store/index.ts'
import type { PrimaryDialer, PrimaryLink } from '../../agent/engines/store/ports.ts'

/** Stands for what a broken connection throws. */
export class LinkCut extends TypeError {
  override readonly name = 'LinkCut'
}

/** The dialer and what a test does to it. */
export interface MemoryPrimary extends PrimaryDialer {
  /** The server that is reached now; undefined while it is down. */
  server: RespServer | undefined
  /** Breaks every connection. */
  cut(): void
  /** While true nothing that was sent arrives, as with a reader that is slow. */
  isStalled: boolean
  /** Bytes that were sent and did not arrive. */
  readonly waitingBytes: number
  /** Connections so far. */
  readonly dials: number
}

/** Makes a dialer; every connection speaks as `principal`. */
export function memoryPrimary(
  server: RespServer | undefined,
  principal: Principal = { kind: 'admin' },
): MemoryPrimary {
  const cuts = new Set<() => void>()
  let dials = 0
  let waitingBytes = 0
  let isStalled = false
  let arrivals: (() => void)[] = []
  const primary: MemoryPrimary = {
    server,
    get dials() {
      return dials
    },
    get waitingBytes() {
      return waitingBytes
    },
    get isStalled() {
      return isStalled
    },
    set isStalled(value) {
      isStalled = value
      if (value) return
      const due = arrivals
      arrivals = []
      for (const arrive of due) arrive()
    },
    cut() {
      for (const cut of [...cuts]) cut()
    },
    async dial(signal) {
      signal.throwIfAborted()
      if (!primary.server) throw new LinkCut('nobody answers')
      dials++
      return connectTo(primary.server)
    },
  }

  function connectTo(reached: RespServer): PrimaryLink {
    const replies: Reply[] = []
    let wake: () => void = () => undefined
    let isCut = false
    const reader = new ReplyReader((reply) => {
      replies.push(reply)
      wake()
    }, 9 * MIB)
    const session = reached.connect(principal, {
      peerName: 'replica',
      send(output) {
        const bytes = Buffer.concat(output.parts)
        const { lengthBytes } = output
        output.release()
        waitingBytes += lengthBytes
        const arrive = () => {
          waitingBytes -= lengthBytes
          if (isCut) return
          reader.receive(bytes)
          session.sent(lengthBytes)
        }
        // As with a socket, what is sent arrives later.
        if (isStalled) arrivals.push(arrive)
        else setImmediate(arrive)
      },
      close: () => setImmediate(cut),
      pause: () => undefined,
      resume: () => undefined,
    })
    function cut(): void {
      if (isCut) return
      isCut = true
      cuts.delete(cut)
      session.closed()
      wake()
    }
    cuts.add(cut)
    return {
      send(args) {
        const parts = args.map((arg) => Buffer.from(arg))
        const frames = parts.flatMap((part) => [
          Buffer.from(`$${part.byteLength}\r\n`),
          part,
          Buffer.from('\r\n'),
        ])
        const bytes = Buffer.concat([Buffer.from(`*${parts.length}\r\n`), ...frames])
        setImmediate(() => {
          if (!isCut) session.receive(bytes, bytes.byteLength)
        })
      },
      async next(signal) {
        for (;;) {
          signal.throwIfAborted()
          const reply = replies.shift()
          if (reply !== undefined) return reply
          if (isCut) throw new LinkCut('the connection broke')
          const { promise, resolve } = Promise.withResolvers<void>()
          wake = resolve
          signal.addEventListener('abort', () => resolve(), { once: true })
          await promise
        }
      },
      close: cut,
    }
  }
  return primary
}
