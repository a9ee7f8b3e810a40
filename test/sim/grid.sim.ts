/**
 * The grid under seeds: safety at every step, liveness once faults stop, and the same run for the same seed.
 *
 * `SEED=n npx mocha test/sim/grid.sim.ts` runs one seed and prints its trace; `npm run campaign -- grid --seeds n` runs many.
 */
import { assert } from 'chai'
import { runGrid } from './grid.ts'

/** Seeds of a normal test run. */
const SEEDS = 200
/** A seed takes half a second of a core that has nothing else to do; a campaign may take days. */
const MS_MAX = 2 ** 31 - 1
/** After so many failures there is enough to look at. */
const FAILURES_MAX = 5
/** So many runs must have seen all of what follows, or they would prove nothing of it. `npm test` runs shards of this size. */
const TELLING_SEEDS = 50
const MUST_HAPPEN = [
  'crash',
  'kill',
  'destroyed',
  'reorg',
  'stall',
  'cut',
  'endpoint',
  'false time',
  'removed',
  'moves',
  'remote',
  'dispersed',
  'read-only mount verified',
]

const { SEED, CAMPAIGN_SEEDS } = process.env

describe('a grid', function () {
  this.timeout(MS_MAX)
  if (SEED !== undefined && CAMPAIGN_SEEDS === undefined) {
    it(`keeps its promises under seed ${SEED}`, async () => {
      await runGrid({ seed: Number(SEED), trace: (line) => console.log(line) })
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

  const count = Number(CAMPAIGN_SEEDS ?? SEEDS)
  it(`keeps its promises under ${count} seeds`, async () => {
    const { counts, failures } = await runSeeds(Number(SEED ?? 1), count)
    assert.equal(failures.join('\n'), '')
    if (count < TELLING_SEEDS) return
    for (const what of MUST_HAPPEN) assert.isAbove(counts.get(what) ?? 0, 0, `"${what}" happened`)
  })
})

async function runSeeds(
  first: number,
  count: number,
): Promise<{ counts: ReadonlyMap<string, number>; failures: readonly string[] }> {
  const counts = new Map<string, number>()
  const failures: string[] = []
  const cpuBefore = process.cpuUsage()
  const beganAt = performance.now()
  for (let seed = first; seed < first + count && failures.length < FAILURES_MAX; seed++) {
    try {
      const result = await runGrid({ seed })
      for (const [what, times] of result.counts) counts.set(what, (counts.get(what) ?? 0) + times)
    } catch (caught) {
      failures.push(caught instanceof Error ? caught.message : String(caught))
    }
  }
  const { user, system } = process.cpuUsage(cpuBefore)
  const seconds = (performance.now() - beganAt) / 1000
  const cpuMs = (user + system) / 1000 / count
  console.log(`      ${(count / seconds).toFixed(1)} seeds/s, ${cpuMs.toFixed(0)} ms of CPU each`)
  return { counts, failures }
}
