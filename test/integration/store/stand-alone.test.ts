/** The stand-alone store from outside: to whom it is open, what it leaves when it cannot start, and programs of redis that use it. */
import { strict as assert } from 'node:assert'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { codeOf } from '../../../agent/base/errors.ts'
import { type StandAloneInit, startStandAlone } from '../../../agent/units/store/index.ts'
import { silentLog } from '../../support/log-store.ts'

const AGENT = new URL('../../../agent/main.ts', import.meta.url).pathname
const outside = Object.values(networkInterfaces())
  .flat()
  .find((one) => one && !one.internal && one.family === 'IPv4')?.address

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address ? address.port : 0
}

/** Sends one line and gives the first line of the answer; `closed` where there is none. */
function say(to: { host: string; port: number } | { path: string }, line: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const socket = connect(to)
  socket.on('error', reject)
  socket.once('data', (data) => {
    resolve(data.toString().split('\r\n')[0] ?? '')
    socket.destroy()
  })
  socket.once('close', () => resolve('closed'))
  socket.write(`${line}\r\n`)
  return promise
}

describe('a stand-alone store', () => {
  let folder: string
  let port: number
  const children: ChildProcess[] = []

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'varve-alone-'))
    port = await freePort()
  })
  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    rmSync(folder, { recursive: true, force: true })
  })

  const start = (init: Partial<StandAloneInit> = {}) =>
    startStandAlone({
      data: join(folder, 'data'),
      host: 'localhost',
      port,
      unix: undefined,
      mode: 'mixed',
      adminPassword: undefined,
      store: {},
      log: silentLog,
      ...init,
    })

  /** The program itself. @returns What it printed up to where it listens. */
  async function run(command: readonly string[], args: readonly string[]): Promise<string[]> {
    const [program = '', ...first] = command
    const data = ['store', '--data', join(folder, 'data'), '--port', String(port)]
    const child = spawn(program, [...first, AGENT, ...data, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    children.push(child)
    const lines: string[] = []
    for await (const line of createInterface({ input: child.stdout })) {
      lines.push(line)
      if (line.startsWith('listening on')) break
    }
    child.stdout.resume()
    return lines
  }

  it('listens to this machine alone unless it is told otherwise, and says what is open to whom', async () => {
    const lines = await run([process.execPath], [])
    assert.match(lines[0] ?? '', /open to this machine alone; every program .* is administrator/)
    assert.equal(await say({ host: '127.0.0.1', port }, 'NSNEW a'), '+OK')
    if (outside === undefined) return
    await assert.rejects(say({ host: outside, port }, 'PING'))
  })

  it('has no administrator from elsewhere without a password', async function () {
    if (outside === undefined) return this.skip()
    const running = await start({ host: '0.0.0.0' })
    try {
      assert.match(running.access[0] ?? '', /whoever reaches 0.0.0.0.*nobody from elsewhere/)
      assert.equal(await say({ host: outside, port }, 'NSNEW a'), '-Permission denied')
      assert.equal(await say({ host: outside, port }, 'STOP'), '-Permission denied')
      assert.equal(await say({ host: outside, port }, 'AUTH x'), '-Authentication disabled')
      assert.equal(await say({ host: '127.0.0.1', port }, 'NSNEW a'), '+OK')
    } finally {
      await running.stop()
    }
  })

  it('cuts off a browser that posts commands', async () => {
    const running = await start()
    try {
      const request = 'POST / HTTP/1.1\r\nHost: x\r\n\r\nNSNEW hacked\r\n'
      assert.equal(await say({ host: '127.0.0.1', port }, request), 'closed')
      assert.equal(await say({ host: '127.0.0.1', port }, 'NSINFO hacked'), '-Namespace not found')
    } finally {
      await running.stop()
    }
  })

  it('makes its unix socket for this user alone, whatever the mask, and replaces nothing but a dead one', async () => {
    const unix = join(folder, 's.sock')
    writeFileSync(unix, 'precious')
    assert.equal(await start({ unix }).catch(codeOf), 'SOCKET_PATH_TAKEN')
    assert.equal(readFileSync(unix, 'utf8'), 'precious')
    rmSync(unix)

    // The mode is looked at inside the call that makes the socket, before anything else can run.
    const modes: number[] = []
    const { listen } = createServer().constructor.prototype
    const proto = createServer().constructor.prototype as { listen: unknown }
    proto.listen = function (this: unknown, ...args: unknown[]) {
      const made = Reflect.apply(listen, this, args)
      if (existsSync(unix)) modes.push(statSync(unix).mode & 0o777)
      return made
    }
    const mask = process.umask(0)
    try {
      const running = await start({ unix })
      assert.deepEqual(modes, [0o600])
      assert.equal(
        await start({ unix, data: join(folder, 'other'), port: 0 }).catch(codeOf),
        'SOCKET_PATH_TAKEN',
      )
      assert.equal(await say({ path: unix }, 'PING'), '+PONG')
      await running.stop()
      assert.equal(existsSync(unix), false)
    } finally {
      process.umask(mask)
      proto.listen = listen
    }
  })

  it('leaves nothing open when a step of its start fails', async () => {
    const taken = createServer().listen(port, '127.0.0.1')
    await once(taken, 'listening')
    const unix = join(folder, 's.sock')
    assert.equal(await start({ unix }).catch(codeOf), 'EADDRINUSE')
    taken.close()
    writeFileSync(unix, 'not a socket')
    assert.equal(await start({ unix }).catch(codeOf), 'SOCKET_PATH_TAKEN')
    await assert.rejects(say({ host: '127.0.0.1', port }, 'PING'), 'the port is free again')
    const running = await start()
    assert.equal(await say({ host: '127.0.0.1', port }, 'PING'), '+PONG')
    await running.stop()
  })

  it('ends with an error where it cannot start, instead of hanging', async () => {
    const unix = join(folder, 's.sock')
    writeFileSync(unix, 'not a socket')
    await run([process.execPath], ['--unix', unix])
    const [child] = children
    if (child?.exitCode === null) await once(child, 'exit')
    assert.equal(child?.exitCode, 1)
  })

  it('refuses connections before its descriptors run out, and serves those it has', async () => {
    await run(
      ['sh', '-c', 'ulimit -n 256; exec "$0" "$@"', process.execPath],
      ['--sockets', 'libuv'],
    )
    const sockets: Socket[] = []
    const answers: string[] = []
    for (let at = 0; at < 250; at++) {
      const socket = connect({ host: '127.0.0.1', port })
      socket.on('error', () => undefined)
      socket.write('SET k v\r\n')
      sockets.push(socket)
      answers.push(String((await Promise.race([once(socket, 'data'), once(socket, 'close')]))[0]))
    }
    const served = answers.filter((one) => /^\$1\r\nk|^\$-1/.test(one)).length
    assert.equal(served, 192)
    assert.equal(answers.filter((one) => one.includes('max number of clients')).length, 58)
    const [first] = sockets
    first?.write('NSNEW more\r\n')
    const [reply] = first ? await once(first, 'data') : ['']
    assert.equal(String(reply), '+OK\r\n', 'files can still be made')
    for (const socket of sockets) socket.destroy()
    while (!(await say({ host: '127.0.0.1', port }, 'PING')).startsWith('+PONG')) {
      // Those that were let go of are about to be free.
    }
  })

  it('gives redis-cli what it expects', async function () {
    if (spawnSync('redis-cli', ['--version']).status !== 0) return this.skip()
    await run([process.execPath], ['--dialect', 'redis'])
    const cli = (...args: string[]) =>
      spawnSync('redis-cli', ['-p', String(port), ...args], { encoding: 'utf8' }).stdout.trim()
    assert.equal(cli('set', 'a', '1'), 'OK')
    assert.equal(cli('-3', 'set', 'b', '2'), 'OK')
    assert.equal(cli('del', 'a', 'b', 'none'), '2')
    assert.match(cli('expire', 'a', '10'), /^ERR EXPIRE is not supported/)
    assert.match(cli('info', 'server'), /redis_version:7/)
  })

  it('gives redis-py what it expects', async function () {
    if (spawnSync('python3', ['-c', 'import redis']).status !== 0) return this.skip()
    await run([process.execPath], [])
    const program = `
import redis
major = int(redis.__version__.split('.')[0])
for protocol in ((2, 3) if major >= 5 else (None,)):
    r = redis.Redis(port=${port}, client_name='x', **({'protocol': protocol} if protocol else {}))
    assert r.set('a', '1') is True and r.set('a', '1') is True
    assert r.set('a', '2', nx=True) is None
    assert r.get('a') == b'1'
    assert r.mset({'b': '2', 'c': '3'}) and r.mget('a', 'b', 'none') == [b'1', b'2', None]
    assert r.delete('a', 'b', 'none') == 2 and r.exists('a', 'c') == 1
    assert r.client_info()['db'] in (0, '0') and r.client_getname() in ('x', b'x')
    assert r.ttl('c') == -1 and r.dbsize() == 1 and r.info()['redis_version'] == '7.0.0'
    assert list(r.scan_iter('c*')) == [b'c']
    if major >= 5: assert r.command()['get']['arity'] == 2
    try: r.expire('c', 10); raise SystemExit('expire was accepted')
    except redis.ResponseError as e: assert 'do not expire' in str(e)
    p = r.pipeline(transaction=True); p.set('t', '1'); p.set('u', '2')
    try: p.execute(); raise SystemExit('a transaction was accepted')
    except redis.RedisError: pass
    assert r.exists('t', 'u') == 0
    q = r.pipeline(transaction=False); q.set('t', '1'); q.get('t'); assert q.execute() == [True, b'1']
    r.delete('t', 'c')
`
    const ran = spawnSync('python3', ['-c', program], { encoding: 'utf8' })
    assert.equal(ran.status, 0, ran.stderr)
  })
})
