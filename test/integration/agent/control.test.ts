/** The control protocol over real unix sockets: answers, errors, order, limits and what a kill leaves behind. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert } from 'chai'
import { codeOf, NodeError } from '../../../agent/base/errors.ts'
import { buildId } from '../../../agent/units/build.ts'
import {
  type ControlServer,
  connectControl,
  serveControl,
  type UnitMethods,
} from '../../../agent/units/control.ts'

const WAIT = { timeoutMs: 5000 }

/** What a killed process leaves: a socket on which nobody listens. */
function leaveDeadSocket(at: string): void {
  const program = `require('node:net').createServer().listen(${JSON.stringify(at)}, () => process.kill(process.pid, 'SIGKILL'))`
  spawnSync(process.execPath, ['-e', program])
  assert.isTrue(statSync(at).isSocket())
}

describe('control protocol', () => {
  let folder: string
  let path: string
  const servers: ControlServer[] = []

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'varve-control-'))
    path = join(folder, 'run', 'x.sock')
  })
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.stop().catch(() => undefined)
    rmSync(folder, { recursive: true, force: true })
  })

  async function serve(methods: Partial<UnitMethods<{ n: number }>> = {}): Promise<ControlServer> {
    const server = await serveControl<{ n: number }>({
      path,
      kind: 'store',
      name: 'store',
      methods: {
        configure: () => undefined,
        status: () => ({}),
        stop: () => undefined,
        ...methods,
      },
    })
    servers.push(server)
    return server
  }

  it('says what it is, on a socket that only its owner can open', async () => {
    await serve()
    const client = await connectControl(path)
    assert.deepEqual(await client.call('hello', {}, WAIT), {
      kind: 'store',
      name: 'store',
      pid: process.pid,
      build: buildId(),
    })
    assert.equal(statSync(path).mode & 0o777, 0o600)
    assert.equal(statSync(join(folder, 'run')).mode & 0o777, 0o700)
    client.close()
  })

  it('runs configurations one after another, and answers status in between', async () => {
    const seen: string[] = []
    const gate = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    await serve({
      configure: async ({ n }) => {
        seen.push(`begin ${n}`)
        begun.resolve()
        if (n === 1) await gate.promise
        seen.push(`end ${n}`)
      },
      status: () => ({ seen: [...seen] }),
    })
    const client = await connectControl(path)
    const first = client.call('configure', { n: 1 }, WAIT)
    const second = client.call('configure', { n: 2 }, WAIT)
    await begun.promise
    assert.deepEqual(await client.call('status', {}, WAIT), { seen: ['begin 1'] })
    gate.resolve()
    await Promise.all([first, second])
    assert.deepEqual(seen, ['begin 1', 'end 1', 'begin 2', 'end 2'])
    client.close()
  })

  it('carries code, message and hint of a failure, and goes on', async () => {
    let calls = 0
    await serve({
      configure: () => {
        if (++calls === 1) throw new NodeError('DISK_FULL', 'no room', { hint: 'buy a disk' })
      },
    })
    const client = await connectControl(path)
    const failure = await client.call('configure', {}, WAIT).catch((caught: unknown) => caught)
    assert.instanceOf(failure, NodeError)
    assert.deepInclude(failure as NodeError, {
      code: 'DISK_FULL',
      message: 'no room',
      hint: 'buy a disk',
    })
    await client.call('configure', {}, WAIT)
    client.close()
  })

  it('answers stop after draining, then closes and removes the socket', async () => {
    const order: string[] = []
    const server = await serve({ stop: () => void order.push('drained') })
    const client = await connectControl(path)
    await client.call('stop', {}, WAIT)
    order.push('answered')
    await server.closed
    await client.closed
    assert.deepEqual(order, ['drained', 'answered'])
    assert.equal(await codeOfFailure(connectControl(path)), 'CONTROL_UNREACHABLE')
  })

  it('refuses configuration while it drains', async () => {
    const gate = Promise.withResolvers<void>()
    await serve({ stop: () => gate.promise })
    const client = await connectControl(path)
    const stopped = client.call('stop', {}, WAIT)
    assert.equal(await codeOfFailure(client.call('configure', {}, WAIT)), 'UNIT_STOPPING')
    gate.resolve()
    await stopped
  })

  it('has no method but those declared', async () => {
    await serve({ calls: { echo: (params) => params } })
    const client = await connectControl(path)
    assert.deepEqual(await client.call('echo', { a: [1] }, WAIT), { a: [1] })
    for (const method of ['toString', '__proto__', 'nonsense']) {
      assert.equal(await codeOfFailure(client.call(method, {}, WAIT)), 'CONTROL_METHOD_UNKNOWN')
    }
    client.close()
  })

  it('replaces the socket of a killed unit, and leaves that of a living one', async () => {
    await serve()
    const second = serveControl({
      path,
      kind: 'store',
      name: 'store',
      methods: { configure: () => undefined, status: () => ({}), stop: () => undefined },
    })
    assert.equal(await codeOfFailure(second), 'CONTROL_ALREADY_RUNNING')

    const stale = join(folder, 'run', 'stale.sock')
    leaveDeadSocket(stale)
    path = stale
    await serve()
    const client = await connectControl(stale)
    await client.call('status', {}, WAIT)
    client.close()

    path = join(folder, 'run', 'not-a-socket')
    writeFileSync(path, 'kept')
    assert.equal(await codeOfFailure(serve()), 'CONTROL_ALREADY_RUNNING')
    assert.equal(readFileSync(path, 'utf8'), 'kept')
  })

  it('gives up on a silent unit when the time is over', async () => {
    const gate = Promise.withResolvers<object>()
    await serve({ status: () => gate.promise })
    const client = await connectControl(path)
    assert.equal(
      await codeOfFailure(client.call('status', {}, { timeoutMs: 20 })),
      'CONTROL_TIMEOUT',
    )
    await client.closed
    gate.resolve({})
  })

  it('cuts off whoever does not speak the protocol, and serves the others', async () => {
    await serve()
    const http = 'POST / HTTP/1.1\r\nHost: x\r\n\r\n{"id":1,"method":"stop"}\n'
    for (const garbage of [http, 'not json\n', '[1]\n', '{"id":"x","method":1}\n']) {
      const socket = connect(path)
      const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()))
      socket.on('error', () => undefined)
      socket.write(garbage)
      await ended
    }
    const client = await connectControl(path)
    await client.call('status', {}, WAIT)
    client.close()
  })

  it('says so when the path is longer than the kernel takes', async () => {
    path = join(folder, 'x'.repeat(120))
    assert.equal(await codeOfFailure(serve()), 'CONTROL_PATH_TOO_LONG')
  })
})

async function codeOfFailure(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(
    () => 'no failure',
    (caught: unknown) => codeOf(caught),
  )
}
