/** A follower over a chain in memory, as an agent uses it: its polls, its restarts, its machine's clock. */
import { LedgerFollower } from '../../agent/ledger/follower.ts'
import type { LedgerPoll, LedgerView } from '../../agent/ledger/types.ts'
import { FAKE_GRID, FakeChain, type FakeSource, type Faults, fakeSource } from './fake-ledger.ts'
import { identityOf } from './fake-orders.ts'
import { VirtualClock } from './virtual-clock.ts'

const SELF = identityOf(1).account
const signal = new AbortController().signal

/** A machine whose clock is right: it goes with the true chain. */
class TrueClock extends VirtualClock {
  readonly #chain: FakeChain
  /** Milliseconds by which it is wrong all the same. */
  offMs = 0

  constructor(chain: FakeChain) {
    super()
    this.#chain = chain
  }

  override now(): number {
    return this.#chain.head.timestamp * 1000 + this.offMs
  }
}

/** See the file's comment. Node 1 is its own; there are four. */
export class Following {
  readonly chain = new FakeChain()
  readonly clock = new TrueClock(this.chain)
  time: 'real' | 'warped' = 'real'
  readonly sources: FakeSource[]
  follower: LedgerFollower
  known: LedgerView | undefined
  last: LedgerPoll | undefined

  constructor(...faults: Faults[]) {
    const all = faults.length === 0 ? [{}] : faults
    this.sources = all.map((fault, index) => fakeSource(this.chain, fault, `rpc${index}`))
    this.follower = this.#make()
    this.chain.mine((acts) => {
      for (let i = 0; i < 4; i++) acts.register()
    })
    this.chain.mineMany(3)
  }

  #make(): LedgerFollower {
    const { sources, clock, time } = this
    const parts = { sources, clock, time, account: SELF, grid: FAKE_GRID }
    return new LedgerFollower({ ...parts, stallMs: 5000, pollMs: 100 })
  }

  /** A new process with the state of the old. */
  restart(): void {
    this.follower = this.#make()
  }

  async poll(): Promise<string> {
    const poll = await this.follower.poll(this.known, signal)
    this.last = poll
    if (poll.view) this.known = poll.view
    return poll.status.code ?? (poll.view ? 'advanced' : 'idle')
  }

  /** Blocks until what was mined last is final, then a poll. */
  async settle(): Promise<string> {
    this.chain.mineMany(3)
    return this.poll()
  }

  orders(): string {
    const orders = this.known?.orders ?? []
    return orders.map(({ id, kind, state }) => `${id} ${kind} ${state}`).join(', ')
  }
}
