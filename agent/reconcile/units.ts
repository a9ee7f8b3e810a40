/**
 * Supervises the units: one keeper each, fed from what the planners want, and drained in the right order at the end.
 */
import type { Clock, Log } from '../base/ports.ts'
import {
  UNIT_KINDS,
  UNIT_RESOURCES,
  type UnitKind,
  type UnitResource,
  type UnitStatus,
  type UnitWanted,
} from '../state/kinds.ts'
import type { Controller } from './controller.ts'
import { type UnitHost, UnitKeeper } from './unit-keeper.ts'

/** How often the status of units is looked at. */
const PERIOD_MS = 200

/** All units of an agent. */
export class Supervisor {
  readonly #ports: { readonly host: UnitHost; readonly clock: Clock; readonly log: Log }
  readonly #keepers = new Map<string, UnitKeeper>()
  readonly #ends = new Map<
    string,
    { readonly controller: AbortController; readonly run: Promise<void> }
  >()
  #draining = false

  constructor(ports: { readonly host: UnitHost; readonly clock: Clock; readonly log: Log }) {
    this.#ports = ports
  }

  /**
   * Says what is wanted now. Units that are not listed are left as they are.
   *
   * @param kind - Kind of the units listed.
   * @param units - `[n]` units, names unique.
   */
  want(kind: UnitKind, units: readonly UnitWanted<unknown>[]): void {
    if (this.#draining) return
    for (const unit of units) {
      const keeper = this.#keepers.get(unit.name)
      if (keeper) keeper.want(unit)
      else this.#keep(kind, unit)
    }
  }

  statuses(): readonly UnitStatus[] {
    return [...this.#keepers.values()].map((keeper) => keeper.status())
  }

  /** Stops all units, mounts first, and waits for them. Each is killed if it does not drain in its time. */
  async drain(): Promise<void> {
    this.#draining = true
    for (const kind of UNIT_KINDS) {
      const keepers = [...this.#keepers].filter(([, keeper]) => keeper.kind === kind)
      await Promise.all(
        keepers.map(async ([name, keeper]) => {
          const end = this.#ends.get(name)
          end?.controller.abort()
          await end?.run
          await keeper.stop()
        }),
      )
    }
  }

  #keep(kind: UnitKind, unit: UnitWanted<unknown>): void {
    const keeper = new UnitKeeper(kind, unit, this.#ports)
    const controller = new AbortController()
    this.#keepers.set(unit.name, keeper)
    this.#ends.set(unit.name, { controller, run: keeper.run(controller.signal) })
  }
}

/**
 * Makes the controller that hands wanted units to the supervisor and shows how they are.
 *
 * @param supervisor - Does the work.
 */
export function unitsController(supervisor: Supervisor): Controller<UnitResource, 'status.unit'> {
  return {
    name: 'units',
    inputs: UNIT_RESOURCES,
    outputs: ['status.unit'],
    periodMs: PERIOD_MS,
    async reconcile(view) {
      for (const kind of UNIT_KINDS) supervisor.want(kind, view.list(`unit.${kind}`))
      view.replace('status.unit', supervisor.statuses())
    },
  }
}
