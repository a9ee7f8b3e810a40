/** A real ledger with the real contracts, farms, and nodes that registered themselves; for tests of clients. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Contract, JsonRpcProvider, Wallet } from 'ethers'
import { toHex } from '../../../agent/base/bytes.ts'
import { type Identity, identityFromSeed } from '../../../agent/base/identity.ts'
import { NODES_ABI } from '../../../agent/ledger/abi.ts'
import { Grid } from '../../../client/sdk/index.ts'
import { devnetParameters } from '../../../scripts/deploy/parameters.ts'
import { type DeployedGrid, deployGrid } from '../../../scripts/deploy.ts'
import { type Devnet, startDevnet } from '../../../scripts/devnet/devnet.ts'

export const GIB = 2 ** 30
/** How long a vote is open: longer than any machine needs to vote, because tests move the clock on once they have. */
export const VOTING_SECONDS = 300
/** What every node of the fixture offers and asks. */
export const CAPACITY_BYTES = 8 * GIB
export const PRICE = 1_000_000n

/** See the file's comment. */
export interface GridFixture {
  readonly devnet: Devnet
  readonly deployed: DeployedGrid
  readonly directory: string
  /** Owns all tokens and farms, and votes with them. */
  readonly holder: string
  readonly tenant: string
  readonly nodes: readonly Identity[]
  connect(key: string | undefined): Promise<Grid>
  /** Every node says that it lives. */
  beat(): Promise<void>
  close(): Promise<void>
}

/** Builds it: `count` nodes, each of a farm of its own. */
export async function gridFixture(count: number): Promise<GridFixture> {
  const directory = mkdtempSync(join(tmpdir(), 'varve-client-'))
  const devnet = await startDevnet({ dataDir: join(directory, 'ledger'), blockTimeSeconds: 0.25 })
  try {
    return await build(count, directory, devnet)
  } catch (caught) {
    // A ledger that goes on would keep the test runner from ending.
    await devnet.stop()
    rmSync(directory, { recursive: true, force: true })
    throw caught
  }
}

async function build(count: number, directory: string, devnet: Devnet): Promise<GridFixture> {
  const [deployer, holder, tenant] = devnet.accounts
  if (!deployer || !holder || !tenant) throw new TypeError('the ledger has accounts')
  const usual = devnetParameters(holder.address)
  const deployed = await deployGrid({
    ...{ url: devnet.url, deployerKey: deployer.privateKey },
    // Blocks come four times faster than the chain's clock counts, so times are longer.
    parameters: {
      ...usual,
      votingPeriodSeconds: VOTING_SECONDS,
      policy: { ...usual.policy, HeartbeatSeconds: 600n, LostSeconds: 1300n },
    },
    deploymentDir: join(directory, 'deployment'),
  })
  const provider = new JsonRpcProvider(devnet.url, undefined, { cacheTimeout: -1 })
  provider.pollingInterval = 100
  const connect = (key: string | undefined) =>
    Grid.connect({
      ...{ url: devnet.url, address: deployed.grid },
      ...(key === undefined ? {} : { signer: new Wallet(key) }),
    })
  const nodes = Array.from({ length: count }, (_, index) =>
    identityFromSeed(new Uint8Array(32).fill(index + 1)),
  )
  const grid = await connect(holder.privateKey)
  const stake = await grid.stakeFor(CAPACITY_BYTES)
  for (const [index, identity] of nodes.entries()) {
    const { farm } = await grid.createFarm(`farm ${index + 1}`, { until: 'mined' })
    const sponsorship = { farm: farm ?? 0, account: identity.account, stake, gasWei: 10n ** 18n }
    await grid.sponsor(sponsorship, { until: 'mined' })
    await register(provider, deployed, identity, index)
  }
  grid.close()
  return {
    ...{ devnet, deployed, directory, nodes, connect },
    ...{ holder: holder.privateKey, tenant: tenant.privateKey },
    async beat() {
      await Promise.all(
        nodes.map(async (identity) => {
          const contract = registryOf(provider, deployed, identity)
          await (await contract.getFunction('heartbeat').send({ gasLimit: 200_000n })).wait()
        }),
      )
    },
    async close() {
      provider.destroy()
      await devnet.stop()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

async function register(
  provider: JsonRpcProvider,
  deployed: DeployedGrid,
  identity: Identity,
  index: number,
): Promise<void> {
  const sent = await registryOf(provider, deployed, identity)
    .getFunction('register')
    .send(
      `0x${toHex(identity.publicKey)}`,
      `0x${toHex(identity.sealingKey)}`,
      [CAPACITY_BYTES, PRICE],
      [`/ip4/127.0.0.1/tcp/${4000 + index}`],
    )
  await sent.wait()
}

function registryOf(provider: JsonRpcProvider, deployed: DeployedGrid, identity: Identity) {
  const wallet = new Wallet(`0x${toHex(identity.privateKey)}`, provider)
  return new Contract(deployed.contracts.nodes, NODES_ABI, wallet)
}
