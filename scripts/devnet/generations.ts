/**
 * The files that a local ledger is restored from: state dumps (`state-<block>.json.gz`) and journals
 * (`journal-<first block>.log`).
 *
 * A journal starts with the block after a dump, so a dump and all journals from it on give the head. Two dumps are kept:
 * one may be damaged, and starting from the older of them leaves the engine with the states of the blocks between, which
 * readers who look a few blocks back still ask for.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { NodeError } from '../../agent/base/errors.ts'
import { decodeJournal, type JournalRecord } from './journal.ts'

const DUMPS_KEPT = 2

/** Where a restore starts and what is replayed on top of it. */
export interface RestorePlan {
  /** State to load, or undefined for the genesis. */
  readonly dump: { readonly block: number; readonly json: Uint8Array } | undefined
  /** All records after the dump, in order. */
  readonly records: readonly JournalRecord[]
  /** First block of the newest journal, the one to go on writing. */
  readonly newestJournal: number
  /** Block of the newest dump, 0 if there is none: the next one is due that much later, or a restart would soon find
   * only dumps too near the head. */
  readonly newestDump: number
}

export const dumpPath = (directory: string, block: number): string =>
  join(directory, `state-${block}.json.gz`)
export const journalPath = (directory: string, firstBlock: number): string =>
  join(directory, `journal-${firstBlock}.log`)

/**
 * Reads what a ledger is to be restored from.
 *
 * @param directory - Data directory.
 * @param statesBack - Blocks behind the head whose states should be there after the restore, where dumps allow it.
 * @returns The plan; for an empty directory the genesis and nothing to replay.
 * @throws NodeError `DEVNET_JOURNAL_CORRUPT` if journals are missing or damaged, or no dump can be read.
 */
export function readRestorePlan(directory: string, statesBack: number): RestorePlan {
  const journals = numbersOf(directory, /^journal-(\d+)\.log$/)
  if (journals.length === 0) {
    return { dump: undefined, records: [], newestJournal: 1, newestDump: 0 }
  }

  const recordsOf = new Map(
    journals.map((first) => [
      first,
      decodeJournal(readFileSync(journalPath(directory, first))).records,
    ]),
  )
  const head = lastBlock([...recordsOf.values()].flat()) ?? (journals.at(-1) ?? 1) - 1
  const dumps = numbersOf(directory, /^state-(\d+)\.json\.gz$/).reverse()
  const wanted = dumps.filter((block) => block <= head - statesBack)
  const rest = dumps.filter((block) => block > head - statesBack).reverse()
  const newest = { newestJournal: journals.at(-1) ?? 1, newestDump: dumps[0] ?? 0 }

  // The genesis comes before dumps that are too new, because it leaves more states behind the head.
  const starts = journals[0] === 1 ? [...wanted, 0, ...rest] : [...wanted, ...rest]
  for (const block of starts) {
    const from = journals.filter((first) => first > block)
    if (from[0] !== block + 1) continue
    const records = from.flatMap((first) => recordsOf.get(first) ?? [])
    if (block === 0) return { dump: undefined, records, ...newest }
    const json = readDump(dumpPath(directory, block))
    if (json !== undefined) return { dump: { block, json }, records, ...newest }
  }
  throw new NodeError('DEVNET_JOURNAL_CORRUPT', 'no dump can be read that journals go on from', {
    details: { dumps, journals },
  })
}

function numbersOf(directory: string, pattern: RegExp): number[] {
  if (!existsSync(directory)) return []
  return readdirSync(directory)
    .flatMap((name) => pattern.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b)
}

function lastBlock(records: readonly JournalRecord[]): number | undefined {
  return records.findLast((record) => record.kind === 'block')?.number
}

/** A dump is gzip, whose checksum tells whether it is whole. */
function readDump(path: string): Uint8Array | undefined {
  try {
    return gunzipSync(readFileSync(path))
  } catch {
    return undefined
  }
}

/**
 * Removes dumps older than the newest two, and journals that no kept dump goes on from.
 *
 * @param directory - Data directory.
 */
export function removeOldGenerations(directory: string): void {
  const dumps = numbersOf(directory, /^state-(\d+)\.json\.gz$/)
  if (dumps.length < DUMPS_KEPT) return
  const oldestKept = dumps.at(-DUMPS_KEPT) ?? 0
  for (const block of dumps) if (block < oldestKept) rmSync(dumpPath(directory, block))
  for (const first of numbersOf(directory, /^journal-(\d+)\.log$/)) {
    if (first <= oldestKept) rmSync(journalPath(directory, first))
  }
}
