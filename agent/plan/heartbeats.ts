/**
 * Plans this node's heartbeats: one in each period of the ledger's time.
 *
 * Pure. The newest head's time decides, not the final block's, because finality may lag by more than a heartbeat; a
 * heartbeat too many costs a little gas, one too few costs the farm its pay. Naming the period in the id makes one need a
 * period, however often it is planned.
 */
import type { LedgerNode, Policy, WantedTransaction } from '../ledger/types.ts'

/** Heartbeats come this much earlier than asked, so that a slow block does not make one late. */
const PERIOD_PERCENT = 80

/** What the planner looks at. */
export interface HeartbeatsWorld {
  /** This node as registered, undefined if it is not. */
  readonly own: LedgerNode | undefined
  /** The ledger's time at the newest head, seconds; undefined while unknown. */
  readonly headTime: number | undefined
  readonly policy: Pick<Policy, 'values'> | undefined
}

/**
 * Computes the heartbeat that is due.
 *
 * @param world - What the ledger says.
 * @returns One transaction or none.
 * @example
 * planHeartbeats({ own, headTime: 1000, policy })
 */
export function planHeartbeats(world: HeartbeatsWorld): readonly WantedTransaction[] {
  const { own, headTime, policy } = world
  if (!own || headTime === undefined || !policy) return []
  if (own.state !== 'active' && own.state !== 'draining') return []
  const { heartbeatSeconds } = policy.values
  const periodSeconds = Math.max(1, Math.floor((heartbeatSeconds * PERIOD_PERCENT) / 100))
  if (headTime - own.lastHeartbeat < periodSeconds) return []
  const period = Math.floor(headTime / periodSeconds)
  return [{ id: `heartbeat/${period}`, call: { method: 'heartbeat' }, why: 'this node is alive' }]
}
