/**
 * Whether to look for work a little longer before going to sleep. To be woken costs ten microseconds and more of time and of
 * CPU, which clients that send the next command as soon as they have their reply would have a store pay for each.
 *
 * Looking is CPU, too, so it goes on only as long as it pays, as with the halt polling of hypervisors: after a sleep that
 * was short it is tried, after a wait in vain not before the next such sleep, and after several in turn ever more rarely.
 */

/** How long it looks, about what a client on the same machine takes to answer. */
const WAIT_MS = 0.025
/** A sleep this short, waking included, would not have been one. */
const SHORT_SLEEP_MS = 0.06
/** After so many waits in vain, one short sleep in 64 is followed by another try. */
const VAIN_MAX = 6

/** Remembers whether waiting paid. */
export class BriefWait {
  readonly #nowMs: () => number
  #pays = false
  #sleepsSince = 0
  /** Waits in vain since the last that found something, and short sleeps to let pass before the next try. */
  #vain = 0
  #toSkip = 0

  /** @param nowMs - A clock of milliseconds with fractions. */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs
  }

  /** Looks for work, if that is likely to find some soon. @returns Whether there is some. */
  hasFound(hasWork: () => boolean): boolean {
    if (!this.#pays) return false
    const end = this.#nowMs() + WAIT_MS
    do {
      if (hasWork()) {
        this.#vain = 0
        return true
      }
    } while (this.#nowMs() < end)
    this.#pays = false
    this.#toSkip = 2 ** this.#vain - 1
    this.#vain = Math.min(this.#vain + 1, VAIN_MAX)
    return false
  }

  /** From now on work wakes. */
  sleeps(): void {
    this.#sleepsSince = this.#nowMs()
  }

  /** Work came. */
  woken(): void {
    const isShort = this.#nowMs() - this.#sleepsSince < SHORT_SLEEP_MS
    this.#pays = isShort && this.#toSkip === 0
    if (isShort && this.#toSkip > 0) this.#toSkip--
  }
}
