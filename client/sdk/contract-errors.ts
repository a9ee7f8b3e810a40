/**
 * What the contracts refuse, as failures with a code, named values and a hint. A test compares the list with the compiled
 * contracts, so that no refusal reaches a person as bare bytes.
 */
import { Interface, isError } from 'ethers'
import { NodeError } from '../../agent/base/errors.ts'
import { formatBytes } from '../../agent/base/units.ts'
import { NODE_STATES, ORDER_KINDS, ORDER_STATES, PARAMETERS } from '../../agent/ledger/abi.ts'
import { formatTokens } from './token-units.ts'

/** Errors that a person can meet, and what can be done then; the others get a general hint. */
// biome-ignore format: a table to read down
const ERRORS: readonly (readonly [fragment: string, hint?: string])[] = [
  // Orders
  ['OrderUnknown(uint64 order)', 'List your orders with "varve orders".'],
  ['OrderKindNotAllowed(uint8 kind)', 'Policy does not allow this kind of order now; see WorkloadsAllowed in "varve policy".'],
  ['OrderKindUnknown(uint8 kind)', 'The contracts of this grid cannot take this kind yet.'],
  ['OrderDurationOutOfRange(uint256 seconds, uint256 min, uint256 max)', 'Choose a duration within the bounds.'],
  ['OrderSlotCount(uint256 given, uint256 needed)', 'The order names another number of nodes than its spec needs.'],
  ['OrderTooManySlots(uint256 given, uint256 max)', 'Order fewer shards.'],
  ['OrderSlotEmpty(uint256 slot)', 'Order at least one byte.'],
  ['OrderFarmRepeated(uint32 farm)', 'Choose nodes of distinct farms, or allow the same farm with --same-farm.'],
  ['OrderRateAboveLimit(uint256 ratePerSecond, uint256 maxRatePerSecond)', 'A node raised its price meanwhile: quote again.'],
  ['OrderParentInvalid(uint64 parent)', 'Mount a volume of your own that is live.'],
  ['OrderMountExists(uint32 node, string name, uint64 mount)', 'Choose another name, or cancel the mount that has it.'],
  ['OrderTooManyMounts(uint64 volume, uint256 max)', 'Cancel mounts that you do not need.'],
  ['OrderNotTenant(uint64 order, address caller)', 'Use the account that placed the order.'],
  ['OrderWrongState(uint64 order, uint8 state)', 'See the state of the order with "varve status".'],
  ['OrderNotReplaceable(uint64 order, uint8 kind)', 'A mount is moved by cancelling it and ordering another.'],
  ['OrderSlotMissing(uint64 order, uint16 slot)', 'See the slots with "varve status".'],
  ['OrderSlotUnchanged(uint64 order, uint16 slot, uint32 node)', 'The slot is on this node already.'],
  ['OrderNotRepairer(uint64 order, address caller)', 'Only the tenant or the node that writes the volume may move a slot.'],
  ['OrderNodeNotLost(uint32 node, uint64 silentSince)', 'The node still lives; only the tenant may move the slot.'],
  ['OrderRestTooLow(uint256 rest, uint256 needed)', 'Extend the order first, or choose a cheaper node.'],
  ['OrderNoticeNotGiven(uint64 order, uint16 slot, address caller)', 'Drain the node first and wait for the notice: "varve policy".'],
  ['OrderReplacementTooDear(uint256 ratePerSecond, uint256 max)', 'Choose a cheaper node.'],
  ['OrderPaused(uint64 until)', 'The guardian paused new orders; running ones go on. Try again later.'],
  ['OrderStreams(uint64 order)', 'It is paid from your balance by the second: deposit to make it last longer.'],
  // Acts for others
  ['DeskNoRight(address tenant, address key, bytes4 act)', 'The tenant must allow this key first.'],
  ['DeskActUnknown(bytes4 act)'],
  ['DeskForeignOrder(address tenant, uint64 order)', 'The key may only extend orders of its tenant.'],
  ['DeskRequestLate(uint256 deadline)', 'Sign the request again, with a later deadline.'],
  ['DeskSignatureInvalid(address signer)'],
  // Specs
  ['SpecMalformed()', 'The client and the contracts disagree about the form of specs: update the client.'],
  ['SpecVersionUnknown(uint8 version)', 'The client and the contracts disagree about the form of specs: update the client.'],
  ['SpecModeUnknown(uint8 mode)', 'A store is in mode user or seq.'],
  ['SpecAccessInvalid(uint256 writers, uint256 readers, uint256 max)', 'Give at least one writer and not too many accounts.'],
  ['SpecShardsInvalid(uint8 dataShards, uint8 parityShards, uint8 metaStores)', 'At least 1 data shard and 2 metadata stores, at most 255 shards.'],
  ['SpecSizeZero()', 'Order at least one byte.'],
  ['SpecNameInvalid(string name)', 'Letters, digits, ".", "_", "-" in segments joined by "/", none of them "." or "..".'],
  ['SpecKeyMissing()', 'The sealed key is missing: update the client.'],
  ['CodeStoreTooLong(uint256 length, uint256 max)', 'The spec is too long for the ledger: name fewer accounts.'],
  ['CodeStoreFailed()'],
  // Nodes and farms
  ['FarmNameLength(uint256 length, uint256 max)', 'Give the farm a shorter name, of at least one character.'],
  ['FarmNotOwner(uint32 farm, address caller)', 'Use the account that owns the farm.'],
  ['FarmOwnerZero(uint32 farm)'],
  ['NodeAlreadyKnown(address account)', 'The node is sponsored or registered already.'],
  ['NodeNotSponsored(address account, uint32 farm)', 'A farm must sponsor the node first: "varve farm sponsor".'],
  ['NodeGasNotForwarded(address account, uint256 value)', 'The node’s account refuses coins: it should be a plain account.'],
  ['NodeKeyMismatch(address account, address keyAccount)'],
  ['NodeSealingKeyLength(uint256 length, uint256 needed)'],
  ['NodeAddressesInvalid(uint256 count, uint256 maxCount, uint256 maxLength)', 'Announce fewer or shorter addresses.'],
  ['NodePriceAboveCap(uint256 pricePerGibSecond, uint256 cap)', 'The node asks more than policy allows: choose another, or a lower price.'],
  ['NodeCapacityOutOfRange(uint256 capacityBytes, uint256 max)', 'Offer less capacity.'],
  ['NodeCapacityInUse(uint32 node, uint256 capacityBytes, uint256 usedBytes)', 'Offer at least what is in use.'],
  ['NodeStakeTooLow(uint256 stake, uint256 needed)', 'Offer less capacity, or add stake.'],
  ['NodeUnknown(address account)', 'The account is not a node’s.'],
  ['NodeMissing(uint32 node)', 'List nodes with "varve nodes".'],
  ['NodeNotController(uint32 node, address caller)', 'Only the node or the owner of its farm may do this.'],
  ['NodeClosed(uint32 node, uint8 state)', 'The node takes no orders: choose another.'],
  ['NodeNotAlive(uint32 node, uint64 lastHeartbeat)', 'The node has been silent for too long: choose another.'],
  ['NodeFull(uint32 node, uint256 askedBytes, uint256 freeBytes)', 'The node filled up meanwhile: order again, or less.'],
  ['NodeRateTooHigh(uint32 node, uint256 ratePerSecond)', 'Order less from this node.'],
  ['NodeNotEmpty(uint32 node, uint8 state, uint256 usedBytes)', 'Drain the node first and wait until its last order ended.'],
  ['NodeBatchLength(uint256 groups, uint256 members)', 'Give one member set for each group.'],
  ['NodeMaintenanceInvalid(uint32 node, uint64 from, uint64 until)', 'Announce a silence that begins later, and not a long one.'],
  ['NodeNotJudged(uint32 node, uint64 since)', 'It may leave two audits after its last slot went, and when no dispute about it is open.'],
  ['NodeStakeLeft(uint32 node, uint256 stake)', 'Its daily fee has not used up its stake yet.'],
  ['NodeNotOfFarm(uint32 node, uint32 farm)', 'Name nodes of your own farm.'],
  ['NodeUnderstaked(uint32 node)', 'The node was slashed and its stake does not cover its offer: choose another.'],
  ['NodesOnlyAudits(address caller)'],
  ['NodesOnlyOrders(address caller)'],
  // Money
  ['EscrowAmountInvalid(uint256 amount)', 'Give an amount above zero.'],
  ['EscrowBalanceTooLow(address account, uint256 free, uint256 asked)', 'Withdraw at most the free balance: "varve balance".'],
  ['EscrowStreamTooShort(address tenant, uint256 free, uint256 needed)', 'Deposit more before you stream: "varve deposit".'],
  ['EscrowStreamSuspended(address tenant)', 'The balance is used up: deposit first.'],
  ['EscrowOnlyOrders(address caller)'],
  ['EscrowAccountZero()'],
  ['ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed)', 'The account holds too few tokens: "varve balance".'],
  ['ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed)', 'Deposit first: "varve deposit".'],
  ['ERC20InvalidApprover(address approver)'],
  ['ERC20InvalidReceiver(address receiver)', 'Give the address of an account.'],
  ['ERC20InvalidSender(address sender)'],
  ['ERC20InvalidSpender(address spender)'],
  ['ERC20ExceededSafeSupply(uint256 increasedSupply, uint256 cap)'],
  ['ERC2612ExpiredSignature(uint256 deadline)', 'The permit expired before it was mined: try again.'],
  ['ERC2612InvalidSigner(address signer, address owner)'],
  ['SafeERC20FailedOperation(address token)'],
  ['TokenSupplyTooLarge(uint256 supply, uint256 max)'],
  // Policy
  ['PolicyOutOfBounds(uint8 parameter, uint256 value, uint256 min, uint256 max)', 'Choose a value within the bounds: "varve policy".'],
  ['PolicyInconsistent(uint8 parameter, uint256 lower, uint256 upper)', 'The value contradicts another parameter: "varve policy".'],
  ['PolicyValueCount(uint256 given, uint256 needed)'],
  ['PolicyReleaseExists(bytes32 imageDigest)', 'This release was approved before.'],
  ['PolicyReleaseUnknown(bytes32 imageDigest)', 'This release was never approved, or is revoked.'],
  ['PolicyNotGuardian(address caller)', 'Only the guardian that a vote appointed may pause, and once.'],
  ['PolicyPauseTooLong(uint64 seconds, uint64 max)', 'Pause for a shorter time.'],
  ['OwnableInvalidOwner(address owner)'],
  ['OwnableUnauthorizedAccount(address account)', 'Only a vote can do this: "varve propose".'],
  ['OwnerNeeded()', 'Policy and contractors always have an owner; a vote may name another one.'],
  // Votes
  ['GovernorAlreadyCastVote(address voter)', 'This account voted before; a vote stands.'],
  ['GovernorAlreadyQueuedProposal(uint256 proposalId)', 'It is queued: "varve execute" when its delay passed.'],
  ['GovernorInsufficientProposerVotes(address proposer, uint256 votes, uint256 threshold)', 'Delegate more votes to this account: "varve delegate".'],
  ['GovernorNonexistentProposal(uint256 proposalId)', 'List proposals with "varve proposals".'],
  ['GovernorUnexpectedProposalState(uint256 proposalId, uint8 current, bytes32 expectedStates)', 'It is not the time for this: see the state with "varve proposals".'],
  ['GovernorUnableToCancel(uint256 proposalId, address account)', 'Only the proposer can withdraw a proposal, and only before the vote.'],
  ['GovernorRestrictedProposer(address proposer)'],
  ['GovernorInvalidVoteType()', 'Vote for, against or abstain.'],
  ['GovernorInvalidVoteParams()'],
  ['GovernorInvalidSignature(address voter)'],
  ['GovernorInvalidProposalLength(uint256 targets, uint256 calldatas, uint256 values)'],
  ['GovernorInvalidQuorumFraction(uint256 quorumNumerator, uint256 quorumDenominator)'],
  ['GovernorInvalidVotingPeriod(uint256 votingPeriod)'],
  ['GovernorDisabledDeposit()'],
  ['GovernorOnlyExecutor(address account)'],
  ['GovernorProposalQueueingFailed(uint256 proposalId)'],
  ['GovernorProposalQueueingNotRequired(uint256 proposalId)'],
  ['TimelockUnexpectedOperationState(bytes32 operationId, bytes32 expectedStates)', 'Its delay has not passed, or it is done: "varve proposals".'],
  ['TimelockInsufficientDelay(uint256 delay, uint256 minDelay)'],
  ['TimelockInvalidOperationLength(uint256 targets, uint256 payloads, uint256 values)'],
  ['TimelockUnauthorizedCaller(address caller)'],
  ['TimelockUnexecutedPredecessor(bytes32 predecessorId)'],
  ['AccessControlBadConfirmation()'],
  ['AccessControlUnauthorizedAccount(address account, bytes32 neededRole)'],
  ['VotesExpiredSignature(uint256 expiry)'],
  ['CheckpointUnorderedInsertion()'],
  ['ERC5805FutureLookup(uint256 timepoint, uint48 clock)'],
  ['ERC6372InconsistentClock()'],
  // Agreements with contractors
  ['AgreementInvalid(uint256 milestones, uint256 max)'],
  ['AgreementNotParty(uint256 agreement, address caller)'],
  ['MilestoneUnknown(uint256 agreement, uint256 milestone)'],
  ['MilestoneWrongState(uint256 agreement, uint256 milestone, uint8 state)'],
  ['MilestoneWrongTime(uint256 agreement, uint256 milestone, uint64 time)'],
  // Of the library
  ['AddressEmptyCode(address target)'],
  ['InsufficientBalance(uint256 balance, uint256 needed)'],
  ['ECDSAInvalidSignature()'],
  ['ECDSAInvalidSignatureLength(uint256 length)'],
  ['ECDSAInvalidSignatureS(bytes32 s)'],
  ['FailedCall()', 'What the proposal calls was refused: its value may be out of bounds.'],
  ['GridNoCode(address where)'],
  ['InvalidAccountNonce(address account, uint256 currentNonce)', 'Try again.'],
  ['InvalidShortString()'],
  ['SafeCastOverflowedUintDowncast(uint8 bits, uint256 value)'],
  ['StringTooLong(string str)'],
  ['WiringRefused(address caller)'],
]

const INTERFACE = new Interface(ERRORS.map(([fragment]) => `error ${fragment}`))
const HINTS = new Map(
  ERRORS.map(([fragment, hint]) => [fragment.slice(0, fragment.indexOf('(')), hint]),
)
const GENERAL_HINT =
  'Nothing was changed. If the message does not help, report it with the command you ran.'
/** `0x` and 4 bytes. */
const SELECTOR_CHARACTERS = 10
/** Numbers of enums, as people know them. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  kind: ORDER_KINDS,
  state: ORDER_STATES,
  parameter: PARAMETERS,
}

/** Selectors of all errors known here, for the test that compares them with the contracts. */
export const KNOWN_SELECTORS: ReadonlySet<string> = new Set(
  INTERFACE.fragments.map((fragment) => INTERFACE.getError(fragment.format())?.selector ?? ''),
)

/**
 * Explains the revert data of a contract.
 *
 * @param data - Revert data, hexadecimal with `0x`.
 * @returns A failure whose code is the error's name in capitals (`ORDER_RATE_ABOVE_LIMIT`), with its values as details; or
 *   undefined if `data` is no error known here.
 * @example
 * explainRevert('0x...')?.code // 'NODE_FULL'
 */
export function explainRevert(data: string): NodeError | undefined {
  // A revert without a reason has no data, not even a selector.
  const parsed = data.length < SELECTOR_CHARACTERS ? null : INTERFACE.parseError(data)
  if (parsed === null) return undefined
  const isMilestone = parsed.name.startsWith('Milestone')
  const values = parsed.fragment.inputs.map((input, at) => {
    const value: unknown = parsed.args[at]
    if (isMilestone) return [input.name, String(value)] as const
    const words =
      parsed.name.startsWith('Node') && input.name === 'state' ? NODE_STATES : WORDS[input.name]
    return [input.name, words?.[Number(value)] ?? String(value)] as const
  })
  const said = values.map(([name, value]) => {
    return `${wordsOf(name)} ${valueForPeople(parsed.name, name, value)}`
  })
  // The code is shown beside it, so that the error's name would be said twice.
  return new NodeError(
    codeOfName(parsed.name),
    `refused${said.length ? `: ${said.join(', ')}` : ''}`,
    {
      details: Object.fromEntries(values),
      hint: HINTS.get(parsed.name) ?? GENERAL_HINT,
    },
  )
}

/** Errors whose values, unless their names say otherwise, are amounts of the token. */
const OF_TOKENS = /^(Escrow|ERC20Insufficient|ERC20Exceeded|NodeStakeTooLow|TokenSupply)/
const OF_MOMENTS = /^(silentSince|lastHeartbeat|until|from|deadline|expiry|time)$/
const DAY_SECONDS = 86_400n
/** Last moment that a date can show, in seconds since 1970. */
const MOMENT_MAX = 8_640_000_000_000n

/** `ratePerSecond` to `rate a second`, `freeBytes` to `free`: the value has its unit. */
function wordsOf(name: string): string {
  const words = name.replace(/(PerSecond|PerGibSecond|Bytes)$/, '')
  return words.replace(/([a-z])([A-Z])/g, (_, before, after) => `${before} ${after.toLowerCase()}`)
}

/** A value of a refusal in units that people count in; the raw one is among the details. */
function valueForPeople(error: string, name: string, value: string): string {
  if (!/^\d+$/.test(value)) return value
  const amount = BigInt(value)
  if (name.endsWith('Bytes') && amount <= Number.MAX_SAFE_INTEGER) return formatBytes(Number(value))
  if (/PerSecond$/.test(name) || error === 'OrderReplacementTooDear') {
    return `${formatTokens(amount * DAY_SECONDS)} a day`
  }
  if (error === 'NodePriceAboveCap') return `${formatTokens(amount * DAY_SECONDS)} a GiB and day`
  if (OF_TOKENS.test(error)) return formatTokens(amount)
  if (error === 'OrderDurationOutOfRange' || error === 'PolicyPauseTooLong') return `${value} s`
  if (OF_MOMENTS.test(name) && amount > 0n && amount <= MOMENT_MAX) {
    return new Date(Number(value) * 1000).toISOString()
  }
  return value
}

/** `OrderRateAboveLimit` to `ORDER_RATE_ABOVE_LIMIT`, `ERC20InvalidSender` to `ERC20_INVALID_SENDER`. */
function codeOfName(name: string): string {
  return name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase()
}

/**
 * Turns whatever ethers threw into a failure of ours.
 *
 * @param caught - What was caught.
 * @returns A failure with a code and a hint; failures of ours as they are.
 */
export function explainFailure(caught: unknown): NodeError {
  if (caught instanceof NodeError) return caught
  if (isError(caught, 'CALL_EXCEPTION')) {
    const known = caught.data ? explainRevert(caught.data) : undefined
    if (known !== undefined) return known
    const data = caught.data === '0x' ? null : caught.data
    const said = caught.reason ?? data ?? 'no reason given'
    return new NodeError('CONTRACT_REFUSED', `a contract refused: ${said}`, { cause: caught })
  }
  // What ethers says of its own arguments: nobody else was asked.
  if (isError(caught, 'INVALID_ARGUMENT') || isError(caught, 'NUMERIC_FAULT')) {
    return new NodeError('ARGUMENT_INVALID', caught.shortMessage, { cause: caught })
  }
  if (isError(caught, 'INSUFFICIENT_FUNDS')) {
    return new NodeError('GAS_MISSING', 'the account cannot pay the gas', { cause: caught })
  }
  if (isError(caught, 'NONCE_EXPIRED') || isError(caught, 'REPLACEMENT_UNDERPRICED')) {
    return new NodeError('NONCE_TAKEN', 'another transaction got in first', { cause: caught })
  }
  const isNetwork =
    isError(caught, 'NETWORK_ERROR') ||
    isError(caught, 'TIMEOUT') ||
    isError(caught, 'SERVER_ERROR')
  if (isNetwork || isConnectionError(caught)) {
    return new NodeError('LEDGER_UNREACHABLE', 'the ledger does not answer', { cause: caught })
  }
  if (caught instanceof Error && 'code' in caught) {
    return new NodeError('LEDGER_REFUSED', ledgerMessage(caught), { cause: caught })
  }
  throw caught
}

function isConnectionError(caught: unknown): boolean {
  if (!(caught instanceof Error) || !('code' in caught)) return false
  return ['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EPIPE', 'ETIMEDOUT'].includes(
    String(caught.code),
  )
}

/** The ledger's own words, which ethers buries. */
function ledgerMessage(caught: Error): string {
  const inner: unknown = 'error' in caught ? caught.error : undefined
  if (typeof inner === 'object' && inner !== null && 'message' in inner)
    return String(inner.message)
  return 'shortMessage' in caught ? String(caught.shortMessage) : caught.message
}
