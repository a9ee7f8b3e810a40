// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice What the writer of a slot and its node both sign: these are the bytes that the slot holds.
/// @param node Number of the node.
/// @param generation The slot's generation when it was signed.
/// @param units 32-byte units of its shards, at least 1 and below 2^47.
/// @param root Root of the slot's sum tree.
/// @param epoch Newest epoch when it was signed; it must be in what the node committed two epochs later.
struct SlotCommitment {
    uint32 node;
    uint64 order;
    uint16 slot;
    uint16 generation;
    uint64 units;
    bytes32 root;
    uint32 epoch;
}

/// @notice A slot in an accumulator.
/// @param mount For a volume: the writable mount whose node signed; 0 where the tenant or a store's writer did.
/// @param signature The writer's EIP-712 signature of the commitment.
/// @param path Sum path from the slot up to the accumulator's root, 38 bytes a level.
struct Entry {
    SlotCommitment commitment;
    uint64 mount;
    bytes signature;
    bytes path;
}

/// @notice Which bytes a node claimed for one of its samples.
/// @param earlier State before the sample: `state(sample - 1)`.
/// @param unit The 32 bytes claimed.
/// @param digest Root over the node's states.
/// @param groupPath Siblings from the digest up to the root of the group, 8 of them; empty for a digest posted by the
/// node.
/// @param statePath Siblings from `state(sample)` up to the digest.
/// @param entry The slot that the sample falls into.
struct Location {
    bytes32 earlier;
    bytes32 unit;
    bytes32 digest;
    bytes32[] groupPath;
    bytes32[] statePath;
    Entry entry;
}

/// @notice Life of a dispute.
/// @dev Challenged waits for {locate}, Located for {answer}, Demanded for {show}; Answered holds a bond for the
/// node's farm.
enum DisputeState {
    None,
    Challenged,
    Located,
    Demanded,
    Answered,
    Lost,
    Collected
}

/// @notice A dispute as it is now.
/// @param epoch Epoch of the sample; of the demand.
/// @param sample From 1; 0 for a demand.
/// @param deadline When the node must have replied to what `state` waits for.
/// @param bond Of the challenger; of the node's farm once answered.
struct DisputeView {
    DisputeState state;
    uint32 node;
    uint32 epoch;
    uint16 sample;
    uint64 deadline;
    address challenger;
    uint128 bond;
}

/// @notice One epoch of audits.
/// @param seed From RANDAO, for the whole network, 112 bits.
/// @param drawnAt When it began.
/// @param dueAt Digests are taken until this time and until block `dueBlock`, whichever is later.
/// @param samples Samples of a node. @param openOdds One node in so many opens its first sample on chain; 0: none.
struct EpochView {
    uint112 seed;
    uint64 drawnAt;
    uint64 dueAt;
    uint64 dueBlock;
    uint8 samples;
    uint16 openOdds;
}

/// @notice What a node stands for.
/// @param root Of its accumulator. @param units Of all its slots. @param epoch In which it was committed.
/// @param exists False if it has not committed anything, not even that it holds nothing.
struct AccumulatorView {
    bytes32 root;
    uint64 units;
    uint32 epoch;
    bool exists;
}

/// @title Audits: nodes prove that they keep what they are paid for.
/// @dev Trees, samples and times: docs/design/0014-audits.md.
interface IAudits {
    /// @notice Epoch `epoch` began.
    event EpochDrawn(uint32 indexed epoch, uint112 seed);
    /// @notice A node stands for other bytes from the next epoch on.
    event AccumulatorCommitted(uint32 indexed node, bytes32 root, uint64 units);
    /// @notice A node's digests come through `aggregator`.
    event AggregatorChosen(uint32 indexed node, address aggregator);
    /// @notice A node posted its own digest.
    event DigestPosted(uint32 indexed epoch, address indexed account, bytes28 digest);
    /// @notice Digests of up to 256 nodes were posted: bit `b` of `members` is node `group * 256 + b`.
    event DigestsPosted(
        uint32 indexed epoch, address indexed aggregator, uint32 indexed group, bytes28 root, uint256 members
    );
    /// @notice A node that the seed drew has opened its first sample.
    event SampleOpened(uint32 indexed epoch, uint32 indexed node);
    /// @notice A node posted nothing, or not what it had to, in `epoch`.
    event EpochMissed(uint32 indexed epoch, uint32 indexed node, uint256 slashed);
    /// @notice Somebody doubts a node; see {dispute}.
    event DisputeOpened(uint64 indexed dispute, uint32 indexed node, uint32 indexed epoch, uint16 sample);
    /// @notice The sample is in `order`'s `slot`, unit `unit` of it: the node must answer.
    event DisputeLocated(uint64 indexed dispute, uint64 indexed order, uint16 slot, uint64 unit);
    /// @notice The node must show that it stands for the slot.
    event SlotDemanded(uint64 indexed dispute, uint64 indexed order, uint16 slot, uint16 generation, uint64 units);
    /// @notice The node was right.
    event DisputeAnswered(uint64 indexed dispute);
    /// @notice The node was wrong, or said nothing.
    event DisputeLost(uint64 indexed dispute, uint32 indexed node, uint256 slashed);
    /// @notice A node's digest contradicts itself.
    event ChainBroken(uint32 indexed epoch, uint32 indexed node, uint256 slashed);
    /// @notice A node stood for one slot twice.
    event SlotRepeated(uint32 indexed epoch, uint32 indexed node, uint256 slashed);
    /// @notice What slashes left went to the treasury.
    event TreasuryPaid(uint256 amount);
    /// @notice An account took out what it was credited.
    event CreditWithdrawn(address indexed account, uint256 amount);

    /// @notice Policy has switched audits off.
    error AuditOff();
    /// @notice The next epoch can be drawn from `from` on.
    error AuditTooEarly(uint64 from);
    /// @notice That act is for another epoch than `epoch`.
    error AuditWrongEpoch(uint32 epoch, uint32 newest);
    /// @notice The window of the epoch has closed.
    error AuditLate(uint32 epoch);
    /// @notice The window of the epoch has not closed.
    error AuditPending(uint32 epoch);
    /// @notice The caller is no node.
    error AuditNotNode(address caller);
    /// @notice A root without units, units without a root, or more units than the node has locked.
    error AuditUnitsInvalid(uint64 units, uint64 max);
    /// @notice A commitment names another slot's, another node's or more bytes than were ordered.
    error AuditCommitmentInvalid(uint64 order, uint16 slot);
    /// @notice No writer of the slot signed the commitment.
    error AuditNotWriter(uint64 order, address signer);
    /// @notice The node did not sign the commitment.
    error AuditNotCountersigned(uint32 node, address signer);
    /// @notice A path does not lead from what is claimed to what was committed.
    error AuditPathWrong();
    /// @notice The path leads to another unit than the one asked for.
    error AuditUnitWrong(uint64 unit, uint64 wanted);
    /// @notice The node has posted nothing for the epoch that could be disputed.
    error AuditNothingClaimed(uint32 node, uint32 epoch);
    /// @notice The sample is 0 or beyond those of the epoch.
    error AuditSampleInvalid(uint16 sample, uint16 samples);
    /// @notice The dispute is in another state.
    error AuditDisputeState(uint64 dispute, DisputeState state);
    /// @notice The node has time until `deadline`, or had.
    error AuditDeadline(uint64 dispute, uint64 deadline);
    /// @notice The node has announced maintenance for the time in which it would have to reply.
    error AuditExcused(uint32 node);
    /// @notice The slot is not this node's, its order has ended, or the commitment is too new for a demand.
    error AuditDemandInvalid(uint32 node, uint64 order, uint16 slot);
    /// @notice The two states follow from each other.
    error AuditChainSound();
    /// @notice The two entries are not of one slot, or are one entry.
    error AuditSlotsDistinct();
    /// @notice The node was already slashed for this epoch.
    error AuditAlreadySlashed(uint32 node, uint32 epoch);
    /// @notice The seed did not draw the node to open a sample.
    error AuditNotDrawn(uint32 node, uint32 epoch);
    /// @notice Nothing is credited to the account.
    error AuditNoCredit(address account);

    /// @notice Begins the next epoch and fixes its seed. Anyone, when the newest has lasted `AuditEpochSeconds`.
    function draw() external;

    /// @notice Says what the calling node stands for from the next epoch on. Again within an epoch: in place of the
    /// first.
    /// @param root Root of its accumulator; zero with zero units if it holds nothing.
    /// @param units Units in it, at most what the node has locked, below 2^47.
    function commit(bytes32 root, uint64 units) external;

    /// @notice Lets an account post digests for the calling node (the zero address: none).
    function setAggregator(address aggregator) external;

    /// @notice Posts the calling node's digest of the newest epoch. Its own outranks an aggregator's.
    function postDigest(uint32 epoch, bytes28 digest) external;

    /// @notice Posts the digests of up to 256 nodes that chose the caller, in the first half of the window. Bits of
    /// others count for nothing.
    /// @param group Nodes `group * 256` to `group * 256 + 255`.
    /// @param root Root over 256 digests, its first 28 bytes.
    /// @param members Bit `b`: node `group * 256 + b` has a digest in it.
    function postDigests(uint32 epoch, uint32 group, bytes28 root, uint256 members) external;

    /// @notice Opens the first sample of a node that the seed drew ({isDrawn}). Anyone.
    /// @param entry The slot that the sample falls into.
    /// @param opening As for {answer}.
    function openSample(uint32 epoch, uint32 node, Entry calldata entry, bytes calldata opening) external;

    /// @notice Marks nodes that posted nothing in `epoch`, the one before the newest. Anyone, for a share. Those that
    /// did their duty, had neither committed anything nor held a slot before its draw, had announced maintenance, or
    /// are marked already are passed over. Who held a slot must have committed, if only that it holds nothing that was
    /// signed.
    function markMissed(uint32 epoch, uint32[] calldata nodes) external;

    /// @notice Doubts a sample of the newest epoch after its window has closed; pulls a bond of `AuditBond`.
    /// @param sample From 1.
    /// @return dispute Its number, from 1.
    function challenge(uint32 node, uint32 epoch, uint16 sample) external returns (uint64 dispute);

    /// @notice Shows where the sample is and what was claimed of it. Anyone, before the deadline; gives the node a
    /// new one.
    function locate(uint64 dispute, Location calldata location) external;

    /// @notice {challenge} and {locate} in one.
    function challengeLocated(uint32 node, uint32 epoch, uint16 sample, Location calldata location)
        external
        returns (uint64 dispute);

    /// @notice Shows that the claimed bytes are the slot's. Anyone, before the deadline.
    /// @param opening Packed: unit bytes 32, number of the unit in the slot 6, shard length 6, then the
    /// path through the shard (32 bytes a level, as many as the length asks for), then the sum path through the slot
    /// (38 a level).
    function answer(uint64 dispute, bytes calldata opening) external;

    /// @notice Shows that two neighbouring states of one digest contradict each other; slashes at once.
    /// @param sample The later of the two, from 1; the state before the first follows from the seed.
    /// @param location Of the later one; its `entry` is not read.
    /// @param priorPath Siblings from `prior` up to the digest.
    /// @param prior The state at `sample - 1` in the digest; not read for sample 1.
    function proveBroken(
        uint32 node,
        uint32 epoch,
        uint16 sample,
        Location calldata location,
        bytes32 prior,
        bytes32[] calldata priorPath
    ) external;

    /// @notice Shows that a node stands for one slot twice in what it is audited for in `epoch`, the newest or the one
    /// before; slashes at once.
    /// @param one Its commitment and path; the signature is not read. @param other The same.
    function proveRepeated(uint32 node, uint32 epoch, Entry calldata one, Entry calldata other) external;

    /// @notice Demands that a node shows a slot that it countersigned at least two epochs ago, of an order that has not
    /// ended; pulls a bond.
    /// @param entry Its commitment, with the writer's signature; the path is not read.
    /// @param countersignature The node's.
    function demand(Entry calldata entry, bytes calldata countersignature) external returns (uint64 dispute);

    /// @notice Shows the slot in what the node committed: as its writer signed it later, or in the same epoch with at
    /// least as many units. Anyone, before the deadline.
    function show(uint64 dispute, Entry calldata entry) external;

    /// @notice Ends a dispute whose deadline has passed: slashes the node, gives the bond back with a share. Anyone.
    function expire(uint64 dispute) external;

    /// @notice Credits the bond of an answered dispute to the owner of the node's farm. Anyone.
    function collect(uint64 dispute) external;

    /// @notice Sends what slashes left to the treasury. Anyone.
    function sweep() external;

    /// @notice Pays out what the caller was credited: bonds, shares, rewards.
    function withdrawCredit() external;

    /// @notice The newest epoch; 0 before the first.
    function epoch() external view returns (uint32);
    /// @notice An epoch; zeros if it has not begun.
    function epochs(uint32 which) external view returns (EpochView memory);
    /// @notice What a node is audited for in an epoch, as long as that or the next one is the newest.
    function accumulatorOf(uint32 node, uint32 inEpoch) external view returns (AccumulatorView memory);
    /// @notice What a node was last marked and slashed for; the account that posts its digests.
    function proverOf(uint32 node) external view returns (uint32 missedEpoch, uint32 slashedEpoch, address aggregator);
    /// @notice True if a node has posted all it had to in an epoch, as long as that or the next one is the newest.
    function isProven(uint32 node, uint32 inEpoch) external view returns (bool);
    /// @notice True if a node must prove an epoch and has not: it held a slot or stood for something before the draw,
    /// and announced no maintenance. As long as that or the next one is the newest.
    function owes(uint32 node, uint32 inEpoch) external view returns (bool);
    /// @notice What a node posted for an epoch, itself or through its aggregator (`batched`: then the group's
    /// root); zero if nothing. As long as that or the next one is the newest.
    function claimOf(uint32 node, uint32 inEpoch) external view returns (bytes28 claim, bool batched);
    /// @notice True if the seed of an epoch asks the node to open its first sample on chain.
    function isDrawn(uint32 node, uint32 inEpoch) external view returns (bool);
    /// @notice A dispute as it is now.
    function disputes(uint64 dispute) external view returns (DisputeView memory);
    /// @notice The newest dispute.
    function disputeCount() external view returns (uint64);
    /// @notice What an account may withdraw.
    function creditOf(address account) external view returns (uint256);
    /// @notice What {sweep} would send to the treasury.
    function treasuryShare() external view returns (uint256);
    /// @notice What a writer and a node sign for a commitment.
    function commitmentHash(SlotCommitment calldata commitment) external view returns (bytes32);
    /// @notice Tokens this contract owes: credits, bonds and the treasury's share.
    function owed() external view returns (uint256);
}
