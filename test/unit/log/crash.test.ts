/** A short campaign of crashes; the long one is `npm run campaign -- store`. */
import { assert } from 'chai'
import { runCrashWorld } from '../../support/store-crash-world.ts'

describe('a store that loses power', () => {
  it('keeps every acknowledged write and serves none that never was, at 1200 crashes', async function () {
    this.timeout(120_000)
    const total = { crashes: 0, writes: 0, acknowledged: 0, survivors: 0 }
    for (let seed = 0; seed < 300; seed++) {
      const one = await runCrashWorld(seed)
      total.crashes += one.crashes
      total.writes += one.writes
      total.acknowledged += one.acknowledged
      total.survivors += one.survivors
    }
    assert.equal(total.crashes, 1200)
    assert.isAbove(total.acknowledged, 1000, 'the campaign acknowledges writes')
    assert.isAbove(total.survivors, 100, 'the campaign has writes in flight at crashes')
  })
})
