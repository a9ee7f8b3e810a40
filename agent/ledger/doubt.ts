/**
 * When to leave what is known, because the endpoints contradict it: after two polls running where they still have a block that
 * was known before, and otherwise, where nothing tells a lie from a loss, after a long while. Never for ever.
 *
 * Leaving is harmless: everything is read again from the chain as it is now, absence removes nothing, and nothing is deleted for
 * a grace. Staying would leave a node that obeys nobody and looks alive.
 */
import { codeOf } from '../base/errors.ts'
import type { Clock } from '../base/ports.ts'
import { MINUTE_MS } from '../base/units.ts'
import type { LedgerCursor } from './types.ts'

/** A chain that was seen to be the same is believed in the poll after the first contradiction. */
const POLLS_MIN = 2
/** An endpoint that lags, prunes or is on another branch is given so long to come back. */
export const DOUBT_MS_MAX = 10 * MINUTE_MS

/** What contradicts the cursor itself. */
const CONTRADICTIONS: ReadonlySet<string> = new Set(['LEDGER_FORKED'])
/** What may be the fault of the cursor, and is more often the endpoint's. */
const OBSTACLES: ReadonlySet<string> = new Set(['LEDGER_BEHIND', 'LEDGER_LOGS_WITHHELD'])

/** Counts contradictions. */
export class Doubt {
  readonly #clock: Clock
  #hash: string | undefined
  #since = 0
  #polls = 0
  #isContradicted = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Takes note of a poll.
   *
   * @param cursor - What is known.
   * @param failures - What endpoints failed with; none if the poll went well.
   * @param majority - Endpoints that it takes.
   * @returns Whether the cursor was contradicted before and still is, so that {@link Doubt.isOver} is to be asked.
   */
  grows(cursor: LedgerCursor, failures: readonly unknown[], majority: number): boolean {
    const codes = failures.map((failure) => codeOf(failure) ?? '')
    const contradicting = codes.filter((code) => CONTRADICTIONS.has(code)).length
    const doubting = codes.filter((code) => CONTRADICTIONS.has(code) || OBSTACLES.has(code)).length
    if (failures.length === 0) this.#hash = undefined
    if (doubting < majority) return false
    if (this.#hash !== cursor.block.hash) {
      this.#hash = cursor.block.hash
      this.#since = this.#clock.monotonic()
      this.#polls = 0
    }
    this.#polls++
    this.#isContradicted = contradicting >= majority
    return this.#polls >= POLLS_MIN
  }

  /**
   * Whether everything is to be read anew.
   *
   * @param isKnownChain - Whether a majority still has a block that was known before.
   */
  isOver(isKnownChain: boolean): boolean {
    if (this.#isContradicted && isKnownChain) return true
    return this.#clock.monotonic() - this.#since >= DOUBT_MS_MAX
  }
}
