/**
 * A small file that says how far a log was durable, so that an end that is missing later is told from one that never was: a
 * deleted or shortened last segment would else look like a log that ends there.
 *
 * It lags behind: it is written when the log is opened and closed, when a segment is full, and each minute in between.
 * What it says was durable before, so it never speaks of records that a crash may take. Layout in docs/reference/store.md.
 */
import type { Disk } from '../../base/disk.ts'
import { crc32c } from './crc32c.ts'
import { word32 } from './record.ts'

const FILE_NAME = 'end'
const MAGIC = 0x31455256
const BYTES = 32

/** What the file says. */
export interface LogEnd {
  /** Count of records that were durable at least. */
  readonly durable: number
  /** Records of this log that are known to be gone, from when that was found on. */
  readonly lost: number
}

/** What a file says that is not there, or cannot be believed. */
export const UNKNOWN_END: LogEnd = { durable: 0, lost: 0 }

/**
 * Reads it.
 *
 * @param disk - The disk.
 * @param directory - Directory of the namespace.
 * @returns What it says; `damaged` if it cannot be believed; undefined where there is none.
 * @throws NodeError `DISK_IO`.
 */
export function readLogEnd(disk: Disk, directory: string): LogEnd | 'damaged' | undefined {
  const path = `${directory}/${FILE_NAME}`
  if (!disk.exists(path)) return undefined
  const file = disk.open(path, 'read')
  try {
    const bytes = Buffer.alloc(BYTES)
    const isWhole = file.read(bytes, 0) === BYTES && bytes.readUInt32LE(0) === MAGIC
    if (!isWhole || crc32c(bytes, 0, BYTES - 4) !== word32(bytes, BYTES - 4)) return 'damaged'
    return { durable: Number(bytes.readBigUInt64LE(8)), lost: Number(bytes.readBigUInt64LE(16)) }
  } finally {
    file.close()
  }
}

/**
 * Writes it durably. One sector is written at once, so a crash leaves the old or the new one.
 *
 * @param disk - The disk.
 * @param directory - Directory of the namespace.
 * @param end - What is durable and lost.
 * @throws NodeError `DISK_*`.
 */
export async function writeLogEnd(disk: Disk, directory: string, end: LogEnd): Promise<void> {
  const bytes = Buffer.alloc(BYTES)
  bytes.writeUInt32LE(MAGIC, 0)
  bytes.writeBigUInt64LE(BigInt(end.durable), 8)
  bytes.writeBigUInt64LE(BigInt(end.lost), 16)
  bytes.writeUInt32LE(crc32c(bytes, 0, BYTES - 4), BYTES - 4)
  const isNew = !disk.exists(`${directory}/${FILE_NAME}`)
  const file = disk.open(`${directory}/${FILE_NAME}`, 'create')
  try {
    file.write([bytes], 0)
    await file.sync()
  } finally {
    file.close()
  }
  if (isNew) await disk.syncDirectory(directory)
}
