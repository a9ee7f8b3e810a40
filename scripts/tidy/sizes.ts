/** The ten longest files and functions: printed so that growth is seen, never a failure. */
import type { Source } from './sources.ts'

/** A named length. */
export interface Size {
  readonly name: string
  readonly lines: number
}

const SHOWN = 10

/**
 * Measures files.
 *
 * @param sources - All sources.
 * @returns The ten longest, longest first.
 */
export function longestFiles(sources: readonly Source[]): Size[] {
  return longest(sources.map((source) => ({ name: source.path, lines: source.lines.length })))
}

/**
 * Measures functions and methods, from the line of the head to its closing brace.
 *
 * @param sources - All sources.
 * @returns The ten longest, longest first.
 */
export function longestFunctions(sources: readonly Source[]): Size[] {
  return longest(sources.filter((source) => !source.path.startsWith('test/')).flatMap(functionsOf))
}

function functionsOf(source: Source): Size[] {
  const HEAD =
    /^(\s*)(?:export\s+)?(?:async\s+)?(?:function\*?\s+(\w+)|(?:(?:private|static|override|async|get|set)\s+)*[#*]*(\w+)\s*\([^)]*\)?[^;=]*\{\s*$)/
  const lines = source.code.split('\n')
  return lines.flatMap((line, at) => {
    const match = HEAD.exec(line)
    const name = match?.[2] ?? match?.[3]
    if (!match || name === undefined || ['if', 'for', 'while', 'switch', 'catch'].includes(name))
      return []
    const closing = lines.findIndex(
      (later, index) => index > at && later.startsWith(`${match[1]}}`),
    )
    return closing < 0
      ? []
      : [{ name: `${source.path}:${at + 1} ${name}`, lines: closing - at + 1 }]
  })
}

const longest = (sizes: readonly Size[]): Size[] =>
  [...sizes].sort((a, b) => b.lines - a.lines).slice(0, SHOWN)
