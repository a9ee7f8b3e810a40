/** The fake does what the port says, so that what passes on it means something. */
import { slotOf } from '../../support/audit-node.ts'
import { MemoryShardSource } from '../../support/memory-shard-source.ts'
import { shardSourceConformance } from './shard-source-suite.ts'

shardSourceConformance('fake', async () => {
  const source = new MemoryShardSource()
  return {
    source,
    write: async (bytes) => source.write(slotOf(7), bytes),
    close: async () => undefined,
  }
})
