// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice What a node offers; being registered is the offer.
/// @param capacityBytes Bytes it sells, in all.
/// @param pricePerGibSecond Smallest units of the token for 2^30 bytes kept for one second.
struct Offer {
    uint64 capacityBytes;
    uint96 pricePerGibSecond;
}

/// @notice Life of a node: sponsored by its farm, registered by its own key, drained, gone.
enum NodeState {
    None,
    Sponsored,
    Active,
    Draining,
    Exited
}

/// @notice Everything about a node, as read in one call.
/// @param publicKey Uncompressed secp256k1 key, 64 bytes x and y; its hash is `account`, and it is the libp2p identity.
/// @param sealingKey X25519 (32 bytes) and ML-KEM-768 (1184 bytes) public keys: secrets for the node are sealed to both.
/// @param addresses Multiaddrs without the peer id.
struct NodeView {
    uint32 id;
    uint32 farm;
    address account;
    NodeState state;
    uint64 capacityBytes;
    uint64 usedBytes;
    uint96 pricePerGibSecond;
    uint128 stake;
    uint64 registeredAt;
    uint64 lastHeartbeat;
    uint64 aliveSeconds;
    bytes publicKey;
    bytes sealingKey;
    string[] addresses;
}

/// @title Farms, their nodes, what these offer, and whether they live.
interface INodes {
    event FarmCreated(uint32 indexed farm, address indexed owner, string name);
    event NodeSponsored(uint32 indexed farm, address indexed account, uint256 stake);
    event NodeRegistered(uint32 indexed node, uint32 indexed farm, address indexed account);
    event NodeChanged(uint32 indexed node);

    /// @notice Makes a farm owned by the caller.
    function createFarm(string calldata name) external returns (uint32 farm);

    /// @notice Vouches for a node before it registers: pulls its stake, and passes the value sent on to it for gas.
    function sponsor(uint32 farm, address account, uint128 stake) external payable;

    /// @notice Registers the calling account as a node of the farm that sponsored it.
    function register(bytes calldata publicKey, bytes calldata sealingKey, Offer calldata offer, string[] calldata addresses)
        external
        returns (uint32 node);

    /// @notice Changes the offer of the caller's node; running orders keep their price.
    function setOffer(Offer calldata offer) external;

    /// @notice Changes the addresses of the caller's node.
    function setAddresses(string[] calldata addresses) external;

    /// @notice Closes the node to new orders (true) or opens it again; by the node or its farm's owner.
    function setDraining(uint32 node, bool draining) external;

    /// @notice Says that the caller's node lives; counts the time since the last heartbeat as alive if it was not late.
    function heartbeat() external;

    /// @notice Counts changes to the registry (not heartbeats), so that a reader knows when to read again.
    function registryVersion() external view returns (uint64);
    function nodeCount() external view returns (uint32);
    function farmOf(uint32 node) external view returns (uint32);
    function nodeOf(address account) external view returns (uint32);
    function farmSponsoring(address account) external view returns (uint32 farm, uint128 stake);
    /// @notice Nodes `from` (from 1) and up to `limit` in all.
    function nodes(uint32 from, uint32 limit) external view returns (NodeView[] memory);
    function isAlive(uint32 node) external view returns (bool);
}
