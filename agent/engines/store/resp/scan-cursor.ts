/** Cursors as 0-db has them: 17 opaque bytes that name a record; ours name segment and offset and carry a checksum. */
import { crc32c } from '../crc32c.ts'
import type { LogPlace } from '../namespace-log.ts'
import { word32 } from '../record.ts'

/** Bytes of a cursor. */
export const CURSOR_BYTES = 17

/** Writes a cursor. @returns 17 bytes. */
export function encodeCursor(keyBytes: number, place: LogPlace): Buffer {
  const bytes = Buffer.alloc(CURSOR_BYTES)
  bytes[0] = keyBytes
  bytes.writeUInt32LE(place.segment, 1)
  bytes.writeUInt32LE(place.offset, 5)
  bytes.writeUInt32LE(crc32c(bytes, 0, 13), 13)
  return bytes
}

/** Reads a cursor. @returns Undefined if the bytes are none. */
export function decodeCursor(bytes: Uint8Array): LogPlace | undefined {
  if (bytes.byteLength !== CURSOR_BYTES) return undefined
  if (crc32c(bytes, 0, 13) !== word32(bytes, 13)) return undefined
  return { segment: word32(bytes, 1), offset: word32(bytes, 5) }
}
