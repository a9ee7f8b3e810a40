/** A short campaign of crashes of a primary and its replica; `npm run campaign -- replica` runs as many seeds as asked for. */
import { assert } from 'chai'
import { runReplicaCrashWorld } from '../../support/replica-crash-world.ts'

const SEEDS = Number(process.env['CAMPAIGN_SEEDS'] ?? 100)
const FIRST_SEED = Number(process.env['SEED'] ?? 0)
const SEED_MS_MAX = 3000

/** What each of these once broke. */
const FOUND: readonly [seed: number, what: string][] = [
  [19, 'a deletion that compaction took while the replica was away'],
  [5055, 'compaction that took a free entry of the index for one that had not moved'],
]

describe('a primary and its replica that lose power', () => {
  for (const [seed, what] of FOUND) {
    it(`survive ${what} (seed ${seed})`, async () => {
      await runReplicaCrashWorld(seed)
    })
  }

  it(`keep what was acknowledged, and become the same, over ${SEEDS} seeds`, async function () {
    this.timeout(SEEDS * SEED_MS_MAX)
    const total = { crashes: 0, writes: 0, acknowledged: 0, compactions: 0, cuts: 0 }
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
      const one = await runReplicaCrashWorld(seed)
      for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += one[name]
    }
    console.log(`      ${JSON.stringify(total)}`)
    assert.isAbove(total.crashes, SEEDS * 2, 'processes die')
    assert.isAbove(total.acknowledged, SEEDS * 5, 'replicas had acknowledged something')
  })
})
