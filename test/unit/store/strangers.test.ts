/**
 * What strangers can do to others, each case by its number:
 * 1. rights that one user of a connection got, used by the next; 2. names that forge lines; 3. commands inside HTTP;
 * 4. commands that begin and do not end; 5. settings half taken over; 6. guesses of passwords over many connections.
 */
import { assert } from 'chai'
import { type Reply, ReplyError } from '../../../agent/adapters/socket/resp-reply-reader.ts'
import { MIB } from '../../../agent/base/units.ts'
import { type Principal, RespServer } from '../../../agent/engines/store/index.ts'
import { peerAddress } from '../../../agent/engines/store/resp/peer-address.ts'
import { openTestStore, type TestClient, testClient } from '../../support/log-store.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'

const GUEST: Principal = { kind: 'guest' }

async function guarded() {
  const made = await openTestStore()
  await made.store.create('default')
  await made.store.create('private', { isPublic: false })
  const server = new RespServer(made.store, { adminPassword: Buffer.from('secret') })
  const join = (peerName?: string) =>
    testClient(made, { server, principal: GUEST, ...(peerName && { peerName }) })
  return { made, server, join }
}

const words = (reply: Reply) => (reply instanceof ReplyError ? reply.words : String(reply))
const ask = async (client: TestClient, ...args: string[]) => words(await client.ask(...args))

describe('strangers', () => {
  it('1: find nothing of who had the connection before, after RESET', async () => {
    const { join } = await guarded()
    const client = join()
    const before = await ask(client, 'CLIENT', 'INFO')
    await ask(client, 'AUTH', 'secret')
    await ask(client, 'NSNEW', 'mine')
    await ask(client, 'NSSET', 'mine', 'password', 'pass')
    await ask(client, 'NSSET', 'mine', 'public', '0')
    await ask(client, 'SELECT', 'mine', 'pass')
    await ask(client, 'AUTH', 'SECURE', 'CHALLENGE')
    await ask(client, 'HELLO', '2', 'SETNAME', 'pool-7')
    await ask(client, 'MIRROR')
    assert.equal(await ask(client, 'RESET'), 'RESET')
    const strip = (line: string) => line.replace(/(age|tot-cmds|cmd)=\S+/g, '')
    assert.equal(strip(await ask(client, 'CLIENT', 'INFO')), strip(before))
    assert.match(await ask(client, 'NSNEW', 'x'), /Permission denied/)
    assert.match(await ask(client, 'SELECT', 'mine'), /protected and private/)
    assert.match(await ask(client, 'AUTH', 'SECURE', 'f'.repeat(40)), /No CHALLENGE/)
  })

  it('2: forge no line and no field of what others read', async () => {
    const { join, made } = await guarded()
    const [client, admin] = [join(), join()]
    await ask(admin, 'AUTH', 'secret')
    for (const name of ['a b', 'a\nid=9', 'a\r', 'n\u0000', '\u001b[2J', 'é', 'x'.repeat(129)]) {
      assert.match(await ask(client, 'CLIENT', 'SETNAME', name), /^ERR Client names cannot/)
      assert.match(await ask(client, 'HELLO', '2', 'SETNAME', name), /^ERR Client names cannot/)
    }
    for (const name of ['a\npassword: no', 'a\r', '\u007f', 'a\u0085b', 'a\u2028b', '\u001b[1m']) {
      assert.match(await ask(admin, 'NSNEW', name), /name is not allowed/, JSON.stringify(name))
    }
    assert.equal(await ask(admin, 'NSNEW', 'имя'), 'OK', 'letters of any script are letters')
    // A namespace of an earlier build, or of an order, may have such a name all the same.
    await made.store.create('evil name=x')
    await ask(client, 'SELECT', 'evil name=x')
    const list = await ask(admin, 'CLIENT', 'LIST')
    assert.lengthOf(list.trim().split(/[\n\r\u0085\u2028]/), 2)
    for (const line of list.trim().split('\n')) {
      for (const field of line.split(' ')) assert.match(field, /^[a-z-]+=\S*$/)
    }
  })

  it('3: reach no command from inside HTTP', async () => {
    const requests = [
      'POST / HTTP/1.1\r\n',
      'GET / HTTP/1.1\r\n',
      'get / http/1.0\r\n',
      'OPTIONS * HTTP/1.1\r\n',
      'PUT /x HTTP/1.1\r\n',
      'Host: localhost:9900\r\n',
      'X-Forwarded-For: 1.2.3.4\r\n',
      'HEAD /\r\n',
    ]
    for (const request of requests) {
      for (const step of [1, 7, 4096]) {
        const { join, made, server } = await guarded()
        const client = join()
        const bytes = Buffer.from(`${request}Host: x\r\n\r\nSET hacked 1\r\n`)
        for (let at = 0; at < bytes.byteLength; at += step) {
          if (!client.isClosed) client.send(bytes.subarray(at, at + step))
        }
        made.endTick()
        assert.isTrue(client.isClosed, request)
        assert.lengthOf(client.replies, 0, request)
        assert.equal(server.counts.httpClients, 1)
        assert.equal(made.store.namespace('default').log.appended, 0)
      }
    }
    const { join } = await guarded()
    const person = join()
    person.send('GET key\r\nPING\r\n')
    assert.deepEqual(person.replies, [null, 'PONG'])
  })

  it('4: fill the memory of nobody but themselves with commands that do not end', async () => {
    const { join, server } = await guarded()
    const half = `*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$8000000\r\n${'x'.repeat(100_000)}`
    const crowd = Array.from({ length: 240 }, (_, at) => join(`6.6.6.6:${at + 1}`))
    for (const one of crowd) one.send(half)
    assert.isAtMost(server.memory.heldBytes, 260 * MIB)
    const other = join('7.7.7.7:1')
    const value = Buffer.alloc(8 * MIB, 1)
    const command = Buffer.concat([Buffer.from('*2\r\n$4\r\nECHO\r\n$8388608\r\n'), value])
    other.send(command.subarray(0, 5 * MIB))
    other.send(command.subarray(5 * MIB))
    other.send('\r\n')
    assert.isFalse(other.isClosed)
    assert.deepEqual(other.replies, [value])
  })

  it('4: have a time for a command to arrive, which waiting for the store does not use up', async () => {
    const clock = new VirtualClock()
    const made = await openTestStore({}, undefined, { clock })
    await made.store.create('default')
    const server = new RespServer(made.store)
    const [silent, slow, good] = [0, 1, 2].map(() => testClient(made, { server })) as [
      TestClient,
      TestClient,
      TestClient,
    ]
    silent.send('*2\r\n$4\r\nPI')
    slow.send('*2\r\n$4\r\nECHO\r\n$100\r\n')
    for (let second = 0; second < 40; second++) {
      await clock.advance(1000)
      if (!slow.isClosed) slow.send('x')
      server.sweep()
      assert.equal(silent.isClosed, second >= 15, `silent at ${second}`)
      assert.equal(slow.isClosed, second >= 30, `slow at ${second}`)
    }
    assert.equal(server.memory.heldBytes, 0)
    assert.equal(server.counts.lateCommands, 2)
    assert.match(words(silent.replies[0] as Reply), /did not arrive in time/)
    assert.equal(await ask(good, 'PING'), 'PONG', 'who says nothing is left alone')
    assert.isFalse(good.isClosed)
  })

  it('5: change all that HELLO asks for, or nothing', async () => {
    const { join } = await guarded()
    const client = join()
    for (const rest of [
      ['SETNAME', 'good', 'AUTH', 'x', 'wrong'],
      ['AUTH', 'x', 'secret', 'SETNAME', 'bad name'],
      ['AUTH', 'x', 'secret', 'SETNAME', 'good', 'NONSENSE'],
    ]) {
      assert.match(await ask(client, 'HELLO', '2', ...rest), /^(ERR|WRONGPASS)/)
      const info = await ask(client, 'CLIENT', 'INFO')
      assert.include(info, ' name= ')
      assert.include(info, ' user=guest ')
    }
    await client.ask('HELLO', '2', 'AUTH', 'x', 'secret', 'SETNAME', 'good')
    assert.match(await ask(client, 'CLIENT', 'INFO'), / name=good .* user=admin /)
  })

  it('6: guess no faster on many connections than on one, and keep nobody else waiting', async () => {
    const clock = new VirtualClock()
    const made = await openTestStore({}, undefined, { clock })
    await made.store.create('default')
    const server = new RespServer(made.store, { adminPassword: Buffer.from('secret') })
    const join = (peerName: string) => testClient(made, { server, principal: GUEST, peerName })
    let answered = 0
    const seconds = 60
    for (let at = 0; at < 2000; at++) {
      void ask(join(`6.6.6.6:${at + 1}`), 'AUTH', `guess ${at}`).then((reply) => {
        if (!reply.startsWith('BUSY')) answered++
      })
    }
    assert.equal(await ask(join('7.7.7.7:1'), 'AUTH', 'secret'), 'OK', 'another address, at once')
    const neighbour = ask(join('6.6.6.6:9999'), 'AUTH', 'secret')
    for (let second = 0; second < seconds; second++) {
      await clock.advance(1000)
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.isAtMost(answered, 40, 'guesses that were answered at all')
    assert.match(await neighbour, /^(OK|BUSY)/)
    assert.equal(await retry(() => ask(join('6.6.6.6:10000'), 'AUTH', 'secret'), clock), 'OK')
  })

  it('are known by their address: IPv6 by its first half, which one subscriber has', () => {
    for (const [name, address] of [
      ['1.2.3.4:5', '1.2.3.4'],
      ['::ffff:1.2.3.4:5', '1.2.3.4'],
      ['2001:db8:1:2:3:4:5:6:77', '2001:db8:1:2'],
      ['2001:db8::6:77', '2001:db8:0:0'],
      ['::1:5000', '0:0:0:0'],
      ['unix:0', 'unix'],
      ['test', 'test'],
    ] as const) {
      assert.equal(peerAddress(name), address, name)
    }
  })
})

/** Lets time go on until the answer is there. */
async function retry(act: () => Promise<string>, clock: VirtualClock): Promise<string> {
  let reply: string | undefined
  void act().then((one) => {
    reply = one
  })
  for (let second = 0; second < 30 && reply === undefined; second++) {
    await clock.advance(1000)
    await new Promise((resolve) => setImmediate(resolve))
  }
  return reply ?? 'no answer'
}
