/** Small files that are written as a whole. */
import type { Disk } from './disk.ts'

/**
 * Writes a file durably, in the place of one of that name: a crash leaves the old one or the new one.
 *
 * @param disk - Where.
 * @param directory - Its directory; exists.
 * @param name - Its name; `<name>.new` beside it is used up.
 * @param bytes - All of it.
 * @throws NodeError `DISK_*`; the old file is then still there.
 * @example
 * await replaceFile(disk, 'slots', '7.0.0.json', Buffer.from(text))
 */
export async function replaceFile(
  disk: Disk,
  directory: string,
  name: string,
  bytes: Uint8Array,
): Promise<void> {
  const path = `${directory}/${name}`
  const temporary = `${path}.new`
  disk.remove(temporary)
  const file = disk.open(temporary, 'new')
  try {
    file.write([bytes], 0)
    await file.sync()
  } finally {
    file.close()
  }
  disk.rename(temporary, path)
  await disk.syncDirectory(directory)
}
