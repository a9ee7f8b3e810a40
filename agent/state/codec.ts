/** Resources as text: JSON in which a `bigint` is written as `{"$n": "123"}`. Equal resources have equal text. */

/**
 * Writes a resource.
 *
 * @param resource - Plain data: objects, arrays, strings, numbers, booleans, bigints.
 * @returns Text that {@link decodeResource} reads back.
 * @example
 * encodeResource({ stake: 5n }) // '{"stake":{"$n":"5"}}'
 */
export function encodeResource(resource: unknown): string {
  return JSON.stringify(resource, (_, value: unknown) =>
    typeof value === 'bigint' ? { $n: value.toString() } : value,
  )
}

/**
 * Reads what {@link encodeResource} wrote.
 *
 * @param text - The text.
 * @returns The resource; fields that were undefined are missing.
 * @throws SyntaxError if it is not such text.
 */
export function decodeResource(text: string): unknown {
  return JSON.parse(text, (_, value: unknown) => {
    const isTagged = typeof value === 'object' && value !== null && '$n' in value
    return isTagged && typeof value.$n === 'string' ? BigInt(value.$n) : value
  })
}
