// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice What a node offers; being registered is the offer.
/// @param capacityBytes Bytes it sells, in all; below 2^56.
/// @param pricePerGibSecond Smallest units of the token for 2^30 bytes kept for one second.
struct Offer {
    uint64 capacityBytes;
    uint96 pricePerGibSecond;
}

/// @notice What a node offers beside space; nothing is locked of it until an order of that kind names the node.
/// @param cores Whole cores.
/// @param memoryBytes Below 2^48.
/// @param pricePerCoreSecond Token units for a core and second.
/// @param pricePerMemoryGibSecond Token units for 2^30 bytes of memory and second.
/// @param pricePerEgressGib Token units for 2^30 bytes sent to others than nodes.
struct Resources {
    uint16 cores;
    uint48 memoryBytes;
    uint64 pricePerCoreSecond;
    uint64 pricePerMemoryGibSecond;
    uint64 pricePerEgressGib;
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
/// @param usedBytes Bytes locked by orders, those in their grace after the end included.
/// @param stake Token units that stand behind its promises.
/// @param aliveSeconds Seconds from `registeredAt` to `lastHeartbeat` that count as alive, those of missed audits not.
/// @param publicKey Uncompressed secp256k1 key, 64 bytes x and y; its hash is `account`, and it is the libp2p identity.
/// @param sealingKey X25519 (32 bytes) and ML-KEM-768 (1184 bytes) public keys: secrets for the node are sealed to
/// both.
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

/// @notice A farm, as read in one call.
struct FarmView {
    uint32 id;
    address owner;
    string name;
}

/// @title Farms, their nodes, what these offer, and whether they live.
interface INodes {
    /// @notice A farm was made.
    event FarmCreated(uint32 indexed farm, address indexed owner, string name);
    /// @notice A farm has a new owner, who gets the earnings from now on, those not yet settled included.
    event FarmOwnerChanged(uint32 indexed farm, address indexed from, address indexed to);
    /// @notice A farm vouched for an account, which may now register.
    event NodeSponsored(uint32 indexed farm, address indexed account, uint256 stake);
    /// @notice A farm took its sponsorship back before the account registered.
    event SponsorshipEnded(uint32 indexed farm, address indexed account, uint256 stake);
    /// @notice A node exists.
    event NodeRegistered(uint32 indexed node, uint32 indexed farm, address indexed account);
    /// @notice A node's offer, addresses, stake or state changed: read it again.
    event NodeChanged(uint32 indexed node);

    /// @notice `amount` of a node's stake was taken for a fault that the audits found.
    event NodeSlashed(uint32 indexed node, uint256 amount);
    /// @notice A node is not paid for the seconds from `from` to `until`.
    event NodeMissed(uint32 indexed node, uint64 from, uint64 until);

    /// @notice `reporter` may send heartbeats for the farm's nodes, beside its owner.
    event FarmReporterChanged(uint32 indexed farm, address indexed reporter);
    /// @notice A node will be silent between two times, and says so in advance.
    event NodeMaintenance(uint32 indexed node, uint64 from, uint64 until);

    /// @notice A batch needs as many member sets as groups.
    error NodeBatchLength(uint256 groups, uint256 members);
    /// @notice The batch names a node that is not an active or draining node of the farm.
    error NodeNotOfFarm(uint32 node, uint32 farm);
    /// @notice Maintenance must be announced an hour before, last at most a day, come 14 days after the last one, and
    /// not before what the last one excuses is judged.
    error NodeMaintenanceInvalid(uint32 node, uint64 from, uint64 until);
    /// @notice A farm's name is empty or longer than `max` bytes.
    error FarmNameLength(uint256 length, uint256 max);
    /// @notice `caller` does not own `farm`.
    error FarmNotOwner(uint32 farm, address caller);
    /// @notice The address zero cannot own a farm.
    error FarmOwnerZero(uint32 farm);
    /// @notice `account` cannot be sponsored: it is already, or is a node, or is the address zero.
    error NodeAlreadyKnown(address account);
    /// @notice `account` is not sponsored by `farm` (0: by any).
    error NodeNotSponsored(address account, uint32 farm);
    /// @notice The ether sent with a sponsorship could not be passed on to `account`.
    error NodeGasNotForwarded(address account, uint256 value);
    /// @notice The public key is not 64 bytes or is not the caller's.
    error NodeKeyMismatch(address account, address keyAccount);
    /// @notice The sealing key does not have the length of an X25519 and an ML-KEM-768 key.
    error NodeSealingKeyLength(uint256 length, uint256 needed);
    /// @notice Too many addresses, or one that is empty or too long.
    error NodeAddressesInvalid(uint256 count, uint256 maxCount, uint256 maxLength);
    /// @notice The price is above what policy allows.
    error NodePriceAboveCap(uint256 pricePerGibSecond, uint256 cap);
    /// @notice The capacity is zero or above what a node can have.
    error NodeCapacityOutOfRange(uint256 capacityBytes, uint256 max);
    /// @notice The capacity would be below what orders have locked.
    error NodeCapacityInUse(uint32 node, uint256 capacityBytes, uint256 usedBytes);
    /// @notice The stake is below what policy asks for the capacity.
    error NodeStakeTooLow(uint256 stake, uint256 needed);
    /// @notice `account` is not a node that is active or draining.
    error NodeUnknown(address account);
    /// @notice There is no such node.
    error NodeMissing(uint32 node);
    /// @notice `caller` is neither the node nor its farm's owner.
    error NodeNotController(uint32 node, address caller);
    /// @notice The node does not take orders: it is `state`.
    error NodeClosed(uint32 node, NodeState state);
    /// @notice The node's last heartbeat is too old to give it orders.
    error NodeNotAlive(uint32 node, uint64 lastHeartbeat);
    /// @notice The node has fewer bytes free than asked.
    error NodeFull(uint32 node, uint256 askedBytes, uint256 freeBytes);
    /// @notice A slot of that many bytes on this node would earn more a second than an order can hold.
    error NodeRateTooHigh(uint32 node, uint256 ratePerSecond);
    /// @notice Only a draining node on which no order has a slot may leave.
    error NodeNotEmpty(uint32 node, NodeState state, uint256 usedBytes);
    /// @notice What the node did up to `since`, when it let its last slot go, can still be doubted, or is, or was a
    /// day ago.
    error NodeNotJudged(uint32 node, uint64 since);
    /// @notice The node's stake does not cover its offer since it was slashed: it gets no orders.
    error NodeUnderstaked(uint32 node);
    /// @notice The daily fee has not used up the node's stake: `stake` is left.
    error NodeStakeLeft(uint32 node, uint256 stake);
    /// @notice Only the audits may call this.
    error NodesOnlyAudits(address caller);
    /// @notice Only the order book may call this.
    error NodesOnlyOrders(address caller);

    /// @notice Makes a farm owned by the caller.
    /// @param name For people; 1 to 64 bytes, need not be unique.
    /// @return farm Its number, from 1.
    function createFarm(string calldata name) external returns (uint32 farm);

    /// @notice Gives the caller's farm to another owner.
    function transferFarm(uint32 farm, address owner) external;

    /// @notice Vouches for a node before it registers: pulls its stake, and passes the value sent on to it for gas.
    /// @dev Only the farm's owner, who must have approved this contract for `stake`.
    function sponsor(uint32 farm, address account, uint128 stake) external payable;

    /// @notice Takes a sponsorship back, and its stake, as long as the account has not registered.
    function unsponsor(uint32 farm, address account) external;

    /// @notice Registers the calling account as a node of the farm that sponsored it.
    /// @param publicKey 64 bytes; `keccak256` of it ends in the caller's address.
    /// @param sealingKey 1,216 bytes: X25519, then ML-KEM-768.
    /// @param offer What it sells; its stake must cover the capacity.
    /// @param addresses At most 8 multiaddrs of 1 to 256 bytes; may be empty.
    /// @return node Its number, from 1.
    function register(
        bytes calldata publicKey,
        bytes calldata sealingKey,
        Offer calldata offer,
        string[] calldata addresses
    ) external returns (uint32 node);

    /// @notice Changes the offer of the caller's node; running orders keep their price.
    function setOffer(Offer calldata offer) external;

    /// @notice Changes what the caller's node offers beside space.
    function setResources(Resources calldata resources) external;

    /// @notice Changes the addresses of the caller's node.
    function setAddresses(string[] calldata addresses) external;

    /// @notice Adds to a node's stake; pulls the token from the caller. Anyone may.
    function addStake(uint32 node, uint128 amount) external;

    /// @notice Closes the node to new orders (true) or opens it again; by the node or its farm's owner. NoticeSeconds
    /// after it closed, the node may let go of what it holds ({IOrders.resign}).
    function setDraining(uint32 node, bool draining) external;

    /// @notice Ends a draining node that holds no slot, and returns its stake to the farm's owner. By node or owner.
    /// @dev Only once all epochs in which it had a slot are judged, and a day after the last time for a reply in a
    /// dispute.
    function exit(uint32 node) external;

    /// @notice Ends a node without slots whose stake the daily fee has used up. Anyone.
    function evict(uint32 node) external;

    /// @notice Says that the caller's node lives; counts the time since the last heartbeat as alive if it was not late.
    /// @dev Late is more than twice HeartbeatSeconds (`Policy.lateSeconds`). After a late one the whole gap counts
    /// as dead.
    function heartbeat() external;

    /// @notice Lets a key send heartbeats for the farm's nodes (the address zero: none). Only the farm's owner.
    function setReporter(uint32 farm, address reporter) external;

    /// @notice Says that many nodes of a farm live, as {heartbeat} does for one. By the farm's owner or its reporter.
    /// @dev A claim of the farm, which stands behind it with its stakes. Bit `b` of `members[i]` is node
    /// `groups[i] * 208 + b`; a bit that was set and is not any more leaves that node to its own heartbeats.
    /// @param groups `[n]` @param members `[n]`
    function heartbeats(uint32 farm, uint32[] calldata groups, uint208[] calldata members) external;

    /// @notice Announces a silence: in it, and for LostSeconds after it, writers may not move the node's slots. It
    /// is not
    /// paid. By the node or its farm's owner.
    /// @param from At least an hour from now, and 14 days after the last one ended.
    /// @param until At most a day later.
    function announceMaintenance(uint32 node, uint64 from, uint64 until) external;

    /// @notice What a node offers beside space; zeros if nothing.
    function resourcesOf(uint32 node) external view returns (Resources memory);
    /// @notice Counts changes to nodes (not heartbeats, not farms), so that a reader knows when to read them again.
    function registryVersion() external view returns (uint64);
    /// @notice Nodes ever registered; the newest has this number.
    function nodeCount() external view returns (uint32);
    /// @notice Farms ever made; the newest has this number.
    function farmCount() external view returns (uint32);
    /// @notice The farm of a node; 0 if there is no such node.
    function farmOf(uint32 node) external view returns (uint32);
    /// @notice The node of an account; 0 if it has none or it exited.
    function nodeOf(address account) external view returns (uint32);
    /// @notice The farm that sponsors an account that has not yet registered, and the stake; zeros if none.
    function farmSponsoring(address account) external view returns (uint32 farm, uint128 stake);
    /// @notice What being listed has cost a node so far, at most its stake; taken when it leaves.
    function feeDue(uint32 node) external view returns (uint256);
    /// @notice Nodes `from` (from 1) and up to `limit` in all.
    function nodes(uint32 from, uint32 limit) external view returns (NodeView[] memory);
    /// @notice Farms `from` (from 1) and up to `limit` in all.
    function farms(uint32 from, uint32 limit) external view returns (FarmView[] memory);
    /// @notice The newest announced silence of a node; zeros if none.
    function maintenanceOf(uint32 node) external view returns (uint64 from, uint64 until);
    /// @notice The key that may send heartbeats for a farm's nodes, beside its owner.
    function reporterOf(uint32 farm) external view returns (address);
    /// @notice True if the node is registered, has not left, and its last heartbeat is not late.
    function isAlive(uint32 node) external view returns (bool);
}
