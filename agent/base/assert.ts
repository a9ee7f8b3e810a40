/**
 * Assertions: a false one is a bug in this program, never a wrong input.
 *
 * They stay in at run time, because a stopped controller is better than a corrupted volume.
 */

/** Thrown by {@link assert}; whoever supervises the part stops it and says so. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError'
  readonly code = 'BUG'
}

/**
 * Stops here if `condition` is false.
 *
 * @param condition - What must hold.
 * @param message - What must hold, in words.
 * @throws AssertionError if it does not.
 * @example
 * assert(offset >= 0, 'offset is never negative')
 */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}

/**
 * Gives back a value that must be there.
 *
 * @param value - The value.
 * @param message - Why it must be there, in words.
 * @returns `value`, without `undefined` and `null` in its type.
 * @throws AssertionError if it is missing.
 * @example
 * const node = required(nodes.get(id), 'a placed order names a registered node')
 */
export function required<T>(value: T, message: string): NonNullable<T> {
  assert(value !== undefined && value !== null, message)
  return value
}

/**
 * Marks a branch that the types say cannot be reached.
 *
 * @param value - The value whose type is `never`.
 * @throws AssertionError always.
 * @example
 * default: return unreachable(step)
 */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${JSON.stringify(value)}`)
}
