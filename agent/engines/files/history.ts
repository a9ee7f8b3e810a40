/**
 * Finds, among all records that stores hold, the one history to believe.
 *
 * A record counts only if it opens under the volume's key with a trusted signature, carries its sequence, and names the
 * hash of the record before. Where histories part, the newest writer's wins, then the longest, so a fenced writer and a store that
 * lies together cannot undo what its successor wrote. Stores that lie or fall behind cost reads, nothing else.
 */
import { toHex } from '../../base/bytes.ts'
import { isNodeError } from '../../base/errors.ts'
import { type Commit, decodeCommit, hashRecord } from './commit-format.ts'
import { BRANCHES_MAX, COMMITS_READ_AHEAD, FORK_COMMITS_MAX } from './constants.ts'
import type { CommitSealer } from './ports.ts'

/** Where a history stands. */
export interface Head {
  readonly sequence: number
  readonly hash: Uint8Array
  readonly epoch: number
}

/** A verified record. */
export interface HistoryLink extends Head {
  readonly commit: Commit
  readonly sealed: Uint8Array
}

/** Candidates for a sequence, from wherever there are some. */
export type ReadVersions = (sequence: number) => Promise<readonly Uint8Array[]>

interface Branch {
  links: HistoryLink[]
  head: Head
  isAlive: boolean
}

/**
 * Follows the records after `from` and hands out those of the history to believe, in order, as soon as no rival is left.
 *
 * @param from - A point that is believed already.
 * @param until - Sequence that somebody claims to have; nothing far beyond it is asked for.
 * @param read - Gives candidates.
 * @param sealer - Opens them.
 * @param settle - Receives each link once.
 * @returns The head reached, and whether an authentic record beyond it does not link to it (`from` is then itself
 *   on a lost branch, or records in between are missing).
 */
export async function followHistory(
  from: Head,
  until: number,
  read: ReadVersions,
  sealer: CommitSealer,
  settle: (link: HistoryLink) => void,
): Promise<{ head: Head; isCutOff: boolean }> {
  let settled = from
  let branches: Branch[] = [{ links: [], head: from, isAlive: true }]
  let isCutOff = false
  const ahead = new ReadAhead(read, until)

  for (let sequence = from.sequence + 1; branches.some((branch) => branch.isAlive); sequence++) {
    const links = openVersions(sequence, await ahead.take(sequence), sealer)
    branches = branches.flatMap((branch) => extend(branch, links))
    const reached = best(branches).head
    if (reached.sequence < sequence) isCutOff = links.some((link) => link.epoch >= reached.epoch)
    branches = branches.filter((branch) => !branches.some((other) => beats(other, branch)))
    if (branches.length === 1) settled = handOut(branches, settled, settle)
    const held = branches.reduce((sum, branch) => sum + branch.links.length, 0)
    if (branches.length > BRANCHES_MAX || held > FORK_COMMITS_MAX) branches = [best(branches)]
  }
  branches = [best(branches)]
  settled = handOut(branches, settled, settle)
  return { head: settled, isCutOff }
}

/** Opens what opens, once each. */
export function openVersions(
  sequence: number,
  versions: readonly Uint8Array[],
  sealer: CommitSealer,
): HistoryLink[] {
  const links = new Map<string, HistoryLink>()
  for (const sealed of versions) {
    const link = openVersion(sequence, sealed, sealer)
    if (link) links.set(toHex(link.hash), link)
  }
  return [...links.values()]
}

/** Opens one candidate; undefined if it is not an authentic commit of that sequence. */
export function openVersion(
  sequence: number,
  sealed: Uint8Array,
  sealer: CommitSealer,
): HistoryLink | undefined {
  try {
    const commit = decodeCommit(sealer.open(sequence, sealed))
    if (commit.sequence !== sequence) return undefined
    return { sequence, hash: hashRecord(sealed), epoch: commit.epoch, commit, sealed }
  } catch (caught) {
    if (isNodeError(caught)) return undefined
    throw caught
  }
}

function extend(branch: Branch, links: readonly HistoryLink[]): Branch[] {
  if (!branch.isAlive) return [branch]
  const next = links.filter(
    (link) =>
      link.epoch >= branch.head.epoch &&
      Buffer.compare(link.commit.previous, branch.head.hash) === 0,
  )
  if (next.length === 0) return [{ ...branch, isAlive: false }]
  return next.map((link) => ({ links: [...branch.links, link], head: link, isAlive: true }))
}

/** Whether `other` can no longer be overtaken by `branch`. */
function beats(other: Branch, branch: Branch): boolean {
  if (other === branch || branch.isAlive) return false
  return compare(other.head, branch.head) > 0
}

function best(branches: readonly Branch[]): Branch {
  return branches.reduce((a, b) => (compare(b.head, a.head) > 0 ? b : a))
}

function compare(a: Head, b: Head): number {
  return a.epoch - b.epoch || a.sequence - b.sequence || Buffer.compare(b.hash, a.hash)
}

function handOut(branches: Branch[], settled: Head, settle: (link: HistoryLink) => void): Head {
  const branch = branches[0]
  if (!branch || branch.links.length === 0) return settled
  for (const link of branch.links) settle(link)
  branch.links = []
  return branch.head
}

/** Reads several records ahead, in order, and none much beyond what is claimed to exist. */
class ReadAhead {
  readonly #read: ReadVersions
  readonly #until: number
  readonly #pending = new Map<number, Promise<readonly Uint8Array[]>>()

  constructor(read: ReadVersions, until: number) {
    this.#read = read
    this.#until = until
  }

  async take(sequence: number): Promise<readonly Uint8Array[]> {
    const last = Math.min(sequence + COMMITS_READ_AHEAD - 1, Math.max(this.#until, sequence))
    for (let next = sequence; next <= last; next++) {
      if (this.#pending.has(next)) continue
      const reading = this.#read(next)
      // A failure is the taker's; until then it must not count as unhandled.
      reading.catch(() => undefined)
      this.#pending.set(next, reading)
    }
    const taken = this.#pending.get(sequence)
    this.#pending.delete(sequence)
    return (await taken) ?? []
  }
}
