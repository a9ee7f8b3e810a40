/**
 * Follows the ledger over several endpoints, of which a minority may be slow, wrong or lying.
 *
 * Each poll asks every endpoint for its head, picks the highest final block that a majority has, lets each of them read
 * the whole view there, and adopts it if a majority of all configured endpoints gives the same bytes. Whatever else
 * happens becomes a waiting code, and what is known stays as it is.
 *
 * What is known may itself be wrong: an endpoint lied, or the chain broke its finality. When a majority contradicts it in two polls
 * running and still has a block that was known before, everything is read anew ({@link Doubt}), and nothing is deleted for a grace.
 */
import { createHash } from 'node:crypto'
import { assert } from '../base/assert.ts'
import { Backoff } from '../base/backoff.ts'
import { codeOf, describeMessage, NodeError } from '../base/errors.ts'
import type { Account } from '../base/ids.ts'
import type { Clock } from '../base/ports.ts'
import { SECOND_MS } from '../base/units.ts'
import { NODES_ABI, ORDERS_ABI, POLICY_ABI } from './abi.ts'
import { BlockPace } from './block-pace.ts'
import { decodePolicy, decodeReturn } from './decode.ts'
import { Doubt } from './doubt.ts'
import { LEDGER_ERRORS, type LedgerErrorCode } from './errors.ts'
import { implausibility, pastOf, timeAt, trailAfter } from './ledger-time.ts'
import { type Counters, isWorthReading, nextChangeOf } from './news.ts'
import type { LedgerSource } from './ports.ts'
import { readPin, readView } from './read-view.ts'
import type {
  BlockRef,
  GridPin,
  LedgerCursor,
  LedgerPoll,
  LedgerStatus,
  LedgerView,
  SourceStatus,
  TrailBlock,
} from './types.ts'

/** More endpoints would cost more than they add to trust. */
export const SOURCES_MAX = 9

/** What a follower is made of. */
export interface FollowerInit {
  /** `[n]` endpoints, `1..SOURCES_MAX`. */
  readonly sources: readonly LedgerSource[]
  readonly account: Account
  readonly grid: Account
  readonly clock: Clock
  /** Whether this node keeps others to their audits, where policy pays for it; false if left out. */
  readonly keeps?: boolean
  /** Milliseconds without a new final block after which the status says that the ledger stalls, `> 0`. */
  readonly stallMs: number
  /** `warped` for a chain of tests whose time is moved by hand: it is compared with no clock. */
  readonly time: 'real' | 'warped'
  /** Shortest time between two polls, milliseconds, `> 0`. */
  readonly pollMs: number
}

/** Wait between polls that fail: an endpoint that comes back is noticed within it. */
const BACKOFF_MS = { minMs: 250, maxMs: 15 * SECOND_MS }
/** Blocks that may come between two polls that fail. */
const FAILING_BLOCKS_MAX = 2
/** What a block takes as long as nobody knows. */
const PACE_MS_UNKNOWN = 2 * SECOND_MS
/** Failures after which an endpoint may be another than it was, so that its contracts are compared anew. */
const SUSPICIOUS: ReadonlySet<string> = new Set([
  ...['LEDGER_WRONG_CHAIN', 'LEDGER_WRONG_GRID', 'LEDGER_FORKED', 'LEDGER_RESPONSE_INVALID'],
])

/** From where on a poll reads. */
interface Start {
  /** What is gone on from; undefined to read everything. */
  readonly known: LedgerView | undefined
  /** Contracts that must be there; undefined at first start. */
  readonly pin: GridPin | undefined
}

/** What one poll gave, but when to poll again. */
type Polled = Omit<LedgerPoll, 'nextMs'>

/** What one look at all endpoints gave. */
interface Look extends Polled {
  /** Failures, one for each endpoint that had one. */
  readonly failures: readonly unknown[]
}

interface Head {
  readonly source: LedgerSource
  readonly pin: GridPin
  readonly latest: BlockRef
  readonly finalized: BlockRef
  /** Highest block that is final by the chain's rule and by policy. */
  readonly final: number
  /** Undefined at first start. */
  readonly counters: Counters | undefined
}

type Answer<T> =
  | { readonly source: LedgerSource; readonly value: T }
  | { readonly source: LedgerSource; readonly failure: unknown }

/** Reads the ledger at finality; remembers only which endpoints it has verified. */
export class LedgerFollower {
  readonly #init: FollowerInit
  readonly #majority: number
  /** Endpoints whose contracts were compared with the pin since they last failed. */
  readonly #verified = new Map<LedgerSource, GridPin>()
  /** Whether what is adopted has no witness but its one endpoint. */
  readonly #isAlone: boolean
  readonly #doubt: Doubt
  readonly #pace: BlockPace
  readonly #backoff: Backoff
  #heightSeen = -1
  #advancedAt: number | undefined
  #waitingSinceMs: number | undefined
  /** The cursor that this process adopted, and when: for what passed since, a clock that nobody sets is better. */
  #adopted: { readonly hash: string; readonly at: number } | undefined

  constructor(init: FollowerInit) {
    const count = init.sources.length
    assert(count >= 1 && count <= SOURCES_MAX, 'there are 1 to SOURCES_MAX endpoints')
    this.#init = init
    this.#majority = Math.floor(count / 2) + 1
    this.#isAlone = new Set(init.sources.map(({ name }) => name)).size < 2
    this.#doubt = new Doubt(init.clock)
    this.#pace = new BlockPace(init.pollMs)
    const minMs = Math.max(init.pollMs, BACKOFF_MS.minMs)
    this.#backoff = new Backoff({ minMs, maxMs: Math.max(minMs, BACKOFF_MS.maxMs) })
  }

  /**
   * Asks all endpoints once.
   *
   * @param known - The newest view, undefined at first start.
   * @param signal - Aborts all requests.
   * @returns How it went, and a newer view if there is one. Never throws for what an endpoint does.
   * @throws the signal's reason if it aborts; AssertionError for bugs.
   * @example
   * const { view, status } = await follower.poll(known, signal)
   */
  async poll(known: LedgerView | undefined, signal: AbortSignal): Promise<LedgerPoll> {
    const polled = await this.#poll(known, signal)
    const { state, code } = polled.status
    if (state === 'waiting' && code !== 'LEDGER_STALLED') {
      const nextMs = Math.min(this.#backoff.next(), this.#patienceMs)
      return { ...polled, nextMs }
    }
    this.#backoff.reset()
    return { ...polled, nextMs: this.#pace.waitMs(this.#init.clock.monotonic()) }
  }

  /** Longest wait between polls that fail: a chain that is quick is not to be left for many of its blocks. */
  get #patienceMs(): number {
    const paceMs = this.#pace.paceMs ?? PACE_MS_UNKNOWN
    return Math.max(this.#init.pollMs, SECOND_MS, FAILING_BLOCKS_MAX * paceMs)
  }

  async #poll(known: LedgerView | undefined, signal: AbortSignal): Promise<Polled> {
    const start = { known, pin: known?.cursor.pin }
    const look = await this.#look(start, signal)
    if (!known) return this.#adopt(look, [], 0)
    const { cursor } = known
    if (!this.#doubt.grows(cursor, look.failures, this.#majority)) {
      return this.#adopt(look, pastOf(cursor), cursor.time?.frozenUntil ?? 0)
    }
    const past = await this.#truePast(cursor, signal)
    if (!this.#doubt.isOver(past.length > 0)) return look
    const anew = await this.#look({ known: undefined, pin: start.pin }, signal)
    return anew.view ? this.#adopt(anew, past, this.#frozenUntil(known, anew.view)) : look
  }

  /** Asks all endpoints, and reads a newer view if there is one. */
  async #look(start: Start, signal: AbortSignal): Promise<Look> {
    const { known } = start
    const heads = await this.#ask(this.#init.sources, (source) => this.#head(source, start, signal))
    signal.throwIfAborted()
    const good = heads.flatMap((head) => ('value' in head ? [head.value] : []))
    if (good.length < this.#majority) return this.#waiting(heads, heads)

    const height = this.#nthHighest(good.map(({ final }) => final))
    const finalNumber = this.#nthHighest(good.map(({ finalized }) => finalized.number))
    if (height < 0) {
      const young = new NodeError('LEDGER_NO_FINALITY', 'the chain is younger than its finality')
      return { view: undefined, status: this.#status('waiting', heads, [], young), failures: [] }
    }
    this.#observe(good)
    if (known && !this.#hasNews(known, height, good)) return this.#idle(heads, height, known.cursor)

    const able = good.filter(({ final }) => final >= height)
    const views = await this.#ask(
      able.map(({ source }) => source),
      (source) =>
        this.#view(
          able.find((head) => head.source === source),
          height,
          known,
          signal,
        ),
    )
    signal.throwIfAborted()
    const agreed = this.#agreed(views, known)
    if (!agreed) return this.#waiting(heads, [...heads.filter(failed), ...views])
    const cursor = {
      ...agreed.cursor,
      finalNumber: Math.max(finalNumber, known?.cursor.finalNumber ?? 0),
    }
    return {
      view: { ...agreed, cursor },
      status: this.#status('following', heads, views.filter(failed)),
      failures: [],
    }
  }

  #observe(good: readonly Head[]): void {
    const number = this.#nthHighest(good.map(({ latest }) => latest.number))
    const [told] = good.flatMap(({ latest, finalized }) => {
      const blocks = latest.number - finalized.number
      return blocks === 0 ? [] : [((latest.timestamp - finalized.timestamp) / blocks) * SECOND_MS]
    })
    this.#pace.observe(number, this.#init.clock.monotonic(), told)
  }

  /** Whether the final block of that height is one to read. */
  #hasNews(known: LedgerView, height: number, good: readonly Head[]): boolean {
    if (height <= known.cursor.block.number) return false
    const seconds = Math.max(...good.map(({ finalized }) => finalized.timestamp))
    const counters = good.flatMap((head) => head.counters ?? [])
    return isWorthReading(known, seconds, counters, nextChangeOf(known))
  }

  /** Notes when a view was adopted, what was adopted before it, and what its time is worth. */
  #adopt(look: Look, past: readonly TrailBlock[], frozenUntil: number): Polled {
    const { view, status } = look
    if (!view) return { view, status }
    const { clock } = this.#init
    const { block } = view.cursor
    this.#advancedAt = clock.monotonic()
    this.#adopted = { hash: block.hash, at: clock.monotonic() }
    const time = timeAt(block, clock.now(), this.#isProven, frozenUntil)
    const cursor = { ...view.cursor, trail: trailAfter(past, block.number), time }
    return { view: { ...view, cursor }, status: alarmed(status, cursor) }
  }

  /** Whether what is adopted needs no witness beside the endpoints. */
  get #isProven(): boolean {
    return !this.#isAlone || this.#isWarped
  }

  get #isWarped(): boolean {
    return this.#init.time === 'warped'
  }

  /** For so long nothing is deleted after a final block was reverted: a grace, by the longer of those told. */
  #frozenUntil(before: LedgerView, after: LedgerView): number {
    const grace = Math.max(before.policy.values.graceSeconds, after.policy.values.graceSeconds)
    const localSeconds = this.#isWarped ? 0 : Math.ceil(this.#init.clock.now() / SECOND_MS)
    return Math.max(after.cursor.block.timestamp, localSeconds) + grace
  }

  /** Blocks that were cursors once and that a majority still has: if there is one, it is the same chain. */
  async #truePast(cursor: LedgerCursor, signal: AbortSignal): Promise<readonly TrailBlock[]> {
    const past = pastOf(cursor)
    const answers = await this.#ask(this.#init.sources, async (source) => {
      const told = await Promise.all(past.map(({ number }) => source.block(number, signal)))
      return new Set(told.map((block) => block?.hash))
    })
    signal.throwIfAborted()
    const having = (hash: string) =>
      answers.filter((answer) => 'value' in answer && answer.value.has(hash)).length
    return past.filter(({ hash }) => having(hash) >= this.#majority)
  }

  async #head(source: LedgerSource, start: Start, signal: AbortSignal): Promise<Head> {
    const { known } = start
    const [chainId, latest, finalized, again, counters] = await Promise.all([
      source.chainId(signal),
      source.block('latest', signal),
      source.block('finalized', signal),
      known && source.block(known.cursor.block.number, signal),
      known && readCounters(source, known.cursor.pin, signal),
    ])
    const pinned = start.pin?.chainId ?? chainId
    if (chainId !== pinned) {
      throw new NodeError('LEDGER_WRONG_CHAIN', `chain ${chainId} instead of ${pinned}`)
    }
    if (!latest || !finalized) {
      throw new NodeError('LEDGER_NO_FINALITY', 'the endpoint knows no final block')
    }
    const before = known?.cursor.finalNumber ?? 0
    if (finalized.number < before || latest.number < finalized.number) {
      throw new NodeError(
        'LEDGER_BEHIND',
        `final block ${finalized.number}, head ${latest.number}, while ${before} was final before`,
      )
    }
    if (known) checkSame(known.cursor.block, again)
    for (const block of [finalized, latest]) this.#checkTime(block, known?.cursor)
    if (latest.timestamp < finalized.timestamp) {
      throw new NodeError('LEDGER_TIME_IMPLAUSIBLE', 'the head is older than the final block')
    }
    const pin = await this.#pin(source, start.pin, finalized, signal)
    const depth = known?.cursor
      ? known.policy.values.finalityDepth
      : await this.#finalityDepth(source, pin, finalized, signal)
    return {
      source,
      pin,
      latest,
      finalized,
      final: Math.min(finalized.number, latest.number - depth),
      counters,
    }
  }

  async #pin(
    source: LedgerSource,
    expected: GridPin | undefined,
    finalized: BlockRef,
    signal: AbortSignal,
  ): Promise<GridPin> {
    const verified = this.#verified.get(source)
    if (verified) return verified
    const pin = await readPin(source, this.#init.grid, finalized.hash, signal)
    if (expected && JSON.stringify(expected) !== JSON.stringify(pin)) {
      throw new NodeError('LEDGER_WRONG_GRID', `the contracts of ${pin.grid} are not those pinned`)
    }
    this.#verified.set(source, pin)
    return pin
  }

  /** @throws NodeError `LEDGER_TIME_IMPLAUSIBLE` if the block's time cannot be true. */
  #checkTime(block: BlockRef, known: LedgerCursor | undefined): void {
    if (this.#isWarped) return
    const { clock } = this.#init
    const adopted = this.#adopted?.hash === known?.block.hash ? this.#adopted : undefined
    const elapsedMs = adopted
      ? clock.monotonic() - adopted.at
      : clock.now() - (known?.time?.adoptedAtMs ?? clock.now())
    const elapsedSeconds = Math.max(0, elapsedMs / SECOND_MS)
    const nowSeconds = clock.now() / SECOND_MS
    const reason = implausibility(block, known, { nowSeconds, elapsedSeconds })
    if (reason !== undefined) throw new NodeError('LEDGER_TIME_IMPLAUSIBLE', reason)
  }

  async #finalityDepth(
    source: LedgerSource,
    pin: GridPin,
    block: BlockRef,
    signal: AbortSignal,
  ): Promise<number> {
    const data = POLICY_ABI.encodeFunctionData('all')
    const policy = decodePolicy(await source.call(pin.policy, data, block.hash, signal))
    return policy.values.finalityDepth
  }

  async #view(
    head: Head | undefined,
    height: number,
    known: LedgerView | undefined,
    signal: AbortSignal,
  ): Promise<LedgerView> {
    assert(head, 'only endpoints with a head are read')
    const { finalized, source } = head
    const block = height === finalized.number ? finalized : await source.block(height, signal)
    if (!block || block.number !== height) {
      throw new NodeError('LEDGER_RESPONSE_INVALID', `block ${height} is missing below the head`)
    }
    this.#checkTime(block, known?.cursor)
    const { account, keeps = false, clock } = this.#init
    const notBefore = this.#isProven ? 0 : Math.floor(clock.now() / SECOND_MS)
    const request = { account, block, known, pin: head.pin, keeps, notBefore }
    return readView(head.source, request, signal)
  }

  async #ask<T>(
    sources: readonly LedgerSource[],
    question: (source: LedgerSource) => Promise<T>,
  ): Promise<Answer<T>[]> {
    return Promise.all(
      sources.map(async (source): Promise<Answer<T>> => {
        try {
          return { source, value: await question(source) }
        } catch (failure) {
          if (codeOf(failure) === 'BUG') throw failure
          if (SUSPICIOUS.has(codeOf(failure) ?? '')) this.#verified.delete(source)
          return { source, failure }
        }
      }),
    )
  }

  #nthHighest(numbers: readonly number[]): number {
    const sorted = [...numbers].sort((a, b) => b - a)
    return sorted[this.#majority - 1] ?? -1
  }

  #agreed(
    views: readonly Answer<LedgerView>[],
    known: LedgerView | undefined,
  ): LedgerView | undefined {
    const told = views.flatMap((answer) => ('value' in answer ? [answer.value] : []))
    // With one endpoint there is nothing to compare.
    if (this.#majority === 1) return told[0]
    const same = new Set<object>([...(known?.nodes ?? []), ...(known?.orders ?? [])])
    const votes = new Map<string, number>()
    for (const view of told) {
      const digest = digestOf(view, same)
      const count = (votes.get(digest) ?? 0) + 1
      votes.set(digest, count)
      if (count >= this.#majority) return view
    }
    return undefined
  }

  #idle(heads: readonly Answer<Head>[], height: number, cursor: LedgerCursor): Look {
    const now = this.#init.clock.monotonic()
    if (height > this.#heightSeen) this.#advancedAt = now
    this.#heightSeen = Math.max(height, this.#heightSeen)
    this.#advancedAt ??= now
    const silentMs = now - this.#advancedAt
    if (silentMs < this.#init.stallMs) {
      const status = alarmed(this.#status('following', heads, []), cursor)
      return { view: undefined, status, failures: [] }
    }
    const seconds = Math.round(silentMs / SECOND_MS)
    const stalled = new NodeError('LEDGER_STALLED', `no new final block for ${seconds} s`)
    return { view: undefined, status: this.#status('waiting', heads, [], stalled), failures: [] }
  }

  /** What most endpoints failed with; if they did not fail but differ, that they disagree. */
  #waiting(heads: readonly Answer<Head>[], answers: readonly Answer<unknown>[]): Look {
    const failures = answers.flatMap((answer) => ('failure' in answer ? [answer.failure] : []))
    const successes = answers.length - failures.length
    const counts = new Map<string, number>()
    for (const failure of failures) {
      const code = codeOf(failure) ?? 'LEDGER_RPC_FAILED'
      counts.set(code, (counts.get(code) ?? 0) + 1)
    }
    const [worst] = [...counts].sort(([, a], [, b]) => b - a)
    const reason =
      worst && (successes === 0 || (successes < this.#majority && worst[1] >= successes))
        ? failures.find((failure) => (codeOf(failure) ?? 'LEDGER_RPC_FAILED') === worst[0])
        : new NodeError('LEDGER_DISAGREE', 'no majority of the endpoints gives the same answer')
    return {
      view: undefined,
      status: this.#status('waiting', heads, answers.filter(failed), reason),
      failures,
    }
  }

  #status(
    state: LedgerStatus['state'],
    heads: readonly Answer<Head>[],
    failures: readonly Answer<unknown>[],
    reason?: unknown,
  ): LedgerStatus {
    const good = heads.flatMap((head) => ('value' in head ? [head.value] : []))
    const headNumber = this.#nthHighest(good.map(({ latest }) => latest.number))
    const finalNumber = this.#nthHighest(good.map(({ finalized }) => finalized.number))
    const headTime = this.#nthHighest(good.map(({ latest }) => latest.timestamp))
    const code = reason === undefined ? undefined : (codeOf(reason) ?? 'LEDGER_RPC_FAILED')
    this.#waitingSinceMs =
      state === 'following' ? undefined : (this.#waitingSinceMs ?? this.#init.clock.now())
    return {
      state,
      waitingSinceMs: this.#waitingSinceMs,
      code,
      message: reason === undefined ? undefined : describeMessage(reason),
      hint: code === undefined ? undefined : LEDGER_ERRORS[code as LedgerErrorCode]?.hint,
      headNumber: headNumber < 0 ? undefined : headNumber,
      headTime: headTime < 0 ? undefined : headTime,
      finalNumber: finalNumber < 0 ? undefined : finalNumber,
      sources: heads.map((head) => sourceStatus(head, failures)),
    }
  }
}

/** Says as long as nothing may be deleted that a final block was reverted. */
function alarmed(status: LedgerStatus, { time }: LedgerCursor): LedgerStatus {
  if (!time || time.frozenUntil === 0) return status
  const until = new Date(time.frozenUntil * SECOND_MS).toISOString()
  const message = `what was final was reverted; nothing is deleted until ${until}`
  return { ...status, code: 'LEDGER_REVERTED', message, hint: LEDGER_ERRORS.LEDGER_REVERTED.hint }
}

function failed<T>(answer: Answer<T>): boolean {
  return 'failure' in answer
}

function sourceStatus(head: Answer<Head>, failures: readonly Answer<unknown>[]): SourceStatus {
  const later = failures.find((answer) => answer.source === head.source && 'failure' in answer)
  const failure = 'failure' in head ? head.failure : later && 'failure' in later && later.failure
  const isFailed = failure !== undefined && failure !== false
  return {
    name: head.source.name,
    headNumber: 'value' in head ? head.value.latest.number : undefined,
    finalNumber: 'value' in head ? head.value.finalized.number : undefined,
    code: isFailed ? (codeOf(failure) ?? 'LEDGER_RPC_FAILED') : undefined,
    message: isFailed ? describeMessage(failure) : undefined,
  }
}

/** @throws NodeError `LEDGER_FORKED` if the endpoint has another block in the place of one that was final, or none. */
function checkSame(cursor: BlockRef, now: BlockRef | undefined): void {
  if (now?.hash === cursor.hash && now.timestamp === cursor.timestamp) return
  const shown = (block: BlockRef | undefined) =>
    block ? `${block.hash} of ${block.timestamp}` : 'missing'
  throw new NodeError(
    'LEDGER_FORKED',
    `block ${cursor.number} was ${shown(cursor)} and is ${shown(now)} now`,
  )
}

/** What the contracts count, at the newest block. */
async function readCounters(
  source: LedgerSource,
  pin: GridPin,
  signal: AbortSignal,
): Promise<Counters> {
  const read = async (to: string, abi: typeof ORDERS_ABI, name: string) => {
    const data = await source.call(to, abi.encodeFunctionData(name), 'latest', signal)
    return Number(decodeReturn(abi, name, data)[0])
  }
  const [sequence, registryVersion, policyVersion] = await Promise.all([
    read(pin.orders, ORDERS_ABI, 'sequence'),
    read(pin.nodes, NODES_ABI, 'registryVersion'),
    read(pin.policy, POLICY_ABI, 'version'),
  ])
  return { sequence, registryVersion, policyVersion }
}

/**
 * Views are built by one function, so equal views have equal JSON.
 *
 * @param same - Nodes and orders that every view took over as they were known: their numbers say enough.
 */
function digestOf(view: LedgerView, same: ReadonlySet<object>): string {
  const isSame = (value: object): value is { id: number } => same.has(value)
  const json = JSON.stringify(view, (_, value: unknown) => {
    if (typeof value === 'bigint') return `${value}n`
    return typeof value === 'object' && value !== null && isSame(value) ? value.id : value
  })
  return createHash('sha256').update(json).digest('hex')
}
