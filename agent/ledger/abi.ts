/**
 * The contracts' interfaces as this program calls them: ABI fragments, written by hand from `contracts/interfaces` so that
 * an agent needs no compiler; a test compares them with the compiled contracts.
 */
import { Interface } from 'ethers/abi'

const CONTRACTS =
  'tuple(address token, address governor, address timelock, address policy, address nodes, address orders, address escrow, uint64 deployedAtBlock)'

const FURTHER_CONTRACTS =
  'tuple(address rules, address desk, address contractors, address audits, address votes)'

const OFFER = 'tuple(uint64 capacityBytes, uint96 pricePerGibSecond)'

const NODE_VIEW =
  'tuple(uint32 id, uint32 farm, address account, uint8 state, uint64 capacityBytes, uint64 usedBytes, uint96 pricePerGibSecond, uint128 stake, uint64 registeredAt, uint64 lastHeartbeat, uint64 aliveSeconds, bytes publicKey, bytes sealingKey, string[] addresses)'

const SLOT_REQUEST = 'tuple(uint32 node, uint64 sizeBytes)'

const SLOT_VIEW =
  'tuple(uint32 node, uint64 sizeBytes, uint64 assignedAt, uint64 lastSeen, uint16 generation)'

const ORDER_VIEW = `tuple(uint64 id, uint8 kind, uint8 state, address tenant, uint64 parent, uint64 placedAt, uint64 paidUntil, uint64 endedAt, uint64 deletableAt, uint32 writerEpoch, uint96 ratePerSecond, bytes spec, ${SLOT_VIEW}[] slots, uint64[] children)`

const RELEASE = 'tuple(bytes32 imageDigest, string version, uint64 activatesAt, bool revoked)'

/** `IGrid`: the one address that leads to all others. */
export const GRID_ABI = new Interface([
  `function contracts() view returns (${CONTRACTS})`,
  `function furtherContracts() view returns (${FURTHER_CONTRACTS})`,
])

/** `INodes`: farms and nodes. */
export const NODES_ABI = new Interface([
  'event FarmCreated(uint32 indexed farm, address indexed owner, string name)',
  'event NodeSponsored(uint32 indexed farm, address indexed account, uint256 stake)',
  'event NodeRegistered(uint32 indexed node, uint32 indexed farm, address indexed account)',
  'event NodeChanged(uint32 indexed node)',
  'function createFarm(string name) returns (uint32 farm)',
  'function sponsor(uint32 farm, address account, uint128 stake) payable',
  `function register(bytes publicKey, bytes sealingKey, ${OFFER} offer, string[] addresses) returns (uint32 node)`,
  `function setOffer(${OFFER} offer)`,
  'function setAddresses(string[] addresses)',
  'function setDraining(uint32 node, bool draining)',
  'function heartbeat()',
  'function registryVersion() view returns (uint64)',
  'function nodeCount() view returns (uint32)',
  'function farmOf(uint32 node) view returns (uint32)',
  'function nodeOf(address account) view returns (uint32)',
  'function farmSponsoring(address account) view returns (uint32 farm, uint128 stake)',
  `function nodes(uint32 from, uint32 limit) view returns (${NODE_VIEW}[])`,
  'function isAlive(uint32 node) view returns (bool)',
  'function maintenanceOf(uint32 node) view returns (uint64 from, uint64 until)',
])

/** `IOrders`: what tenants want. */
export const ORDERS_ABI = new Interface([
  'event OrderPlaced(uint64 indexed sequence, uint64 indexed order, address indexed tenant, uint8 kind)',
  'event OrderExtended(uint64 indexed sequence, uint64 indexed order, uint64 paidUntil)',
  'event OrderCancelled(uint64 indexed sequence, uint64 indexed order, uint256 refund)',
  'event OrderReleased(uint64 indexed sequence, uint64 indexed order)',
  'event SlotReplaced(uint64 indexed sequence, uint64 indexed order, uint16 slot, uint32 from, uint32 to)',
  `function place(uint8 kind, uint64 parent, bytes spec, ${SLOT_REQUEST}[] slots, uint64 seconds_, uint96 maxRatePerSecond) returns (uint64 order)`,
  'function extend(uint64 order, uint64 seconds_)',
  'function cancel(uint64 order)',
  'function resign(uint64 order, uint16 slot)',
  'function replace(uint64 order, uint16 slot, uint32 node, uint96 maxRatePerSecond)',
  'function settle(uint64 order)',
  'function sequence() view returns (uint64)',
  'function orderCount() view returns (uint64)',
  `function get(uint64[] ids) view returns (${ORDER_VIEW}[])`,
  'function paidUntil(uint64 order) view returns (uint64)',
])

/** `IPolicy`: what the DAO sets. */
export const POLICY_ABI = new Interface([
  'event ParameterChanged(uint64 indexed version, uint8 indexed parameter, uint256 from, uint256 to)',
  'event ReleaseApproved(uint64 indexed version, bytes32 indexed imageDigest, string name, uint64 activatesAt)',
  'event ReleaseRevoked(uint64 indexed version, bytes32 indexed imageDigest)',
  'function set(uint8 parameter, uint256 value)',
  'function approveRelease(bytes32 imageDigest, string name, uint64 activatesAt)',
  'function revokeRelease(bytes32 imageDigest)',
  'function version() view returns (uint64)',
  'function value(uint8 parameter) view returns (uint256)',
  'function bounds(uint8 parameter) view returns (uint256 min, uint256 max)',
  'function all() view returns (uint64 version, uint256[] values)',
  `function releases() view returns (${RELEASE}[])`,
])

/** `IEscrow`: balances. */
export const ESCROW_ABI = new Interface([
  'event Deposited(address indexed account, address indexed by, uint256 amount)',
  'event Withdrawn(address indexed account, uint256 amount)',
  'function deposit(address account, uint256 amount)',
  'function depositWithPermit(address account, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)',
  'function withdraw(uint256 amount)',
  'function freeBalance(address account) view returns (uint256)',
  'function held(uint64 order) view returns (uint256)',
  'function totals() view returns (uint256 deposited, uint256 withdrawn, uint256 free, uint256 heldByOrders)',
])

const COMMITMENT =
  'tuple(uint32 node, uint64 order, uint16 slot, uint16 generation, uint64 units, bytes32 root, uint32 epoch)'

const ENTRY = `tuple(${COMMITMENT} commitment, uint64 mount, bytes signature, bytes path)`

const LOCATION = `tuple(bytes32 earlier, bytes32 unit, bytes32 digest, bytes32[] groupPath, bytes32[] statePath, ${ENTRY} entry)`

const EPOCH_VIEW =
  'tuple(uint112 seed, uint64 drawnAt, uint64 dueAt, uint64 dueBlock, uint8 samples, uint16 openOdds)'

const DISPUTE_VIEW =
  'tuple(uint8 state, uint32 node, uint32 epoch, uint16 sample, uint64 deadline, address challenger, uint128 bond)'

/** `IAudits`: what nodes stand for, and whether they have it. */
export const AUDITS_ABI = new Interface([
  'event SlotDemanded(uint64 indexed dispute, uint64 indexed order, uint16 slot, uint16 generation, uint64 units)',
  'function draw()',
  'function commit(bytes32 root, uint64 units)',
  'function postDigest(uint32 epoch, bytes28 digest)',
  `function openSample(uint32 epoch, uint32 node, ${ENTRY} entry, bytes opening)`,
  'function markMissed(uint32 epoch, uint32[] nodes)',
  `function locate(uint64 dispute, ${LOCATION} location)`,
  'function answer(uint64 dispute, bytes opening)',
  `function show(uint64 dispute, ${ENTRY} entry)`,
  'function expire(uint64 dispute)',
  'function collect(uint64 dispute)',
  'function epoch() view returns (uint32)',
  `function epochs(uint32 which) view returns (${EPOCH_VIEW})`,
  'function accumulatorOf(uint32 node, uint32 inEpoch) view returns (tuple(bytes32 root, uint64 units, uint32 epoch, bool exists))',
  'function proverOf(uint32 node) view returns (uint32 missedEpoch, uint32 slashedEpoch, address aggregator)',
  'function isProven(uint32 node, uint32 inEpoch) view returns (bool)',
  'function owes(uint32 node, uint32 inEpoch) view returns (bool)',
  'function claimOf(uint32 node, uint32 inEpoch) view returns (bytes28 claim, bool batched)',
  `function disputes(uint64 dispute) view returns (${DISPUTE_VIEW})`,
  'function disputeCount() view returns (uint64)',
])

/** Acts of {@link AUDITS_ABI} that an agent may ask for. */
export const AUDIT_ACTS: readonly string[] = [
  ...['draw', 'commit', 'postDigest', 'openSample', 'locate', 'answer', 'show'],
  ...['markMissed', 'expire', 'collect'],
]

/** States of disputes, in the order of the Solidity enum. */
export const DISPUTE_STATES = [
  'none',
  'challenged',
  'located',
  'demanded',
  'answered',
  'lost',
  'collected',
] as const

/** Every reason for which a contract refuses. */
export const ERRORS_ABI = new Interface([
  'error AuditAlreadySlashed(uint32 node, uint32 epoch)',
  'error AuditChainSound()',
  'error AuditCommitmentInvalid(uint64 order, uint16 slot)',
  'error AuditDeadline(uint64 dispute, uint64 deadline)',
  'error AuditDemandInvalid(uint32 node, uint64 order, uint16 slot)',
  'error AuditDisputeState(uint64 dispute, uint8 state)',
  'error AuditExcused(uint32 node)',
  'error AuditLate(uint32 epoch)',
  'error AuditNoCredit(address account)',
  'error AuditNotCountersigned(uint32 node, address signer)',
  'error AuditNotDrawn(uint32 node, uint32 epoch)',
  'error AuditNotNode(address caller)',
  'error AuditNotWriter(uint64 order, address signer)',
  'error AuditNothingClaimed(uint32 node, uint32 epoch)',
  'error AuditOff()',
  'error AuditPathMalformed(uint256 length)',
  'error AuditPathWrong()',
  'error AuditPending(uint32 epoch)',
  'error AuditSampleInvalid(uint16 sample, uint16 samples)',
  'error AuditSlotsDistinct()',
  'error AuditTooEarly(uint64 from)',
  'error AuditUnitWrong(uint64 unit, uint64 wanted)',
  'error AuditUnitsInvalid(uint64 units, uint64 max)',
  'error AuditWrongEpoch(uint32 epoch, uint32 newest)',
  'error EscrowAccountZero()',
  'error EscrowAmountInvalid(uint256 amount)',
  'error EscrowBalanceTooLow(address account, uint256 free, uint256 asked)',
  'error EscrowOnlyOrders(address caller)',
  'error EscrowStreamSuspended(address tenant)',
  'error EscrowStreamTooShort(address tenant, uint256 free, uint256 needed)',
  'error FarmNameLength(uint256 length, uint256 max)',
  'error FarmNotOwner(uint32 farm, address caller)',
  'error FarmOwnerZero(uint32 farm)',
  'error GridNoCode(address where)',
  'error NodeAddressesInvalid(uint256 count, uint256 maxCount, uint256 maxLength)',
  'error NodeAlreadyKnown(address account)',
  'error NodeBatchLength(uint256 groups, uint256 members)',
  'error NodeCapacityInUse(uint32 node, uint256 capacityBytes, uint256 usedBytes)',
  'error NodeCapacityOutOfRange(uint256 capacityBytes, uint256 max)',
  'error NodeClosed(uint32 node, uint8 state)',
  'error NodeFull(uint32 node, uint256 askedBytes, uint256 freeBytes)',
  'error NodeGasNotForwarded(address account, uint256 value)',
  'error NodeKeyMismatch(address account, address keyAccount)',
  'error NodeMaintenanceInvalid(uint32 node, uint64 from, uint64 until)',
  'error NodeMissing(uint32 node)',
  'error NodeNotAlive(uint32 node, uint64 lastHeartbeat)',
  'error NodeNotController(uint32 node, address caller)',
  'error NodeNotEmpty(uint32 node, uint8 state, uint256 usedBytes)',
  'error NodeNotJudged(uint32 node, uint64 since)',
  'error NodeNotOfFarm(uint32 node, uint32 farm)',
  'error NodeNotSponsored(address account, uint32 farm)',
  'error NodePriceAboveCap(uint256 pricePerGibSecond, uint256 cap)',
  'error NodeRateTooHigh(uint32 node, uint256 ratePerSecond)',
  'error NodeSealingKeyLength(uint256 length, uint256 needed)',
  'error NodeStakeTooLow(uint256 stake, uint256 needed)',
  'error NodeStakeLeft(uint32 node, uint256 stake)',
  'error NodeUnderstaked(uint32 node)',
  'error NodeUnknown(address account)',
  'error NodesOnlyAudits(address caller)',
  'error NodesOnlyOrders(address caller)',
  'error OrderDurationOutOfRange(uint256 seconds_, uint256 min, uint256 max)',
  'error OrderFarmRepeated(uint32 farm)',
  'error OrderKindNotAllowed(uint8 kind)',
  'error OrderKindUnknown(uint8 kind)',
  'error OrderMountExists(uint32 node, string name, uint64 mount)',
  'error OrderNoticeNotGiven(uint64 order, uint16 slot, address caller)',
  'error OrderNodeNotLost(uint32 node, uint64 silentSince)',
  'error OrderNotRepairer(uint64 order, address caller)',
  'error OrderNotReplaceable(uint64 order, uint8 kind)',
  'error OrderNotTenant(uint64 order, address caller)',
  'error OrderParentInvalid(uint64 parent)',
  'error OrderPaused(uint64 until)',
  'error OrderRateAboveLimit(uint256 ratePerSecond, uint256 maxRatePerSecond)',
  'error OrderReplacementTooDear(uint256 ratePerSecond, uint256 max)',
  'error OrderRestTooLow(uint256 rest, uint256 needed)',
  'error OrderSlotCount(uint256 given, uint256 needed)',
  'error OrderSlotEmpty(uint256 slot)',
  'error OrderSlotMissing(uint64 order, uint16 slot)',
  'error OrderSlotUnchanged(uint64 order, uint16 slot, uint32 node)',
  'error OrderStreams(uint64 order)',
  'error OrderTooManyMounts(uint64 volume, uint256 max)',
  'error OrderTooManySlots(uint256 given, uint256 max)',
  'error OrderUnknown(uint64 order)',
  'error OrderWrongState(uint64 order, uint8 state)',
  'error PolicyInconsistent(uint8 parameter, uint256 lower, uint256 upper)',
  'error PolicyNotGuardian(address caller)',
  'error PolicyOutOfBounds(uint8 parameter, uint256 value, uint256 min, uint256 max)',
  'error PolicyPauseTooLong(uint64 seconds_, uint64 max)',
  'error PolicyReleaseExists(bytes32 imageDigest)',
  'error PolicyReleaseUnknown(bytes32 imageDigest)',
  'error PolicyValueCount(uint256 given, uint256 needed)',
  'error SpecAccessInvalid(uint256 writers, uint256 readers, uint256 max)',
  'error SpecKeyMissing()',
  'error SpecMalformed()',
  'error SpecModeUnknown(uint8 mode)',
  'error SpecNameInvalid(string name)',
  'error SpecShardsInvalid(uint8 dataShards, uint8 parityShards, uint8 metaStores)',
  'error SpecSizeZero()',
  'error SpecVersionUnknown(uint8 version)',
])

/**
 * Names the reason for which a contract refused.
 *
 * @param data - Revert data as hexadecimal with `0x`.
 * @returns The custom error and its arguments, `OrderUnknown(7)`, or undefined if it is none of the contracts'.
 */
export function revertName(data: string): string | undefined {
  if (data.length < 10) return undefined
  try {
    const error = ERRORS_ABI.parseError(data)
    return error ? `${error.name}(${error.args.join(', ')})` : undefined
  } catch {
    return undefined
  }
}

/** The structs of `Specs.sol`, as `abi.encode` writes them. */
export const SPEC_TYPES = {
  store: 'tuple(uint8 version, uint8 mode, bool worm, address[] writers, address[] readers)',
  volume:
    'tuple(uint8 version, uint8 dataShards, uint8 parityShards, uint8 metaStores, bool sameFarmAllowed, uint64 sizeBytes, bytes32 keyCommitment)',
  mount: 'tuple(uint8 version, bool readOnly, string name, bytes sealedKey)',
} as const

/** Parameters of `Policy`, in the order of the Solidity enum: the index is the number on the ledger. */
export const PARAMETERS = [
  'finalityDepth',
  'heartbeatSeconds',
  'lostSeconds',
  'graceSeconds',
  'stakePerGib',
  'maxPricePerGibSecond',
  'workloadsAllowed',
  'maxSlots',
  'minSeconds',
  'maxSeconds',
  'dispersalAgeSeconds',
  'scrubSeconds',
  'auditEpochSeconds',
  'auditWindowSeconds',
  'auditWindowBlocks',
  'auditSamples',
  'auditOpenOdds',
  'auditAnswerSeconds',
  'auditBond',
  'auditMissSlash',
  'auditFraudSlash',
  'auditReporterShare',
  'votesPerGib',
  'capacityVotesPercent',
  'maxPricePerCoreSecond',
  'maxPricePerMemoryGibSecond',
  'maxPricePerEgressGib',
  'minNodeStake',
  'stakeSeconds',
  'nodeFeePerDay',
  'noticeSeconds',
] as const

/** Kinds of orders, in the order of the Solidity enum. */
export const ORDER_KINDS = [
  'none',
  'store',
  'volume',
  'mount',
  'network',
  'machine',
  'cluster',
] as const

/** States of orders, in the order of the Solidity enum. */
export const ORDER_STATES = ['none', 'live', 'suspended', 'ended'] as const

/** States of nodes, in the order of the Solidity enum. */
export const NODE_STATES = ['none', 'sponsored', 'active', 'draining', 'exited'] as const
