/** Reads from what Mocha and Hardhat print how many tests did what. */
import type { StepResult } from '../run/step.ts'

/** How many tests did what. */
export interface Count {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

/**
 * Counts the tests of a run.
 *
 * @param result - Output and exit code of Mocha or Hardhat.
 * @returns How many; a run that ended badly without saying so, or ran nothing, has failed once.
 */
export function countTests({ output, exitCode }: StepResult): Count {
  // Hardhat prints the sum after Mocha's own line: the last one counts.
  const last = (pattern: RegExp): number => Number([...output.matchAll(pattern)].at(-1)?.[1] ?? 0)
  const passed = last(/^\s*(\d+) passing\b/gm)
  const skipped = last(/^\s*(\d+) (?:pending|skipped)\b/gm)
  const failed = last(/^\s*(\d+) failing\b/gm)
  const isSilent = failed === 0 && (exitCode !== 0 || passed + skipped === 0)
  return { passed, failed: isSilent ? 1 : failed, skipped }
}

/** Adds counts up. */
export function sumOf(counts: readonly Count[]): Count {
  const sum = { passed: 0, failed: 0, skipped: 0 }
  for (const { passed, failed, skipped } of counts) {
    sum.passed += passed
    sum.failed += failed
    sum.skipped += skipped
  }
  return sum
}
