/** `npm run check`: everything that can be said of the tree without running it. Stops at nothing, fails if anything failed. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { root, step } from './run/step.ts'

/**
 * Runs every check.
 *
 * @returns Names of the checks that failed.
 */
export async function check(): Promise<string[]> {
  if (!existsSync(join(root, 'types/ethers-contracts'))) {
    await step('build contracts and their types', 'hardhat', ['build', '--quiet'])
  }
  const results = [
    ['types', await step('types (tsc)', 'tsc', ['--noEmit'])],
    ['lint', await step('lint and format (biome)', 'biome', ['ci', '--error-on-warnings', '.'])],
    [
      'solhint',
      await step('contracts (solhint)', 'solhint', [
        '--disc',
        '--max-warnings',
        '0',
        'contracts/**/*.sol',
      ]),
    ],
    ['tidy', await step('rules of the house (tidy)', 'scripts/tidy.ts', [])],
  ] as const
  return results.filter(([, result]) => result.exitCode !== 0).map(([name]) => name)
}

if (import.meta.main) {
  const failed = await check()
  console.log(failed.length === 0 ? '\ncheck: all well' : `\ncheck: failed: ${failed.join(', ')}`)
  process.exitCode = failed.length === 0 ? 0 : 1
}
