/** Reads snapshots from whichever stores hold them: part by part, each checked, the next store asked where one is slow or wrong. */
import { toHex } from '../../base/bytes.ts'
import { isNodeError, NodeError } from '../../base/errors.ts'
import type { Clock } from '../../base/ports.ts'
import type { RecordSeal } from './ports.ts'
import { gather } from './race.ts'
import { snapshotKey } from './shard-key.ts'
import { type SlotLink, withinLimit } from './slot-link.ts'
import {
  isPartRight,
  joinParts,
  openHeader,
  partsOf,
  SNAPSHOTS_KEPT,
  type SnapshotHeader,
} from './snapshot-parts.ts'

/** Time for one part from one store. */
const PART_MS_MAX = 10_000
/** After this another store is asked for the same part. */
const SLOW_MS = 1_000
/** Parts on their way at once. */
const PARTS_AT_ONCE = 4
/** Time for a snapshot whose header nobody sealed: what may be made up must not hold up an opening for long. */
const UNSEALED_MS_MAX = 30_000
const UNSEALED_MS_PER_PART = 100

/** A snapshot, and who says to have it. */
export interface SnapshotClaim {
  readonly header: SnapshotHeader
  readonly links: SlotLink[]
}

/**
 * Puts together what stores claim.
 *
 * @param found - Newest headers of each store.
 * @returns Each version once: those that a writer sealed first, newest first; of what nobody sealed only the newest few.
 */
export function snapshotClaims(
  seal: RecordSeal,
  found: readonly {
    readonly link: SlotLink
    readonly answer: readonly { readonly sequence: number; readonly bytes: Uint8Array }[]
  }[],
  unsealedBytesMax: number,
): SnapshotClaim[] {
  const claims = new Map<string, SnapshotClaim>()
  for (const { link, answer } of found) {
    for (const { sequence, bytes } of answer) {
      const header = openHeader(seal, sequence, bytes, unsealedBytesMax)
      if (!header) continue
      const isSealed = header.partHashes !== undefined
      const key = `${isSealed} ${sequence} ${header.lengthBytes} ${toHex(header.digest)}`
      const claim = claims.get(key) ?? { header, links: [] }
      claim.links.push(link)
      claims.set(key, claim)
    }
  }
  const newest = [...claims.values()].sort((a, b) => b.header.sequence - a.header.sequence)
  const sealed = newest.filter(({ header }) => header.partHashes !== undefined)
  const others = newest.filter(({ header }) => header.partHashes === undefined)
  return [...sealed, ...others.slice(0, SNAPSHOTS_KEPT * 2)]
}

/**
 * Reads a snapshot.
 *
 * @returns Its bytes, or undefined if no store gives them.
 * @throws The reason of `signal`.
 */
export async function readSnapshot(
  clock: Clock,
  claim: SnapshotClaim,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  const { header, links } = claim
  const parts = new Array<Uint8Array>(partsOf(header.lengthBytes))
  const read = async (own: AbortSignal) => {
    let next = 0
    const worker = async () => {
      for (let part = next++; part < parts.length; part = next++) {
        parts[part] = await readPart(clock, header, links, part, own)
      }
    }
    await Promise.all(Array.from({ length: PARTS_AT_ONCE }, worker))
    return joinParts(header, parts)
  }
  try {
    if (header.partHashes !== undefined) return await read(signal)
    const limitMs = UNSEALED_MS_MAX + UNSEALED_MS_PER_PART * parts.length
    return await withinLimit(clock, limitMs, signal, read)
  } catch (caught) {
    signal.throwIfAborted()
    if (isNodeError(caught, 'SNAPSHOT_PART_ABSENT', 'STORE_TIMEOUT')) return undefined
    throw caught
  }
}

async function readPart(
  clock: Clock,
  header: SnapshotHeader,
  links: readonly SlotLink[],
  part: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const key = snapshotKey(header.sequence, part + 1)
  const answers = await gather({
    clock,
    needed: 1,
    candidates: links,
    slowMs: SLOW_MS,
    signal,
    ask: async (link, own) => {
      const bytes = await link.get(key, PART_MS_MAX, own)
      if (bytes && isPartRight(header, part, bytes)) return bytes
      throw new NodeError('SNAPSHOT_PART_ABSENT', `slot ${link.index} has no part ${part}`)
    },
  })
  const bytes = answers?.[0]?.[1]
  if (bytes) return bytes
  throw new NodeError('SNAPSHOT_PART_ABSENT', `no store gives part ${part}`)
}
