/**
 * Whether to look for work a little longer before going to sleep. To be woken costs ten microseconds and more of time and of
 * CPU, which clients that send the next command as soon as they have their reply would have a store pay for each.
 *
 * Looking is CPU, too, so it goes on only as long as it pays, as with the halt polling of hypervisors: after a sleep that
 * was short it is tried, and after a wait in vain no more until the next such sleep.
 */

/** How long it looks, about what a client on the same machine takes to answer. */
const WAIT_MS = 0.025
/** A sleep this short, waking included, would not have been one. */
const SHORT_SLEEP_MS = 0.06

/** Remembers whether waiting paid. */
export class BriefWait {
  readonly #nowMs: () => number
  #pays = false
  #sleepsSince = 0

  /** @param nowMs - A clock of milliseconds with fractions. */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs
  }

  /** Looks for work, if that is likely to find some soon. @returns Whether there is some. */
  hasFound(hasWork: () => boolean): boolean {
    if (!this.#pays) return false
    const end = this.#nowMs() + WAIT_MS
    do {
      if (hasWork()) return true
    } while (this.#nowMs() < end)
    this.#pays = false
    return false
  }

  /** From now on work wakes. */
  sleeps(): void {
    this.#sleepsSince = this.#nowMs()
  }

  /** Work came. */
  woken(): void {
    this.#pays = this.#nowMs() - this.#sleepsSince < SHORT_SLEEP_MS
  }
}
