// The same acts on two implementations of the EVM must cost the same gas and leave the same state.
import { type ChildProcess, spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { assert } from 'chai'
import type { ContractTransactionResponse, Signer } from 'ethers'
import { AuditScene } from './support/audit-scene.ts'
import {
  ANY_RATE,
  deployTestGrid,
  GIB,
  KIND,
  mined,
  mountSpec,
  storeSpec,
  type TestGrid,
  type TestNode,
  volumeSpec,
} from './support/grid.ts'

/** Where the package of the second EVM keeps its program; undefined where it has none for this machine. */
function anvilPath(): string | undefined {
  try {
    const manifest = createRequire(import.meta.url).resolve(
      '@foundry-rs/anvil-linux-amd64/package.json',
    )
    return join(dirname(manifest), 'bin/anvil')
  } catch {
    return undefined
  }
}

async function startAnvil(path: string): Promise<{ child: ChildProcess; url: string }> {
  const flags = ['--port', '0', '--hardfork', 'cancun', '--chain-id', '31337']
  const child = spawn(path, flags, { stdio: ['ignore', 'pipe', 'ignore'] })
  for await (const line of createInterface({ input: child.stdout })) {
    const address = /Listening on (\S+)/.exec(line)?.[1]
    if (address) {
      child.stdout.resume()
      return { child, url: `http://${address}` }
    }
  }
  throw new TypeError('the second EVM ended before it listened')
}

/**
 * An epoch of audits: one node proves, is doubted and answers, another misses. Seeds differ from chain to chain, so only acts
 * that carry nothing of them cost the same gas.
 */
async function auditOut(
  grid: TestGrid,
  nodes: readonly TestNode[],
  begun: bigint,
  add: (name: string, sent: Promise<ContractTransactionResponse>) => Promise<void>,
): Promise<unknown> {
  const { audits, token, votes } = grid.contracts
  const { tenant } = grid.actors
  const [proving, missing] = nodes as [TestNode, TestNode]
  const at = (after: bigint) => grid.at(begun + after)
  const shards = [1, 2, 3].map((seed) => new Uint8Array(1000 * seed).fill(seed))
  // It takes from a balance that streams, so its time counts.
  await at(190n)
  const scene = await AuditScene.make(grid, proving, { shards })
  await mined(token.connect(tenant).approve(await audits.getAddress(), 5n))
  const digest = `0x${'d1'.repeat(28)}`
  await scene.commit()
  await at(195n)
  const slots = [{ node: missing.id, sizeBytes: 77n * 32n }]
  await grid.place(KIND.Store, storeSpec(), slots, { seconds: 900_000n })
  await at(200n)
  await add('commit', audits.connect(missing.wallet).commit(`0x${'a5'.repeat(32)}`, 77n))
  await at(210n)
  await add('draw', audits.draw())
  await at(220n)
  await add('digest', audits.connect(proving.wallet).postDigest(1n, digest))
  const proof = await scene.prove(1n)
  await scene.post(proof)
  await at(400n)
  await mined(audits.connect(tenant).challengeLocated(proving.id, 1n, 8, proof.location(8)))
  await mined(audits.answer(1n, proof.opening(8)))
  await at(1_300n)
  await add('next draw', audits.draw())
  await grid.beat([proving, missing])
  await at(1_400n)
  await add('mark', audits.markMissed(1n, [proving.id, missing.id]))
  await at(1_410n)
  await add('collect', audits.collect(1n))
  await at(1_420n)
  await add('refresh', votes.refresh(proving.id))
  const provers = await Promise.all([proving, missing].map(({ id }) => audits.proverOf(id)))
  const { state } = await audits.disputes(1n)
  return { state, owed: await audits.owed(), provers: provers.map((each) => [...each]) }
}

/** Acts that touch every contract; returns the gas of each and what the ledger says afterwards. */
async function actOut(url?: string): Promise<{ gas: Record<string, bigint>; state: unknown }> {
  const grid = await deployTestGrid({
    ...(url === undefined ? {} : { url }),
    policy: {
      ...{ HeartbeatSeconds: 40_000n, LostSeconds: 80_000n, GraceSeconds: 5n },
      ...{ AuditEpochSeconds: 1_000n, AuditWindowSeconds: 100n, AuditWindowBlocks: 1n },
      ...{ AuditAnswerSeconds: 100n, AuditSamples: 8n, AuditOpenOdds: 0n, AuditBond: 5n },
    },
  })
  const { tenant, owners } = grid.actors
  const { orders, escrow, nodes, policy } = grid.contracts
  const owner = owners[0] as Signer
  await grid.fund(owner)
  await grid.fund(tenant)
  const made = []
  for (let i = 0; i < 7; i += 1) made.push(await grid.addNode(owner, await grid.addFarm(owner)))
  const gas: Record<string, bigint> = {}
  const add = async (name: string, sent: Promise<ContractTransactionResponse>) => {
    gas[name] = (await (await sent).wait())?.gasUsed ?? 0n
  }
  const slots = (...ids: number[]) => ids.map((id) => ({ node: BigInt(id), sizeBytes: GIB }))
  const book = orders.connect(tenant)
  const limit = 10n ** 9n
  await grid.place(KIND.Store, storeSpec(), slots(6))
  const { placedAt: begun } = await grid.order(1n)
  const at = (after: bigint) => grid.at(begun + after)
  await at(10n)
  await add('volume', book.place(KIND.Volume, 0n, volumeSpec(), slots(1, 2, 3, 4, 5), 1000n, limit))
  await at(20n)
  await add('mount', book.place(KIND.Mount, 2n, mountSpec(), slots(6), 1000n, limit))
  await at(30n)
  await add('deposit', escrow.connect(tenant).deposit(await tenant.getAddress(), 5_000_000n))
  await at(40n)
  await add('stream', book.place(KIND.Store, 0n, storeSpec(), slots(7), 0n, limit))
  await at(50n)
  await add('heartbeat', nodes.connect(made[0]!.wallet).heartbeat())
  await at(60n)
  await add('replace', book.replace(2n, 0, 7n, ANY_RATE))
  await at(70n)
  await add('settle', book.settle(2n))
  await at(80n)
  await add('cancel', book.cancel(2n))
  await at(90n)
  await add('release', book.settle(2n))
  const disputed = await auditOut(grid, made, begun, add)
  const since = (time: bigint) => (time === 0n ? 0n : time - begun)
  const views = await Promise.all([1n, 2n, 3n, 4n].map((id) => grid.order(id)))
  const seen = {
    orders: views.map((view) => ({
      ...{ state: view.state, rate: view.ratePerSecond, epoch: view.writerEpoch, spec: view.spec },
      times: [view.placedAt, view.paidUntil, view.endedAt, view.deletableAt].map(since),
      slots: view.slots.map((slot) => [slot.node, slot.generation, since(slot.assignedAt)]),
      children: [...view.children],
    })),
    totals: [...(await escrow.totals())],
    earned: await escrow.freeBalance(await owner.getAddress()),
    policy: [...(await policy.all())[1]],
    disputed,
  }
  await grid.connection.close()
  return { gas, state: seen }
}

describe('A second EVM', () => {
  let child: ChildProcess | undefined
  after(() => child?.kill())

  it('agrees on gas and state', async function () {
    const path = anvilPath()
    if (path === undefined) this.skip()
    const started = await startAnvil(path)
    child = started.child
    const first = await actOut()
    const second = await actOut(started.url)
    assert.deepEqual(second.gas, first.gas)
    assert.deepEqual(second.state, first.state)
    assert.isAbove(Number(first.gas['volume']), 100_000)
  })
})
