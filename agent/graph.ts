/** The picture of who reads and writes what, drawn without a ledger, a disk or a unit. */
import { systemClock } from './adapters/time/system-clock.ts'
import { IDENTITY_SEED_BYTES, identityFromSeed } from './base/identity.ts'
import type { Log } from './base/ports.ts'
import { resolveConfig } from './config/config.ts'
import { checkOwnership, drawGraph } from './reconcile/runtime.ts'
import { Supervisor } from './reconcile/units.ts'
import { agentControllers } from './run.ts'

/**
 * Draws the controllers of an agent.
 *
 * @returns Lines for a terminal.
 * @throws NodeError `STATE_TWO_WRITERS`, `STATE_UNDECLARED` if they contradict each other.
 * @example
 * process.stdout.write(agentGraph())
 */
export function agentGraph(): string {
  const nobody = async () => {
    throw new TypeError('nothing runs while the graph is drawn')
  }
  const silent: Log = {
    debug: () => undefined,
    info: () => undefined,
    warn: () => undefined,
    error: () => undefined,
    child: () => silent,
  }
  const host = {
    build: '',
    connect: nobody,
    start: () => ({ pid: 0, exited: nobody() }),
    kill: () => undefined,
    isRunning: () => false,
    discard: nobody,
  }
  const flags = { ledger: ['http://localhost'], grid: `0x${'0'.repeat(40)}` }
  const controllers = agentControllers({
    identity: identityFromSeed(new Uint8Array(IDENTITY_SEED_BYTES).fill(1)),
    config: resolveConfig({}, flags).config,
    mountRoot: '/',
    ledger: { poll: nobody },
    sender: { step: nobody },
    supervisor: new Supervisor({ host, clock: systemClock(), log: silent }),
    clock: systemClock(),
    disk: { probe: nobody },
  })
  checkOwnership(controllers)
  return drawGraph(controllers)
}
