/** What `Links` promises, held against the fake of the simulation and against libp2p over loopback. */
import { createHash } from 'node:crypto'
import { assert } from 'chai'
import fc from 'fast-check'
import { pino } from 'pino'
import { systemChance } from '../../../agent/adapters/time/system-chance.ts'
import { systemClock } from '../../../agent/adapters/time/system-clock.ts'
import { concatBytes } from '../../../agent/base/bytes.ts'
import { codeOf } from '../../../agent/base/errors.ts'
import type { Account } from '../../../agent/base/ids.ts'
import { type LedgerKey, ledgerKeyFrom } from '../../../agent/base/ledger-key.ts'
import { MIB } from '../../../agent/base/units.ts'
import {
  type LinkPeer,
  type LinkStream,
  type Links,
  startLibp2pLinks,
} from '../../../agent/engines/links/index.ts'
import { FakeNetwork } from '../../support/fake-links.ts'
import { seededChance } from '../../support/virtual-clock.ts'

const keys = [1, 2, 3].map((number) => ledgerKeyFrom(new Uint8Array(32).fill(number)))
const grid = `0x${'9a'.repeat(20)}`
const clock = systemClock()

const makers: Record<string, () => (key: LedgerKey) => Promise<Links>> = {
  'in memory, at once': () => {
    const network = new FakeNetwork({ clock, chance: seededChance(1), delayMsMax: 0 })
    return async (key) => network.links(key.account)
  },
  'in memory, with delays': () => {
    const network = new FakeNetwork({ clock, chance: seededChance(1), delayMsMax: 1 })
    return async (key) => network.links(key.account)
  },
  'over libp2p': () => (key) =>
    startLibp2pLinks({
      grid,
      key,
      listen: ['/ip4/127.0.0.1/tcp/0'],
      clock,
      chance: systemChance(),
      log: pino({ level: 'silent' }),
    }),
}

function peerOf(links: Links, key: LedgerKey): LinkPeer {
  const addresses = links.status().listening.map((address) => address.replace(/\/p2p\/.*/, ''))
  return { account: key.account, publicKey: key.publicKeyCompressed, addresses }
}

async function readAll(stream: LinkStream): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for (let bytes = await stream.read(); bytes; bytes = await stream.read()) parts.push(bytes)
  return Buffer.from(concatBytes(parts))
}

async function echo(stream: LinkStream): Promise<void> {
  for (let bytes = await stream.read(); bytes; bytes = await stream.read()) {
    await stream.write(bytes)
  }
  await stream.end()
}

async function codeThrownBy(act: Promise<unknown>): Promise<string | undefined> {
  try {
    await act
  } catch (caught) {
    return codeOf(caught) ?? String(caught)
  }
  return 'nothing thrown'
}

const soon = () => AbortSignal.timeout(10_000)
const bytesOf = (text: string) => Buffer.from(text)

for (const [name, maker] of Object.entries(makers)) {
  describe(`links ${name}`, () => {
    let a: Links
    let b: Links
    let stranger: Links
    let peers: LinkPeer[]
    let accountB: Account

    beforeEach(async () => {
      const [keyA, keyB, keyC] = keys
      assert(keyA && keyB && keyC)
      const make = maker()
      a = await make(keyA)
      b = await make(keyB)
      stranger = await make(keyC)
      peers = [peerOf(a, keyA), peerOf(b, keyB)]
      accountB = b.account
      a.setPolicy({ peers, guests: [] })
      b.setPolicy({ peers, guests: [] })
      stranger.setPolicy({ peers, guests: [] })
    })

    afterEach(() => Promise.all([a.close(), b.close(), stranger.close()]))

    it('carry bytes both ways and say who dialled', async () => {
      let dialler: Account | undefined
      await b.onInbound('store', (stream) => {
        dialler = stream.peer
        return echo(stream)
      })
      const stream = await a.dial(accountB, 'store', soon())
      await stream.write(bytesOf('hello '))
      await stream.write(bytesOf('world'))
      await stream.end()
      assert.equal((await readAll(stream)).toString(), 'hello world')
      assert.equal(stream.peer, accountB)
      assert.equal(dialler, a.account)
    })

    it('carry any bytes in any pieces', async () => {
      await b.onInbound('store', echo)
      await fc.assert(
        fc.asyncProperty(fc.array(fc.nat({ max: 200_000 }), { maxLength: 8 }), async (sizes) => {
          const stream = await a.dial(accountB, 'store', soon())
          const pieces = sizes.map((size, i) => Buffer.alloc(size, i + 1))
          const received = readAll(stream)
          for (const piece of pieces) await stream.write(piece)
          await stream.end()
          assert.isTrue((await received).equals(Buffer.concat(pieces)))
        }),
        { numRuns: 15 },
      )
    })

    it('go on one way after the other way ended', async () => {
      await b.onInbound('store', async (stream) => {
        const asked = await readAll(stream)
        await stream.write(bytesOf(`after ${asked}`))
        await stream.end()
      })
      const stream = await a.dial(accountB, 'store', soon())
      await stream.write(bytesOf('the end'))
      await stream.end()
      assert.equal((await readAll(stream)).toString(), 'after the end')
    })

    it('deliver what was sent just before the end to a slow reader', async () => {
      const total = 3 * MIB
      const sent = Buffer.alloc(total, 7)
      await b.onInbound('store', async (stream) => {
        await stream.write(sent)
        await stream.end()
      })
      const stream = await a.dial(accountB, 'store', soon())
      await stream.end()
      await clock.sleep(50)
      let got = 0
      for (let bytes = await stream.read(); bytes; bytes = await stream.read()) {
        got += bytes.byteLength
        await new Promise((resolve) => setImmediate(resolve))
      }
      assert.equal(got, total)
    })

    it('hold the writer until the reader reads', async () => {
      const arrived = Promise.withResolvers<LinkStream>()
      await b.onInbound('store', (stream) => arrived.resolve(stream))
      const stream = await a.dial(accountB, 'store', soon())
      const block = Buffer.alloc(MIB / 4)
      const blocks = 80
      let written = 0
      const sent = createHash('sha256')
      const writing = (async () => {
        for (; written < blocks; written++) {
          block.fill(written)
          sent.update(block)
          await stream.write(Buffer.from(block))
        }
        await stream.end()
      })()
      const reader = await arrived.promise
      let before = -1
      while (before !== written) {
        before = written
        await clock.sleep(100)
      }
      assert.isBelow(written, 40, 'blocks of 256 KiB accepted with nobody reading')
      assert.equal(
        createHash('sha256')
          .update(await readAll(reader))
          .digest('hex').length,
        64,
      )
      await writing
      assert.equal(written, blocks)
    })

    it('tell the other end of an abort, in both directions', async () => {
      const arrived = Promise.withResolvers<LinkStream>()
      await b.onInbound('store', (stream) => arrived.resolve(stream))
      const stream = await a.dial(accountB, 'store', soon())
      const theirs = await arrived.promise
      const reading = codeThrownBy(theirs.read())
      stream.abort('enough')
      assert.equal(await reading, 'LINK_CLOSED')
      assert.equal(await codeThrownBy(stream.read()), 'LINK_CLOSED')
      assert.equal(await codeThrownBy(stream.write(bytesOf('x'))), 'LINK_CLOSED')
      assert.equal(await codeThrownBy(theirs.write(bytesOf('x'))), 'LINK_CLOSED')
    })

    it('break a stream whose handler throws', async () => {
      await b.onInbound('store', () => {
        throw new RangeError('no')
      })
      const stream = await a.dial(accountB, 'store', soon())
      assert.equal(await codeThrownBy(stream.read()), 'LINK_CLOSED')
    })

    it('know which services a peer offers, and the latest handler of each', async () => {
      assert.equal(await codeThrownBy(a.dial(accountB, 'store', soon())), 'LINK_SERVICE_UNKNOWN')
      for (const answer of ['one', 'two']) {
        await b.onInbound('store', async (stream) => {
          await stream.write(bytesOf(answer))
          await stream.end()
        })
        const stream = await a.dial(accountB, 'store', soon())
        await stream.end()
        assert.equal((await readAll(stream)).toString(), answer)
      }
    })

    it('join a node that dials itself', async () => {
      await a.onInbound('store', echo)
      const stream = await a.dial(a.account, 'store', soon())
      assert.equal(stream.peer, a.account)
      await stream.write(bytesOf('me'))
      await stream.end()
      assert.equal((await readAll(stream)).toString(), 'me')
    })

    it('refuse strangers, in both directions', async () => {
      await a.onInbound('store', echo)
      assert.equal(
        await codeThrownBy(stranger.dial(a.account, 'store', soon())),
        'LINK_UNREACHABLE',
      )
      assert.equal(
        await codeThrownBy(a.dial(stranger.account, 'store', soon())),
        'LINK_PEER_UNKNOWN',
      )
    })

    it('let in guests', async () => {
      await a.onInbound('store', echo)
      a.setPolicy({ peers, guests: [stranger.account] })
      const stream = await stranger.dial(a.account, 'store', soon())
      await stream.end()
      assert.equal((await readAll(stream)).length, 0)
    })

    it('cut a peer that is removed, and link again when it is back', async () => {
      const arrived = Promise.withResolvers<LinkStream>()
      await b.onInbound('store', (stream) => arrived.resolve(stream))
      const stream = await a.dial(accountB, 'store', soon())
      const theirs = await arrived.promise
      const ends = [codeThrownBy(stream.read()), codeThrownBy(theirs.read())]
      b.setPolicy({ peers: [], guests: [] })
      assert.deepEqual(await Promise.all(ends), ['LINK_CLOSED', 'LINK_CLOSED'])
      assert.equal(await codeThrownBy(b.dial(a.account, 'store', soon())), 'LINK_PEER_UNKNOWN')
      b.setPolicy({ peers, guests: [] })
      await b.onInbound('store', echo)
      await linksAgain(() => a.dial(accountB, 'store', soon()))
    })

    it('never take links that went away for the end of a stream', async () => {
      await b.onInbound('store', async (stream) => {
        await stream.write(bytesOf('half of it'))
        await new Promise(() => undefined)
      })
      const stream = await a.dial(accountB, 'store', soon())
      assert.equal(Buffer.from((await stream.read()) ?? []).toString(), 'half of it')
      const reading = codeThrownBy(stream.read())
      await b.close()
      assert.equal(await reading, 'LINK_CLOSED')
      assert.equal(await codeThrownBy(a.dial(accountB, 'store', soon())), 'LINK_UNREACHABLE')
    })

    it('give up when told to', async () => {
      await b.onInbound('store', echo)
      const gone = AbortSignal.abort(new RangeError('changed my mind'))
      assert.include(await codeThrownBy(a.dial(accountB, 'store', gone)), 'changed my mind')
      const during = new AbortController()
      const dialling = codeThrownBy(a.dial(accountB, 'store', during.signal))
      during.abort(new RangeError('changed my mind'))
      assert.include(['nothing thrown', 'RangeError: changed my mind'], await dialling)
    })

    it('hold many streams at once', async () => {
      await b.onInbound('store', echo)
      const texts = Array.from({ length: 60 }, (_, i) => `stream ${i}`)
      const answers = await Promise.all(
        texts.map(async (text) => {
          const stream = await a.dial(accountB, 'store', soon())
          await stream.write(bytesOf(text))
          await stream.end()
          return (await readAll(stream)).toString()
        }),
      )
      assert.deepEqual(answers, texts)
    })
  })
}

/** A cut needs a moment to be known at both ends. */
async function linksAgain(dial: () => Promise<LinkStream>): Promise<void> {
  for (let attempt = 0; attempt < 40; attempt++) {
    try {
      const stream = await dial()
      await stream.write(bytesOf('again'))
      await stream.end()
      if ((await readAll(stream)).toString() === 'again') return
    } catch {
      await clock.sleep(50)
    }
  }
  assert.fail('never linked again')
}
