/** A short campaign of crashes; `npm run campaign -- store` runs it with as many seeds as asked for. */
import { assert } from 'chai'
import { runCrashWorld } from '../../support/store-crash-world.ts'

const SEEDS = Number(process.env['CAMPAIGN_SEEDS'] ?? 300)
const FIRST_SEED = Number(process.env['SEED'] ?? 0)
const SEED_MS_MAX = 1000

describe('a store that loses power', () => {
  it(`keeps what was acknowledged or served, and its roots, at ${SEEDS * 4} crashes`, async function () {
    this.timeout(SEEDS * SEED_MS_MAX)
    const total = { crashes: 0, writes: 0, acknowledged: 0, survivors: 0 }
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
      const one = await runCrashWorld(seed)
      total.crashes += one.crashes
      total.writes += one.writes
      total.acknowledged += one.acknowledged
      total.survivors += one.survivors
    }
    console.log(`      ${JSON.stringify(total)}`)
    assert.equal(total.crashes, SEEDS * 4)
    assert.isAbove(total.acknowledged, SEEDS * 10, 'the campaign acknowledges writes')
    assert.isAbove(total.survivors, SEEDS, 'the campaign has writes in flight at crashes')
  })
})
