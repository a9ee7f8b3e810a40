/**
 * Reads file contents: holes as zeros, the journal at once, chunks verified and perhaps from far away.
 *
 * Plain chunks just read are kept for a while, because the next read of a stream mostly wants the same one, and a reader
 * that goes forward has the following ones fetched while it works.
 */
import { describeError, isNodeError, NodeError } from '../../base/errors.ts'
import type { Clock, Log } from '../../base/ports.ts'
import {
  FAILED_CHUNKS_MAX,
  FAILED_MS,
  PLAIN_CACHE_BYTES,
  READ_AHEAD_BYTES,
  READ_AHEAD_CHUNKS_MAX,
  WAITED_MS_MIN,
} from './constants.ts'
import { CHUNK, type Extent, type ExtentList, extentAt, JOURNAL, STRIDE } from './extent-list.ts'
import type { Reply } from './file-system.ts'
import type { ChunkNumber, ChunkStore } from './ports.ts'

/** What a reader needs of the journal; a read-only volume has none. */
export interface JournalReader {
  read(position: number, into: Uint8Array): void
}

/** Reads extents, with a small cache of plain chunks. */
export class ContentReader {
  readonly #chunks: ChunkStore
  readonly #journal: JournalReader | undefined
  readonly #log: Log
  readonly #abort = new AbortController()
  readonly #plain = new Map<ChunkNumber, Uint8Array>()
  readonly #pending = new Map<ChunkNumber, Promise<Uint8Array>>()
  /** Chunks that could not be had just now, with the moment until which nobody asks again. */
  readonly #failed = new Map<ChunkNumber, number>()
  readonly #clock: Clock
  #plainBytes = 0
  #readingAhead = 0
  #generation = 0

  constructor(chunks: ChunkStore, journal: JournalReader | undefined, clock: Clock, log: Log) {
    this.#clock = clock
    this.#chunks = chunks
    this.#journal = journal
    this.#log = log
  }

  /**
   * Fills `into` with the bytes of a file from `offset`.
   *
   * @param list - Extents; undefined is one hole.
   * @throws NodeError `IO`.
   */
  read(list: ExtentList | undefined, offset: number, into: Uint8Array): Reply<void> {
    const end = offset + into.byteLength
    const flat = list?.slice(offset, end) ?? []
    const waiting: Promise<void>[] = []
    let at = offset
    for (let index = 0; index < flat.length; index += STRIDE) {
      const extent = extentAt(flat, index)
      into.fill(0, at - offset, extent.start - offset)
      at = extent.start + extent.length
      const target = into.subarray(extent.start - offset, at - offset)
      const later = this.#readExtent(extent, target)
      if (later) waiting.push(later)
    }
    into.fill(0, at - offset)
    return waiting.length === 0 ? undefined : allOf(waiting)
  }

  /** Has the chunks behind `offset` fetched, a bounded number at a time. */
  readAhead(list: ExtentList | undefined, offset: number): void {
    if (!list || this.#readingAhead >= READ_AHEAD_CHUNKS_MAX) return
    for (let index = list.indexAt(offset); index < list.count; index++) {
      const extent = list.at(index)
      if (extent.start >= offset + READ_AHEAD_BYTES) return
      if (this.#readingAhead >= READ_AHEAD_CHUNKS_MAX) return
      if (extent.kind !== CHUNK || this.#plain.has(extent.source)) continue
      if (this.#pending.has(extent.source)) continue
      this.#fetchAhead(extent.source)
    }
  }

  /**
   * Forgets plain chunks, also those on their way: after a history was replaced a number may mean another chunk.
   */
  drop(): void {
    this.#plain.clear()
    this.#pending.clear()
    this.#failed.clear()
    this.#plainBytes = 0
    this.#generation++
  }

  /** Aborts what is being fetched. */
  close(): void {
    this.#abort.abort(new NodeError('IO', 'the volume was closed'))
    this.drop()
  }

  #readExtent(extent: Extent, into: Uint8Array): Promise<void> | undefined {
    if (extent.kind === JOURNAL) this.#readJournal(extent.source, into)
    else if (extent.kind === CHUNK) {
      const plain = this.#chunk(extent.source)
      if (!(plain instanceof Promise)) copyPart(plain, extent, into)
      else return plain.then((bytes) => copyPart(bytes, extent, into))
    } else into.fill(0)
    return undefined
  }

  #readJournal(position: number, into: Uint8Array): void {
    if (!this.#journal) throw new NodeError('IO', 'a read-only volume has no journal')
    try {
      this.#journal.read(position, into)
    } catch (caught) {
      throw this.#asIo(caught)
    }
  }

  /** Plain bytes of a chunk. */
  #chunk(chunk: ChunkNumber): Reply<Uint8Array> {
    const plain = this.#plain.get(chunk)
    if (plain) {
      this.#plain.delete(chunk)
      this.#plain.set(chunk, plain)
      return plain
    }
    const pending = this.#pending.get(chunk)
    if (pending) return pending
    this.#checkNotFailed(chunk)
    let reply: Reply<Uint8Array>
    try {
      reply = this.#chunks.read(chunk, this.#abort.signal)
    } catch (caught) {
      throw this.#asIo(caught)
    }
    if (!(reply instanceof Promise)) {
      this.#keep(chunk, reply)
      return reply
    }
    const generation = this.#generation
    const beganMs = this.#clock.monotonic()
    const reading = reply
      .then(
        (bytes) => {
          if (generation === this.#generation) this.#keep(chunk, bytes)
          return bytes
        },
        (caught: unknown) => {
          if (generation === this.#generation) this.#failedSince(chunk, beganMs)
          throw this.#asIo(caught)
        },
      )
      .finally(() => {
        if (this.#pending.get(chunk) === reading) this.#pending.delete(chunk)
      })
    this.#pending.set(chunk, reading)
    return reading
  }

  /** The kernel asks for a page again whose read-ahead failed: that second question must not wait for the stores once more. */
  #checkNotFailed(chunk: ChunkNumber): void {
    const until = this.#failed.get(chunk)
    if (until === undefined) return
    if (this.#clock.monotonic() < until) throw new NodeError('IO', 'the bytes could not be had')
    this.#failed.delete(chunk)
  }

  /** What failed at once may be asked again at once: only waiting in vain is not to be done twice. */
  #failedSince(chunk: ChunkNumber, beganMs: number): void {
    if (this.#clock.monotonic() - beganMs < WAITED_MS_MIN) return
    this.#failed.set(chunk, this.#clock.monotonic() + FAILED_MS)
    for (const oldest of this.#failed.keys()) {
      if (this.#failed.size <= FAILED_CHUNKS_MAX) break
      this.#failed.delete(oldest)
    }
  }

  #fetchAhead(chunk: ChunkNumber): void {
    let reply: Reply<Uint8Array>
    try {
      reply = this.#chunk(chunk)
    } catch {
      // Whoever really reads it will be told.
      return
    }
    if (!(reply instanceof Promise)) return
    this.#readingAhead++
    const done = () => {
      this.#readingAhead--
    }
    reply.then(done, done)
  }

  #keep(chunk: ChunkNumber, bytes: Uint8Array): void {
    if (this.#plain.has(chunk)) return
    this.#plain.set(chunk, bytes)
    this.#plainBytes += bytes.byteLength
    for (const [oldest, old] of this.#plain) {
      if (this.#plainBytes <= PLAIN_CACHE_BYTES) break
      this.#plain.delete(oldest)
      this.#plainBytes -= old.byteLength
    }
  }

  #asIo(caught: unknown): unknown {
    if (!isNodeError(caught)) return caught
    if (!this.#abort.signal.aborted)
      this.#log.error({ error: describeError(caught) }, 'read failed')
    return new NodeError('IO', 'the bytes cannot be had', { cause: caught })
  }
}

function copyPart(plain: Uint8Array, extent: Extent, into: Uint8Array): void {
  const part = plain.subarray(extent.within, extent.within + extent.length)
  if (part.byteLength !== extent.length) {
    throw new NodeError('IO', `chunk ${extent.source} is shorter than the commits say`)
  }
  into.set(part)
}

/** Waits for all, so that nobody writes into the caller's buffer afterwards; then fails if one failed. */
async function allOf(waiting: readonly Promise<void>[]): Promise<void> {
  const settled = await Promise.allSettled(waiting)
  for (const one of settled) if (one.status === 'rejected') throw one.reason
}
