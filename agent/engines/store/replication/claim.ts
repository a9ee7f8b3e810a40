/**
 * What a replica says it has, and whether the primary's log is a continuation of it.
 *
 * Three things are looked at. Each log has a name, and says which logs it continues from which size on: that finds a replica
 * that was made a primary in between, and one that follows the wrong log. Where both keep a tree, the root of what the
 * replica has must be the root that the primary had at that size. And the replica's last record, if the primary still has it,
 * must be the same record. What does not pass is refused, never cut to fit.
 */
import { bytesEqual } from '../../../base/bytes.ts'
import { NodeError } from '../../../base/errors.ts'
import type { Namespace, ReplayedRecord } from '../namespace.ts'
import { recordRoot } from '../tree/record-root.ts'
import { recordsIn } from './record-batch.ts'
import { RecordFeed } from './record-feed.ts'

/** A durable copy of the beginning of a log. */
export interface Claim {
  /** Count of records, those that are gone included. */
  readonly size: number
  /** Names of the logs of which it is a beginning. */
  readonly logIds: readonly string[]
  /** Root over it, where the replica keeps a tree. */
  readonly root: Uint8Array | undefined
  /** Its last record, if it holds one. */
  readonly last: LastRecord | undefined
}

/** A record, by where it is and what it holds. */
export interface LastRecord {
  readonly serial: number
  readonly root: Uint8Array
}

/** The most names in a claim: its own log and those before it. */
export const CLAIM_LOGS_MAX = 65

/**
 * What a namespace has, made durable.
 *
 * @param namespace - The replica's.
 * @param known - Its last record, if that is known: finding it takes reading a segment.
 * @throws NodeError `LOG_WRITE_FAILED`, `DISK_IO`.
 */
export async function claimOf(namespace: Namespace, known?: LastRecord): Promise<Claim> {
  const size = await settledSize(namespace)
  const { log, tree, properties } = namespace
  const { logId, ancestors } = properties
  // What was made a log of its own and took no record since is still a beginning of the log it came from.
  const parents = ancestors.filter((one) => one.size >= size).map((one) => one.logId)
  return {
    size,
    logIds: logId === '' ? parents : [logId, ...parents],
    root: tree && size > 0 ? tree.root(size) : undefined,
    last:
      known ?? (tree && size === log.durable ? undefined : lastRecordOf(namespace, log.durable)),
  }
}

/**
 * Makes what a namespace has durable, its tree included.
 *
 * @returns Count of records.
 * @throws NodeError `LOG_WRITE_FAILED`, `DISK_IO`.
 */
export async function settledSize(namespace: Namespace): Promise<number> {
  const { log, tree } = namespace
  log.flush()
  do await log.makeDurable()
  while (log.isDirty)
  if (log.failure) throw log.failure
  await tree?.settle()
  return tree ? tree.size : log.durable
}

/**
 * Checks a claim.
 *
 * @param namespace - The primary's; what it has is durable, and in its tree.
 * @param claim - What the replica says it has.
 * @throws NodeError `LOG_REPLICA_DIVERGED`.
 */
export function checkClaim(namespace: Namespace, claim: Claim): void {
  const { log, tree, properties } = namespace
  const { size, logIds, root, last } = claim
  if (size === 0 && !last) return
  const { logId, ancestors } = properties
  const family = [{ logId, size: log.durable }, ...ancestors]
  const known = family.filter((one) => one.logId !== '' && logIds.includes(one.logId))
  if (known.length === 0) throw diverged('the replica holds another log')
  const shared = Math.max(...known.map((one) => one.size))
  const held = Math.max(size, last ? last.serial + 1 : 0)
  if (held > shared) {
    throw diverged(`the replica has ${held} records, of which this log has ${shared}`)
  }
  if (root && tree && size <= tree.size && !bytesEqual(tree.root(size), root)) {
    throw diverged(`the root over the first ${size} records is another`)
  }
  if (last && !holdsSame(namespace, last)) throw diverged(`record ${last.serial} is another`)
}

/** False if the record is here and another; one that compaction took says nothing. */
function holdsSame(namespace: Namespace, last: LastRecord): boolean {
  const batch = new RecordFeed(namespace, last.serial, { withRoots: false }).next()
  for (const record of recordsIn(batch?.records ?? EMPTY)) {
    return record.serial !== last.serial || bytesEqual(recordRoot(record), last.root)
  }
  return true
}

/** The last record below a size; reads the segment that it is in. */
function lastRecordOf(namespace: Namespace, size: number): LastRecord | undefined {
  for (const segment of [...namespace.log.segments].reverse()) {
    if (segment.firstSerial >= size) continue
    const feed = new RecordFeed(namespace, segment.firstSerial, { withRoots: false })
    let last: LastRecord | undefined
    for (let batch = feed.next(); batch && batch.from < size; batch = feed.next()) {
      last = lastOf(batch.records, size) ?? last
    }
    if (last) return last
  }
  return undefined
}

/** What a claim says of a record. */
export function lastRecord(record: ReplayedRecord): LastRecord {
  return { serial: record.serial, root: recordRoot(record) }
}

/** The last record of a run below a size. */
function lastOf(records: Uint8Array, size: number): LastRecord | undefined {
  let last: ReplayedRecord | undefined
  for (const record of recordsIn(records)) if (record.serial < size) last = record
  return last && lastRecord(last)
}

function diverged(problem: string): NodeError {
  return new NodeError('LOG_REPLICA_DIVERGED', problem)
}

const EMPTY = new Uint8Array(0)
