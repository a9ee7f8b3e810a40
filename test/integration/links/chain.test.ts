/** Real links units in processes of their own, over loopback: bytes, strangers, kills and silence. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { assert } from 'chai'
import { dialService } from '../../../agent/adapters/socket/dial.ts'
import { readFirstLine } from '../../../agent/adapters/socket/dial-line.ts'
import { codeOf } from '../../../agent/base/errors.ts'
import type { Account } from '../../../agent/base/ids.ts'
import { MIB } from '../../../agent/base/units.ts'
import type { PeerConfig } from '../../../agent/state/unit-config.ts'
import { type LinksProcess, startLinksProcess } from '../../../scripts/bench/links-units.ts'

/** A store unit's place taken by an echo that remembers who came. */
interface Echo {
  readonly accounts: string[]
  close(): Promise<void>
}

async function serveEcho(path: string): Promise<Echo> {
  const accounts: string[] = []
  const sockets = new Set<Socket>()
  const server: Server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => sockets.delete(socket))
    readFirstLine(socket).then(
      ({ account }) => {
        accounts.push(String(account))
        socket.pipe(socket)
      },
      () => undefined,
    )
  })
  server.listen(path)
  await once(server, 'listening')
  return {
    accounts,
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

const dial = (from: LinksProcess, account: Account, msMax = 10_000): Promise<Duplex> =>
  dialService({
    dialSocketPath: from.dialSocketPath,
    account,
    service: 'store',
    signal: AbortSignal.timeout(msMax),
  })

async function codeOfDial(from: LinksProcess, account: Account): Promise<string | undefined> {
  try {
    const stream = await dial(from, account)
    stream.destroy()
    return 'dialled'
  } catch (caught) {
    return codeOf(caught)
  }
}

/** Sends bytes and reads the same number back. */
async function echo(stream: Duplex, bytes: Uint8Array): Promise<Buffer> {
  stream.write(bytes)
  const parts: Buffer[] = []
  let got = 0
  for await (const part of stream.iterator({ destroyOnReturn: false })) {
    parts.push(part)
    got += part.length
    if (got >= bytes.byteLength) break
  }
  return Buffer.concat(parts)
}

async function eventually(
  what: string,
  holds: () => Promise<boolean>,
  msMax = 15_000,
): Promise<void> {
  const startedMs = performance.now()
  while (!(await holds())) {
    assert.isBelow(performance.now() - startedMs, msMax, `${what}, in time`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function peakMemoryBytes(pid: number | undefined): number {
  const line = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(line?.[1]) * 1024
}

describe('links units', () => {
  const units: LinksProcess[] = []
  const echoes: Echo[] = []
  const entries: PeerConfig[] = []

  const unit = (index: number): LinksProcess => {
    const found = units[index]
    assert(found)
    return found
  }
  const entry = (index: number): PeerConfig => {
    const found = entries[index]
    assert(found)
    return found
  }
  const account = (index: number) => unit(index).key.account

  beforeEach(async () => {
    units.push(...(await Promise.all([1, 2, 3].map((number) => startLinksProcess(number)))))
    for (const started of units) {
      echoes.push(await serveEcho(started.peerSocketPath))
      entries.push(await started.configure([]))
    }
    // 0 and 1 know each other; 2 knows both, but neither knows it.
    await unit(0).configure([entry(1)])
    await unit(1).configure([entry(0)])
    await unit(2).configure([entry(0), entry(1)])
  })

  afterEach(async () => {
    for (const started of units.splice(0)) await started.remove()
    for (const started of echoes.splice(0)) await started.close()
    entries.length = 0
  })

  it('carry 64 MiB there and back, whole, in bounded memory, and say who sent it', async () => {
    const size = 64 * MIB
    const stream = await dial(unit(0), account(1))
    const before = [peakMemoryBytes(unit(0).child.pid), peakMemoryBytes(unit(1).child.pid)]
    const sent = createHash('sha256')
    const received = createHash('sha256')
    const block = randomBytes(MIB)
    const sending = (async () => {
      for (let at = 0; at < size; at += MIB) {
        block.writeUInt32LE(at, 0)
        const bytes = Buffer.from(block)
        sent.update(bytes)
        if (!stream.write(bytes)) await once(stream, 'drain')
      }
      stream.end()
    })()
    let got = 0
    for await (const bytes of stream) {
      received.update(bytes)
      got += bytes.length
    }
    await sending
    assert.equal(got, size)
    assert.equal(received.digest('hex'), sent.digest('hex'))
    assert.deepEqual(echoes[1]?.accounts, [account(0)])
    for (const [index, bytes] of before.entries()) {
      const grown = peakMemoryBytes(unit(index).child.pid) - bytes
      assert.isBelow(grown, 150 * MIB, `unit ${index} holds little of what passes`)
    }
    const peer = (await unit(0).status()).peers.find((one) => one.account === account(1))
    assert.isAtLeast(peer?.bytesOut ?? 0, size)
    assert.isAtLeast(peer?.bytesIn ?? 0, size)
  })

  it('hold back a writer whose reader does not read', async () => {
    const stream = await dial(unit(0), account(1))
    const bytes = Buffer.alloc(MIB)
    let accepted = 0
    // The echo stops reading once its own output is stuck, because nobody reads here.
    for (; accepted < 256; accepted++) {
      if (stream.write(bytes)) continue
      const drained = once(stream, 'drain').then(() => true)
      const stuck = new Promise((resolve) => setTimeout(resolve, 1500)).then(() => false)
      if (!(await Promise.race([drained, stuck]))) break
    }
    assert.isBelow(accepted, 64, 'MiB in flight')
    stream.destroy()
  })

  it('join a node that dials itself, without a connection', async () => {
    const stream = await dial(unit(0), account(0))
    assert.equal((await echo(stream, Buffer.from('to myself'))).toString(), 'to myself')
    stream.destroy()
    assert.deepEqual(echoes[0]?.accounts, [account(0)])
    assert.deepEqual(
      (await unit(0).status()).peers.map((peer) => peer.connections),
      [0],
    )
  })

  it('refuse a stranger at the handshake, in both directions', async () => {
    assert.equal(await codeOfDial(unit(2), account(0)), 'LINK_UNREACHABLE')
    assert.equal(await codeOfDial(unit(0), account(2)), 'LINK_PEER_UNKNOWN')
    const status = await unit(0).status()
    assert.isAtLeast(status.refused.strangers, 1)
    assert.deepEqual(echoes[0]?.accounts, [])
  })

  it('let in a guest, who has no entry', async () => {
    await unit(0).configure([entry(1)], { guests: [account(2)] })
    const stream = await dial(unit(2), account(0))
    assert.equal((await echo(stream, Buffer.from('hello'))).toString(), 'hello')
    assert.deepEqual(echoes[0]?.accounts, [account(2)])
    stream.destroy()
  })

  it('refuse another key at the address of a peer', async () => {
    const swapped = { ...entry(1), addresses: entry(0).addresses }
    await unit(2).configure([swapped])
    await unit(0).configure([entry(1)], { guests: [account(2)] })
    assert.equal(await codeOfDial(unit(2), account(1)), 'LINK_UNREACHABLE')
    assert.deepEqual(echoes[0]?.accounts, [])
  })

  it('skip an entry whose key is not that of its account', async () => {
    await unit(0).configure([{ ...entry(1), publicKey: entry(2).publicKey }, entry(2)])
    assert.equal(await codeOfDial(unit(0), account(1)), 'LINK_PEER_UNKNOWN')
  })

  it('cut a peer that is removed, and let it in again when it is back', async () => {
    const stream = await dial(unit(0), account(1))
    await echo(stream, Buffer.from('before'))
    const cut = once(stream, 'close')
    await unit(1).configure([])
    await cut
    assert.equal((await unit(1).status()).removed, 1)
    await unit(1).configure([entry(0)])
    await eventually(
      'it is let in again',
      async () => (await codeOfDial(unit(0), account(1))) === 'dialled',
    )
  })

  it('say when the peer does not serve, and serve once it does', async () => {
    await echoes.splice(1, 1)[0]?.close()
    const stream = await dial(unit(0), account(1))
    await once(stream.resume(), 'close')
    echoes.splice(1, 0, await serveEcho(unit(1).peerSocketPath))
    const again = await dial(unit(0), account(1))
    assert.equal((await echo(again, Buffer.from('now'))).toString(), 'now')
    again.destroy()
  })

  for (const [who, index] of [
    ['peer', 1],
    ['own links unit', 0],
  ] as const) {
    it(`break the stream when the ${who} is killed, and dial again once it is back`, async () => {
      const stream = await dial(unit(0), account(1))
      await echo(stream, Buffer.from('before'))
      const closed = once(stream.resume(), 'close')
      await unit(index).kill()
      await closed
      assert.include(
        ['LINK_UNREACHABLE', 'DIAL_UNREACHABLE'],
        await codeOfDial(unit(0), account(1)),
      )
      await unit(index).restart()
      await unit(index).configure([entry(1 - index)])
      await eventually(
        'a dial works again',
        async () => (await codeOfDial(unit(0), account(1))) === 'dialled',
      )
      const again = await dial(unit(0), account(1))
      assert.equal((await echo(again, Buffer.from('after'))).toString(), 'after')
      again.destroy()
    })
  }

  it('are linked again by themselves after a peer was away', async () => {
    ;(await dial(unit(0), account(1))).destroy()
    await unit(1).kill()
    await unit(1).restart()
    await unit(1).configure([entry(0)])
    await eventually('it is linked', async () => {
      const peer = (await unit(0).status()).peers.find((one) => one.account === account(1))
      return peer?.state === 'linked'
    })
  })

  it('notice within seconds that a peer fell silent without closing', async () => {
    const stream = await dial(unit(0), account(1))
    await echo(stream, Buffer.from('before'))
    const startedMs = performance.now()
    const closed = once(stream.resume(), 'close')
    unit(1).child.kill('SIGSTOP')
    await closed
    unit(1).child.kill('SIGCONT')
    assert.isBelow(performance.now() - startedMs, 10_000)
    assert.equal((await unit(0).status()).silent, 1)
  })

  it('survive garbage on the listen address and on the dial socket', async () => {
    const { connect } = await import('node:net')
    const port = Number(/tcp\/(\d+)/.exec(entry(0).addresses[0] ?? '')?.[1])
    for (const target of [{ port, host: '127.0.0.1' }, { path: unit(0).dialSocketPath }]) {
      const socket = connect(target)
      socket.on('error', () => undefined)
      socket.resume()
      const closed = new Promise((resolve) => socket.once('close', resolve))
      socket.write(randomBytes(100_000))
      await closed
    }
    assert.equal(await codeOfDial(unit(0), account(1)), 'dialled')
  })
})
