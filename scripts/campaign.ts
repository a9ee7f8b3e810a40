/**
 * `npm run campaign -- NAME [[--seeds] COUNT] [FIRST_SEED]`: a seeded test with many more seeds than CI has time for.
 * `npm run campaign -- start [COUNT] [SEED]`: a grid of `npm start` that is ended and started again.
 * `npm run campaign -- law [--acts N] [--workers N] [--first BATCH]`: the contracts' world of invariants.
 *
 * A failure prints the seed; `SEED=n CAMPAIGN_SEEDS=1` before the test repeats it.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { runLawCampaign } from './law/campaign.ts'
import { runKillCampaign } from './start/kill-campaign.ts'

/** What can be run at length: the test, and how many seeds by default. */
const CAMPAIGNS: Readonly<Record<string, { test: string; seeds: number }>> = {
  grid: { test: 'test/sim/grid.sim.ts', seeds: 5_000 },
  replica: { test: 'test/unit/store/replica-crash.test.ts', seeds: 5_000 },
  store: { test: 'test/unit/store/crash.test.ts', seeds: 20_000 },
}

const [name = '', count, firstSeed = '0'] = process.argv
  .slice(2)
  .filter((argument) => argument !== '--seeds')
const campaign = CAMPAIGNS[name]
const seeds = count === undefined ? campaign?.seeds : Number(count)
const areNumbers = [seeds, Number(firstSeed)].every((one) => Number.isSafeInteger(one))
if (name === 'start') {
  process.exitCode = await runKillCampaign(process.argv.slice(3))
} else if (name === 'law') {
  process.exitCode = await runLawCampaign(process.argv.slice(3))
} else if (!campaign || !areNumbers) {
  console.error(
    `usage: npm run campaign -- ${Object.keys(CAMPAIGNS).join('|')} [[--seeds] COUNT] [FIRST_SEED], start [COUNT] [SEED], or law`,
  )
  process.exitCode = 2
} else {
  const mocha = fileURLToPath(import.meta.resolve('mocha/bin/mocha.js'))
  const env = { ...process.env, CAMPAIGN_SEEDS: String(seeds), SEED: firstSeed }
  const child = spawn(process.execPath, [mocha, '--no-config', campaign.test], {
    stdio: 'inherit',
    env,
  })
  child.on('exit', (code) => {
    process.exitCode = code ?? 1
  })
}
