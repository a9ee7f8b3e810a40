/** Syncs under `always` wait for those who are about to write, and for nobody else. */
import { assert } from 'chai'
import { SyncGathering } from '../../../agent/engines/store/sync-gathering.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

describe('The next sync', () => {
  let clock: VirtualClock
  let gathering: SyncGathering
  let begun: number
  const begin = () => {
    begun++
    gathering.began()
  }
  const next = (waiting: number) => gathering.next(waiting, begin)
  /** A sync that takes a time, for some, while others come. */
  const sync = async (ms: number, answered: number, waiting: number) => {
    gathering.began()
    await clock.advance(ms)
    gathering.ended(answered, waiting)
  }

  beforeEach(() => {
    clock = new VirtualClock()
    gathering = new SyncGathering(clock)
    begun = 0
  })

  it('begins at once if there was none before', () => {
    next(1)
    assert.equal(begun, 1)
  })

  for (const { why, ms, answered } of [
    { why: 'syncs take no time', ms: 0, answered: 50 },
    { why: 'only one writes', ms: 10, answered: 1 },
  ]) {
    it(`begins at once if ${why}`, async () => {
      await sync(ms, answered, 0)
      next(1)
      assert.equal(begun, 1)
    })
  }

  it('waits for most of those who were answered and those who wait already', async () => {
    await sync(4, 25, 25)
    next(25)
    next(39)
    assert.equal(begun, 0)
    next(40)
    assert.equal(begun, 1)
    await clock.advance(100)
    assert.equal(begun, 1, 'and its time no longer runs')
  })

  it('waits no longer than a quarter of the last one', async () => {
    await sync(8, 40, 0)
    next(20)
    await clock.advance(1)
    assert.equal(begun, 0)
    await clock.advance(1)
    assert.equal(begun, 1)
    // Half of them came: that is worth waiting for again.
    await sync(8, 20, 0)
    next(1)
    assert.equal(begun, 1)
  })

  it('waits for nobody for a while after too few came', async () => {
    await sync(8, 40, 0)
    next(19)
    await clock.advance(2)
    assert.equal(begun, 1)
    for (let syncs = 0; syncs < 63; syncs++) {
      await sync(8, 40, 0)
      next(1)
      assert.equal(begun, 2 + syncs)
    }
    await sync(8, 40, 0)
    next(1)
    assert.equal(begun, 64)
  })
})
