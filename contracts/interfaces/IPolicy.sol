// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice What the DAO sets. Appended to, never reordered: the number is part of proposals.
enum Parameter {
    FinalityDepth,          // blocks below the head that an agent waits, beside the chain's own finality
    HeartbeatSeconds,       // how often a node must say that it lives
    LostSeconds,            // silence after which a node's slots may be moved
    GraceSeconds,           // time between the end of an order and the deletion of its data
    StakePerGib,            // token units a node stakes for each 2^30 bytes it offers
    MaxPricePerGibSecond,   // highest price a node may ask
    WorkloadsAllowed,       // bit n: OrderKind n may be ordered
    MaxSlots,               // slots of one order
    MinSeconds,             // shortest time an order can be paid for
    MaxSeconds,             // longest time an order can be paid ahead
    DispersalAgeSeconds,    // oldest byte a mount may keep undispersed
    ScrubSeconds,           // how often every shard is read and verified
    AuditEpochSeconds,      // shortest time from one audit to the next; 0: no audits
    AuditWindowSeconds,     // time from an audit's draw in which digests are taken
    AuditWindowBlocks,      // blocks from the draw in which they are taken at any time
    AuditSamples,           // samples of a node in an audit
    AuditOpenOdds,          // one node in so many opens a sample on chain; 0: none
    AuditAnswerSeconds,     // time for each reply in a dispute
    AuditBond,              // token units that who doubts a node puts at stake
    AuditMissSlash,         // hundredths of a percent of its stake that a node loses for saying nothing
    AuditFraudSlash,        // the same for saying what is not so
    AuditReporterShare,     // hundredths of a percent of a slash that go to who showed it
    VotesPerGib,            // votes that a farm has for each 2^30 bytes it proves to keep; 0: none
    CapacityVotesPercent,   // most that all these votes may be, in percent of the token's supply
    MaxPricePerCoreSecond,  // highest price of a core for a second
    MaxPricePerMemoryGibSecond, // highest price of 2^30 bytes of memory for a second
    MaxPricePerEgressGib,   // highest price of 2^30 bytes sent out
    MinNodeStake,           // token units that a node stakes at least, whatever it offers
    StakeSeconds,           // a stake covers what the offered bytes would earn in this time
    NodeFeePerDay,          // token units that a node's place in the registry costs a day, from its stake
    NoticeSeconds           // time between draining and letting go of what is held
}

/// @notice A version of the agent that the DAO approved.
/// @param imageDigest SHA-256 of the image.
/// @param version Its name for people.
/// @param activatesAt Second since 1970 from which agents may run it.
/// @param revoked True once a vote withdrew it; agents that run it go back to the newest one not revoked.
struct Release {
    bytes32 imageDigest;
    string version;
    uint64 activatesAt;
    bool revoked;
}

/// @notice The parameters that placing an order needs, in one read.
struct OrderTerms {
    uint64 workloadsAllowed;
    uint64 maxSlots;
    uint64 minSeconds;
    uint64 maxSeconds;
    uint64 graceSeconds;
    uint64 maxPricePerGibSecond;
    uint64 lateSeconds;
    uint64 pausedUntil;
}

/// @notice The parameters that audits need, in one read. Slashes and share in hundredths of a percent.
struct AuditTerms {
    uint64 epochSeconds;
    uint64 windowSeconds;
    uint64 windowBlocks;
    uint64 samples;
    uint64 openOdds;
    uint64 answerSeconds;
    uint64 bond;
    uint64 missSlash;
    uint64 fraudSlash;
    uint64 reporterShare;
}

/// @title Policy: bounded parameters that every agent obeys, and the approved releases.
interface IPolicy {
    /// @notice A parameter has a new value since `version`.
    event ParameterChanged(uint64 indexed version, Parameter indexed parameter, uint256 from, uint256 to);
    /// @notice A release may be run from `activatesAt` on.
    event ReleaseApproved(uint64 indexed version, bytes32 indexed imageDigest, string name, uint64 activatesAt);
    /// @notice A release must no longer be run.
    event ReleaseRevoked(uint64 indexed version, bytes32 indexed imageDigest);

    /// @notice A vote appointed `guardian` until `until`; it may pause new orders once.
    event GuardianAppointed(uint64 indexed version, address indexed guardian, uint64 until);
    /// @notice New orders are refused until `until`; now or earlier means no longer.
    event PauseChanged(uint64 indexed version, uint64 until);

    /// @notice `caller` is not the guardian, its appointment ended, or it has used it.
    error PolicyNotGuardian(address caller);
    /// @notice A pause is at least a second and at most `max`.
    error PolicyPauseTooLong(uint64 seconds_, uint64 max);
    /// @notice `value` is outside what the parameter may ever be, see {bounds}.
    error PolicyOutOfBounds(Parameter parameter, uint256 value, uint256 min, uint256 max);
    /// @notice Two parameters would contradict each other: `lower` must not exceed `upper`.
    error PolicyInconsistent(Parameter parameter, uint256 lower, uint256 upper);
    /// @notice The constructor takes one initial value for each parameter.
    error PolicyValueCount(uint256 given, uint256 needed);
    /// @notice The digest is already in the list of releases.
    error PolicyReleaseExists(bytes32 imageDigest);
    /// @notice The digest is not in the list of releases, or was revoked before.
    error PolicyReleaseUnknown(bytes32 imageDigest);

    /// @notice Sets a parameter. Only the owner, which is the timelock.
    /// @param parameter Which one.
    /// @param value Its new value, within {bounds} and in keeping with the others.
    function set(Parameter parameter, uint256 value) external;
    /// @notice Approves a release. Only the owner.
    /// @param imageDigest SHA-256 of the image; never seen before.
    /// @param name Its version for people.
    /// @param activatesAt Second since 1970 from which agents may run it.
    function approveRelease(bytes32 imageDigest, string calldata name, uint64 activatesAt) external;
    /// @notice Withdraws a release for good. Only the owner.
    function revokeRelease(bytes32 imageDigest) external;

    /// @notice Appoints who may pause new orders, once, before `until`; in place of any other. Only the owner.
    function appointGuardian(address guardian, uint64 until) external;
    /// @notice Refuses new orders for `seconds_`, at most 7 days; nothing else stops, and it ends by itself. Only the
    /// guardian, once an appointment.
    function pause(uint64 seconds_) external;
    /// @notice Ends a pause early. Only the owner, or who is guardian.
    function unpause() external;
    /// @notice Who may pause, until when, and whether it still can.
    function guardian() external view returns (address account, uint64 until, bool unused);
    /// @notice New orders are refused before this time.
    function pausedUntil() external view returns (uint64);

    /// @notice Rises by one with every change.
    function version() external view returns (uint64);
    /// @notice The value of a parameter now.
    function value(Parameter parameter) external view returns (uint256);
    /// @notice The values that a parameter may ever have, both inclusive; fixed in the code.
    function bounds(Parameter parameter) external view returns (uint256 min, uint256 max);
    /// @notice All values, indexed by parameter.
    function all() external view returns (uint64 version, uint256[] memory values);
    /// @notice The newest 256 releases in the order of approval, revoked ones included.
    function releases() external view returns (Release[] memory);
    /// @notice What placing an order needs. `lateSeconds` is the silence after which a node does not count as alive.
    function orderTerms() external view returns (OrderTerms memory);
    /// @notice What audits need.
    function auditTerms() external view returns (AuditTerms memory);
    /// @notice Twice HeartbeatSeconds: one heartbeat may be lost or late without harm, two may not.
    function lateSeconds() external view returns (uint64);
    /// @notice The block in which the grid's first contract was made: no event of the grid is older.
    function deployedAtBlock() external view returns (uint64);
}
