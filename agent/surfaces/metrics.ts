/** Prometheus metrics of the agent, taken from its state when somebody asks. */
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { type Hints, problemsOf } from './health.ts'
import type { StateReading } from './status.ts'

/**
 * Makes the registry of metrics.
 *
 * @param state - The agent's state.
 * @param hints - What to do about a failure, by its code.
 * @returns A function that writes all metrics in Prometheus' text format.
 * @example
 * const metrics = agentMetrics(state, AGENT_ERRORS)
 * await metrics()
 */
export function agentMetrics(state: StateReading, hints: Hints): () => Promise<string> {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const gauge = <L extends string>(
    name: string,
    help: string,
    labelNames: L[],
    collect: (set: (labels: Partial<Record<L, string>>, value: number) => void) => void,
  ) =>
    new Gauge({
      name: `varve_${name}`,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset()
        collect((labels, value) => this.set(labels, value))
      },
    })

  gauge('well', '1 while nothing is wrong that this node has to mend', [], (set) => {
    set({}, problemsOf(state, hints).some(({ level }) => level === 'alarm') ? 0 : 1)
  })
  gauge(
    'problem',
    '1 for each thing that is wrong, as `varve-agent status` lists it',
    ['level', 'about', 'code'],
    (set) => {
      for (const { level, about, code } of problemsOf(state, hints)) set({ level, about, code }, 1)
    },
  )
  gauge(
    'ledger_following',
    '1 while the ledger is followed, 0 while it is waited for',
    [],
    (set) => {
      set({}, state.list('ledger.status')[0]?.state === 'following' ? 1 : 0)
    },
  )
  gauge(
    'ledger_waiting',
    '1 for the reason for which the ledger is waited for, or nothing is deleted',
    ['code'],
    (set) => {
      const code = state.list('ledger.status')[0]?.code
      if (code !== undefined) set({ code }, 1)
    },
  )
  gauge('ledger_block', 'Number of a block', ['which'], (set) => {
    const [status] = state.list('ledger.status')
    const cursor = state.list('ledger.cursor')[0]?.block.number
    for (const [which, number] of [
      ['head', status?.headNumber],
      ['final', status?.finalNumber],
      ['cursor', cursor],
    ] as const) {
      if (number !== undefined) set({ which }, number)
    }
  })
  gauge(
    'heartbeat_withheld',
    '1 for the reason for which this node does not say that it serves',
    ['code'],
    (set) => {
      const code = state.list('status.heartbeat')[0]?.code
      if (code !== undefined) set({ code }, 1)
    },
  )
  gauge('policy_version', 'Version of the policy in force', [], (set) => {
    set({}, state.list('policy')[0]?.version ?? 0)
  })
  gauge('orders', 'Orders on this node', ['kind', 'state'], (set) => {
    const counts = new Map<string, number>()
    for (const { kind, state: stateName } of [
      ...state.list('status.store'),
      ...state.list('status.mount'),
    ]) {
      const key = `${kind} ${stateName}`
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
    for (const [key, count] of counts) {
      const [kind = '', stateName = ''] = key.split(' ')
      set({ kind, state: stateName }, count)
    }
  })
  gauge('unit_up', '1 while a unit runs with its newest configuration', ['unit', 'kind'], (set) => {
    for (const { name, kind, state: unitState, configured } of state.list('status.unit')) {
      set({ unit: name, kind }, unitState === 'running' && configured ? 1 : 0)
    }
  })
  gauge('unit_restarts', 'Times a unit was started again', ['unit', 'kind'], (set) => {
    for (const { name, kind, restarts } of state.list('status.unit')) {
      set({ unit: name, kind }, restarts)
    }
  })
  gauge('unit_figure', 'Figures that a unit gives of itself', ['unit', 'figure'], (set) => {
    for (const { name, figures } of state.list('status.unit')) {
      for (const [figure, value] of Object.entries(figures ?? {})) {
        if (typeof value === 'number') set({ unit: name, figure }, value)
      }
    }
  })
  gauge('audit', 'Figures of this node’s audits; epochs are 0 for none', ['figure'], (set) => {
    for (const audit of state.list('status.audit')) {
      for (const [figure, value] of Object.entries(audit)) {
        if (typeof value === 'number') set({ figure }, value)
      }
    }
  })
  gauge('audit_proven', '1 while this node owes no proof of the newest epoch', [], (set) => {
    for (const { state: stateName } of state.list('status.audit')) {
      set({}, stateName === 'proving' || stateName === 'missed' ? 0 : 1)
    }
  })
  gauge('transactions', 'Transactions that are remembered', ['state'], (set) => {
    const sent = state.list('transaction.sent')
    for (const name of ['pending', 'mined', 'failed']) {
      set({ state: name }, sent.filter((one) => one.state === name).length)
    }
  })
  gauge(
    'controller_failing',
    '1 while a controller fails or has stopped',
    ['controller'],
    (set) => {
      for (const { name, state: name2 } of state.list('status.controller')) {
        set({ controller: name }, name2 === 'failing' || name2 === 'stopped' ? 1 : 0)
      }
    },
  )
  return () => registry.metrics()
}
