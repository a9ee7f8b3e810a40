/** Says to the ledger that this node lives. */
import { planHeartbeats } from '../plan/heartbeats.ts'
import type { Controller } from './controller.ts'

const PERIOD_MS = 10_000

/** Makes the controller of heartbeats. */
export function heartbeatsController(): Controller<
  'ledger.status' | 'registry.self' | 'registry.node' | 'policy',
  'transaction.heartbeat'
> {
  return {
    name: 'heartbeats',
    inputs: ['ledger.status', 'registry.self', 'registry.node', 'policy'],
    quietInputs: ['registry.node', 'policy'],
    outputs: ['transaction.heartbeat'],
    periodMs: PERIOD_MS,
    async reconcile(view) {
      const [self] = view.list('registry.self')
      const [policy] = view.list('policy')
      const [ledger] = view.list('ledger.status')
      const own =
        self?.node === undefined ? undefined : view.get('registry.node', String(self.node))
      const headTime = ledger?.headTime
      view.replace('transaction.heartbeat', planHeartbeats({ own, headTime, policy }))
    },
  }
}
