/**
 * Reads chunks: memory, then the local cache, then the stores; whatever it gives was verified against the signed table.
 *
 * Readers of one chunk share one fetch, which goes on until the last of them gave up. Reading ahead fetches neighbours in a
 * pack as one range, because a round trip costs more than the bytes.
 */
import { NodeError } from '../../base/errors.ts'
import { NOT_NEEDED } from '../../base/linked-abort.ts'
import { MIB } from '../../base/units.ts'
import { ByteLru } from './byte-lru.ts'
import type { ChunkCipher } from './chunk-cipher.ts'
import type { ChunkRow } from './chunk-table.ts'
import type { ChunkCache, PackStore } from './ports.ts'

/** Stored bytes fetched ahead at once; hints beyond it are dropped. */
const PREFETCH_BYTES_MAX = 16 * MIB
/** Longest range fetched ahead in one piece. */
const RANGE_BYTES_MAX = MIB

/** Counters since the start. */
export interface ReadCounters {
  memoryHits: number
  cacheHits: number
  fetches: number
  prefetched: number
  /** Chunks whose bytes did not verify and were read from other stores. */
  readAround: number
  corrupt: number
  plainBytes: number
}

interface Flight {
  readonly promise: Promise<Uint8Array>
  readonly abort: AbortController
  waiters: number
}

/** What the reader works with. */
export interface ChunkReaderParts {
  readonly cipher: ChunkCipher
  readonly packs: PackStore
  readonly cache: ChunkCache | undefined
  readonly memoryBytes: number
  /** Aborts when the chunk store closes. */
  readonly signal: AbortSignal
}

/** Reads verified chunks. */
export class ChunkReader {
  readonly #parts: ChunkReaderParts
  readonly #memory: ByteLru<number>
  readonly #flights = new Map<number, Flight>()
  #prefetchingBytes = 0
  readonly counters: ReadCounters = {
    memoryHits: 0,
    cacheHits: 0,
    fetches: 0,
    prefetched: 0,
    readAround: 0,
    corrupt: 0,
    plainBytes: 0,
  }

  constructor(parts: ChunkReaderParts) {
    this.#parts = parts
    this.#memory = new ByteLru(parts.memoryBytes)
  }

  /** Plain bytes held in memory. */
  get memoryBytes(): number {
    return this.#memory.sizeBytes
  }

  /**
   * Plain bytes of a chunk.
   *
   * @returns At once if they are on this machine.
   * @throws NodeError `CHUNK_UNAVAILABLE`, `CHUNK_CORRUPT`.
   */
  read(row: ChunkRow, signal: AbortSignal): Promise<Uint8Array> | Uint8Array {
    const inMemory = this.#memory.get(row.number)
    if (inMemory !== undefined) this.counters.memoryHits++
    const local = inMemory ?? this.#readCache(row)
    if (local !== undefined) {
      this.counters.plainBytes += local.byteLength
      return local
    }
    return this.#join(row, signal)
  }

  /** Begins to fetch chunks that will be read soon; a hint. */
  prefetch(rows: readonly ChunkRow[]): void {
    const absent = rows.filter(
      (row) => !this.#memory.has(row.number) && !this.#flights.has(row.number),
    )
    for (const range of rangesOf(absent)) {
      const bytes = range.reduce((sum, row) => sum + row.storedBytes, 0)
      if (this.#prefetchingBytes + bytes > PREFETCH_BYTES_MAX) return
      this.#prefetchRange(range, bytes)
    }
  }

  /** Ends every fetch. */
  abort(reason: unknown): void {
    for (const flight of [...this.#flights.values()]) flight.abort.abort(reason)
  }

  /** Forgets a chunk in memory. */
  drop(number: number): void {
    this.#memory.drop(number)
  }

  /** Forgets everything in memory. */
  clear(): void {
    this.#memory.clear()
  }

  #readCache(row: ChunkRow): Uint8Array | undefined {
    const { cache, cipher } = this.#parts
    if (cache === undefined) return undefined
    const id = cipher.idOf(row.hash)
    const stored = cache.get(id)
    if (stored === undefined) return undefined
    const plain = cipher.open(stored, row)
    if (plain === undefined) {
      cache.drop(id)
      return undefined
    }
    this.counters.cacheHits++
    this.#memory.put(row.number, plain)
    return plain
  }

  async #join(row: ChunkRow, signal: AbortSignal): Promise<Uint8Array> {
    signal.throwIfAborted()
    const flight =
      this.#flights.get(row.number) ?? this.#begin(row, (own) => this.#obtain(row, own))
    flight.waiters++
    const gaveUp = Promise.withResolvers<never>()
    const onAbort = () => gaveUp.reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      const plain = await Promise.race([flight.promise, gaveUp.promise])
      this.counters.plainBytes += plain.byteLength
      return plain
    } finally {
      signal.removeEventListener('abort', onAbort)
      flight.waiters--
      if (flight.waiters === 0) flight.abort.abort(NOT_NEEDED)
    }
  }

  #begin(row: ChunkRow, obtain: (signal: AbortSignal) => Promise<Uint8Array>): Flight {
    const abort = new AbortController()
    const promise = obtain(abort.signal).finally(() => {
      if (this.#flights.get(row.number) === flight) this.#flights.delete(row.number)
    })
    promise.catch(() => undefined)
    const flight: Flight = { promise, abort, waiters: 0 }
    // One that everybody gave up is not to be joined.
    abort.signal.addEventListener('abort', () => {
      if (this.#flights.get(row.number) === flight) this.#flights.delete(row.number)
    })
    this.#flights.set(row.number, flight)
    return flight
  }

  async #obtain(row: ChunkRow, signal: AbortSignal): Promise<Uint8Array> {
    this.counters.fetches++
    const { packs } = this.#parts
    const stored = await available(row, () =>
      packs.read(row.pack, row.offset, row.storedBytes, signal),
    )
    return this.#accept(row, stored) ?? this.#obtainAround(row, signal)
  }

  async #obtainAround(row: ChunkRow, signal: AbortSignal): Promise<Uint8Array> {
    this.counters.readAround++
    const { packs } = this.#parts
    const stored = await available(row, () =>
      packs.readAround(row.pack, row.offset, row.storedBytes, signal),
    )
    const plain = this.#accept(row, stored)
    if (plain !== undefined) return plain
    this.counters.corrupt++
    throw new NodeError('CHUNK_CORRUPT', `chunk ${row.number} does not match its hash`, {
      details: { chunk: row.number, pack: row.pack },
    })
  }

  #accept(row: ChunkRow, stored: Uint8Array): Uint8Array | undefined {
    const { cipher, cache } = this.#parts
    const plain = cipher.open(stored, row)
    if (plain === undefined) return undefined
    cache?.put(cipher.idOf(row.hash), stored)
    this.#memory.put(row.number, plain)
    return plain
  }

  #prefetchRange(range: readonly ChunkRow[], lengthBytes: number): void {
    const first = range[0]
    if (first === undefined) return
    this.#prefetchingBytes += lengthBytes
    this.counters.prefetched += range.length
    const { packs, signal } = this.#parts
    const fetched = packs.read(first.pack, first.offset, lengthBytes, signal)
    const opened = range.map((row) => {
      const flight = this.#begin(row, async (own) => {
        const bytes = await available(row, () => fetched)
        const at = row.offset - first.offset
        const stored = bytes.subarray(at, at + row.storedBytes)
        return this.#accept(row, stored) ?? this.#obtainAround(row, own)
      })
      flight.waiters++
      return flight.promise
    })
    void Promise.allSettled(opened).then(() => {
      this.#prefetchingBytes -= lengthBytes
    })
  }
}

/** Neighbours of a pack, together. */
function rangesOf(rows: readonly ChunkRow[]): ChunkRow[][] {
  const ranges: ChunkRow[][] = []
  let range: ChunkRow[] = []
  let bytes = 0
  for (const row of rows) {
    const last = range.at(-1)
    const follows = last?.pack === row.pack && last.offset + last.storedBytes === row.offset
    if (!follows || bytes + row.storedBytes > RANGE_BYTES_MAX) {
      range = []
      bytes = 0
      ranges.push(range)
    }
    range.push(row)
    bytes += row.storedBytes
  }
  return ranges
}

async function available<T>(row: ChunkRow, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (caught) {
    if (!(caught instanceof NodeError)) throw caught
    throw new NodeError('CHUNK_UNAVAILABLE', `chunk ${row.number} cannot be read now`, {
      cause: caught,
      details: { chunk: row.number, pack: row.pack },
    })
  }
}
