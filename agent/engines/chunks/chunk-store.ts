/**
 * The chunk store of one volume: cuts, deduplicates, seals and packs what is written; reads it back verified.
 *
 * Everything that costs processor time runs in this thread, a chunk at a time, with a pause each MiB so that sockets and
 * readers get their turn.
 */
import { createHmac } from 'node:crypto'
import { NodeError } from '../../base/errors.ts'
import type { Clock } from '../../base/ports.ts'
import { MIB } from '../../base/units.ts'
import { ChunkCipher, type ChunkKeys, contentHash } from './chunk-cipher.ts'
import { ChunkReader, type ReadCounters } from './chunk-reader.ts'
import { ChunkSection } from './chunk-section.ts'
import { Cutter, gearTable } from './cutter.ts'
import { type PackedChunk, Packer } from './packer.ts'
import type { ByteSource, ChunkCache, ChunkNumber, ChunkRun, PackStore } from './ports.ts'

/** Plain bytes worked on between two pauses: some milliseconds. */
const PAUSE_BYTES = MIB

/** Plain chunks kept in memory by default: 16 streams of 4 MiB read ahead. */
const MEMORY_BYTES = 64 * MIB

/** What a chunk store is made of. */
export interface ChunksInit {
  readonly keys: ChunkKeys
  readonly packs: PackStore
  readonly clock: Clock
  /** Where stored chunks are kept on this machine; none is fine. */
  readonly cache?: ChunkCache
  /** Plain chunks kept in memory at most, in bytes. */
  readonly memoryBytes?: number
}

/** Counters since the start, for status and metrics. */
export interface ChunkStatus extends ReadCounters {
  /** Plain bytes given to `store`. */
  readonly bytesIn: number
  /** Of those, bytes that were there already. */
  readonly bytesDeduplicated: number
  /** Bytes of new chunks after compression and encryption. */
  readonly bytesSealed: number
  readonly chunks: number
  readonly packs: number
  readonly packsInFlight: number
  readonly tableBytes: number
  readonly memoryCacheBytes: number
  readonly diskCacheBytes: number
}

/** A chunk that a range needs: there already, or on its way. */
type Piece = { readonly number: number; readonly plainBytes: number } | PackedChunk

/** Pins that keep a chunk which a running `store` found from being released under it. */
interface Pin {
  holders: number
  isReleased: boolean
}

/** Satisfies `ChunkStore` of `engines/files`; `section` satisfies its `Section`. */
export class Chunks {
  /** The table, as it travels in commits. */
  readonly section: ChunkSection
  readonly #clock: Clock
  readonly #cipher: ChunkCipher
  readonly #cache: ChunkCache | undefined
  readonly #packer: Packer
  readonly #reader: ChunkReader
  readonly #gear: BigUint64Array
  readonly #cutters: Cutter[] = []
  readonly #pins = new Map<number, Pin>()
  readonly #closing = new AbortController()
  #bytesIn = 0
  #bytesDeduplicated = 0
  #bytesSealed = 0

  /** Made by {@link openChunks}. */
  constructor(init: ChunksInit) {
    const { keys, packs, clock, cache } = init
    const { signal } = this.#closing
    this.#clock = clock
    this.#cache = cache
    this.#cipher = new ChunkCipher(keys)
    this.#gear = gearTable(keys.chunkId)
    const secret = new Uint32Array(8)
    const digest = createHmac('sha256', keys.chunkId).update('varve/index/1').digest()
    for (let word = 0; word < 8; word++) secret[word] = digest.readUInt32LE(word * 4)
    this.section = new ChunkSection(secret, (pack) => packs.release(pack))
    const memoryBytes = init.memoryBytes ?? MEMORY_BYTES
    this.#reader = new ChunkReader({ cipher: this.#cipher, packs, cache, memoryBytes, signal })
    this.#packer = new Packer(
      packs,
      {
        durable: (chunk, stored) => {
          cache?.put(this.#cipher.idOf(chunk.hash), stored)
          return this.section.add(chunk)
        },
      },
      signal,
    )
  }

  /**
   * Cuts, deduplicates and stores the ranges.
   *
   * @param sources - `[n]` ranges; empty ones give no runs.
   * @param signal - Gives up waiting; packs on their way still arrive.
   * @returns `[n]` lists of runs in order. Durable on enough stores when resolved. The caller counts what it refers to before
   *   it awaits anything else.
   * @throws NodeError `NOT_ENOUGH_STORES` (retry later: nothing was lost), `CHUNKS_CLOSED`.
   */
  async store(
    sources: readonly ByteSource[],
    signal: AbortSignal,
  ): Promise<readonly (readonly ChunkRun[])[]> {
    const pinned: number[] = []
    const cutter = this.#cutters.pop() ?? new Cutter(this.#gear)
    try {
      const pieces = await this.#cutAll(sources, cutter, pinned, signal)
      await waitFor(this.#packer.room(), signal)
      this.#packer.flush()
      await waitFor(Promise.all(pieces.flat().map(durable)), signal)
      const runs = pieces.map((list) => list.map(runOf))
      this.#unpin(pinned, true)
      return runs
    } catch (caught) {
      this.#unpin(pinned, false)
      throw caught
    } finally {
      this.#cutters.push(cutter)
    }
  }

  /**
   * Plain bytes of a chunk, verified against the hash in the signed table.
   *
   * @returns At once if they are on this machine. Not to be changed: other readers get the same bytes.
   * @throws NodeError `CHUNK_UNKNOWN`, `CHUNK_UNAVAILABLE` (too few stores answer), `CHUNK_CORRUPT` (never served).
   */
  read(chunk: ChunkNumber, signal: AbortSignal): Promise<Uint8Array> | Uint8Array {
    this.#requireOpen()
    const row = this.section.get(chunk)
    if (row === undefined) throw new NodeError('CHUNK_UNKNOWN', `there is no chunk ${chunk}`)
    return this.#reader.read(row, signal)
  }

  /**
   * Begins to fetch chunks that will be read soon.
   *
   * @param chunks - In the order of reading; those beyond what may be on its way are ignored, as are unknown ones.
   */
  prefetch(chunks: readonly ChunkNumber[]): void {
    if (this.#closing.signal.aborted) return
    this.#reader.prefetch(chunks.flatMap((chunk) => this.section.get(chunk) ?? []))
  }

  /** Says that nothing refers to a chunk any more; its pack is freed when all of it is, by commits that follow. */
  release(chunk: ChunkNumber): void {
    const pin = this.#pins.get(chunk)
    if (pin !== undefined) {
      pin.isReleased = true
      return
    }
    this.#reader.drop(chunk)
    this.section.release(chunk)
  }

  /**
   * Releases every chunk that nothing refers to: what an interrupted writer left. For a writer, after it read the commits.
   *
   * @param isReferenced - True for chunks that some file holds.
   * @returns Chunks released.
   */
  releaseUnreferenced(isReferenced: (chunk: ChunkNumber) => boolean): number {
    const stray = this.section.numbers().filter((number) => !isReferenced(number))
    for (const number of stray) this.release(number)
    return stray.length
  }

  /** Forgets everything cached on this machine. */
  dropCaches(): void {
    this.#reader.clear()
    this.#cache?.clear()
  }

  /** Counters for status and metrics. */
  status(): ChunkStatus {
    return {
      ...this.#reader.counters,
      bytesIn: this.#bytesIn,
      bytesDeduplicated: this.#bytesDeduplicated,
      bytesSealed: this.#bytesSealed,
      chunks: this.section.size,
      packs: this.section.liveBytesByPack.size,
      packsInFlight: this.#packer.inFlight,
      tableBytes: this.section.memoryBytes,
      memoryCacheBytes: this.#reader.memoryBytes,
      diskCacheBytes: this.#cache?.sizeBytes ?? 0,
    }
  }

  /** Aborts what is in flight and waits for it to end. Repeatable. */
  async close(): Promise<void> {
    const reason = new NodeError('CHUNKS_CLOSED', 'the chunk store is closed')
    this.#closing.abort(reason)
    this.#reader.abort(reason)
    await this.#packer.settled()
  }

  async #cutAll(
    sources: readonly ByteSource[],
    cutter: Cutter,
    pinned: number[],
    signal: AbortSignal,
  ): Promise<Piece[][]> {
    const pieces: Piece[][] = []
    let sincePause = 0
    for (const source of sources) {
      const list: Piece[] = []
      pieces.push(list)
      for (const plain of cutter.cut(source)) {
        this.#requireOpen()
        signal.throwIfAborted()
        list.push(this.#put(plain, pinned))
        sincePause += plain.byteLength
        if (sincePause < PAUSE_BYTES) continue
        sincePause = 0
        await this.#clock.sleep(0, signal)
        await waitFor(this.#packer.room(), signal)
      }
    }
    return pieces
  }

  #put(plain: Uint8Array, pinned: number[]): Piece {
    const plainBytes = plain.byteLength
    this.#bytesIn += plainBytes
    const hash = contentHash(plain)
    const known = this.section.find(hash)
    if (known !== undefined) {
      this.#bytesDeduplicated += plainBytes
      this.#pin(known)
      pinned.push(known)
      return { number: known, plainBytes }
    }
    const onItsWay = this.#packer.find(hash)
    if (onItsWay !== undefined) {
      this.#bytesDeduplicated += plainBytes
      return onItsWay
    }
    const sealed = this.#cipher.seal(plain, hash)
    this.#bytesSealed += sealed.storedBytes
    return this.#packer.add(hash, plainBytes, sealed)
  }

  #pin(number: number): void {
    const pin = this.#pins.get(number)
    if (pin === undefined) this.#pins.set(number, { holders: 1, isReleased: false })
    else pin.holders++
  }

  /** A chunk released meanwhile lives on if `store` gave it out again. */
  #unpin(numbers: readonly number[], isGivenOut: boolean): void {
    for (const number of numbers) {
      const pin = this.#pins.get(number)
      if (pin === undefined) continue
      if (isGivenOut) pin.isReleased = false
      pin.holders--
      if (pin.holders > 0) continue
      this.#pins.delete(number)
      if (pin.isReleased) this.release(number)
    }
  }

  #requireOpen(): void {
    this.#closing.signal.throwIfAborted()
  }
}

function durable(piece: Piece): Promise<void> | undefined {
  return 'durable' in piece ? piece.durable : undefined
}

function runOf(piece: Piece): ChunkRun {
  if (piece.number === undefined) {
    throw new NodeError('CHUNKS_CLOSED', 'a chunk was dropped before it was durable')
  }
  return { chunk: piece.number, lengthBytes: piece.plainBytes }
}

async function waitFor<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const gaveUp = Promise.withResolvers<never>()
  const onAbort = () => gaveUp.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, gaveUp.promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
