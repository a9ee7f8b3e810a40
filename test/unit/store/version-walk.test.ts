/** A list of what was live at a serial, and written since, is the same for ever where what died since is kept. */
import { assert } from 'chai'
import type { Reply } from '../../../agent/adapters/socket/resp-reply-reader.ts'
import { openTestStore, testClient } from '../../support/log-store.ts'
import { seededChance } from '../../support/seeded-chance.ts'

const SMALL = { segmentBytes: 4096 }
const SEEDS = 4
/** Beyond all serials of these tests. */
const FAR = '1000000'

interface Version {
  readonly serial: number
  readonly key: string
  readonly value: string
}

type Ask = (...args: string[]) => Promise<Reply>

async function list(ask: Ask, since: number, count = 7): Promise<Version[]> {
  const versions: Version[] = []
  for (let from = 0; ; ) {
    const page = await ask('VERSIONS', String(since), String(from), 'COUNT', String(count))
    assert.ok(Array.isArray(page))
    const [durable, , next, found] = page as [number, number, number, [number, Buffer, number][]]
    for (const [serial, key, bytes] of found) {
      const value = await ask('VERSION', key.toString(), String(serial))
      assert.ok(Buffer.isBuffer(value), `serial ${serial} can be read`)
      assert.equal(value.byteLength, bytes)
      versions.push({ serial, key: key.toString(), value: value.toString() })
    }
    if (next >= durable) return versions
    from = next
  }
}

describe('versions', () => {
  it('follow a model through replacing, deleting, compaction and restarts', async () => {
    for (let seed = 0; seed < SEEDS; seed++) {
      const chance = seededChance(seed)
      let made = await openTestStore(SMALL)
      let client = testClient(made)
      await made.store.create('a', { historySeconds: 0, keptSince: 0 })
      await client.ask('SELECT', 'a')
      const live = new Map<string, Version>()
      let serial = 0
      let written: Version[] = []
      const act = async () => {
        const key = `k${chance.below(12)}`
        if (chance.below(4) === 0) {
          if (live.delete(key)) serial++
          await client.ask('DEL', key)
          return
        }
        const value = `${serial}`.padEnd(1 + chance.below(400), 'v')
        await client.ask('SET', key, value)
        const version = { serial: serial++, key, value }
        live.set(key, version)
        written.push(version)
      }
      for (let at = 0; at < 100; at++) await act()
      // Nothing is kept yet: what died until now may go.
      await client.ask('COMPACT')
      await made.store.namespace('a').change({ keptSince: 1 })
      const since = serial
      const before = [...live.values()].sort((a, b) => a.serial - b.serial)
      written = []
      for (let round = 0; round < 4; round++) {
        for (let at = 0; at < 60; at++) await act()
        await client.ask('COMPACT')
        assert.deepEqual(await list(client.ask, since), [...before, ...written], `SEED=${seed}`)
        if (chance.below(2) === 0) continue
        await made.store.close()
        made = await openTestStore(SMALL, made.disk)
        client = testClient(made)
        await client.ask('SELECT', 'a')
      }
      // Once nobody needs it any more it goes.
      await made.store.namespace('a').change({ keptSince: 0 })
      const bytesBefore = made.store.namespace('a').log.counts.dataBytes
      await client.ask('COMPACT')
      assert.isBelow(made.store.namespace('a').log.counts.dataBytes, bytesBefore / 4)
      const left = [...live.values()].sort((a, b) => a.serial - b.serial)
      assert.deepEqual(await list(client.ask, serial), left, `SEED=${seed}`)
    }
  })

  it('have an end, and refuse what makes no sense', async () => {
    const made = await openTestStore()
    const client = testClient(made)
    await made.store.create('a', { historySeconds: 0 })
    await client.ask('SELECT', 'a')
    assert.deepEqual(await client.ask('VERSIONS', '0', '0'), [0, 0, 0, []])
    await client.ask('SET', 'k', 'v')
    assert.deepEqual(await client.ask('VERSIONS', FAR, FAR), [1, 0, 1, []])
    for (const args of [
      ['VERSIONS', '0', '-1'],
      ['VERSIONS', 'x', '0'],
      ['VERSIONS', '0', '0', 'COUNT', '0'],
      ['VERSIONS', '0', '0', 'LIMIT', '1'],
      ['VERSION', 'k', '-1'],
    ]) {
      assert.property(await client.ask(...args), 'words', args.join(' '))
    }
    assert.isNull(await client.ask('VERSION', 'k', '1'))
    assert.isNull(await client.ask('VERSION', 'other', '0'))
    await client.ask('DEL', 'k')
    assert.isNull(await client.ask('VERSION', 'k', '1'), 'a deletion is no value')
  })
})
