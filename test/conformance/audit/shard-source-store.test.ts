/** A namespace of a store, read over its socket, is a source of shards; and stays one when its tenant deletes and replaces. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert } from 'chai'
import { controlSocket, sharedSocket } from '../../../agent/adapters/process/run-sockets.ts'
import { connectUnix } from '../../../agent/adapters/socket/dial.ts'
import { respNamespace } from '../../../agent/adapters/socket/resp-namespace.ts'
import {
  namespacePlace,
  respShardSource,
} from '../../../agent/adapters/socket/resp-shard-source.ts'
import { bytesEqual } from '../../../agent/base/bytes.ts'
import { account } from '../../../agent/base/ids.ts'
import { SlotTree } from '../../../agent/engines/audit/index.ts'
import type { StoreUnitConfig } from '../../../agent/state/unit-config.ts'
import { connectControl } from '../../../agent/units/control.ts'
import { startStoreUnit } from '../../../agent/units/store/index.ts'
import { NEVER, slotOf } from '../../support/audit-node.ts'
import { silentLog } from '../../support/log-store.ts'
import { namespaceConfig, peerStore, storeConfig } from '../../support/store-process.ts'
import { noise } from '../../unit/disperse/fixture.ts'
import { shardSourceConformance } from './shard-source-suite.ts'

const TENANT = account(`0x${'11'.repeat(20)}`)
const NAME = 'o7.0'
const SLOT = slotOf(7)

async function openStore() {
  const dataDir = mkdtempSync(join(tmpdir(), 'va-'))
  const unit = await startStoreUnit({
    ...{ dataDir, name: 'store', log: silentLog },
    store: { segmentBytes: 64 * 1024 },
  })
  const configure = async (config: StoreUnitConfig) => {
    const client = await connectControl(controlSocket(dataDir, 'store'))
    try {
      await client.call('configure', config, { timeoutMs: 10_000 })
    } finally {
      client.close()
    }
  }
  const keep = (state: 'live' | 'suspended') =>
    configure(
      storeConfig([
        namespaceConfig(NAME, { state, writers: [TENANT], keptSince: 1, maxBytes: 2 ** 26 }),
      ]),
    )
  await keep('live')
  const tenant = peerStore(dataDir, TENANT, NAME)
  const own = respNamespace({
    namespace: NAME,
    connect: (signal) => connectUnix(sharedSocket(dataDir, 'store/audit').path, signal),
  })
  return {
    ...{ tenant, own, keep },
    async close() {
      tenant.close()
      own.close()
      await unit.stop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

shardSourceConformance('store', async () => {
  const { tenant, own, close } = await openStore()
  let written = 0
  return {
    source: respShardSource(own, 0),
    write: (bytes) => tenant.put(Buffer.from(`p${written++}`), bytes, NEVER),
    close,
  }
})

describe('shards of a store', () => {
  let world: Awaited<ReturnType<typeof openStore>>
  beforeEach(async () => {
    world = await openStore()
  })
  afterEach(() => world.close())

  it('stay in the list, and readable, after their tenant deleted or replaced them', async () => {
    const { tenant, own } = world
    await tenant.put(Buffer.from('gone before'), noise(50, 1), NEVER)
    await tenant.delete(Buffer.from('gone before'), NEVER)
    for (let at = 0; at < 8; at++) await tenant.put(Buffer.from(`p${at}`), noise(20_000, at), NEVER)
    const { durable, keptSince } = await namespacePlace(own, NEVER)
    assert.equal(keptSince, 1)
    const source = respShardSource(own, durable)
    const tree = new SlotTree(SLOT, source)
    await tree.follow(NEVER)
    const { state } = tree
    assert.ok(state)
    assert.equal(tree.shards, 8)

    await tenant.delete(Buffer.from('p3'), NEVER)
    await tenant.put(Buffer.from('p5'), noise(30, 99), NEVER)
    await tenant.put(Buffer.from('p5'), noise(31, 98), NEVER)
    // Enough of it dies that compaction would take it.
    for (let at = 0; at < 40; at++) await tenant.put(Buffer.from('x'), noise(20_000, at), NEVER)
    await tree.follow(NEVER)
    for (let unit = 0; unit < state.units; unit += 211) await tree.open(state, unit, NEVER)
    const again = new SlotTree(SLOT, respShardSource(own, durable))
    await again.follow(NEVER)
    assert.deepEqual(again.state, tree.state, 'whoever begins at the same serial has the same list')
    assert.equal(again.shards, 8 + 2 + 40)

    const later = respShardSource(own, (await namespacePlace(own, NEVER)).durable)
    const lengths = (await later.list(SLOT, 0, 100, NEVER)).map(({ lengthBytes }) => lengthBytes)
    assert.deepEqual(lengths, [...Array(6).fill(20_000), 31, 20_000], 'a later list has what lives')
  })

  it('are shown to nobody else while the tenant has not paid, and to the auditor all the same', async () => {
    const { tenant, own, keep } = world
    const value = noise(100, 1)
    await tenant.put(Buffer.from('p'), value, NEVER)
    await keep('suspended')
    await tenant.get(Buffer.from('p'), NEVER).then(
      () => assert.fail('the tenant may not read'),
      (caught: Error) => assert.match(caught.message, /frozen|denied/),
    )
    const source = respShardSource(own, 0)
    const [shard] = await source.list(SLOT, 0, 1, NEVER)
    assert.ok(shard)
    const bytes = await source.read(SLOT, shard, NEVER)
    assert.ok(bytes && bytesEqual(bytes, value))
  })

  it('cannot be written by the auditor', async () => {
    const asked = world.own.ask(['SET', 'k', 'v'], NEVER)
    await asked.then(
      () => assert.fail('it may not write'),
      (caught: Error) => assert.match(caught.message, /read-only/),
    )
  })
})
