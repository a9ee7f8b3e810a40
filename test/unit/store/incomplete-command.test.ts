/** Commands that are received into a place of their own: the same replies as in any other way, and memory that comes back. */
import { assert } from 'chai'
import fc from 'fast-check'
import { KIB, MIB } from '../../../agent/base/units.ts'
import { RespServer, type Session } from '../../../agent/engines/store/index.ts'
import { openTestStore, type TestStore, testClient } from '../../support/log-store.ts'

const sizes = fc.oneof(
  fc.integer({ min: 0, max: 200 }),
  fc.integer({ min: 30 * KIB, max: 34 * KIB }),
  fc.integer({ min: 60 * KIB, max: 300 * KIB }),
)

function command(...args: (string | Buffer)[]): Buffer {
  const frames = args.flatMap((arg) => [`$${Buffer.byteLength(arg)}\r\n`, arg, '\r\n'])
  const parts = [`*${args.length}\r\n`, ...frames]
  return Buffer.concat(parts.map((part) => Buffer.from(part)))
}

/** A session whose replies are collected as bytes. */
function connected(made: TestStore, server: RespServer): { session: Session; replies: Buffer[] } {
  const replies: Buffer[] = []
  const session = server.connect(
    { kind: 'admin' },
    {
      peerName: 'test',
      send(output) {
        replies.push(...output.parts.map((part) => Buffer.from(part)))
        output.release()
        session.sent(output.lengthBytes)
      },
      close: () => undefined,
      pause: () => undefined,
      resume: () => undefined,
    },
  )
  void made
  return { session, replies }
}

/** Feeds a stream as a connection that can receive into a place does, cut where `cuts` say, or into whole places. */
function feed(session: Session, stream: Buffer, cuts: readonly number[] | 'whole'): number {
  let at = 0
  let inPlace = 0
  for (let step = 0; at < stream.byteLength; step++) {
    const cut = cuts === 'whole' ? 0 : (cuts[step % cuts.length] as number) + step
    const left = stream.byteLength - at
    const awaited = session.awaitedBytes
    const place = session.lendPlace()
    assert.equal(place !== undefined, awaited > 0, 'a place that is wanted is lent')
    if (!place) {
      const bytes = Math.min(left, 1 + (cut % (16 * KIB)))
      session.receive(Buffer.from(stream.subarray(at, at + bytes)), bytes)
      at += bytes
      continue
    }
    assert.isAtMost(awaited, place.byteLength)
    const most = Math.min(left, place.byteLength)
    // Less than was awaited comes where the kernel has no more room, and nothing where the end did.
    const bytes = cuts === 'whole' || cut % 3 === 0 ? most : cut % (most + 1) || step % 2
    stream.copy(place, 0, at, at + bytes)
    session.receivedInPlace(bytes)
    at += bytes
    inPlace += bytes
  }
  return inPlace
}

describe('an incomplete command', () => {
  it('gets the same replies received into a place as in pieces', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(3), sizes), { minLength: 1, maxLength: 12 }),
        fc.array(fc.nat(400_000), { minLength: 1, maxLength: 30 }),
        async (steps, cuts) => {
          const stream = Buffer.concat(
            steps.flatMap(([key, bytes], at) => [
              command('SET', `k${key}`, Buffer.alloc(bytes, 97 + (at % 26))),
              command('GET', `k${(key + at) % 4}`),
            ]),
          )
          const answers: Buffer[] = []
          for (const isInPlace of [false, true]) {
            const made = await openTestStore({ sync: 'never' })
            await made.store.create('default')
            const server = new RespServer(made.store, { checksumMemoryBytes: MIB })
            const { session, replies } = connected(made, server)
            if (isInPlace) feed(session, stream, cuts)
            else {
              for (let at = 0; at < stream.byteLength; at += 999) {
                const piece = Buffer.from(stream.subarray(at, at + 999))
                session.receive(piece, piece.byteLength)
              }
            }
            made.endTick()
            answers.push(Buffer.concat(replies))
            session.closed()
            assert.equal(server.memory.heldBytes, 0)
            assert.equal(server.pool.outBytes, 0)
            await made.store.close()
          }
          assert.isTrue(answers[0]?.equals(answers[1] as Buffer))
        },
      ),
      { numRuns: 60 },
    )
  })

  it('is copied nowhere after the first large one', async () => {
    const made = await openTestStore({ sync: 'never' })
    await made.store.create('default')
    const server = new RespServer(made.store, { checksumMemoryBytes: MIB })
    const { session, replies } = connected(made, server)
    const one = command('SET', 'k', Buffer.alloc(64 * KIB, 1))
    feed(session, one, 'whole')
    const rest = Array.from({ length: 20 }, (_, at) =>
      command('SET', 'k', Buffer.alloc(64 * KIB, at)),
    )
    const stream = Buffer.concat(rest)
    assert.equal(feed(session, stream, 'whole'), stream.byteLength)
    made.endTick()
    assert.equal(Buffer.concat(replies).toString(), '$1\r\nk\r\n'.repeat(21))
    session.closed()
    assert.equal(server.pool.outBytes, 0)
  })

  it('that does not come holds no memory, and one that goes no further little', async () => {
    const made = await openTestStore({ sync: 'never' })
    await made.store.create('default')
    const server = new RespServer(made.store, { checksumMemoryBytes: MIB })
    const large = command('ECHO', Buffer.alloc(MIB))
    const sessions = Array.from({ length: 200 }, () => connected(made, server).session)
    for (const session of sessions) {
      session.receive(large, large.byteLength)
      assert.equal(session.awaitedBytes, 1)
    }
    assert.equal(server.memory.heldBytes, 0)
    for (const session of sessions) {
      const place = session.lendPlace() ?? assert.fail('after a large command comes another')
      large.copy(place)
      session.receivedInPlace(place.byteLength)
      assert.isAbove(session.awaitedBytes, 1_000_000, 'all that is missing')
    }
    assert.isAtMost(server.memory.heldBytes, 200 * 20 * KIB)
    const polite = testClient(made, { server })
    assert.equal(await polite.ask('PING'), 'PONG')
  })
})
