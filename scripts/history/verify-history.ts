/**
 * Checks a directory of history: every file against the official list of checksums that lies beside it, and every file of
 * blocks from end to end.
 */
import { createHash } from 'node:crypto'
import { createReadStream, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describeError, NodeError } from '../../agent/base/errors.ts'
import { type CheckedFile, checkHistoryFile } from './check-file.ts'
import { CHECKSUM_FILES, parseChecksums } from './checksums.ts'

/** What was found out about one file. */
export interface VerifiedFile {
  readonly name: string
  readonly sizeBytes: number
  /** Hexadecimal. */
  readonly sha256: string
  /** `match` and `mismatch` with the official list, `unlisted` if no list names the file. */
  readonly official: 'match' | 'mismatch' | 'unlisted'
  /** What a file of blocks holds; undefined for other files and for bad ones. */
  readonly blocks: CheckedFile | undefined
  /** What is wrong, as `CODE: message`; undefined if nothing is. */
  readonly problem: string | undefined
}

/** What was found out about a directory. */
export interface VerifiedHistory {
  readonly files: readonly VerifiedFile[]
  /** Files whose SHA-256 is the official one. */
  readonly official: number
  /** Files with a problem. */
  readonly bad: number
}

/**
 * Checks all files directly in a directory.
 *
 * @param directory - Holds `*.era1`, `*.e2s` or any other files, and may hold `checksums*.txt`.
 * @param onFile - Told of each file as it was checked.
 * @returns What was found out; a bad file is a value here, not an error.
 * @throws NodeError `HISTORY_LIST` if a list of checksums is not readable.
 * @example
 * const { bad, official } = await verifyHistory('../shared/data')
 */
export async function verifyHistory(
  directory: string,
  onFile?: (file: VerifiedFile) => void,
): Promise<VerifiedHistory> {
  const names = readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
    .sort()
  const lists = names.filter((name) => CHECKSUM_FILES.test(name))
  const checksums = new Map(
    lists.flatMap((name) => [...parseChecksums(readFileSync(join(directory, name), 'utf8'))]),
  )
  const files: VerifiedFile[] = []
  for (const name of names) {
    const file = await verifyFile(directory, name, checksums.get(name))
    files.push(file)
    onFile?.(file)
  }
  return {
    files,
    official: files.filter((file) => file.official === 'match').length,
    bad: files.filter((file) => file.problem !== undefined).length,
  }
}

async function verifyFile(
  directory: string,
  name: string,
  listed: string | undefined,
): Promise<VerifiedFile> {
  const path = join(directory, name)
  const sizeBytes = statSync(path).size
  let blocks: CheckedFile | undefined
  let problem: string | undefined
  if (/\.(era1|e2s)$/.test(name)) {
    try {
      blocks = await checkHistoryFile(path)
    } catch (caught) {
      if (!(caught instanceof NodeError)) throw caught
      problem = describeError(caught)
    }
  }
  const sha256 = blocks?.sha256 ?? (await sha256Of(path))
  if (listed === undefined)
    return { name, sizeBytes, sha256, official: 'unlisted', blocks, problem }
  if (listed === sha256) return { name, sizeBytes, sha256, official: 'match', blocks, problem }
  problem ??= 'HISTORY_CHECKSUM: not the official file'
  return { name, sizeBytes, sha256, official: 'mismatch', blocks, problem }
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const part of createReadStream(path)) hash.update(part)
  return hash.digest('hex')
}
