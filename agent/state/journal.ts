/**
 * Where the state outlives the process: a `level` database in which all changes of one run of a controller are one
 * synced batch, so that the ledger's cursor and what was read up to it are never apart.
 */
import { Level } from 'level'
import { describeError, NodeError } from '../base/errors.ts'

/** One change: text to keep, or undefined to forget. */
export interface JournalChange {
  readonly key: string
  readonly text: string | undefined
}

/** Durable key-value pairs, written in batches. Adapters: {@link openJournal}, {@link memoryJournal}. */
export interface Journal {
  /** All pairs, in any order. */
  load(): Promise<readonly { readonly key: string; readonly text: string }[]>
  /** Makes all changes durable, or none. */
  write(changes: readonly JournalChange[]): Promise<void>
  close(): Promise<void>
}

/**
 * Opens the database of an agent.
 *
 * @param directory - `state/` of the data directory; made if missing.
 * @returns The journal; close it before the process ends.
 * @throws NodeError `STATE_UNAVAILABLE` if it cannot be opened.
 * @example
 * const journal = await openJournal(join(dataDir, 'state'))
 */
export async function openJournal(directory: string): Promise<Journal> {
  const db = new Level<string, string>(directory, { keyEncoding: 'utf8', valueEncoding: 'utf8' })
  try {
    await db.open()
  } catch (cause) {
    throw new NodeError('STATE_UNAVAILABLE', `${directory}: ${describeError(cause)}`, { cause })
  }
  return {
    async load() {
      const pairs: { key: string; text: string }[] = []
      for await (const [key, text] of db.iterator()) pairs.push({ key, text })
      return pairs
    },
    async write(changes) {
      const operations = changes.map(({ key, text }) =>
        text === undefined
          ? ({ type: 'del', key } as const)
          : ({ type: 'put', key, value: text } as const),
      )
      try {
        await db.batch(operations, { sync: true })
      } catch (cause) {
        throw new NodeError('STATE_UNAVAILABLE', 'the state cannot be written', { cause })
      }
    },
    close: () => db.close(),
  }
}

/**
 * A journal that forgets with the process, for tests and simulation.
 *
 * @returns A journal in memory; `load` may be called again to play a restart.
 */
export function memoryJournal(): Journal {
  const pairs = new Map<string, string>()
  return {
    load: async () => [...pairs].map(([key, text]) => ({ key, text })),
    async write(changes) {
      for (const { key, text } of changes) {
        if (text === undefined) pairs.delete(key)
        else pairs.set(key, text)
      }
    },
    close: async () => undefined,
  }
}
