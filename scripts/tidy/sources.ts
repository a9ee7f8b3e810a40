/** Reads the tree of sources once: every file with its text, its imports and its functions, for the rules to look at. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'

/** One import of a file. */
export interface Import {
  /** As written: `./x.ts`, `node:fs`, `ethers`. */
  readonly specifier: string
  /** Path from the root of the checkout for a relative import, else undefined. */
  readonly target: string | undefined
  /** True for `import type` and `export type`, which vanish at run time. */
  readonly typeOnly: boolean
  /** True for `import(...)`. */
  readonly dynamic: boolean
  readonly line: number
}

/** One source file. */
export interface Source {
  /** Path from the root, with `/`. */
  readonly path: string
  readonly text: string
  /** `text` with comments and the insides of strings blanked out, same offsets. */
  readonly code: string
  readonly lines: readonly string[]
  readonly imports: readonly Import[]
}

const FOLDERS = ['agent', 'client', 'scripts', 'test']

/**
 * Reads all TypeScript sources.
 *
 * @param root - The checkout.
 * @returns Sources by ascending path.
 */
export function readSources(root: string): Source[] {
  const folders = FOLDERS.map((folder) => join(root, folder)).filter((path) => existsSync(path))
  const paths = folders.flatMap((folder) => walk(folder, '.ts'))
  return paths.sort().map((path) => readSource(root, path))
}

/**
 * Reads the contracts.
 *
 * @param root - The checkout.
 * @returns Every Solidity file that is deployed, sorted by path.
 */
export function readContracts(root: string): Pick<Source, 'path' | 'text'>[] {
  const paths = walk(join(root, 'contracts'), '.sol').sort()
  return paths.map((path) => ({ path: relative(root, path), text: readFileSync(path, 'utf8') }))
}

function walk(directory: string, suffix: string): string[] {
  const entries = readdirSync(directory, { withFileTypes: true, recursive: false })
  return entries.flatMap((entry) => {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) return walk(path, suffix)
    return entry.name.endsWith(suffix) ? [path] : []
  })
}

function readSource(root: string, absolute: string): Source {
  const path = relative(root, absolute)
  const text = readFileSync(absolute, 'utf8')
  const code = blank(text)
  return { path, text, code, lines: text.split('\n'), imports: importsOf(path, text, code) }
}

/**
 * Blanks comments and the insides of strings, so that rules match code only.
 *
 * @param text - TypeScript.
 * @returns The same length and lines.
 */
export function blank(text: string): string {
  const TOKEN =
    /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|\$\{[^}]*\}|[^`\\])*`/g
  return text.replace(TOKEN, (token) => {
    const quote = token.startsWith('/') ? ' ' : token.charAt(0)
    const inner = token.slice(1, -1).replace(/[^\n]/g, ' ')
    return token.length < 2 ? token : quote + inner + (quote === ' ' ? ' ' : quote)
  })
}

function importsOf(path: string, text: string, code: string): Import[] {
  const STATIC = /(?:^|\n)\s*(import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?(['"])/g
  const DYNAMIC = /\bimport\(\s*(['"])/g
  const found: Import[] = []
  for (const match of code.matchAll(STATIC)) {
    const start = match.index + match[0].length
    const clause = text.slice(match.index, start)
    if (match[1] === 'export' && !/\sfrom\s+['"]$/.test(clause)) continue
    const onlyTypes = match[2] !== undefined || /\{\s*(type\s+\w+[^,}]*,?\s*)+\}/.test(clause)
    found.push(importAt(path, text, start, onlyTypes, false))
  }
  for (const match of code.matchAll(DYNAMIC)) {
    found.push(importAt(path, text, match.index + match[0].length, false, true))
  }
  return found
}

function importAt(
  path: string,
  text: string,
  start: number,
  typeOnly: boolean,
  dynamic: boolean,
): Import {
  const specifier = text.slice(start, text.slice(start).search(/['"]/) + start)
  const target = specifier.startsWith('.') ? normalize(join(dirname(path), specifier)) : undefined
  return { specifier, target, typeOnly, dynamic, line: text.slice(0, start).split('\n').length }
}
