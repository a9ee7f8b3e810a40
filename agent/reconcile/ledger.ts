/** Keeps what the state knows of the ledger at its newest final block. The only writer of orders, registry and policy. */
import type { LedgerPoll, LedgerView, Order } from '../ledger/types.ts'
import { ORDER_KINDS, ORDER_RESOURCES, type OrderResource } from '../state/kinds.ts'
import type { Controller, View } from './controller.ts'

/** Reads the ledger. Satisfied by `ledger/follower.ts`. */
export interface LedgerReading {
  /** @param known - The newest view, undefined at first start. @returns How it went, and a newer view if there is one. */
  poll(known: LedgerView | undefined, signal: AbortSignal): Promise<LedgerPoll>
}

type LedgerKind =
  | 'ledger.cursor'
  | 'ledger.audits'
  | 'registry.self'
  | 'registry.own'
  | 'registry.node'
  | 'policy'
  | OrderResource

const KINDS: readonly LedgerKind[] = [
  'ledger.cursor',
  'ledger.audits',
  'registry.self',
  'registry.own',
  'registry.node',
  'policy',
  ...ORDER_RESOURCES,
]

/**
 * Makes the controller that reads the ledger.
 *
 * @param ports.ledger - What to read from; it says when to ask again.
 * @returns A controller; all that one poll read becomes durable in one batch.
 */
export function ledgerController(ports: {
  readonly ledger: LedgerReading
}): Controller<LedgerKind, LedgerKind | 'ledger.status'> {
  let nextMs = 1
  return {
    name: 'ledger',
    inputs: KINDS,
    quietInputs: KINDS,
    outputs: [...KINDS, 'ledger.status'],
    periodMs: () => nextMs,
    async reconcile(view, signal) {
      const known = knownView(view)
      const { status, view: next, nextMs: wait } = await ports.ledger.poll(known, signal)
      nextMs = wait
      view.put('ledger.status', status)
      if (!next) return
      view.put('ledger.cursor', next.cursor)
      view.put('registry.self', next.registration)
      view.put('policy', next.policy)
      view.replace('registry.own', next.own ? [next.own] : [])
      view.replace('ledger.audits', next.audits ? [next.audits] : [])
      view.replace('registry.node', next.nodes)
      if (next.orders === known?.orders) return
      for (const kind of ORDER_KINDS) view.replace(`order.${kind}`, ofKind(next.orders, kind))
    },
  }
}

function knownView(view: View<LedgerKind, never>): LedgerView | undefined {
  const [cursor] = view.list('ledger.cursor')
  const [registration] = view.list('registry.self')
  const [policy] = view.list('policy')
  if (!cursor || !registration || !policy) return undefined
  const orders = ORDER_RESOURCES.flatMap((kind): readonly Order[] => view.list(kind))
  const [audits] = view.list('ledger.audits')
  const [own] = view.list('registry.own')
  const nodes = view.list('registry.node')
  return { cursor, registration, own, policy, nodes, orders, ...(audits && { audits }) }
}

function ofKind<K extends Order['kind']>(
  orders: readonly Order[],
  kind: K,
): Extract<Order, { kind: K }>[] {
  return orders.filter((order): order is Extract<Order, { kind: K }> => order.kind === kind)
}
