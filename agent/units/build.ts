/**
 * Which build of the agent this process runs: the version and a digest of the sources it was started from.
 *
 * An agent that starts adopts a running unit only if both are of one build, so that two versions never share a protocol by
 * chance. The digest is taken once, at first use, about 10 ms.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

let known: string | undefined

/**
 * Names the build of this process.
 *
 * @returns `<version>+<12 hexadecimal digits>`, the same in every process started from the same files.
 * @example
 * buildId() // '0.1.0+5f0c9a1be2d4'
 */
export function buildId(): string {
  known ??= computeBuildId()
  return known
}

function computeBuildId(): string {
  const agentFolder = dirname(dirname(fileURLToPath(import.meta.url)))
  const hash = createHash('sha256')
  for (const file of sourceFiles(agentFolder)) hash.update(file).update(readFileSync(file))
  const manifest: unknown = JSON.parse(
    readFileSync(join(dirname(agentFolder), 'package.json'), 'utf8'),
  )
  return `${versionOf(manifest)}+${hash.digest('hex').slice(0, 12)}`
}

function sourceFiles(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true })
  return entries
    .filter((entry) => entry.isFile() && /\.(ts|wasm|sol|json)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}

function versionOf(manifest: unknown): string {
  const isObject = typeof manifest === 'object' && manifest !== null && 'version' in manifest
  return isObject && typeof manifest.version === 'string' ? manifest.version : '0.0.0'
}
