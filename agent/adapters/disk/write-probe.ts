/** Whether a disk takes writes: a small file is written and synced, as the next record of the store would be. */
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** As large as the smallest block of a disk: a full one refuses it. */
const PROBE_BYTES = 4096

/**
 * Makes the probe of a directory's disk.
 *
 * @param directory - Where to write; must be there.
 * @returns A port that fails with the system's error while the disk takes no writes. Of several calls at once all share one
 *   write, so a disk that hangs holds one call and not many.
 * @example
 * await writeProbe('/var/lib/varve/store').probe()
 */
export function writeProbe(directory: string): { probe(): Promise<void> } {
  let pending: Promise<void> | undefined
  return {
    probe() {
      pending ??= write(join(directory, 'probe')).finally(() => {
        pending = undefined
      })
      return pending
    },
  }
}

async function write(path: string): Promise<void> {
  const file = await open(path, 'w', 0o600)
  try {
    await file.writeFile(Buffer.alloc(PROBE_BYTES, 0x76))
    await file.sync()
  } finally {
    await file.close()
    await rm(path, { force: true })
  }
}
