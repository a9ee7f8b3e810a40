/** Keeps the store unit's namespaces equal to the slots that the ledger gave this node. */
import type { Policy } from '../ledger/types.ts'
import { planStores, type StoresWorld } from '../plan/stores.ts'
import type { Controller, View } from './controller.ts'

/** Name of the store unit. */
export const STORE_UNIT = 'store'

/** Once in a while even if nothing changed: cheap, and it repairs what a bug may have left. */
const PERIOD_MS = 10_000

type In =
  | 'ledger.cursor'
  | 'registry.self'
  | 'registry.node'
  | 'policy'
  | 'order.store'
  | 'order.volume'
  | 'order.mount'
  | 'order.unreadable'
  | 'audit.hold'
  | 'status.audit'

/**
 * Makes the controller of the store unit.
 *
 * @returns A controller that says nothing of the unit before the ledger was read once.
 */
export function storesController(): Controller<In, 'unit.store' | 'status.store' | 'status.slot'> {
  return {
    name: 'stores',
    inputs: [
      'ledger.cursor',
      'registry.self',
      'registry.node',
      'policy',
      'order.store',
      'order.volume',
      'order.mount',
      'order.unreadable',
      'audit.hold',
      'status.audit',
    ],
    quietInputs: ['status.audit'],
    outputs: ['unit.store', 'status.store', 'status.slot'],
    periodMs: PERIOD_MS,
    async reconcile(view) {
      const [cursor] = view.list('ledger.cursor')
      const [self] = view.list('registry.self')
      const [policy] = view.list('policy')
      if (!cursor || !policy) return
      const plan = planStores({
        self: self?.node,
        now: cursor.time?.provenSeconds ?? 0,
        graceSeconds: policy.values.graceSeconds,
        stores: view.list('order.store'),
        volumes: view.list('order.volume'),
        mounts: view.list('order.mount'),
        unreadable: view.list('order.unreadable'),
        nodes: view.list('registry.node'),
        holds: holdsOf(view, policy),
      })
      view.replace('unit.store', [{ name: STORE_UNIT, run: true, config: plan.config }])
      view.replace('status.slot', plan.slots)
      view.replace('status.store', plan.orders)
    },
  }
}

/** Before the audit unit has said what must stay, nobody knows. */
function holdsOf(view: View<In, never>, policy: Policy): StoresWorld['holds'] {
  if (policy.values.auditEpochSeconds === 0) return 'off'
  const isKnown = view.list('status.audit')[0]?.isHoldKnown ?? false
  return isKnown ? view.list('audit.hold') : 'unknown'
}
