/**
 * The links between simulated machines: a request crosses to the store of a peer and its answer crosses back, each way
 * delayed, lost or cut. Who is not in the other's list of peers does not get through.
 */
import { NodeError } from '../../agent/base/errors.ts'
import type { Account } from '../../agent/base/ids.ts'
import type { Chance, Clock } from '../../agent/base/ports.ts'
import type { ShardStore } from '../../agent/engines/disperse/index.ts'
import type { LinksUnitConfig } from '../../agent/state/unit-config.ts'
import type { SimProcess } from './sim-process.ts'
import type { SimStore } from './sim-store.ts'

/** The production client waits this long for an answer. */
const ANSWER_MS_MAX = 15_000

/** A machine as its peers see it. */
export interface SimPeer {
  readonly account: Account
  readonly store: SimStore
  /** What its links unit was told; undefined while none runs. */
  readonly links: LinksUnitConfig | undefined
}

/** All links. */
export class SimNetwork {
  readonly #clock: Clock
  readonly #chance: Chance
  readonly #peers = new Map<Account, SimPeer>()
  readonly #cuts = new Set<string>()
  /** Milliseconds that a crossing takes at most. */
  delayMsMax = 8
  /** Of 1000 crossings, how many get lost; the other end hears nothing. */
  lossPerMille = 0

  constructor(clock: Clock, chance: Chance) {
    this.#clock = clock
    this.#chance = chance
  }

  join(peer: SimPeer): void {
    this.#peers.set(peer.account, peer)
  }

  cut(one: Account, other: Account): void {
    this.#cuts.add(pairOf(one, other))
  }

  mendAll(): void {
    this.#cuts.clear()
    this.lossPerMille = 0
    this.delayMsMax = 8
  }

  /**
   * A namespace on a peer.
   *
   * @param process - Who asks; when it dies, no answer reaches it.
   */
  shardStore(
    process: SimProcess,
    from: SimPeer,
    to: Account,
    namespace: string,
  ): ShardStore & { close(): void } {
    let isClosed = false
    const ask = <T>(signal: AbortSignal, act: (store: SimStore) => Promise<T> | T): Promise<T> => {
      if (isClosed) return Promise.reject(unreachable('the connection was closed'))
      return process.outlived(this.#ask(from, to, signal, act))
    }
    const me = from.account
    return {
      close: () => {
        isClosed = true
      },
      put: (key, value, signal) => {
        const copy = value.slice()
        return ask(signal, (store) => store.put(me, namespace, hex(key), copy))
      },
      putNew: (key, value, signal) => {
        const copy = value.slice()
        return ask(signal, (store) => store.putNew(me, namespace, hex(key), copy))
      },
      get: (key, signal) => ask(signal, (store) => store.get(me, namespace, hex(key))?.slice()),
      getRange: (key, offset, lengthBytes, signal) =>
        ask(signal, (store) =>
          store.get(me, namespace, hex(key))?.slice(offset, offset + lengthBytes),
        ),
      list: async (prefix, after, limit, signal) => {
        const start = after ? hex(after) : ''
        const keys = await ask(signal, (store) =>
          store.list(me, namespace, hex(prefix), start, limit),
        )
        return keys.map((key) => new Uint8Array(Buffer.from(key, 'hex')))
      },
      delete: (key, signal) => ask(signal, (store) => store.delete(me, namespace, hex(key))),
    }
  }

  async #ask<T>(
    from: SimPeer,
    to: Account,
    signal: AbortSignal,
    act: (store: SimStore) => Promise<T> | T,
  ): Promise<T> {
    signal.throwIfAborted()
    const given = new AbortController()
    const gaveUp = Promise.withResolvers<never>()
    const onAbort = () => gaveUp.reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    this.#clock.sleep(ANSWER_MS_MAX, given.signal).then(
      () => gaveUp.reject(unreachable('no answer')),
      () => undefined,
    )
    const answer = this.#exchange(from, to, act)
    answer.catch(() => undefined)
    try {
      return await Promise.race([answer, gaveUp.promise])
    } finally {
      signal.removeEventListener('abort', onAbort)
      given.abort()
      gaveUp.promise.catch(() => undefined)
    }
  }

  async #exchange<T>(
    from: SimPeer,
    to: Account,
    act: (store: SimStore) => Promise<T> | T,
  ): Promise<T> {
    const peer = this.#peers.get(to)
    if (!from.links) throw unreachable('the own links unit does not run')
    if (!peer?.links) {
      await this.#clock.sleep(1 + this.#chance.below(20))
      throw unreachable('nobody listens there')
    }
    if (peer !== from) {
      const knows = (one: SimPeer, other: Account) =>
        one.links?.peers.some(({ account }) => account === other) ?? false
      if (!knows(from, to) || !knows(peer, from.account))
        throw unreachable('refused at the handshake')
    }
    await this.#cross(from.account, to)
    if (!peer.links || !peer.store.isRunning) throw unreachable('the store does not run')
    const result = await act(peer.store)
    if (!peer.links) throw unreachable('the peer went away')
    await this.#cross(from.account, to)
    return result
  }

  /** One way of a message; a lost one never arrives. */
  async #cross(one: Account, other: Account): Promise<void> {
    if (one === other) return
    await this.#clock.sleep(this.#chance.below(this.delayMsMax + 1))
    const isLost = this.#chance.below(1000) < this.lossPerMille
    if (isLost || this.#cuts.has(pairOf(one, other))) await new Promise(() => undefined)
  }
}

function pairOf(one: Account, other: Account): string {
  return [one, other].sort().join(' ')
}

function unreachable(message: string): NodeError {
  return new NodeError('STORE_UNREACHABLE', message, { retryAfterMs: 250 })
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
