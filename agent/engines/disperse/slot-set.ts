/** The slots of a volume as they are now: given by the ledger, replaced while running. */
import type { Clock } from '../../base/ports.ts'
import type { Slot } from './ports.ts'
import { SlotLink } from './slot-link.ts'

/** Links by position. */
export class SlotSet {
  readonly #clock: Clock
  readonly #links = new Map<number, SlotLink>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Takes over the slots that there are; positions not named have no store now.
   *
   * @param slots - `[n]` slots, positions unique.
   */
  set(slots: readonly Slot[]): void {
    const named = new Set(slots.map((slot) => slot.index))
    for (const index of this.#links.keys()) if (!named.has(index)) this.#links.delete(index)
    for (const slot of slots) {
      const known = this.#links.get(slot.index)
      if (known?.generation === slot.generation) known.replaceStore(slot.store)
      else this.#links.set(slot.index, new SlotLink(slot, this.#clock))
      const link = this.#links.get(slot.index)
      if (link) link.formers = this.#formersOf(slot, known?.formers ?? [])
    }
  }

  /** Links to the stores that had a slot before; those that are known keep their back-off. */
  #formersOf({ formers = [], index }: Slot, known: readonly SlotLink[]): SlotLink[] {
    return formers.map(
      (store) =>
        known.find((link) => link.speaksTo(store)) ??
        new SlotLink({ index, generation: -1, store }, this.#clock),
    )
  }

  /** The slot at a position, if it has a store. */
  get(index: number): SlotLink | undefined {
    return this.#links.get(index)
  }

  /** All slots, by position. */
  all(): SlotLink[] {
    return [...this.#links.values()].sort((a, b) => a.index - b.index)
  }
}
