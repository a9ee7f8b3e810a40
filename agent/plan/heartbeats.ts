/**
 * Plans this node's heartbeats: one in each period of the ledger's time, and only while what a heartbeat claims is true.
 *
 * A heartbeat is what a node is chosen, paid and spared from repair by, so it claims service, not life:
 *
 * 1. the view is fresh: the ledger is followed, or has not been for a moment only (a chain that makes no final blocks is as fresh
 *    as can be);
 * 2. every live slot of this node is served: the store runs, has the slot's namespace open without a failure, and the links that
 *    lead there run;
 * 3. the disk takes writes: one was made and synced just now.
 *
 * Pure. The newest head's time decides when one is due, not the final block's, because finality may lag by more than a
 * heartbeat; a heartbeat too many costs a little gas, one too few costs the farm its pay. Naming the period in the id makes one
 * need a period, however often it is planned.
 *
 * @see docs/design/0015-ledger-trust.md, section 4
 */
import { fieldOf } from '../base/json.ts'
import { SECOND_MS } from '../base/units.ts'
import type { LedgerNode, LedgerStatus, Policy, WantedTransaction } from '../ledger/types.ts'
import type { HeartbeatStatus, SlotStatus, UnitStatus } from '../state/kinds.ts'
import type { HeartbeatCode } from './errors.ts'

/** Heartbeats come this much earlier than asked, so that a slow block does not make one late. */
const PERIOD_PERCENT = 80
/** A view may be waited for so long without being stale: a restart of an endpoint, or two polls that fail. */
export const STALE_SECONDS_MAX = 30

/** What the planner looks at. */
export interface HeartbeatsWorld {
  /** This node as registered, undefined if it is not. */
  readonly own: LedgerNode | undefined
  /** Undefined before the first poll. */
  readonly ledger: Pick<LedgerStatus, 'state' | 'code' | 'headTime' | 'waitingSinceMs'> | undefined
  /** This machine's clock, milliseconds since 1970. */
  readonly nowMs: number
  readonly policy: Pick<Policy, 'values'> | undefined
  readonly slots: readonly SlotStatus[]
  readonly units: readonly UnitStatus[]
  /** Why the disk took no write just now, undefined if it did or was not asked. */
  readonly diskFailure: string | undefined
  /** What the last plan said. */
  readonly before: HeartbeatStatus | undefined
}

/** The plan. */
export interface HeartbeatsPlan {
  readonly transactions: readonly WantedTransaction[]
  readonly status: HeartbeatStatus
}

/**
 * Computes the heartbeat that is due, or why it is withheld.
 *
 * @param world - What the ledger says, and how this node serves.
 * @returns One transaction or none, and the state for people.
 * @example
 * planHeartbeats(world).status.code // 'HEARTBEAT_STORE_NOT_SERVING'
 */
export function planHeartbeats(world: HeartbeatsWorld): HeartbeatsPlan {
  const { own, policy } = world
  if (!own || !policy || (own.state !== 'active' && own.state !== 'draining')) return quiet('off')
  const { heartbeatSeconds } = policy.values
  const doubt = staleView(world, heartbeatSeconds)
  if (doubt) return withheld(doubt, world)
  const period = periodDue(own, world.ledger?.headTime, heartbeatSeconds)
  if (period === undefined) return quiet('beating')
  const untrue = unserved(world) ?? unwritable(world)
  if (untrue) return withheld(untrue, world)
  const id = `heartbeat/${period}`
  const why = 'this node serves'
  return { ...quiet('beating'), transactions: [{ id, call: { method: 'heartbeat' }, why }] }
}

/** Number of the period whose heartbeat is due; undefined if none is. */
function periodDue(
  own: LedgerNode,
  headTime: number | undefined,
  heartbeatSeconds: number,
): number | undefined {
  if (headTime === undefined) return undefined
  const periodSeconds = Math.max(1, Math.floor((heartbeatSeconds * PERIOD_PERCENT) / 100))
  if (headTime - own.lastHeartbeat < periodSeconds) return undefined
  return Math.floor(headTime / periodSeconds)
}

interface Untrue {
  readonly code: HeartbeatCode
  readonly message: string
}

function staleView(world: HeartbeatsWorld, heartbeatSeconds: number): Untrue | undefined {
  const { ledger, nowMs } = world
  if (ledger?.waitingSinceMs === undefined || ledger.state === 'following') return undefined
  if (ledger.code === 'LEDGER_STALLED') return undefined
  const staleMsMax = Math.min(STALE_SECONDS_MAX, heartbeatSeconds / 2) * SECOND_MS
  if (nowMs - ledger.waitingSinceMs <= staleMsMax) return undefined
  const since = new Date(ledger.waitingSinceMs).toISOString()
  return {
    code: 'HEARTBEAT_VIEW_STALE',
    message: `the ledger is waited for since ${since} (${ledger.code})`,
  }
}

function unserved({ slots, units }: HeartbeatsWorld): Untrue | undefined {
  const live = slots.filter(({ state }) => state === 'live')
  if (live.length === 0) return undefined
  const code = 'HEARTBEAT_STORE_NOT_SERVING'
  for (const kind of ['store', 'links'] as const) {
    const unit = units.find((one) => one.kind === kind)
    if (unit?.state === 'running') continue
    const reason = unit?.code === undefined ? '' : ` (${unit.code})`
    return { code, message: `the unit ${kind} is ${unit?.state ?? 'not there'}${reason}` }
  }
  const served = namespacesServed(units.find(({ kind }) => kind === 'store'))
  const lacking = live.filter(({ namespace }) => !served.has(namespace))
  const [first] = lacking
  if (!first) return undefined
  return {
    code,
    message: `${lacking.length} slots are not served, the first is ${first.namespace}`,
  }
}

/** Names of the namespaces that the store has open and that did not fail. */
function namespacesServed(store: UnitStatus | undefined): ReadonlySet<unknown> {
  const listed = store?.figures?.['namespaces']
  const namespaces: readonly unknown[] = Array.isArray(listed) ? listed : []
  const well = namespaces.filter((one) => fieldOf(one, 'failure') === undefined)
  return new Set(well.map((one) => fieldOf(one, 'name')))
}

function unwritable({ diskFailure }: HeartbeatsWorld): Untrue | undefined {
  return diskFailure === undefined
    ? undefined
    : { code: 'HEARTBEAT_DISK_UNWRITABLE', message: diskFailure }
}

function withheld({ code, message }: Untrue, { before, nowMs }: HeartbeatsWorld): HeartbeatsPlan {
  const sinceMs = before?.state === 'withheld' ? before.sinceMs : nowMs
  return { transactions: [], status: { state: 'withheld', code, message, sinceMs } }
}

function quiet(state: 'off' | 'beating'): HeartbeatsPlan {
  return {
    transactions: [],
    status: { state, code: undefined, message: undefined, sinceMs: undefined },
  }
}
