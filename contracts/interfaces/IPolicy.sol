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
    ScrubSeconds            // how often every shard is read and verified
}

/// @notice A version of the agent that the DAO approved.
struct Release {
    bytes32 imageDigest;
    string version;
    uint64 activatesAt;
    bool revoked;
}

/// @title Policy: bounded parameters that every agent obeys, and the approved releases.
interface IPolicy {
    event ParameterChanged(uint64 indexed version, Parameter indexed parameter, uint256 from, uint256 to);
    event ReleaseApproved(uint64 indexed version, bytes32 indexed imageDigest, string name, uint64 activatesAt);
    event ReleaseRevoked(uint64 indexed version, bytes32 indexed imageDigest);

    function set(Parameter parameter, uint256 value) external;
    function approveRelease(bytes32 imageDigest, string calldata name, uint64 activatesAt) external;
    function revokeRelease(bytes32 imageDigest) external;

    /// @notice Rises by one with every change.
    function version() external view returns (uint64);
    function value(Parameter parameter) external view returns (uint256);
    function bounds(Parameter parameter) external view returns (uint256 min, uint256 max);
    /// @notice All values, indexed by parameter.
    function all() external view returns (uint64 version, uint256[] memory values);
    function releases() external view returns (Release[] memory);
}
