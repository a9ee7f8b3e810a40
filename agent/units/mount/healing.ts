/**
 * Keeps a volume whole in the background: heals what is missing as soon as a slot can take it, sweeps what was released, and
 * reads every shard at rest now and then.
 */
import { describeError } from '../../base/errors.ts'
import type { Clock, Log } from '../../base/ports.ts'
import type { Dispersal, HealProgress, ScrubResult } from '../../engines/disperse/index.ts'

/** While something is missing, try again this often: short beside the time a store needs to come up. */
const RETRY_MS = 2_000
/** Scrubbing is slow on purpose: 8 MiB/s of reads leave links and disks to the tenant. */
const SCRUB_BYTES_PER_SECOND = 8 * 1024 * 1024
/** Between two passes over all shards. */
const SCRUB_PAUSE_MS = 24 * 3_600_000

/** What a {@link Healing} works with. */
export interface HealingParts {
  readonly dispersal: Dispersal
  readonly clock: Clock
  readonly log: Log
  /** Makes known in a commit what changed in the tables although no file did. */
  readonly commitTables: () => void
}

/** See the file's comment. */
export class Healing {
  readonly #parts: HealingParts
  readonly #stop = new AbortController()
  readonly #loops: readonly Promise<void>[]
  #sleep = new AbortController()
  #progress: HealProgress | undefined
  #lastScrub: ScrubResult | undefined
  #problem: string | undefined

  constructor(parts: HealingParts) {
    this.#parts = parts
    this.#loops = [this.#heal(), this.#scrub()]
  }

  /** Looks at once whether something can be healed. */
  wake(): void {
    this.#sleep.abort()
  }

  status(): object {
    return { progress: this.#progress, lastScrub: this.#lastScrub, problem: this.#problem }
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    this.#sleep.abort()
    await Promise.all(this.#loops)
  }

  async #heal(): Promise<void> {
    const { dispersal, log, commitTables } = this.#parts
    let missingBefore = 0
    while (!this.#stop.signal.aborted) {
      await this.#attempt(async () => {
        if (this.#missing() > 0) {
          const done = await dispersal.heal(this.#stop.signal, (progress) => {
            this.#progress = progress
          })
          this.#progress = done
          if (done.shardsHealed > 0) log.info({ ...done }, 'shards healed')
        }
        const erased = await dispersal.sweep(this.#stop.signal)
        // Shards also arrive by themselves, after the commit that called them missing.
        if (erased > 0 || this.#missing() !== missingBefore) commitTables()
        missingBefore = this.#missing()
      })
      await this.#pause(RETRY_MS)
    }
  }

  #missing(): number {
    return this.#parts.dispersal.status().shardsMissing.reduce((sum, count) => sum + count, 0)
  }

  async #scrub(): Promise<void> {
    const { dispersal, clock, log } = this.#parts
    const { signal } = this.#stop
    while (!signal.aborted) {
      await clock.sleep(SCRUB_PAUSE_MS, signal).catch(() => undefined)
      if (signal.aborted) return
      await this.#attempt(async () => {
        this.#lastScrub = await dispersal.scrub(signal, SCRUB_BYTES_PER_SECOND)
        log.info({ ...this.#lastScrub }, 'every shard at rest was read')
      })
    }
  }

  /** A failure is shown and tried again; only the end of the mount ends the loop. */
  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work()
      this.#problem = undefined
    } catch (caught) {
      if (this.#stop.signal.aborted) return
      this.#problem = describeError(caught)
      this.#parts.log.warn({ err: caught }, 'healing failed')
    }
  }

  async #pause(ms: number): Promise<void> {
    this.#sleep = new AbortController()
    if (this.#stop.signal.aborted) return
    await this.#parts.clock.sleep(ms, this.#sleep.signal).catch(() => undefined)
  }
}
