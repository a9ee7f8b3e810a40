/**
 * Deploys the contracts and says where the grid is. Their addresses follow from what is deployed (CREATE2), and each step
 * looks at the chain before it acts: running it again does nothing, running it after a kill does what is missing.
 *
 * `npx node scripts/deploy.ts --url URL --key-file FILE --dir DIR [--profile devnet|community]`
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { Contract, id, JsonRpcProvider, type Provider, type Signer, Wallet } from 'ethers'
import { codeOf, describeError, NodeError } from '../agent/base/errors.ts'
import { type Artifacts, artifactsIn } from './deploy/artifacts.ts'
import { carryOut } from './deploy/carry-out.ts'
import { DEPLOY_ERRORS, type DeployErrorCode } from './deploy/errors.ts'
import { contractsHash, type GridAddresses, gridPlan } from './deploy/grid-plan.ts'
import { communityParameters, devnetParameters, type GridParameters } from './deploy/parameters.ts'
import { placeFactory } from './deploy/place-factory.ts'
import { refuseUnsuitableChain } from './deploy/suitable-chain.ts'
import { writeDurably } from './devnet/durable-file.ts'

const ARTIFACTS = fileURLToPath(new URL('../artifacts', import.meta.url))
const RECORD = 'grid.json'

/** What to deploy, and where. */
export interface Deployment {
  /** RPC of the ledger. */
  readonly url: string
  /** Private key that pays the gas, 32 bytes in hexadecimal; it has no power over the grid afterwards. */
  readonly deployerKey: string
  readonly parameters: GridParameters
  /** Where it is written down which grid this is; belongs to one chain. */
  readonly deploymentDir: string
  /** Told how far it is. */
  readonly say?: (what: string) => void
}

/** A grid that is deployed. */
export interface DeployedGrid {
  /** Address of `Grid`, which leads to all others. */
  readonly grid: string
  readonly chainId: number
  readonly contracts: GridAddresses
  /** No event of the grid is in an older block. */
  readonly deployedAtBlock: number
  /** Hash over the code of its contracts, to tell whether it was deployed from other ones. */
  readonly contractsHash: string
}

/**
 * Deploys the grid, or finds that it is deployed.
 *
 * @param deployment - What and where.
 * @returns Where it is.
 * @throws NodeError `DEPLOY_NOT_BUILT`, `DEPLOY_FAILED`, `DEPLOY_LOST`, `DEPLOY_CHAIN_UNSUITABLE`.
 * @example
 * const { grid } = await deployGrid({ url, deployerKey, parameters: devnetParameters(holder), deploymentDir })
 */
export async function deployGrid(deployment: Deployment): Promise<DeployedGrid> {
  const { deploymentDir, deployerKey, parameters, say = () => undefined } = deployment
  const provider = new JsonRpcProvider(deployment.url, undefined, { cacheTimeout: -1 })
  try {
    const recordPath = join(deploymentDir, RECORD)
    if (existsSync(recordPath)) {
      const known = JSON.parse(readFileSync(recordPath, 'utf8')) as DeployedGrid
      await refuseStranger(provider, known)
      return known
    }
    await refuseUnsuitableChain(provider)
    const artifacts = artifactsIn(ARTIFACTS)
    const signer = new Wallet(deployerKey, provider) as Wallet & { readonly provider: Provider }
    const secret = id(deployerKey)
    const contracts = await placeGrid({ artifacts, parameters, signer, secret, say })
    const deployed = {
      grid: contracts.grid,
      chainId: Number((await provider.getNetwork()).chainId),
      contracts,
      deployedAtBlock: await blockOf(contracts.policy, artifacts, provider),
      contractsHash: contractsHash(artifacts),
    }
    mkdirSync(deploymentDir, { recursive: true })
    await writeDurably(recordPath, `${JSON.stringify(deployed, null, 2)}\n`)
    return deployed
  } finally {
    provider.destroy()
  }
}

/** What {@link placeGrid} needs. */
export interface Placement {
  readonly artifacts: Artifacts
  readonly parameters: GridParameters
  /** Pays, connected to the chain. */
  readonly signer: Signer & { readonly provider: Provider }
  /** 32 bytes, `0x` and hexadecimal, that others do not know. */
  readonly secret: string
  readonly say: (what: string) => void
}

/**
 * Puts a grid onto a chain: the factory, then whatever is missing.
 *
 * @param placement - What and by whom.
 * @returns Where each contract is; the same for the same code, parameters, signer and secret.
 * @throws NodeError `DEPLOY_FAILED`.
 */
export async function placeGrid(placement: Placement): Promise<GridAddresses> {
  const { artifacts, parameters, signer, secret, say } = placement
  const values = JSON.stringify(parameters, (_, value: unknown) =>
    typeof value === 'bigint' ? `${value}` : value,
  )
  const factory = await placeFactory(signer, secret, id(`${contractsHash(artifacts)} ${values}`))
  const { addresses, phases } = gridPlan(artifacts, parameters, factory, signer.provider)
  for (const [index, steps] of phases.entries()) {
    await carryOut(steps, signer, (how) =>
      say(`contracts, part ${index + 1} of ${phases.length}: ${how}`),
    )
  }
  return addresses
}

/**
 * Says whether a grid was deployed from the contracts that are compiled here.
 *
 * @param deployed - The grid.
 * @returns False if this checkout has other contracts.
 * @throws NodeError `DEPLOY_NOT_BUILT`.
 */
export function isOfThisCheckout(deployed: DeployedGrid): boolean {
  return deployed.contractsHash === contractsHash(artifactsIn(ARTIFACTS))
}

async function refuseStranger(provider: JsonRpcProvider, known: DeployedGrid): Promise<void> {
  const { chainId } = await provider.getNetwork()
  const code = await provider.getCode(known.grid)
  if (Number(chainId) === known.chainId && code !== '0x') return
  throw new NodeError('DEPLOY_LOST', `no grid at ${known.grid} of chain ${chainId}`)
}

async function blockOf(policy: string, from: Artifacts, provider: Provider): Promise<number> {
  const contract = new Contract(policy, from('Policy').abi, provider)
  return Number(await contract.getFunction('deployedAtBlock')())
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
    .requiredOption(
      '--dir <directory>',
      'where it is written down which grid it is; belongs to one chain',
    )
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
      say: (what) => process.stderr.write(`${what}\n`),
    })
    const text = options.json ? JSON.stringify(deployed) : `grid ${deployed.grid}`
    process.stdout.write(`${text}\n`)
  } catch (caught) {
    process.stderr.write(`deploy: ${describeError(caught)}\n`)
    const known = DEPLOY_ERRORS[(codeOf(caught) ?? '') as DeployErrorCode]
    if (known !== undefined) process.stderr.write(`  hint: ${known.hint}\n`)
    process.exitCode = 1
  }
}
