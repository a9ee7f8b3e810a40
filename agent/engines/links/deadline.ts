/** Work with a time limit, on the clock that was handed in. */
import { NodeError } from '../../base/errors.ts'
import { whileLinked } from '../../base/linked-abort.ts'
import type { Clock } from '../../base/ports.ts'

/**
 * Runs work under a signal that aborts when `ms` passed or `signal` aborts.
 *
 * @param options.clock - Whose time.
 * @param options.ms - Limit, `> 0`.
 * @param options.signal - Aborts earlier; left out, only time does.
 * @param work - Must honour the signal it gets: it is waited for.
 * @returns What `work` returns.
 * @throws What `work` throws; the reason of its signal is a NodeError `LINK_UNREACHABLE` if time ran out.
 */
export async function withDeadline<T>(
  options: { readonly clock: Clock; readonly ms: number; readonly signal?: AbortSignal },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { clock, ms, signal } = options
  const limit = new AbortController()
  const done = new AbortController()
  clock.sleep(ms, done.signal).then(
    () => limit.abort(new NodeError('LINK_UNREACHABLE', `no answer within ${ms} ms`)),
    () => undefined,
  )
  try {
    return await whileLinked(signal ? [limit.signal, signal] : [limit.signal], work)
  } finally {
    done.abort()
  }
}

/**
 * Waits for shared work without being able to stop it.
 *
 * @param promise - The work; goes on if `signal` aborts.
 * @param signal - Gives up waiting.
 * @returns What the work gives. @throws The signal's reason, or what the work throws.
 */
export async function waitFor<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
