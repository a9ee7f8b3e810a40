/**
 * When to look for the next block: as late as it is due by the pace that was seen, and then in short steps, so that a look
 * finds something, and what it finds is fresh.
 *
 * The pace is measured by this machine's clock between blocks, because some chains count more seconds than pass.
 */

/** Part of a block's time between two looks at one that is late: so much is not noticed, and costs few requests. */
const STEP_PART = 1 / 6
/**
 * Part of a block's time after which the next is looked for. Less than all of it, because who waits as long as it took last time
 * measures only itself, and never learns that the block was there before.
 */
const DUE_PART = 0.97
/** Part of the time that it is late already: a chain that stands still is asked less and less. */
const LATE_PART = 1 / 10
/** A block that is expected is looked for at least so often, milliseconds: a chain may hurry after a stall. */
const WAIT_MS_MAX = 15_000
const STEP_MS_MAX = 2_000
/** How much one block changes the pace. */
const WEIGHT = 0.3

/** See the file's comment. */
export class BlockPace {
  readonly #stepMsMin: number
  #number: number | undefined
  /** When the newest block was first seen; undefined while it may be old already. */
  #seenAt: number | undefined
  #paceMs: number | undefined

  /** @param stepMsMin - Shortest time between two looks, milliseconds. */
  constructor(stepMsMin: number) {
    this.#stepMsMin = stepMsMin
  }

  /** Milliseconds between blocks, undefined before it is known. */
  get paceMs(): number | undefined {
    return this.#paceMs
  }

  /**
   * Takes note of the head.
   *
   * @param number - Number of the newest block.
   * @param nowMs - Time of a clock that nobody sets, milliseconds.
   * @param toldMs - Milliseconds between blocks by their own times: a first guess.
   */
  observe(number: number, nowMs: number, toldMs: number | undefined): void {
    this.#paceMs ??= toldMs === undefined ? undefined : Math.min(toldMs, WAIT_MS_MAX)
    const before = this.#number
    if (before === number) return
    const blocks = number - (before ?? number)
    if (blocks > 0 && this.#seenAt !== undefined) {
      const sampleMs = (nowMs - this.#seenAt) / blocks
      const paceMs = this.#paceMs ?? sampleMs
      // Several blocks in one wait are as many samples, and say that the wait was too long.
      const weight = blocks > 1 ? 1 : WEIGHT
      this.#paceMs = paceMs + weight * (sampleMs - paceMs)
    }
    this.#seenAt = before === undefined || blocks < 0 ? undefined : nowMs
    this.#number = number
  }

  /** @returns Milliseconds until the next look. */
  waitMs(nowMs: number): number {
    const paceMs = this.#paceMs ?? 0
    const dueInMs = this.#seenAt === undefined ? 0 : this.#seenAt + paceMs * DUE_PART - nowMs
    if (dueInMs > this.#stepMsMin) return Math.min(WAIT_MS_MAX, dueInMs)
    const stepMs = Math.min(STEP_MS_MAX, Math.max(paceMs * STEP_PART, -dueInMs * LATE_PART))
    return Math.max(this.#stepMsMin, stepMs)
  }
}
