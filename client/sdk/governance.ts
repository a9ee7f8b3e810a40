/**
 * Votes: propose a change of policy or a release, vote, queue, execute. The governor is OpenZeppelin's, clocked by seconds,
 * so any front end for it works too; this one speaks of parameters and releases.
 */
import { type Result, id as textHash } from 'ethers'
import { NodeError } from '../../agent/base/errors.ts'
import { type Account, account } from '../../agent/base/ids.ts'
import { PARAMETERS, POLICY_ABI } from '../../agent/ledger/abi.ts'
import { PROPOSAL_STATES } from './abi.ts'
import { type Connection, reading, view } from './connection.ts'
import { parameterNamed, parameterText } from './policy.ts'
import { type FollowOptions, findEvent, send, type Transaction } from './transactions.ts'

const LOG_BLOCKS = 10_000
const POLL_MS = 250
const SUPPORT = ['against', 'for', 'abstain'] as const

export type ProposalState = (typeof PROPOSAL_STATES)[number]
export type Support = (typeof SUPPORT)[number]

/** A proposal as it is now; times are seconds since 1970 by the ledger's clock. */
export interface Proposal {
  readonly id: bigint
  readonly state: ProposalState
  readonly proposer: Account
  readonly description: string
  /** What it would do, one line a call. */
  readonly actions: readonly string[]
  /** Votes count as they were delegated then; voting begins. */
  readonly votesFrom: number
  readonly votesUntil: number
  /** When it may be executed; 0 before it is queued. */
  readonly executableAt: number
  readonly votes: Readonly<Record<Support, bigint>>
  /** Votes for and abstaining that it needs; undefined before voting begins. */
  readonly quorum: bigint | undefined
}

/** One thing that a proposal does. */
export type ProposedAction =
  | { readonly kind: 'parameter'; readonly parameter: string; readonly value: bigint }
  | {
      readonly kind: 'approve-release'
      /** SHA-256 of the image, `0x` and 64 digits. */
      readonly imageDigest: string
      readonly version: string
      readonly activatesAt: number
    }
  | { readonly kind: 'revoke-release'; readonly imageDigest: string }

interface Calls {
  readonly targets: string[]
  readonly values: bigint[]
  readonly calldatas: string[]
  readonly description: string
}

/**
 * Proposes.
 *
 * @param connection - The grid, and who signs; needs as many votes as the threshold says.
 * @param actions - `[n]`, done together or not at all.
 * @param description - For voters; what it does unless given.
 * @param options - How far to follow the transaction.
 * @returns The proposal's number, unless the transaction was only sent.
 * @throws NodeError `PARAMETER_UNKNOWN`, `POLICY_OUT_OF_BOUNDS` before anything is sent, or what the governor refused.
 */
export async function propose(
  connection: Connection,
  actions: readonly ProposedAction[],
  description?: string,
  options?: FollowOptions,
): Promise<Transaction & { proposal: bigint | undefined }> {
  const { governor, policy } = connection.contracts
  const calldatas = actions.map(calldataOf)
  await refuseOutOfBounds(connection, actions)
  const version = Number(await view(policy, 'version'))
  const text =
    description ?? `${calldatas.map(describeCall).join('; ')} (policy is at version ${version})`
  const args = [actions.map(() => policy.target), actions.map(() => 0n), calldatas, text]
  const sent = await send(
    connection,
    { what: `propose: ${text}`, contract: governor, name: 'propose', args },
    options,
  )
  const event = findEvent(governor, 'ProposalCreated', sent.logs)
  return { ...sent, proposal: event?.['proposalId'] as bigint | undefined }
}

function calldataOf(action: ProposedAction): string {
  if (action.kind === 'parameter') {
    const { index } = parameterNamed(action.parameter)
    return POLICY_ABI.encodeFunctionData('set', [index, action.value])
  }
  if (action.kind === 'revoke-release') {
    return POLICY_ABI.encodeFunctionData('revokeRelease', [action.imageDigest])
  }
  const { imageDigest, version, activatesAt } = action
  return POLICY_ABI.encodeFunctionData('approveRelease', [imageDigest, version, activatesAt])
}

/** The governor would take it and fail days later, at the end. */
async function refuseOutOfBounds(
  connection: Connection,
  actions: readonly ProposedAction[],
): Promise<void> {
  for (const action of actions) {
    if (action.kind !== 'parameter') continue
    const { name, index } = parameterNamed(action.parameter)
    const [min, max] = (await view(connection.contracts.policy, 'bounds', index)) as [
      bigint,
      bigint,
    ]
    if (action.value >= min && action.value <= max) continue
    throw new NodeError('POLICY_OUT_OF_BOUNDS', `${name} must be within ${min} and ${max}`, {
      details: { value: action.value, min, max },
      hint: 'Choose a value within the bounds; they are fixed in the contracts.',
    })
  }
}

/** What a call on the policy does, in words. */
function describeCall(calldata: string): string {
  const call = POLICY_ABI.parseTransaction({ data: calldata })
  if (call?.name === 'set') {
    const name = PARAMETERS[Number(call.args[0])]
    return name === undefined ? calldata : `set ${name} to ${parameterText(name, call.args[1])}`
  }
  if (call?.name === 'approveRelease') return `approve release ${call.args[1]} (${call.args[0]})`
  if (call?.name === 'revokeRelease') return `revoke release ${call.args[0]}`
  return calldata
}

/**
 * Reads all proposals.
 *
 * @param connection - The grid.
 * @returns Oldest first.
 */
export async function readProposals(connection: Connection): Promise<Proposal[]> {
  const created = await findProposals(connection)
  return await Promise.all(created.map((args) => readProposal(connection, args)))
}

async function findProposals(connection: Connection): Promise<Result[]> {
  const { governor } = connection.contracts
  const fragment = governor.getEvent('ProposalCreated').getFragment()
  const topics = governor.interface.encodeFilterTopics(fragment, [])
  const head = await reading(connection.provider.getBlockNumber())
  const address = await governor.getAddress()
  const found: Result[] = []
  for (let from = connection.deployedAtBlock; from <= head; from += LOG_BLOCKS) {
    const toBlock = Math.min(head, from + LOG_BLOCKS - 1)
    const logs = await reading(
      connection.provider.getLogs({ address, topics, fromBlock: from, toBlock }),
    )
    for (const log of logs) {
      found.push(governor.interface.decodeEventLog(fragment, log.data, log.topics))
    }
  }
  return found
}

async function readProposal(connection: Connection, created: Result): Promise<Proposal> {
  const { governor } = connection.contracts
  const id = created.getValue('proposalId') as bigint
  const votesFrom = Number(created.getValue('voteStart'))
  const [state, eta, votes, head] = await Promise.all([
    view(governor, 'state', id),
    view(governor, 'proposalEta', id),
    view(governor, 'proposalVotes', id) as Promise<[bigint, bigint, bigint]>,
    reading(connection.provider.getBlock('latest')),
  ])
  const [against, inFavour, abstain] = votes
  const hasBegun = (head?.timestamp ?? 0) > votesFrom
  return {
    id,
    state: PROPOSAL_STATES[Number(state)] ?? 'pending',
    proposer: account(String(created.getValue('proposer'))),
    description: String(created.getValue('description')),
    actions: [...(created.getValue('calldatas') as Iterable<string>)].map(describeCall),
    ...{ votesFrom, votesUntil: Number(created.getValue('voteEnd')), executableAt: Number(eta) },
    votes: { against, for: inFavour, abstain },
    quorum: hasBegun ? ((await view(governor, 'quorum', votesFrom)) as bigint) : undefined,
  }
}

/**
 * Reads one proposal.
 *
 * @param connection - The grid.
 * @param proposal - Its number, or the beginning of it in decimal digits if that is unique.
 * @throws NodeError `PROPOSAL_NOT_FOUND`.
 */
export async function findProposal(
  connection: Connection,
  proposal: bigint | string,
): Promise<Proposal> {
  return await readProposal(connection, await findCreated(connection, proposal))
}

async function findCreated(connection: Connection, proposal: bigint | string): Promise<Result> {
  const digits = String(proposal)
  const created = await findProposals(connection)
  const fitting = created.filter((args) => String(args.getValue('proposalId')).startsWith(digits))
  if (fitting.length === 1 && fitting[0] !== undefined) return fitting[0]
  const said = fitting.length === 0 ? 'no proposal begins' : `${fitting.length} proposals begin`
  throw new NodeError('PROPOSAL_NOT_FOUND', `${said} with ${digits}`)
}

/**
 * Votes.
 *
 * @param connection - The grid, and who signs; what was delegated to it when voting began counts.
 * @param proposal - Number, or its beginning.
 * @param support - For, against or abstain.
 * @param reason - For others to read.
 * @param options - How far to follow the transaction.
 */
export async function vote(
  connection: Connection,
  proposal: bigint | string,
  support: Support,
  reason = '',
  options?: FollowOptions,
): Promise<Transaction> {
  const { governor: contract } = connection.contracts
  const { id } = await findProposal(connection, proposal)
  const args = [id, SUPPORT.indexOf(support), ...(reason === '' ? [] : [reason])]
  const name = reason === '' ? 'castVote' : 'castVoteWithReason'
  return await send(connection, { what: `vote ${support}`, contract, name, args }, options)
}

/**
 * Puts a proposal that succeeded into the timelock. Anyone may.
 *
 * @param connection - The grid, and who signs.
 * @param proposal - Number, or its beginning.
 * @param options - How far to follow the transaction.
 */
export async function queue(
  connection: Connection,
  proposal: bigint | string,
  options?: FollowOptions,
): Promise<Transaction> {
  return await carryOut(connection, 'queue', proposal, options)
}

/**
 * Does what a queued proposal says, once its delay passed. Anyone may.
 *
 * @param connection - The grid, and who signs.
 * @param proposal - Number, or its beginning.
 * @param options - How far to follow the transaction.
 */
export async function execute(
  connection: Connection,
  proposal: bigint | string,
  options?: FollowOptions,
): Promise<Transaction> {
  return await carryOut(connection, 'execute', proposal, options)
}

async function carryOut(
  connection: Connection,
  name: 'queue' | 'execute',
  proposal: bigint | string,
  options: FollowOptions | undefined,
): Promise<Transaction> {
  const { governor: contract } = connection.contracts
  const { targets, values, calldatas, description } = callsOf(
    await findCreated(connection, proposal),
  )
  const args = [targets, values, calldatas, textHash(description)]
  return await send(connection, { what: `${name} the proposal`, contract, name, args }, options)
}

function callsOf(created: Result): Calls {
  return {
    targets: [...(created.getValue('targets') as Iterable<string>)],
    // ethers keeps `values` for itself on its results.
    values: [...(created[3] as Iterable<bigint>)],
    calldatas: [...(created.getValue('calldatas') as Iterable<string>)],
    description: String(created.getValue('description')),
  }
}

/**
 * Delegates the signer's votes, which count for nobody before.
 *
 * @param connection - The grid, and who signs.
 * @param to - Who votes with them; the signer itself unless given.
 * @param options - How far to follow the transaction.
 */
export async function delegate(
  connection: Connection,
  to?: string,
  options?: FollowOptions,
): Promise<Transaction> {
  const { token: contract } = connection.contracts
  const delegatee = to ?? (await connection.signerAddress())
  const what = `delegate votes to ${delegatee}`
  return await send(connection, { what, contract, name: 'delegate', args: [delegatee] }, options)
}

/**
 * Waits until a proposal is in a state.
 *
 * @param connection - The grid.
 * @param proposal - Number, or its beginning.
 * @param wanted - The state; `executable` is queued with its delay passed.
 * @param options - Told of every change of state; aborts.
 * @returns The proposal.
 * @throws NodeError `PROPOSAL_NOT_PASSED` if it ended in another state.
 */
export async function untilProposal(
  connection: Connection,
  proposal: bigint | string,
  wanted: ProposalState | 'executable',
  options: {
    readonly onState?: (proposal: Proposal) => void
    readonly signal?: AbortSignal
  } = {},
): Promise<Proposal> {
  const created = await findCreated(connection, proposal)
  let last: ProposalState | undefined
  for (;;) {
    const now = await readProposal(connection, created)
    if (now.state !== last) options.onState?.(now)
    last = now.state
    if (await isReached(connection, now, wanted)) return now
    if (['canceled', 'defeated', 'expired', 'executed'].includes(now.state)) {
      throw new NodeError('PROPOSAL_NOT_PASSED', `proposal ${now.id} is ${now.state}`, {
        details: { state: now.state, votes: now.votes },
      })
    }
    await connection.wait(POLL_MS, options.signal)
  }
}

async function isReached(
  connection: Connection,
  proposal: Proposal,
  wanted: ProposalState | 'executable',
): Promise<boolean> {
  if (wanted !== 'executable') return proposal.state === wanted
  const head = await reading(connection.provider.getBlock('latest'))
  return proposal.state === 'queued' && (head?.timestamp ?? 0) >= proposal.executableAt
}
