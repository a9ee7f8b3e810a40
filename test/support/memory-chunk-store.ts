/**
 * A chunk store in memory: fixed-size chunks, deduplicated by hash, with the faults that a real one meets.
 *
 * `ChunkWorld` is what survives machines (the stores); `MemoryChunkStore` is one mount's view with its table, which travels
 * inside commits as a section and so must be found again on an empty machine.
 */
import { createHash } from 'node:crypto'
import { NodeError } from '../../agent/base/errors.ts'
import type {
  ByteSource,
  ChunkNumber,
  ChunkRun,
  ChunkStore,
  Section,
} from '../../agent/engines/files/ports.ts'

/** Chunks as the stores hold them, by content hash. */
export class ChunkWorld {
  readonly blobs = new Map<string, Uint8Array>()
  /** Stores do not take anything. */
  isAway = false
  /** Stores do not answer reads that are not local. */
  isSilent = false
  storedBytes = 0
  storeCalls = 0
}

/** How a store in memory behaves. */
export interface MemoryChunkStoreOptions {
  readonly chunkBytes?: number
  /** Waits so before a store call takes effect: for interleaving. */
  readonly pause?: () => Promise<void>
  /** Reads that are not in the local cache answer with a promise. Default true. */
  readonly isRemote?: boolean
}

/** One mount's chunk store. */
export class MemoryChunkStore implements ChunkStore {
  readonly section: Section
  readonly released: ChunkNumber[] = []
  /** Reads so far, by how they were answered. */
  readonly reads = { local: 0, remote: 0 }
  /** Its machine is gone: nothing it began takes effect any more. */
  isDead = false
  readonly #world: ChunkWorld
  readonly #chunkBytes: number
  readonly #pause: (() => Promise<void>) | undefined
  readonly #isRemote: boolean
  readonly #cache = new Map<ChunkNumber, Uint8Array>()
  #byHash = new Map<string, ChunkNumber>()
  #hashes = new Map<ChunkNumber, string>()
  #changed = new Set<ChunkNumber>()
  #next = 0

  constructor(world: ChunkWorld, options: MemoryChunkStoreOptions = {}) {
    this.#world = world
    this.#chunkBytes = options.chunkBytes ?? 65_536
    this.#pause = options.pause
    this.#isRemote = options.isRemote ?? true
    this.section = this.#makeSection()
  }

  /** Chunks in the table. */
  get count(): number {
    return this.#hashes.size
  }

  async store(
    sources: readonly ByteSource[],
    signal: AbortSignal,
  ): Promise<readonly (readonly ChunkRun[])[]> {
    this.#world.storeCalls++
    await this.#pause?.()
    signal.throwIfAborted()
    if (this.isDead) throw new Error('this machine is gone')
    if (this.#world.isAway) throw new NodeError('NOT_ENOUGH_STORES', 'the stores are away')
    return sources.map((source) => this.#storeOne(source))
  }

  read(chunk: ChunkNumber): Promise<Uint8Array> | Uint8Array {
    const local = this.#cache.get(chunk)
    if (local) {
      this.reads.local++
      return local
    }
    const hash = this.#hashes.get(chunk)
    if (hash === undefined) throw new NodeError('CHUNK_UNAVAILABLE', `no chunk ${chunk}`)
    this.reads.remote++
    const fetch = () => {
      if (this.#world.isSilent) throw new NodeError('CHUNK_UNAVAILABLE', 'no store answers')
      const blob = this.#world.blobs.get(hash)
      if (!blob) throw new NodeError('CHUNK_UNAVAILABLE', `chunk ${chunk} is lost`)
      if (hashOf(blob) !== hash) throw new NodeError('CHUNK_CORRUPT', `chunk ${chunk}`)
      this.#cache.set(chunk, blob)
      return blob
    }
    return this.#isRemote ? Promise.resolve().then(fetch) : fetch()
  }

  release(chunk: ChunkNumber): void {
    if (this.released.includes(chunk)) throw new Error(`chunk ${chunk} is released twice`)
    this.released.push(chunk)
    const hash = this.#hashes.get(chunk)
    if (hash === undefined) return
    this.#hashes.delete(chunk)
    this.#byHash.delete(hash)
    this.#cache.delete(chunk)
    this.#changed.add(chunk)
  }

  /** Forgets local copies. */
  dropCache(): void {
    this.#cache.clear()
  }

  #storeOne(source: ByteSource): ChunkRun[] {
    const runs: ChunkRun[] = []
    for (let at = 0; at < source.lengthBytes; at += this.#chunkBytes) {
      const bytes = new Uint8Array(Math.min(this.#chunkBytes, source.lengthBytes - at))
      source.read(at, bytes)
      runs.push({ chunk: this.#keep(bytes), lengthBytes: bytes.byteLength })
    }
    return runs
  }

  #keep(bytes: Uint8Array): ChunkNumber {
    const hash = hashOf(bytes)
    const known = this.#byHash.get(hash)
    if (known !== undefined) return known
    const chunk = this.#next++
    if (!this.#world.blobs.has(hash)) {
      this.#world.blobs.set(hash, bytes)
      this.#world.storedBytes += bytes.byteLength
    }
    this.#byHash.set(hash, chunk)
    this.#hashes.set(chunk, hash)
    this.#cache.set(chunk, bytes)
    this.#changed.add(chunk)
    return chunk
  }

  #makeSection(): Section {
    const encode = (entries: [ChunkNumber, string | null][]) =>
      entries.length === 0 ? new Uint8Array(0) : Buffer.from(JSON.stringify(entries))
    return {
      name: 'chunks',
      takeChanges: () => {
        const changed = [...this.#changed].map((chunk): [ChunkNumber, string | null] => [
          chunk,
          this.#hashes.get(chunk) ?? null,
        ])
        this.#changed = new Set()
        return encode(changed)
      },
      returnChanges: (bytes) => {
        for (const [chunk] of decode(bytes)) this.#changed.add(chunk)
      },
      applyChanges: (bytes) => this.#apply(bytes),
      snapshot: () => encode([...this.#hashes]),
      restore: (bytes) => {
        this.#byHash = new Map()
        this.#hashes = new Map()
        this.#changed = new Set()
        this.#cache.clear()
        this.#next = 0
        this.#apply(bytes)
      },
    }
  }

  #apply(bytes: Uint8Array): void {
    for (const [chunk, hash] of decode(bytes)) {
      this.#next = Math.max(this.#next, chunk + 1)
      const old = this.#hashes.get(chunk)
      if (old !== undefined) this.#byHash.delete(old)
      if (hash === null) this.#hashes.delete(chunk)
      else {
        this.#hashes.set(chunk, hash)
        this.#byHash.set(hash, chunk)
      }
    }
  }
}

function decode(bytes: Uint8Array): [ChunkNumber, string | null][] {
  return bytes.byteLength === 0 ? [] : JSON.parse(Buffer.from(bytes).toString())
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
