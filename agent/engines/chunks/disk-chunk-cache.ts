/**
 * Keeps stored chunks in files of this machine, up to a number of bytes, oldest file out first.
 *
 * Files are only appended to and removed whole, so there is nothing to compact and nothing to repair: a header before each
 * chunk lets a start find what is there, and whoever reads verifies. Everything may vanish at any moment; a disk that fails
 * or is full ends the caching until the next start and is never an error to a reader.
 */
import { toHex } from '../../base/bytes.ts'
import type { Disk, DiskFile } from '../../base/disk.ts'
import { describeError } from '../../base/errors.ts'
import type { Log } from '../../base/ports.ts'
import { MIB } from '../../base/units.ts'
import { STORED_OVERHEAD_BYTES } from './chunk-cipher.ts'
import { CHUNK_BYTES_MAX } from './cutter.ts'
import type { ChunkCache } from './ports.ts'

/** Files that the limit is divided into: what one eviction takes with it. */
const FILES = 16
const FILE_BYTES_MAX = 64 * MIB
/** `magic(4) length(4) id(16)`. */
const HEADER_BYTES = 24
const ID_BYTES = 16
const MAGIC = 0x56434331
const STORED_BYTES_MAX = CHUNK_BYTES_MAX + STORED_OVERHEAD_BYTES

/** Free bytes of the disk below which the cache gives way: the journal refuses data below 128 MiB. */
const KEPT_FREE_BYTES = 512 * MIB

interface CacheFile {
  readonly path: string
  readonly file: DiskFile
  sizeBytes: number
  readonly keys: string[]
}

interface Place {
  readonly file: CacheFile
  readonly offset: number
  readonly lengthBytes: number
}

/** A {@link ChunkCache} on a disk. */
export class DiskChunkCache implements ChunkCache {
  readonly #disk: Disk
  readonly #directory: string
  readonly #limitBytes: number
  readonly #fileBytes: number
  readonly #log: Log | undefined
  readonly #places = new Map<string, Place>()
  #files: CacheFile[] = []
  #nextFile = 1
  #isBroken = false

  /**
   * Opens the cache with whatever an earlier run left.
   *
   * @param disk - A disk of this machine.
   * @param directory - Path on it that belongs to the cache alone.
   * @param limitBytes - Bytes of files at most, `>= 0`.
   */
  constructor(disk: Disk, directory: string, limitBytes: number, log?: Log) {
    this.#disk = disk
    this.#directory = directory
    this.#limitBytes = limitBytes
    this.#fileBytes = Math.min(FILE_BYTES_MAX, Math.floor(limitBytes / FILES))
    this.#log = log
    this.#guard(() => this.#load())
  }

  get sizeBytes(): number {
    return this.#files.reduce((sum, file) => sum + file.sizeBytes, 0)
  }

  get(id: Uint8Array): Uint8Array | undefined {
    const place = this.#places.get(toHex(id))
    if (place === undefined) return undefined
    return this.#guard(() => {
      const bytes = new Uint8Array(place.lengthBytes)
      const read = place.file.file.read(bytes, place.offset)
      return read === bytes.byteLength ? bytes : undefined
    })
  }

  put(id: Uint8Array, stored: Uint8Array): void {
    const key = toHex(id)
    const needed = HEADER_BYTES + stored.byteLength
    if (this.#isBroken || needed > this.#fileBytes || this.#places.has(key)) return
    this.#guard(() => {
      let file = this.#files.at(-1)
      if (file === undefined || file.sizeBytes + needed > this.#fileBytes) file = this.#addFile()
      const header = Buffer.alloc(HEADER_BYTES)
      header.writeUInt32LE(MAGIC, 0)
      header.writeUInt32LE(stored.byteLength, 4)
      header.set(id.subarray(0, ID_BYTES), 8)
      file.file.write([header, stored], file.sizeBytes)
      const offset = file.sizeBytes + HEADER_BYTES
      this.#places.set(key, { file, offset, lengthBytes: stored.byteLength })
      file.keys.push(key)
      file.sizeBytes += needed
      this.#evict()
    })
  }

  drop(id: Uint8Array): void {
    this.#places.delete(toHex(id))
  }

  clear(): void {
    while (this.#files.length > 0) this.#removeOldest()
    this.#isBroken = false
  }

  /** Gives back the disk space of the oldest file, because something else needs it. @returns Bytes freed, 0 if there are none. */
  yieldSpace(): number {
    const before = this.sizeBytes
    this.#removeOldest()
    return before - this.sizeBytes
  }

  /** Closes the files; what is in them is found again by the next run. */
  close(): void {
    for (const { file } of this.#files) this.#guard(() => file.close())
    this.#files = []
    this.#places.clear()
    this.#isBroken = true
  }

  #addFile(): CacheFile {
    // A disk that others fill is theirs: what is cached can be had again.
    while (this.#disk.space().freeBytes < KEPT_FREE_BYTES && this.yieldSpace() > 0);
    const path = `${this.#directory}/${String(this.#nextFile++).padStart(12, '0')}.chunks`
    this.#disk.makeDirectory(this.#directory)
    const file = { path, file: this.#disk.open(path, 'new'), sizeBytes: 0, keys: [] }
    this.#files.push(file)
    return file
  }

  #evict(): void {
    while (this.sizeBytes > this.#limitBytes) this.#removeOldest()
  }

  #removeOldest(): void {
    const oldest = this.#files.shift()
    if (oldest === undefined) return
    for (const key of oldest.keys) {
      if (this.#places.get(key)?.file === oldest) this.#places.delete(key)
    }
    this.#guard(() => oldest.file.close())
    this.#guard(() => this.#disk.remove(oldest.path))
  }

  #load(): void {
    for (const name of this.#disk.list(this.#directory)) {
      const match = /^(\d{12})\.chunks$/.exec(name)
      if (match === null) continue
      this.#nextFile = Math.max(this.#nextFile, Number(match[1]) + 1)
      const path = `${this.#directory}/${name}`
      this.#guard(() =>
        this.#loadFile({ path, file: this.#disk.open(path, 'write'), sizeBytes: 0, keys: [] }),
      )
    }
    this.#evict()
  }

  #loadFile(into: CacheFile): void {
    const header = Buffer.alloc(HEADER_BYTES)
    const { file } = into
    while (file.read(header, into.sizeBytes) === HEADER_BYTES && header.readUInt32LE(0) === MAGIC) {
      const lengthBytes = header.readUInt32LE(4)
      const offset = into.sizeBytes + HEADER_BYTES
      if (lengthBytes > STORED_BYTES_MAX || offset + lengthBytes > file.sizeBytes) break
      const key = toHex(header.subarray(8, 8 + ID_BYTES))
      this.#places.set(key, { file: into, offset, lengthBytes })
      into.keys.push(key)
      into.sizeBytes = offset + lengthBytes
    }
    // Bytes after a torn end would be counted as nobody's.
    if (file.sizeBytes > into.sizeBytes) file.truncate(into.sizeBytes)
    this.#files.push(into)
  }

  /** A cache that cannot is a cache that has nothing. */
  #guard<T>(work: () => T): T | undefined {
    try {
      return work()
    } catch (caught) {
      if (!this.#isBroken) this.#log?.warn({ error: describeError(caught) }, 'chunk cache off')
      this.#isBroken = true
      return undefined
    }
  }
}
