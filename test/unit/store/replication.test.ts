/** Replicas of a namespace: catching up, keeping up, what compaction took, roots, divergence, and what a primary says of them. */
import { assert } from 'chai'
import { type Reply, ReplyError } from '../../../agent/adapters/socket/resp-reply-reader.ts'
import { systemClock } from '../../../agent/adapters/time/system-clock.ts'
import { RespServer, StoreReplica } from '../../../agent/engines/store/index.ts'
import type { LogStoreInit } from '../../../agent/engines/store/store.ts'
import { openTestStore, type TestStore, testClient } from '../../support/log-store.ts'
import { type MemoryPrimary, memoryPrimary } from '../../support/memory-primary.ts'
import { seededChance } from '../../support/seeded-chance.ts'

const TURNS_MAX = 20_000

interface Side {
  readonly made: TestStore
  readonly server: RespServer
  ask(...args: (string | Uint8Array)[]): Promise<Reply>
}

interface ReplicaSide extends Side {
  readonly replica: StoreReplica
}

async function side(made: TestStore, replica?: StoreReplica): Promise<Side> {
  const server = new RespServer(made.store, replica ? { replica } : {})
  const client = testClient(made, { server })
  return { made, server, ask: client.ask }
}

async function primarySide(
  properties = {},
  init: LogStoreInit = {},
  ports: Parameters<typeof openTestStore>[2] = {},
): Promise<Side> {
  const made = await openTestStore({ segmentBytes: 16_384, ...init }, undefined, ports)
  await made.store.create('a', properties)
  const one = await side(made)
  await one.ask('SELECT', 'a')
  return one
}

async function replicaSide(
  dialer: MemoryPrimary,
  options: { readonly namespace?: string; readonly made?: TestStore; password?: string } = {},
): Promise<ReplicaSide> {
  const made = options.made ?? (await openTestStore({ segmentBytes: 8192 }))
  const replica = new StoreReplica({
    store: made.store,
    dialer,
    primary: 'memory:1',
    namespace: options.namespace,
    password: options.password === undefined ? undefined : Buffer.from(options.password),
    name: 'copy',
  })
  replica.start()
  return { ...(await side(made, replica)), replica }
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < TURNS_MAX; turn++) {
    if (isSo()) return
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.fail(`${what} does not come`)
}

const acknowledged = (primary: Side, name = 'a') =>
  primary.server.followers.of(primary.made.store.namespace(name))[0]?.acknowledged ?? -1

const isEven = (primary: Side, name = 'a') =>
  acknowledged(primary, name) === primary.made.store.namespace(name).log.appended

function contentOf(one: Side, name = 'a'): Record<string, string> {
  const { log } = one.made.store.namespace(name)
  const found: Record<string, string> = {}
  for (let entry = log.index.nextEntry(0); entry >= 0; entry = log.index.nextEntry(entry + 1)) {
    if (log.index.isDeleted(entry)) continue
    const slack = log.records.readSlackBytes(entry)
    const into = Buffer.alloc(slack + log.index.valueBytesOf(entry))
    log.records.read(entry, into, slack)
    const time = log.records.timeOf(entry)
    found[Buffer.from(log.index.keyOf(entry)).toString('latin1')] =
      `${time}:${into.toString('latin1', slack)}`
  }
  return found
}

describe('a replica', () => {
  for (const isProvable of [false, true]) {
    const how = isProvable ? 'provable' : 'plain'

    it(`gets what was there and what comes, and acknowledges it (${how})`, async () => {
      const primary = await primarySide({ isProvable })
      for (let n = 0; n < 200; n++) await primary.ask('SET', `k${n % 50}`, `${n}`.repeat(50))
      await primary.ask('DEL', 'k3')
      const copy = await replicaSide(memoryPrimary(primary.server), { namespace: 'a' })
      await until('the copy of what was there', () => isEven(primary))
      await primary.ask('SET', 'live', 'x')
      await primary.ask('SET', 'large', Buffer.alloc(3_000_000, 7))
      await until('the copy of what came', () => isEven(primary))
      assert.deepEqual(contentOf(copy), contentOf(primary))
      assert.equal(copy.made.store.namespace('a').log.appended, 203)
      if (isProvable) {
        await copy.ask('SELECT', 'a')
        assert.deepEqual(await copy.ask('ROOT'), await primary.ask('ROOT'))
      }
      await copy.replica.close()
    })

    it(`gets the compacted log, also while it is compacted, and keeps the roots (${how})`, async () => {
      const primary = await primarySide({ isProvable, historySeconds: 0 })
      const dialer = memoryPrimary(primary.server)
      for (let n = 0; n < 600; n++) await primary.ask('SET', `k${n % 7}`, `${n}`.repeat(60))
      await primary.ask('COMPACT')
      const copy = await replicaSide(dialer, { namespace: 'a' })
      for (let n = 0; n < 300; n++) {
        await primary.ask('SET', `k${n % 5}`, `${n}`.repeat(100))
        if (n % 40 === 0) await primary.ask('COMPACT')
        if (n % 90 === 0) dialer.cut()
      }
      await primary.ask('DEL', 'k1')
      await primary.ask('COMPACT')
      await until('the copy', () => isEven(primary))
      assert.deepEqual(contentOf(copy), contentOf(primary))
      if (isProvable) {
        await primary.ask('SET', 'last', 'x')
        await until('the copy', () => isEven(primary))
        await copy.ask('SELECT', 'a')
        assert.deepEqual(await copy.ask('ROOT'), await primary.ask('ROOT'))
        assert.deepEqual(await copy.ask('ROOT', '300'), await primary.ask('ROOT', '300'))
      }
      await copy.replica.close()
    })
  }

  it('starts where it was after a restart, and takes nothing twice', async () => {
    const primary = await primarySide({ isProvable: true, historySeconds: 0 })
    const dialer = memoryPrimary(primary.server)
    for (let n = 0; n < 300; n++) await primary.ask('SET', `k${n % 9}`, `${n}`)
    const first = await replicaSide(dialer, { namespace: 'a' })
    await until('the copy', () => isEven(primary))
    await first.replica.close()
    await first.made.store.close()
    for (let n = 0; n < 300; n++) await primary.ask('SET', `k${n % 9}`, `${n}!`)
    await primary.ask('COMPACT')
    await primary.ask('SET', 'last', 'x')
    const made = await openTestStore({ segmentBytes: 8192 }, first.made.disk)
    const again = await replicaSide(dialer, { namespace: 'a', made })
    await until('the copy', () => isEven(primary))
    assert.deepEqual(contentOf(again), contentOf(primary))
    await again.ask('SELECT', 'a')
    assert.deepEqual(await again.ask('ROOT'), await primary.ask('ROOT'))
    await again.replica.close()
  })

  it('of a whole store takes every namespace, with its properties, and those that come', async () => {
    const primary = await primarySide({ isPublic: false })
    await primary.ask('NSSET', 'a', 'password', 'secret')
    await primary.ask('SELECT', 'a', 'secret')
    await primary.ask('SET', 'x', '1')
    await primary.made.store.create('b', { mode: 'seq', maxBytes: 1_000_000 })
    const copy = await replicaSide(memoryPrimary(primary.server))
    await until('both copies', () => copy.made.store.namespaces.size === 2)
    await primary.made.store.create('late', { worm: true })
    await until('the third', () => copy.made.store.namespaces.has('late'))
    await until('the record', () => isEven(primary))
    assert.equal(copy.made.store.namespace('b').properties.mode, 'seq')
    assert.isTrue(copy.made.store.namespace('late').properties.worm)
    assert.deepEqual(await copy.ask('SELECT', 'a', 'secret'), 'OK')
    await primary.ask('NSSET', 'a', 'maxsize', '12345678')
    await until(
      'the property',
      () => copy.made.store.namespace('a').properties.maxBytes === 12_345_678,
    )
    // What is missing over there is no order to remove it here.
    await primary.made.store.remove('late')
    assert.isTrue(copy.made.store.namespaces.has('late'))
    await copy.replica.close()
  })

  it('takes no writes of its own until it is promoted, and then is no copy any more', async () => {
    const primary = await primarySide()
    const dialer = memoryPrimary(primary.server)
    await primary.ask('SET', 'x', '1')
    const copy = await replicaSide(dialer, { namespace: 'a' })
    await until('the copy', () => isEven(primary))
    await copy.ask('SELECT', 'a')
    for (const words of [
      ['SET', 'y', '2'],
      ['DEL', 'x'],
      ['NSSET', 'a', 'worm', '1'],
    ]) {
      assert.match(await refusalOf(copy, words), /^READONLY/)
    }
    assert.match(String(await copy.ask('INFO')), /role:slave/)
    assert.equal(await copy.ask('REPLICAOF', 'NO', 'ONE'), 'OK')
    assert.match(String(await copy.ask('INFO')), /role:master/)
    assert.deepEqual(await copy.ask('SET', 'y', '2'), Buffer.from('y'))
  })

  it('that was promoted is followed by its old primary only if that has nothing more', async () => {
    const primary = await primarySide()
    await primary.ask('SET', 'x', '1')
    const copy = await replicaSide(memoryPrimary(primary.server), { namespace: 'a' })
    await until('the copy', () => isEven(primary))
    await copy.ask('REPLICAOF', 'NO', 'ONE')
    await copy.ask('SELECT', 'a')
    await copy.ask('SET', 'y', '2')
    const back = await replicaSide(memoryPrimary(copy.server), {
      namespace: 'a',
      made: primary.made,
    })
    await until('the old primary', () => isEven(copy))
    assert.deepEqual(contentOf(back), contentOf(copy))
    await back.replica.promote()

    await copy.ask('SET', 'y', '3')
    await back.ask('SELECT', 'a')
    await back.ask('SET', 'z', 'only here')
    const torn = await replicaSide(memoryPrimary(copy.server), { namespace: 'a', made: back.made })
    await until('the refusal', () => torn.replica.facts()[0]?.state === 'diverged')
    assert.match(torn.replica.facts()[0]?.problem ?? '', /LOG_REPLICA_DIVERGED/)
    assert.property(contentOf(torn), 'z', 'it keeps its data')
  })

  it('of another log is refused', async () => {
    const primary = await primarySide()
    await primary.ask('SET', 'x', '1')
    const made = await openTestStore({}, undefined, { chance: seededChance(77) })
    await made.store.create('a')
    const own = await side(made)
    await own.ask('SELECT', 'a')
    await own.ask('SET', 'x', '1')
    const copy = await replicaSide(memoryPrimary(primary.server), { namespace: 'a', made })
    await until('the refusal', () => copy.replica.facts()[0]?.state === 'diverged')
  })

  for (const isProvable of [false, true]) {
    it(`of which a record was changed on the sly is refused (${isProvable ? 'by root' : 'by record'})`, async () => {
      const primary = await primarySide({ isProvable })
      const dialer = memoryPrimary(primary.server)
      await primary.ask('SET', 'x', '1')
      await primary.ask('SET', 'y', '1')
      const copy = await replicaSide(dialer, { namespace: 'a' })
      await until('the copy', () => isEven(primary))
      await copy.replica.close()
      // As if it had been restored from somewhere: the same names, another record.
      const { properties } = copy.made.store.namespace('a')
      await copy.made.store.remove('a')
      const fake = await copy.made.store.create('a', { ...properties, isReplica: false })
      const put = (key: string, value: string) =>
        fake.set(Buffer.from(key), 0, 1, Buffer.from(value), 0, 1, 1_700_000_000)
      put('x', '1')
      put('y', '2')
      const torn = await replicaSide(dialer, { namespace: 'a', made: copy.made })
      await until('the refusal', () => torn.replica.facts()[0]?.state === 'diverged')
      assert.include(contentOf(torn), { y: '1700000000:2' })
    })
  }

  it('that is slow holds little memory of the primary, and is caught up from disk', async () => {
    const primary = await primarySide({}, { segmentBytes: 1 << 20 })
    const dialer = memoryPrimary(primary.server)
    const copy = await replicaSide(dialer, { namespace: 'a' })
    await until('the connection', () => acknowledged(primary) === 0)
    dialer.isStalled = true
    for (let n = 0; n < 64; n++) await primary.ask('SET', `k${n}`, Buffer.alloc(200_000, n))
    assert.isBelow(dialer.waitingBytes, 2 << 20)
    dialer.isStalled = false
    await until('the copy', () => isEven(primary))
    assert.deepEqual(contentOf(copy), contentOf(primary))
    await copy.replica.close()
  })

  it('logs in with the password of the primary, and is refused without', async () => {
    const primary = await primarySide()
    await primary.ask('SET', 'x', '1')
    const guarded = new RespServer(primary.made.store, { adminPassword: Buffer.from('pw') })
    const dialer = memoryPrimary(guarded, { kind: 'guest' })
    const wrong = await replicaSide(dialer, { namespace: 'a', password: 'no' })
    await until('the refusal', () => /Access denied/.test(wrong.replica.facts()[0]?.problem ?? ''))
    await wrong.replica.close()
    const right = await replicaSide(dialer, { namespace: 'a', password: 'pw' })
    await until('the copy', () => right.replica.facts()[0]?.position === 1)
    await right.replica.close()
  })

  it('is not sent what its primary could lose', async () => {
    const primary = await primarySide({ sync: 'never' })
    const copy = await replicaSide(memoryPrimary(primary.server), { namespace: 'a' })
    await until('the connection', () => copy.made.store.namespaces.has('a'))
    const { log } = primary.made.store.namespace('a')
    primary.ask('SET', 'x', '1')
    assert.isTrue(log.isDirty)
    assert.equal(copy.made.store.namespace('a').log.appended, 0)
    await until('the copy', () => isEven(primary))
    assert.equal(log.durable, 1)
    await copy.replica.close()
  })

  it('is stopped at damage of the primary and does not pass over it', async () => {
    const primary = await primarySide()
    for (let n = 0; n < 4; n++) await primary.ask('SET', `k${n}`, 'v'.repeat(1000))
    const file = primary.made.disk.files().find((one) => one.path.endsWith('.seg'))
    primary.made.disk.flipBit(file?.path ?? '', 64 + 2 * 1048 + 500, 3)
    const copy = await replicaSide(memoryPrimary(primary.server), { namespace: 'a' })
    await until('the problem', () => /CORRUPT/.test(copy.replica.facts()[0]?.problem ?? ''))
    await copy.replica.close()
    assert.deepEqual(Object.keys(contentOf(copy)), [])
  })
})

describe('REPLWAIT', () => {
  it('tells how many replicas have everything, once it is so many or the time is over', async () => {
    const primary = await primarySide({ sync: 'group' }, {}, { clock: systemClock() })
    await primary.ask('SET', 'x', '1')
    assert.equal(await primary.ask('REPLWAIT', '1', '100'), 0)
    const copies = [1, 2].map(() => replicaSide(memoryPrimary(primary.server), { namespace: 'a' }))
    const open = await Promise.all(copies)
    await until('both', () => primary.server.followers.all.size === 2)
    await primary.ask('SET', 'x', '2')
    assert.equal(await primary.ask('REPLWAIT', '2', '0'), 2)
    const info = String(await primary.ask('INFO'))
    assert.match(info, /connected_slaves:2/)
    assert.match(info, /slave0:name=copy,addr=replica,namespace=a,offset=2,lag_records=0,lag_ms=0/)
    assert.match(String(await primary.ask('NSINFO', 'a')), /replicas: 2\nreplicas_records_min: 2\n/)
    for (const one of open) await one.replica.close()
  })
})

async function refusalOf(one: Side, words: readonly string[]): Promise<string> {
  const reply = await one.ask(...words)
  return reply instanceof ReplyError ? reply.words : 'no error'
}
