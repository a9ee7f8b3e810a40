/** Passwords: checked where nobody waits for it, few at a time, and slower and slower for who guesses. */
import { assert } from 'chai'
import { ReplyError } from '../../../agent/adapters/socket/resp-reply-reader.ts'
import { systemClock } from '../../../agent/adapters/time/system-clock.ts'
import { isNodeError } from '../../../agent/base/errors.ts'
import { RespServer, type Session } from '../../../agent/engines/store/index.ts'
import { PasswordGate } from '../../../agent/engines/store/resp/password-gate.ts'
import { openTestStore, testClient } from '../../support/log-store.ts'

const GUEST = { kind: 'guest' } as const

async function guarded(adminPassword = 'root') {
  const slept: number[] = []
  const real = systemClock()
  const clock = {
    ...real,
    sleep: async (ms: number) => {
      slept.push(ms)
      await real.sleep(0)
    },
  }
  const made = await openTestStore({}, undefined, { clock })
  const server = new RespServer(made.store, { adminPassword: Buffer.from(adminPassword) })
  const admin = testClient(made, { server })
  await admin.ask('NSNEW', 'a')
  await admin.ask('NSSET', 'a', 'password', 'secret')
  slept.length = 0
  return { made, server, slept, guest: () => testClient(made, { server, principal: GUEST }) }
}

const wordsOf = (reply: unknown) => (reply instanceof ReplyError ? reply.words : String(reply))

describe('passwords', () => {
  it('are hashed while others are served', async () => {
    const { guest } = await guarded()
    let done = 0
    const waiting = Array.from({ length: 8 }, () =>
      guest()
        .ask('SELECT', 'a', 'secret')
        .then((reply) => {
          done++
          return reply
        }),
    )
    const other = guest()
    let pings = 0
    while (done < waiting.length) {
      assert.equal(await other.ask('PING'), 'PONG')
      if (done === 0) pings++
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.deepEqual(await Promise.all(waiting), Array(8).fill('OK'))
    assert.isAbove(pings, 5, 'the loop turned before the first was done')
  })

  it('are hashed two at a time, and beyond a bound clients are told to come later', async () => {
    const gate = new PasswordGate(systemClock())
    const session = { address: 'a' } as Session
    const open = Promise.withResolvers<void>()
    let [running, most] = [0, 0]
    const work = async () => {
      most = Math.max(most, ++running)
      await open.promise
      running--
    }
    const results = Promise.allSettled(
      Array.from({ length: 1100 }, () => gate.inTurn(session, work)),
    )
    open.resolve()
    const refused = (await results).filter((one) => one.status === 'rejected')
    assert.equal(most, 2)
    assert.equal(refused.length, 1100 - 2 - 1024)
    for (const { reason } of refused) assert.isTrue(isNodeError(reason, 'LOG_PASSWORDS_BUSY'))
    await gate.inTurn(session, work)
  })

  it('that are wrong cost the connection more each time, and then its life', async () => {
    const { guest, slept, server } = await guarded()
    const client = guest()
    for (let attempt = 0; attempt < 4; attempt++) {
      assert.equal(wordsOf(await client.ask('AUTH', 'guess')), 'Access denied')
    }
    assert.deepEqual(slept, [1000, 2000])
    assert.match(wordsOf(await client.ask('HELLO', '3', 'AUTH', 'x', 'guess')), /^WRONGPASS/)
    assert.match(wordsOf(await client.ask('SELECT', 'a', 'guess')), /Access denied$/)
    for (let attempt = 0; attempt < 4; attempt++) {
      await client.ask('AUTH', 'SECURE', 'CHALLENGE')
      const wrong = await client.ask('AUTH', 'SECURE', 'f'.repeat(40))
      assert.match(wordsOf(wrong), /^WRONGPASS/, 'HELLO made it a client of redis')
    }
    assert.deepEqual(slept, [1000, 2000, 4000, 8000, 8000, 8000, 8000, 8000])
    assert.isTrue(client.isClosed)
    assert.equal(server.counts.failedLogins, 10)
    assert.equal(await guest().ask('AUTH', 'root'), 'OK', 'others are not concerned')
  })

  it('keep what follows on the connection waiting', async () => {
    const { guest, made } = await guarded()
    const client = guest()
    client.send('SELECT a secret\r\nSET x 1\r\nGET x\r\n')
    while (client.replies.length < 3) {
      made.endTick()
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.deepEqual(client.replies, ['OK', Buffer.from('x'), Buffer.from('1')])
  })
})
