// The same acts on two implementations of the EVM must cost the same gas and leave the same state.
import { type ChildProcess, spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { assert } from 'chai'
import type { ContractTransactionResponse, Signer } from 'ethers'
import { deployTestGrid, GIB, KIND, mountSpec, storeSpec, volumeSpec } from './support/grid.ts'

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

/** Acts that touch every contract; returns the gas of each and what the ledger says afterwards. */
async function actOut(url?: string): Promise<{ gas: Record<string, bigint>; state: unknown }> {
  const grid = await deployTestGrid({
    ...(url === undefined ? {} : { url }),
    policy: { HeartbeatSeconds: 40_000n, LostSeconds: 80_000n, GraceSeconds: 5n },
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
  await add('replace', book.replace(2n, 0, 7n))
  await at(70n)
  await add('settle', book.settle(2n))
  await at(80n)
  await add('cancel', book.cancel(2n))
  await at(90n)
  await add('release', book.settle(2n))
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
