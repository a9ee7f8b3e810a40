/** Silence is noticed in seconds, and nothing else is taken for it: on virtual time. */
import { assert } from 'chai'
import { account } from '../../../agent/base/ids.ts'
import { type LinkStream, linkClosed, streamPair } from '../../../agent/engines/links/index.ts'
import { answerPings, keepAlive } from '../../../agent/engines/links/keep-alive.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

const me = account(`0x${'11'.repeat(20)}`)
const peer = account(`0x${'22'.repeat(20)}`)

/** A link whose far end answers pings while `answers`, and the records of what keep-alive said. */
function watch(clock: VirtualClock) {
  const closed = new AbortController()
  const record = {
    answers: true,
    heardBytes: 0,
    opened: 0,
    rtts: [] as number[],
    silentAtMs: undefined as number | undefined,
    close: () => closed.abort(),
    done: false,
  }
  const answerWhile = async (theirs: LinkStream) => {
    for (let bytes = await theirs.read(); bytes; bytes = await theirs.read()) {
      await clock.sleep(3)
      if (record.answers) await theirs.write(bytes)
    }
  }
  const counted = (stream: LinkStream): LinkStream => ({
    ...stream,
    async read() {
      const bytes = await stream.read()
      record.heardBytes += bytes?.byteLength ?? 0
      return bytes
    },
  })
  keepAlive(
    {
      async openPingStream() {
        record.opened++
        if (!record.answers) return new Promise(() => undefined)
        const [ours, theirs] = streamPair([me, peer])
        void answerWhile(theirs)
        return counted(ours)
      },
      heardBytes: () => record.heardBytes,
      measured: (rttMs) => record.rtts.push(rttMs),
      silent: () => {
        record.silentAtMs = clock.monotonic()
      },
    },
    clock,
    closed.signal,
  ).then(() => {
    record.done = true
  })
  return record
}

describe('keep-alive', () => {
  it('measures round trips and leaves a link alone that answers', async () => {
    const clock = new VirtualClock()
    const link = watch(clock)
    await clock.advance(60_000)
    assert.isUndefined(link.silentAtMs)
    assert.equal(link.opened, 1, 'one stream for all pings')
    assert.isAtLeast(link.rtts.length, 29)
    assert.isTrue(link.rtts.every((rttMs) => rttMs === 3))
  })

  for (const sinceMs of [0, 1, 1999, 2001, 30_000]) {
    it(`notices a link that falls silent after ${sinceMs} ms in less than 10 s`, async () => {
      const clock = new VirtualClock()
      const link = watch(clock)
      await clock.advance(sinceMs)
      link.answers = false
      await clock.advance(10_000)
      assert.isBelow((link.silentAtMs ?? Number.POSITIVE_INFINITY) - sinceMs, 10_000)
      assert.isTrue(link.done)
      assert.equal(clock.sleeping, 0, 'nothing is left behind')
    })
  }

  it('counts any byte as a sign of life, answered pings or not', async () => {
    const clock = new VirtualClock()
    const link = watch(clock)
    link.answers = false
    for (let second = 0; second < 60; second += 5) {
      link.heardBytes += 1
      await clock.advance(5000)
    }
    assert.isUndefined(link.silentAtMs)
  })

  it('does not take a pause of its own process for silence of the peer', async () => {
    const clock = new VirtualClock()
    let nowMs = 0
    // A clock that jumps by an hour in the middle of a sleep, as after a suspended machine.
    const jumping = {
      now: () => clock.now(),
      monotonic: () => clock.monotonic() + nowMs,
      async sleep(ms: number, signal?: AbortSignal) {
        await clock.sleep(ms, signal)
        if (clock.monotonic() === 10_000) nowMs += 3_600_000
      },
    }
    let silent = false
    const closed = new AbortController()
    let heardBytes = 0
    const watching = keepAlive(
      {
        openPingStream: async () => {
          throw linkClosed()
        },
        heardBytes: () => heardBytes,
        measured: () => undefined,
        silent: () => {
          silent = true
        },
      },
      jumping,
      closed.signal,
    )
    for (let i = 0; i < 20; i++) {
      heardBytes++
      await clock.advance(2000)
    }
    assert.isFalse(silent)
    closed.abort()
    await watching
  })

  it('opens the ping stream again after it broke', async () => {
    const clock = new VirtualClock()
    let opened = 0
    const closed = new AbortController()
    let heardBytes = 0
    void keepAlive(
      {
        async openPingStream() {
          opened++
          const [ours, theirs] = streamPair([me, peer])
          theirs.abort('broken')
          return ours
        },
        heardBytes: () => heardBytes++,
        measured: () => undefined,
        silent: () => assert.fail('not silent'),
      },
      clock,
      closed.signal,
    )
    await clock.advance(10_500)
    assert.equal(opened, 6)
    closed.abort()
  })

  it('ends with its connection', async () => {
    const clock = new VirtualClock()
    const link = watch(clock)
    await clock.advance(5000)
    link.close()
    await clock.advance(0)
    assert.isTrue(link.done)
  })

  it('is answered by the other end byte for byte', async () => {
    const [ours, theirs] = streamPair([me, peer])
    const answering = answerPings(theirs)
    await ours.write(Uint8Array.of(1, 2, 3))
    assert.deepEqual(await ours.read(), Uint8Array.of(1, 2, 3))
    await ours.end()
    await answering
    assert.isUndefined(await ours.read())
  })
})
