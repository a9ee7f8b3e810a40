/**
 * Links in memory for the simulation: the same port, with delays and cuts that a seed decides and a clock that the test
 * moves. Held to the same conformance suite as the real links.
 *
 * A cut is what a pulled cable is: what is under way is lost, and both ends notice either at once or after the time that
 * real links take to notice silence.
 */
import { NodeError } from '../../agent/base/errors.ts'
import type { Account } from '../../agent/base/ids.ts'
import type { Chance, Clock } from '../../agent/base/ports.ts'
import { BoundedQueue } from '../../agent/base/queue.ts'
import {
  type InboundHandler,
  type LinkPolicy,
  type LinkStream,
  type Links,
  type LinksStatus,
  linkClosed,
} from '../../agent/engines/links/index.ts'

/** Bytes in flight each way on one stream, as the first window of yamux. */
const IN_FLIGHT_BYTES = 256 * 1024

/** What a network of fakes is made of. */
export interface FakeNetworkInit {
  readonly clock: Clock
  readonly chance: Chance
  /** Each message is delayed by `0..delayMsMax`, in order; 0 delivers at once. */
  readonly delayMsMax: number
}

/** All fake links that can reach each other. */
export class FakeNetwork {
  readonly #init: FakeNetworkInit
  readonly #nodes = new Map<Account, FakeLinks>()
  readonly #cuts = new Set<string>()
  readonly #streams = new Set<FakeConnection>()

  constructor(init: FakeNetworkInit) {
    this.#init = init
  }

  /** Links of a node; a second call for one account is the node after a restart. */
  links(account: Account): Links {
    this.#nodes.get(account)?.crash()
    const links = new FakeLinks(account, this)
    this.#nodes.set(account, links)
    return links
  }

  /** Cuts the cable between two nodes; both ends of each stream notice after `noticedAfterMs`. */
  cut(one: Account, other: Account, noticedAfterMs = 0): void {
    this.#cuts.add(pairOf(one, other))
    for (const stream of this.#streams) {
      if (stream.joins(one, other)) stream.lose(noticedAfterMs)
    }
  }

  /** Mends the cable; streams that were cut stay broken. */
  mend(one: Account, other: Account): void {
    this.#cuts.delete(pairOf(one, other))
  }

  /** @internal */
  async open(from: FakeLinks, to: Account, service: string): Promise<LinkStream> {
    await this.delay()
    const target = this.#nodes.get(to)
    const isReachable = target && !target.closed && !this.#cuts.has(pairOf(from.account, to))
    if (!isReachable || !target.allows(from.account)) {
      throw new NodeError('LINK_UNREACHABLE', `no address of ${to} led to it`)
    }
    const handler = target.handlers.get(service)
    if (!handler) {
      throw new NodeError('LINK_SERVICE_UNKNOWN', `${to} offers no service "${service}"`)
    }
    const connection = new FakeConnection(from.account, to, this)
    this.#streams.add(connection)
    const { theirs } = connection
    Promise.resolve()
      .then(() => handler(theirs))
      .catch((reason) => theirs.abort(reason))
    return connection.ours
  }

  /** @internal */
  breakStreams(account: Account, isBroken: (peer: Account) => boolean): void {
    for (const stream of this.#streams) {
      const peer = stream.peerOf(account)
      if (peer !== undefined && isBroken(peer)) stream.lose(0)
    }
  }

  /** @internal */
  forget(stream: FakeConnection): void {
    this.#streams.delete(stream)
  }

  /** @internal */
  countStreams(one: Account, other: Account): number {
    return [...this.#streams].filter((stream) => stream.joins(one, other)).length
  }

  /** @internal */
  async delay(): Promise<void> {
    const { delayMsMax, chance, clock } = this.#init
    if (delayMsMax > 0) await clock.sleep(chance.below(delayMsMax + 1))
  }

  /** @internal */
  get clock(): Clock {
    return this.#init.clock
  }
}

const pairOf = (one: Account, other: Account) => [one, other].sort().join(' ')

class FakeLinks implements Links {
  readonly account: Account
  readonly handlers = new Map<string, InboundHandler>()
  readonly #network: FakeNetwork
  #allowed: ReadonlySet<Account> = new Set()
  #peers: readonly Account[] = []
  closed = false

  constructor(account: Account, network: FakeNetwork) {
    this.account = account
    this.#network = network
  }

  allows(peer: Account): boolean {
    return peer === this.account || this.#allowed.has(peer)
  }

  setPolicy(policy: LinkPolicy): void {
    this.#peers = policy.peers.map((peer) => peer.account)
    this.#allowed = new Set([...this.#peers, ...policy.guests])
    this.#network.breakStreams(this.account, (peer) => !this.allows(peer))
  }

  async dial(peer: Account, service: string, signal: AbortSignal): Promise<LinkStream> {
    signal.throwIfAborted()
    if (!this.allows(peer)) {
      throw new NodeError('LINK_PEER_UNKNOWN', `${peer} is neither a node nor a guest`)
    }
    if (this.closed) throw new NodeError('LINK_UNREACHABLE', 'these links are closed')
    const { promise: aborted, reject } = Promise.withResolvers<never>()
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    const opening = this.#network.open(this, peer, service)
    try {
      return await Promise.race([opening, aborted])
    } catch (caught) {
      opening.then((late) => late.abort(caught)).catch(() => undefined)
      throw caught
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  async onInbound(service: string, handler: InboundHandler): Promise<void> {
    this.handlers.set(service, handler)
  }

  status(): LinksStatus {
    return {
      account: this.account,
      listening: [`fake ${this.account}`],
      refused: { strangers: 0, tooFast: 0, tooMany: 0 },
      silent: 0,
      removed: 0,
      peers: this.#peers.map((account) => {
        const streams = this.#network.countStreams(this.account, account)
        return {
          account,
          state: streams > 0 ? 'linked' : 'idle',
          connections: Math.min(streams, 1),
          streams,
          rttMs: undefined,
          bytesIn: 0,
          bytesOut: 0,
          failures: 0,
          lastFailure: undefined,
        }
      }),
    }
  }

  async close(): Promise<void> {
    this.crash()
  }

  crash(): void {
    this.closed = true
    this.#network.breakStreams(this.account, () => true)
  }
}

/** One stream: two ends, and a carrier each way that takes its time. */
class FakeConnection {
  readonly ours: LinkStream
  readonly theirs: LinkStream
  readonly #from: Account
  readonly #to: Account
  readonly #network: FakeNetwork
  readonly #queues: readonly BoundedQueue<Uint8Array>[]
  #lost = false
  #waysOpen = 2

  constructor(from: Account, to: Account, network: FakeNetwork) {
    this.#from = from
    this.#to = to
    this.#network = network
    const queue = () =>
      new BoundedQueue<Uint8Array>({ limit: IN_FLIGHT_BYTES, weigh: (bytes) => bytes.byteLength })
    const [sent, arriving, answered, returning] = [queue(), queue(), queue(), queue()]
    this.#queues = [sent, arriving, answered, returning]
    this.ours = this.#end(to, sent, returning)
    this.theirs = this.#end(from, answered, arriving)
    void this.#carry(sent, arriving)
    void this.#carry(answered, returning)
  }

  joins(one: Account, other: Account): boolean {
    return this.peerOf(one) === other
  }

  peerOf(account: Account): Account | undefined {
    if (account === this.#from) return this.#to
    return account === this.#to ? this.#from : undefined
  }

  /** Nothing arrives any more; the ends notice after a while. */
  lose(noticedAfterMs: number): void {
    this.#lost = true
    if (noticedAfterMs === 0) this.#break(undefined)
    else void this.#network.clock.sleep(noticedAfterMs).then(() => this.#break(undefined))
  }

  #break(reason: unknown): void {
    const failure = linkClosed(reason)
    for (const queue of this.#queues) queue.fail(failure)
    this.#network.forget(this)
  }

  async #carry(from: BoundedQueue<Uint8Array>, to: BoundedQueue<Uint8Array>): Promise<void> {
    try {
      for (let bytes = await from.take(); bytes; bytes = await from.take()) {
        await this.#network.delay()
        if (this.#lost) return
        await to.push(bytes)
      }
      await this.#network.delay()
      if (this.#lost) return
      to.end()
      this.#waysOpen--
      if (this.#waysOpen === 0) this.#network.forget(this)
    } catch {
      // The stream broke; its ends know.
    }
  }

  #end(
    peer: Account,
    outgoing: BoundedQueue<Uint8Array>,
    incoming: BoundedQueue<Uint8Array>,
  ): LinkStream {
    let ended = false
    return {
      peer,
      read: () => incoming.take(),
      async write(bytes) {
        if (ended) throw linkClosed()
        if (bytes.byteLength > 0) await outgoing.push(bytes)
      },
      async end() {
        ended = true
        outgoing.end()
      },
      abort: (reason) => this.#break(reason),
    }
  }
}
