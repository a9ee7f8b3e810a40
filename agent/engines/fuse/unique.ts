/**
 * Numbers of requests: unique in a connection. The kernel marks one that it sends again in the highest bit; here such a number is
 * negative, so that it stays exact and its reply carries the mark.
 */
const HIGH_WORD = 2 ** 32
const RESENT_BIT = 0x80000000

/**
 * Reads the number of a request.
 *
 * @returns `< 2^53`; negative if the request is sent again.
 */
export function readUnique(bytes: Buffer, at: number): number {
  const high = bytes.readUInt32LE(at + 4)
  if (high < RESENT_BIT) return bytes.readUInt32LE(at) + high * HIGH_WORD
  return -(bytes.readUInt32LE(at) + (high - RESENT_BIT) * HIGH_WORD)
}

/** Writes what {@link readUnique} read. */
export function writeUnique(bytes: Buffer, at: number, unique: number): void {
  const number = Math.abs(unique)
  const mark = unique < 0 ? RESENT_BIT : 0
  bytes.writeUInt32LE(number % HIGH_WORD, at)
  bytes.writeUInt32LE(Math.floor(number / HIGH_WORD) + mark, at + 4)
}
