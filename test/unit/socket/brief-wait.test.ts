/** Waiting goes on as long as it pays, and ends where it does not. */
import { assert } from 'chai'
import { BriefWait } from '../../../agent/adapters/socket/brief-wait.ts'

describe('a brief wait for work', () => {
  let nowMs: number
  let wait: BriefWait
  let looks: number
  beforeEach(() => {
    nowMs = 1000
    looks = 0
    // Each look at the clock takes a microsecond.
    wait = new BriefWait(() => {
      nowMs += 0.001
      return nowMs
    })
  })

  const workAfter = (count: number) => () => {
    looks++
    return looks > count
  }
  function sleep(ms: number): void {
    wait.sleeps()
    nowMs += ms
    wait.woken()
  }

  it('is not tried before a sleep was short', () => {
    assert.isFalse(wait.hasFound(workAfter(0)))
    sleep(1)
    assert.isFalse(wait.hasFound(workAfter(0)))
    assert.equal(looks, 0)
  })

  it('finds what comes soon, again and again', () => {
    sleep(0.04)
    for (let time = 0; time < 100; time++) {
      looks = 0
      assert.isTrue(wait.hasFound(workAfter(10)))
    }
  })

  it('ends after 25 microseconds, and is not tried again before the next short sleep', () => {
    sleep(0.04)
    const begunMs = nowMs
    assert.isFalse(wait.hasFound(() => false))
    assert.approximately(nowMs - begunMs, 0.025, 0.003)
    assert.isFalse(wait.hasFound(workAfter(0)))
    sleep(0.04)
    assert.isTrue(wait.hasFound(workAfter(0)))
  })

  it('is tried ever more rarely where it is in vain, and at once again where it is not', () => {
    let tries = 0
    for (let time = 0; time < 1000; time++) {
      sleep(0.04)
      looks = 0
      wait.hasFound(workAfter(Number.POSITIVE_INFINITY))
      if (looks > 0) tries++
    }
    assert.isAbove(tries, 10)
    assert.isBelow(tries, 25)
    const findsOne = (): boolean => {
      sleep(0.04)
      looks = 0
      return wait.hasFound(workAfter(3))
    }
    for (let time = 0; time < 64 && !findsOne(); time++);
    sleep(0.5)
    sleep(0.04)
    wait.hasFound(() => false)
    sleep(0.04)
    looks = 0
    assert.isTrue(wait.hasFound(workAfter(3)))
  })

  it('is given up after a long sleep', () => {
    sleep(0.04)
    sleep(0.5)
    assert.isFalse(wait.hasFound(workAfter(0)))
  })
})
