/**
 * Follows the ledger over several endpoints, of which a minority may be slow, wrong or lying.
 *
 * Each poll asks every endpoint for its head, picks the highest final block that a majority has, lets each of them read
 * the whole view there, and adopts it if a majority of all configured endpoints gives the same bytes. Whatever else
 * happens becomes a waiting code, and what is known stays as it is.
 */
import { createHash } from 'node:crypto'
import { assert } from '../base/assert.ts'
import { codeOf, describeError, NodeError } from '../base/errors.ts'
import type { Account } from '../base/ids.ts'
import type { Clock } from '../base/ports.ts'
import { POLICY_ABI } from './abi.ts'
import { decodePolicy } from './decode.ts'
import { LEDGER_ERRORS, type LedgerErrorCode } from './errors.ts'
import type { LedgerSource } from './ports.ts'
import { readPin, readView } from './read-view.ts'
import type {
  BlockRef,
  GridPin,
  LedgerPoll,
  LedgerStatus,
  LedgerView,
  SourceStatus,
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
}

interface Head {
  readonly source: LedgerSource
  readonly pin: GridPin
  readonly latest: BlockRef
  readonly finalized: BlockRef
  /** Highest block that is final by the chain's rule and by policy. */
  readonly final: number
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
  #advancedAt: number | undefined

  constructor(init: FollowerInit) {
    const count = init.sources.length
    assert(count >= 1 && count <= SOURCES_MAX, 'there are 1 to SOURCES_MAX endpoints')
    this.#init = init
    this.#majority = Math.floor(count / 2) + 1
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
    const heads = await this.#ask(this.#init.sources, (source) => this.#head(source, known, signal))
    signal.throwIfAborted()
    const good = heads.flatMap((head) => ('value' in head ? [head.value] : []))
    if (good.length < this.#majority) return this.#waiting(heads, heads)

    const height = this.#nthHighest(good.map(({ final }) => final))
    const finalNumber = this.#nthHighest(good.map(({ finalized }) => finalized.number))
    if (height < 0) {
      const young = new NodeError('LEDGER_NO_FINALITY', 'the chain is younger than its finality')
      return { view: undefined, status: this.#status('waiting', heads, [], young) }
    }
    if (known && height <= known.cursor.block.number) return this.#idle(heads)

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
    const agreed = this.#agreed(views)
    if (!agreed) return this.#waiting(heads, [...heads.filter(failed), ...views])
    this.#advancedAt = this.#init.clock.monotonic()
    const cursor = {
      ...agreed.cursor,
      finalNumber: Math.max(finalNumber, known?.cursor.finalNumber ?? 0),
    }
    return {
      view: { ...agreed, cursor },
      status: this.#status('following', heads, views.filter(failed)),
    }
  }

  async #head(
    source: LedgerSource,
    known: LedgerView | undefined,
    signal: AbortSignal,
  ): Promise<Head> {
    const [chainId, latest, finalized] = await Promise.all([
      source.chainId(signal),
      source.block('latest', signal),
      source.block('finalized', signal),
    ])
    const pinned = known?.cursor.pin.chainId ?? chainId
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
    const pin = await this.#pin(source, known, finalized, signal)
    const depth = known?.cursor
      ? known.policy.values.finalityDepth
      : await this.#finalityDepth(source, pin, finalized, signal)
    return {
      source,
      pin,
      latest,
      finalized,
      final: Math.min(finalized.number, latest.number - depth),
    }
  }

  async #pin(
    source: LedgerSource,
    known: LedgerView | undefined,
    finalized: BlockRef,
    signal: AbortSignal,
  ): Promise<GridPin> {
    const expected = known?.cursor.pin
    const verified = this.#verified.get(source)
    if (verified) return verified
    const pin = await readPin(source, this.#init.grid, finalized.hash, signal)
    if (expected && JSON.stringify(expected) !== JSON.stringify(pin)) {
      throw new NodeError('LEDGER_WRONG_GRID', `the contracts of ${pin.grid} are not those pinned`)
    }
    this.#verified.set(source, pin)
    return pin
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
    const block = await head.source.block(height, signal)
    if (!block || block.number !== height) {
      throw new NodeError('LEDGER_RESPONSE_INVALID', `block ${height} is missing below the head`)
    }
    const { account, keeps = false } = this.#init
    return readView(head.source, { account, block, known, pin: head.pin, keeps }, signal)
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
          this.#verified.delete(source)
          return { source, failure }
        }
      }),
    )
  }

  #nthHighest(numbers: readonly number[]): number {
    const sorted = [...numbers].sort((a, b) => b - a)
    return sorted[this.#majority - 1] ?? -1
  }

  #agreed(views: readonly Answer<LedgerView>[]): LedgerView | undefined {
    const votes = new Map<string, number>()
    for (const answer of views) {
      if (!('value' in answer)) continue
      const digest = digestOf(answer.value)
      const count = (votes.get(digest) ?? 0) + 1
      votes.set(digest, count)
      if (count >= this.#majority) return answer.value
    }
    return undefined
  }

  #idle(heads: readonly Answer<Head>[]): LedgerPoll {
    const now = this.#init.clock.monotonic()
    this.#advancedAt ??= now
    const silentMs = now - this.#advancedAt
    if (silentMs < this.#init.stallMs) {
      return { view: undefined, status: this.#status('following', heads, []) }
    }
    const seconds = Math.round(silentMs / 1000)
    const stalled = new NodeError('LEDGER_STALLED', `no new final block for ${seconds} s`)
    return { view: undefined, status: this.#status('waiting', heads, [], stalled) }
  }

  /** What most endpoints failed with; if they did not fail but differ, that they disagree. */
  #waiting(heads: readonly Answer<Head>[], answers: readonly Answer<unknown>[]): LedgerPoll {
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
    return {
      state,
      code,
      message: reason === undefined ? undefined : describeError(reason),
      hint: code === undefined ? undefined : LEDGER_ERRORS[code as LedgerErrorCode]?.hint,
      headNumber: headNumber < 0 ? undefined : headNumber,
      headTime: headTime < 0 ? undefined : headTime,
      finalNumber: finalNumber < 0 ? undefined : finalNumber,
      sources: heads.map((head) => sourceStatus(head, failures)),
    }
  }
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
    message: isFailed ? describeError(failure) : undefined,
  }
}

/** Views are built by one function, so equal views have equal JSON. */
function digestOf(view: LedgerView): string {
  const json = JSON.stringify(view, (_, value: unknown) =>
    typeof value === 'bigint' ? `${value}n` : value,
  )
  return createHash('sha256').update(json).digest('hex')
}
