/**
 * Snappy's framing format, as e2store uses it for headers, bodies and receipts: chunks of at most 64 KiB plain bytes, each
 * with a masked CRC-32C. Both the claimed and the real length are bounded before memory is spent.
 *
 * @see https://github.com/google/snappy/blob/main/framing_format.txt
 */
import { crc32c } from '@node-rs/crc32'
import snappy from 'snappy'
import { NodeError } from '../../agent/base/errors.ts'

const STREAM_IDENTIFIER = Buffer.from([0xff, 6, 0, 0, ...Buffer.from('sNaPpY')])
const CHUNK_BYTES_MAX = 65_536
const CHUNK_COMPRESSED = 0x00
const CHUNK_PLAIN = 0x01
const CHUNK_IDENTIFIER = 0xff
/** Below this type a chunk that is not known must not be skipped. */
const CHUNK_SKIPPABLE_MIN = 0x80

/**
 * Decompresses a framed stream.
 *
 * @param bytes - All of it.
 * @param plainBytesMax - Longest result allowed.
 * @returns The plain bytes.
 * @throws NodeError `HISTORY_FRAMING` if it is malformed, a checksum is wrong, or it is longer than allowed.
 */
export function decodeSnappyFrames(bytes: Uint8Array, plainBytesMax: number): Uint8Array {
  const input = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const isStream = input.subarray(0, STREAM_IDENTIFIER.byteLength).equals(STREAM_IDENTIFIER)
  if (!isStream) throw new NodeError('HISTORY_FRAMING', 'not a snappy stream')
  const parts: Buffer[] = []
  let plainBytes = 0
  for (let at = 0; at < input.byteLength; ) {
    if (at + 4 > input.byteLength) throw new NodeError('HISTORY_FRAMING', 'a torn snappy chunk')
    const type = input.readUInt8(at)
    const end = at + 4 + input.readUIntLE(at + 1, 3)
    if (end > input.byteLength) throw new NodeError('HISTORY_FRAMING', 'a torn snappy chunk')
    const part = decodeChunk(type, input.subarray(at + 4, end))
    plainBytes += part?.byteLength ?? 0
    if (plainBytes > plainBytesMax) {
      throw new NodeError('HISTORY_FRAMING', `more than ${plainBytesMax} bytes in one record`)
    }
    if (part !== undefined) parts.push(part)
    at = end
  }
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts)
}

function decodeChunk(type: number, data: Buffer): Buffer | undefined {
  if (type === CHUNK_IDENTIFIER || type >= CHUNK_SKIPPABLE_MIN) return undefined
  if ((type !== CHUNK_COMPRESSED && type !== CHUNK_PLAIN) || data.byteLength < 4) {
    throw new NodeError('HISTORY_FRAMING', `a snappy chunk of type ${type}`)
  }
  const payload = data.subarray(4)
  const plain = type === CHUNK_PLAIN ? payload : uncompress(payload)
  const isGood = plain.byteLength <= CHUNK_BYTES_MAX && maskedCrc(plain) === data.readUInt32LE(0)
  if (!isGood) throw new NodeError('HISTORY_FRAMING', 'a snappy chunk with a wrong checksum')
  return plain
}

/** The plain length stands first, as a varint: it is checked before the bytes are made. */
function uncompress(payload: Buffer): Buffer {
  let length = 0
  for (let at = 0; at < 5; at++) {
    const byte = payload[at] ?? 0
    length += (byte & 0x7f) * 2 ** (7 * at)
    if (byte < 0x80) break
  }
  if (length > CHUNK_BYTES_MAX) throw new NodeError('HISTORY_FRAMING', `a chunk of ${length} bytes`)
  try {
    return snappy.uncompressSync(payload, { asBuffer: true }) as Buffer
  } catch (cause) {
    throw new NodeError('HISTORY_FRAMING', 'a damaged snappy chunk', { cause })
  }
}

/**
 * Compresses bytes as a framed stream.
 *
 * @param plain - Any bytes.
 * @returns The stream; chunks that do not shrink are stored as they are.
 */
export function encodeSnappyFrames(plain: Uint8Array): Uint8Array {
  const input = Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength)
  const parts: Buffer[] = [STREAM_IDENTIFIER]
  for (let at = 0; at < input.byteLength; at += CHUNK_BYTES_MAX) {
    const part = input.subarray(at, at + CHUNK_BYTES_MAX)
    const packed = snappy.compressSync(part)
    const isSmaller = packed.byteLength < part.byteLength
    const body = isSmaller ? packed : part
    const header = Buffer.alloc(8)
    header.writeUInt8(isSmaller ? CHUNK_COMPRESSED : CHUNK_PLAIN, 0)
    header.writeUIntLE(body.byteLength + 4, 1, 3)
    header.writeUInt32LE(maskedCrc(part), 4)
    parts.push(header, body)
  }
  return Buffer.concat(parts)
}

function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes)
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0
}
