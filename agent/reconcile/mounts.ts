/** Keeps one mount unit for each mount order of this node. */
import type { Identity } from '../base/identity.ts'
import { planMounts } from '../plan/mounts.ts'
import type { Controller } from './controller.ts'

const PERIOD_MS = 10_000

type In =
  | 'ledger.cursor'
  | 'registry.self'
  | 'registry.node'
  | 'policy'
  | 'order.volume'
  | 'order.mount'
  | 'ledger.audits'

/**
 * Makes the controller of the mounts.
 *
 * @param ports.identity - Opens the volume keys that tenants sealed.
 * @param ports.mountRoot - Absolute path below which mounts appear.
 * @param ports.cacheBytes - Local chunk cache of one mount.
 */
export function mountsController(ports: {
  readonly identity: Identity
  readonly mountRoot: string
  readonly cacheBytes: number
}): Controller<In, 'unit.mount' | 'status.mount'> {
  return {
    name: 'mounts',
    inputs: [
      'ledger.cursor',
      'registry.self',
      'registry.node',
      'policy',
      'order.volume',
      'order.mount',
      'ledger.audits',
    ],
    outputs: ['unit.mount', 'status.mount'],
    periodMs: PERIOD_MS,
    async reconcile(view) {
      const [cursor] = view.list('ledger.cursor')
      const [self] = view.list('registry.self')
      const [policy] = view.list('policy')
      if (!cursor || !policy) return
      const plan = planMounts({
        ...ports,
        self: self?.node,
        now: cursor.time?.provenSeconds ?? 0,
        chainId: cursor.pin.chainId,
        grid: cursor.pin.grid,
        policy,
        mounts: view.list('order.mount'),
        volumes: view.list('order.volume'),
        nodes: view.list('registry.node'),
        audits: view.list('ledger.audits')[0],
      })
      view.replace('unit.mount', plan.units)
      view.replace('status.mount', plan.orders)
    },
  }
}
