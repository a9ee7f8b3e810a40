/**
 * Commits and checkpoints on the local disk, so that a restart needs no network.
 *
 * A commit is written and durable here before it goes to the metadata stores: a writer that dies in between sends the very
 * same bytes again, and so never forks its own history. Frames are `crc32c u32 | length u32 | sequence f64 | sealed`; a
 * torn last one is cut. All content is sealed as it is remotely, so damage is noticed by the same check.
 */
import { crc32c } from '@node-rs/crc32'
import { required } from '../../base/assert.ts'
import type { Disk, DiskFile } from '../../base/disk.ts'
import { isNodeError } from '../../base/errors.ts'
import { replaceFile } from '../../base/replace-file.ts'
import { MIB } from '../../base/units.ts'
import { CHECKPOINTS_KEPT } from './constants.ts'

const COMMITS = 'commits'
const CHECKPOINTS = 'checkpoints'
/** Where what could not be continued is kept for a person to look at. */
export const ASIDE = 'aside'

const FRAME_HEADER_BYTES = 16
/** A file of commits is followed by another at this size, so that old ones can go. */
const FILE_BYTES = 16 * MIB
/** Bytes copied at once when something is put aside. */
const COPY_BYTES = 4 * MIB

interface CommitFile {
  readonly path: string
  readonly file: DiskFile
  sizeBytes: number
  lastSequence: number
}

interface CommitPlace {
  readonly file: CommitFile
  readonly offset: number
  readonly length: number
}

/** Local copies of commits and snapshots. */
export class LocalArchive {
  readonly #disk: Disk
  readonly #files: CommitFile[] = []
  readonly #places = new Map<number, CommitPlace>()
  #checkpoints: number[] = []
  #lastSequence = 0

  private constructor(disk: Disk) {
    this.#disk = disk
  }

  /** Reads what is there; a torn last commit is cut. @throws NodeError `DISK_*`. */
  static open(disk: Disk): LocalArchive {
    const archive = new LocalArchive(disk)
    disk.makeDirectory(COMMITS)
    disk.makeDirectory(CHECKPOINTS)
    for (const name of disk.list(COMMITS)) archive.#scan(`${COMMITS}/${name}`)
    for (const name of disk.list(CHECKPOINTS)) {
      const match = /^([0-9a-f]{14})\.snapshot$/.exec(name)
      if (match?.[1]) archive.#checkpoints.unshift(Number.parseInt(match[1], 16))
      else disk.remove(`${CHECKPOINTS}/${name}`)
    }
    return archive
  }

  /** Highest commit held, by itself or within a checkpoint; 0 if none. */
  get lastSequence(): number {
    return Math.max(this.#lastSequence, this.#checkpoints[0] ?? 0)
  }

  /** Sequences of checkpoints, newest first. */
  get checkpoints(): readonly number[] {
    return this.#checkpoints
  }

  /** A sealed commit, undefined if it is not held. */
  commit(sequence: number): Uint8Array | undefined {
    const place = this.#places.get(sequence)
    if (!place) return undefined
    const bytes = new Uint8Array(place.length)
    return place.file.file.read(bytes, place.offset) === place.length ? bytes : undefined
  }

  /** A sealed checkpoint, undefined if it cannot be read. */
  checkpoint(sequence: number): Uint8Array | undefined {
    try {
      const file = this.#disk.open(checkpointPath(sequence), 'read')
      try {
        const bytes = new Uint8Array(file.sizeBytes)
        return file.read(bytes, 0) === bytes.byteLength ? bytes : undefined
      } finally {
        file.close()
      }
    } catch (caught) {
      if (isNodeError(caught)) return undefined
      throw caught
    }
  }

  /** Adds a sealed commit; durable after {@link LocalArchive.sync}. @throws NodeError `DISK_*`. */
  save(sequence: number, sealed: Uint8Array): void {
    const file = this.#fileFor(sequence)
    const head = Buffer.alloc(FRAME_HEADER_BYTES)
    head.writeUInt32LE(sealed.byteLength, 4)
    head.writeDoubleLE(sequence, 8)
    head.writeUInt32LE(frameCrc(head, sealed), 0)
    const at = file.sizeBytes
    try {
      file.file.write([head, sealed], at)
    } catch (caught) {
      file.file.truncate(at)
      throw caught
    }
    file.sizeBytes += FRAME_HEADER_BYTES + sealed.byteLength
    file.lastSequence = sequence
    this.#places.set(sequence, {
      file,
      offset: at + FRAME_HEADER_BYTES,
      length: sealed.byteLength,
    })
    this.#lastSequence = sequence
  }

  /** Makes saved commits durable. @throws NodeError `DISK_IO`. */
  async sync(): Promise<void> {
    await this.#files.at(-1)?.file.sync()
    await this.#disk.syncDirectory(COMMITS)
  }

  /** Writes a checkpoint, then removes what no checkpoint kept needs. @throws NodeError `DISK_*`. */
  async saveCheckpoint(sequence: number, sealed: Uint8Array): Promise<void> {
    await replaceFile(this.#disk, CHECKPOINTS, checkpointName(sequence), sealed)
    this.#checkpoints = [sequence, ...this.#checkpoints.filter((other) => other < sequence)]
    this.#prune()
  }

  /** Forgets everything, after a newer history replaced it. */
  reset(): void {
    this.close()
    this.#disk.remove(COMMITS)
    this.#disk.remove(CHECKPOINTS)
    this.#disk.makeDirectory(COMMITS)
    this.#disk.makeDirectory(CHECKPOINTS)
    this.#checkpoints = []
    this.#lastSequence = 0
  }

  close(): void {
    for (const { file } of this.#files) file.close()
    this.#files.length = 0
    this.#places.clear()
  }

  #fileFor(sequence: number): CommitFile {
    const last = this.#files.at(-1)
    if (last && last.sizeBytes < FILE_BYTES) return last
    const path = `${COMMITS}/${sequence.toString(16).padStart(14, '0')}.log`
    this.#disk.remove(path)
    const made = {
      path,
      file: this.#disk.open(path, 'new'),
      sizeBytes: 0,
      lastSequence: sequence,
    }
    // The one before is complete; its last frame may still be in the page cache.
    last?.file.syncNow()
    this.#files.push(made)
    return made
  }

  #prune(): void {
    const kept = this.#checkpoints.slice(0, CHECKPOINTS_KEPT)
    for (const sequence of this.#checkpoints.slice(CHECKPOINTS_KEPT)) {
      this.#disk.remove(checkpointPath(sequence))
    }
    this.#checkpoints = kept
    if (kept.length < CHECKPOINTS_KEPT) return
    const oldest = required(kept.at(-1), 'a checkpoint is kept')
    while (this.#files.length > 1 && required(this.#files[0], 'a file').lastSequence <= oldest) {
      const file = required(this.#files.shift(), 'a file')
      for (const [sequence, place] of this.#places) {
        if (place.file === file) this.#places.delete(sequence)
      }
      file.file.close()
      this.#disk.remove(file.path)
    }
  }

  #scan(path: string): void {
    const file = this.#disk.open(path, 'write')
    const found: CommitFile = { path, file, sizeBytes: 0, lastSequence: 0 }
    const head = Buffer.alloc(FRAME_HEADER_BYTES)
    while (file.read(head, found.sizeBytes) === FRAME_HEADER_BYTES) {
      const length = head.readUInt32LE(4)
      const offset = found.sizeBytes + FRAME_HEADER_BYTES
      if (offset + length > file.sizeBytes) break
      const sealed = new Uint8Array(length)
      file.read(sealed, offset)
      if (head.readUInt32LE(0) !== frameCrc(head, sealed)) break
      const sequence = head.readDoubleLE(8)
      this.#places.set(sequence, { file: found, offset, length })
      found.lastSequence = sequence
      found.sizeBytes = offset + length
      this.#lastSequence = Math.max(this.#lastSequence, sequence)
    }
    if (found.sizeBytes < file.sizeBytes) file.truncate(found.sizeBytes)
    this.#files.push(found)
  }
}

/**
 * Copies files into a directory under `aside/`, which is never read again by the program.
 *
 * @param name - Name of the directory; one that is there is added to.
 * @returns The directory.
 * @throws NodeError `DISK_*`.
 */
export function putAside(disk: Disk, name: string, paths: readonly string[]): string {
  const directory = `${ASIDE}/${name}`
  disk.makeDirectory(directory)
  for (const path of paths) {
    const target = `${directory}/${path.replaceAll('/', '-')}`
    disk.remove(target)
    const from = disk.open(path, 'read')
    const to = disk.open(target, 'new')
    const buffer = new Uint8Array(Math.min(COPY_BYTES, Math.max(1, from.sizeBytes)))
    for (let at = 0; at < from.sizeBytes; ) {
      const got = from.read(buffer, at)
      if (got === 0) break
      to.write([buffer.subarray(0, got)], at)
      at += got
    }
    to.syncNow()
    from.close()
    to.close()
  }
  return directory
}

function frameCrc(head: Buffer, sealed: Uint8Array): number {
  const body = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength)
  return crc32c(body, crc32c(head.subarray(4)))
}

function checkpointPath(sequence: number): string {
  return `${CHECKPOINTS}/${checkpointName(sequence)}`
}

function checkpointName(sequence: number): string {
  return `${sequence.toString(16).padStart(14, '0')}.snapshot`
}
