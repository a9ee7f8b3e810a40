/** Writes a file so that a kill at any moment leaves the old content or the new, never a part: temp, fsync, rename, fsync. */
import { renameSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { syncDirectory } from './journal.ts'

/**
 * Replaces a file by new content.
 *
 * @param path - The file; its directory must exist.
 * @param content - All of it.
 * @param mode - Permission bits, 0644 unless given.
 * @example
 * await writeDurably(join(dataDir, 'ledger.json'), text)
 */
export async function writeDurably(
  path: string,
  content: Uint8Array | string,
  mode = 0o644,
): Promise<void> {
  const temporary = `${path}.tmp`
  const file = await open(temporary, 'w', mode)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
  renameSync(temporary, path)
  syncDirectory(dirname(path))
}
