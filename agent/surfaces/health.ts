/**
 * Whether a node is well: everything that is wrong with it as one list, each with a code and a hint. Status, metrics and exit
 * codes are made of this list alone, so that what one of them shows the others cannot hide.
 */
import type { ErrorDescription } from '../base/errors.ts'
import { reportedProblems } from '../base/reported-problem.ts'
import type { OrderStatus, UnitStatus } from '../state/kinds.ts'
import type { StateReading } from './status.ts'

/** One thing that is wrong. */
export interface Problem {
  /** `alarm`: the node does not do what it is for. `notice`: somebody else has to act, as with an order that is refused. */
  readonly level: 'alarm' | 'notice'
  /** What it is about, for people: `unit mount-7`, `ledger`, `controller stores`. */
  readonly about: string
  /** Order that it concerns, undefined where it concerns the whole node. */
  readonly order: number | undefined
  readonly code: string
  readonly message: string
  readonly hint: string | undefined
}

/** Descriptions of codes, by code. */
export type Hints = Readonly<Record<string, ErrorDescription>>

/**
 * Lists what is wrong.
 *
 * @param state - The agent's state.
 * @param hints - Catalogues of all that can be shown.
 * @returns Alarms first; empty if the node is well.
 * @example
 * problemsOf(state, AGENT_ERRORS).some(({ level }) => level === 'alarm')
 */
export function problemsOf(state: StateReading, hints: Hints): Problem[] {
  const found: Found[] = [
    ...state.list('ledger.status').map((one) => ({ about: 'ledger', ...one })),
    ...state.list('ledger.status').flatMap(({ sources }) =>
      sources.map(({ name, code, message }) => {
        return { level: 'notice' as const, about: `source ${name}`, code, message }
      }),
    ),
    ...state.list('status.registration').map((one) => ({ about: 'registration', ...one })),
    ...state.list('status.heartbeat').map((one) => ({ about: 'heartbeat', ...one })),
    ...state.list('status.unit').flatMap(ofUnit),
    ...[...state.list('status.store'), ...state.list('status.mount')].map(ofOrder),
    ...state
      .list('status.repair')
      .filter((repair) => repair.state === 'no-candidate')
      .map(({ order, slot, node }) => ({
        ...{ about: `repair ${order}.${slot}`, order, code: 'REPAIR_NO_CANDIDATE' },
        message: `node ${node} is silent, and no other node can take its slot`,
      })),
    ...state.list('status.audit').map((one) => ({ about: 'audits', ...one })),
    ...state.list('status.controller').map((one) => ({ ...one, about: `controller ${one.name}` })),
  ]
  const problems = found.flatMap((one) => {
    const { code, message, about, order, level = 'alarm' } = one
    if (code === undefined) return []
    const hint = one.hint ?? hints[code]?.hint
    return [{ level, about, order, code, message: message ?? '', hint }]
  })
  return problems.sort((a, b) => Number(a.level === 'notice') - Number(b.level === 'notice'))
}

interface Found {
  readonly level?: Problem['level']
  readonly about: string
  readonly order?: number | undefined
  readonly code: string | undefined
  readonly message: string | undefined
  readonly hint?: string | undefined
}

function ofUnit({ name, code, message, hint, figures }: UnitStatus): Found[] {
  const about = `unit ${name}`
  const order = orderOfUnit(name)
  const reported = reportedProblems(figures).map((one) => ({
    ...one,
    about,
    order: one.order ?? order,
  }))
  return [{ about, order, code, message, hint }, ...reported]
}

/** Units of mounts are named for their orders. */
function orderOfUnit(name: string): number | undefined {
  const order = /^mount-(\d+)$/.exec(name)?.[1]
  return order === undefined ? undefined : Number(order)
}

/** A refusal is the tenant's to mend: it must not make every node red that somebody sends a bad order to. */
function ofOrder({ order, kind, code, message }: OrderStatus): Found {
  return { level: 'notice', about: `order ${order} (${kind})`, order, code, message }
}
