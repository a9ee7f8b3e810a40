/** One run of compaction on a log that is being served: what is wanted, when it may switch over, and what the index learns. */
import {
  type CompactionOptions,
  type CompactionResult,
  copyWanted,
  segmentsToCompact,
  switchOver,
  UNWANTED,
} from './compaction.ts'
import type { NamespaceLog } from './namespace-log.ts'
import { KIND_DELETE, KIND_SET, recordBytesOf } from './record.ts'
import type { Entry } from './record-index.ts'
import type { FoundRecord } from './scan-segment.ts'
import type { HeldBytes, Segment } from './segment.ts'

/** How to compact. */
export interface CompactLogOptions {
  /** Keys changed since so long keep their older versions; 0 for none. */
  readonly historySeconds: number
  /** Seconds since 1970: what was replaced or deleted since then stays; 0 for no such time. */
  readonly keptSince: number
  /** Share of dead bytes from which a segment is worth it. */
  readonly deadShareMin: number
  /** Segments that end beyond this serial stay as they are. */
  readonly endSerialMax: number
  /** Whether deletions stay whose key has no value again. */
  readonly keepsDeletions: boolean
  /** Lets others have their turn. */
  readonly breathe: () => Promise<void>
}

/**
 * Takes one run of dead records out of the full segments, while reads and writes go on. One run of a log at a time.
 *
 * @param log - The log.
 * @param options - History to keep, and what is worth it.
 * @returns Bytes given back to the disk; 0 if there was nothing to do.
 * @throws NodeError `DISK_*`; the log is as it was.
 */
export async function compactLog(log: NamespaceLog, options: CompactLogOptions): Promise<number> {
  const endOf = (segment: Segment) =>
    log.segments[log.segments.indexOf(segment) + 1]?.firstSerial ?? log.appended
  const full = log.fullSegments().filter((one) => endOf(one) <= options.endSerialMax)
  const nowMs = log.ports.clock.now()
  const run = segmentsToCompact(full, log.segmentBytes, options.deadShareMin, nowMs)
  const last = run.at(-1)
  if (!last || log.failure) return 0
  const beginsLog = run[0] === log.segments[0]
  const ages = new KeptAges(options, nowMs / 1000)
  const job: CompactionOptions = {
    disk: log.ports.disk,
    directory: log.directory,
    segments: run,
    endSerial: endOf(last),
    nextSeq: log.nextSeq,
    nowMs,
    wantedEntry: (segment, record) =>
      wantedEntry(log, segment, record, { beginsLog, ages, ...options }),
    breathe: options.breathe,
  }
  const result = await copyWanted(job)
  if (!result) {
    log.ports.log.error({ directory: log.directory }, 'a damaged segment is left as it is')
    return compactLog(log, options)
  }
  // What replaced the records that were left out must be durable before they go.
  const target = log.appended
  log.flush()
  while (log.durable < target && !log.failure) await log.makeDurable()
  if (log.failure) {
    result.file.close()
    result.hint.abandon()
    return 0
  }
  await switchOver(job, result)
  return takeOver(log, run, result, ages.held)
}

/** Whether some of what was replaced or deleted stays for its age: then the index must know deleted keys too. */
export function keepsByAge(
  rules: Pick<CompactLogOptions, 'historySeconds' | 'keptSince'>,
): boolean {
  return rules.historySeconds !== 0 || rules.keptSince !== 0
}

/** Decides which ages are kept, and counts what is kept for its age alone. */
class KeptAges {
  readonly #historySeconds: number
  readonly #keptSince: number
  readonly #nowSeconds: number
  #bytes = 0
  #until = 0

  constructor({ historySeconds, keptSince }: CompactLogOptions, nowSeconds: number) {
    this.#historySeconds = historySeconds
    this.#keptSince = keptSince === 0 ? Number.POSITIVE_INFINITY : keptSince
    this.#nowSeconds = nowSeconds
  }

  /** Whether a record is kept whose key changed at a time, in seconds since 1970; if so its bytes are counted. */
  keeps(changedAt: number, bytes: number): boolean {
    const historyUntil = this.#historySeconds === 0 ? 0 : changedAt + this.#historySeconds
    const until = changedAt >= this.#keptSince ? Number.POSITIVE_INFINITY : historyUntil
    if (until < this.#nowSeconds) return false
    this.#bytes += bytes
    this.#until = Math.max(this.#until, until)
    return true
  }

  get held(): HeldBytes {
    return { bytes: this.#bytes, until: this.#until }
  }
}

/** Whether and how a record outlives compaction. */
function wantedEntry(
  log: NamespaceLog,
  segment: Segment,
  record: FoundRecord,
  rules: {
    readonly beginsLog: boolean
    readonly ages: KeptAges
    readonly keepsDeletions: boolean
    readonly historySeconds: number
    readonly keptSince: number
  },
): Entry {
  const { beginsLog, ages, keepsDeletions } = rules
  const { index } = log
  const { key, header } = record
  const entry = index.find(key, 0, key.byteLength)
  const isNewest =
    entry >= 0 &&
    index.segmentOf(entry) === segment.number &&
    index.offsetOf(entry) === record.offset
  const wanted = isNewest ? entry : -1
  if (isNewest && header.kind === KIND_SET) return wanted
  // A replica that was away may have a value that this deletes.
  const isLast = entry < 0 || isNewest
  if (header.kind === KIND_DELETE && keepsDeletions && isLast) return wanted
  // What a deletion hides may still be in an older segment.
  if (header.kind === KIND_DELETE && !beginsLog) return wanted
  if (!keepsByAge(rules)) return UNWANTED
  const changedAt = entry >= 0 ? log.records.timeOf(entry) : header.timeSeconds
  const bytes = recordBytesOf(key.byteLength, header.valueBytes)
  return ages.keeps(Math.max(changedAt, header.timeSeconds), bytes) ? wanted : UNWANTED
}

/** Points the index to where records went, and puts the new segment in the place of the old ones. */
function takeOver(
  log: NamespaceLog,
  run: readonly Segment[],
  result: CompactionResult,
  held: HeldBytes,
): number {
  const { index } = log
  // Pending records point back to where older versions were, in case they must be taken back.
  log.flush()
  const { header, name, file } = result
  const cacheFile = log.nextCacheFile()
  const segment: Segment = { ...header, name, file, liveBytes: 0, held, cacheFile }
  const kept = new Set<Entry>()
  for (const { entry, fromSegment, fromOffset, toOffset, bytes } of result.moves) {
    // History counts as wanted for its time, deletions without an entry until a run looks at them again.
    if (entry < 0) segment.liveBytes += bytes
    const isStillNewest =
      entry >= 0 && index.segmentOf(entry) === fromSegment && index.offsetOf(entry) === fromOffset
    if (!isStillNewest) continue
    const isDeleted = index.isDeleted(entry)
    if (isDeleted) kept.add(entry)
    segment.liveBytes += bytes
    const valueBytes = index.valueBytesOf(entry)
    index.place(entry, segment.number, toOffset, valueBytes, index.valueCrcOf(entry), isDeleted)
  }
  if (log.keepsDeleted) forgetDeleted(log, run, kept)
  const freedBytes = log.replaceSegments(run, segment)
  log.commit.seal({ segment, hint: result.hint, endSerial: header.endSerial })
  return freedBytes
}

/** Deleted keys whose deletion was not kept leave the index. */
function forgetDeleted(log: NamespaceLog, run: readonly Segment[], kept: ReadonlySet<Entry>): void {
  const numbers = new Set(run.map((one) => one.number))
  const { index } = log
  for (let entry = index.nextEntry(0); entry >= 0; entry = index.nextEntry(entry + 1)) {
    if (!index.isDeleted(entry) || kept.has(entry)) continue
    if (numbers.has(index.segmentOf(entry))) index.remove(entry)
  }
}
