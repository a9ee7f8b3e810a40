/** TAI64N, the time in an initiation: it only has to grow, so that a recorded initiation is worth nothing. */
import { TIMESTAMP_BYTES } from './constants.ts'

/** 2^62 is 1970 in TAI64, which runs 10 s ahead of what Unix calls time then. */
const EPOCH = 2n ** 62n + 10n
const NS_PER_MS = 1_000_000

let lastMs = 0
let step = 0

/**
 * Gives a timestamp that is later than all this process gave before, even if the clock steps back.
 *
 * @param nowMs - Milliseconds since 1970.
 * @returns 12 bytes: seconds, then nanoseconds, big-endian.
 */
export function tai64n(nowMs: number): Uint8Array {
  step = nowMs > lastMs ? 0 : step + 1
  lastMs = Math.max(lastMs, nowMs)
  const bytes = new Uint8Array(TIMESTAMP_BYTES)
  const view = new DataView(bytes.buffer)
  const extraMs = Math.floor(step / NS_PER_MS)
  const ms = Math.floor(lastMs) + extraMs
  view.setBigUint64(0, EPOCH + BigInt(Math.floor(ms / 1000)))
  view.setUint32(8, (ms % 1000) * NS_PER_MS + (step % NS_PER_MS))
  return bytes
}
