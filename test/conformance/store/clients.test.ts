/** Ordinary redis clients, half-closed, silent and hostile ones, on the stand-alone store, over each way to serve sockets. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert } from 'chai'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { codeOf } from '../../../agent/base/errors.ts'
import { type StandAlone, startStandAlone } from '../../../agent/units/store/index.ts'
import { silentLog } from '../../support/log-store.ts'
import { hasTransport } from '../../support/transports.ts'

/** Writes large values and asks for them without end, on many connections. */
const ABRUPT_CLIENT = `
const { connect } = require('node:net')
const value = 'v'.repeat(300000)
let replies = 0
for (let at = 0; at < 20; at++) {
  const socket = connect(process.argv[1])
  const ask = () => socket.write('*3\\r\\n$3\\r\\nSET\\r\\n$1\\r\\n' + (at % 10) + '\\r\\n$300000\\r\\n' + value + '\\r\\nGET ' + (at % 10) + '\\r\\n', ask)
  socket.on('data', () => { if (++replies === 50) console.log('busy') })
  ask()
}`

for (const sockets of ['libuv', 'uring'] as const) {
  describe(`the stand-alone store and its clients over ${sockets}`, () => {
    before(function () {
      if (!hasTransport(sockets)) this.skip()
    })

    let directory: string
    let unix: string
    let store: StandAlone
    const start = (adminPassword?: string) =>
      startStandAlone({
        data: join(directory, 'data'),
        host: '127.0.0.1',
        port: 0,
        unix,
        mode: 'mixed',
        adminPassword: adminPassword === undefined ? undefined : Buffer.from(adminPassword),
        store: { sync: 'group' },
        sockets,
        log: silentLog,
      })
    beforeEach(async () => {
      directory = mkdtempSync(join(tmpdir(), 'varve-clients-'))
      unix = join(directory, 's.sock')
      store = await start()
    })
    afterEach(async () => {
      await store.stop()
      rmSync(directory, { recursive: true })
    })

    it('serves ioredis', async () => {
      const client = new Redis({ path: unix })
      await client.set('a', 'one')
      assert.equal(await client.get('a'), 'one')
      await client.mset('b', '2', 'c', '3')
      assert.deepEqual(await client.mget('a', 'b', 'none'), ['one', '2', null])
      assert.equal(await client.getrange('a', 1, 2), 'ne')
      assert.equal(await client.unlink('b', 'none'), 1)
      const keys: string[] = []
      for await (const page of client.scanStream({ match: '[ac]', count: 1 })) keys.push(...page)
      assert.deepEqual(keys.sort(), ['a', 'c'])
      const replies = await client.pipeline().set('p', 'x').get('p').exists('p').exec()
      assert.deepEqual(
        replies?.map(([, reply]) => reply),
        ['OK', 'x', 1],
      )
      await client.quit()
    })

    for (const protocol of [2, 3] as const) {
      it(`serves node-redis over RESP${protocol}`, async () => {
        const client = createClient({ socket: { path: unix, tls: false }, RESP: protocol })
        await client.connect()
        await client.set('a', 'one')
        assert.equal(await client.get('a'), 'one')
        assert.isNull(await client.get('none'))
        assert.equal(await client.strLen('a'), 3)
        const found: string[] = []
        for await (const page of client.scanIterator()) found.push(...page)
        assert.deepEqual(found, ['a'])
        await client.close()
      })
    }

    it('makes an admin of who knows the password, by any way of saying it', async () => {
      await store.stop()
      store = await start('secret')
      const client = new Redis({ path: unix, password: 'secret' })
      assert.equal(await client.call('NSNEW', 'made'), 'OK')
      await client.quit()
      const guest = new Redis({ path: unix })
      try {
        await guest.call('NSNEW', 'other')
        assert.fail('a guest makes no namespaces')
      } catch (caught) {
        assert.match(String(caught), /Permission denied/)
      }
      await guest.quit()
    })

    it('answers who has closed its side, and then closes', async () => {
      const socket = connect({ path: unix, allowHalfOpen: true })
      const text: Buffer[] = []
      socket.on('data', (data: Buffer) => text.push(data))
      socket.end('*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\nGET a\r\n')
      await once(socket, 'end')
      socket.destroy()
      assert.equal(Buffer.concat(text).toString(), '$1\r\na\r\n$1\r\nb\r\n')
    })

    it('keeps two thousand silent connections for little, and serves beside them', async () => {
      const before = process.memoryUsage().rss
      const silent: Socket[] = []
      for (let at = 0; at < 2000; at++) {
        const socket = connect(unix)
        await once(socket, 'connect')
        silent.push(socket)
      }
      const client = new Redis({ path: unix })
      assert.equal(await client.ping(), 'PONG')
      const grown = process.memoryUsage().rss - before
      assert.isBelow(grown / silent.length, 64 * 1024, 'bytes a connection, both ends of it')
      await client.quit()
      for (const socket of silent) socket.destroy()
    })

    it('tells who sends garbage, and lets go of him when he ends', async () => {
      const socket = connect({ path: unix, allowHalfOpen: true })
      const text: Buffer[] = []
      socket.on('data', (data: Buffer) => text.push(data))
      socket.write('GET none\r\n')
      socket.end(Buffer.alloc(1024 * 1024, '*x'))
      await once(socket, 'end')
      assert.match(Buffer.concat(text).toString(), /^\$-1\r\n-ERR Protocol error: .*\r\n$/)
      socket.destroy()
      const client = new Redis({ path: unix })
      assert.equal(await client.ping(), 'PONG')
      await client.quit()
    })

    it('holds back who asks without reading, and answers all of it in the end', async () => {
      const client = new Redis({ path: unix })
      await client.set('large', Buffer.alloc(1024 * 1024, 'x'))
      const socket = connect({ path: unix })
      socket.pause()
      const asked = 100
      socket.write('GET large\r\n'.repeat(asked))
      await once(socket, 'connect')
      assert.equal(await client.get('none'), null)
      let bytes = 0
      socket.on('data', (data: Buffer) => {
        bytes += data.byteLength
        if (bytes === asked * (1024 * 1024 + 12)) socket.end()
      })
      socket.resume()
      await once(socket, 'close')
      assert.equal(bytes, asked * (1024 * 1024 + 12))
      await client.quit()
    })

    it('survives clients that are killed in the middle of everything', async () => {
      for (let at = 0; at < 5; at++) {
        const child = spawn(process.execPath, ['-e', ABRUPT_CLIENT, unix], {
          stdio: ['ignore', 'pipe', 'inherit'],
        })
        await once(child.stdout, 'data')
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
      const client = new Redis({ path: unix })
      assert.equal(await client.ping(), 'PONG')
      await client.quit()
    })

    it('keeps a second process out of its directory', async () => {
      try {
        await start()
        assert.fail('the directory is in use')
      } catch (caught) {
        assert.equal(codeOf(caught), 'DISK_LOCKED')
      }
    })

    it('keeps properties over a restart, the password only as a hash', async () => {
      const client = new Redis({ path: unix })
      await client.call('NSNEW', 'kept')
      await client.call('NSSET', 'kept', 'password', 'secret')
      await client.call('NSSET', 'kept', 'public', '0')
      await client.call('NSSET', 'kept', 'maxsize', '12345')
      await client.call('NSSET', 'kept', 'lock', '1')
      await client.quit()
      await store.stop()
      store = await start()
      const again = new Redis({ path: unix })
      const info = String(await again.call('NSINFO', 'kept'))
      assert.match(info, /public: no/)
      assert.match(info, /locked: yes/)
      assert.match(info, /data_limits_bytes: 12345/)
      for (const wrong of [[], ['other']]) {
        const refused = await again
          .call('SELECT', 'kept', ...wrong)
          .catch((caught) => String(caught))
        assert.match(String(refused), /denied|private/)
      }
      assert.equal(await again.call('SELECT', 'kept', 'secret'), 'OK')
      await again.quit()
    })
  })
}
