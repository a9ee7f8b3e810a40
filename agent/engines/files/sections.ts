/** The tables of other engines, as one: their changes travel in commits, their whole state in snapshots. */
import { NodeError } from '../../base/errors.ts'
import type { SectionBytes } from './commit-format.ts'
import type { Section } from './ports.ts'

/** All sections of a volume. */
export class Sections {
  readonly #sections: readonly Section[]
  readonly #empty: readonly SectionBytes[]

  /** @param sections - `[n]` sections as they are for an empty volume, names unique. */
  constructor(sections: readonly Section[]) {
    this.#sections = sections
    this.#empty = this.snapshot()
  }

  takeChanges(): SectionBytes[] {
    return this.#sections
      .map((section) => ({ name: section.name, bytes: section.takeChanges() }))
      .filter(({ bytes }) => bytes.byteLength > 0)
  }

  returnChanges(changes: readonly SectionBytes[]): void {
    for (const { name, bytes } of changes) this.#named(name).returnChanges(bytes)
  }

  applyChanges(changes: readonly SectionBytes[]): void {
    for (const { name, bytes } of changes) this.#named(name).applyChanges(bytes)
  }

  snapshot(): SectionBytes[] {
    return this.#sections.map((section) => ({ name: section.name, bytes: section.snapshot() }))
  }

  restore(tables: readonly SectionBytes[]): void {
    for (const { name, bytes } of tables) this.#named(name).restore(bytes)
  }

  /** Back to an empty volume. */
  clear(): void {
    this.restore(this.#empty)
  }

  #named(name: string): Section {
    const found = this.#sections.find((section) => section.name === name)
    if (!found) throw new NodeError('COMMIT_MALFORMED', `no section is called "${name}"`)
    return found
  }
}
