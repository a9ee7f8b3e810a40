/**
 * Fills packs with stored chunks and keeps several on their way to the stores.
 *
 * Chunks get their numbers when their pack is durable, so numbers have no gaps and a pack that fails leaves no trace: its
 * chunks are stored again by whoever tries again.
 */
import type { SealedChunk } from './chunk-cipher.ts'
import type { NewChunk } from './chunk-section.ts'
import type { PackStore } from './ports.ts'
import { PACK_BYTES_MAX } from './table-format.ts'

/** Packs on their way at once: enough to hide a round trip, 20 MiB of buffers with the open one. */
const PACKS_IN_FLIGHT_MAX = 4

/** A chunk that is in a pack; its number is there once the pack is durable. */
export interface PackedChunk {
  readonly plainBytes: number
  /** Resolves when the chunk is durable. @throws what the pack store threw. */
  readonly durable: Promise<void>
  number: number | undefined
}

interface Entry extends PackedChunk {
  readonly hash: Uint8Array
  readonly offset: number
  readonly storedBytes: number
  readonly flags: number
}

interface Pack {
  readonly buffer: Uint8Array
  usedBytes: number
  readonly entries: Entry[]
  readonly settled: PromiseWithResolvers<void>
}

/** What the packer tells. */
export interface PackerEvents {
  /** A chunk is durable. @returns Its number. */
  durable(chunk: NewChunk, stored: Uint8Array): number
}

/** Puts chunks into packs. */
export class Packer {
  readonly #packs: PackStore
  readonly #events: PackerEvents
  readonly #signal: AbortSignal
  readonly #pending = new Map<string, Entry>()
  readonly #buffers: Uint8Array[] = []
  readonly #inFlight = new Set<Promise<void>>()
  #open: Pack | undefined

  /** @param signal - Aborts everything in flight when the chunk store closes. */
  constructor(packs: PackStore, events: PackerEvents, signal: AbortSignal) {
    this.#packs = packs
    this.#events = events
    this.#signal = signal
  }

  /** Packs on their way. */
  get inFlight(): number {
    return this.#inFlight.size
  }

  /** The chunk with this content that is in a pack but not durable yet. */
  find(hash: Uint8Array): PackedChunk | undefined {
    return this.#pending.get(keyOf(hash))
  }

  /**
   * Puts a chunk into the open pack.
   *
   * @param hash - Its content hash.
   * @param plainBytes - `>= 1`.
   * @param sealed - Its stored form; copied.
   */
  add(hash: Uint8Array, plainBytes: number, sealed: SealedChunk): PackedChunk {
    const { storedBytes, flags } = sealed
    if (this.#open && this.#open.usedBytes + storedBytes > PACK_BYTES_MAX) this.flush()
    this.#open ??= this.#newPack()
    const pack = this.#open
    const durable = pack.settled.promise
    const offset = pack.usedBytes
    const entry = { hash, plainBytes, storedBytes, flags, offset, durable, number: undefined }
    for (const part of sealed.parts) {
      pack.buffer.set(part, pack.usedBytes)
      pack.usedBytes += part.byteLength
    }
    pack.entries.push(entry)
    this.#pending.set(keyOf(hash), entry)
    return entry
  }

  /** Sends the open pack on its way. */
  flush(): void {
    const pack = this.#open
    if (pack === undefined) return
    this.#open = undefined
    const sending = this.#send(pack).finally(() => {
      this.#inFlight.delete(sending)
      this.#buffers.push(pack.buffer)
    })
    this.#inFlight.add(sending)
  }

  /** Waits until another pack may be sent. */
  async room(): Promise<void> {
    while (this.#inFlight.size >= PACKS_IN_FLIGHT_MAX) await Promise.race(this.#inFlight)
  }

  /** Waits until nothing is in flight; never throws. */
  async settled(): Promise<void> {
    await Promise.all(this.#inFlight)
  }

  #newPack(): Pack {
    const buffer = this.#buffers.pop() ?? new Uint8Array(PACK_BYTES_MAX)
    const settled = Promise.withResolvers<void>()
    // Whoever stored a chunk of it hears of a failure; nobody may be left to.
    settled.promise.catch(() => undefined)
    return { buffer, usedBytes: 0, entries: [], settled }
  }

  async #send(pack: Pack): Promise<void> {
    try {
      const bytes = pack.buffer.subarray(0, pack.usedBytes)
      const number = await this.#packs.write(bytes, this.#signal)
      for (const entry of pack.entries) this.#complete(entry, number, pack.buffer)
      pack.settled.resolve()
    } catch (caught) {
      pack.settled.reject(caught)
    } finally {
      for (const { hash } of pack.entries) this.#pending.delete(keyOf(hash))
    }
  }

  #complete(entry: Entry, pack: number, buffer: Uint8Array): void {
    const { hash, offset, storedBytes, plainBytes, flags } = entry
    const stored = buffer.subarray(offset, offset + storedBytes)
    entry.number = this.#events.durable(
      { pack, offset, storedBytes, plainBytes, flags, hash },
      stored,
    )
  }
}

function keyOf(hash: Uint8Array): string {
  return Buffer.from(hash.buffer, hash.byteOffset, hash.byteLength).toString('latin1')
}
