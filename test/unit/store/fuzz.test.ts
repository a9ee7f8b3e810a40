/** Garbage on the wire and flipped bits on the disk: a clear error, bounded memory, and never a wrong value. */

import { assert } from 'chai'
import fc from 'fast-check'
import { ReplyError } from '../../../agent/adapters/socket/resp-reply-reader.ts'
import { account } from '../../../agent/base/ids.ts'
import { MIB } from '../../../agent/base/units.ts'
import { RespServer } from '../../../agent/engines/store/index.ts'
import { faultDisk } from '../../support/fault-disk.ts'
import { openTestStore, testClient } from '../../support/log-store.ts'
import { seededChance } from '../../support/seeded-chance.ts'

describe('garbage on the wire', () => {
  const pieces = fc.oneof(
    fc.constantFrom(
      '*1\r\n$4\r\nPING\r\n',
      '*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n',
      'PING\r\n',
    ),
    fc.constantFrom(
      '*',
      '$',
      '\r\n',
      '*-1\r\n',
      '*0\r\n',
      '*1025\r\n',
      '$9999999999\r\n',
      '*1\r\n*1\r\n',
    ),
    fc.constantFrom(
      '*2\r\n$3\r\nGET\r\n$8388609\r\n',
      '*3\r\n$3\r\nSET\r\n$1\r\na\r\n$8388608\r\n',
      '"',
    ),
    fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
  )

  it('is answered or refused, in whatever pieces it comes, and the next client is served', async () => {
    const made = await openTestStore()
    await made.store.create('default')
    const server = new RespServer(made.store, { checksumMemoryBytes: MIB })
    await fc.assert(
      fc.asyncProperty(fc.array(pieces, { maxLength: 30 }), fc.nat(40), async (parts, cut) => {
        const rude = testClient(made, { server })
        const bytes = Buffer.from(parts.join(''), 'latin1')
        for (let at = 0; at < bytes.length && !rude.isClosed; at += cut + 1) {
          rude.send(bytes.subarray(at, at + cut + 1))
        }
        made.endTick()
        const polite = testClient(made, { server })
        assert.equal(await polite.ask('PING'), 'PONG')
        assert.isBelow(server.memory.heldBytes, 600 * 1024 * 1024)
      }),
      { numRuns: 2000 },
    )
  })

  it('is refused in its own words, after every command before it was answered', async () => {
    const made = await openTestStore()
    await made.store.create('default')
    const server = new RespServer(made.store, { checksumMemoryBytes: MIB })
    const broken = fc.constantFrom<[bytes: string, words: string]>(
      ['*1025\r\n', 'invalid multibulk length'],
      ['*0\r\n', 'empty command'],
      ['*x\r\n', 'expected a number'],
      ['*1\r\n$1x\r\n', 'expected a number'],
      ['*11111111111111111111\r\n', 'number too long'],
      ['*1\r\n:4\r\n', "expected '$', got ':'"],
      ['*1\r\n$-1\r\n', 'invalid bulk length'],
      ['*1\r\n$8388609\r\n', 'invalid bulk length'],
      ['*1\r\n$1\r\nabc\r\n', 'bulk without end'],
      ['PING "open\r\n', 'unbalanced quotes in request'],
    )
    const echoed = fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 8 })
    await fc.assert(
      fc.property(echoed, broken, fc.nat(30), (values, [rude, words], cut) => {
        const client = testClient(made, { server })
        const asked = values.map((value) =>
          Buffer.concat([
            Buffer.from(`*2\r\n$4\r\nECHO\r\n$${value.length}\r\n`),
            value,
            Buffer.from('\r\n'),
          ]),
        )
        const bytes = Buffer.concat([...asked, Buffer.from(`${rude}PING\r\n`)])
        for (let at = 0; at < bytes.length; at += cut + 1) {
          client.send(bytes.subarray(at, at + cut + 1))
        }
        const [last, ...before] = [...client.replies].reverse()
        assert.deepEqual(before.reverse(), values.map(Buffer.from))
        assert.equal(last instanceof ReplyError && last.words, `ERR Protocol error: ${words}`)
        assert.isTrue(client.isClosed)
      }),
      { numRuns: 1000 },
    )
  })

  it('of a peer without rights may be no longer than a refusal needs', async () => {
    const made = await openTestStore()
    const principal = { kind: 'peer', account: account(`0x${'1'.repeat(40)}`) } as const
    const stranger = testClient(made, { principal })
    stranger.send('*2\r\n$3\r\nGET\r\n$70000\r\n')
    assert.match((stranger.replies[0] as ReplyError).words, /command too long/)
    assert.isTrue(stranger.isClosed)
  })

  it('of one megabyte without a line end is cut off early', async () => {
    const made = await openTestStore()
    await made.store.create('default')
    const rude = testClient(made)
    let sent = 0
    while (!rude.isClosed && sent < 1024 * 1024) {
      rude.send(Buffer.alloc(4096, 'x'))
      sent += 4096
    }
    assert.isTrue(rude.isClosed)
    assert.isAtMost(sent, 128 * 1024)
    assert.match((rude.replies[0] as ReplyError).words, /Protocol error: too big inline request/)
  })

  it('that announces much and sends little holds little memory, over all clients', async () => {
    const made = await openTestStore()
    await made.store.create('default')
    const server = new RespServer(made.store, { checksumMemoryBytes: MIB })
    const rude = Array.from({ length: 2000 }, () => testClient(made, { server }))
    for (const one of rude) one.send('*3\r\n$3\r\nSET\r\n$1\r\na\r\n$8388608\r\nabc')
    assert.isAtMost(server.memory.heldBytes, 520 * 1024 * 1024)
    const polite = testClient(made, { server })
    assert.equal(await polite.ask('PING'), 'PONG')
  })

  it('of a client that asks without reading stops at a backlog', async () => {
    const made = await openTestStore()
    await made.store.create('default')
    const server = new RespServer(made.store, { checksumMemoryBytes: MIB })
    const first = testClient(made, { server })
    await first.ask('SET', 'a', Buffer.alloc(1024 * 1024, 1))
    let heldBytes = 0
    const session = server.connect(
      { kind: 'admin' },
      {
        peerName: 'slow',
        send(output) {
          heldBytes += output.lengthBytes
        },
        close: () => undefined,
        pause: () => undefined,
        resume: () => undefined,
      },
    )
    const asking = Buffer.from('*2\r\n$3\r\nGET\r\n$1\r\na\r\n'.repeat(500))
    session.receive(asking, asking.byteLength)
    assert.isAtMost(heldBytes, 6 * 1024 * 1024)
  })
})

describe('flipped bits on the disk', () => {
  it('are never served: each value is right, missing with damage reported, or an error', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(1_000_000), fc.nat(7)), { minLength: 1, maxLength: 6 }),
        fc.boolean(),
        async (flips, isRotated) => {
          const disk = faultDisk(seededChance(1))
          const made = await openTestStore({ segmentBytes: 64 * 1024 }, disk)
          await made.store.create('a', { historySeconds: 0 })
          const client = testClient(made)
          await client.ask('SELECT', 'a')
          const expected = new Map<string, string>()
          for (let at = 0; at < 40; at++) {
            const value = `${at}`.repeat(1 + ((at * 97) % 900))
            await client.ask('SET', `k${at}`, value)
            expected.set(`k${at}`, value)
          }
          if (isRotated) await client.ask('NSJUMP')
          await made.store.close()
          const victims = disk.files().filter(({ path }) => /\.(seg|hint)$/.test(path))
          for (const [where, bit] of flips) {
            const victim = victims[where % victims.length]
            if (victim) disk.flipBit(victim.path, where % victim.sizeBytes, bit)
          }
          const again = await openTestStore({ segmentBytes: 64 * 1024 }, disk)
          const other = testClient(again)
          await other.ask('SELECT', 'a')
          const { damagedBytes, cutBytes } = again.store.namespace('a').log.counts
          for (const [key, value] of expected) {
            const reply = await other.ask('GET', key)
            if (reply instanceof ReplyError) continue
            if (reply === null) {
              const isSetAside = disk.files().some(({ path }) => path.endsWith('.cut'))
              assert.isTrue(
                damagedBytes + cutBytes > 0 || isSetAside,
                'what is missing is reported',
              )
            } else assert.equal(String(reply), value)
          }
        },
      ),
      { numRuns: 400 },
    )
  })
})
