/** The fake does what the port says, so that what passes on it means something. */
import { FakeShardStore } from '../../support/fake-shard-store.ts'
import { seededChance, VirtualClock } from '../../support/virtual-clock.ts'
import { shardStoreConformance } from './shard-store-suite.ts'

shardStoreConformance('fake', async () => ({
  store: new FakeShardStore(new VirtualClock(), seededChance(1)),
  close: async () => undefined,
}))
