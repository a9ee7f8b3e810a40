/** What every transport must do with a connection, whatever the other side does; on TCP and on a unix socket. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import {
  type AddressInfo,
  connect,
  createServer,
  type NetConnectOpts,
  type Server,
  type Socket,
} from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert } from 'chai'
import type {
  PlaceLender,
  SocketLink,
  Transport,
} from '../../../agent/adapters/socket/transport.ts'
import { hasTransport, openTestTransport } from '../../support/transports.ts'

const MIB = 1024 * 1024

/** A server that remembers, and does with each connection what the test says. */
interface Peer {
  readonly link: SocketLink
  receivedBytes: number
  hasEnded: boolean
  closedTimes: number
  readonly closed: Promise<void>
  /** Where it wants to receive, if it does. */
  places?: PlaceLender
}

type Behaviour = (peer: Peer, event: 'start' | 'ended' | Buffer) => void

/** Sends back what comes, and ends when the other side does. */
const echo: Behaviour = ({ link }, event) => {
  if (event === 'ended') link.end()
  else if (event !== 'start') link.send({ parts: [event] }, () => undefined)
}

for (const kind of ['libuv', 'uring'] as const) {
  for (const family of ['tcp', 'unix'] as const) {
    describe(`the ${kind} transport over ${family}`, () => {
      let directory: string
      let transport: Transport
      let server: Server
      let where: NetConnectOpts
      let peers: Peer[]
      let behaviour: Behaviour

      before(function () {
        if (!hasTransport(kind)) this.skip()
      })
      beforeEach(async () => {
        directory = mkdtempSync(join(tmpdir(), 'varve-transport-'))
        behaviour = echo
        await listen({})
      })
      afterEach(async () => {
        await stop()
        rmSync(directory, { recursive: true })
      })

      async function listen(init: Parameters<typeof openTestTransport>[1]): Promise<void> {
        peers = []
        transport = openTestTransport(kind, init)
        server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, accept)
        const path = join(directory, 's.sock')
        server.listen(family === 'tcp' ? { port: 0, host: '127.0.0.1' } : { path })
        await once(server, 'listening')
        where =
          family === 'tcp'
            ? { port: (server.address() as AddressInfo).port, host: '127.0.0.1' }
            : { path }
      }

      async function stop(): Promise<void> {
        server.close()
        for (const { link } of peers) link.destroy()
        await Promise.all(peers.map(({ closed }) => closed))
        await transport.close()
      }

      function accept(socket: Socket): void {
        const closed = Promise.withResolvers<void>()
        const link = transport.link(socket)
        const peer: Peer = {
          link,
          receivedBytes: 0,
          hasEnded: false,
          closedTimes: 0,
          closed: closed.promise,
        }
        peers.push(peer)
        behaviour(peer, 'start')
        link.start({
          ...(peer.places ? { places: peer.places } : {}),
          received(bytes, lengthBytes) {
            assert.equal(peer.closedTimes, 0, 'nothing comes after the end')
            peer.receivedBytes += lengthBytes
            behaviour(peer, Buffer.from(bytes.subarray(0, lengthBytes)))
          },
          ended() {
            peer.hasEnded = true
            behaviour(peer, 'ended')
          },
          closed() {
            peer.closedTimes++
            closed.resolve()
          },
        })
      }

      async function client(): Promise<Socket> {
        const socket = connect({ ...where, allowHalfOpen: true })
        socket.on('error', () => undefined)
        await once(socket, 'connect')
        return socket
      }

      async function firstPeer(): Promise<Peer> {
        while (peers.length === 0) await new Promise(setImmediate)
        return peers[0]!
      }

      /** Writes, ends, and reads to the end. */
      async function exchange(bytes: Buffer): Promise<Buffer> {
        const socket = await client()
        return readToEnd(socket, bytes)
      }

      async function readToEnd(socket: Socket, last: Buffer = Buffer.alloc(0)): Promise<Buffer> {
        const read: Buffer[] = []
        socket.on('data', (data: Buffer) => read.push(data))
        socket.end(last)
        await once(socket, 'end')
        socket.destroy()
        return Buffer.concat(read)
      }

      it('sends back every byte in order, and closes once', async () => {
        for (const size of [1, 100, 16_384, 16_385, 1_000_003, 8 * MIB]) {
          const bytes = randomBytes(size)
          assert.isTrue(bytes.equals(await exchange(bytes)), `${size} bytes`)
        }
        await Promise.all(peers.map(({ closed }) => closed))
        for (const peer of peers) assert.deepInclude(peer, { hasEnded: true, closedTimes: 1 })
      })

      it('sends more parts than one call takes, queued while others are in flight', async () => {
        const sent: Buffer[] = []
        let done = 0
        behaviour = ({ link }, event) => {
          if (event !== 'start') return
          for (let at = 0; at < 50; at++) {
            const parts = Array.from({ length: 1 + (at % 70) }, (_, part) =>
              Buffer.alloc(1 + ((at * 7919 + part * 31) % 5000), at + part),
            )
            sent.push(...parts)
            link.send({ parts }, () => done++)
          }
          link.end()
        }
        const read = await exchange(Buffer.from('x'))
        assert.equal(done, 50)
        assert.isTrue(Buffer.concat(sent).equals(read))
      })

      it('sends large bytes at once, in order with all others, also to who reads late', async () => {
        const sent: Buffer[] = []
        const told = { now: 0, later: 0, done: 0 }
        behaviour = ({ link }, event) => {
          if (event === 'start') return
          if (event === 'ended') return link.end()
          for (let at = 0; at < 40; at++) {
            const bytes = randomBytes(at % 3 === 2 ? 1000 : 200_000 + at)
            sent.push(bytes)
            if (at % 5 === 4) link.send({ parts: [bytes] }, () => told.done++)
            else if (link.sendNow({ parts: [bytes] }, () => told.done++)) {
              told.now++
              // It is the caller's again.
              sent[at] = Buffer.from(bytes)
              bytes.fill(0)
              continue
            }
            told.later++
            assert.isBelow(told.done, told.later, 'nobody is told within the call')
          }
        }
        const socket = await client()
        socket.write('x')
        const peer = await firstPeer()
        while (sent.length < 40) await new Promise(setImmediate)
        assert.isAbove(told.later, 0, 'more than a socket takes')
        if (kind === 'uring') assert.isAbove(told.now, 0)
        assert.isTrue(Buffer.concat(sent).equals(await readToEnd(socket)))
        assert.equal(told.done, told.later)
        assert.isFalse(peer.link.sendNow({ parts: [Buffer.alloc(MIB)] }, () => told.done++))
        while (told.done === told.later) await new Promise(setImmediate)
      })

      it('stops receiving while it is paused, and loses nothing', async () => {
        const hash = createHash('sha256')
        behaviour = ({ link }, event) => {
          if (event === 'start') setImmediate(() => link.pause())
          else if (event === 'ended') link.end()
          else hash.update(event)
        }
        const bytes = randomBytes(32 * MIB)
        const socket = await client()
        const ended = once(socket, 'end')
        const peer = await firstPeer()
        socket.end(bytes)
        let before = -1
        // What the sockets hold may still come; then it must stand still.
        while (peer.receivedBytes !== before) {
          before = peer.receivedBytes
          await new Promise((resolve) => setTimeout(resolve, 50))
        }
        assert.isBelow(peer.receivedBytes, 8 * MIB)
        for (let at = 0; at < 20; at++) {
          peer.link.resume()
          peer.link.pause()
          peer.link.resume()
          await new Promise(setImmediate)
          peer.link.pause()
        }
        peer.link.resume()
        socket.resume()
        await ended
        assert.equal(peer.receivedBytes, bytes.byteLength)
        assert.isTrue(hash.digest().equals(createHash('sha256').update(bytes).digest()))
        socket.destroy()
      })

      it('receives into the places that it is lent, and gives each back', async () => {
        const got: Buffer[] = []
        let lent: Buffer | undefined
        let places = 0
        let wants = false
        behaviour = (peer, event) => {
          if (event === 'ended') peer.link.end()
          else if (event !== 'start') {
            assert.isUndefined(lent, 'one receive at a time')
            got.push(event)
            wants = event.byteLength % 3 > 0
          } else {
            peer.places = {
              get awaitedBytes() {
                return wants ? 1 + ((places * 104_729) % 200_000) : 0
              },
              lend() {
                if (!wants) return undefined
                assert.isUndefined(lent)
                lent = Buffer.alloc(1 + ((places * 7919) % 100_000))
                places++
                return lent
              },
              returned(lengthBytes) {
                assert.isDefined(lent)
                got.push(Buffer.from(lent?.subarray(0, lengthBytes) ?? []))
                lent = undefined
                wants = places % 5 > 0
                if (places % 4 === 0) {
                  peer.link.pause()
                  setImmediate(() => peer.link.resume())
                }
              },
            }
          }
        }
        const bytes = randomBytes(16 * MIB)
        assert.equal((await exchange(bytes)).byteLength, 0)
        assert.isUndefined(lent)
        assert.isTrue(Buffer.concat(got).equals(bytes))
        if (kind === 'uring') assert.isAbove(places, 20)
      })

      it('waits for what is awaited, for its end, and for no more', async () => {
        for (const how of ['destroyed', 'ended', 'paused'] as const) {
          let awaitedBytes = 100_000
          let inPlace = 0
          behaviour = (peer, event) => {
            if (event === 'ended') peer.link.end()
            if (event !== 'start') return
            peer.places = {
              get awaitedBytes() {
                return awaitedBytes
              },
              lend: () => Buffer.alloc(awaitedBytes),
              returned(lengthBytes) {
                inPlace += lengthBytes
                awaitedBytes -= lengthBytes
              },
            }
          }
          peers.length = 0
          const socket = await client()
          socket.write(randomBytes(50_000))
          const peer = await firstPeer()
          const all = () => inPlace + peer.receivedBytes
          for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
          if (kind === 'uring' && family === 'tcp') assert.equal(all(), 0)
          if (how === 'destroyed') peer.link.destroy()
          else if (how === 'ended') {
            socket.end()
            await peer.closed
            assert.equal(all(), 50_000)
          } else {
            peer.link.pause()
            socket.write(randomBytes(50_000))
            for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
            peer.link.resume()
            while (all() < 100_000) await new Promise(setImmediate)
            if (kind === 'uring') assert.equal(inPlace, 100_000)
            socket.write('a little')
            while (all() < 100_008) await new Promise(setImmediate)
            peer.link.destroy()
          }
          await peer.closed
          socket.destroy()
        }
      })

      it('holds what a slow reader does not take, and says when it is gone', async () => {
        const part = randomBytes(MIB)
        let done = 0
        behaviour = ({ link }, event) => {
          if (event !== 'start') return
          for (let at = 0; at < 32; at++) link.send({ parts: [part] }, () => done++)
          link.end()
        }
        const socket = await client()
        await new Promise((resolve) => setTimeout(resolve, 100))
        assert.isBelow(done, 32)
        let bytes = 0
        socket.on('data', (data: Buffer) => {
          bytes += data.byteLength
        })
        await once(socket, 'end')
        assert.equal(bytes, 32 * MIB)
        assert.equal(done, 32)
        socket.destroy()
      })

      for (const how of [
        'destroyed by the server',
        'reset by the client',
        'closed by the client',
      ]) {
        it(`answers every send of a connection that is ${how}`, async () => {
          const part = randomBytes(MIB)
          let done = 0
          behaviour = ({ link }, event) => {
            if (event !== 'start') return
            for (let at = 0; at < 32; at++) link.send({ parts: [part, part] }, () => done++)
          }
          const socket = await client()
          const peer = await firstPeer()
          await new Promise(setImmediate)
          if (how === 'destroyed by the server') peer.link.destroy()
          else if (how === 'reset by the client' && family === 'tcp') socket.resetAndDestroy()
          else socket.destroy()
          await peer.closed
          await new Promise(setImmediate)
          assert.equal(done, 32)
          assert.equal(peer.closedTimes, 1)
          let late = false
          peer.link.send({ parts: [part] }, () => {
            late = true
          })
          assert.isFalse(late, 'not inside the call, which would recurse')
          await new Promise(setImmediate)
          assert.isTrue(late, 'a send after the end is answered too')
          socket.destroy()
        })
      }

      it('serves more connections at once than it has buffers and room for completions', async () => {
        await stop()
        await listen({ arrivals: 4, submissions: 4, completions: 8 })
        const texts = await Promise.all(
          Array.from({ length: 200 }, async (_, at) => {
            const bytes = randomBytes(20_000 + at)
            return bytes.equals(await exchange(bytes))
          }),
        )
        assert.isTrue(texts.every((one) => one))
      })

      it('runs tasks at the end of a burst, never inside the call', async () => {
        let order = ''
        behaviour = ({ link }, event) => {
          if (event === 'start' || event === 'ended') return
          transport.atEndOfBurst(() => {
            order += 'b'
            transport.atEndOfBurst(() => {
              order += 'c'
              link.send({ parts: [event] }, () => link.end())
            })
          })
          order += 'a'
        }
        assert.equal((await exchange(Buffer.from('x'))).toString(), 'x')
        assert.equal(order, 'abc')
      })

      it('leaves no descriptor behind', async () => {
        await exchange(randomBytes(1000))
        await stop()
        const before = readdirSync('/proc/self/fd').length
        for (let at = 0; at < 20; at++) {
          await listen({})
          await Promise.all([exchange(randomBytes(1000)), exchange(randomBytes(1000))])
          await stop()
        }
        await new Promise((resolve) => setTimeout(resolve, 20))
        assert.isAtMost(readdirSync('/proc/self/fd').length, before)
        await listen({})
      })
    })
  }
}
