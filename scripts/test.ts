/**
 * `npm test`: builds what is built, checks the tree, runs the contracts' tests and every test of the agent and client,
 * and ends with one line `N passed, N failed, N skipped`. Two lanes run beside each other, for the two cores of the machines that run it.
 */
import { check } from './check.ts'
import { type StepResult, step } from './run/step.ts'

interface Count {
  passed: number
  failed: number
  skipped: number
}

/** Lines in which Mocha and Hardhat say how many tests did what. */
const COUNTED: readonly [keyof Count, RegExp][] = [
  ['passed', /^\s*(\d+) passing\b/gm],
  ['failed', /^\s*(\d+) failing\b/gm],
  ['skipped', /^\s*(\d+) (?:pending|skipped)\b/gm],
]

/** Tests that compute: one core is busy all the time. */
const COMPUTING = 'test/{unit,conformance}/**/*.test.ts'

/** Hundreds of grids, in a process of their own: what they leave behind would slow whatever shares their heap. */
const SIMULATED = 'test/sim/**/*.sim.ts'

/** What has a chain of its own, whole grids of agents above all, and waits more than it computes: it runs beside all others. */
const ON_CHAINS = 'test/integration/{agent,client,devnet}/**/*.test.ts'
const GRIDS = ['test/e2e/**/*.test.ts', ON_CHAINS]

/** All other tests with processes, sockets and kernel mounts. */
const PROCESSES = ['test/integration/**/*.test.ts', '--ignore', ON_CHAINS]

function count(results: readonly StepResult[]): Count {
  const sum: Count = { passed: 0, failed: 0, skipped: 0 }
  for (const { output } of results) {
    for (const [what, pattern] of COUNTED) {
      // Hardhat prints the sum after Mocha's own line: the last one counts.
      sum[what] += Number([...output.matchAll(pattern)].at(-1)?.[1] ?? 0)
    }
  }
  return sum
}

const built = await step('build contracts and their types', 'hardhat', ['build'])
const failedChecks = await check()

/** The first lane. */
async function others(): Promise<StepResult[]> {
  return [
    await step('contracts', 'hardhat', ['test', '--no-compile']),
    await step('units and conformance', 'mocha', [COMPUTING]),
    await step('simulation', 'mocha', [SIMULATED]),
    await step('processes, sockets and mounts', 'mocha', PROCESSES),
  ]
}

const grids = step('grids of agents', 'mocha', GRIDS, 'atTheEnd')
const suites = [...(await others()), await grids]
const sum = count(suites)

// A suite that dies without saying so has failed all the same.
const silent = suites.filter((suite) => suite.exitCode !== 0).length > 0 && sum.failed === 0 ? 1 : 0
const failed = sum.failed + silent + failedChecks.length + (built.exitCode === 0 ? 0 : 1)
if (failedChecks.length > 0) console.log(`\nfailed checks: ${failedChecks.join(', ')}`)
console.log(`\nseconds: ${suites.map((suite) => suite.seconds.toFixed(0)).join(' + ')}`)
console.log(`${sum.passed} passed, ${failed} failed, ${sum.skipped} skipped`)
process.exitCode = failed === 0 && sum.passed > 0 ? 0 : 1
