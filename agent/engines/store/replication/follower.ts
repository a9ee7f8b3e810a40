/**
 * One replica, as its primary sees it: sends what comes next as long as the connection takes it, and keeps what the replica
 * acknowledged.
 *
 * Everything is read from the segments when the connection has room for it, so a slow replica holds no memory but one batch
 * and what its socket was given. Only what is durable here is sent: a replica is never ahead of what its primary still
 * has after a power loss.
 */
import { describeError, NodeError } from '../../../base/errors.ts'
import { MIB } from '../../../base/units.ts'
import type { LogFollower, Namespace } from '../namespace.ts'
import { wordsOf } from '../resp/replies.ts'
import type { Session, SessionStream } from '../resp/session.ts'
import { RecordFeed } from './record-feed.ts'

/** Not more than this waits in a connection: enough to keep a fast link busy. */
const BACKLOG_BYTES_MAX = MIB
/** A replica that says nothing for so long is gone: it answers each beat, which comes every second. */
const SILENCE_MS_MAX = 60_000
/** A replica that has everything still hears so often where the primary is. */
export const BEAT_MS = 1000

/** What people are shown of a replica. */
export interface FollowerFacts {
  readonly name: string
  readonly peer: string
  readonly namespace: string
  readonly acknowledged: number
  /** Records of the primary that it has not acknowledged. */
  readonly lagRecords: number
  /** Since it last acknowledged all there was, 0 while it does. */
  readonly lagMs: number
}

/** A replica that is connected. */
export class Follower implements LogFollower, SessionStream {
  readonly namespace: Namespace
  /** As the replica calls itself. */
  readonly name: string
  readonly #session: Session
  readonly #feed: RecordFeed
  readonly #onAcknowledged: () => void
  readonly #onClosed: (follower: Follower) => void
  #acknowledged: number
  /** All that exists before this was given out, and the replica was told so; -1 while neither was the case. */
  #completeUpTo = -1
  #toldUpTo = -1
  #isSending = false
  #isDue = false
  #revision: number
  #heardMs: number
  #evenMs: number
  #isEnded = false

  /**
   * @param options.position - What the replica has, durable.
   * @param options.onAcknowledged - Called when it has more.
   * @param options.onClosed - Called when it is gone.
   */
  constructor(options: {
    readonly session: Session
    readonly namespace: Namespace
    readonly name: string
    readonly position: number
    readonly onAcknowledged: () => void
    readonly onClosed: (follower: Follower) => void
  }) {
    const { session, namespace, name, position } = options
    this.#session = session
    this.namespace = namespace
    this.name = name
    this.#feed = new RecordFeed(namespace, position, { withRoots: true })
    this.#acknowledged = position
    this.#onAcknowledged = options.onAcknowledged
    this.#onClosed = options.onClosed
    this.#revision = namespace.revision
    this.#heardMs = this.#nowMs()
    this.#evenMs = this.#heardMs
  }

  /** Count of records that the replica has, durable. */
  get acknowledged(): number {
    return this.#acknowledged
  }

  get facts(): FollowerFacts {
    const { namespace, name } = this
    const lagRecords = Math.max(0, namespace.log.appended - this.#acknowledged)
    return {
      name,
      peer: this.#session.host.peerName,
      namespace: namespace.name,
      acknowledged: this.#acknowledged,
      lagRecords,
      lagMs: lagRecords === 0 ? 0 : Math.round(this.#nowMs() - this.#evenMs),
    }
  }

  /** Starts sending. */
  start(): void {
    this.namespace.followers.add(this)
    this.wake()
  }

  /** The replica has everything before a position, durable. */
  acknowledge(position: number): void {
    this.#heardMs = this.#nowMs()
    if (position > this.#feed.position && position > this.#toldUpTo) {
      this.#end(new NodeError('LOG_REPLICA_DIVERGED', `acknowledged ${position}, never sent`))
      return
    }
    this.#acknowledged = Math.max(this.#acknowledged, position)
    if (this.#acknowledged >= this.namespace.log.appended) this.#evenMs = this.#heardMs
    this.#onAcknowledged()
  }

  /** Sends what there is, as far as the connection takes it. */
  wake(): void {
    this.#isDue = true
    // A connection may say that something was sent while it is being given it.
    if (this.#isSending) return
    this.#isSending = true
    try {
      while (this.#isDue && !this.#isEnded) {
        this.#isDue = false
        this.#sendWhatFits()
        this.#session.push()
      }
    } catch (caught) {
      this.#end(caught)
    } finally {
      this.#isSending = false
    }
  }

  /** Called every second: tells the replica where the primary is, and gives up one that is gone. */
  beat(): void {
    const nowMs = this.#nowMs()
    if (this.#acknowledged >= this.namespace.log.appended) this.#evenMs = nowMs
    if (nowMs - this.#heardMs > SILENCE_MS_MAX) {
      this.#end(new NodeError('LOG_PRIMARY_LOST', 'the replica says nothing any more'))
      return
    }
    this.wake()
    if (this.#isEnded || this.#session.backlogBytes > 0 || this.#completeUpTo < 0) return
    this.#sendPosition()
    this.#session.push()
  }

  sent(): void {
    this.wake()
  }

  closed(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.namespace.followers.delete(this)
    this.#onClosed(this)
  }

  #sendWhatFits(): void {
    if (this.namespace.isGone) throw new NodeError('LOG_NAMESPACE_UNKNOWN', 'removed')
    this.#sendProperties()
    while (this.#session.backlogBytes < BACKLOG_BYTES_MAX) {
      if (this.#sendRecords()) continue
      // The last records may be gone: then there is nothing to send, and yet the replica is complete.
      this.#completeUpTo = Math.max(this.#feed.position, this.namespace.log.durable)
      if (this.#completeUpTo > Math.max(this.#feed.position, this.#toldUpTo)) this.#sendPosition()
      return
    }
  }

  #sendRecords(): boolean {
    const { writer } = this.#session
    const batch = this.#feed.next()
    if (!batch) return false
    writer.array(5)
    writer.text('RECORDS')
    writer.integer(batch.from)
    writer.integer(batch.next)
    writer.bulk(batch.records)
    writer.bulk(batch.goneRoots)
    return true
  }

  /** All that exists before this position was sent. */
  #sendPosition(): void {
    this.#toldUpTo = this.#completeUpTo
    const { writer } = this.#session
    writer.array(2)
    writer.text('POSITION')
    writer.integer(this.#toldUpTo)
  }

  #sendProperties(): void {
    const { revision, properties } = this.namespace
    if (revision === this.#revision) return
    this.#revision = revision
    const { writer } = this.#session
    writer.array(2)
    writer.text('PROPERTIES')
    writer.text(JSON.stringify(properties))
  }

  #end(caught: unknown): void {
    const session = this.#session
    this.closed()
    const { log } = session.server.store.ports
    log.warn({ replica: this.name, cause: describeError(caught) }, 'replica is cut off')
    session.writer.error(`REPLICATION ${wordsOf(caught)}`)
    session.close()
    session.push()
  }

  #nowMs(): number {
    return this.#session.server.store.ports.clock.monotonic()
  }
}
