/**
 * The commit log on the metadata slots: every record on every store, acknowledged by a majority and by all that answer.
 *
 * Records prove themselves to the reader (they are chained and signed), so stores need not agree: a reader collects what there
 * is. A store that was away, or that the ledger gave to another node, is brought up to date out of the others. Old records go
 * only where a newer snapshot is whole.
 */
import { hash } from 'node:crypto'
import { ByteReader, ByteWriter } from '../../base/byte-codec.ts'
import { bytesEqual, concatBytes, toHex } from '../../base/bytes.ts'
import { codeOf, NodeError } from '../../base/errors.ts'
import { whileLinked } from '../../base/linked-abort.ts'
import type { Clock } from '../../base/ports.ts'
import { GIB, MIB } from '../../base/units.ts'
import type { ShardStore, Slot } from './ports.ts'
import { COMMITS, commitKey, SNAPSHOTS, sequenceOf, snapshotKey } from './shard-key.ts'
import type { SlotLink, SlotStatus } from './slot-link.ts'
import { SlotSet } from './slot-set.ts'

/** Bytes of a commit at most: what stores take as one value, with room for the protocol. */
export const COMMIT_BYTES_MAX = 7 * MIB
/** Bytes of one part of a snapshot. */
export const SNAPSHOT_PART_BYTES = MIB
/** Bytes of a snapshot at most: what is believed of a store that claims one. */
export const SNAPSHOT_BYTES_MAX = 2 * GIB
/** Snapshots kept: the newest may turn out unreadable. */
const SNAPSHOTS_KEPT = 2
/** Time for one call; an acknowledgement waits this long for a store that hangs, once, before it backs off. */
const CALL_MS_MAX = 10_000
/** Keys asked for at a time. */
const PAGE_KEYS = 256
/** Records copied to one store at a time. */
const COPIES_AT_ONCE = 4
const HEADER_VERSION = 1
const HASH_BYTES = 32
const NOTHING = new Uint8Array()

/** What a metadata slot is known to hold. */
interface Replica {
  readonly link: SlotLink
  /** False until it was compared with the others, and after every failure. */
  isComplete: boolean
}

interface SnapshotHeader {
  readonly lengthBytes: number
  readonly digest: Uint8Array
}

/** State for status and metrics. */
export interface LogStatus {
  readonly slots: readonly (SlotStatus & { readonly isComplete: boolean })[]
  readonly lastSequence: number
  readonly snapshotSequence: number
}

/** Satisfies `CommitStore` of `engines/files`. */
export class ReplicatedLog {
  readonly #firstSlot: number
  readonly #slots: SlotSet
  readonly #replicas = new Map<SlotLink, Replica>()
  readonly #closing = new AbortController()
  /** Records appended here since the newest snapshots, to settle which version is right. */
  readonly #digests = new Map<number, Uint8Array>()
  #last = 0
  #snapshot = 0
  #catchingUp: Promise<void> = Promise.resolve()

  /**
   * @param clock - Time.
   * @param firstSlot - Position of the first metadata slot: k + m.
   */
  constructor(clock: Clock, firstSlot: number) {
    this.#firstSlot = firstSlot
    this.#slots = new SlotSet(clock)
  }

  /** Takes over the metadata slots among `slots`; new ones are brought up to date by {@link ReplicatedLog.catchUp}. */
  setSlots(slots: readonly Slot[]): void {
    this.#slots.set(slots.filter((slot) => slot.index >= this.#firstSlot))
    const links = this.#slots.all()
    for (const link of this.#replicas.keys()) if (!links.includes(link)) this.#replicas.delete(link)
    for (const link of links) {
      if (!this.#replicas.has(link)) this.#replicas.set(link, { link, isComplete: false })
    }
  }

  /** State for status and metrics. */
  status(): LogStatus {
    return {
      slots: [...this.#replicas.values()].map(({ link, isComplete }) => ({
        ...link.status(),
        isComplete,
      })),
      lastSequence: this.#last,
      snapshotSequence: this.#snapshot,
    }
  }

  /**
   * Adds a record, or brings the last one again to stores that lack it.
   *
   * @param sequence - One more than the last appended, from 1, or the last with the same bytes.
   * @throws NodeError `NOT_ENOUGH_STORES` (retry), `WRITER_FENCED`, `COMMIT_TOO_LARGE`.
   */
  async append(sequence: number, record: Uint8Array, signal: AbortSignal): Promise<void> {
    if (record.byteLength > COMMIT_BYTES_MAX) {
      throw new NodeError('COMMIT_TOO_LARGE', `commit ${sequence} has ${record.byteLength} bytes`)
    }
    const key = commitKey(sequence)
    this.#digests.set(sequence, hash('sha256', record, 'buffer'))
    await this.#onMajority(signal, (store, own) => store.put(key, record, own))
    this.#last = Math.max(this.#last, sequence)
  }

  /**
   * All versions of a record that stores hold.
   *
   * @throws NodeError `NOT_ENOUGH_STORES` if none answers.
   */
  async read(sequence: number, signal: AbortSignal): Promise<readonly Uint8Array[]> {
    const key = commitKey(sequence)
    const found = await this.#askAll(signal, (store, own) => store.get(key, own))
    return distinct(found.flatMap(({ answer }) => answer ?? []))
  }

  /**
   * Highest sequence that any store claims, 0 if none, and how many answered; a majority knows every acknowledged record.
   *
   * @throws The reason of `signal`.
   */
  async head(
    signal: AbortSignal,
  ): Promise<{ sequence: number; storesAnswering: number; storesTotal: number }> {
    const total = this.#replicas.size
    const found = await this.#askAll(
      signal,
      (store, own) => lastSequence(store, this.#last, own),
      0,
    )
    const sequence = Math.max(0, ...found.map(({ answer }) => answer))
    return { sequence, storesAnswering: found.length, storesTotal: total }
  }

  /**
   * Stores a snapshot of the state after a commit, and drops what only older snapshots needed.
   *
   * @param bytes - At most 2 GiB.
   * @throws NodeError `NOT_ENOUGH_STORES` (retry), `WRITER_FENCED`, `SNAPSHOT_TOO_LARGE`.
   */
  async putSnapshot(sequence: number, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    if (bytes.byteLength > SNAPSHOT_BYTES_MAX) {
      throw new NodeError(
        'SNAPSHOT_TOO_LARGE',
        `snapshot ${sequence} has ${bytes.byteLength} bytes`,
      )
    }
    const digest = hash('sha256', bytes, 'buffer')
    const header = encodeHeader({ lengthBytes: bytes.byteLength, digest })
    // The header goes last: who has it has everything.
    await this.#onMajority(
      signal,
      async (store, own) => {
        for (let part = 0; part * SNAPSHOT_PART_BYTES < bytes.byteLength; part++) {
          const from = part * SNAPSHOT_PART_BYTES
          const value = bytes.subarray(from, from + SNAPSHOT_PART_BYTES)
          await store.put(snapshotKey(sequence, part + 1), value, own)
        }
        await store.put(snapshotKey(sequence, 0), header, own)
      },
      snapshotLimitMs(bytes.byteLength),
    )
    this.#snapshot = Math.max(this.#snapshot, sequence)
    await this.#pruneAll(signal)
  }

  /**
   * Whole snapshots, newest first, each once for every version that stores hold.
   *
   * @throws NodeError `NOT_ENOUGH_STORES` if no store answers.
   */
  async snapshots(
    signal: AbortSignal,
  ): Promise<readonly { sequence: number; bytes: Uint8Array }[]> {
    const found = await this.#askAll(signal, snapshotHeaders)
    const claims = new Map<
      string,
      { sequence: number; header: SnapshotHeader; links: SlotLink[] }
    >()
    for (const { link, answer } of found) {
      for (const [sequence, header] of answer) {
        const key = `${sequence}/${toHex(header.digest)}/${header.lengthBytes}`
        const claim = claims.get(key) ?? { sequence, header, links: [] }
        claim.links.push(link)
        claims.set(key, claim)
      }
    }
    const newest = [...claims.values()].sort((a, b) => b.sequence - a.sequence)
    const whole: { sequence: number; bytes: Uint8Array }[] = []
    for (const { sequence, header, links } of newest.slice(0, SNAPSHOTS_KEPT * 2)) {
      const bytes = await this.#readSnapshot(sequence, header, links, signal)
      if (bytes !== undefined) whole.push({ sequence, bytes })
    }
    return whole
  }

  /**
   * Brings stores that were away or are new up to date; for the writer, now and then. One at a time.
   *
   * @returns Values copied.
   * @throws The reason of `signal`. A store that fails is tried again at the next call.
   */
  async catchUp(signal: AbortSignal): Promise<number> {
    const previous = this.#catchingUp
    const turn = Promise.withResolvers<void>()
    this.#catchingUp = turn.promise
    await previous
    try {
      let copied = 0
      for (const replica of [...this.#replicas.values()]) {
        signal.throwIfAborted()
        if (replica.isComplete || !replica.link.isAvailable) continue
        copied += await this.#fill(replica, signal)
      }
      return copied
    } finally {
      turn.resolve()
    }
  }

  /** Aborts everything in flight. */
  close(): void {
    this.#closing.abort(new NodeError('DISPERSAL_CLOSED', 'the commit log is closed'))
  }

  /** Acknowledged by a majority of the slots and by all that answer. */
  async #onMajority(
    signal: AbortSignal,
    put: (store: ShardStore, signal: AbortSignal) => Promise<void>,
    limitMs = CALL_MS_MAX,
  ): Promise<void> {
    return whileLinked([signal, this.#closing.signal], async (own) => {
      const replicas = [...this.#replicas.values()]
      const needed = Math.floor(replicas.length / 2) + 1
      const well = replicas.filter(({ link }) => link.isAvailable)
      // Those that back off are asked too if the rest cannot be a majority.
      const asked = well.length >= needed ? well : replicas
      for (const replica of replicas) if (!asked.includes(replica)) replica.isComplete = false
      const results = await Promise.allSettled(
        asked.map(async (replica) => {
          try {
            await replica.link.call(limitMs, own, put)
          } catch (caught) {
            replica.isComplete = false
            throw caught
          }
        }),
      )
      own.throwIfAborted()
      const failures = results.flatMap((result) =>
        result.status === 'rejected' ? [result.reason] : [],
      )
      const stored = results.length - failures.length
      if (replicas.length > 0 && stored >= needed) return
      const fenced = failures.filter((failure) => codeOf(failure) === 'WRITER_FENCED').length
      if (fenced > 0 && fenced > replicas.length - needed) {
        throw new NodeError('WRITER_FENCED', `${fenced} metadata stores refuse this writer`)
      }
      throw new NodeError(
        'NOT_ENOUGH_STORES',
        `${stored} of ${replicas.length} metadata stores took it, ${needed} are needed`,
        { cause: failures[0], retryAfterMs: 1000, details: { stored, needed } },
      )
    })
  }

  async #askAll<T>(
    signal: AbortSignal,
    ask: (store: ShardStore, signal: AbortSignal) => Promise<T>,
    answersNeeded = 1,
  ): Promise<{ link: SlotLink; answer: T }[]> {
    return whileLinked([signal, this.#closing.signal], async (own) => {
      const links = this.#slots.all()
      const well = links.filter((link) => link.isAvailable)
      const asked = well.length * 2 > links.length ? well : links
      const results = await Promise.allSettled(
        asked.map(async (link) => ({ link, answer: await link.call(CALL_MS_MAX, own, ask) })),
      )
      own.throwIfAborted()
      const found = results.flatMap((result) =>
        result.status === 'fulfilled' ? [result.value] : [],
      )
      if (found.length >= answersNeeded) return found
      const failure = results.find((result) => result.status === 'rejected')
      throw new NodeError('NOT_ENOUGH_STORES', 'no metadata store answers', {
        cause: failure?.reason,
        retryAfterMs: 1000,
      })
    })
  }

  async #readSnapshot(
    sequence: number,
    header: SnapshotHeader,
    links: readonly SlotLink[],
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    return whileLinked([signal, this.#closing.signal], async (own) => {
      for (const link of links) {
        try {
          const bytes = await link.call(snapshotLimitMs(header.lengthBytes), own, (store, limit) =>
            readParts(store, sequence, header.lengthBytes, limit),
          )
          if (bytes && bytesEqual(hash('sha256', bytes, 'buffer'), header.digest)) return bytes
        } catch {
          own.throwIfAborted()
        }
      }
      return undefined
    })
  }

  async #pruneAll(signal: AbortSignal): Promise<void> {
    return whileLinked([signal, this.#closing.signal], async (own) => {
      const pruned = [...this.#replicas.values()].map(async ({ link }) => {
        if (!link.isAvailable) return
        await link.call(CALL_MS_MAX * 6, own, prune)
      })
      // What is not pruned now is pruned after the next snapshot.
      await Promise.allSettled(pruned)
      own.throwIfAborted()
      const oldest = this.#snapshot
      for (const sequence of this.#digests.keys())
        if (sequence < oldest) this.#digests.delete(sequence)
    })
  }

  /** Copies to a store what the others hold and it lacks. */
  async #fill(replica: Replica, signal: AbortSignal): Promise<number> {
    return whileLinked([signal, this.#closing.signal], async (own) => {
      const sources = this.#slots.all().filter((link) => link !== replica.link && link.isAvailable)
      replica.isComplete = true
      try {
        let copied = 0
        for (const source of sources) copied += await this.#copy(source, replica.link, own)
        await replica.link.call(CALL_MS_MAX * 6, own, prune)
        // A store alone has nobody to learn from, and is complete only if the others were asked.
        if (sources.length < this.#replicas.size - 1) replica.isComplete = false
        return copied
      } catch {
        replica.isComplete = false
        own.throwIfAborted()
        return 0
      }
    })
  }

  async #copy(source: SlotLink, target: SlotLink, signal: AbortSignal): Promise<number> {
    const newest = await source.call(CALL_MS_MAX * 6, signal, (store, own) => inventory(store, own))
    const held = await target.call(CALL_MS_MAX * 6, signal, (store, own) => inventory(store, own))
    let copied = 0
    // Snapshots first, their headers last; then commits, oldest first.
    const keys = [...newest.snapshotKeys.reverse(), ...newest.commitKeys]
    const heldKeys = new Set([...held.snapshotKeys, ...held.commitKeys].map(toHex))
    for (let first = 0; first < keys.length; ) {
      const isHeader = keys[first]?.at(-1) === 0
      const batch = keys.slice(first, first + (isHeader ? 1 : COPIES_AT_ONCE))
      first += batch.length
      const done = await Promise.all(
        batch.map((key) => this.#copyOne(key, heldKeys.has(toHex(key)), source, target, signal)),
      )
      copied += done.filter(Boolean).length
    }
    return copied
  }

  async #copyOne(
    key: Uint8Array,
    isHeld: boolean,
    source: SlotLink,
    target: SlotLink,
    signal: AbortSignal,
  ): Promise<boolean> {
    const own = key[0] === COMMITS[0] ? this.#digests.get(sequenceOf(key) ?? 0) : undefined
    // What it holds is replaced only if it is not what this writer appended.
    if (isHeld && own === undefined) return false
    const value = await source.get(key, CALL_MS_MAX, signal)
    if (value === undefined) return false
    if (own !== undefined && !bytesEqual(hash('sha256', value, 'buffer'), own)) return false
    if (isHeld) {
      const old = await target.get(key, CALL_MS_MAX, signal)
      if (old !== undefined && bytesEqual(old, value)) return false
    }
    await target.put(key, value, CALL_MS_MAX, signal)
    return true
  }
}

/** Highest sequence of a commit that a store holds, 0 if none: gallops from where it is thought to be, then halves. */
async function lastSequence(store: ShardStore, from: number, signal: AbortSignal): Promise<number> {
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

/** All keys of commits and snapshots of a store, each kind ascending. */
async function inventory(
  store: ShardStore,
  signal: AbortSignal,
): Promise<{ commitKeys: Uint8Array[]; snapshotKeys: Uint8Array[] }> {
  const snapshotKeys = await listAll(store, SNAPSHOTS, signal)
  const commitKeys = await listAll(store, COMMITS, signal)
  const headers = snapshotKeys.filter(isHeaderKey).map((key) => sequenceOf(key) ?? 0)
  const kept = new Set(headers.slice(-SNAPSHOTS_KEPT))
  const oldest = Math.min(...kept)
  return {
    snapshotKeys: snapshotKeys.filter((key) => kept.has(sequenceOf(key) ?? -1)),
    commitKeys: commitKeys.filter((key) => kept.size === 0 || (sequenceOf(key) ?? 0) > oldest),
  }
}

/** Deletes what only snapshots older than the kept ones need; nothing while there are not enough. */
async function prune(store: ShardStore, signal: AbortSignal): Promise<void> {
  const snapshotKeys = await listAll(store, SNAPSHOTS, signal)
  const headers = snapshotKeys.filter(isHeaderKey).map((key) => sequenceOf(key) ?? 0)
  const kept = headers.slice(-SNAPSHOTS_KEPT)
  const oldest = kept[0]
  if (oldest === undefined || kept.length < SNAPSHOTS_KEPT) return
  // Headers sort before their parts, so a torn removal leaves no header without parts.
  for (const key of snapshotKeys)
    if ((sequenceOf(key) ?? 0) < oldest) await store.delete(key, signal)
  for (const key of await listAll(store, COMMITS, signal)) {
    if ((sequenceOf(key) ?? Number.MAX_SAFE_INTEGER) > oldest) break
    await store.delete(key, signal)
  }
}

async function snapshotHeaders(
  store: ShardStore,
  signal: AbortSignal,
): Promise<[number, SnapshotHeader][]> {
  const keys = (await listAll(store, SNAPSHOTS, signal)).filter(isHeaderKey).slice(-SNAPSHOTS_KEPT)
  const found: [number, SnapshotHeader][] = []
  for (const key of keys) {
    const header = decodeHeader((await store.get(key, signal)) ?? NOTHING)
    const sequence = sequenceOf(key)
    if (header !== undefined && sequence !== undefined) found.push([sequence, header])
  }
  return found
}

async function readParts(
  store: ShardStore,
  sequence: number,
  lengthBytes: number,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  const parts: Uint8Array[] = []
  // Memory is spent on what arrived and not on what was claimed.
  for (let at = 0; at < lengthBytes; at += SNAPSHOT_PART_BYTES) {
    const part = await store.get(snapshotKey(sequence, at / SNAPSHOT_PART_BYTES + 1), signal)
    if (part?.byteLength !== Math.min(SNAPSHOT_PART_BYTES, lengthBytes - at)) return undefined
    parts.push(part)
  }
  return concatBytes(parts)
}

/** Every key with a prefix; a store that does not move on is not followed for ever. */
async function listAll(
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

function isHeaderKey(key: Uint8Array): boolean {
  return key.byteLength === 13 && key.subarray(9).every((byte) => byte === 0)
}

function encodeHeader(header: SnapshotHeader): Uint8Array {
  return new ByteWriter()
    .byte(HEADER_VERSION)
    .integer(header.lengthBytes)
    .bytes(header.digest)
    .finish()
}

function decodeHeader(bytes: Uint8Array): SnapshotHeader | undefined {
  try {
    const reader = new ByteReader(bytes, 'SNAPSHOT_TOO_LARGE')
    if (reader.byte() !== HEADER_VERSION) return undefined
    const lengthBytes = reader.integer(SNAPSHOT_BYTES_MAX)
    const digest = reader.bytes(HASH_BYTES).slice()
    reader.end()
    return { lengthBytes, digest }
  } catch {
    // A store that gives no header has no snapshot.
    return undefined
  }
}

function distinct(versions: readonly Uint8Array[]): Uint8Array[] {
  const found: Uint8Array[] = []
  for (const version of versions) {
    if (!found.some((other) => bytesEqual(other, version))) found.push(version)
  }
  return found
}

/** A snapshot gets the time of all its parts. */
function snapshotLimitMs(lengthBytes: number): number {
  return CALL_MS_MAX * (2 + Math.ceil(lengthBytes / SNAPSHOT_PART_BYTES))
}
