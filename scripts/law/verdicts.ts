/** What became of each mutant, kept in a file of one line each, so that a long run can be interrupted. */
import { appendFileSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { digestOf, filesUnder, type WovenBuild } from './woven-build.ts'

/** A line of the file. */
interface Verdict {
  readonly name: string
  /** The test that failed; nothing for a survivor. */
  readonly killedBy?: string
  /** The tests that were there. */
  readonly tests: string
}

/** Changes with any test. */
export function testsDigest(): string {
  return digestOf([...filesUnder('test/solidity', '.ts'), ...filesUnder('test/solidity', '.sol')])
}

/** The file of results of one state of the contracts. */
export class Verdicts {
  readonly #path: string
  readonly #tests = testsDigest()
  readonly #found = new Map<string, Verdict>()

  constructor({ folder, digest }: WovenBuild, fresh: boolean) {
    this.#path = join(folder, `verdicts-${digest}.jsonl`)
    if (fresh) rmSync(this.#path, { force: true })
    if (!existsSync(this.#path)) return
    for (const line of readFileSync(this.#path, 'utf8').split('\n')) {
      if (!line.endsWith('}')) continue
      const verdict = JSON.parse(line) as Verdict
      this.#found.set(verdict.name, verdict)
    }
  }

  /** Whether trying again could tell nothing new, unless the tests became worse. */
  isSettled(name: string): boolean {
    const verdict = this.#found.get(name)
    return verdict?.killedBy !== undefined || verdict?.tests === this.#tests
  }

  isKilled(name: string): boolean {
    return this.#found.get(name)?.killedBy !== undefined
  }

  add(name: string, killedBy: string | undefined): void {
    const verdict = { name, tests: this.#tests, ...(killedBy === undefined ? {} : { killedBy }) }
    this.#found.set(name, verdict)
    appendFileSync(this.#path, `${JSON.stringify(verdict)}\n`)
  }
}
