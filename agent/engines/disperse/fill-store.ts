/**
 * Brings one metadata store up to what its writer holds itself, and proves it: afterwards the store has a snapshot and every commit
 * after it, the newest of them compared byte for byte, and a note that says so.
 *
 * The source is the writer's own disk and never another store, so a store is whole although all others are away, and
 * nothing that some store made up is ever copied. A store that holds a history which the writer does not know stops the writer.
 */
import { NodeError } from '../../base/errors.ts'
import {
  type Contradiction,
  forked,
  lastSequence,
  listAll,
  type Place,
  putCommit,
  wasAcknowledged,
} from './metadata-store.ts'
import type { OwnHistory, RecordSeal, ShardStore } from './ports.ts'
import { COMMITS, commitKey, FILLED_KEY, SNAPSHOTS, sequenceOf } from './shard-key.ts'
import { isHeaderKey, prune, putSnapshotOn, sealHeader } from './snapshot-parts.ts'
import { openNote, sealNote } from './store-note.ts'

/** What filling works with. */
export interface FillParts {
  readonly seal: RecordSeal
  readonly own: OwnHistory
  /** Of this writer. */
  readonly epoch: number
  /** Newest commit known to be acknowledged: the note does not promise more. */
  readonly acknowledged: number
}

/** What filling did. */
export interface FillResult {
  /** Commits and snapshots stored. */
  readonly copied: number
  readonly contradictions: readonly Contradiction[]
}

/**
 * Fills a store.
 *
 * @throws NodeError `VOLUME_HISTORY_FORKED`, `WRITER_FENCED`, `METADATA_SOURCE_GONE` if this writer's own disk lacks what it
 *   would need, `STORE_*`.
 */
export async function fillStore(
  store: ShardStore,
  place: Place,
  parts: FillParts,
  signal: AbortSignal,
): Promise<FillResult> {
  const { seal, own, epoch, acknowledged } = parts
  await checkNothingBeyond(store, place, parts, signal)
  const held = new Set<number>()
  for (const key of await listAll(store, COMMITS, signal)) held.add(sequenceOf(key) ?? 0)
  const { base, copied: snapshotsCopied } = await fillSnapshots(store, parts, signal)
  let copied = snapshotsCopied
  const contradictions: Contradiction[] = []

  // From the newest down, until one is equal: the chain proves what is before it.
  let isChainProven = false
  for (let sequence = own.lastSequence; sequence > base; sequence--) {
    if (held.has(sequence) && isChainProven) continue
    const record = own.commit(sequence)
    if (record === undefined) throw sourceGone(sequence)
    const contradiction = await putCommit(store, place, seal, epoch, sequence, record, signal)
    if (contradiction) contradictions.push(contradiction)
    if (contradiction || !held.has(sequence)) copied++
    else isChainProven = true
  }
  await prune(store, signal)
  const { index: slot, generation } = place
  const before = openNote(seal, 'filled', place, await store.get(FILLED_KEY, signal))
  const sequence = Math.max(acknowledged, before?.sequence ?? 0)
  const note = { kind: 'filled', slot, generation, epoch, sequence } as const
  await store.put(FILLED_KEY, sealNote(seal, note), signal)
  return { copied, contradictions }
}

/** A store that goes on where this writer has nothing is not behind it: it knows a history that was hidden. */
async function checkNothingBeyond(
  store: ShardStore,
  place: Place,
  { seal, own, epoch }: FillParts,
  signal: AbortSignal,
): Promise<void> {
  const last = await lastSequence(store, own.lastSequence, signal)
  if (last <= own.lastSequence) return
  const record = await store.get(commitKey(last), signal)
  const theirs = record && seal.inspect(last, record)
  // What does not verify is made up, and stands in nobody's way: it is replaced when its turn comes.
  if (theirs === undefined) return
  if (theirs.epoch > epoch) {
    throw new NodeError('WRITER_FENCED', `commit ${last} of epoch ${theirs.epoch} is there`)
  }
  // One commit beyond may never have been acknowledged; two are proof, as a writer goes on only after it was.
  const isOne = last === own.lastSequence + 1
  if (isOne && !(await wasAcknowledged(store, place, seal, epoch, last, signal))) return
  throw forked(last, theirs.epoch)
}

/** @returns The oldest snapshot that the store holds of those that this disk holds: it needs the commits after that. */
async function fillSnapshots(
  store: ShardStore,
  { seal, own }: FillParts,
  signal: AbortSignal,
): Promise<{ base: number; copied: number }> {
  const [newest] = own.checkpoints
  if (newest === undefined) return { base: 0, copied: 0 }
  const keys = (await listAll(store, SNAPSHOTS, signal)).filter(isHeaderKey)
  const held = new Set(keys.map(sequenceOf))
  let base: number | undefined
  let copied = 0
  for (const sequence of own.checkpoints) {
    if (!held.has(sequence)) {
      const bytes = own.checkpoint(sequence)
      if (bytes === undefined) continue
      await putSnapshotOn(store, sequence, bytes, sealHeader(seal, sequence, bytes), signal)
      copied++
    }
    base = sequence
  }
  if (base === undefined) throw sourceGone(newest)
  return { base, copied }
}

function sourceGone(sequence: number): NodeError<'METADATA_SOURCE_GONE'> {
  return new NodeError('METADATA_SOURCE_GONE', `commit or snapshot ${sequence} is not on this disk`)
}
