/**
 * The grid under seeds: safety at every step, liveness once faults stop, and the same run for the same seed.
 *
 * `SEED=n npx mocha test/sim/grid.sim.ts` runs one seed and prints its trace; `npm run campaign -- grid --seeds n` runs many.
 */
import { assert } from 'chai'
import { runGrid } from './grid.ts'

/** Seeds of a normal test run. */
const SEEDS = 200
/** A seed takes half a second on a machine that has nothing else to do. */
const MS_MAX = 20 * 60_000
/** Things that must have happened in that many seeds, or the simulation would prove nothing of them. */
const MUST_HAPPEN = [
  'crash',
  'kill',
  'destroyed',
  'reorg',
  'stall',
  'cut',
  'endpoint',
  'removed',
  'moves',
  'remote',
  'dispersed',
  'read-only mount verified',
]

const only = process.env['SEED']

describe('a grid', function () {
  this.timeout(MS_MAX)
  if (only !== undefined) {
    it(`keeps its promises under seed ${only}`, async () => {
      await runGrid({ seed: Number(only), trace: (line) => console.log(line) })
    })
    return
  }

  it('runs alike when it runs twice under one seed', async () => {
    const first = await runGrid({ seed: 1 })
    const second = await runGrid({ seed: 1 })
    const other = await runGrid({ seed: 2 })
    assert.equal(first.hash, second.hash)
    assert.notEqual(first.hash, other.hash)
  })

  it(`keeps its promises under ${SEEDS} seeds`, async () => {
    const counts = new Map<string, number>()
    const beganAt = performance.now()
    for (let seed = 1; seed <= SEEDS; seed++) {
      const result = await runGrid({ seed })
      for (const [what, count] of result.counts) counts.set(what, (counts.get(what) ?? 0) + count)
    }
    const seconds = (performance.now() - beganAt) / 1000
    console.log(`      ${(SEEDS / seconds).toFixed(1)} seeds/s`)
    for (const what of MUST_HAPPEN) assert.isAbove(counts.get(what) ?? 0, 0, `"${what}" happened`)
  })
})
