/** Compiles the contracts, saying how long it goes on: the first time takes minutes, later ones a second. */
import { type StepResult, step } from './step.ts'

const TOLD_MS = 10_000

/**
 * Compiles what changed. The compiler's warnings are shown only with an error: Hardhat compiles tests with other settings than
 * what is deployed, and so warns of sizes that no contract has.
 *
 * @param options.tests - Whether the contracts' tests in Solidity are compiled too.
 * @param options.say - Told now and then that it goes on.
 * @returns What became of it; its output was shown if it failed.
 */
export async function buildContracts(options: {
  readonly tests: boolean
  readonly say: (what: string) => void
}): Promise<StepResult> {
  const started = performance.now()
  const timer = setInterval(() => {
    const seconds = ((performance.now() - started) / 1000).toFixed(0)
    options.say(
      `compiling the contracts, ${seconds} s so far (minutes the first time, then never again)`,
    )
  }, TOLD_MS)
  try {
    const scope = options.tests ? [] : ['--no-tests']
    const built = await step('build contracts', 'hardhat', ['build', ...scope], { isShown: false })
    if (built.exitCode !== 0) console.error(built.output)
    return built
  } finally {
    clearInterval(timer)
  }
}
