/** Redis' patterns: `*`, `?`, `[a-z]`, `[^a]`, and `\` before a character that is meant itself. */

const STAR = 42
const QUESTION = 63
const OPEN = 91
const CLOSE = 93
const CARET = 94
const DASH = 45
const BACKSLASH = 92

/**
 * Makes a matcher.
 *
 * @param pattern - The pattern.
 * @returns Tells whether a key matches as a whole, in time O(key x pattern).
 * @example
 * globPattern(Buffer.from('p*'))(Buffer.from('pack')) // true
 */
export function globPattern(pattern: Uint8Array): (key: Uint8Array) => boolean {
  const parts = compile(pattern)
  return (key) => matches(parts, key)
}

/** One step of a pattern: any run of bytes, or one byte of a set. */
type Part = 'run' | ((byte: number) => boolean)

function compile(pattern: Uint8Array): Part[] {
  const parts: Part[] = []
  for (let at = 0; at < pattern.length; at++) {
    const byte = pattern[at] as number
    if (byte === STAR) {
      if (parts.at(-1) !== 'run') parts.push('run')
    } else if (byte === QUESTION) parts.push(() => true)
    else if (byte === OPEN) {
      const end = pattern.indexOf(CLOSE, at + 1)
      parts.push(byteSet(pattern.subarray(at + 1, end < 0 ? pattern.length : end)))
      at = end < 0 ? pattern.length : end
    } else {
      const literal =
        byte === BACKSLASH && at + 1 < pattern.length ? (pattern[++at] as number) : byte
      parts.push((one) => one === literal)
    }
  }
  return parts
}

function byteSet(inside: Uint8Array): (byte: number) => boolean {
  const isNegated = inside[0] === CARET
  const members = new Set<number>()
  for (let at = isNegated ? 1 : 0; at < inside.length; at++) {
    const first = inside[at] as number
    const last = inside[at + 1] === DASH ? inside[at + 2] : undefined
    if (last === undefined) members.add(first)
    else {
      for (let byte = first; byte <= last; byte++) members.add(byte)
      at += 2
    }
  }
  return (byte) => members.has(byte) !== isNegated
}

/** Greedy with one point to come back to, which is enough for patterns whose only repetition is `*`. */
function matches(parts: readonly Part[], key: Uint8Array): boolean {
  let part = 0
  let at = 0
  let runPart = -1
  let runAt = 0
  while (at < key.length) {
    const step = parts[part]
    if (step === 'run') {
      runPart = part++
      runAt = at
    } else if (step?.(key[at] as number)) {
      part++
      at++
    } else if (runPart >= 0) {
      part = runPart + 1
      at = ++runAt
    } else return false
  }
  while (parts[part] === 'run') part++
  return part === parts.length
}
