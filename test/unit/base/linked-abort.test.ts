/** An abort that follows others: with their reason, and no longer than it is wanted. */
import { getEventListeners } from 'node:events'
import { expect } from 'chai'
import { linkedAbort, NOT_NEEDED, whileLinked } from '../../../agent/base/linked-abort.ts'

describe('A linked abort', () => {
  for (const first of [0, 1]) {
    it(`follows parent ${first} with its reason, now and from the start`, () => {
      const parents = [new AbortController(), new AbortController()]
      const signals = parents.map(({ signal }) => signal)
      const before = linkedAbort(...signals)
      const reason = new Error('the parent ended')
      parents[first]?.abort(reason)
      const after = linkedAbort(...signals)
      parents[1 - first]?.abort(new Error('too late'))
      expect(before.signal.reason).to.equal(reason)
      expect(after.signal.reason).to.equal(reason)
    })
  }

  it('aborts nobody but itself', () => {
    const parent = new AbortController()
    const own = linkedAbort(parent.signal)
    own.abort()
    expect(own.signal.reason).to.equal(NOT_NEEDED)
    expect(parent.signal.aborted).to.equal(false)
  })

  it('leaves no listener behind, whether the work ends well or not', async () => {
    const parents = [new AbortController().signal, new AbortController().signal]
    const listeners = () => parents.map((parent) => getEventListeners(parent, 'abort').length)
    const during = await whileLinked(parents, async () => listeners())
    const failure = new Error('the work failed')
    const caught = await whileLinked(parents, () => Promise.reject(failure)).catch(
      (error: unknown) => error,
    )
    expect(during).to.deep.equal([1, 1])
    expect(caught).to.equal(failure)
    expect(listeners()).to.deep.equal([0, 0])
  })

  it('aborts work with the reason of whoever aborts first', async () => {
    const parents = [new AbortController(), new AbortController()]
    const work = whileLinked(
      parents.map(({ signal }) => signal),
      (signal) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    ).catch((error: unknown) => error)
    const reason = new Error('closed')
    parents[1]?.abort(reason)
    expect(await work).to.equal(reason)
  })
})
