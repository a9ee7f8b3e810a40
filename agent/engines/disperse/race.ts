/** Asking several stores at once: enough of many, and a second way when the first is slow. */
import { linkedAbort } from '../../base/linked-abort.ts'
import type { Clock } from '../../base/ports.ts'

/**
 * Tries candidates until enough have answered; another is tried for each that fails, and one more when they are slow.
 *
 * @param options.needed - Answers wanted.
 * @param options.candidates - In order of preference.
 * @param options.slowMs - Milliseconds after which one more is tried, again and again.
 * @param options.ask - Asks one; aborted when it is not needed any more.
 * @returns `needed` answers with their candidates, in the order of arrival, or undefined if too few gave one.
 * @throws The reason of `signal`.
 */
export async function gather<Candidate, Answer>(options: {
  readonly clock: Clock
  readonly needed: number
  readonly candidates: readonly Candidate[]
  readonly slowMs: number
  readonly signal: AbortSignal
  readonly ask: (candidate: Candidate, signal: AbortSignal) => Promise<Answer>
}): Promise<[Candidate, Answer][] | undefined> {
  const { clock, needed, candidates, slowMs, signal, ask } = options
  if (candidates.length < needed) return undefined
  const answers: [Candidate, Answer][] = []
  const done = Promise.withResolvers<boolean>()
  const stop = linkedAbort(signal)
  const own = stop.signal
  let next = 0
  let asking = 0
  const askNext = () => {
    const candidate = candidates[next++]
    if (candidate === undefined) return
    asking++
    ask(candidate, own).then(
      (answer) => {
        asking--
        answers.push([candidate, answer])
        if (answers.length >= needed) done.resolve(true)
      },
      () => {
        asking--
        askNext()
        if (asking + answers.length < needed) done.resolve(false)
      },
    )
  }
  const hurry = async () => {
    while (!own.aborted && next < candidates.length) {
      await clock.sleep(slowMs, own)
      askNext()
    }
  }
  const onAbort = () => done.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    signal.throwIfAborted()
    for (let count = 0; count < needed; count++) askNext()
    hurry().catch(() => undefined)
    return (await done.promise) ? answers.slice(0, needed) : undefined
  } finally {
    signal.removeEventListener('abort', onAbort)
    stop.abort()
    stop.release()
  }
}

/**
 * Takes the first way, and the second one too if the first fails or is slow; the first success counts.
 *
 * @param options.slowMs - Milliseconds after which the second way is tried as well.
 * @returns What the winner gave, and which it was.
 * @throws What the second way threw, if both fail; the reason of `signal`.
 */
export async function hedge<T>(options: {
  readonly clock: Clock
  readonly slowMs: number
  readonly signal: AbortSignal
  readonly first: (signal: AbortSignal) => Promise<T>
  readonly second: (signal: AbortSignal) => Promise<T>
}): Promise<{ value: T; isFirst: boolean }> {
  const { clock, slowMs, signal } = options
  const stop = linkedAbort(signal)
  const own = stop.signal
  const waiting = linkedAbort(own)
  const first = options.first(own).then(
    (value) => ({ value, isFirst: true }),
    (caught: unknown) => {
      waiting.abort()
      throw caught
    },
  )
  const second = clock
    .sleep(slowMs, waiting.signal)
    .catch(() => undefined)
    .then(async () => {
      own.throwIfAborted()
      return { value: await options.second(own), isFirst: false }
    })
  try {
    return await Promise.any([first, second])
  } catch (caught) {
    signal.throwIfAborted()
    throw caught instanceof AggregateError ? caught.errors.at(-1) : caught
  } finally {
    stop.abort()
    stop.release()
  }
}
