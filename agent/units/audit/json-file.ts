/** Small facts that must outlive a crash: one JSON document a file, replaced as a whole by a rename. */
import type { Disk } from '../../base/disk.ts'
import { NodeError } from '../../base/errors.ts'
import { replaceFile } from '../../base/replace-file.ts'

/** A slot's facts take some KiB, an accumulator of a thousand slots half a MiB. */
const FILE_BYTES_MAX = 64 * 1024 * 1024

/**
 * Writes a document durably.
 *
 * @param disk - Where.
 * @param directory - Its directory; made if missing.
 * @param name - Its file name.
 * @param value - Anything JSON takes.
 * @throws NodeError `DISK_*`; the old document is then still there.
 */
export async function writeJson(
  disk: Disk,
  directory: string,
  name: string,
  value: unknown,
): Promise<void> {
  disk.makeDirectory(directory)
  await replaceFile(disk, directory, name, Buffer.from(JSON.stringify(value)))
}

/**
 * Reads a document that {@link writeJson} wrote; what it holds is trusted, as nobody else writes there.
 *
 * @returns It, or undefined if there is none.
 * @throws NodeError `AUDIT_FILE_DAMAGED`, `DISK_*`.
 */
export function readJson<T>(disk: Disk, path: string): T | undefined {
  if (!disk.exists(path)) return undefined
  const file = disk.open(path, 'read')
  try {
    const bytes = Buffer.alloc(Math.min(file.sizeBytes, FILE_BYTES_MAX))
    file.read(bytes, 0)
    return JSON.parse(bytes.toString('utf8')) as T
  } catch (cause) {
    throw new NodeError('AUDIT_FILE_DAMAGED', `${path} cannot be read`, { cause })
  } finally {
    file.close()
  }
}
