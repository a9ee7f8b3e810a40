// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice What can be ordered. One state machine for all; which kinds are open is policy.
enum OrderKind {
    None,
    Store,
    Volume,
    Mount,
    Network,
    Machine,
    Cluster
}

/// @notice Live is paid for. Suspended is past its paid time, within grace: kept but not served. Ended is over.
enum OrderState {
    None,
    Live,
    Suspended,
    Ended
}

/// @notice Where a part of an order is to run, and how many bytes of that node it takes.
struct SlotRequest {
    uint32 node;
    uint64 sizeBytes;
}

/// @notice A slot as it is now.
/// @param assignedAt When the slot came to this node.
/// @param lastSeen The node's last heartbeat.
struct SlotView {
    uint32 node;
    uint64 sizeBytes;
    uint64 assignedAt;
    uint64 lastSeen;
    uint16 generation;
}

/// @notice An order as it is at the block of the call.
/// @param parent The volume of a mount; 0 for others.
/// @param paidUntil When the money ends, if nothing changes.
/// @param endedAt When it was cancelled or ran out; 0 while live or suspended.
/// @param deletableAt When its data may go: `endedAt` and grace; 0 while live or suspended.
/// @param writerEpoch For a volume: counts its writers; only the newest may write.
/// @param children For a volume: its mounts, live or not.
struct OrderView {
    uint64 id;
    OrderKind kind;
    OrderState state;
    address tenant;
    uint64 parent;
    uint64 placedAt;
    uint64 paidUntil;
    uint64 endedAt;
    uint64 deletableAt;
    uint32 writerEpoch;
    uint96 ratePerSecond;
    bytes spec;
    SlotView[] slots;
    uint64[] children;
}

/// @title Orders: what tenants want, where, and until when it is paid.
/// @dev Every event carries the next `sequence`, so that a reader who misses one knows.
interface IOrders {
    event OrderPlaced(uint64 indexed sequence, uint64 indexed order, address indexed tenant, OrderKind kind);
    event OrderExtended(uint64 indexed sequence, uint64 indexed order, uint64 paidUntil);
    event OrderCancelled(uint64 indexed sequence, uint64 indexed order, uint256 refund);
    event SlotReplaced(uint64 indexed sequence, uint64 indexed order, uint16 slot, uint32 from, uint32 to);

    /// @notice Places an order, locks capacity and price on its nodes, and its price for `seconds_` in escrow.
    /// @param kind What to run; policy must allow it.
    /// @param parent For a mount, the caller's volume; else 0.
    /// @param spec `abi.encode(StoreSpec | VolumeSpec | MountSpec)`, at most 24,575 bytes.
    /// @param slots Store and mount: one. Volume: k + m data slots, then the metadata slots.
    /// @param seconds_ Time to pay for now.
    /// @param maxRatePerSecond Refused if the nodes ask more in all: guards against a price changed underway.
    function place(
        OrderKind kind,
        uint64 parent,
        bytes calldata spec,
        SlotRequest[] calldata slots,
        uint64 seconds_,
        uint96 maxRatePerSecond
    ) external returns (uint64 order);

    /// @notice Pays for `seconds_` more of an order that is live or suspended. Anyone may.
    function extend(uint64 order, uint64 seconds_) external;

    /// @notice Ends an order now; what its nodes have not earned goes back at once. By its tenant.
    function cancel(uint64 order) external;

    /// @notice Moves a slot to another node: by the tenant at any time; by the node that writes the volume (its newest
    /// read-write mount) only if the slot's node has been silent for longer than policy allows.
    function replace(uint64 order, uint16 slot, uint32 node) external;

    /// @notice Pays the nodes of an order what they earned so far. Anyone may.
    function settle(uint64 order) external;

    /// @notice The number of the newest event.
    function sequence() external view returns (uint64);
    function orderCount() external view returns (uint64);
    /// @notice Orders by number, in the order asked; unknown numbers give an entry with state None.
    function get(uint64[] calldata ids) external view returns (OrderView[] memory);
    function paidUntil(uint64 order) external view returns (uint64);
}
