/** Moves slots of volumes that this node writes away from nodes that went silent. */
import { planRepairs } from '../plan/repairs.ts'
import type { Controller } from './controller.ts'

const PERIOD_MS = 10_000

type In =
  | 'ledger.cursor'
  | 'registry.self'
  | 'registry.own'
  | 'registry.node'
  | 'policy'
  | 'order.volume'
  | 'order.mount'

/** Makes the controller of repairs. */
export function repairsController(): Controller<In, 'transaction.repair' | 'status.repair'> {
  return {
    name: 'repairs',
    inputs: [
      'ledger.cursor',
      'registry.self',
      'registry.own',
      'registry.node',
      'policy',
      'order.volume',
      'order.mount',
    ],
    outputs: ['transaction.repair', 'status.repair'],
    periodMs: PERIOD_MS,
    async reconcile(view) {
      const [cursor] = view.list('ledger.cursor')
      const [self] = view.list('registry.self')
      const [policy] = view.list('policy')
      if (!cursor || !policy) return
      const plan = planRepairs({
        self: self?.node,
        now: cursor.block.timestamp,
        nodesReadAt: cursor.nodesReadAt,
        policy,
        volumes: view.list('order.volume'),
        mounts: view.list('order.mount'),
        own: view.list('registry.own')[0],
        nodes: view.list('registry.node'),
      })
      view.replace('transaction.repair', plan.transactions)
      view.replace('status.repair', plan.repairs)
    },
  }
}
