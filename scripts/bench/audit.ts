/**
 * Benchmark of audits: hashing shards into slot trees, starting again from leaves, one epoch's transcript and its check.
 * `npm run bench -- audit`; `--json` prints data, `--quick` less of everything. CPU time of this process, median of 5 rounds;
 * MB are 10^6 bytes; shards are in memory, so that the disk is not measured.
 */
import { systemChance } from '../../agent/adapters/time/system-chance.ts'
import { nodeId } from '../../agent/base/ids.ts'
import { KIB, MIB } from '../../agent/base/units.ts'
import {
  DigestGroup,
  digestTree,
  encodeTranscript,
  LeafFile,
  SlotTree,
  verifyTranscript,
} from '../../agent/engines/audit/index.ts'
import { sumLeaf } from '../../agent/engines/audit/tree/sum-node.ts'
import { SumTree } from '../../agent/engines/audit/tree/sum-tree.ts'
import {
  AuditNode,
  isTestWriter,
  NEVER,
  slotOf,
  TEST_DOMAIN,
} from '../../test/support/audit-node.ts'
import { faultDisk } from '../../test/support/fault-disk.ts'
import { MemoryShardSource } from '../../test/support/memory-shard-source.ts'
import { seededChance } from '../../test/support/seeded-chance.ts'
import { cpuSeconds, type Figure, print } from './disperse.ts'

const SLOT = slotOf(1)
const EPOCH = { number: 3, seed: 0x1234_5678n, samples: 64 }

/**
 * Runs the benchmark and prints a table.
 *
 * @param args - `--quick`, `--json`.
 * @returns The figures.
 */
export async function run(args: readonly string[]): Promise<readonly Figure[]> {
  const isQuick = args.includes('--quick')
  const workBytes = (isQuick ? 16 : 128) * MIB
  const figures = [
    await building(workBytes, MIB, '1 MiB'),
    await building(workBytes, 64 * KIB, '64 KiB'),
    await building(workBytes / 4, 4 * KIB, '4 KiB'),
    await restarting(isQuick ? 10_000 : 100_000),
    await appending(isQuick ? 50_000 : 500_000),
    ...(await proving(isQuick ? 64 : 256)),
    await grouping(),
  ]
  print(args, figures)
  return figures
}

/** From shards to the root of their slot. */
async function building(workBytes: number, shardBytes: number, name: string): Promise<Figure> {
  const source = sourceOf(workBytes / shardBytes, shardBytes)
  const seconds = await cpuSeconds(() => new SlotTree(SLOT, source).follow(NEVER))
  return {
    what: `Slot tree from shards of ${name}`,
    value: workBytes / 1e6 / seconds,
    unit: 'MB/CPU s',
  }
}

/** From the file of leaves, as after a restart: names are compared, nothing is hashed but the inner nodes. */
async function restarting(shards: number): Promise<Figure> {
  const disk = faultDisk(seededChance(1))
  const source = sourceOf(shards, 32)
  await new SlotTree(SLOT, source, new LeafFile(disk, 'leaves')).follow(NEVER)
  const seconds = await cpuSeconds(() =>
    new SlotTree(SLOT, source, new LeafFile(disk, 'leaves')).follow(NEVER),
  )
  return {
    what: `Slot tree from kept leaves, ${shards} shards`,
    value: (seconds / shards) * 1e6,
    unit: 'CPU s per 10^6 shards',
  }
}

/** The sum tree alone. */
async function appending(count: number): Promise<Figure> {
  const leaves = Array.from({ length: count }, (_, at) => sumLeaf(new Uint8Array(32), at + 1))
  const seconds = await cpuSeconds(() => new SumTree().append(leaves))
  return {
    what: `Sum tree, ${count} leaves at once`,
    value: count / seconds / 1e6,
    unit: '10^6 leaves/CPU s',
  }
}

/** One epoch of a node with shards of 1 MiB: as many are read as there are samples. */
async function proving(shards: number): Promise<Figure[]> {
  const node = new AuditNode()
  const bytes = systemChance().bytes(MIB)
  for (let at = 0; at < shards; at++) node.source.write(SLOT, bytes)
  await node.follow(SLOT)
  let transcript = await node.prove(EPOCH)
  const prove = await cpuSeconds(async () => {
    transcript = await node.prove(EPOCH)
  })
  const init = {
    claim: node.claim(EPOCH, transcript),
    domain: TEST_DOMAIN,
    isWriter: isTestWriter,
    transcript,
  }
  const verify = await cpuSeconds(async () => void (await verifyTranscript(init)))
  const name = `transcript of 64 samples, ${shards} shards of 1 MiB`
  return [
    { what: `Proving: ${name}`, value: prove * 1000, unit: 'CPU ms' },
    { what: `Verifying: ${name}`, value: verify * 1000, unit: 'CPU ms' },
    {
      what: `Size: ${name}`,
      value: encodeTranscript(transcript).byteLength / 1000,
      unit: 'kB (10^3)',
    },
  ]
}

/** The digests of 256 nodes under one root. */
async function grouping(): Promise<Figure> {
  const node = new AuditNode()
  await node.fill(SLOT, [100], seededChance(1))
  const digest = digestTree(await node.prove(EPOCH)).root
  const seconds = await cpuSeconds(() => {
    const group = new DigestGroup(EPOCH.number, 0)
    for (let at = 1; at < 256; at++) group.add(nodeId(at), digest)
    group.seal()
  })
  return { what: 'Root over the digests of 255 nodes', value: seconds * 1000, unit: 'CPU ms' }
}

function sourceOf(shards: number, shardBytes: number): MemoryShardSource {
  const source = new MemoryShardSource()
  const bytes = systemChance().bytes(shardBytes)
  for (let at = 0; at < shards; at++) source.write(SLOT, bytes)
  return source
}
