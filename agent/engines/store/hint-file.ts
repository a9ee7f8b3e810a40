/**
 * Hints: what the index needs of a sealed segment, so that opening reads tens of bytes a record instead of all of it.
 *
 * A hint is written beside the log as records are appended, a piece at a time, and becomes valid by its header and a
 * rename after the segment is durable. It is only a shortcut: one that is missing or damaged is ignored, and the segment is read
 * instead. One of a longer segment than there is shows what the segment lost. Layout in docs/reference/store.md.
 */
import type { Disk, DiskFile } from '../../base/disk.ts'
import { MIB } from '../../base/units.ts'
import { crc32c } from './crc32c.ts'
import type { RecordKind } from './record.ts'
import type { Segment } from './segment.ts'

const MAGIC = 0x31485256
const HEADER_BYTES = 64
const ENTRY_BYTES = 16
/** Written to the file when so much has gathered. */
const PIECE_BYTES = MIB
/** The longest entry. */
const ENTRY_BYTES_MAX = ENTRY_BYTES + 255

/** One record as a hint tells of it. */
export interface HintEntry {
  readonly kind: RecordKind
  readonly offset: number
  readonly valueBytes: number
  readonly valueCrc: number
  /** In the hint's own buffer. */
  readonly keyStart: number
  readonly keyEnd: number
}

/** What a hint says of its segment as a whole. */
export interface HintSummary {
  readonly endSerial: number
  readonly nextSeq: number
  readonly lastTimeSeconds: number
}

/** Gathers the hint of the segment that is being written. */
export class HintWriter {
  readonly #disk: Disk
  readonly #path: string
  #file: DiskFile | undefined
  #piece = Buffer.allocUnsafe(4096)
  #used = 0
  #marked = 0
  #writtenBytes = 0
  #crc = 0
  /** True once a write failed; the segment then goes without a hint. */
  #isLost = false

  constructor(disk: Disk, directory: string, segment: Pick<Segment, 'name'>) {
    this.#disk = disk
    this.#path = hintPath(directory, segment)
  }

  /** Adds a record that was appended; {@link HintWriter.mark} confirms it. */
  add(
    kind: RecordKind,
    offset: number,
    valueBytes: number,
    valueCrc: number,
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
  ): void {
    if (this.#used + ENTRY_BYTES_MAX > this.#piece.byteLength) this.#grow()
    const piece = this.#piece
    let at = this.#used
    piece[at] = kind
    piece[at + 1] = keyEnd - keyStart
    piece[at + 2] = 0
    piece[at + 3] = 0
    piece.writeUInt32LE(offset, at + 4)
    piece.writeUInt32LE(valueBytes, at + 8)
    piece.writeUInt32LE(valueCrc, at + 12)
    at += ENTRY_BYTES
    for (let from = keyStart; from < keyEnd; from++) piece[at++] = key[from] as number
    this.#used = at
  }

  /** What was added so far is in the segment. */
  mark(): void {
    this.#marked = this.#used
    if (this.#used >= PIECE_BYTES) this.#flush()
  }

  /** What was added since the mark is not in the segment after all. */
  rewind(): void {
    this.#used = this.#marked
  }

  /** Makes the hint valid; the segment is durable. Failing to is harmless. */
  async finish(segmentBytes: number, summary: HintSummary): Promise<void> {
    this.#used = this.#marked
    this.#flush()
    if (this.#isLost || !this.#file) return
    const header = Buffer.alloc(HEADER_BYTES)
    header.writeUInt32LE(MAGIC, 0)
    header.writeUInt32LE(this.#crc, 4)
    header.writeBigUInt64LE(BigInt(this.#writtenBytes), 8)
    header.writeBigUInt64LE(BigInt(segmentBytes), 16)
    header.writeBigUInt64LE(BigInt(summary.endSerial), 24)
    header.writeBigUInt64LE(BigInt(summary.nextSeq), 32)
    header.writeUInt32LE(summary.lastTimeSeconds, 40)
    header.writeUInt32LE(crc32c(header, 0, 60), 60)
    this.#file.write([header], 0)
    await this.#file.sync()
    this.#file.close()
    this.#disk.rename(`${this.#path}.new`, this.#path)
  }

  /** Gives the hint up. */
  abandon(): void {
    this.#file?.close()
    this.#file = undefined
    this.#isLost = true
  }

  #grow(): void {
    const larger = Buffer.allocUnsafe(Math.max(this.#piece.byteLength * 2, 64 * 1024))
    this.#piece.copy(larger, 0, 0, this.#used)
    this.#piece = larger
  }

  #flush(): void {
    if (this.#isLost) {
      this.#used = 0
      this.#marked = 0
      return
    }
    try {
      if (!this.#file) {
        this.#disk.remove(`${this.#path}.new`)
        this.#file = this.#disk.open(`${this.#path}.new`, 'new')
      }
      const part = this.#piece.subarray(0, this.#used)
      this.#file.write([part], HEADER_BYTES + this.#writtenBytes)
      this.#crc = crc32c(part, 0, part.byteLength, this.#crc)
      this.#writtenBytes += part.byteLength
    } catch {
      // A hint is never worth a failed write of the log.
      this.abandon()
    }
    this.#used = 0
    this.#marked = 0
  }
}

/**
 * Reads a hint.
 *
 * @param disk - The disk.
 * @param directory - Directory of the namespace.
 * @param segment - The segment that it is of.
 * @returns Its summary, buffer and entries; undefined if there is none that may be believed.
 */
export function readHint(
  disk: Disk,
  directory: string,
  segment: Segment,
):
  | {
      summary: HintSummary
      bytes: Buffer
      entries: Generator<HintEntry>
      /** Bytes that the segment had and has no more. */
      missingBytes: number
    }
  | undefined {
  const path = hintPath(directory, segment)
  if (!disk.exists(path)) return undefined
  const file = disk.open(path, 'read')
  try {
    if (file.sizeBytes < HEADER_BYTES) return undefined
    const bytes = Buffer.allocUnsafe(file.sizeBytes)
    if (file.read(bytes, 0) < bytes.byteLength) return undefined
    const isSound =
      bytes.readUInt32LE(0) === MAGIC &&
      bytes.readUInt32LE(60) === crc32c(bytes, 0, 60) &&
      Number(bytes.readBigUInt64LE(8)) === bytes.byteLength - HEADER_BYTES &&
      Number(bytes.readBigUInt64LE(16)) >= segment.file.sizeBytes &&
      bytes.readUInt32LE(4) === crc32c(bytes, HEADER_BYTES, bytes.byteLength)
    if (!isSound) return undefined
    const summary = {
      endSerial: Number(bytes.readBigUInt64LE(24)),
      nextSeq: Number(bytes.readBigUInt64LE(32)),
      lastTimeSeconds: bytes.readUInt32LE(40),
    }
    const missingBytes = Number(bytes.readBigUInt64LE(16)) - segment.file.sizeBytes
    return { summary, bytes, entries: hintEntries(bytes), missingBytes }
  } finally {
    file.close()
  }
}

/** The path of a segment's hint. */
export function hintPath(directory: string, segment: Pick<Segment, 'name'>): string {
  return `${directory}/${segment.name.replace(/\.seg$/, '.hint')}`
}

function* hintEntries(bytes: Buffer): Generator<HintEntry> {
  for (let at = HEADER_BYTES; at + ENTRY_BYTES <= bytes.byteLength; ) {
    const keyStart = at + ENTRY_BYTES
    const keyEnd = keyStart + (bytes[at + 1] as number)
    yield {
      kind: bytes[at] as RecordKind,
      offset: bytes.readUInt32LE(at + 4),
      valueBytes: bytes.readUInt32LE(at + 8),
      valueCrc: bytes.readUInt32LE(at + 12),
      keyStart,
      keyEnd,
    }
    at = keyEnd
  }
}
