/** Times of files: 64 bits of nanoseconds since 1970, which is 1677-09-21 to 2262-04-11. */

/** The widest whole second that fits, before and after 1970. */
const LIMIT_NS = 9_223_372_036n * 1_000_000_000n

/**
 * A time that fits: beyond the bounds the last whole second within, as ext4 does at its own.
 *
 * @param ns - Nanoseconds since 1970, as wide as the kernel's.
 * @example
 * withinTime(2n ** 90n) // 9223372036000000000n
 */
export function withinTime(ns: bigint): bigint {
  if (ns > LIMIT_NS) return LIMIT_NS
  return ns < -LIMIT_NS ? -LIMIT_NS : ns
}
