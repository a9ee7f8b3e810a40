/**
 * Deploys the contracts with Hardhat Ignition and says where the grid is. Running it again does nothing; running it after
 * a kill goes on where it stopped, because Ignition keeps a journal in the deployment directory.
 *
 * `npx node scripts/deploy.ts --url URL --key-file FILE --dir DIR [--profile devnet|community]`
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  type DeploymentResult,
  DeploymentResultType,
  deploy,
  listTransactions,
} from '@nomicfoundation/ignition-core'
import { Command } from 'commander'
import { Contract, JsonRpcProvider, Wallet } from 'ethers'
import { codeOf, describeError, NodeError } from '../agent/base/errors.ts'
import { GRID_ABI } from '../agent/ledger/abi.ts'
import gridModule from '../ignition/modules/grid.ts'
import {
  communityParameters,
  devnetParameters,
  type GridParameters,
  ignitionParameters,
} from '../ignition/modules/parameters.ts'
import { artifactResolver } from './deploy/artifacts.ts'
import { DEPLOY_ERRORS, type DeployErrorCode } from './deploy/errors.ts'
import { mendInterrupted } from './deploy/interrupted.ts'
import { signingProvider } from './deploy/signing-provider.ts'
import { writeDurably } from './devnet/durable-file.ts'

const ARTIFACTS = fileURLToPath(new URL('../artifacts', import.meta.url))
/** Looks at the chain this often while it waits for a block. */
const POLL_MS = 150
/** Hardhat's number of Ignition's refusal to go on from an account that has sent more than it counts. */
const NONCE_TOO_HIGH = 10411
const ATTEMPTS_MAX = 5

/** What to deploy, and where. */
export interface Deployment {
  /** RPC of the ledger. */
  readonly url: string
  /** Private key that pays the gas, 32 bytes in hexadecimal; it has no power over the grid afterwards. */
  readonly deployerKey: string
  readonly parameters: GridParameters
  /** Where the journal of the deployment is kept; belongs to one chain. */
  readonly deploymentDir: string
}

/** A grid that is deployed. */
export interface DeployedGrid {
  /** Address of `Grid`, which leads to all others. */
  readonly grid: string
  readonly chainId: number
  /** Addresses by the names of `Contracts` in `IGrid.sol`. */
  readonly contracts: Readonly<Record<ContractName, string>>
  readonly deployedAtBlock: number
  /** Gas of all transactions together. */
  readonly gasUsed: number
  readonly transactions: number
}

const CONTRACT_NAMES = [
  ...(['token', 'governor', 'timelock', 'policy', 'nodes', 'orders', 'escrow'] as const),
]
type ContractName = (typeof CONTRACT_NAMES)[number]

/**
 * Deploys the grid, or finds that it is deployed.
 *
 * @param deployment - What and where.
 * @returns Where it is, and what it cost.
 * @throws NodeError `DEPLOY_NOT_BUILT`, `DEPLOY_FAILED`, `DEPLOY_LOST`.
 * @example
 * const { grid } = await deployGrid({ url, deployerKey, parameters: devnetParameters(holder), deploymentDir })
 */
export async function deployGrid(deployment: Deployment): Promise<DeployedGrid> {
  const provider = new JsonRpcProvider(deployment.url, undefined, { cacheTimeout: -1 })
  try {
    const recordPath = join(deployment.deploymentDir, 'grid.json')
    if (existsSync(recordPath)) {
      const known = JSON.parse(readFileSync(recordPath, 'utf8')) as DeployedGrid
      await refuseStranger(provider, known)
      return known
    }
    mkdirSync(deployment.deploymentDir, { recursive: true })
    const grid = await runIgnition(provider, deployment)
    const deployed = await describeGrid(provider, deployment.deploymentDir, grid)
    await writeDurably(recordPath, `${JSON.stringify(deployed, null, 2)}\n`)
    return deployed
  } finally {
    provider.destroy()
  }
}

async function refuseStranger(provider: JsonRpcProvider, known: DeployedGrid): Promise<void> {
  const { chainId } = await provider.getNetwork()
  const code = await provider.getCode(known.grid)
  if (Number(chainId) === known.chainId && code !== '0x') return
  throw new NodeError('DEPLOY_LOST', `no grid at ${known.grid} of chain ${chainId}`)
}

async function runIgnition(provider: JsonRpcProvider, deployment: Deployment): Promise<string> {
  const wallet = new Wallet(deployment.deployerKey, provider)
  const signing = signingProvider(provider, wallet)
  const deploymentDir = resolve(deployment.deploymentDir)
  await mendInterrupted(deploymentDir, wallet, provider, signing)
  const result = await untilNoncesAgree(() =>
    deploy({
      config: { requiredConfirmations: 1, blockPollingInterval: POLL_MS },
      artifactResolver: artifactResolver(ARTIFACTS),
      provider: signing,
      deploymentDir,
      ignitionModule: gridModule,
      deploymentParameters: ignitionParameters(deployment.parameters),
      accounts: [wallet.address],
    }),
  )
  if (result.type !== DeploymentResultType.SUCCESSFUL_DEPLOYMENT) throw failureOf(result)
  const grid = result.contracts['Grid#Grid']
  if (grid === undefined) throw new NodeError('DEPLOY_FAILED', 'the module made no Grid')
  return grid.address
}

/**
 * Runs Ignition again where it counts fewer nonces than were used: it counts those of transactions that it knows to be
 * under way, and after a kill a later one may be done while an earlier one is not yet noted to be. Each run notes more.
 */
async function untilNoncesAgree<T>(run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run()
    } catch (caught) {
      const isAhead = caught instanceof Error && Reflect.get(caught, 'number') === NONCE_TOO_HIGH
      if (!isAhead || attempt === ATTEMPTS_MAX) throw caught
    }
  }
}

function failureOf(result: DeploymentResult): NodeError {
  const details: Record<string, unknown> =
    'errors' in result
      ? { errors: result.errors }
      : 'failed' in result
        ? { failed: result.failed, timedOut: result.timedOut, started: result.started }
        : {}
  const said = JSON.stringify(details)
  return new NodeError('DEPLOY_FAILED', `Ignition reports ${result.type}: ${said}`, { details })
}

async function describeGrid(
  provider: JsonRpcProvider,
  deploymentDir: string,
  grid: string,
): Promise<DeployedGrid> {
  const contracts = (await new Contract(grid, GRID_ABI, provider).getFunction(
    'contracts',
  )()) as Record<ContractName, string> & { deployedAtBlock: bigint }
  const sent = await listTransactions(deploymentDir, artifactResolver(ARTIFACTS))
  let gasUsed = 0n
  for (const { txHash } of sent) {
    gasUsed += (await provider.getTransactionReceipt(txHash))?.gasUsed ?? 0n
  }
  return {
    grid,
    chainId: Number((await provider.getNetwork()).chainId),
    contracts: Object.fromEntries(CONTRACT_NAMES.map((name) => [name, contracts[name]])) as Record<
      ContractName,
      string
    >,
    deployedAtBlock: Number(contracts.deployedAtBlock),
    gasUsed: Number(gasUsed),
    transactions: sent.length,
  }
}

interface Options {
  readonly url: string
  readonly keyFile?: string
  readonly dir: string
  readonly profile: string
  readonly holder?: string
  readonly json?: boolean
}

if (import.meta.main) {
  const program = new Command('deploy')
    .description('Deploys the contracts of the grid; does nothing if they are there.')
    .requiredOption('--url <url>', 'RPC of the ledger')
    .requiredOption('--dir <directory>', 'journal of the deployment; belongs to one chain')
    .option('--key-file <file>', 'file with the private key that pays (or VARVE_DEPLOYER_KEY_FILE)')
    .option('--profile <devnet|community>', 'times and limits: seconds, or days', 'devnet')
    .option('--holder <address>', 'gets the whole supply of the token (default: the deployer)')
    .option('--json', 'say where it is as JSON')
    .addHelpText(
      'after',
      '\nExample:\n  $ npx node scripts/deploy.ts --url http://127.0.0.1:8545 --key-file deployer.key --dir deployment',
    )
    .parse()
  await main(program.opts<Options>())
}

async function main(options: Options): Promise<void> {
  try {
    const keyFile = options.keyFile ?? process.env['VARVE_DEPLOYER_KEY_FILE']
    if (keyFile === undefined) throw new NodeError('DEPLOY_KEY_MISSING', 'give --key-file')
    const deployerKey = readFileSync(keyFile, 'utf8').trim()
    const holder = options.holder ?? new Wallet(deployerKey).address
    const parametersOf = options.profile === 'community' ? communityParameters : devnetParameters
    const parameters = parametersOf(holder)
    const deployed = await deployGrid({
      ...{ url: options.url, deployerKey, parameters, deploymentDir: options.dir },
    })
    const { grid, gasUsed, transactions } = deployed
    const text = options.json
      ? JSON.stringify(deployed)
      : `grid ${grid}   ${gasUsed} gas in ${transactions} transactions`
    process.stdout.write(`${text}\n`)
  } catch (caught) {
    process.stderr.write(`deploy: ${describeError(caught)}\n`)
    const known = DEPLOY_ERRORS[(codeOf(caught) ?? '') as DeployErrorCode]
    if (known !== undefined) process.stderr.write(`  hint: ${known.hint}\n`)
    process.exitCode = 1
  }
}
