/** `varve-agent unit store`: the process. */
import type { Log } from '../../base/ports.ts'
import { startStoreUnit } from './store-unit.ts'

export { type StandAlone, type StandAloneInit, startStandAlone } from './stand-alone.ts'
export { runStoreCommand } from './store-command.ts'
export { type StoreUnit, type StoreUnitInit, startStoreUnit } from './store-unit.ts'

/**
 * Runs the store unit until it is told to stop, by the control socket or by SIGTERM.
 *
 * @param options.dataDir - Data directory of the node.
 * @param options.name - Name of the unit: `store`.
 * @param options.log - Where it logs.
 * @returns Resolves when everything acknowledged is durable and the sockets are gone.
 * @throws NodeError as `startStoreUnit`.
 * @example
 * await runStoreUnit({ dataDir: '/var/lib/varve', name: 'store', log })
 */
export async function runStoreUnit(options: {
  readonly dataDir: string
  readonly name: string
  readonly log: Log
}): Promise<void> {
  const unit = await startStoreUnit(options)
  process.once('SIGTERM', () => void unit.stop())
  process.once('SIGINT', () => void unit.stop())
  await unit.closed
}
