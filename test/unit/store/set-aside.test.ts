/** A namespace that cannot be opened, and steps that fail half-way: the others are served, and nothing half done is left. */
import { assert } from 'chai'
import { type Reply, ReplyError } from '../../../agent/adapters/socket/resp-reply-reader.ts'
import { codeOf, NodeError } from '../../../agent/base/errors.ts'
import { RespServer } from '../../../agent/engines/store/index.ts'
import { type FaultDisk, faultDisk } from '../../support/fault-disk.ts'
import { openTestStore, testClient } from '../../support/log-store.ts'
import { seededChance } from '../../support/seeded-chance.ts'

const words = (reply: Reply) => (reply instanceof ReplyError ? reply.words : String(reply))

/** A store with two namespaces, one of which lost both files of its properties. */
async function withLostProperties(): Promise<FaultDisk> {
  const disk = faultDisk(seededChance(1))
  const made = await openTestStore({}, disk)
  await made.store.create('default')
  await made.store.create('lost', { mode: 'user' })
  await made.store.create('good')
  const client = testClient(made)
  for (const name of ['lost', 'good']) {
    await client.ask('SELECT', name)
    await client.ask('SET', 'key', `of ${name}`)
  }
  await made.store.close()
  disk.flipBit('ns/n-lost/namespace.json', 20, 1)
  disk.flipBit('ns/n-lost/namespace.copy.json', 30, 1)
  return disk
}

describe('a namespace that cannot be opened', () => {
  it('is set aside, and the others are served', async () => {
    const made = await openTestStore({}, await withLostProperties())
    assert.sameMembers([...made.store.namespaces.keys()], ['default', 'good'])
    assert.match(made.store.whySetAside('lost') ?? '', /damaged/)
    const client = testClient(made)
    await client.ask('SELECT', 'good')
    assert.equal(words(await client.ask('GET', 'key')), 'of good')
    assert.match(words(await client.ask('INFO')), /namespaces_set_aside: 1/)
  })

  it('is opened again by its order, with its records and the order’s properties', async () => {
    const disk = await withLostProperties()
    const made = await openTestStore({}, disk)
    const lost = await made.store.create('lost', { isPublic: false, maxBytes: 7_000_000 })
    assert.equal(lost.log.index.liveKeys, 1)
    assert.equal(made.store.whySetAside('lost'), undefined)
    await made.store.close()
    const again = await openTestStore({}, disk)
    assert.equal(again.store.namespace('lost').properties.maxBytes, 7_000_000)
    const kept = disk.files().map(({ path }) => path)
    assert.includeMembers(kept, [
      'ns/n-lost/namespace.json.aside',
      'ns/n-lost/namespace.copy.json.aside',
    ])
  })

  it('taken over by hand is open to nobody before its administrator says to whom', async () => {
    const made = await openTestStore({}, await withLostProperties())
    const server = new RespServer(made.store, { adminPassword: Buffer.from('x') })
    const admin = testClient(made, { server })
    assert.equal(words(await admin.ask('NSNEW', 'lost')), 'OK')
    const guest = testClient(made, { server, principal: { kind: 'guest' } })
    await guest.ask('SELECT', 'lost')
    assert.match(words(await guest.ask('GET', 'key')), /frozen/)
    await admin.ask('NSSET', 'lost', 'freeze', '0')
    await admin.ask('SELECT', 'lost')
    assert.equal(words(await admin.ask('GET', 'key')), 'of lost')
  })

  it('is removed with its order', async () => {
    const disk = await withLostProperties()
    const made = await openTestStore({}, disk)
    await made.store.remove('lost')
    assert.isFalse(disk.exists('ns/n-lost'))
    assert.equal(made.store.setAside.size, 0)
  })

  it('that fails the disk’s own way is set aside too', async () => {
    const disk = await withLostProperties()
    const segment = disk.files().find(({ path }) => /n-good\/.*\.seg$/.test(path))?.path
    const { open } = disk
    disk.open = (path, mode) => {
      if (path === segment) throw new NodeError('DISK_IO', 'EIO')
      return open(path, mode)
    }
    const made = await openTestStore({}, disk)
    assert.deepEqual([...made.store.namespaces.keys()], ['default'])
    assert.equal(await made.store.create('good').catch(codeOf), 'DISK_IO')
    assert.isTrue(disk.exists(segment ?? ''), 'nothing was removed')
    disk.open = open
    assert.equal((await made.store.create('good')).log.index.liveKeys, 1)
  })
})

describe('a step that fails', () => {
  it('leaves no half namespace, whichever step of making it failed', async () => {
    for (let fails = 0; ; fails++) {
      const disk = faultDisk(seededChance(1))
      const { store } = await openTestStore({}, disk)
      let steps = 0
      disk.onOperation = () => {
        if (steps++ === fails) throw new NodeError('DISK_IO', 'EMFILE')
      }
      const made = await store.create('a').catch(codeOf)
      disk.onOperation = undefined
      if (typeof made === 'object') {
        assert.isAbove(fails, 5, 'steps that could fail')
        return
      }
      assert.equal(made, 'DISK_IO')
      assert.isFalse(store.namespaces.has('a'))
      assert.deepEqual(disk.list('ns'), [], `step ${fails}`)
      assert.equal((await store.create('a')).log.appended, 0)
    }
  })

  it('of changing properties leaves those there were', async () => {
    const disk = faultDisk(seededChance(1))
    const { store } = await openTestStore({}, disk)
    const namespace = await store.create('a')
    disk.onOperation = () => {
      throw new NodeError('DISK_IO', 'EIO')
    }
    const caught = await namespace.change({ isFrozen: true, maxBytes: 5 }).catch(codeOf)
    disk.onOperation = undefined
    assert.equal(caught, 'DISK_IO')
    assert.isFalse(namespace.properties.isFrozen)
    assert.equal(namespace.properties.maxBytes, 0)
    await namespace.change({ isLocked: true })
    assert.isTrue(namespace.properties.isLocked)
    assert.isFalse(namespace.properties.isFrozen)
  })

  it('of becoming provable too late says so and leaves it as it was', async () => {
    const made = await openTestStore({ segmentBytes: 4096 })
    const namespace = await made.store.create('a', { historySeconds: 0 })
    const value = Buffer.alloc(1000, 1)
    for (let at = 0; at < 20; at++) {
      value[0] = at
      namespace.set(Buffer.from('k'), 0, 1, value, 0, 1000, 1)
      made.endTick()
      await namespace.log.makeDurable()
    }
    await namespace.compact(0)
    assert.equal(await namespace.change({ isProvable: true }).catch(codeOf), 'LOG_NOT_PROVABLE')
    assert.isFalse(namespace.properties.isProvable)
    assert.equal(namespace.treeFailure, undefined)
  })
})
