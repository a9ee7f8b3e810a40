/** Says to the ledger that this node serves, once it made sure that it does. */
import { codeOf, describeError, NodeError } from '../base/errors.ts'
import { linkedAbort } from '../base/linked-abort.ts'
import type { Clock } from '../base/ports.ts'
import { SECOND_MS } from '../base/units.ts'
import { planHeartbeats } from '../plan/heartbeats.ts'
import type { Controller } from './controller.ts'

const PERIOD_MS = 10 * SECOND_MS
/** A disk that has not taken a small write by then serves nobody. */
const PROBE_MS_MAX = 10 * SECOND_MS

/** The disk that slots are on. Adapter: `adapters/disk/write-probe`. */
export interface DiskProbe {
  /** Writes something and makes it durable. @throws whatever the system says if it cannot. */
  probe(): Promise<void>
}

type In =
  | 'ledger.status'
  | 'registry.own'
  | 'policy'
  | 'status.slot'
  | 'status.unit'
  | 'status.heartbeat'

/**
 * Makes the controller of heartbeats.
 *
 * @param ports.disk - Asked whenever a heartbeat is due and nothing else speaks against it.
 */
export function heartbeatsController(ports: {
  readonly clock: Clock
  readonly disk: DiskProbe
}): Controller<In, 'transaction.heartbeat' | 'status.heartbeat'> {
  const { clock, disk } = ports
  return {
    name: 'heartbeats',
    inputs: [
      'ledger.status',
      'registry.own',
      'policy',
      'status.slot',
      'status.unit',
      'status.heartbeat',
    ],
    // Every block wakes it, which is often enough.
    quietInputs: ['registry.own', 'policy', 'status.slot', 'status.unit', 'status.heartbeat'],
    outputs: ['transaction.heartbeat', 'status.heartbeat'],
    periodMs: PERIOD_MS,
    async reconcile(view, signal) {
      const world = {
        own: view.list('registry.own')[0],
        ledger: view.list('ledger.status')[0],
        nowMs: clock.now(),
        policy: view.list('policy')[0],
        slots: view.list('status.slot'),
        units: view.list('status.unit'),
        before: view.list('status.heartbeat')[0],
        diskFailure: undefined,
      }
      let plan = planHeartbeats(world)
      if (plan.transactions.length > 0) {
        const diskFailure = await failureOf(disk, clock, signal)
        if (diskFailure !== undefined) plan = planHeartbeats({ ...world, diskFailure })
      }
      view.replace('transaction.heartbeat', plan.transactions)
      view.put('status.heartbeat', plan.status)
    },
  }
}

/** Why the disk takes no writes now; undefined if it does. */
async function failureOf(
  disk: DiskProbe,
  clock: Clock,
  signal: AbortSignal,
): Promise<string | undefined> {
  const waiting = linkedAbort(signal)
  const late = async () => {
    await clock.sleep(PROBE_MS_MAX, waiting.signal)
    throw new NodeError('HEARTBEAT_DISK_UNWRITABLE', `no write was done in ${PROBE_MS_MAX} ms`)
  }
  try {
    await Promise.race([disk.probe(), late()])
    return undefined
  } catch (caught) {
    signal.throwIfAborted()
    if (codeOf(caught) === undefined) throw caught
    return describeError(caught)
  } finally {
    waiting.abort()
    waiting.release()
  }
}
