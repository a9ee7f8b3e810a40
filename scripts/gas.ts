/**
 * Measures what the law costs: the gas of each act that has a budget, on Hardhat's own chain, in this run.
 *
 * `npm run gas [-- --json] [-- --check]`: prints a table, or the figures as data; `--check` fails if a budget is exceeded
 * or a figure differs from the committed snapshot `contracts/gas.json`; `--write` renews the snapshot.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import type { ContractTransactionResponse, Signer } from 'ethers'
import { AuditScene } from '../test/solidity/support/audit-scene.ts'
import {
  ANY_RATE,
  deployTestGrid,
  GIB,
  KIND,
  mountSpec,
  storeSpec,
  type TestGrid,
  type TestNode,
  TOKEN,
  volumeSpec,
} from '../test/solidity/support/grid.ts'

/** One measured act. */
interface Figure {
  readonly act: string
  /** Gas of the whole transaction, as its receipt says. */
  readonly gas: number
  /** What it must not exceed, where the issue fixes it; per unit if `units` is given. */
  readonly budget?: number
  /** Over how many nodes or slots the gas is spread. */
  readonly units?: number
}

const SNAPSHOT = fileURLToPath(new URL('../contracts/gas.json', import.meta.url))
/** Long enough that nothing is late while it is measured. */
const HEARTBEAT_SECONDS = 50_000n

const options = new Command('gas')
  .description('Measures the gas of the acts that have a budget.')
  .option('--json', 'print the figures as data')
  .option('--check', 'fail if a budget is exceeded or the snapshot differs')
  .option('--write', 'renew the snapshot')
  .parse()
  .opts<{ json?: boolean; check?: boolean; write?: boolean }>()

const figures = [
  ...(await measureOrders()),
  ...(await measureHeartbeats()),
  ...(await measureAudits()),
]
if (options.json) process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`)
else printTable(figures)
if (options.write) writeFileSync(SNAPSHOT, `${JSON.stringify(figures, null, 2)}\n`)
if (options.check) check(figures)

async function measureOrders(): Promise<Figure[]> {
  const grid = await deployTestGrid({
    policy: {
      ...{ HeartbeatSeconds: HEARTBEAT_SECONDS, LostSeconds: 4n * HEARTBEAT_SECONDS },
      ...{ GraceSeconds: 10n, MaxSlots: 257n },
    },
  })
  const { orders, escrow } = grid.contracts
  const { tenant } = grid.actors
  const nodes = await nodesOnFarms(grid, 24)
  await grid.fund(tenant)
  await escrow.connect(tenant).deposit(await tenant.getAddress(), TOKEN)
  const book = orders.connect(tenant)
  const slots = (...ids: number[]) => ids.map((id) => ({ node: BigInt(id), sizeBytes: GIB }))
  const range = (count: number) => Array.from({ length: count }, (_, index) => index + 1)
  const unlimited = 2n ** 96n - 1n
  const place = (kind: number, parent: bigint, spec: string, on: number[], seconds: bigint) =>
    book.place(kind, parent, spec, slots(...on), seconds, unlimited)

  // The first order of a tenant and of a chain pays for words that later ones find; the second is the usual one.
  const warm = await place(KIND.Store, 0n, storeSpec(), [23], 1000n)
  await warm.wait()
  const wide = volumeSpec({ dataShards: 16, parityShards: 4 })
  const figures: Figure[] = []
  const add = async (act: string, sent: Promise<ContractTransactionResponse>, rest = {}) => {
    figures.push({ act, gas: await gasOf(sent), ...rest })
  }
  await add(
    'place a 16+4 volume with 2 metadata slots',
    place(KIND.Volume, 0n, wide, range(22), 1000n),
    {
      budget: 1_000_000,
    },
  )
  await add('place it again, streaming', place(KIND.Volume, 0n, wide, range(22), 0n))
  await add(
    'place a 4+2 volume',
    place(KIND.Volume, 0n, volumeSpec({ dataShards: 4, parityShards: 2 }), range(8), 1000n),
  )
  await add('place a store', place(KIND.Store, 0n, storeSpec(), [1], 1000n))
  await add('place a mount', place(KIND.Mount, 2n, mountSpec(), [24], 1000n))
  await add('extend an order', book.extend(2n, 100n))
  await add('replace a slot of 22', book.replace(2n, 0, 23n, ANY_RATE))
  await grid.beat(nodes)
  await add('settle 22 slots', book.settle(2n))
  await add('settle 22 slots again', book.settle(2n))
  await add('cancel 22 slots', book.cancel(2n))
  await grid.pass(10n)
  await add('release 22 slots', book.settle(2n))
  await add('heartbeat of one node', nodeBeat(grid, nodes[0] as TestNode))
  return figures
}

async function measureHeartbeats(): Promise<Figure[]> {
  const nodeCount = 256
  const grid = await deployTestGrid({
    policy: { HeartbeatSeconds: HEARTBEAT_SECONDS, LostSeconds: 4n * HEARTBEAT_SECONDS },
  })
  const owner = grid.actors.owners[0] as Signer
  await grid.fund(owner)
  const farm = await grid.addFarm(owner)
  for (let i = 0; i < nodeCount; i += 1) await grid.addNode(owner, farm)
  const registry = grid.contracts.nodes.connect(owner)
  const groups = [0, 1]
  const all = (1n << BigInt(nodeCount + 1)) - 2n
  const members = [all & ((1n << 208n) - 1n), all >> 208n]
  const first = await gasOf(registry.heartbeats(farm, groups, members))
  const usual = await gasOf(registry.heartbeats(farm, groups, members))
  return [
    { act: 'heartbeat of 256 nodes, all joining the batch', gas: first, units: nodeCount },
    { act: 'heartbeat of 256 nodes', gas: usual, units: nodeCount, budget: 220 },
  ]
}

/** A node with 10,000 slots, of which one has a GiB in shards of a MiB; and 256 nodes that one aggregator speaks for. */
async function measureAudits(): Promise<Figure[]> {
  const epochSeconds = 10_000n
  const grid = await deployTestGrid({
    policy: {
      ...{ HeartbeatSeconds: HEARTBEAT_SECONDS, LostSeconds: 4n * HEARTBEAT_SECONDS },
      ...{ AuditEpochSeconds: epochSeconds, AuditWindowSeconds: 9_000n, AuditWindowBlocks: 1n },
      ...{ AuditAnswerSeconds: 5_000n, AuditSamples: 64n, AuditOpenOdds: 0n },
    },
  })
  const { audits } = grid.contracts
  const { tenant, attacker: watcher } = grid.actors
  await grid.fund(tenant)
  await grid.fund(watcher)
  await grid.contracts.token.connect(watcher).approve(await audits.getAddress(), TOKEN * 1000n)
  const nodes = await nodesOnFarms(grid, 9)
  const [node] = nodes as [TestNode]
  const shard = new Uint8Array(2 ** 20).map((_, at) => at % 251)
  const shards = Array.from({ length: 1024 }, () => shard)
  const scene = await AuditScene.make(grid, node, { shards, otherSlots: 9_999 })
  for (const { id } of nodes.slice(1)) {
    await grid.place(KIND.Store, storeSpec(), [{ node: id, sizeBytes: 32n }], { seconds: 900_000n })
  }
  const group = Array.from({ length: 28 }, () => 'd1').join('')
  const figures: Figure[] = []
  const own = audits.connect(node.wallet)
  // The usual case: words that were written before.
  for (let epoch = 1n; epoch <= 4n; epoch += 1n) {
    await scene.commit()
    for (const other of nodes.slice(1))
      await audits.connect(other.wallet).commit(`0x${'a5'.repeat(32)}`, 1n)
    const measured = epoch === 4n
    const drawn = await gasOf(audits.draw())
    await scene.post(await scene.prove(epoch))
    const batch = await gasOf(
      audits.connect(watcher).postDigests(epoch, 0n, `0x${group}`, 2n ** 256n - 1n),
    )
    const committed = await gasOf(own.commit(scene.accumulator.root, scene.accumulator.units))
    if (measured) {
      figures.push({ act: 'draw an epoch, for all nodes', gas: drawn })
      figures.push({ act: 'commit an accumulator', gas: committed })
      figures.push({ act: 'digests of 256 nodes', gas: batch, units: 256, budget: 170 })
    }
    if (!measured) await grid.pass(epochSeconds)
  }
  const proof = await scene.prove(4n)
  const digest = await gasOf(own.postDigest(4n, proof.digest.slice(0, 28)))
  figures.push({ act: 'own digest of a node with 10,000 slots', gas: digest, budget: 32_000 })
  await grid.pass(9_001n)
  const sample = proof.own[0] ?? 1
  const located = audits
    .connect(watcher)
    .challengeLocated(node.id, 4n, sample, proof.location(sample))
  figures.push({ act: 'doubt a sample of it, located', gas: await gasOf(located), budget: 330_000 })
  const answered = own.answer(1n, proof.opening(sample))
  figures.push({ act: 'answer with one opening', gas: await gasOf(answered), budget: 65_000 })
  await grid.pass(epochSeconds)
  await audits.draw()
  await grid.beat(nodes)
  const others = nodes.slice(1).map(({ id }) => id)
  const marked = await gasOf(audits.connect(watcher).markMissed(4n, others))
  figures.push({
    act: 'mark 8 nodes that missed an epoch for the first time',
    ...{ gas: marked, units: others.length, budget: 180_000 },
  })
  return figures
}

async function nodesOnFarms(grid: TestGrid, count: number): Promise<TestNode[]> {
  const made: TestNode[] = []
  const owner = grid.actors.owners[0] as Signer
  await grid.fund(owner)
  for (let i = 0; i < count; i += 1) made.push(await grid.addNode(owner, await grid.addFarm(owner)))
  return made
}

function nodeBeat(grid: TestGrid, node: TestNode): Promise<ContractTransactionResponse> {
  return grid.contracts.nodes.connect(node.wallet).heartbeat()
}

async function gasOf(sent: Promise<ContractTransactionResponse>): Promise<number> {
  const receipt = await (await sent).wait()
  return Number(receipt?.gasUsed ?? 0n)
}

function perUnit(figure: Figure): number {
  return Math.ceil(figure.gas / (figure.units ?? 1))
}

function printTable(rows: readonly Figure[]): void {
  for (const row of rows) {
    const each = row.units ? `  ${perUnit(row)} each` : ''
    const budget = row.budget ? `  (budget ${row.budget})` : ''
    process.stdout.write(`${String(row.gas).padStart(10)}  ${row.act}${each}${budget}\n`)
  }
}

function check(rows: readonly Figure[]): void {
  const dear = rows.filter((row) => row.budget !== undefined && perUnit(row) > row.budget)
  const known = JSON.parse(readFileSync(SNAPSHOT, 'utf8')) as Figure[]
  const knownGas = new Map(known.map((row) => [row.act, row.gas]))
  const changed = rows.filter((row) => knownGas.get(row.act) !== row.gas)
  for (const row of dear) process.stderr.write(`over budget: ${row.act}: ${perUnit(row)}\n`)
  for (const row of changed) {
    process.stderr.write(`changed: ${row.act}: ${knownGas.get(row.act)} -> ${row.gas}\n`)
  }
  if (dear.length + changed.length > 0) process.exitCode = 1
}
