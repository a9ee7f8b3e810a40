/** What became of each mutant, kept in a file of one line each, so that a long run can be interrupted. */
import { appendFileSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../run/step.ts'
import type { Mutant } from './schemata.ts'
import { digestOf, filesUnder, solidityTests, type WovenBuild } from './woven-build.ts'

/** A line of the file. */
interface Verdict {
  readonly name: string
  /** The test that failed; nothing for a survivor. */
  readonly killedBy?: string
  /** The tests that were there. */
  readonly tests: string
  /** The text of the mutant's file. */
  readonly source: string
}

/** Changes with any test. */
function testsDigest(): string {
  return digestOf([...filesUnder('test/solidity', '.ts'), ...solidityTests()])
}

/** The file of results. What was said of a contract's file that has changed since is forgotten. */
export class Verdicts {
  readonly #path: string
  readonly #tests = testsDigest()
  readonly #sources = new Map<string, string>()
  readonly #found = new Map<string, Verdict>()

  constructor({ folder }: WovenBuild, fresh: boolean) {
    this.#path = join(folder, 'verdicts.jsonl')
    if (fresh) rmSync(this.#path, { force: true })
    if (!existsSync(this.#path)) return
    for (const line of readFileSync(this.#path, 'utf8').split('\n')) {
      if (!line.endsWith('}')) continue
      const verdict = JSON.parse(line) as Verdict
      this.#found.set(keyOf(verdict.name, verdict.source), verdict)
    }
  }

  /** Whether trying again could tell nothing new, unless the tests became worse. */
  isSettled(mutant: Mutant): boolean {
    const verdict = this.#verdictOf(mutant)
    return verdict?.killedBy !== undefined || verdict?.tests === this.#tests
  }

  /** What killed mutants so far, the last first, by what a mutant's name belongs to. */
  killers(placeOf: (mutant: { readonly name: string }) => string): Map<string, readonly string[]> {
    const killers = new Map<string, readonly string[]>()
    for (const verdict of this.#found.values()) {
      if (verdict.killedBy === undefined) continue
      const place = placeOf(verdict)
      killers.set(place, [verdict.killedBy, ...(killers.get(place) ?? [])])
    }
    return killers
  }

  isKilled(mutant: Mutant): boolean {
    return this.#verdictOf(mutant)?.killedBy !== undefined
  }

  add({ name, file }: Mutant, killedBy: string | undefined): void {
    const source = this.#sourceOf(file)
    const killer = killedBy === undefined ? {} : { killedBy }
    const verdict = { name, tests: this.#tests, source, ...killer }
    this.#found.set(keyOf(name, source), verdict)
    appendFileSync(this.#path, `${JSON.stringify(verdict)}\n`)
  }

  #verdictOf({ name, file }: Mutant): Verdict | undefined {
    return this.#found.get(keyOf(name, this.#sourceOf(file)))
  }

  #sourceOf(file: string): string {
    const known = this.#sources.get(file) ?? digestOf([readFileSync(join(root, file), 'utf8')])
    this.#sources.set(file, known)
    return known
  }
}

function keyOf(name: string, source: string): string {
  return `${source} ${name}`
}
