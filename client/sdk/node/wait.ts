/** Waiting, the one thing of the SDK that needs a timer. */
import { setTimeout as sleep } from 'node:timers/promises'

/** Resolves after `ms` milliseconds, or rejects when the signal aborts. */
export type Wait = (ms: number, signal?: AbortSignal) => Promise<void>

/** Waits by the machine's clock. */
export const wait: Wait = async (ms, signal) => {
  await sleep(ms, undefined, signal === undefined ? {} : { signal })
}
