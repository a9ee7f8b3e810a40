/** The shard stores that mounts use do what the port says: over each way to serve sockets, and on a store unit as a process. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectUnix } from '../../../agent/adapters/socket/dial.ts'
import { listenOn } from '../../../agent/adapters/socket/listen-on.ts'
import { respListener } from '../../../agent/adapters/socket/resp-listener.ts'
import { respShardStore } from '../../../agent/adapters/socket/resp-shard-store.ts'
import { account } from '../../../agent/base/ids.ts'
import { RespServer } from '../../../agent/engines/store/index.ts'
import { openTestStore } from '../../support/log-store.ts'
import {
  namespaceConfig,
  peerStore,
  type StoreProcess,
  startStoreProcess,
  storeConfig,
} from '../../support/store-process.ts'
import { hasTransport, openTestTransport } from '../../support/transports.ts'
import { shardStoreConformance } from './shard-store-suite.ts'

const writer = account(`0x${'11'.repeat(20)}`)

for (const kind of ['libuv', 'uring'] as const) {
  if (!hasTransport(kind)) continue
  shardStoreConformance(`a store over ${kind}`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'varve-shards-'))
    const transport = openTestTransport(kind)
    const { store: kept } = await openTestStore({}, undefined, {
      atEndOfTick: (task) => transport.atEndOfBurst(task),
    })
    await kept.create('o1.0', { isPublic: false, writers: [writer], sync: 'always' })
    const principal = { kind: 'peer', account: writer } as const
    const listener = respListener({ resp: new RespServer(kept), transport, principal })
    const path = join(folder, 's.sock')
    await listenOn(listener.server, { path })
    const store = respShardStore({
      namespace: 'o1.0',
      connect: (signal) => connectUnix(path, signal),
    })
    return {
      store,
      async close() {
        store.close()
        await listener.close()
        await transport.close()
        await kept.close()
        rmSync(folder, { recursive: true })
      },
    }
  })
}

describe('a store unit as a process', () => {
  let folder: string
  let unit: StoreProcess
  let orders = 0

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'varve-shards-'))
    unit = await startStoreProcess(folder)
  })
  after(async () => {
    await unit.kill()
    rmSync(folder, { recursive: true })
  })

  shardStoreConformance('its peer socket', async () => {
    const name = `o${++orders}.0`
    await unit.control('configure', storeConfig([namespaceConfig(name, { writers: [writer] })]))
    const store = peerStore(folder, writer, name)
    return { store, close: async () => store.close() }
  })
})
