/**
 * `npm test`: builds what is built, checks the tree, runs every test on all cores there are, and ends with one line
 * `N passed, N failed, N skipped`. `npm run test:quick` is the loop of a developer; `npm test -- WORD...` runs only files
 * whose path holds one of the words.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { check } from './check.ts'
import { buildContracts } from './run/build-contracts.ts'
import { countTests, sumOf } from './test/count.ts'
import { DURATIONS_PATH, readDurations, testItems } from './test/items.ts'
import { type ItemResult, runItems } from './test/pool.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    /** Only what takes a moment. */
    quick: { type: 'boolean', default: false },
    /** Runs each file in a process of its own and renews `test/durations.json` by what it took. */
    record: { type: 'boolean', default: false },
  },
})

const started = performance.now()
const built = await buildContracts({ tests: true, say: console.log })
const failedChecks = positionals.length > 0 ? [] : await check()
const items = testItems(readDurations(), {
  ...{ isQuick: values.quick, words: positionals, isBundled: !values.record },
})
console.log(`\n== tests: ${items.length} items`)
const results = await runItems(items, tell)
const suites = sumOf(results.map(({ result }) => countTests(result)))
tellFailures(results)
if (values.record) record(results)

const failed = suites.failed + failedChecks.length + (built.exitCode === 0 ? 0 : 1)
if (failedChecks.length > 0) console.log(`\nfailed checks: ${failedChecks.join(', ')}`)
console.log(`\nseconds: ${((performance.now() - started) / 1000).toFixed(0)}`)
console.log(`${suites.passed} passed, ${failed} failed, ${suites.skipped} skipped`)
process.exitCode = failed === 0 && suites.passed > 0 ? 0 : 1

/** One line for what went well; all of the output for what did not. */
function tell({ item, result }: ItemResult): void {
  const { passed, failed, skipped } = countTests(result)
  const counts = `${passed} passed${failed ? `, ${failed} FAILED` : ''}${skipped ? `, ${skipped} skipped` : ''}`
  console.log(`  ${result.seconds.toFixed(1).padStart(6)} s  ${counts.padEnd(11)}  ${item.title}`)
  if (failed > 0) console.log(result.output)
}

function tellFailures(all: readonly ItemResult[]): void {
  const bad = all.filter(({ result }) => countTests(result).failed > 0)
  if (bad.length === 0) return
  console.log('\nfailed, with their output above:')
  for (const { item } of bad) {
    const env = Object.entries(item.env).map(([name, value]) => `${name}=${value} `)
    console.log(`  ${env.join('')}npx ${item.command} ${item.args.join(' ')}`)
  }
}

function record(all: readonly ItemResult[]): void {
  const measured = new Map<string, number>()
  for (const { item, result } of all) {
    const [name = item.title] = item.files
    measured.set(name, (measured.get(name) ?? 0) + result.seconds)
  }
  const sorted = Object.entries({ ...readDurations(), ...Object.fromEntries(measured) })
    .map(([name, seconds]): [string, number] => [name, Number(seconds.toFixed(1))])
    .sort(([a], [b]) => (a < b ? -1 : 1))
  writeFileSync(DURATIONS_PATH, `${JSON.stringify(Object.fromEntries(sorted), null, 2)}\n`)
}
