/** All replicas that are connected to a store, their beat, and who waits for them (REPLWAIT). */
import { describeError } from '../../../base/errors.ts'
import type { Namespace } from '../namespace.ts'
import type { LogPorts } from '../ports.ts'
import type { Session } from '../resp/session.ts'
import { BEAT_MS, Follower } from './follower.ts'

/** Replicas at once: each reads the log for itself. */
export const FOLLOWERS_MAX = 1024

interface ReplicaWaiter {
  readonly namespace: Namespace
  readonly position: number
  readonly count: number
  readonly done: () => void
}

/** The replicas of one store. */
export class Followers {
  readonly all = new Set<Follower>()
  readonly #ports: LogPorts
  readonly #waiters = new Set<ReplicaWaiter>()
  #isBeating = false

  constructor(ports: LogPorts) {
    this.#ports = ports
  }

  /** Those of one namespace. */
  of(namespace: Namespace): Follower[] {
    return [...this.all].filter((one) => one.namespace === namespace)
  }

  /** Lets a session be a replica from now on. */
  join(session: Session, namespace: Namespace, name: string, position: number): Follower {
    const follower = new Follower({
      session,
      namespace,
      name,
      position,
      onAcknowledged: () => this.#settle(),
      onClosed: (gone) => this.all.delete(gone),
    })
    this.all.add(follower)
    session.stream = follower
    if (!this.#isBeating) void this.#beat()
    return follower
  }

  /** Count of replicas that have a namespace up to a position, durable. */
  countWith(namespace: Namespace, position: number): number {
    return this.of(namespace).filter((one) => one.acknowledged >= position).length
  }

  /**
   * Waits until so many replicas have everything that a namespace holds now.
   *
   * @param timeoutMs - Gives up after so long.
   * @returns How many have it then.
   */
  async wait(namespace: Namespace, count: number, timeoutMs: number): Promise<number> {
    const { log } = namespace
    log.flush()
    const position = log.appended
    // Replicas are sent what is durable: whoever waits need not wait for the group's sync too.
    void log.makeDurable()
    const reached = Promise.withResolvers<void>()
    const waiter = { namespace, position, count, done: reached.resolve }
    const abort = new AbortController()
    this.#waiters.add(waiter)
    this.#settle()
    const timeout = this.#ports.clock.sleep(timeoutMs, abort.signal)
    timeout.catch(() => undefined)
    await Promise.race([reached.promise, timeout])
    abort.abort()
    this.#waiters.delete(waiter)
    return this.countWith(namespace, position)
  }

  #settle(): void {
    for (const waiter of this.#waiters) {
      if (this.countWith(waiter.namespace, waiter.position) >= waiter.count) waiter.done()
    }
  }

  async #beat(): Promise<void> {
    this.#isBeating = true
    while (this.all.size > 0) {
      await this.#ports.clock.sleep(BEAT_MS)
      for (const follower of this.all) {
        try {
          follower.beat()
        } catch (caught) {
          this.#ports.log.error({ cause: describeError(caught) }, 'a replica could not be told')
        }
      }
    }
    this.#isBeating = false
  }
}
