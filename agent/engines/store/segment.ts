/**
 * One segment: a file of records behind a header of 64 bytes.
 *
 * `00000007.0.seg` is segment 7 as first written. A segment that compaction wrote in place of 3 to 7 is `00000007.1.seg` and
 * its header says so, which makes the switch one rename: whatever it covers with a lower generation is dead.
 */
import type { Disk, DiskFile } from '../../base/disk.ts'
import { crc32c } from './crc32c.ts'
import { word32 } from './record.ts'

/** Bytes before the first record. */
export const SEGMENT_HEADER_BYTES = 64
const MAGIC = Buffer.from('VRVSEG1\n', 'latin1')

/** What a segment's header says. */
export interface SegmentHeader {
  /** Position in the log, `>= 1`. */
  readonly number: number
  /** Lowest number that this segment stands for; equal to `number` unless compaction wrote it. */
  readonly firstNumber: number
  /** How often compaction rewrote it. */
  readonly generation: number
  readonly createdMs: number
  /** Serial that the first record has, or none below. */
  readonly firstSerial: number
  /** Of a segment that compaction wrote: the serial that follows all it stands for; else 0. */
  readonly endSerial: number
  /** No sequential key below this is handed out again. */
  readonly nextSeq: number
}

/** What compaction kept because it was too young to go: after its time it is as dead as the rest. */
export interface HeldBytes {
  readonly bytes: number
  /** Seconds since 1970 up to which something of it is wanted; infinite if no time ends it. */
  readonly until: number
}

/** The {@link HeldBytes} of a segment that compaction did not write. */
export const NOTHING_HELD: HeldBytes = { bytes: 0, until: 0 }

/** An open segment. */
export interface Segment extends SegmentHeader {
  readonly name: string
  readonly file: DiskFile
  /** Bytes of records that are wanted: those that the index points to, and what compaction kept without being the newest. */
  liveBytes: number
  /** Of those, what compaction kept for its age alone. */
  held: HeldBytes
  /** Number of the file in the block cache, 0 while it has none. */
  cacheFile: number
  /** Some bytes of it are no records: it is kept as it is. */
  isDamaged?: boolean
}

/**
 * Names a segment's file.
 *
 * @param number - Position in the log.
 * @param generation - How often it was rewritten.
 * @returns A name that sorts by number.
 * @example
 * segmentName(7, 0) // '00000007.0.seg'
 */
export function segmentName(number: number, generation: number): string {
  return `${String(number).padStart(8, '0')}.${generation}.seg`
}

/**
 * Makes a segment's file and writes its header; not durable before the first sync.
 *
 * @param disk - The disk.
 * @param directory - Directory of the namespace.
 * @param header - What the header says.
 * @returns The segment, without records.
 * @throws NodeError `DISK_*`.
 */
export function createSegment(disk: Disk, directory: string, header: SegmentHeader): Segment {
  const name = segmentName(header.number, header.generation)
  const path = `${directory}/${name}`
  // A file of this name can only be what a crash left of a segment that never got a record.
  disk.remove(path)
  const file = disk.open(path, 'new')
  try {
    file.write([encodeSegmentHeader(header)], 0)
  } catch (caught) {
    file.close()
    disk.remove(path)
    throw caught
  }
  return { ...header, name, file, liveBytes: 0, held: NOTHING_HELD, cacheFile: 0 }
}

/** Writes a segment header. @returns 64 bytes. */
export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES)
  MAGIC.copy(bytes)
  bytes.writeUInt32LE(header.number, 8)
  bytes.writeUInt32LE(header.firstNumber, 12)
  bytes.writeUInt32LE(header.generation, 16)
  bytes.writeBigUInt64LE(BigInt(Math.floor(header.createdMs)), 24)
  bytes.writeBigUInt64LE(BigInt(header.firstSerial), 32)
  bytes.writeBigUInt64LE(BigInt(header.nextSeq), 40)
  bytes.writeBigUInt64LE(BigInt(header.endSerial), 48)
  bytes.writeUInt32LE(crc32c(bytes, 0, 60), 60)
  return bytes
}

/** Reads a segment header. @returns It, or undefined if the bytes are not one. */
export function decodeSegmentHeader(bytes: Buffer): SegmentHeader | undefined {
  if (bytes.byteLength < SEGMENT_HEADER_BYTES) return undefined
  if (MAGIC.compare(bytes, 0, 8) !== 0) return undefined
  if (crc32c(bytes, 0, 60) !== word32(bytes, 60)) return undefined
  const number = bytes.readUInt32LE(8)
  const firstNumber = bytes.readUInt32LE(12)
  // A segment covers a range up to itself.
  if (firstNumber < 1 || firstNumber > number) return undefined
  return {
    number,
    firstNumber,
    generation: bytes.readUInt32LE(16),
    createdMs: Number(bytes.readBigUInt64LE(24)),
    firstSerial: Number(bytes.readBigUInt64LE(32)),
    nextSeq: Number(bytes.readBigUInt64LE(40)),
    endSerial: Number(bytes.readBigUInt64LE(48)),
  }
}
