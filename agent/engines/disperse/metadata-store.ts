/**
 * What one metadata store holds of the commit log, and how it is read and written there: commits by their sequence, the notes
 * about the store, and what is put aside instead of being overwritten.
 */
import { hash } from 'node:crypto'
import { bytesEqual } from '../../base/bytes.ts'
import { NodeError } from '../../base/errors.ts'
import type { RecordPlace, RecordSeal, ShardStore } from './ports.ts'
import {
  asideKey,
  CLAIMS,
  COMMITS,
  commitKey,
  epochKey,
  epochOf,
  FILLED_KEY,
  SNAPSHOTS,
  sequenceOf,
} from './shard-key.ts'
import { openNote, type StoreNote } from './store-note.ts'

/** Keys asked for at a time. */
const PAGE_KEYS = 256
/** Claims looked at: each writer that a volume ever had left one, and all but the newest are removed. */
const CLAIMS_MAX = 64

/** Where a store stands. */
export interface Place {
  readonly index: number
  readonly generation: number
}

/** What a store says of itself. */
export interface Survey {
  /** Highest commit, 0 if none. */
  readonly last: number
  /** Highest snapshot, 0 if none. */
  readonly snapshot: number
  readonly note: StoreNote | undefined
  /** It holds nothing at all, not even a note. */
  readonly isEmpty: boolean
  /** It was filled, by what a writer noted or, for volumes older than such notes, because it is the first in its slot and holds commits. */
  readonly isProven: boolean
}

/** Asks a store what it holds. @param from - Where its last commit is thought to be. */
export async function surveyStore(
  store: ShardStore,
  place: Place,
  seal: RecordSeal,
  from: number,
  signal: AbortSignal,
): Promise<Survey> {
  const sealed = await store.get(FILLED_KEY, signal)
  const note = openNote(seal, 'filled', place, sealed)
  const snapshot = await lastOf(store, SNAPSHOTS, signal)
  const last = await lastSequence(store, from, signal)
  const reach = Math.max(last, snapshot)
  const isFirst = sealed === undefined && place.generation === 0 && reach > 0
  // A store that holds less than it was noted to hold has lost something.
  const isProven = note === undefined ? isFirst : reach >= note.sequence
  return { last, snapshot, note, isEmpty: reach === 0 && sealed === undefined, isProven }
}

/** The newest epoch above one's own that claimed a store, 0 if none did. */
export async function newerClaim(
  store: ShardStore,
  place: Place,
  seal: RecordSeal,
  epoch: number,
  signal: AbortSignal,
): Promise<number> {
  const keys = await store.list(CLAIMS, epochKey(CLAIMS, epoch), CLAIMS_MAX, signal)
  for (const key of [...keys].reverse()) {
    const claimed = epochOf(key)
    if (claimed === undefined || claimed <= epoch) continue
    const note = openNote(seal, 'claim', place, await store.get(key, signal))
    if (note?.epoch === claimed) return claimed
  }
  return 0
}

/** What a writer does about a record that it did not write and that stands where its own belongs. */
export type Contradiction = { readonly sequence: number; readonly theirs: RecordPlace | undefined }

/**
 * Puts a commit where it belongs. What stands there is never overwritten before it was kept aside.
 *
 * @param epoch - Of this writer.
 * @returns What was put aside, undefined if nothing was.
 * @throws NodeError `VOLUME_HISTORY_FORKED` if what stands there was acknowledged: another record builds on it. `WRITER_FENCED` if
 *   a newer writer put it there.
 */
export async function putCommit(
  store: ShardStore,
  place: Place,
  seal: RecordSeal,
  epoch: number,
  sequence: number,
  record: Uint8Array,
  signal: AbortSignal,
): Promise<Contradiction | undefined> {
  const key = commitKey(sequence)
  if (await store.putNew(key, record, signal)) return undefined
  const held = await store.get(key, signal)
  if (held !== undefined && bytesEqual(held, record)) return undefined
  const theirs = held && seal.inspect(sequence, held)
  if (theirs !== undefined) await judge(store, place, seal, epoch, sequence, theirs, signal)
  if (held !== undefined) {
    await store.put(asideKey(sequence, hash('sha256', held, 'buffer')), held, signal)
  }
  await store.put(key, record, signal)
  return { sequence, theirs }
}

/**
 * A writer goes on only after its commit was acknowledged: so a record that another builds on was, and may not be replaced. So was
 * one that an earlier writer noted on the store.
 */
async function judge(
  store: ShardStore,
  place: Place,
  seal: RecordSeal,
  epoch: number,
  sequence: number,
  theirs: RecordPlace,
  signal: AbortSignal,
): Promise<void> {
  if (theirs.epoch > epoch) {
    throw new NodeError('WRITER_FENCED', `commit ${sequence} of epoch ${theirs.epoch} is there`)
  }
  if (await wasAcknowledged(store, place, seal, epoch, sequence, signal)) {
    throw forked(sequence, theirs.epoch)
  }
  const next = await store.get(commitKey(sequence + 1), signal)
  const after = next && seal.inspect(sequence + 1, next)
  if (after && bytesEqual(after.previous, theirs.hash)) throw forked(sequence, theirs.epoch)
}

/** Whether a writer before this one noted on a store that a commit was acknowledged. */
export async function wasAcknowledged(
  store: ShardStore,
  place: Place,
  seal: RecordSeal,
  epoch: number,
  sequence: number,
  signal: AbortSignal,
): Promise<boolean> {
  const note = openNote(seal, 'filled', place, await store.get(FILLED_KEY, signal))
  return note !== undefined && note.epoch < epoch && note.sequence >= sequence
}

/** The failure of a writer that meets a history which was acknowledged and is not the one it began from. */
export function forked(sequence: number, epoch: number): NodeError<'VOLUME_HISTORY_FORKED'> {
  return new NodeError(
    'VOLUME_HISTORY_FORKED',
    `a store holds an acknowledged commit ${sequence} of epoch ${epoch} that this history lacks`,
    { details: { sequence, epoch } },
  )
}

/** Highest sequence of a commit that a store holds, 0 if none: gallops from where it is thought to be, then halves. */
export async function lastSequence(
  store: ShardStore,
  from: number,
  signal: AbortSignal,
): Promise<number> {
  const nextAfter = async (sequence: number): Promise<number | undefined> => {
    const [key] = await store.list(COMMITS, commitKey(Math.max(0, sequence)), 1, signal)
    const found = key && sequenceOf(key)
    return found !== undefined && found > sequence ? found : undefined
  }
  let low = (await nextAfter(from - 1)) ?? (await nextAfter(0))
  if (low === undefined) return 0
  let high = Number.POSITIVE_INFINITY
  for (let jump = 1; high - low > 1; jump *= 2) {
    const target = high === Number.POSITIVE_INFINITY ? low + jump : Math.floor((low + high) / 2)
    if (target > Number.MAX_SAFE_INTEGER) return low
    const found = await nextAfter(target - 1)
    if (found === undefined) high = target
    else low = found
  }
  return low
}

/** Every key with a prefix; a store that does not move on is not followed for ever. */
export async function listAll(
  store: ShardStore,
  prefix: Uint8Array,
  signal: AbortSignal,
): Promise<Uint8Array[]> {
  const keys: Uint8Array[] = []
  for (;;) {
    const after = keys.at(-1)
    const page = await store.list(prefix, after, PAGE_KEYS, signal)
    const next = page.filter(
      (key) => key[0] === prefix[0] && (after === undefined || Buffer.compare(key, after) > 0),
    )
    keys.push(...next)
    if (next.length === 0 || page.length < PAGE_KEYS) return keys
  }
}

async function lastOf(store: ShardStore, prefix: Uint8Array, signal: AbortSignal): Promise<number> {
  const keys = await listAll(store, prefix, signal)
  return Math.max(0, ...keys.slice(-1).map((key) => sequenceOf(key) ?? 0))
}
