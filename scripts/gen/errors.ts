/** Writes `docs/errors.md` from the catalogues beside the code, so that a code in a log leads to a sentence and a hint. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { ErrorDescription } from '../../agent/base/errors.ts'

const FOLDERS = ['agent', 'client', 'scripts']
const PAGE = 'docs/errors.md'

/**
 * Renders the page.
 *
 * @param root - The checkout.
 * @returns Markdown, codes ascending within each source.
 */
export async function errorPage(root: string): Promise<string> {
  const sections: string[] = []
  for (const path of FOLDERS.flatMap((folder) => catalogueFiles(join(root, folder))).sort()) {
    const codes = await codesOf(path)
    if (codes.length === 0) continue
    const rows = codes.map(([code, { means, hint }]) => `| \`${code}\` | ${means} | ${hint} |`)
    const title = relative(root, path)
    sections.push(
      [`## ${title}`, '', '| code | means | what to do |', '|---|---|---|', ...rows].join('\n'),
    )
  }
  const head =
    '# Errors\n\nGenerated from the catalogues in the sources by `npm run build`. Codes are stable; texts are not.'
  return `${[head, ...sections].join('\n\n')}\n`
}

/** Writes the page. @param root - The checkout. */
export async function writeErrorPage(root: string): Promise<void> {
  writeFileSync(join(root, PAGE), await errorPage(root))
}

/** Files that declare a catalogue. */
function catalogueFiles(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) =>
      /^export const [A-Z_]+\s*:\s*ErrorCatalogue</m.test(readFileSync(path, 'utf8')),
    )
}

async function codesOf(path: string): Promise<[string, ErrorDescription][]> {
  const loaded: Record<string, unknown> = await import(pathToFileURL(path).href)
  return Object.entries(loaded)
    .filter(([name, value]) => /ERRORS$/.test(name) && typeof value === 'object' && value !== null)
    .flatMap(([, value]) => Object.entries(value as Record<string, ErrorDescription>))
    .sort(([a], [b]) => a.localeCompare(b))
}
