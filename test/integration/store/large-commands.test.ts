/**
 * Commands of all sizes over real sockets, cut anywhere, pipelined, by clients that stop reading and that break off: every reply is
 * the right one, and all memory comes back.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { assert } from 'chai'
import { respListener } from '../../../agent/adapters/socket/resp-listener.ts'
import { KIB, MIB } from '../../../agent/base/units.ts'
import { RespServer } from '../../../agent/engines/store/index.ts'
import { openTestStore } from '../../support/log-store.ts'
import { seededChance } from '../../support/seeded-chance.ts'
import { hasTransport, openTestTransport } from '../../support/transports.ts'

const CLIENTS = 6
const ROUNDS = 15
const SIZES = [0, 300, 5000, 30 * KIB, 64 * KIB, 200 * KIB, 900 * KIB]

function frame(...args: (string | Buffer)[]): Buffer {
  const parts = [`*${args.length}\r\n`, ...args.flatMap((arg) => [bulk(arg)])]
  return Buffer.concat(parts.map((part) => Buffer.from(part)))
}

function bulk(arg: string | Buffer): Buffer {
  return Buffer.concat([Buffer.from(`$${Buffer.byteLength(arg)}\r\n`), Buffer.from(arg), CRLF])
}

const CRLF = Buffer.from('\r\n')
const NIL = Buffer.from('$-1\r\n')

for (const kind of ['libuv', 'uring'] as const) {
  describe(`large commands over ${kind}`, () => {
    before(function () {
      if (!hasTransport(kind)) this.skip()
    })

    it('get the right replies, however they come', async function () {
      this.timeout(60_000)
      const transport = openTestTransport(kind)
      const made = await openTestStore({ sync: 'group', segmentBytes: 2 * MIB }, undefined, {
        atEndOfTick: (task) => transport.atEndOfBurst(task),
      })
      await made.store.create('default')
      const resp = new RespServer(made.store)
      const listener = respListener({ resp, transport, principal: { kind: 'admin' } })
      listener.server.listen(0, '127.0.0.1')
      await once(listener.server, 'listening')
      const { port } = listener.server.address() as AddressInfo

      await Promise.all(Array.from({ length: CLIENTS }, (_, id) => converse(id, port)))
      await listener.close()
      await transport.close()
      assert.equal(resp.memory.heldBytes, 0)
      assert.equal(resp.pool.outBytes, 0)
      await made.store.close()
    })
  })
}

/** Sends random commands and checks each reply; some rounds end with a connection that breaks off. */
async function converse(id: number, port: number): Promise<void> {
  const chance = seededChance(id)
  const held = new Map<string, Buffer>()
  let socket = await connected(port)
  for (let round = 0; round < ROUNDS; round++) {
    const requests: Buffer[] = []
    const replies: Buffer[] = []
    for (let left = 1 + chance.below(6); left > 0; left--) {
      const key = `c${id}k${chance.below(5)}`
      const value = held.get(key)
      if (chance.below(5) < 3) {
        const bytes = SIZES[chance.below(SIZES.length)] as number
        const next = Buffer.alloc(bytes + chance.below(50), 1 + chance.below(200))
        requests.push(frame('SET', key, next))
        replies.push(value?.equals(next) ? NIL : bulk(key))
        held.set(key, next)
      } else {
        requests.push(frame('GET', key))
        replies.push(value ? bulk(value) : NIL)
      }
    }
    await exchange(socket, Buffer.concat(requests), Buffer.concat(replies), chance.below)
    if (chance.below(8) > 0) continue
    socket.write(frame('SET', 'z', Buffer.alloc(500 * KIB)).subarray(0, chance.below(400 * KIB)))
    if (chance.below(2) > 0) socket.destroy()
    else socket.end()
    socket = await connected(port)
  }
  socket.destroy()
}

async function exchange(
  socket: Socket,
  request: Buffer,
  reply: Buffer,
  below: (end: number) => number,
): Promise<void> {
  const read: Buffer[] = []
  let missing = reply.byteLength
  const { promise, resolve } = Promise.withResolvers<void>()
  const take = (data: Buffer) => {
    read.push(data)
    missing -= data.byteLength
    if (missing <= 0) resolve()
  }
  socket.on('data', take)
  if (below(3) === 0) {
    socket.pause()
    setImmediate(() => socket.resume())
  }
  for (let at = 0; at < request.byteLength; ) {
    const end = at + 1 + below(below(2) > 0 ? 200_000 : 20_000)
    socket.write(request.subarray(at, end))
    at = end
    if (below(3) === 0) await new Promise(setImmediate)
  }
  await promise
  socket.off('data', take)
  assert.isTrue(Buffer.concat(read).equals(reply), 'the replies are those due, in order')
}

async function connected(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  return socket
}
