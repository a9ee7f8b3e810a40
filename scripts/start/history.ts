/** Files of history for the main job: listing, copying onto the mount with a progress bar, and comparing byte for byte. */
import { createHash } from 'node:crypto'
import { createReadStream, readdirSync, statSync } from 'node:fs'
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { NodeError } from '../../agent/base/errors.ts'
import type { Progress } from './progress.ts'

/** One file, by its path below the directory of history. */
export interface HistoryFile {
  readonly path: string
  readonly sizeBytes: number
  /** SHA-256, hexadecimal. */
  readonly sha256: string
}

const COPY_BYTES = 1 << 20

/**
 * Lists all files below a directory, with their hashes.
 *
 * @param directory - Where the history is.
 * @returns Files by ascending path.
 * @throws NodeError `HISTORY_EMPTY` if there are none.
 */
export async function listHistory(directory: string): Promise<HistoryFile[]> {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true })
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(join(directory, '/').length))
  if (paths.length === 0) {
    throw new NodeError('HISTORY_EMPTY', `${directory} holds no files`, {
      hint: 'give a directory with era1, .e2s or block files to --history, or leave it away',
    })
  }
  const files: HistoryFile[] = []
  for (const path of paths.sort()) {
    const absolute = join(directory, path)
    files.push({ path, sizeBytes: statSync(absolute).size, sha256: await sha256OfFile(absolute) })
  }
  return files
}

/**
 * Hashes a file.
 *
 * @param path - The file.
 * @param onBytes - Called with the bytes of each piece read.
 * @returns SHA-256, hexadecimal.
 */
export async function sha256OfFile(
  path: string,
  onBytes?: (bytes: number) => void,
): Promise<string> {
  const hash = createHash('sha256')
  for await (const part of createReadStream(path, { highWaterMark: COPY_BYTES })) {
    hash.update(part)
    onBytes?.(part.length)
  }
  return hash.digest('hex')
}

/**
 * Copies files and makes them durable.
 *
 * @param files - What to copy.
 * @param from - Directory they are in.
 * @param to - Directory they go to.
 * @param progress - Told of every byte written.
 */
export async function copyHistory(
  files: readonly HistoryFile[],
  from: string,
  to: string,
  progress: Progress,
): Promise<void> {
  const buffer = Buffer.allocUnsafe(COPY_BYTES)
  for (const file of files) {
    await mkdir(dirname(join(to, file.path)), { recursive: true })
    const source = await open(join(from, file.path), 'r')
    const target = await open(join(to, file.path), 'w')
    try {
      await pour(source, target, buffer, progress)
      await target.sync()
    } finally {
      await source.close()
      await target.close()
    }
  }
  const directory = await open(to, 'r')
  await directory.sync()
  await directory.close()
}

async function pour(
  source: FileHandle,
  target: FileHandle,
  buffer: Buffer,
  progress: Progress,
): Promise<void> {
  for (;;) {
    const { bytesRead } = await source.read(buffer, 0, buffer.length, null)
    if (bytesRead === 0) return
    await target.writev([buffer.subarray(0, bytesRead)])
    progress.add(bytesRead)
  }
}

/**
 * Reads every file again and compares size and hash.
 *
 * @param files - What must be there.
 * @param directory - Where it must be.
 * @param progress - Told of every byte read.
 * @returns Paths of files that differ or are missing; empty if all is well.
 */
export async function compareHistory(
  files: readonly HistoryFile[],
  directory: string,
  progress: Progress,
): Promise<string[]> {
  const different: string[] = []
  for (const file of files) {
    const path = join(directory, file.path)
    const sha256 = await sha256OfFile(path, (bytes) => progress.add(bytes)).catch(
      (caught: unknown) => `unreadable (${String(caught)})`,
    )
    if (sha256 !== file.sha256) different.push(`${file.path}: ${sha256} instead of ${file.sha256}`)
  }
  return different
}
