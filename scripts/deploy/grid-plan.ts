/**
 * What a grid is made of: one table of contracts and one of calls. Each address follows from the content of what is made,
 * so the whole plan is known before anything is sent, and the chain alone says how much of it is done.
 *
 * At the end the timelock owns what can be owned, the governor alone proposes to it, anyone executes, and neither the
 * factory nor its owner has any power left: wiring and admin role are both spent.
 */
import { concat, Interface, id, type Provider, ZeroAddress, ZeroHash } from 'ethers'
import type { Artifacts } from './artifacts.ts'
import type { Step } from './carry-out.ts'
import { addressMade, callInput, makeInput } from './factory.ts'
import { type GridParameters, POLICY_PARAMETERS } from './parameters.ts'

/** Names of the contracts of a grid, as in `IGrid.sol`. */
export const CONTRACT_KEYS = [
  ...(['timelock', 'token', 'policy', 'audits', 'nodes', 'votes', 'governor', 'escrow'] as const),
  ...(['rules', 'desk', 'orders', 'contractors', 'grid'] as const),
] as const

/** One of {@link CONTRACT_KEYS}. */
export type ContractKey = (typeof CONTRACT_KEYS)[number]

/** Where each contract is, or will be. */
export type GridAddresses = Readonly<Record<ContractKey, string>>

/** What the constructors are told: addresses, the factory's among them, and parameters. */
type Told = Readonly<Record<ContractKey | 'factory', string>> & { readonly given: GridParameters }

interface ContractRow {
  readonly contract: string
  /** Arguments of its constructor; of the other contracts only those above it have addresses. */
  readonly args: (told: Told) => readonly unknown[]
}

/** To add a contract, add its name above and its row here, behind those whose addresses it is given; `Grid` comes last. */
const CONTRACTS: Readonly<Record<ContractKey, ContractRow>> = {
  timelock: {
    contract: 'TimelockController',
    // Zero as executor: anyone may execute what passed.
    args: ({ given, factory }) => [given.timelockDelaySeconds, [], [ZeroAddress], factory],
  },
  token: { contract: 'GridToken', args: ({ given }) => [given.tokenHolder, given.tokenSupply] },
  policy: {
    contract: 'Policy',
    args: ({ given, timelock }) => [timelock, POLICY_PARAMETERS.map((name) => given.policy[name])],
  },
  audits: { contract: 'Audits', args: ({ token, policy }) => [token, policy] },
  nodes: { contract: 'Nodes', args: ({ token, policy, audits }) => [token, policy, audits] },
  votes: {
    contract: 'CapacityVotes',
    args: ({ token, policy, nodes, audits }) => [token, policy, nodes, audits],
  },
  governor: {
    contract: 'GridGovernor',
    args: ({ token, timelock, votes, given }) => [token, timelock, votes, given],
  },
  escrow: { contract: 'Escrow', args: ({ token }) => [token] },
  rules: { contract: 'SpecRules', args: () => [] },
  desk: { contract: 'OrderDesk', args: () => [] },
  orders: {
    contract: 'Orders',
    args: ({ policy, nodes, escrow, rules, desk }) => [policy, nodes, escrow, rules, desk],
  },
  contractors: { contract: 'Contractors', args: ({ token, timelock }) => [token, timelock] },
  // `Grid` reads the block from the policy.
  grid: { contract: 'Grid', args: (told) => [{ ...told, deployedAtBlock: 0n }, told] },
}

interface CallRow {
  readonly to: ContractKey
  readonly method: string
  readonly args: (told: Told) => readonly unknown[]
  /** A view of the same contract, and what it says once the call is done. */
  readonly view: string
  readonly viewArgs?: (told: Told) => readonly unknown[]
  readonly done: (told: Told) => unknown
}

const wires = (to: ContractKey): CallRow => ({
  ...{ to, method: 'wire', args: ({ orders }) => [orders] },
  ...{ view: 'orders', done: ({ orders }) => orders },
})

const grants = (role: string): CallRow => ({
  ...{ to: 'timelock', method: 'grantRole', args: ({ governor }) => [id(role), governor] },
  ...{ view: 'hasRole', viewArgs: ({ governor }) => [id(role), governor], done: () => true },
})

/** What is called once the contracts are there. */
const CALLS: readonly CallRow[] = [
  ...(['nodes', 'escrow', 'desk', 'audits'] as const).map(wires),
  ...['PROPOSER_ROLE', 'CANCELLER_ROLE'].map(grants),
]

/** What ends the power of the factory, and so of whoever deploys. */
const LAST_CALL: CallRow = {
  ...{ to: 'timelock', method: 'renounceRole', args: ({ factory }) => [ZeroHash, factory] },
  ...{ view: 'hasRole', viewArgs: ({ factory }) => [ZeroHash, factory], done: () => false },
}

/** Everything that makes a grid what it is. @returns Hash over the code of all contracts. */
export function contractsHash(artifacts: Artifacts): string {
  return id(CONTRACT_KEYS.map((key) => artifacts(CONTRACTS[key].contract).bytecode).join())
}

/**
 * Says what a grid will be and what leads there.
 *
 * @param artifacts - The compiled contracts.
 * @param given - What it is deployed with.
 * @param factory - Address of its factory.
 * @param provider - Chain that the steps look at.
 * @returns Where each contract will be, and the steps in phases; a phase may begin when the one before is done.
 * @throws NodeError `DEPLOY_NOT_BUILT`.
 */
export function gridPlan(
  artifacts: Artifacts,
  given: GridParameters,
  factory: string,
  provider: Provider,
): { addresses: GridAddresses; phases: readonly (readonly Step[])[] } {
  const at = {} as Record<ContractKey, string>
  const told = (): Told => ({ ...at, factory, given })
  const makes = (key: ContractKey): Step => {
    const { contract, args } = CONTRACTS[key]
    const { abi, bytecode } = artifacts(contract)
    const init = concat([bytecode, new Interface(abi).encodeDeploy([...args(told())])])
    const address = addressMade(factory, init)
    at[key] = address
    return {
      what: `make ${contract}`,
      ...{ to: factory, data: makeInput(init) },
      isDone: async () => (await provider.getCode(address)) !== '0x',
    }
  }
  const making = CONTRACT_KEYS.map(makes)
  // The last contract is `Grid`: where it is, everything else is done.
  return {
    addresses: at,
    phases: [making.slice(0, -1), CALLS.map(calls), [calls(LAST_CALL), ...making.slice(-1)]],
  }

  function calls(row: CallRow): Step {
    const { contract } = CONTRACTS[row.to]
    const abi = new Interface(artifacts(contract).abi)
    const to = at[row.to]
    return {
      what: `${contract}.${row.method}`,
      to: factory,
      data: callInput(to, abi.encodeFunctionData(row.method, [...row.args(told())])),
      async isDone() {
        const data = abi.encodeFunctionData(row.view, [...(row.viewArgs?.(told()) ?? [])])
        const answer = await provider.call({ to, data })
        return abi.decodeFunctionResult(row.view, answer)[0] === row.done(told())
      },
    }
  }
}
