/**
 * Makes what was written durable within a second although no program asks: `sync` and `syncfs` reach a FUSE file system only
 * through pages, so a power cut takes no more from a mount than from a local disk.
 */
import type { Clock } from '../../base/ports.ts'
import { FLUSH_MS } from './constants.ts'
import type { Journal } from './journal.ts'

/** Flushes a journal a while after it grew; sleeps while it does not. */
export class IdleFlush {
  readonly #journal: Journal
  readonly #clock: Clock
  readonly #abort = new AbortController()
  #isArmed = false

  constructor(journal: Journal, clock: Clock) {
    this.#journal = journal
    this.#clock = clock
  }

  /** The journal grew. */
  noticed(): void {
    if (this.#isArmed || this.#abort.signal.aborted) return
    this.#isArmed = true
    void this.#flush()
  }

  close(): void {
    this.#abort.abort()
  }

  async #flush(): Promise<void> {
    const { signal } = this.#abort
    try {
      while (!signal.aborted && !this.#journal.isDurable) {
        await this.#clock.sleep(FLUSH_MS, signal)
        if (!this.#journal.isDurable) await this.#journal.sync()
      }
    } catch {
      // Closed; or the disk failed, which the journal remembers and tells whoever syncs.
    } finally {
      this.#isArmed = false
    }
  }
}
