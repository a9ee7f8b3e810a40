/** Keeps this node's entry in the registry as configured. */
import type { Identity } from '../base/identity.ts'
import type { NodeOffer } from '../ledger/types.ts'
import { planRegistration } from '../plan/registration.ts'
import type { Controller } from './controller.ts'

const PERIOD_MS = 10_000

/**
 * Makes the controller of the registration.
 *
 * @param ports.offer - What the node offers, as configured.
 * @param ports.addresses - Where others reach it.
 */
export function registrationController(ports: {
  readonly identity: Pick<Identity, 'account' | 'publicKey' | 'sealingKey'>
  readonly offer: NodeOffer
  readonly addresses: readonly string[]
}): Controller<
  'registry.self' | 'registry.own' | 'policy',
  'transaction.registration' | 'status.registration'
> {
  return {
    name: 'registration',
    inputs: ['registry.self', 'registry.own', 'policy'],
    outputs: ['transaction.registration', 'status.registration'],
    periodMs: PERIOD_MS,
    async reconcile(view) {
      const [registration] = view.list('registry.self')
      const [policy] = view.list('policy')
      const [own] = view.list('registry.own')
      const plan = planRegistration({ ...ports, registration, own, policy })
      view.replace('transaction.registration', plan.transactions)
      view.put('status.registration', plan.status)
    },
  }
}
