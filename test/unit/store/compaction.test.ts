/** Compaction gives room back and takes nothing that anybody may still ask for. */
import { setImmediate } from 'node:timers/promises'
import { assert } from 'chai'
import {
  inlineRootHasher,
  type RootHasher,
  verifyConsistency,
  verifyInclusion,
} from '../../../agent/engines/store/index.ts'
import { type FaultDisk, faultDisk } from '../../support/fault-disk.ts'
import { openTestStore, testClient } from '../../support/log-store.ts'
import { seededChance } from '../../support/seeded-chance.ts'

const SMALL = { segmentBytes: 4096 }

describe('compaction', () => {
  it('keeps every value, frees what was replaced and deleted, and survives a restart', async () => {
    const made = await openTestStore(SMALL)
    const client = testClient(made)
    await made.store.create('a', { historySeconds: 0 })
    await client.ask('SELECT', 'a')
    const expected = new Map<string, string>()
    for (let at = 0; at < 600; at++) {
      const key = `k${at % 23}`
      if (at % 7 === 3) {
        await client.ask('DEL', key)
        expected.delete(key)
      } else {
        const value = String(at).padEnd(at % 300, 'x')
        await client.ask('SET', key, value)
        expected.set(key, value)
      }
    }
    const namespace = made.store.namespace('a')
    const before = namespace.log.counts
    const freed = await client.ask('COMPACT')
    const after = namespace.log.counts
    // A run that began by itself may have had its share already.
    assert.isAtMost(freed as number, before.dataBytes - after.dataBytes)
    assert.isBelow(after.dataBytes, before.dataBytes / 4)
    assert.isAtMost(after.dataBytes, after.liveBytes + 64 * (after.segments + 1))
    assert.isAtLeast(after.liveBytes, before.liveBytes)
    assert.isAtMost(after.liveBytes, before.liveBytes + 48 * 23, 'some deletions stay')

    async function check(ask: typeof client.ask) {
      for (let key = 0; key < 23; key++) {
        const found = await ask('GET', `k${key}`)
        assert.equal(found === null ? undefined : String(found), expected.get(`k${key}`))
      }
    }
    await check(client.ask)
    await client.ask('SET', 'k1', 'later')
    expected.set('k1', 'later')
    await made.store.close()
    const again = await openTestStore(SMALL, made.disk)
    const other = testClient(again)
    await other.ask('SELECT', 'a')
    await check(other.ask)
    assert.equal(again.store.namespace('a').log.index.liveKeys, expected.size)
  })

  it('serves and takes writes while it runs', async () => {
    const made = await openTestStore(SMALL)
    const client = testClient(made)
    const namespace = await made.store.create('a', { historySeconds: 0 })
    await client.ask('SELECT', 'a')
    for (let at = 0; at < 300; at++) await client.ask('SET', `k${at % 10}`, `v${at}`)
    const compacting = namespace.compact(0)
    for (let at = 0; at < 100; at++) {
      await client.ask('SET', `k${at % 10}`, `w${at}`)
      assert.equal(String(await client.ask('GET', `k${at % 10}`)), `w${at}`)
    }
    assert.isAbove(await compacting, 0)
    for (let at = 90; at < 100; at++) {
      assert.equal(String(await client.ask('GET', `k${at % 10}`)), `w${at}`)
    }
  })

  it('never touches WORM namespaces, nor those that keep history for ever', async () => {
    const made = await openTestStore(SMALL)
    const client = testClient(made)
    await made.store.create('worm', { worm: true, historySeconds: 0 })
    await made.store.create('ever', { historySeconds: -1 })
    for (const name of ['worm', 'ever']) {
      await client.ask('SELECT', name)
      for (let at = 0; at < 200; at++) await client.ask('SET', `k${at}`, 'x'.repeat(100))
      const before = made.store.namespace(name).log.counts.dataBytes
      assert.property(await client.ask('COMPACT'), 'words')
      assert.equal(made.store.namespace(name).log.counts.dataBytes, before)
    }
  })

  it('keeps versions and deletions that are younger than the history asked for', async () => {
    const made = await openTestStore(SMALL)
    const client = testClient(made)
    await made.store.create('a', { historySeconds: 3600 })
    await client.ask('SELECT', 'a')
    const now = 1_700_000_000
    for (let at = 0; at < 60; at++) {
      await client.ask('SET', 'old', `o${at}`.padEnd(100), String(now - 10_000))
      await client.ask('SET', 'young', `y${at}`.padEnd(100), String(now))
    }
    await client.ask('SET', 'gone', 'x', String(now - 10_000))
    await client.ask('DEL', 'gone', String(now - 9000))
    await client.ask('COMPACT')
    let versions = 0
    let where: unknown
    for (;;) {
      const reply = await client.ask('HISTORY', 'young', ...(where ? [where as Buffer] : []))
      assert.isArray(reply)
      versions++
      where = (reply as unknown[])[0]
      if (!where) break
    }
    assert.equal(versions, 60)
    const old = (await client.ask('HISTORY', 'old')) as unknown[]
    assert.isNull(old[0], 'older versions of a quiet key are gone')
    assert.isNull(await client.ask('GET', 'gone'))
  })

  for (const ends of ['its time is over', 'less of it is wanted'] as const) {
    it(`gives the room of history back once ${ends}, without a restart`, async () => {
      let nowMs = 1_700_000_000_000
      const clock = { now: () => nowMs, monotonic: () => nowMs, sleep: () => setImmediate() }
      const made = await openTestStore(SMALL, faultDisk(seededChance(1)), { clock })
      const client = testClient(made)
      const namespace = await made.store.create('a', { historySeconds: 3600 })
      await client.ask('SELECT', 'a')
      for (let at = 0; at < 60; at++) await client.ask('SET', 'k', `v${at}`.padEnd(100))
      await client.ask('COMPACT')
      const withHistory = namespace.log.counts.dataBytes
      nowMs += 3_600_000
      await client.ask('COMPACT')
      assert.equal(namespace.log.counts.dataBytes, withHistory, 'all of it is still wanted')
      if (ends === 'its time is over') nowMs += 1000
      else await namespace.change({ historySeconds: 3599 })
      await client.ask('COMPACT')
      assert.isBelow(namespace.log.counts.dataBytes, withHistory / 10)
      const [where] = (await client.ask('HISTORY', 'k')) as unknown[]
      assert.isNull(where)
      assert.match(String(await client.ask('GET', 'k')), /^v59 /)
    })
  }

  it('leaves roots as they were, and proofs of records that are gone', async () => {
    const made = await openTestStore(SMALL)
    const client = testClient(made)
    await made.store.create('a', { historySeconds: 0, isProvable: true })
    await client.ask('SELECT', 'a')
    for (let at = 0; at < 200; at++) await client.ask('SET', `k${at % 9}`, `v${at}`.padEnd(90))
    const before = (await client.ask('ROOT')) as [number, Buffer]
    assert.isAbove((await client.ask('COMPACT')) as number, 0)
    assert.deepEqual(await client.ask('ROOT'), before)
    await client.ask('SET', 'k1', 'more')
    await made.store.close()
    const again = testClient(await openTestStore(SMALL, made.disk))
    await again.ask('SELECT', 'a')
    const after = (await again.ask('ROOT')) as [number, Buffer]
    assert.equal(after[0], before[0] + 1)
    const path = (await again.ask('CONSIST', String(before[0]), String(after[0]))) as Buffer[]
    assert.isTrue(verifyConsistency(before[1], before[0], after[1], after[0], path))
    const [size, leaf, siblings] = (await again.ask('PROVE', '5')) as [number, Buffer, Buffer[]]
    assert.isTrue(verifyInclusion(after[1], size, 5, leaf, siblings))
  })

  it('takes nothing whose root a kill could still lose', async () => {
    const disk = faultDisk(seededChance(1))
    const inline = inlineRootHasher(disk)
    let gate: Promise<unknown> = Promise.resolve()
    const rootHasher: RootHasher = {
      roots: async (job) => {
        const batch = await inline.roots(job)
        await gate
        return batch
      },
    }
    const made = await openTestStore({ ...SMALL, sync: 'group' }, disk, { rootHasher })
    const client = testClient(made)
    const namespace = await made.store.create('a', { historySeconds: 0, isProvable: true })
    await client.ask('SELECT', 'a')
    const write = async (count: number) => {
      for (let at = 0; at < count; at++) await client.ask('SET', `k${at % 3}`, `${count} ${at}`)
    }
    await write(200)
    // As kill -9 leaves it once compaction has switched over: what was written is there, and nobody closed anything.
    const left: FaultDisk[] = []
    disk.onOperation = ({ kind, path }) => {
      if (kind === 'remove' && path.endsWith('.seg')) left.push(copyOf(disk))
    }
    for (let round = 0; round < 20; round++) {
      // Writers fill segments while the tree still hashes what was there before.
      const hashed = Promise.withResolvers<void>()
      gate = hashed.promise
      const compacting = namespace.compact(0)
      await write(120)
      hashed.resolve()
      await compacting
    }
    assert.isAbove(left.length, 20)
    for (const one of left) {
      assert.isDefined((await openTestStore(SMALL, one)).store.namespace('a').tree)
    }
  })
})

/** Another disk with the same files. */
function copyOf(disk: FaultDisk): FaultDisk {
  const copy = faultDisk(seededChance(2))
  for (const { path, sizeBytes } of disk.files()) {
    const bytes = new Uint8Array(sizeBytes)
    disk.open(path, 'read').read(bytes, 0)
    copy.makeDirectory(path.slice(0, path.lastIndexOf('/')))
    copy.open(path, 'new').write([bytes], 0)
  }
  return copy
}
