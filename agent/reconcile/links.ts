/** Keeps the links unit's peers equal to the registry. */
import { toHex } from '../base/bytes.ts'
import type { Identity } from '../base/identity.ts'
import { planLinks } from '../plan/links.ts'
import type { Controller } from './controller.ts'

/** Name of the links unit. */
export const LINKS_UNIT = 'links'
const PERIOD_MS = 10_000

/**
 * Makes the controller of the links unit.
 *
 * @param ports.identity - Whose links they are.
 * @param ports.listen - Multiaddrs to listen on; none for a node that only dials.
 */
export function linksController(ports: {
  readonly identity: Pick<Identity, 'account' | 'privateKey'>
  readonly listen: readonly string[]
}): Controller<'ledger.cursor' | 'registry.node' | 'order.store', 'unit.links'> {
  return {
    name: 'links',
    inputs: ['ledger.cursor', 'registry.node', 'order.store'],
    quietInputs: ['ledger.cursor'],
    outputs: ['unit.links'],
    periodMs: PERIOD_MS,
    async reconcile(view) {
      const [cursor] = view.list('ledger.cursor')
      if (!cursor) return
      const { account, privateKey } = ports.identity
      const { peers, guests } = planLinks({
        self: account,
        nodes: view.list('registry.node'),
        stores: view.list('order.store'),
      })
      const config = {
        grid: cursor.pin.grid,
        privateKey: toHex(privateKey),
        listen: ports.listen,
        peers,
        guests,
      }
      view.replace('unit.links', [{ name: LINKS_UNIT, run: true, config }])
    },
  }
}
