/**
 * Keeps one namespace a copy of the primary's: dials, claims what it has, takes over what comes, acknowledges what is
 * durable, and begins again when the link is lost.
 *
 * A copy that turns out not to be the beginning of the primary's log stops and keeps what it has: which of the two is right
 * is for people to say.
 */
import { isDeepStrictEqual } from 'node:util'
import { describeError, isNodeError, NodeError } from '../../../base/errors.ts'
import { linkedAbort } from '../../../base/linked-abort.ts'
import type { Namespace } from '../namespace.ts'
import type { NamespaceProperties } from '../namespace-properties.ts'
import type { PrimaryDialer, PrimaryLink } from '../ports.ts'
import type { LogStore } from '../store.ts'
import { verifyConsistency } from '../tree/log-proof.ts'
import { type Claim, claimOf } from './claim.ts'
import {
  type Accepted,
  acknowledge,
  type FeedMessage,
  logIn,
  nextMessage,
  offerClaim,
} from './primary-protocol.ts'
import type { ReplicaFacts } from './replica-control.ts'
import { ReplicaLog } from './replica-log.ts'

/** Before the first new try, doubled with each; half of it is left to chance, so that many replicas do not come at once. */
const RETRY_MS_MIN = 250
/** A primary that comes back is found within this time. */
const RETRY_MS_MAX = 30_000

/** Of the primary, for all namespaces. */
export interface PrimaryAccess {
  readonly dialer: PrimaryDialer
  /** Of its admin, where it has one. */
  readonly password: Uint8Array | undefined
  /** What this replica calls itself. */
  readonly name: string
}

/** The replica of one namespace. */
export class NamespaceReplica {
  readonly #store: LogStore
  readonly #access: PrimaryAccess
  readonly #name: string
  #state: ReplicaFacts['state'] = 'connecting'
  #position = 0
  #primaryPosition = 0
  #problem = ''
  /** Of the last connection. */
  #replica: ReplicaLog | undefined
  #retryMs = RETRY_MS_MIN

  /** @param name - Of the namespace, here and there. */
  constructor(store: LogStore, access: PrimaryAccess, name: string) {
    this.#store = store
    this.#access = access
    this.#name = name
  }

  get facts(): ReplicaFacts {
    return {
      namespace: this.#name,
      state: this.#state,
      position: this.#position,
      primaryPosition: this.#primaryPosition,
      problem: this.#problem,
    }
  }

  /** Follows until told to stop, or until the two logs turn out to be different ones. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, chance, log } = this.#store.ports
    while (!signal.aborted) {
      try {
        await this.#followOnce(signal)
      } catch (caught) {
        if (signal.aborted) break
        this.#problem = describeError(caught)
        const isFinal = isNodeError(caught, 'LOG_REPLICA_DIVERGED')
        this.#state = isFinal ? 'diverged' : 'connecting'
        log.warn({ namespace: this.#name, cause: this.#problem }, 'replication was interrupted')
        if (isFinal) return
      }
      const waitMs = this.#retryMs / 2 + chance.below(Math.ceil(this.#retryMs / 2))
      this.#retryMs = Math.min(RETRY_MS_MAX, this.#retryMs * 2)
      await clock.sleep(waitMs, signal).catch(() => undefined)
    }
    this.#state = 'stopped'
  }

  /** One connection, until it is lost. */
  async #followOnce(signal: AbortSignal): Promise<void> {
    const { dialer, password, name } = this.#access
    const link = await dialer.dial(signal)
    try {
      if (password) await logIn(link, password, signal)
      const found = this.#store.namespaces.get(this.#name)
      const known = this.#replica?.namespace === found ? this.#replica?.last : undefined
      const claim = found ? await claimOf(found, known) : NOTHING
      const accepted = await offerClaim(link, this.#name, name, claim, signal)
      checkProof(claim, accepted)
      const namespace = await this.#adopt(found, accepted.properties)
      const replica = new ReplicaLog(namespace, claim.size, known)
      this.#replica = replica
      const hasTree = namespace.tree !== undefined
      // The properties may have brought a tree, which begins at the first record.
      if (claim.size > 0 && hasTree !== (claim.root !== undefined)) return
      this.#state = 'following'
      this.#problem = ''
      await this.#take(link, replica, signal)
    } finally {
      link.close()
    }
  }

  async #take(link: PrimaryLink, replica: ReplicaLog, signal: AbortSignal): Promise<void> {
    const lost = linkedAbort(signal)
    const acknowledging = new Acknowledger(link, replica, (position) => {
      this.#position = position
    })
    // What fails while it is made durable ends the connection too.
    acknowledging.failed.catch((caught: unknown) => lost.abort(caught))
    try {
      for (;;) {
        const message = await nextMessage(link, lost.signal)
        this.#retryMs = RETRY_MS_MIN
        if (message.kind === 'properties') await this.#adopt(replica.namespace, message.properties)
        else this.#apply(replica, message)
        acknowledging.wake()
      }
    } finally {
      lost.release()
    }
  }

  #apply(replica: ReplicaLog, message: Exclude<FeedMessage, { kind: 'properties' }>): void {
    if (message.kind === 'records') replica.apply(message.batch)
    else replica.applied = Math.max(replica.applied, message.position)
    this.#primaryPosition = Math.max(this.#primaryPosition, replica.applied)
  }

  /** Brings a namespace to the primary's properties, and makes it if there is none. */
  async #adopt(found: Namespace | undefined, properties: NamespaceProperties): Promise<Namespace> {
    const wanted = { ...properties, name: this.#name, isReplica: true }
    if (!found) return this.#store.create(this.#name, wanted)
    if (!isDeepStrictEqual(found.properties, wanted)) await found.change(wanted)
    return found
  }
}

/** Acknowledges what is durable, as fast as the disk makes it so; what comes meanwhile shares the next sync. */
class Acknowledger {
  readonly failed: Promise<never>
  readonly #link: PrimaryLink
  readonly #replica: ReplicaLog
  readonly #onDurable: (position: number) => void
  readonly #fail: (caught: unknown) => void
  #isRunning = false
  #isDue = false

  constructor(link: PrimaryLink, replica: ReplicaLog, onDurable: (position: number) => void) {
    this.#link = link
    this.#replica = replica
    this.#onDurable = onDurable
    const { promise, reject } = Promise.withResolvers<never>()
    this.failed = promise
    this.#fail = reject
  }

  wake(): void {
    this.#isDue = true
    if (this.#isRunning) return
    this.#isRunning = true
    this.#run()
      .catch(this.#fail)
      .finally(() => {
        this.#isRunning = false
      })
  }

  async #run(): Promise<void> {
    while (this.#isDue) {
      this.#isDue = false
      const position = await this.#replica.settle()
      this.#onDurable(position)
      acknowledge(this.#link, position)
    }
  }
}

const NOTHING: Claim = { size: 0, logIds: [], root: undefined, last: undefined }

/** The primary's log must be a continuation of what is here, by proof and not by its word. */
function checkProof(claim: Claim, { proof }: Accepted): void {
  if (!proof || !claim.root || claim.size === 0) return
  const { size, root, path } = proof
  if (verifyConsistency(claim.root, claim.size, root, size, path)) return
  throw new NodeError(
    'LOG_REPLICA_DIVERGED',
    `the primary does not prove that its log continues the ${claim.size} records here`,
  )
}
