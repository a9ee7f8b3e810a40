/** A ledger, the contracts of one grid on it, and the account that signs: what every part of the SDK works with. */
import {
  type BaseContract,
  Contract,
  type Interface,
  JsonRpcProvider,
  Network,
  type Signer,
} from 'ethers'
import { NodeError } from '../../agent/base/errors.ts'
import type { Account } from '../../agent/base/ids.ts'
import { ESCROW_ABI, GRID_ABI, NODES_ABI, ORDERS_ABI, POLICY_ABI } from '../../agent/ledger/abi.ts'
import { FARMS_ABI, GOVERNOR_ABI, TERMS_ABI, TOKEN_ABI } from './abi.ts'
import { explainFailure } from './contract-errors.ts'
import { givenAccount } from './given-account.ts'
import { ledgerRequest } from './ledger-request.ts'
import { type Wait, wait } from './node/wait.ts'

/** A ledger that says nothing for this long is not there. */
const ANSWER_MS_MAX = 30_000
const FIRST_ANSWER_MS_MAX = 5_000

/** How to connect. */
export interface ConnectOptions {
  /** RPC of the ledger, HTTP. */
  readonly url: string
  /** Address of `Grid`. */
  readonly address: string
  /** Signs transactions; without it only reading works. A signer without provider is connected to the ledger. */
  readonly signer?: Signer | undefined
  /** How to wait; only tests change it. */
  readonly wait?: Wait | undefined
}

/** See the file's comment. */
export interface Connection {
  readonly provider: JsonRpcProvider
  readonly chainId: number
  readonly grid: Account
  readonly deployedAtBlock: number
  readonly contracts: Readonly<Record<ContractName, Contract>>
  readonly wait: Wait
  /** The account that signs. @throws NodeError `SIGNER_MISSING`. */
  signer(): Signer
  /** Its address. @throws NodeError `SIGNER_MISSING`. */
  signerAddress(): Promise<string>
}

export type ContractName =
  | 'token'
  | 'governor'
  | 'timelock'
  | 'policy'
  | 'nodes'
  | 'orders'
  | 'escrow'
  | 'farms'
  | 'terms'

const ABIS: Readonly<Record<ContractName, Interface | readonly string[]>> = {
  token: TOKEN_ABI,
  governor: GOVERNOR_ABI,
  timelock: ['function getMinDelay() view returns (uint256)'],
  policy: POLICY_ABI,
  nodes: NODES_ABI,
  orders: ORDERS_ABI,
  escrow: ESCROW_ABI,
  farms: FARMS_ABI,
  terms: TERMS_ABI,
}

/** Two faces of one contract: what agents call too, and what only clients call. */
const SAME_CONTRACT: Readonly<Partial<Record<ContractName, ContractName>>> = {
  farms: 'nodes',
  terms: 'policy',
}

/**
 * Connects to a grid.
 *
 * @param options - Where, and who.
 * @returns The connection; destroy its provider to let the process end at once.
 * @throws NodeError `ARGUMENT_INVALID`, `LEDGER_UNREACHABLE`, `GRID_MISSING`.
 */
export async function connect(options: ConnectOptions): Promise<Connection> {
  const grid = givenAccount(options.address)
  // Asked apart, because ethers' provider repeats a first question for ever.
  const chainId = await readChainId(options.url)
  const request = ledgerRequest(options.url, ANSWER_MS_MAX)
  const provider = new JsonRpcProvider(request, Network.from(chainId), {
    staticNetwork: true,
    polling: true,
    cacheTimeout: -1,
  })
  try {
    const addresses = await readAddresses(provider, grid)
    const contract = (name: ContractName) =>
      new Contract(addresses[SAME_CONTRACT[name] ?? name] ?? '', ABIS[name], provider)
    const names = Object.keys(ABIS) as ContractName[]
    const contracts = Object.fromEntries(names.map((name) => [name, contract(name)]))
    const signer =
      options.signer === undefined || options.signer.provider !== null
        ? options.signer
        : options.signer.connect(provider)
    return {
      ...{ provider, chainId, grid, deployedAtBlock: Number(addresses['deployedAtBlock']) },
      contracts: contracts as Record<ContractName, Contract>,
      wait: options.wait ?? wait,
      signer: () => requiredSigner(signer),
      signerAddress: async () => await requiredSigner(signer).getAddress(),
    }
  } catch (caught) {
    provider.destroy()
    throw caught
  }
}

async function readChainId(url: string): Promise<number> {
  const request = ledgerRequest(url, FIRST_ANSWER_MS_MAX)
  request.body = { jsonrpc: '2.0', id: 1, method: 'eth_chainId', params: [] }
  try {
    const response = await request.send()
    response.assertOk()
    const { result } = response.bodyJson as { result?: unknown }
    const chainId = Number(result)
    if (Number.isSafeInteger(chainId) && chainId > 0) return chainId
  } catch (cause) {
    throw new NodeError('LEDGER_UNREACHABLE', `no ledger answers at ${url}`, { cause })
  }
  throw new NodeError('LEDGER_UNREACHABLE', `what answers at ${url} is no ledger`)
}

async function readAddresses(
  provider: JsonRpcProvider,
  grid: Account,
): Promise<Record<string, string>> {
  if ((await reading(provider.getCode(grid))) === '0x') {
    throw new NodeError('GRID_MISSING', `there is no contract at ${grid}`)
  }
  try {
    const contract: BaseContract = new Contract(grid, GRID_ABI, provider)
    const result = await contract.getFunction('contracts')()
    return result.toObject() as Record<string, string>
  } catch (cause) {
    throw new NodeError('GRID_MISSING', `the contract at ${grid} is no grid`, { cause })
  }
}

function requiredSigner(signer: Signer | undefined): Signer {
  if (signer !== undefined) return signer
  throw new NodeError('SIGNER_MISSING', 'this needs the key of an account')
}

/**
 * Waits for an answer of the ledger, with failures in our words.
 *
 * @param answer - What ethers promised.
 * @returns What it gave.
 * @throws NodeError as {@link explainFailure} says.
 */
export async function reading<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (caught) {
    throw explainFailure(caught)
  }
}

/**
 * Calls a view function.
 *
 * @param contract - The contract.
 * @param name - Name of the function.
 * @param args - Its arguments.
 * @returns Its result as ethers gives it.
 * @throws NodeError as {@link explainFailure} says.
 */
export async function view(
  contract: Contract,
  name: string,
  ...args: readonly unknown[]
): Promise<unknown> {
  return await reading(contract.getFunction(name).staticCall(...args) as Promise<unknown>)
}
