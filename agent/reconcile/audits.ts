/** Keeps the audit unit told of the ledger, the store of what must stay, and the ledger of what is due. */
import { toHex } from '../base/bytes.ts'
import type { Identity } from '../base/identity.ts'
import { AUDIT_UNIT, type AuditsWorld, planAudits } from '../plan/audits.ts'
import type { Controller } from './controller.ts'

/** Every block and every word of the unit wakes it; this is for what was missed. */
const PERIOD_MS = 5_000

type In =
  | 'ledger.cursor'
  | 'ledger.status'
  | 'ledger.audits'
  | 'registry.self'
  | 'registry.node'
  | 'policy'
  | 'order.store'
  | 'order.volume'
  | 'order.mount'
  | 'status.unit'
  | 'status.audit'

/**
 * Makes the controller of audits.
 *
 * @param ports.identity - Countersigns what is in this node's slots.
 * @param ports.encode - Encodes acts of keepers for the contract.
 */
export function auditsController(ports: {
  readonly identity: Identity
  readonly encode: AuditsWorld['encode']
}): Controller<In, 'unit.audit' | 'audit.hold' | 'transaction.audit' | 'status.audit'> {
  return {
    name: 'audits',
    inputs: [
      'ledger.cursor',
      'ledger.status',
      'ledger.audits',
      'registry.self',
      'registry.node',
      'policy',
      'order.store',
      'order.volume',
      'order.mount',
      'status.unit',
      'status.audit',
    ],
    quietInputs: ['status.audit'],
    outputs: ['unit.audit', 'audit.hold', 'transaction.audit', 'status.audit'],
    periodMs: PERIOD_MS,
    async reconcile(view) {
      const [cursor] = view.list('ledger.cursor')
      const [policy] = view.list('policy')
      const [status] = view.list('ledger.status')
      if (!cursor || !policy) return
      const [time, number] = [status?.headTime, status?.headNumber]
      const plan = planAudits({
        self: view.list('registry.self')[0]?.node,
        privateKey: toHex(ports.identity.privateKey),
        chainId: cursor.pin.chainId,
        policy,
        facts: view.list('ledger.audits')[0],
        head: time === undefined || number === undefined ? undefined : { time, number },
        stores: view.list('order.store'),
        volumes: view.list('order.volume'),
        mounts: view.list('order.mount'),
        nodes: view.list('registry.node'),
        unit: view.get('status.unit', AUDIT_UNIT),
        isHoldKnown: view.list('status.audit')[0]?.isHoldKnown ?? false,
        encode: ports.encode,
      })
      view.replace('unit.audit', plan.units)
      if (plan.holds) view.replace('audit.hold', plan.holds)
      view.replace('transaction.audit', plan.transactions)
      view.replace('status.audit', plan.statuses)
    },
  }
}
