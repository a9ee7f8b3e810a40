/**
 * Whether there is anything to read at a new final block. Pure.
 *
 * Most blocks change nothing for a node: no event of the orders, no change of registry or policy, and no order whose time has
 * come. Such blocks are left out, and what is known is confirmed only so often.
 */
import { changesAt } from './order-facts.ts'
import type { LedgerView } from './types.ts'

/** What is known is confirmed at least so often, seconds of the ledger. */
const CONFIRM_SECONDS_MAX = 10
/** And several times between two heartbeats, because the node's own is part of what is known. */
const CONFIRMS_PER_HEARTBEAT = 4

/** Counters of the contracts at the newest block, which is not final: if they are as known, nothing happened up to there. */
export interface Counters {
  readonly sequence: number
  readonly registryVersion: number
  readonly policyVersion: number
}

/**
 * Tells whether a final block is worth reading.
 *
 * @param known - What was read last.
 * @param seconds - Time of the final block.
 * @param counters - `[n]` what endpoints say of the newest block; one that differs is enough.
 * @param nextChange - As {@link nextChangeOf} gave it for `known`.
 */
export function isWorthReading(
  known: LedgerView,
  seconds: number,
  counters: readonly Counters[],
  nextChange: number,
): boolean {
  const { cursor, policy, registration, audits } = known
  // Sponsors and audits are counted by none of the counters.
  if (registration.node === undefined || audits !== undefined) return true
  // The cursor's time was false.
  if (seconds < cursor.block.timestamp) return true
  if (seconds >= nextChange || cursor.time?.frozenUntil !== 0) return true
  const { heartbeatSeconds } = policy.values
  const confirmSeconds = Math.min(CONFIRM_SECONDS_MAX, heartbeatSeconds / CONFIRMS_PER_HEARTBEAT)
  if (seconds - cursor.block.timestamp >= confirmSeconds) return true
  return counters.some(
    ({ sequence, registryVersion, policyVersion }) =>
      sequence !== cursor.sequence ||
      registryVersion !== cursor.registryVersion ||
      policyVersion !== policy.version,
  )
}

/**
 * When time alone changes something of what is known: an order ends, or its data may go.
 *
 * @returns Seconds of the ledger's time, later than the cursor's block; infinite for never.
 */
export function nextChangeOf({ orders, policy, cursor }: LedgerView): number {
  const now = cursor.block.timestamp
  let next = Number.POSITIVE_INFINITY
  const consider = (at: number) => {
    if (at > now && at < next) next = at
  }
  for (const order of orders) {
    consider(changesAt(order, policy))
    consider(order.deletableAt)
    for (const { at } of order.releases) consider(at + policy.values.graceSeconds)
  }
  return next
}
