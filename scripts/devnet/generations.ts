/**
 * The files that a local ledger is restored from: state dumps (`state-<block>.json.gz`) and journals
 * (`journal-<first block>.log`).
 *
 * A journal starts with the block after a dump, and its blocks are those of an engine that was started from that dump: an
 * engine that loaded a state computes other state roots than one that made it (`docs/design/0011-devnet.md`). So a restore
 * starts from the dump below the newest journal. The one before is kept for the case that it is damaged.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { NodeError } from '../../agent/base/errors.ts'
import { decodeJournal, type JournalRecord } from './journal.ts'

const DUMPS_KEPT = 2

/** One journal. */
export interface Segment {
  readonly firstBlock: number
  /** What happened, in order. */
  readonly records: readonly JournalRecord[]
}

/** Where a restore starts and what is replayed on top of it. */
export interface RestorePlan {
  /** State to load, or undefined for the genesis. */
  readonly dump: { readonly block: number; readonly json: Uint8Array } | undefined
  /** `[1..]`: journals in order, the last one to go on writing; before each but the first the engine starts from a dump anew. */
  readonly segments: readonly [Segment, ...Segment[]]
}

export const dumpPath = (directory: string, block: number): string =>
  join(directory, `state-${block}.json.gz`)
export const journalPath = (directory: string, firstBlock: number): string =>
  join(directory, `journal-${firstBlock}.log`)

/**
 * Reads what a ledger is to be restored from.
 *
 * @param directory - Data directory.
 * @returns The plan; for an empty directory the genesis and nothing to replay.
 * @throws NodeError `DEVNET_JOURNAL_CORRUPT` if journals are missing or damaged, or no dump can be read.
 */
export function readRestorePlan(directory: string): RestorePlan {
  const journals = numbersOf(directory, /^journal-(\d+)\.log$/)
  if (journals.length === 0) {
    return { dump: undefined, segments: [{ firstBlock: 1, records: [] }] }
  }
  for (let index = journals.length - 1; index >= 0; index--) {
    const block = (journals[index] ?? 1) - 1
    const json = block === 0 ? undefined : readDump(dumpPath(directory, block))
    if (block !== 0 && json === undefined) continue
    const segments = journals.slice(index).map((first) => readSegment(directory, first))
    refuseGaps(segments)
    return { dump: json && { block, json }, segments: segments as [Segment, ...Segment[]] }
  }
  throw new NodeError('DEVNET_JOURNAL_CORRUPT', 'no dump can be read that journals go on from', {
    details: { dumps: numbersOf(directory, DUMP_NAME), journals },
  })
}

const DUMP_NAME = /^state-(\d+)\.json\.gz$/

function readSegment(directory: string, firstBlock: number): Segment {
  const { records } = decodeJournal(readFileSync(journalPath(directory, firstBlock)))
  return { firstBlock, records }
}

/** A journal ends where the next one begins. */
function refuseGaps(segments: readonly Segment[]): void {
  for (const [index, { firstBlock, records }] of segments.entries()) {
    const next = segments[index + 1]
    const last = records.findLast((record) => record.kind === 'block')?.number ?? firstBlock - 1
    if (next === undefined || next.firstBlock === last + 1) continue
    throw new NodeError(
      'DEVNET_JOURNAL_CORRUPT',
      `the journal from block ${firstBlock} on ends at ${last}, and the next one begins at ${next.firstBlock}`,
    )
  }
}

function numbersOf(directory: string, pattern: RegExp): number[] {
  if (!existsSync(directory)) return []
  return readdirSync(directory)
    .flatMap((name) => pattern.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b)
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
  const dumps = numbersOf(directory, DUMP_NAME)
  if (dumps.length < DUMPS_KEPT) return
  const oldestKept = dumps.at(-DUMPS_KEPT) ?? 0
  for (const block of dumps) if (block < oldestKept) rmSync(dumpPath(directory, block))
  for (const first of numbersOf(directory, /^journal-(\d+)\.log$/)) {
    if (first <= oldestKept) rmSync(journalPath(directory, first))
  }
}
