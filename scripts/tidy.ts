/** Checks the rules of the house (docs/ARCHITECTURE.md, section 3) and prints the longest files and functions. */
import { importCycles, layerViolations } from './tidy/layers.ts'
import {
  bannedCalls,
  deadFiles,
  incompleteEngines,
  leftovers,
  missingOpening,
  narrowingCasts,
  undocumentedDoors,
} from './tidy/rules.ts'
import { longestFiles, longestFunctions } from './tidy/sizes.ts'
import { readContracts, readSources } from './tidy/sources.ts'

/**
 * Runs every rule.
 *
 * @param root - The checkout.
 * @returns One line a violation, sorted.
 */
export function violations(root: string): string[] {
  const sources = readSources(root)
  return [
    ...layerViolations(sources),
    ...importCycles(sources),
    ...sources.flatMap(bannedCalls),
    ...sources.flatMap(missingOpening),
    ...sources.flatMap(leftovers),
    ...undocumentedDoors(sources),
    ...incompleteEngines(root),
    ...deadFiles(sources),
    ...narrowingCasts(readContracts(root)),
  ].sort()
}

if (import.meta.main) {
  const root = new URL('..', import.meta.url).pathname
  const sources = readSources(root)
  for (const [title, sizes] of [
    ['longest files', longestFiles(sources)],
    ['longest functions', longestFunctions(sources)],
  ] as const) {
    console.log(`${title}:`)
    for (const size of sizes) console.log(`  ${String(size.lines).padStart(5)}  ${size.name}`)
  }
  const found = violations(root)
  for (const line of found) console.error(line)
  console.log(found.length === 0 ? 'tidy: nothing to mend' : `tidy: ${found.length} to mend`)
  process.exitCode = found.length === 0 ? 0 : 1
}
