/**
 * How far the ledger's time is believed. Pure.
 *
 * A block's time comes from the same mouth as the block, so it is held against what that mouth does not rule: this machine's
 * clock, the time that passed here, and the pace of the chain so far. What must outlive a false time:
 *
 * 1. A time far ahead, from the only endpoint or from one of several: it is never adopted.
 * 2. A time ahead by less than clocks may differ: it is adopted, but nothing is deleted by it before this machine's clock
 *    gets there, and the cursor is left once the same block is told with another time.
 * 3. A time far back: it is never adopted behind a known block; as the first time ever, the next truth may jump ahead of it.
 * 4. A slot's release told with a time before it happened: the grace is counted from this machine's clock if that is later.
 * 5. This machine's clock wrong: behind, nothing new is adopted until it is right; ahead, the endpoint's own time decides,
 *    and may not run faster than time passes here or than the chain makes blocks.
 */
import type { BlockRef, LedgerCursor, LedgerTime, TrailBlock } from './types.ts'

/** What clocks of honest machines and chains may differ by, seconds: a machine that sets its clock by hand is minutes off. */
export const CLOCK_ERROR_SECONDS_MAX = 300
/** A chain may for a while make its blocks so much more slowly than on average. */
const PACE_FACTOR = 4
/** Blocks of the trail: each twice as far back as the one before, so a chain of 2^32 blocks has its whole past in it. */
const TRAIL_MAX = 32

/** This machine's time, for {@link implausibility}. */
export interface LocalTime {
  /** Seconds since 1970 by the wall clock. */
  readonly nowSeconds: number
  /** Seconds that passed here since the known cursor was adopted, `>= 0`. */
  readonly elapsedSeconds: number
}

/**
 * Says why a block's time cannot be true.
 *
 * @param block - The block.
 * @param known - The cursor before, undefined at first start.
 * @param local - This machine's time.
 * @returns The reason; undefined if the time may be true.
 * @example
 * implausibility({ timestamp: 2_000 }, undefined, { nowSeconds: 1_000, elapsedSeconds: 0 })
 */
export function implausibility(
  block: Pick<BlockRef, 'number' | 'timestamp'>,
  known: LedgerCursor | undefined,
  local: LocalTime,
): string | undefined {
  const aheadSeconds = block.timestamp - local.nowSeconds
  if (aheadSeconds > CLOCK_ERROR_SECONDS_MAX) {
    return `block ${block.number} is ${Math.round(aheadSeconds)} s ahead of this machine’s clock`
  }
  if (!known || block.number < known.block.number) return undefined
  // A time that this machine's clock confirms needs no other witness.
  if (aheadSeconds >= -CLOCK_ERROR_SECONDS_MAX) return undefined
  const pace = secondsPerBlock(known)
  if (pace === undefined) return undefined
  const byPace = PACE_FACTOR * pace * (block.number - known.block.number)
  const jumpMax = Math.max(local.elapsedSeconds, byPace) + CLOCK_ERROR_SECONDS_MAX
  const jump = block.timestamp - known.block.timestamp
  if (jump <= jumpMax) return undefined
  return `block ${block.number} is ${jump} s after block ${known.block.number}, and at most ${Math.round(jumpMax)} s can have passed`
}

/** The chain's pace over all that is remembered of it; undefined before there is anything to divide. */
function secondsPerBlock({ block, trail = [] }: LedgerCursor): number | undefined {
  const oldest = trail.at(-1)
  if (!oldest || oldest.number >= block.number) return undefined
  return (block.timestamp - oldest.timestamp) / (block.number - oldest.number)
}

/**
 * What is known of the ledger's time once a block is adopted.
 *
 * @param block - The block.
 * @param nowMs - This machine's clock, milliseconds since 1970.
 * @param isProven - Whether independent endpoints agree on the block, or its chain's time is compared with no clock.
 * @param frozenUntil - Until when nothing is deleted, seconds; 0 for no reason to wait.
 * @returns The time to keep beside the cursor.
 */
export function timeAt(
  block: Pick<BlockRef, 'timestamp'>,
  nowMs: number,
  isProven: boolean,
  frozenUntil: number,
): LedgerTime {
  const agreed = isProven ? block.timestamp : Math.min(block.timestamp, Math.floor(nowMs / 1000))
  const isFrozen = agreed < frozenUntil
  return {
    provenSeconds: isFrozen ? 0 : agreed,
    frozenUntil: isFrozen ? frozenUntil : 0,
    adoptedAtMs: nowMs,
  }
}

/**
 * The trail of a new cursor: the newest block before it, of those before that one in each doubling of the distance, and the first.
 *
 * @param past - `[n]` blocks that were cursors, newest first.
 * @param number - Number of the new cursor's block.
 * @returns Blocks below `number`, newest first, at most `TRAIL_MAX`.
 */
export function trailAfter(past: readonly TrailBlock[], number: number): TrailBlock[] {
  const kept = new Map<number, TrailBlock>()
  for (const block of past) {
    // Of each doubling the oldest is kept, so that it stays there until it is in the next.
    if (block.number < number) kept.set(Math.floor(Math.log2(number - block.number)), block)
  }
  return [...kept.values()].slice(-TRAIL_MAX)
}

/**
 * All blocks that were cursors, the present one first.
 *
 * @param cursor - The present one.
 */
export function pastOf({ block, trail = [] }: LedgerCursor): readonly TrailBlock[] {
  const { number, hash, timestamp } = block
  return [{ number, hash, timestamp }, ...trail]
}
