/** The bounded queue: order, limit, and every way of waiting and giving up. */
import { assert } from 'chai'
import fc from 'fast-check'
import { codeOf } from '../../../agent/base/errors.ts'
import { BoundedQueue } from '../../../agent/base/queue.ts'
import { settle } from '../../support/virtual-clock.ts'

/** Lets the promise settle before it is asked. */
async function settledState(promise: Promise<unknown>): Promise<string> {
  let shown = 'waits'
  promise.then(
    (value) => {
      shown = `gave ${value}`
    },
    (reason) => {
      shown = `threw ${codeOf(reason) ?? reason}`
    },
  )
  await settle()
  return shown
}

describe('a bounded queue', () => {
  it('gives everything out once, in order, never holding more than its limit', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat({ max: 10 }), { maxLength: 50 }),
        fc.integer({ min: 1, max: 20 }),
        fc.scheduler(),
        async (weights, limit, scheduler) => {
          const queue = new BoundedQueue<number>({ limit, weigh: (weight) => weight })
          const heaviest = Math.max(limit, ...weights)
          const taken: number[] = []
          const pushing = (async () => {
            for (const weight of weights) {
              await scheduler.schedule(Promise.resolve())
              await queue.push(weight)
              assert.isAtMost(queue.weight, heaviest)
            }
            queue.end()
          })()
          const taking = (async () => {
            for (let item = await queue.take(); item !== undefined; item = await queue.take()) {
              taken.push(item)
              await scheduler.schedule(Promise.resolve())
            }
          })()
          await scheduler.waitFor(Promise.all([pushing, taking]))
          assert.deepEqual(taken, weights)
          assert.deepEqual([queue.size, queue.weight], [0, 0])
        },
      ),
      { numRuns: 100 },
    ))

  it('makes a pusher wait while it is full, and refuses whoever does not want to wait', async () => {
    const queue = new BoundedQueue<string>({ limit: 1 })
    assert.isTrue(queue.tryPush('a'))
    assert.isFalse(queue.tryPush('b'))
    const waiting = queue.push('c')
    assert.equal(await settledState(waiting), 'waits')
    assert.equal(await queue.take(), 'a')
    assert.equal(await settledState(waiting), 'gave undefined')
    assert.equal(await queue.take(), 'c')
  })

  it('lets nobody overtake a pusher that waits', async () => {
    const queue = new BoundedQueue<number>({ limit: 3, weigh: (weight) => weight })
    await queue.push(2)
    const heavy = queue.push(3)
    assert.isFalse(queue.tryPush(1))
    assert.equal(await queue.take(), 2)
    await heavy
    assert.equal(await queue.take(), 3)
  })

  it('takes one item that is heavier than its limit, when empty', async () => {
    const queue = new BoundedQueue<number>({ limit: 3, weigh: (weight) => weight })
    assert.isTrue(queue.tryPush(10))
    assert.isFalse(queue.tryPush(1))
    assert.equal(await queue.take(), 10)
  })

  it('loses nothing when a taker or a pusher gives up', async () => {
    const queue = new BoundedQueue<string>({ limit: 1 })
    const impatient = new AbortController()
    const taking = settledState(queue.take(impatient.signal))
    impatient.abort('enough')
    assert.equal(await taking, 'threw enough')
    await queue.push('a')
    const other = new AbortController()
    const pushing = settledState(queue.push('b', other.signal))
    other.abort('enough')
    assert.equal(await pushing, 'threw enough')
    assert.equal(await queue.take(), 'a')
    assert.equal(queue.size, 0)
  })

  it('lets the lighter in once the heavy one before them gave up', async () => {
    const queue = new BoundedQueue<number>({ limit: 3, weigh: (weight) => weight })
    await queue.push(2)
    const gone = new AbortController()
    const heavy = settledState(queue.push(3, gone.signal))
    const light = queue.push(1)
    gone.abort('enough')
    assert.equal(await heavy, 'threw enough')
    assert.equal(await settledState(light), 'gave undefined')
    assert.equal(queue.weight, 3)
  })

  it('ends after everything came out, also what waited to get in', async () => {
    const queue = new BoundedQueue<string>({ limit: 1 })
    await queue.push('a')
    const waiting = queue.push('b')
    queue.end()
    assert.equal(await settledState(queue.push('c')), 'threw QUEUE_ENDED')
    assert.equal(await queue.take(), 'a')
    await waiting
    assert.equal(await queue.take(), 'b')
    assert.isUndefined(await queue.take())
    assert.isUndefined(await queue.take())
  })

  it('wakes takers that wait when it ends', async () => {
    const queue = new BoundedQueue<string>({ limit: 1 })
    const taking = queue.take()
    queue.end()
    assert.isUndefined(await taking)
  })

  it('fails everybody with the first reason', async () => {
    const queue = new BoundedQueue<string>({ limit: 1 })
    await queue.push('a')
    const pushing = settledState(queue.push('b'))
    queue.fail('broken')
    queue.fail('again')
    assert.equal(await pushing, 'threw broken')
    assert.equal(await settledState(queue.take()), 'threw broken')
    assert.equal(await settledState(queue.push('c')), 'threw broken')
    assert.equal(queue.weight, 0)
  })
})
