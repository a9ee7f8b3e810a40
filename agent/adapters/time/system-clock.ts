/** The machine's own time. */
import type { Clock } from '../../base/ports.ts'

/** Longest delay that `setTimeout` takes; beyond it fires at once. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1

/**
 * Makes the clock that production uses.
 *
 * @returns A clock whose sleeps keep the process alive, as any awaited work does.
 * @example
 * const clock = systemClock()
 * await clock.sleep(100, signal)
 */
export function systemClock(): Clock {
  return {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    sleep,
  }
}

async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted()
  const wakeAt = performance.now() + ms
  for (let left = ms; left >= 0; left = wakeAt - performance.now()) {
    await sleepOnce(Math.min(Math.ceil(left), TIMEOUT_MS_MAX), signal)
    if (performance.now() >= wakeAt) return
  }
}

function sleepOnce(ms: number, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const onAbort = () => {
    clearTimeout(timer)
    reject(signal?.reason)
  }
  const timer = setTimeout(() => {
    signal?.removeEventListener('abort', onAbort)
    resolve()
  }, ms)
  signal?.addEventListener('abort', onAbort, { once: true })
  return promise
}
