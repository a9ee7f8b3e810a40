/** Moving in and out: what was exported is imported, what was changed on the way is not, and 0-db's files are read. */
import { assert } from 'chai'
import { codeOf } from '../../../agent/base/errors.ts'
import { zeroDbChecksum } from '../../../agent/engines/store/import-zero-db.ts'
import {
  exportNamespace,
  importNamespace,
  importZeroDb,
} from '../../../agent/engines/store/index.ts'
import { Crash, type FaultDisk, faultDisk } from '../../support/fault-disk.ts'
import { openTestStore, silentLog, type TestStore, testClient } from '../../support/log-store.ts'
import { seededChance } from '../../support/seeded-chance.ts'

async function codeIn(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise
  } catch (caught) {
    return codeOf(caught)
  }
  return undefined
}

async function exported(made: TestStore): Promise<{ path: string; records: number }> {
  const file = made.disk.open('out', 'new')
  const { records } = await exportNamespace(made.store.namespace('a'), file)
  file.close()
  return { path: 'out', records }
}

describe('export and import', () => {
  for (const mode of ['user', 'seq'] as const) {
    it(`moves a namespace with ${mode} keys, its properties and times`, async () => {
      const made = await openTestStore()
      await made.store.create('a', { mode, maxBytes: 10_000_000, historySeconds: 60 })
      const client = testClient(made)
      await client.ask('SELECT', 'a')
      for (let at = 0; at < 50; at++) {
        const key = mode === 'seq' ? '' : `k${at % 20}`
        await client.ask('SET', key, 'x'.repeat((at * 3001) % 70_000))
      }
      const { path, records } = await exported(made)
      assert.equal(records, mode === 'seq' ? 50 : 20)
      const file = made.disk.open(path, 'read')
      await importNamespace(made.store, file, 'b')
      const [a, b] = [made.store.namespace('a'), made.store.namespace('b')]
      assert.equal(b.properties.maxBytes, 10_000_000)
      assert.equal(b.properties.mode, mode)
      assert.equal(b.log.index.liveKeys, a.log.index.liveKeys)
      const keys = a.log.index.listKeys(new Uint8Array(0), undefined, 1000)
      for (const key of keys) {
        await client.ask('SELECT', 'a')
        const [value, time] = [await client.ask('GET', key), await client.ask('KEYTIME', key)]
        await client.ask('SELECT', 'b')
        assert.deepEqual(await client.ask('GET', key), value)
        assert.equal(await client.ask('KEYTIME', key), time)
      }
      if (mode === 'seq') assert.equal(b.log.nextSeq, 50)
    })
  }

  it('refuses a file with any bit changed or any end missing, and keeps nothing of it', async () => {
    const made = await openTestStore()
    await made.store.create('a')
    const client = testClient(made)
    await client.ask('SELECT', 'a')
    for (let at = 0; at < 5; at++) await client.ask('SET', `k${at}`, `value ${at}`)
    await exported(made)
    const whole = made.disk.open('out', 'read')
    const bytes = Buffer.alloc(whole.sizeBytes)
    whole.read(bytes, 0)
    for (let at = 0; at < bytes.length; at += 3) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ 4
      const file = made.disk.open('changed', 'create')
      file.write([changed], 0)
      const code = await codeIn(importNamespace(made.store, file, 'b'))
      if (code === undefined) {
        // Zeros between records mean nothing, and only they may change unseen.
        assert.equal(bytes[at], 0)
        await client.ask('SELECT', 'b')
        for (let key = 0; key < 5; key++) {
          assert.equal(String(await client.ask('GET', `k${key}`)), `value ${key}`)
        }
        await client.ask('SELECT', 'a')
        await made.store.remove('b')
      }
      assert.isFalse(made.store.namespaces.has('b'))
    }
    const short = made.disk.open('short', 'new')
    short.write([bytes.subarray(0, bytes.length - 70)], 0)
    assert.equal(await codeIn(importNamespace(made.store, short, 'b')), 'LOG_ARCHIVE_INVALID')
  })

  it('leaves nothing of an import that was killed, and can be started again', async () => {
    const made = await openTestStore()
    await made.store.create('a')
    const client = testClient(made)
    await client.ask('SELECT', 'a')
    for (let at = 0; at < 40; at++) await client.ask('SET', `k${at}`, 'x'.repeat(3000))
    const { path } = await exported(made)
    const copy = async (disk: FaultDisk) => {
      const file = made.disk.open(path, 'read')
      try {
        const other = await openTestStore({}, disk)
        return await importNamespace(other.store, file)
      } finally {
        file.close()
      }
    }
    const whole = faultDisk(seededChance(5))
    const { records } = await copy(whole)
    for (let dieAt = 1; dieAt < whole.operations; dieAt++) {
      const disk = faultDisk(seededChance(dieAt))
      let isDead = false
      disk.onOperation = () => {
        isDead ||= disk.operations >= dieAt
        if (isDead) throw new Crash('power lost')
      }
      await copy(disk).catch(() => undefined)
      assert.isTrue(isDead)
      disk.onOperation = undefined
      disk.crash()
      const found = (await openTestStore({}, disk)).store.namespaces.get('a')
      // The last thing that an import does makes it whole: whoever sees it at all sees all of it.
      if (found) assert.equal(found.log.index.liveKeys, records)
      else assert.equal((await copy(disk)).records, records)
    }
  })
})

describe('import from 0-db', () => {
  function entry(key: string, value: string, options: { deleted?: boolean; crc?: number } = {}) {
    const head = Buffer.alloc(18)
    const body = Buffer.from(value)
    head.writeUInt8(key.length, 0)
    head.writeUInt32LE(body.length, 1)
    head.writeUInt32LE(options.crc ?? zeroDbChecksum(body), 9)
    head.writeUInt8(options.deleted ? 1 : 0, 13)
    head.writeUInt32LE(1_600_000_000, 14)
    return Buffer.concat([head, Buffer.from(key), body])
  }

  it('reads values, versions and deletions in order, and leaves damage out', async () => {
    const made = await openTestStore()
    const header = Buffer.alloc(28)
    header.write('DAT0')
    header.writeUInt32LE(3, 4)
    made.disk.makeDirectory('zdb')
    const write = (name: string, parts: Buffer[]) => {
      const file = made.disk.open(`zdb/${name}`, 'new')
      file.write([header, ...parts], 0)
      file.close()
    }
    write('d0', [
      entry('a', 'one'),
      entry('b', 'x'),
      entry('c', 'bad', { crc: 1 }),
      entry('a', 'two'),
    ])
    write('d1', [entry('b', '', { deleted: true }), entry('d', 'last'), Buffer.alloc(4096)])
    const namespace = await made.store.create('a')
    const counts = await importZeroDb(made.disk, 'zdb', namespace, silentLog)
    assert.deepEqual(counts, { stored: 4, deleted: 1, damaged: 1 })
    const client = testClient(made)
    await client.ask('SELECT', 'a')
    assert.equal(String(await client.ask('GET', 'a')), 'two')
    assert.isNull(await client.ask('GET', 'b'))
    assert.isNull(await client.ask('GET', 'c'))
    assert.equal(await client.ask('KEYTIME', 'd'), 1_600_000_000)
    const [previous] = (await client.ask('HISTORY', 'a')) as [Buffer]
    const older = (await client.ask('HISTORY', 'a', previous)) as [null, Buffer, Buffer]
    assert.equal(String(older[2]), 'one')
  })

  it('refuses files of another version', async () => {
    const made = await openTestStore()
    made.disk.makeDirectory('zdb')
    const file = made.disk.open('zdb/d0', 'new')
    file.write([Buffer.from('DAT0\x02\0\0\0'.padEnd(28, '\0'), 'latin1')], 0)
    const namespace = await made.store.create('a')
    const code = await codeIn(importZeroDb(made.disk, 'zdb', namespace, silentLog))
    assert.equal(code, 'LOG_FORMAT_UNKNOWN')
  })
})
