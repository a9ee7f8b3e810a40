/**
 * What a grid's main job has done, noted beside the grid so that a start goes on where the one before was ended. The ledger
 * knows what was ordered; only what it cannot tell is noted.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeDurably } from '../devnet/durable-file.ts'

/** Steps that need not be done twice: history is on the mount, two losses are repaired, the vote is obeyed. */
export type Stage = 'filled' | 'repaired' | 'voted'

/** See the file's comment. */
export interface Notes {
  /** Where the history on the mount came from. */
  readonly historyDir?: string
  /** Number of the tenant's newest order before the main job ordered anything. */
  readonly ordersBefore?: number
  readonly done: readonly Stage[]
}

/** The notes of one grid. */
export class JobNotes {
  readonly #path: string
  #now: Notes

  /** @param dataDir - Directory of the grid. */
  constructor(dataDir: string) {
    this.#path = join(dataDir, 'main-job.json')
    this.#now = existsSync(this.#path)
      ? (JSON.parse(readFileSync(this.#path, 'utf8')) as Notes)
      : { done: [] }
  }

  get now(): Notes {
    return this.#now
  }

  has(stage: Stage): boolean {
    return this.#now.done.includes(stage)
  }

  /** Notes something durably. @param news - Fields to set; `done` is one more stage. */
  async note({
    done,
    ...news
  }: Omit<Partial<Notes>, 'done'> & { readonly done?: Stage }): Promise<void> {
    const stages = done === undefined || this.has(done) ? this.#now.done : [...this.#now.done, done]
    this.#now = { ...this.#now, ...news, done: stages }
    await writeDurably(this.#path, `${JSON.stringify(this.#now, null, 2)}\n`)
  }
}
