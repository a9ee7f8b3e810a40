/** The two dialects: what redis' clients are answered, what 0-db's are, and what shows which of them speaks. */
import { assert } from 'chai'
import { type Reply, ReplyError } from '../../../agent/adapters/socket/resp-reply-reader.ts'
import { RespServer } from '../../../agent/engines/store/index.ts'
import { openTestStore, type TestClient, testClient } from '../../support/log-store.ts'

async function connected(dialect: 'auto' | 'redis' | '0-db' = 'auto') {
  const made = await openTestStore()
  await made.store.create('default')
  const server = new RespServer(made.store, { dialect })
  return { made, server, client: testClient(made, { server }) }
}

const shown = (reply: Reply): unknown => {
  if (reply instanceof ReplyError) return `-${reply.words}`
  if (Buffer.isBuffer(reply)) return reply.toString()
  return Array.isArray(reply) ? reply.map(shown) : reply
}
const ask = async (client: TestClient, line: string) =>
  shown(await client.ask(...line.split(' ').map((word) => (word === "''" ? '' : word))))

/** Each line in turn on one store: what is asked, what redis' clients are answered, and what 0-db's are. */
const CASES: readonly [line: string, redis: unknown, zeroDb: unknown][] = [
  ['SET a 1', 'OK', 'a'],
  ['SET a 1', 'OK', null],
  ['GET a', '1', '1'],
  ['GET none', null, null],
  ['SET b 2', 'OK', 'b'],
  ['SET a 3 NX', null, '-Invalid timestamp'],
  ['SET n 1 NX', 'OK', '-Invalid timestamp'],
  ['SET c 3 XX', null, '-Invalid timestamp'],
  ['SET a 3 GET', '1', '-Invalid timestamp'],
  ['SET a 1 NX GET', '3', '-Unexpected arguments'],
  ['SET a 4 KEEPTTL', 'OK', '-Invalid timestamp'],
  [
    'SET a 5 EX 10',
    '-ERR EX is not supported: values of this store do not expire',
    '-Unexpected arguments',
  ],
  ['SET a 5 NX XX', '-ERR syntax error', '-Unexpected arguments'],
  ['SETNX a 1', 0, 0],
  ['EXISTS a b none a', 3, 3],
  ['TTL a', -1, '-Command not supported'],
  ['TTL none', -2, '-Command not supported'],
  ['TYPE a', 'string', '-Command not supported'],
  ['TYPE none', 'none', '-Command not supported'],
  [
    'EXPIRE a 10',
    '-ERR EXPIRE is not supported: values of this store do not expire',
    '-Command not supported',
  ],
  ['GETRANGE none 0 1', '', null],
  ['DEL a b none', 2, '-Unexpected arguments'],
  ['DEL none', 0, '-Key not found'],
  ['MSET x 1 y 2', 'OK', 'OK'],
  ['MGET x none y', ['1', null, '2'], ['1', null, '2']],
  ['DEL x', 1, 'OK'],
  ['SELECT 0', 'OK', '-Namespace not found'],
  ['SELECT 7', '-ERR DB index is out of range', '-Namespace not found'],
  ['SELECT none', '-ERR Namespace not found', '-Namespace not found'],
  ['NSNEW default', '-ERR This namespace is not available', '-This namespace is not available'],
  ['WAIT 0 100', 0, '-Unknown command to watch'],
  ['GET', "-ERR wrong number of arguments for 'get' command", '-Unexpected arguments'],
  ['FOO bar', "-ERR unknown command 'FOO'", '-Command not supported'],
  [
    'FLUSHALL',
    '-ERR FLUSHALL is not supported: use NSDEL and NSNEW, or FLUSH in a private namespace',
    '-Command not supported',
  ],
  ['CONFIG GET save', [], '-Command not supported'],
  ['DBSIZE', 2, 3],
]

describe('dialects', () => {
  for (const [dialect, column] of [
    ['redis', 1],
    ['0-db', 2],
  ] as const) {
    it(`answer in ${dialect}'s words where the two differ`, async () => {
      const { client } = await connected(dialect)
      for (const [at, row] of CASES.entries()) {
        assert.deepEqual(await ask(client, row[0]), row[column], `${at}: ${row[0]}`)
      }
    })
  }

  for (const sign of [
    'HELLO 2',
    'HELLO',
    'CLIENT SETINFO LIB-NAME x',
    'CLIENT ID',
    'COMMAND DOCS',
    'COMMAND COUNT',
    'AUTH someone secret',
  ]) {
    it(`are told apart by ${sign}`, async () => {
      const { client } = await connected()
      assert.equal(await ask(client, 'SET a 1'), 'a')
      await ask(client, sign)
      assert.equal(await ask(client, 'SET a 2'), 'OK')
      await ask(client, 'RESET')
      assert.equal(await ask(client, 'SET a 3'), 'a', 'the next user of a connection is a stranger')
    })
  }

  it('are not told apart by what clients of 0-db say too', async () => {
    const { client } = await connected()
    for (const line of ['PING', 'INFO', 'SELECT default', 'NSLIST', 'AUTH SECURE CHALLENGE']) {
      await ask(client, line)
    }
    assert.equal(await ask(client, 'SET a 1'), 'a')
  })

  it('are said by the connection before the namespace, and by that before the start', async () => {
    const { client, made, server } = await connected('redis')
    assert.equal(await ask(client, 'SET a 1'), 'OK')
    await ask(client, 'NSSET default dialect 0-db')
    assert.equal(await ask(client, 'SET a 2'), 'a')
    assert.equal(await ask(client, 'CLIENT DIALECT redis'), 'OK')
    assert.equal(await ask(client, 'SET a 3'), 'OK')
    assert.equal(
      await ask(client, 'CLIENT DIALECT french'),
      '-ERR Invalid argument (expected: auto, redis, 0-db)',
    )
    assert.equal(await ask(client, 'CLIENT DIALECT'), 'redis')
    const other = testClient(made, { server })
    assert.equal(await ask(other, 'SET a 4'), 'a', 'what one says concerns no other')
    assert.match(String(await ask(other, 'NSSET default dialect french')), /Invalid property value/)
  })

  it('leave sequential namespaces theirs: only the reply tells the key', async () => {
    const { client } = await connected('redis')
    await ask(client, 'NSNEW s')
    await ask(client, 'NSSET s mode seq')
    await ask(client, 'SELECT s')
    const key = (await client.ask('SET', '', 'value')) as Buffer
    assert.equal(key.byteLength, 8)
    assert.deepEqual(await client.ask('GET', key), Buffer.from('value'))
  })

  it('refuse MULTI, and run nothing of what came along with it', async () => {
    const { client, made } = await connected('redis')
    client.send('MULTI\r\nSET a 1\r\nDEL b\r\nEXEC\r\nSET c 3\r\n')
    made.endTick()
    while (client.replies.length < 5) await new Promise((resolve) => setImmediate(resolve))
    const words = client.replies.map((one) => String(shown(one)).split(' ')[0])
    assert.deepEqual(words, ['-ERR', '-EXECABORT', '-EXECABORT', '-EXECABORT', 'OK'])
    assert.equal(await ask(client, 'EXISTS a b'), 0)
    assert.match(String(await ask(client, 'MULTI')), /^-ERR MULTI is not supported/)
    assert.equal(await ask(client, 'SET d 4'), 'OK', 'who has read the refusal goes on')
  })

  it('give every error a code in redis’, whatever the command', async () => {
    const { client, server } = await connected('redis')
    const names = ['GET', 'SET', 'DEL', 'SCAN', 'SELECT', 'NSINFO', 'HISTORY', 'KSCAN', 'ROOT']
    for (const name of [...names, 'AUTH', 'MIRROR', 'DATA', 'INDEX', 'VERSIONS', 'REPLWAIT']) {
      for (const args of ['', ' x', ' x y', ' x y z', ' x y z u v w']) {
        const reply = await ask(client, `${name}${args}`)
        if (typeof reply === 'string' && reply.startsWith('-')) {
          assert.match(reply, /^-[A-Z]{2,} /, `${name}${args}`)
        }
      }
    }
    assert.isAbove(server.counts.commands, 50)
  })

  it('describe every command in ten entries, with where its keys are', async () => {
    for (const dialect of ['redis', '0-db'] as const) {
      const { client } = await connected(dialect)
      const commands = (await client.ask('COMMAND')) as Reply[][]
      assert.isAbove(commands.length, 40)
      for (const one of commands) assert.lengthOf(one, 10, String(shown(one[0] as Reply)))
      const [del] = shown(await client.ask('COMMAND', 'INFO', 'del')) as unknown[][]
      assert.deepEqual(del?.slice(3, 6), dialect === 'redis' ? [1, -1, 1] : [1, 1, 1])
    }
  })

  it('are the two ways in which INFO is written', async () => {
    const { client } = await connected('redis')
    await ask(client, 'SET a 1')
    const all = String(await ask(client, 'INFO'))
    for (const line of all.split('\r\n')) assert.match(line, /^$|^# [A-Z][a-z]+$|^[a-z0-9_]+:\S*/)
    assert.include(all, 'db0:keys=1,expires=0,avg_ttl=0')
    assert.notInclude(String(await ask(client, 'INFO server')), 'connected_clients')
    await ask(client, 'CLIENT DIALECT 0-db')
    assert.include(String(await ask(client, 'INFO')), 'sequential_key_size: 8')
  })
})
