/**
 * Keeps a volume whole in the background: repairs what is missing as soon as a slot can take it, sweeps what was released, and
 * reads every shard at rest now and then.
 */
import { describeError } from '../../base/errors.ts'
import type { Clock, Log } from '../../base/ports.ts'
import { MIB, SECOND_MS } from '../../base/units.ts'
import {
  type Dispersal,
  PACK_BYTES_MAX,
  type RepairProgress,
  type ScrubResult,
} from '../../engines/disperse/index.ts'

/** While something is missing, try again this often: short beside the time a store needs to come up. */
const RETRY_MS = 2_000
/** Scrubbing is slow on purpose: 8 MiB/s of reads leave links and disks to the tenant. */
const SCRUB_BYTES_PER_SECOND_MIN = 8 * MIB
/** What a pack takes of all stores together: with m = k shards of parity, more than is usual. */
const PACK_STORED_BYTES = 2 * PACK_BYTES_MAX
/** Metadata stores that were away are looked at this often; new ones at once. */
const CATCH_UP_MS = 15_000
/** A shorter period takes effect within this time. */
const SCRUB_LOOK_MS = 10_000

/** What a {@link Repairing} works with. */
export interface RepairingParts {
  readonly dispersal: Dispersal
  readonly clock: Clock
  readonly log: Log
  /** Time in which every shard is to be read once. */
  readonly scrubMs: number
  /** Makes known in a commit what changed in the tables although no file did. */
  readonly commitTables: () => void
}

/** See the file's comment. */
export class Repairing {
  readonly #parts: RepairingParts
  readonly #stop = new AbortController()
  readonly #loops: readonly Promise<void>[]
  #sleep = new AbortController()
  #progress: RepairProgress | undefined
  #lastScrub: ScrubResult | undefined
  #problem: string | undefined
  #scrubMs: number
  #caughtUpAtMs: number | undefined

  constructor(parts: RepairingParts) {
    this.#parts = parts
    this.#scrubMs = parts.scrubMs
    this.#loops = [this.#repair(), this.#scrub()]
  }

  /** Takes over how often to scrub, and looks at once whether something can be repaired. */
  update(scrubMs: number): void {
    this.#scrubMs = scrubMs
    this.#caughtUpAtMs = undefined
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

  async #repair(): Promise<void> {
    const { dispersal, log, commitTables } = this.#parts
    let missingBefore = 0
    while (!this.#stop.signal.aborted) {
      await this.#attempt(async () => {
        if (this.#missing() > 0) {
          const done = await dispersal.repair(this.#stop.signal, (progress) => {
            this.#progress = progress
          })
          this.#progress = done
          if (done.shardsRepaired > 0) log.info({ ...done }, 'shards repaired')
        }
        const erased = await dispersal.sweep(this.#stop.signal)
        await this.#catchUp()
        // Shards also arrive by themselves, after the commit that called them missing.
        if (erased > 0 || this.#missing() !== missingBefore) commitTables()
        missingBefore = this.#missing()
      })
      await this.#pause(RETRY_MS)
    }
  }

  /** Metadata stores that are new or were away get the commits they lack. */
  async #catchUp(): Promise<void> {
    const { clock, dispersal } = this.#parts
    const now = clock.monotonic()
    if (this.#caughtUpAtMs !== undefined && now - this.#caughtUpAtMs < CATCH_UP_MS) return
    await dispersal.commits.catchUp(this.#stop.signal)
    this.#caughtUpAtMs = now
  }

  #missing(): number {
    return this.#parts.dispersal.status().shardsMissing.reduce((sum, count) => sum + count, 0)
  }

  /** One pass over all shards in each period, as evenly as the rate allows. */
  async #scrub(): Promise<void> {
    const { dispersal, clock, log } = this.#parts
    const { signal } = this.#stop
    let lastAtMs = clock.monotonic()
    while (!signal.aborted) {
      const leftMs = Math.min(lastAtMs + this.#scrubMs - clock.monotonic(), SCRUB_LOOK_MS)
      if (leftMs > 0) {
        await clock.sleep(leftMs, signal).catch(() => undefined)
        continue
      }
      lastAtMs = clock.monotonic()
      await this.#attempt(async () => {
        const bytesMax = dispersal.status().packs * PACK_STORED_BYTES
        const rate = (bytesMax * SECOND_MS) / Math.max(this.#scrubMs, SECOND_MS)
        this.#lastScrub = await dispersal.scrub(signal, Math.max(SCRUB_BYTES_PER_SECOND_MIN, rate))
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
      this.#parts.log.warn({ err: caught }, 'repair failed')
    }
  }

  async #pause(ms: number): Promise<void> {
    this.#sleep = new AbortController()
    if (this.#stop.signal.aborted) return
    await this.#parts.clock.sleep(ms, this.#sleep.signal).catch(() => undefined)
  }
}
