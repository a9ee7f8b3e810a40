/** When an agent looks for blocks: few looks for each block, and soon after it came, at any pace and when the pace changes. */
import { assert } from 'chai'
import fc from 'fast-check'
import { backoffMs } from '../../../agent/base/backoff.ts'
import { BlockPace } from '../../../agent/ledger/block-pace.ts'

/** Looks at a chain whose blocks come at given times. @returns Looks, and how late each block was seen, milliseconds. */
function follow(times: readonly number[], toldMs: number | undefined, stepMs = 100) {
  const pace = new BlockPace(stepMs)
  const lateMs: number[] = []
  let looks = 0
  let seen = -1
  for (let now = 0; now < (times.at(-1) ?? 0) + 1; ) {
    looks++
    const number = times.findLastIndex((at) => at <= now)
    for (let block = Math.max(0, seen + 1); block <= number; block++)
      lateMs.push(now - (times[block] ?? 0))
    seen = number
    pace.observe(number, now, toldMs)
    const waitMs = pace.waitMs(now)
    assert.isAtLeast(waitMs, stepMs)
    assert.isAtMost(waitMs, 15_000)
    now += waitMs
  }
  return { looks, lateMs, pace }
}

const every = (ms: number, count: number) => Array.from({ length: count }, (_, at) => 500 + at * ms)

describe('the pace of blocks', () => {
  for (const [ms, looksMax, lateMsMax] of [
    [12_000, 1.6, 2_000],
    [2_000, 1.6, 400],
    [1_000, 1.6, 200],
    [250, 1.6, 150],
  ] as const) {
    it(`of ${ms} ms is found, with ${looksMax} looks a block, none ${lateMsMax} ms late`, () => {
      const { looks, lateMs, pace } = follow(every(ms, 100), Math.max(1000, ms))
      assert.closeTo(pace.paceMs ?? 0, ms, ms / 10)
      assert.isAtMost(looks / 100, looksMax)
      assert.isAtMost(Math.max(...lateMs.slice(10)), lateMsMax)
    })
  }

  it('that nobody told is found as well, and one told wrongly is corrected', () => {
    for (const told of [undefined, 1, 600_000]) {
      const { pace } = follow(every(1_000, 60), told)
      assert.closeTo(pace.paceMs ?? 0, 1_000, 200, `${told}`)
    }
  })

  it('that changes, jumps or runs backwards is followed again', () =>
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 100, max: 20_000 }), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 0, max: 100_000 }),
        (gaps, toldMs) => {
          let at = 0
          const times = [...gaps, ...new Array<number>(40).fill(1_000)].map((gap) => (at += gap))
          const { lateMs } = follow(times, toldMs)
          assert.isAtMost(Math.max(...lateMs.slice(-5)), 400)
        },
      ),
    ))

  it('is not asked for much while the chain stands still', () => {
    const pace = new BlockPace(100)
    pace.observe(1, 0, 1_000)
    pace.observe(2, 1_000, 1_000)
    let looks = 0
    for (let now = 1_000; now < 601_000; now += pace.waitMs(now)) looks++
    assert.isAtMost(looks, 360)
  })
})

describe('a back-off', () => {
  it('doubles up to its limit, however often something fails', () => {
    const range = { minMs: 200, maxMs: 15_000 }
    const waits = [1, 2, 3, 7, 8, 1_000_000].map((failures) => backoffMs(failures, range))
    assert.deepEqual(waits, [200, 400, 800, 12_800, 15_000, 15_000])
  })
})
