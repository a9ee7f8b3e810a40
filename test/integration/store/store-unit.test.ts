/** The store unit as a real process, seen by a volume through the peer socket. */

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert } from 'chai'
import { sharedSocket } from '../../../agent/adapters/process/run-sockets.ts'
import { codeOf } from '../../../agent/base/errors.ts'
import { account } from '../../../agent/base/ids.ts'
import {
  dialStore,
  namespaceConfig,
  peerStore,
  type StoreProcess,
  startStoreProcess,
  storeConfig,
} from '../../support/store-process.ts'

const writer = account(`0x${'11'.repeat(20)}`)
const reader = account(`0x${'22'.repeat(20)}`)
const stranger = account(`0x${'33'.repeat(20)}`)
const never = new AbortController().signal
const QUOTA_BYTES = 1024 * 1024
const key = (text: string) => Buffer.from(text)

async function codeIn(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise
  } catch (caught) {
    return codeOf(caught)
  }
  return undefined
}

/** Bytes of the files of a directory; one that goes meanwhile counts nothing. */
function bytesUnder(directory: string): number {
  const sizeOf = (name: string) =>
    statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0
  return readdirSync(directory).reduce((sum, name) => sum + sizeOf(name), 0)
}

describe('store unit', () => {
  let dataDir: string
  let unit: StoreProcess
  const open: { close(): void }[] = []
  const store = (who: typeof writer, name = 'o1.0') => {
    const made = peerStore(dataDir, who, name)
    open.push(made)
    return made
  }

  beforeEach(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'varve-store-'))
    unit = await startStoreProcess(dataDir)
    await unit.control(
      'configure',
      storeConfig([
        namespaceConfig('o1.0', { writers: [writer], readers: [reader] }),
        namespaceConfig('o2.0', { writers: [writer], maxBytes: QUOTA_BYTES }),
      ]),
    )
  })
  afterEach(async () => {
    for (const one of open.splice(0)) one.close()
    await unit.kill()
    rmSync(dataDir, { recursive: true })
  })

  it('keeps values of all sizes and gives them back whole or in part', async () => {
    const shards = store(writer)
    for (const size of [0, 1, 100, 4096, 65_536, 65_537, 1_048_576, 4_000_000]) {
      const value = randomBytes(size)
      await shards.put(key(`p${size}`), value, never)
      const whole = await shards.get(key(`p${size}`), never)
      assert.isTrue(value.equals(whole ?? Buffer.alloc(1)), `value of ${size} bytes`)
      const [from, length] = [Math.floor(size / 3), Math.floor(size / 2)]
      const part = await shards.getRange(key(`p${size}`), from, length, never)
      assert.isTrue(value.subarray(from, from + length).equals(part ?? Buffer.alloc(1)))
    }
  })

  it('answers undefined for a key that is not there', async () => {
    const shards = store(writer)
    assert.isUndefined(await shards.get(key('none'), never))
    const [one, other] = [Uint8Array.of(1), Uint8Array.of(2)]
    const taken = await Promise.all(
      [one, other].map((value) => shards.putNew(key('new'), value, never)),
    )
    assert.deepEqual(taken, [true, false])
    assert.isTrue(await shards.putNew(key('new'), one, never))
    assert.deepEqual([...(await shards.get(key('new'), never))!], [...one])
    await shards.delete(key('new'), never)
    assert.isUndefined(await shards.getRange(key('none'), 0, 10, never))
    assert.isUndefined(await shards.getRange(key('none'), 0, 0, never))
    await shards.delete(key('none'), never)
  })

  it('takes the same key and bytes again, and other bytes too', async () => {
    const shards = store(writer)
    await shards.put(key('a'), key('one'), never)
    await shards.put(key('a'), key('one'), never)
    await shards.put(key('a'), key('two'), never)
    assert.equal(Buffer.from((await shards.get(key('a'), never)) ?? []).toString(), 'two')
    await shards.delete(key('a'), never)
    assert.isUndefined(await shards.get(key('a'), never))
  })

  it('lists keys by prefix in order, page by page', async () => {
    const shards = store(writer)
    const names = Array.from({ length: 2500 }, (_, at) => `c${String(at * 7919).padStart(9, '0')}`)
    await Promise.all([...names, 'b', 'd'].map((name) => shards.put(key(name), key(name), never)))
    const all = await shards.list(key('c'), undefined, 5000, never)
    assert.deepEqual(
      all.map((one) => Buffer.from(one).toString()),
      names.sort(),
    )
    const some = await shards.list(key('c'), key(names[9] ?? ''), 3, never)
    assert.deepEqual(
      some.map((one) => Buffer.from(one).toString()),
      names.slice(10, 13),
    )
  })

  it('lets readers read only, and strangers nothing', async () => {
    await store(writer).put(key('a'), key('x'), never)
    assert.equal(Buffer.from((await store(reader).get(key('a'), never)) ?? []).toString(), 'x')
    assert.equal(await codeIn(store(reader).put(key('b'), key('x'), never)), 'STORE_REFUSED')
    assert.equal(await codeIn(store(reader).delete(key('a'), never)), 'STORE_REFUSED')
    assert.equal(await codeIn(store(stranger).get(key('a'), never)), 'STORE_REFUSED')
    assert.equal(await codeIn(store(writer, 'o9.0').get(key('a'), never)), 'STORE_REFUSED')
  })

  it('takes rights away while a peer is connected, and suspends', async () => {
    const shards = store(writer)
    await shards.put(key('a'), key('x'), never)
    await unit.control('configure', storeConfig([namespaceConfig('o1.0', { readers: [writer] })]))
    assert.equal(await codeIn(shards.put(key('b'), key('x'), never)), 'STORE_REFUSED')
    assert.isDefined(await shards.get(key('a'), never))
    await unit.control(
      'configure',
      storeConfig([namespaceConfig('o1.0', { writers: [writer], state: 'suspended' })]),
    )
    assert.equal(await codeIn(shards.get(key('a'), never)), 'STORE_REFUSED')
    await unit.control('configure', storeConfig([namespaceConfig('o1.0', { writers: [writer] })]))
    assert.isDefined(await shards.get(key('a'), never))
  })

  it('stops at the quota, counted in bytes on disk, and goes on reading', async () => {
    const shards = store(writer, 'o2.0')
    const value = randomBytes(100_000)
    let stored = 0
    let code: string | undefined
    for (; code === undefined; stored++)
      code = await codeIn(shards.put(key(`${stored}`), value, never))
    assert.equal(code, 'STORE_FULL')
    assert.equal(stored - 1, 10)
    assert.isDefined(await shards.get(key('0'), never))
  })

  it('does not let overwriting escape the quota, and gives the room of what was overwritten back', async () => {
    const shards = store(writer, 'o2.0')
    const value = randomBytes(100_000)
    let stored = 0
    // How many are refused before compaction has given room back is a matter of time.
    while (stored < 30) {
      value.writeUInt32LE(stored)
      const code = await codeIn(shards.put(key('same'), value, never))
      if (code === undefined) stored++
      else assert.equal(code, 'STORE_FULL')
      assert.isAtMost(
        bytesUnder(join(dataDir, 'store/ns/n-o2.0')),
        QUOTA_BYTES + 3 * value.byteLength,
      )
    }
    assert.isTrue(value.equals((await shards.get(key('same'), never)) ?? Buffer.alloc(1)))
  })

  it('leaves a namespace alone that the configuration forgets, and removes one that ended', async () => {
    await store(writer).put(key('a'), key('x'), never)
    await unit.control('configure', storeConfig([]))
    assert.isDefined(await store(writer).get(key('a'), never))
    await unit.control('configure', storeConfig([], ['o1.0']))
    assert.equal(await codeIn(store(writer).get(key('a'), never)), 'STORE_REFUSED')
  })

  it('loses nothing acknowledged when it is killed', async () => {
    const acknowledged = new Map<string, Buffer>()
    for (let round = 0; round < 4; round++) {
      const shards = peerStore(dataDir, writer, 'o1.0')
      let isAlive = true
      let started = 0
      const work = async () => {
        while (isAlive) {
          const name = `k${round}-${started++}`
          const value = randomBytes(1 + ((started * 7919) % 20_000))
          if ((await codeIn(shards.put(key(name), value, never))) !== undefined) break
          acknowledged.set(name, value)
        }
      }
      const workers = Array.from({ length: 16 }, work)
      const before = acknowledged.size
      while (acknowledged.size < before + 100 + round * 50) await new Promise(setImmediate)
      await unit.kill()
      isAlive = false
      await Promise.all(workers)
      shards.close()
      unit = await startStoreProcess(dataDir)
    }
    const shards = store(writer)
    for (const [name, value] of acknowledged) {
      const found = await shards.get(key(name), never)
      assert.isTrue(value.equals(found ?? Buffer.alloc(0)), name)
    }
  })

  it('knows its namespaces and rights again before the agent has told it', async () => {
    await store(writer).put(key('a'), key('x'), never)
    await unit.kill()
    unit = await startStoreProcess(dataDir)
    assert.isDefined(await store(writer).get(key('a'), never))
    assert.equal(await codeIn(store(stranger).get(key('a'), never)), 'STORE_REFUSED')
  })

  it('reconnects after the unit was gone', async () => {
    const shards = store(writer)
    await shards.put(key('a'), key('x'), never)
    await unit.kill()
    assert.equal(await codeIn(shards.get(key('a'), never)), 'STORE_UNREACHABLE')
    unit = await startStoreProcess(dataDir)
    let found: Uint8Array | undefined
    while (!found) found = await shards.get(key('a'), never).catch(() => undefined)
    assert.equal(Buffer.from(found).toString(), 'x')
  })

  it('gives up at once when the caller aborts, and goes on with the next request', async () => {
    const shards = store(writer)
    const abort = new AbortController()
    const asked = shards.put(key('a'), randomBytes(1_000_000), abort.signal)
    abort.abort(new DOMException('enough', 'AbortError'))
    try {
      await asked
      assert.fail('the request was aborted')
    } catch (caught) {
      assert.equal(caught, abort.signal.reason)
    }
    await shards.put(key('b'), key('x'), never)
    assert.isDefined(await shards.get(key('b'), never))
  })

  it('reports itself to the agent', async () => {
    await store(writer).put(key('a'), key('x'), never)
    const status = (await unit.control('status', {})) as {
      namespaces: { name: string; keys: number; dataBytes: number }[]
      freeBytes: number
    }
    const found = status.namespaces.find((one) => one.name === 'o1.0')
    assert.equal(found?.keys, 1)
    assert.equal(found?.dataBytes, 64 + 48)
    assert.isAbove(status.freeBytes, 0)
    const hello = (await unit.control('hello', {})) as { kind: string }
    assert.equal(hello.kind, 'store')
  })

  it('drains and ends when told to stop', async () => {
    const exited = once(unit.child, 'exit')
    const socket = await dialStore(dataDir, writer)
    await unit.control('stop', {})
    const [code] = await exited
    socket.destroy()
    assert.equal(code, 0)
    unit = await startStoreProcess(dataDir)
  })

  it('cuts off who does not say who it is', async () => {
    const socket = await dialStore(dataDir, writer)
    socket.destroy()
    const { connect } = await import('node:net')
    const rude = connect(sharedSocket(dataDir, 'store/peer').path)
    rude.write('PING\r\n')
    rude.resume()
    await once(rude, 'close')
  })
})
