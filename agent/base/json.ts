/** Reading JSON that others wrote: nothing is believed of its shape. */
import { NodeError } from './errors.ts'

/**
 * Parses bytes that should be one JSON object.
 *
 * @param bytes - UTF-8.
 * @returns The object, or undefined if they are anything else.
 * @example
 * parseObject(Buffer.from('{"id":1}')) // { id: 1 }
 */
export function parseObject(bytes: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/**
 * A field of what may be an object.
 *
 * @returns Undefined where there is no object, or no such field.
 */
export function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

/**
 * Reads a failure that another process told.
 *
 * @param value - `{code, message, hint, retryAfterMs}`, all of them optional.
 * @param otherwise - Code and message where it has none.
 * @returns The failure, to throw.
 */
export function failureFrom(
  value: unknown,
  otherwise: { readonly code: string; readonly message: string },
): NodeError {
  const text = (name: string, fallback: string) => {
    const field = fieldOf(value, name)
    return typeof field === 'string' ? field : fallback
  }
  const hint = text('hint', '')
  const retryAfterMs = fieldOf(value, 'retryAfterMs')
  return new NodeError(text('code', otherwise.code), text('message', otherwise.message), {
    ...(hint !== '' && { hint }),
    ...(typeof retryAfterMs === 'number' && { retryAfterMs }),
  })
}
