/** What the store needs from outside: a disk, time, chance, a log, and a way to run at the end of a burst of input. */
import type { Disk } from '../../base/disk.ts'
import type { Chance, Clock, Log } from '../../base/ports.ts'

/** When a write is acknowledged: after its fsync, before it (with a bounded delay), or with no fsync at all. */
export type SyncMode = 'always' | 'group' | 'never'

/** What the store is handed. Adapters: `adapters/disk`, `adapters/time`; in tests `test/support/fault-disk.ts`. */
export interface LogPorts {
  readonly disk: Disk
  readonly clock: Clock
  readonly chance: Chance
  readonly log: Log
  /**
   * Runs a task once the present burst of input is done (in production `setImmediate`), never inside the call: records
   * written in one burst then share one write, and replies leave after it.
   */
  readonly atEndOfTick: (task: () => void) => void
}
