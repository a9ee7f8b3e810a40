/**
 * Failures: what went wrong outside this program's control, as a value that says how to go on.
 *
 * Four kinds of trouble are never mixed (docs/design/0001): a *refusal* is a value in a plan, a *failure* is a
 * `NodeError`, a *bug* is an `AssertionError`, an *abort* is an `AbortSignal`. Codes, not texts, are what
 * callers and tests match.
 */

/** What one failure code means, kept beside the code and printed into `docs/errors.md`. */
export interface ErrorDescription {
  /** One sentence: what happened. */
  readonly means: string
  /** One sentence: what the person who sees it can do. */
  readonly hint: string
}

/** The codes of one package, declared in its `errors.ts`. */
export type ErrorCatalogue<Code extends string> = Readonly<Record<Code, ErrorDescription>>

/** What may accompany a failure. */
export interface NodeErrorOptions {
  readonly cause?: unknown
  /** Facts about this one failure; never a secret. */
  readonly details?: Readonly<Record<string, unknown>>
  /** Overrides the catalogue's hint. */
  readonly hint?: string
  /** Milliseconds after which a repetition may succeed; absent where a repetition is useless. */
  readonly retryAfterMs?: number
}

/**
 * A failure with a code, typed details, a cause and a hint.
 *
 * @example
 * throw new NodeError('DISK_FULL', 'segment 4 of namespace "a" cannot grow', { details: { freeBytes: 0 } })
 */
export class NodeError<Code extends string = string> extends Error {
  override readonly name = 'NodeError'
  readonly code: Code
  readonly details: Readonly<Record<string, unknown>>
  readonly hint: string | undefined
  readonly retryAfterMs: number | undefined

  constructor(code: Code, message: string, options: NodeErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details ?? {}
    this.hint = options.hint
    this.retryAfterMs = options.retryAfterMs
  }
}

/**
 * Tells whether a caught value is a failure, optionally one of the given codes.
 *
 * @param caught - Whatever a `catch` received.
 * @param codes - `[n]` codes to accept; none given accepts every failure.
 * @returns True if `caught` is a {@link NodeError} with one of `codes`.
 * @example
 * try { await read() } catch (caught) { if (!isNodeError(caught, 'NOT_FOUND')) throw caught }
 */
export function isNodeError<Code extends string>(
  caught: unknown,
  ...codes: readonly Code[]
): caught is NodeError<Code> {
  if (!(caught instanceof NodeError)) return false
  return codes.length === 0 || codes.some((code) => code === caught.code)
}

/**
 * One line for a log or a terminal out of any caught value, the chain of causes included.
 *
 * @param caught - Whatever a `catch` received.
 * @returns `CODE: message (because CODE: message ...)`; at most 8 causes deep.
 * @example
 * describeError(new NodeError('A', 'x', { cause: new NodeError('B', 'y') })) // 'A: x (because B: y)'
 */
export function describeError(caught: unknown, depth = 0): string {
  const message = describeMessage(caught, depth)
  const code = codeOf(caught)
  return code === undefined ? message : `${code}: ${message}`
}

/**
 * The same line without the failure's own code, for where the code stands beside it.
 *
 * @param caught - Whatever a `catch` received.
 * @returns `message (because CODE: message ...)`; at most 8 causes deep.
 * @example
 * describeMessage(new NodeError('A', 'x', { cause: new NodeError('B', 'y') })) // 'x (because B: y)'
 */
export function describeMessage(caught: unknown, depth = 0): string {
  const CAUSES_MAX = 8
  if (!(caught instanceof Error)) return String(caught)
  if (caught.cause === undefined || depth >= CAUSES_MAX) return caught.message
  return `${caught.message} (because ${describeError(caught.cause, depth + 1)})`
}

/**
 * The code of a caught value: a failure's, or the one the runtime gave a system error (`ENOENT`).
 *
 * @param caught - Whatever a `catch` received.
 * @returns The code, or undefined where there is none.
 * @example
 * codeOf(new NodeError('DISK_FULL', 'x')) // 'DISK_FULL'
 */
export function codeOf(caught: unknown): string | undefined {
  if (!(caught instanceof Error) || !('code' in caught)) return undefined
  return typeof caught.code === 'string' ? caught.code : undefined
}
