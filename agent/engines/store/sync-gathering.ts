/**
 * When the next sync under `always` may begin. Who was answered by the last one is likely to write again at once; a sync that
 * begins before they did serves half of them, and the rest wait for another. So it waits for about as many as there were, for
 * a quarter of a sync or a millisecond at most, and only while waiting pays.
 */
import type { Clock } from '../../base/ports.ts'

/** Where a sync takes less, none is worth a wait. */
const SYNC_MS_MIN = 0.25
/** Share of the time of a sync that the next one may wait. */
const WAIT_SHARE = 0.25
/** Share of those expected that is enough: for the last few the others would wait longer than they gain. */
const ENOUGH_SHARE = 0.8
/** Share that must have come, when its time is over, for the wait to have paid. */
const PAID_SHARE = 0.5
/** Syncs that begin at once after a wait that did not pay. */
const SYNCS_WITHOUT = 64

/** Counts who waits for syncs, and how long these take. */
export class SyncGathering {
  readonly #clock: Clock
  #expected = 0
  #waiting = 0
  #lastSyncMs = 0
  #beganMs = 0
  #withoutLeft = 0
  #timer: AbortController | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Begins a sync now, or when enough wait for it, or when its time has come.
   *
   * @param waiting - How many wait for it; called again whenever that changes.
   * @param begin - Begins it.
   */
  next(waiting: number, begin: () => void): void {
    this.#waiting = waiting
    const isWorthIt = this.#lastSyncMs >= SYNC_MS_MIN && this.#withoutLeft === 0
    if (!isWorthIt || waiting >= this.#expected * ENOUGH_SHARE) {
      begin()
      return
    }
    if (this.#timer) return
    const timer = new AbortController()
    this.#timer = timer
    this.#clock.sleep(Math.ceil(this.#lastSyncMs * WAIT_SHARE), timer.signal).then(
      () => {
        if (this.#waiting < this.#expected * PAID_SHARE) this.#withoutLeft = SYNCS_WITHOUT
        begin()
      },
      () => undefined,
    )
  }

  /** A sync begins. */
  began(): void {
    this.#timer?.abort()
    this.#timer = undefined
    this.#beganMs = this.#clock.monotonic()
  }

  /**
   * A sync has ended.
   *
   * @param answered - How many waited for it.
   * @param waiting - How many wait for the next one already.
   */
  ended(answered: number, waiting: number): void {
    this.#lastSyncMs = this.#clock.monotonic() - this.#beganMs
    this.#expected = answered + waiting
    if (this.#withoutLeft > 0) this.#withoutLeft--
  }
}
