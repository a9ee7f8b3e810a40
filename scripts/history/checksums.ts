/** The official list of SHA-256 of history files, as it lies beside them: `<sha256>  <name>` a line. */
import { NodeError } from '../../agent/base/errors.ts'

/** Names that lists of checksums have where histories are published, and in the data that this project is tested with. */
export const CHECKSUM_FILES = /^checksums(_\w+)?\.txt$/
/** Mainnet's list has 1,897 lines. */
const LINES_MAX = 100_000

/**
 * Reads a list.
 *
 * @param text - The file.
 * @returns SHA-256 in lower-case hexadecimal by file name.
 * @throws NodeError `HISTORY_LIST` if a line is neither empty nor a checksum.
 */
export function parseChecksums(text: string): ReadonlyMap<string, string> {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '')
  if (lines.length > LINES_MAX) throw new NodeError('HISTORY_LIST', `${lines.length} lines`)
  return new Map(
    lines.map((line, at) => {
      const match = /^([0-9a-fA-F]{64})\s+\*?(\S+)$/.exec(line)
      if (match?.[1] === undefined || match[2] === undefined) {
        throw new NodeError('HISTORY_LIST', `line ${at + 1} is no checksum`)
      }
      return [match[2], match[1].toLowerCase()] as const
    }),
  )
}
