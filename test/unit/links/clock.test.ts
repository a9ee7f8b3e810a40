/** Both clocks keep the promises of the port, and the virtual one keeps its own. */
import { assert } from 'chai'
import fc from 'fast-check'
import { systemChance } from '../../../agent/adapters/time/system-chance.ts'
import { systemClock } from '../../../agent/adapters/time/system-clock.ts'
import type { Chance, Clock } from '../../../agent/base/ports.ts'
import { seededChance, VirtualClock } from '../../support/virtual-clock.ts'

const clocks: [name: string, make: () => { clock: Clock; pass(ms: number): Promise<void> }][] = [
  [
    'the system clock',
    () => {
      const clock = systemClock()
      return { clock, pass: (ms) => clock.sleep(ms) }
    },
  ],
  [
    'the virtual clock',
    () => {
      const clock = new VirtualClock()
      return { clock, pass: (ms) => clock.advance(ms) }
    },
  ],
]

for (const [name, make] of clocks) {
  describe(name, () => {
    it('wakes sleepers after their time, the earlier first', async () => {
      const { clock, pass } = make()
      const woken: number[] = []
      const startedMs = clock.monotonic()
      const sleeping = Promise.all(
        [20, 5, 10].map(async (ms) => {
          await clock.sleep(ms)
          assert.isAtLeast(clock.monotonic() - startedMs, ms)
          woken.push(ms)
        }),
      )
      await pass(30)
      await sleeping
      assert.deepEqual(woken, [5, 10, 20])
    })

    it('wakes whoever is aborted, with the reason, at once or before sleeping', async () => {
      const { clock } = make()
      const abort = new AbortController()
      const sleeping = clock.sleep(60_000, abort.signal).catch((reason) => reason)
      abort.abort('up')
      assert.equal(await sleeping, 'up')
      assert.equal(await clock.sleep(60_000, abort.signal).catch((reason) => reason), 'up')
    })

    it('shows a wall time of this century', () => {
      assert.isAbove(make().clock.now(), Date.UTC(2025))
    })
  })
}

describe('the virtual clock', () => {
  it('wakes equal sleepers in the order they fell asleep, and those that sleep again in between', async () => {
    const clock = new VirtualClock()
    const log: string[] = []
    const sleeper = async (name: string, ms: number, times: number) => {
      for (let i = 1; i <= times; i++) {
        await clock.sleep(ms)
        log.push(`${name}${i}@${clock.monotonic()}`)
      }
    }
    void sleeper('a', 10, 2)
    void sleeper('b', 10, 1)
    void sleeper('c', 5, 3)
    await clock.advance(20)
    assert.deepEqual(log, ['c1@5', 'a1@10', 'b1@10', 'c2@10', 'c3@15', 'a2@20'])
    assert.equal(clock.sleeping, 0)
  })

  it('forgets aborted sleepers, and says when the next is due', async () => {
    const clock = new VirtualClock()
    const abort = new AbortController()
    clock.sleep(5, abort.signal).catch(() => undefined)
    void clock.sleep(9)
    assert.equal(clock.nextDueInMs, 5)
    abort.abort()
    assert.equal(clock.nextDueInMs, 9)
    await clock.advance(9)
    assert.isUndefined(clock.nextDueInMs)
  })

  it('keeps durations when the wall clock steps', () => {
    const clock = new VirtualClock()
    const wallMs = clock.now()
    clock.step(-5000)
    assert.equal(clock.now(), wallMs - 5000)
    assert.equal(clock.monotonic(), 0)
  })
})

const chances: [name: string, make: () => Chance][] = [
  ['chance of the system', () => systemChance()],
  ['chance of a seed', () => seededChance(42)],
]
for (const [name, make] of chances) {
  it(`${name} stays within its bounds`, () => {
    const chance = make()
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 32 }), fc.nat({ max: 100 }), (bound, n) => {
        const number = chance.below(bound)
        assert.isTrue(Number.isInteger(number) && number >= 0 && number < bound)
        assert.equal(chance.bytes(n).byteLength, n)
      }),
    )
    const seen = new Set(Array.from({ length: 200 }, () => chance.below(8)))
    assert.equal(seen.size, 8)
  })
}

it('the same seed gives the same chance, another seed another', () => {
  const draw = (seed: number) => {
    const chance = seededChance(seed)
    return [chance.below(2 ** 32), ...chance.bytes(9), chance.below(10)]
  }
  assert.deepEqual(draw(7), draw(7))
  assert.notDeepEqual(draw(7), draw(8))
})
