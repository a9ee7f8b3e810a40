/**
 * Finds the state a volume is in: from the local disk alone where that proves it, else from the metadata stores.
 *
 * The local disk proves the head if its journal was begun under the epoch that the ledger names now: then nobody else may
 * have written since. Otherwise enough stores must answer that at least one of them holds every commit that was
 * ever acknowledged. A journal that the history went past without is put aside and reported, never replayed and never removed.
 */
import { createHash } from 'node:crypto'
import { bytesEqual } from '../../base/bytes.ts'
import type { Disk } from '../../base/disk.ts'
import { describeError, isNodeError, NodeError } from '../../base/errors.ts'
import type { Clock, Log } from '../../base/ports.ts'
import { ChunkReferences } from './chunk-references.ts'
import { applyCommit, JOURNAL_ID_BYTES, NO_HASH } from './commit-format.ts'
import { COMMITS_READ_AHEAD, HANDOVER_LOOK_MS } from './constants.ts'
import {
  followHistory,
  type Head,
  type HistoryLink,
  openVersions,
  type ReadVersions,
} from './history.ts'
import { JOURNAL_DIRECTORY, Journal } from './journal.ts'
import { LocalArchive, putAside } from './local-archive.ts'
import { decodeOperation } from './operations.ts'
import type { ChunkNumber, CommitHead, CommitSealer, CommitStore } from './ports.ts'
import type { Sections } from './sections.ts'
import { decodeSnapshot, loadSnapshot, type Snapshot } from './snapshot-format.ts'
import { Tree } from './tree.ts'
import type { VolumeOptions } from './volume-options.ts'

/** State after some commit. */
export interface VolumeState {
  readonly tree: Tree
  readonly head: Head
  /** Journal of the head commit, and where its prefix ends. */
  readonly journalId: Uint8Array
  readonly cut: number
  /** Chunks that the head commit dropped. */
  readonly dropped: readonly ChunkNumber[]
}

/** A journal tail that could not be continued. */
export interface AsideReport {
  /** Directory under the volume's local root. */
  readonly path: string
  readonly reason: string
}

/** A volume opened for writing. */
export interface WriterOpening {
  readonly state: VolumeState
  readonly journal: Journal
  readonly archive: LocalArchive
  readonly isHeadConfirmed: boolean
  /** Position up to which the head commit covers the journal. */
  readonly coveredTo: number
  /** Journal bytes replayed on top of the head commit. */
  readonly replayedBytes: number
  readonly aside: readonly AsideReport[]
}

/** What opening works with. */
export interface OpeningParts {
  readonly disk: Disk
  readonly sections: Sections
  readonly commits: CommitStore
  readonly sealer: CommitSealer
  readonly clock: Clock
  readonly log: Log
}

interface Candidate {
  readonly sequence: number
  /** Undefined if it is not to be had after all. */
  load(): Promise<Uint8Array | undefined>
  readonly isLocal: boolean
}

interface Result {
  readonly state: VolumeState
  readonly base: Candidate | undefined
  /** Bytes of `base`. */
  readonly sealed: Uint8Array | undefined
  readonly links: readonly HistoryLink[]
  readonly isCutOff: boolean
}

/**
 * Opens for writing.
 *
 * @param epoch - This writer's epoch on the ledger, `>= 1`.
 * @param options.storesNeeded - Metadata stores that must prove their history; undefined for what a commit needs.
 * @param options.outgoing - The writer before, which is given time to disperse what it has.
 * @throws NodeError `VOLUME_HEAD_UNKNOWN`, `VOLUME_HISTORY_INCOMPLETE`, `NOT_ENOUGH_STORES` (repeat later), `VOLUME_EPOCH_OLD`,
 *   `VOLUME_HISTORY_LOST`, `WRITER_FENCED`, `DISK_*`.
 */
export async function openWriter(
  parts: OpeningParts,
  epoch: number,
  segmentBytes: number,
  { storesNeeded, outgoing }: Pick<VolumeOptions, 'storesNeeded' | 'outgoing'>,
  signal: AbortSignal,
): Promise<WriterOpening> {
  const { disk, log } = parts
  const aside: AsideReport[] = []
  const keepAside = (label: string, reason: string, paths: readonly string[]) => {
    const path = putAside(disk, `${label}-${parts.clock.now()}`, paths)
    aside.push({ path, reason })
    log.error({ path, reason }, 'journal kept aside')
  }
  const openJournal = () =>
    Journal.open(
      disk,
      log,
      (paths) => keepAside('damaged', 'a record in the middle is damaged', paths),
      segmentBytes,
    )
  let { journal, report } = openJournal()
  if (report.cutBytes > 0) log.warn(report, 'torn end of the journal cut')
  const archive = LocalArchive.open(disk)

  const local = journal.base?.epoch === epoch ? await openLocal(parts, archive, journal) : undefined
  if (!local && outgoing) await untilHandedOver(parts, outgoing, signal)
  const found = local ?? (await openRemote(parts, archive, epoch, storesNeeded, signal))
  const { state } = found
  if (state.head.epoch > epoch) {
    throw new NodeError('VOLUME_EPOCH_OLD', `commits of epoch ${state.head.epoch} exist`, {
      details: { epoch, headEpoch: state.head.epoch },
    })
  }
  const replayFrom = continuation(journal, found)
  if (replayFrom === undefined) {
    const ownCut = lastCutOf(journal, found.links)
    if (journal.hasRecordsFrom(ownCut)) {
      keepAside(
        `fenced-${journal.base?.epoch ?? 0}`,
        'a newer writer went on without it',
        journal.paths(),
      )
    }
    journal.close()
    disk.remove(JOURNAL_DIRECTORY)
    journal = openJournal().journal
  }
  await keepHistory(archive, found)
  parts.commits.continueFrom(archive)
  const replayedBytes = replayFrom === undefined ? 0 : replay(journal, state, replayFrom)
  beginJournal(parts.clock, journal, state, epoch)
  const coveredTo = replayFrom ?? 0
  return { state, journal, archive, isHeadConfirmed: !local, coveredTo, replayedBytes, aside }
}

/**
 * Opens for reading: whatever history one store can prove.
 *
 * @param upTo - Last commit to apply, for a look at the past.
 * @throws NodeError `VOLUME_HEAD_UNKNOWN` if no store answers.
 */
export async function openReader(
  parts: Omit<OpeningParts, 'disk'>,
  upTo: number,
  signal: AbortSignal,
): Promise<VolumeState> {
  const claimed = await parts.commits.head(signal)
  if (claimed.storesAnswering === 0) throw headUnknown('no metadata store answers')
  const read: ReadVersions = async (at) => (at > upTo ? [] : await parts.commits.read(at, signal))
  const snapshots = (await parts.commits.snapshots(signal)).filter(
    ({ sequence }) => sequence <= upTo,
  )
  const candidates = snapshots.map((snapshot) => ({ ...snapshot, isLocal: false }))
  const result = await chooseHistory(parts, candidates, Math.min(claimed.sequence, upTo), read)
  return result.state
}

/** The state after one more commit. The tree is changed in place. */
export function advance(
  state: VolumeState,
  link: HistoryLink,
  sections: Sections,
  keep: (ino: number) => boolean,
): { state: VolumeState; touched: number[] } {
  sections.applyChanges(link.commit.sections)
  const touched = applyCommit(state.tree, link.commit, keep)
  state.tree.references.takeDropped()
  return {
    state: {
      tree: state.tree,
      head: { sequence: link.sequence, hash: link.hash, epoch: link.epoch },
      journalId: link.commit.journalId,
      cut: link.commit.cut,
      dropped: link.commit.dropped,
    },
    touched,
  }
}

/** Opens from the local disk; undefined if that does not lead to where the journal goes on. */
async function openLocal(
  parts: OpeningParts,
  archive: LocalArchive,
  journal: Journal,
): Promise<Result | undefined> {
  const read: ReadVersions = async (sequence) => {
    const sealed = archive.commit(sequence)
    return sealed ? [sealed] : []
  }
  const result = await chooseHistory(parts, localCandidates(archive), archive.lastSequence, read)
  const isWhole = result.state.head.sequence === archive.lastSequence
  if (isWhole && continuation(journal, result) !== undefined) return result
  parts.log.warn({ sequence: result.state.head.sequence }, 'local state is behind its journal')
  return undefined
}

async function openRemote(
  parts: OpeningParts,
  archive: LocalArchive,
  epoch: number,
  storesNeeded: number | undefined,
  signal: AbortSignal,
): Promise<Result> {
  const { commits, sealer } = parts
  const needed = storesNeeded ?? commits.quorum
  const claimed = await provenHead(parts, archive, epoch, needed, signal)
  const read: ReadVersions = async (sequence) => {
    const sealed = archive.commit(sequence)
    const remote = await commits.read(sequence, signal, needed)
    return sealed ? [sealed, ...remote] : remote
  }
  const remote = (await commits.snapshots(signal)).map((one) => ({ ...one, isLocal: false }))
  const candidates = [...localCandidates(archive), ...remote]
  const until = Math.max(claimed.sequence, archive.lastSequence)
  const result = await chooseHistory(parts, candidates, until, read)

  if (claimed.sequence > result.state.head.sequence) {
    await checkNothingBeyond(result.state.head, claimed.sequence, read, sealer)
    // Somebody claims what nobody shows: a liar, if enough others would have to know better.
    if (claimed.storesProven - 1 < needed) {
      throw headUnknown(`a store claims commit ${claimed.sequence} but does not show it`)
    }
  }
  return result
}

/**
 * Fences older writers, then asks where the log ends: only of stores that were filled, and of as many as a commit needs, so that
 * every commit that was ever acknowledged is on one of them. From nothing only a volume begins that nobody ever wrote.
 */
async function provenHead(
  parts: OpeningParts,
  archive: LocalArchive,
  epoch: number,
  needed: number,
  signal: AbortSignal,
): Promise<CommitHead> {
  const { commits } = parts
  await claimed(commits, epoch, signal)
  const found = await commits.head(signal)
  if (found.storesProven >= needed) return found
  if (found.isLost) {
    throw new NodeError('VOLUME_HISTORY_LOST', 'data stores hold shards, metadata stores nothing')
  }
  const { storesProven, storesAnswering, storesTotal } = found
  if (!found.isEmpty || archive.lastSequence > 0) {
    throw headUnknown(
      `${storesProven} of ${storesTotal} metadata stores prove their history, ${needed} are needed; ${storesAnswering} answer`,
    )
  }
  await commits.begin(signal)
  return await commits.head(signal)
}

/** Waits until the writer before said that it ended, or its time is over. Stores that do not answer only cost that time. */
async function untilHandedOver(
  { commits, clock, log }: OpeningParts,
  { epoch, untilMs }: { readonly epoch: number; readonly untilMs: number },
  signal: AbortSignal,
): Promise<void> {
  while (clock.monotonic() < untilMs) {
    if (await commits.isHandedOver(epoch, signal)) return
    await clock.sleep(HANDOVER_LOOK_MS, signal)
  }
  log.warn({ epoch }, 'the writer before did not say that it ended')
}

async function claimed(commits: CommitStore, epoch: number, signal: AbortSignal): Promise<void> {
  try {
    await commits.claim(epoch, signal)
  } catch (caught) {
    signal.throwIfAborted()
    if (isNodeError(caught, 'WRITER_FENCED')) {
      throw new NodeError('VOLUME_EPOCH_OLD', 'a newer writer claimed the metadata stores', {
        cause: caught,
      })
    }
    if (isNodeError(caught, 'NOT_ENOUGH_STORES')) throw headUnknown(describeError(caught), caught)
    throw caught
  }
}

/** Looks for authentic commits beyond a gap, near it and where a store claims its head to be. */
async function checkNothingBeyond(
  reached: Head,
  claimed: number,
  read: ReadVersions,
  sealer: CommitSealer,
): Promise<void> {
  const near = Math.min(claimed, reached.sequence + COMMITS_READ_AHEAD)
  const places = [claimed]
  for (let at = reached.sequence + 2; at <= near; at++) places.push(at)
  for (const at of places.filter((place) => place > reached.sequence + 1)) {
    const beyond = openVersions(at, await read(at), sealer)
    if (!beyond.some((link) => link.epoch >= reached.epoch)) continue
    throw new NodeError(
      'VOLUME_HISTORY_INCOMPLETE',
      `commit ${at} verifies but ${reached.sequence + 1} is not to be had`,
    )
  }
}

/** Tries starting points, newest first, until one leads to a head that nothing authentic contradicts. */
async function chooseHistory(
  parts: Pick<OpeningParts, 'sections' | 'sealer' | 'log'>,
  candidates: readonly Candidate[],
  until: number,
  read: ReadVersions,
): Promise<Result> {
  const ordered: (Candidate | undefined)[] = [...candidates].sort(
    (a, b) => b.sequence - a.sequence || Number(b.isLocal) - Number(a.isLocal),
  )
  ordered.push(undefined)
  let best: Result | undefined
  let isBestLoaded = false
  for (const base of ordered) {
    const result = await tryHistory(parts, base, until, read)
    if (!result) continue
    isBestLoaded = best === undefined || isBetter(result.state.head, best.state.head)
    if (isBestLoaded) best = result
    if (best && !best.isCutOff) break
  }
  if (!best) throw headUnknown('no snapshot verifies')
  if (isBestLoaded) return best
  return (await tryHistory(parts, best.base, until, read)) ?? best
}

async function tryHistory(
  parts: Pick<OpeningParts, 'sections' | 'sealer' | 'log'>,
  base: Candidate | undefined,
  until: number,
  read: ReadVersions,
): Promise<Result | undefined> {
  const { sections, sealer, log } = parts
  let snapshot: Snapshot | undefined
  let sealed: Uint8Array | undefined
  let state: VolumeState
  try {
    if (base) {
      sealed = await base.load()
      if (sealed === undefined) return undefined
      snapshot = decodeSnapshot(sealer.open(base.sequence, sealed))
      if (snapshot.header.sequence !== base.sequence) return undefined
      sections.restore(snapshot.sections)
    } else sections.clear()
    state = snapshot ? stateOf(snapshot) : emptyState()
  } catch (caught) {
    if (!isNodeError(caught)) throw caught
    log.warn({ sequence: base?.sequence, error: describeError(caught) }, 'snapshot passed over')
    return undefined
  }
  const links: HistoryLink[] = []
  const { isCutOff } = await followHistory(state.head, until, read, sealer, (link) => {
    state = advance(state, link, sections, () => false).state
    links.push(link)
  })
  return { state, base, sealed, links, isCutOff }
}

function stateOf(snapshot: Snapshot): VolumeState {
  const { header } = snapshot
  return {
    tree: loadSnapshot(snapshot),
    head: { sequence: header.sequence, hash: header.previous, epoch: header.epoch },
    journalId: header.journalId,
    cut: header.cut,
    dropped: snapshot.dropped,
  }
}

function emptyState(): VolumeState {
  return {
    tree: Tree.withRoot(new ChunkReferences()),
    head: { sequence: 0, hash: NO_HASH, epoch: 0 },
    journalId: new Uint8Array(JOURNAL_ID_BYTES),
    cut: 0,
    dropped: [],
  }
}

function localCandidates(archive: LocalArchive): Candidate[] {
  return archive.checkpoints.map((sequence) => ({
    sequence,
    load: async () => archive.checkpoint(sequence),
    isLocal: true,
  }))
}

/** Position from which the journal continues the head, undefined if it does not. */
function continuation(journal: Journal, { state }: Result): number | undefined {
  const { base } = journal
  if (!base) return 0
  if (bytesEqual(base.id, state.journalId)) return state.cut
  const { sequence, hash } = state.head
  return base.sequence === sequence && bytesEqual(base.hash, hash) ? 0 : undefined
}

function lastCutOf(journal: Journal, links: readonly HistoryLink[]): number {
  const id = journal.base?.id
  const own = links.filter((link) => id !== undefined && bytesEqual(link.commit.journalId, id))
  return own.at(-1)?.commit.cut ?? 0
}

function replay(journal: Journal, state: VolumeState, from: number): number {
  let bytes = 0
  journal.replay(from, (payload, position) => {
    state.tree.apply(decodeOperation(payload, position))
    bytes += payload.byteLength
  })
  return bytes
}

function beginJournal(clock: Clock, journal: Journal, state: VolumeState, epoch: number): void {
  const { head, cut } = state
  if (journal.base) {
    journal.begin({ ...journal.base, epoch }, cut)
    return
  }
  const seed = createHash('sha256')
    .update(head.hash)
    .update(`${epoch} ${clock.now()} ${clock.monotonic()}`)
    .digest()
  const id = Uint8Array.from(seed.subarray(0, JOURNAL_ID_BYTES))
  journal.begin({ id, epoch, sequence: head.sequence, hash: head.hash }, 0)
}

/** Makes the local archive hold the chosen history, so that the next opening needs no network. */
async function keepHistory(archive: LocalArchive, found: Result): Promise<void> {
  const { base, sealed, links, state } = found
  const isSame = links.every((link) => {
    const held = archive.commit(link.sequence)
    return held === undefined || bytesEqual(held, link.sealed)
  })
  const isContinued =
    archive.lastSequence <= state.head.sequence && isSame && base?.isLocal !== false
  if (!isContinued) {
    archive.reset()
    if (base && sealed) await archive.saveCheckpoint(base.sequence, sealed)
  }
  const missing = links.filter((link) => archive.commit(link.sequence) === undefined)
  for (const link of missing) archive.save(link.sequence, link.sealed)
  if (missing.length > 0) await archive.sync()
}

function headUnknown(message: string, cause?: unknown): NodeError<'VOLUME_HEAD_UNKNOWN'> {
  const RETRY_MS = 1000
  return new NodeError('VOLUME_HEAD_UNKNOWN', message, { cause, retryAfterMs: RETRY_MS })
}

function isBetter(a: Head, b: Head): boolean {
  return a.epoch > b.epoch || (a.epoch === b.epoch && a.sequence > b.sequence)
}
