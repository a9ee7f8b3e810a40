/**
 * CRC-32C of a part of a buffer, fast for both short and long parts.
 *
 * The native function takes about 0.2 µs a call and needs a view; below some 200 bytes the table-driven
 * loop is faster and makes no garbage. It runs in one dependent chain, 6 GB/s here; what lies in the memory of the
 * checksum kernel is first made short by it, at three times that.
 */
import { crc32c as native } from '@node-rs/crc32'
import { ChecksumMemory, FOLD_BYTES_MAX, FOLD_BYTES_MIN } from './checksum-memory.ts'

const NATIVE_FROM_BYTES = 192
const POLYNOMIAL = 0x82f63b78

/** Eight tables of 256, one after another. */
const TABLES = makeTables()

/**
 * Computes a checksum.
 *
 * @param bytes - Where the part is.
 * @param start - First byte of the part.
 * @param end - After its last byte, `>= start`.
 * @param initial - Checksum of what comes before, 0 if nothing does.
 * @returns u32.
 * @example
 * crc32c(Buffer.from('123456789'), 0, 9) // 0xe3069283
 */
export function crc32c(bytes: Uint8Array, start: number, end: number, initial = 0): number {
  const lengthBytes = end - start
  if (lengthBytes < NATIVE_FROM_BYTES) return short(bytes, start, end, initial)
  const memory = lengthBytes >= FOLD_BYTES_MIN ? ChecksumMemory.of(bytes.buffer) : undefined
  if (memory) return folded(memory, bytes.byteOffset + start, lengthBytes, initial)
  return native(bytes.subarray(start, end), initial)
}

/** The checksum of what is in the memory of the kernel, piece by piece. */
function folded(
  memory: ChecksumMemory,
  from: number,
  lengthBytes: number,
  initial: number,
): number {
  let crc = initial
  let at = from
  let missing = lengthBytes
  while (missing > 0) {
    const piece = pieceOf(missing)
    const left = memory.shorten(at, piece, ~crc)
    // The register was used up, so what is left starts with none.
    crc = short(memory.left, 0, left, 0xffff_ffff)
    at += piece
    missing -= piece
  }
  return crc
}

/** As long as may be, but the last one not too short for the kernel. */
function pieceOf(missing: number): number {
  if (missing <= FOLD_BYTES_MAX) return missing
  return missing < FOLD_BYTES_MAX + FOLD_BYTES_MIN ? missing >>> 1 : FOLD_BYTES_MAX
}

function short(bytes: Uint8Array, start: number, end: number, initial: number): number {
  const t = TABLES
  let crc = ~initial
  let at = start
  for (const last = end - 7; at < last; at += 8) {
    const low =
      crc ^
      (at8(bytes, at) |
        (at8(bytes, at + 1) << 8) |
        (at8(bytes, at + 2) << 16) |
        (at8(bytes, at + 3) << 24))
    crc =
      at32(t, 1792 + (low & 255)) ^
      at32(t, 1536 + ((low >>> 8) & 255)) ^
      at32(t, 1280 + ((low >>> 16) & 255)) ^
      at32(t, 1024 + (low >>> 24)) ^
      at32(t, 768 + at8(bytes, at + 4)) ^
      at32(t, 512 + at8(bytes, at + 5)) ^
      at32(t, 256 + at8(bytes, at + 6)) ^
      at32(t, at8(bytes, at + 7))
  }
  for (; at < end; at++) crc = at32(t, (crc ^ at8(bytes, at)) & 255) ^ (crc >>> 8)
  return ~crc >>> 0
}

// Typed arrays give undefined outside their bounds, which the callers exclude, so the casts are sound.
function at8(bytes: Uint8Array, index: number): number {
  return bytes[index] as number
}

function at32(table: Int32Array, index: number): number {
  return table[index] as number
}

function makeTables(): Int32Array {
  const tables = new Int32Array(8 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
    tables[byte] = crc
  }
  for (let at = 256; at < tables.length; at++) {
    const previous = tables[at - 256] as number
    tables[at] = (tables[previous & 255] as number) ^ (previous >>> 8)
  }
  return tables
}
