/**
 * What a controller is: a name, what it reads, what it writes, and a function that makes the world match.
 *
 * A controller sees the state only through a view of its declared kinds, so that reading or writing another does not
 * compile; the runtime checks the same when it runs.
 */
import { assert } from '../base/assert.ts'
import { NodeError } from '../base/errors.ts'
import type { Kind, Kinds } from '../state/kinds.ts'
import { IDENTIFY } from '../state/kinds.ts'
import { type Change, put, type State } from '../state/state.ts'

/** The state, as one controller sees it during one run. Writes take effect together when the run ends well. */
export interface View<In extends Kind, Out extends Kind> {
  /** The same array as long as nothing of the kind changed. */
  list<K extends In>(kind: K): readonly Kinds[K][]
  get<K extends In>(kind: K, id: string): Kinds[K] | undefined
  /** Sets one resource. */
  put<K extends Out>(kind: K, resource: Kinds[K]): void
  /** Sets all resources of a kind: those not given are gone. */
  replace<K extends Out>(kind: K, resources: readonly Kinds[K][]): void
}

/** Keeps one domain as the ledger wants it. */
export interface Controller<In extends Kind = Kind, Out extends Kind = Kind> {
  /** Unique, one word where it can be. */
  readonly name: string
  /** Kinds read; a change of one wakes the controller. */
  readonly inputs: readonly In[]
  /** Kinds written; no other controller may write them. */
  readonly outputs: readonly Out[]
  /** Kinds of `inputs` whose change does not wake it, because it writes them itself or reads them by the way. */
  readonly quietInputs?: readonly In[]
  /** Milliseconds after which it runs even if nothing changed, `> 0`; asked after each run where it varies. */
  readonly periodMs: number | (() => number)
  /**
   * Makes the world match the view. Must be repeatable, and may be abandoned half-way.
   *
   * @throws NodeError for what may pass: it is run again after a back-off.
   * @throws AssertionError for a bug: the controller stops, the others go on.
   */
  reconcile(view: View<In, Out>, signal: AbortSignal): Promise<void>
}

/** A controller whose kinds are checked no more by the compiler but by its view. */
export type AnyController = Controller<Kind, Kind>

/**
 * Forgets a controller's kinds, so that it can stand in a list with others.
 *
 * @param controller - Any controller.
 * @returns The same object.
 */
export function anyController<In extends Kind, Out extends Kind>(
  controller: Controller<In, Out>,
): AnyController {
  // Sound because the runtime hands it a view that refuses every kind it did not declare.
  return controller as unknown as AnyController
}

/**
 * Makes the view of one run.
 *
 * @param state - The state.
 * @param controller - Whose view.
 * @returns The view, and the changes that were written through it so far.
 */
export function viewOf(
  state: State,
  controller: AnyController,
): { view: View<Kind, Kind>; changes(): readonly Change[] } {
  const inputs = new Set(controller.inputs)
  const outputs = new Set(controller.outputs)
  const changes: Change[] = []
  const declared = (kinds: ReadonlySet<Kind>, kind: Kind, verb: string) => {
    if (kinds.has(kind)) return
    throw new NodeError('STATE_UNDECLARED', `${controller.name} ${verb} ${kind} undeclared`)
  }
  const view: View<Kind, Kind> = {
    list(kind) {
      declared(inputs, kind, 'reads')
      return state.list(kind)
    },
    get(kind, id) {
      declared(inputs, kind, 'reads')
      return state.get(kind, id)
    },
    put(kind, resource) {
      declared(outputs, kind, 'writes')
      changes.push(put(kind, resource))
    },
    replace(kind, resources) {
      declared(outputs, kind, 'writes')
      if ((resources as readonly unknown[]) === state.list(kind)) return
      const next = resources.map((resource) => put(kind, resource))
      const ids = new Set(next.map(({ id }) => id))
      assert(ids.size === next.length, `${controller.name} writes each ${kind} once`)
      const identify = IDENTIFY[kind] as (resource: unknown) => string
      for (const old of state.list(kind)) {
        if (!ids.has(identify(old))) changes.push({ kind, id: identify(old), resource: undefined })
      }
      changes.push(...next)
    },
  }
  return { view, changes: () => changes }
}
