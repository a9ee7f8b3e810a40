/**
 * Reads the data files of 0-db (version 3) into a namespace, oldest first, so that history comes along.
 *
 * `d<N>`: a header of 28 bytes, then entries of 18 bytes, key and value, little-endian: length of the key, length of the
 * value, offset of the entry before, CRC-32C of the value, flags (1: deleted), seconds since 1970. Each value is
 * checked; one that does not match is reported and left out.
 */
import type { Disk, DiskFile } from '../../base/disk.ts'
import { NodeError } from '../../base/errors.ts'
import type { Log } from '../../base/ports.ts'
import { crc32c } from './crc32c.ts'
import type { Namespace } from './namespace.ts'

const FILE_HEADER_BYTES = 28
const ENTRY_BYTES = 18
const MAGIC = 'DAT0'
const VERSION = 3
const DELETED = 1
/** Written and synced in portions, so that a large import holds little memory. */
const PORTION_BYTES = 16 * 1024 * 1024

/** What was read. */
export interface ZeroDbImport {
  readonly stored: number
  readonly deleted: number
  readonly damaged: number
}

/**
 * Imports one namespace of 0-db.
 *
 * @param disk - The disk whose `directory` holds `d0`, `d1`, ...
 * @param directory - Where they are.
 * @param namespace - Empty, of the mode that the namespace had.
 * @param log - Told of damage.
 * @returns Counts; all is durable.
 * @throws NodeError `LOG_FORMAT_UNKNOWN` for files of another version, `DISK_*`.
 */
export async function importZeroDb(
  disk: Disk,
  directory: string,
  namespace: Namespace,
  log: Log,
): Promise<ZeroDbImport> {
  const counts = { stored: 0, deleted: 0, damaged: 0 }
  const numbers = disk
    .list(directory)
    .flatMap((name) => (/^d\d+$/.test(name) ? [Number(name.slice(1))] : []))
    .sort((a, b) => a - b)
  let pendingBytes = 0
  for (const number of numbers) {
    const file = disk.open(`${directory}/d${number}`, 'read')
    try {
      checkHeader(file, `${directory}/d${number}`)
      for (const entry of entriesOf(file)) {
        if (entry.isDeleted) {
          if (namespace.find(entry.key, 0, entry.key.byteLength) < 0) continue
          namespace.delete(entry.key, entry.timeSeconds)
          counts.deleted++
        } else if (zeroDbChecksum(entry.value) !== entry.crc) {
          log.warn({ file: number, offset: entry.offset }, 'value does not match its checksum')
          counts.damaged++
          continue
        } else {
          namespace.restore(entry.key, entry.value, entry.timeSeconds)
          counts.stored++
        }
        pendingBytes += entry.value.byteLength
        if (pendingBytes < PORTION_BYTES) continue
        pendingBytes = 0
        namespace.log.flush()
        await namespace.log.makeDurable()
      }
    } finally {
      file.close()
    }
  }
  namespace.log.flush()
  while (namespace.log.isDirty) await namespace.log.makeDurable()
  if (namespace.log.failure) throw namespace.log.failure
  return counts
}

/**
 * CRC-32C as 0-db computes it: begun with zeros and not inverted at the end.
 *
 * @param value - The bytes.
 * @returns u32.
 * @example
 * zeroDbChecksum(Buffer.from('one'))
 */
export function zeroDbChecksum(value: Uint8Array): number {
  return ~crc32c(value, 0, value.byteLength, 0xffffffff) >>> 0
}

function checkHeader(file: DiskFile, path: string): void {
  const header = Buffer.alloc(FILE_HEADER_BYTES)
  const read = file.read(header, 0)
  const version = header.readUInt32LE(4)
  if (
    read < FILE_HEADER_BYTES ||
    header.toString('latin1', 0, 4) !== MAGIC ||
    version !== VERSION
  ) {
    throw new NodeError(
      'LOG_FORMAT_UNKNOWN',
      `${path} is not a data file of 0-db version ${VERSION}`,
    )
  }
}

function* entriesOf(file: DiskFile) {
  const head = Buffer.alloc(ENTRY_BYTES)
  let offset = FILE_HEADER_BYTES
  while (file.read(head, offset) === ENTRY_BYTES) {
    const keyBytes = head.readUInt8(0)
    const valueBytes = head.readUInt32LE(1)
    const crc = head.readUInt32LE(9)
    const flags = head.readUInt8(13)
    const timeSeconds = head.readUInt32LE(14)
    // 0-db reserves space ahead; an entry without key is where its writing ended.
    if (keyBytes === 0) return
    const body = Buffer.alloc(keyBytes + valueBytes)
    if (file.read(body, offset + ENTRY_BYTES) < body.byteLength) return
    yield {
      offset,
      key: body.subarray(0, keyBytes),
      value: body.subarray(keyBytes),
      crc,
      isDeleted: (flags & DELETED) !== 0,
      timeSeconds,
    }
    offset += ENTRY_BYTES + keyBytes + valueBytes
  }
}
