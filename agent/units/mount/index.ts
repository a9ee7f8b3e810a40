/** `varve-agent unit mount`: the process that shows one volume as a directory. */
import { pino } from 'pino'
import { holderSocket } from '../../adapters/process/run-sockets.ts'
import { systemClock } from '../../adapters/time/system-clock.ts'
import type { Log } from '../../base/ports.ts'
import { Holding } from './holding.ts'
import { startMountUnit } from './mount-unit.ts'
import { machineOutside } from './outside.ts'

/**
 * Runs a mount unit until it is told to stop, by the control socket or by SIGTERM.
 *
 * @param options.dataDir - Data directory of the node.
 * @param options.name - Name of the unit: `mount-<order>`.
 * @param options.log - Where it logs; standard output if left out.
 * @returns Resolves when what was written is durable, the directory is gone and the socket is closed.
 * @throws NodeError `CONTROL_ALREADY_RUNNING`.
 * @example
 * await runMountUnit({ dataDir: '/var/lib/varve', name: 'mount-7', log })
 */
export async function runMountUnit(options: {
  readonly dataDir: string
  readonly name: string
  readonly log?: Log
}): Promise<void> {
  const { dataDir, name, log = pino({ name }) } = options
  const holding = new Holding(holderSocket(dataDir, name), systemClock(), log)
  const unit = await startMountUnit({
    dataDir,
    name,
    log,
    outside: machineOutside(dataDir, holding),
  })
  process.once('SIGTERM', () => void unit.stop())
  process.once('SIGINT', () => void unit.stop())
  await unit.closed
}
