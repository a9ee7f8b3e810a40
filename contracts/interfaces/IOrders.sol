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
/// @param node Number of a node in the registry.
/// @param sizeBytes Bytes of its capacity, at least 1.
struct SlotRequest {
    uint32 node;
    uint64 sizeBytes;
}

/// @notice A slot as it is now.
/// @param assignedAt When the slot came to this node.
/// @param lastSeen The node's last heartbeat.
/// @param generation Counts the nodes the slot has had, from 0.
struct SlotView {
    uint32 node;
    uint64 sizeBytes;
    uint64 assignedAt;
    uint64 lastSeen;
    uint16 generation;
}

/// @notice What audits need of a slot.
/// @param deletableAt When the bytes may go; the end of time while the order has not ended.
struct SlotFacts {
    OrderKind kind;
    OrderState state;
    address tenant;
    uint32 node;
    uint16 generation;
    uint64 sizeBytes;
    uint64 deletableAt;
}

/// @notice An order as it is at the block of the call.
/// @param parent The volume of a mount; 0 for others.
/// @param paidUntil When the money ends, if nothing changes.
/// @param endedAt When it was cancelled or its money ended, whichever came first; 0 while live or suspended.
/// @param deletableAt When its data may go: `endedAt` and grace; 0 while live or suspended.
/// @param writerEpoch For a volume: counts its writers; only the newest may write.
/// @param ratePerSecond Sum of the rates of its slots, each `ceil(sizeBytes * pricePerGibSecond / 2^30)`.
/// @param spec The bytes given to {place}.
/// @param children For a volume: its mounts in the order placed, live or not, until they are released.
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
    /// @notice An order is live.
    event OrderPlaced(uint64 indexed sequence, uint64 indexed order, address indexed tenant, OrderKind kind);
    /// @notice An order is paid until `paidUntil`.
    event OrderExtended(uint64 indexed sequence, uint64 indexed order, uint64 paidUntil);
    /// @notice A tenant ended an order and got `refund` back.
    event OrderCancelled(uint64 indexed sequence, uint64 indexed order, uint256 refund);
    /// @notice A slot moved from one node to another; to the same one: its node gave notice and let it go.
    event SlotReplaced(uint64 indexed sequence, uint64 indexed order, uint16 slot, uint32 from, uint32 to);
    /// @notice An order that ended is settled, and its capacity was given back to its nodes.
    event OrderReleased(uint64 indexed sequence, uint64 indexed order);

    /// @notice There is no such order.
    error OrderUnknown(uint64 order);
    /// @notice The guardian paused new orders until then; all others go on.
    error OrderPaused(uint64 until);
    /// @notice Policy does not allow this kind of order.
    error OrderKindNotAllowed(OrderKind kind);
    /// @notice This version of the contract cannot read specs of this kind.
    error OrderKindUnknown(OrderKind kind);
    /// @notice `seconds_` is not within what policy allows.
    error OrderDurationOutOfRange(uint256 seconds_, uint256 min, uint256 max);
    /// @notice The order streams from its tenant's balance: deposit to the escrow to make it last longer.
    error OrderStreams(uint64 order);
    /// @notice The number of slots does not fit the spec.
    error OrderSlotCount(uint256 given, uint256 needed);
    /// @notice More slots than policy allows.
    error OrderTooManySlots(uint256 given, uint256 max);
    /// @notice A slot asks for no bytes.
    error OrderSlotEmpty(uint256 slot);
    /// @notice Two slots of one group would stand on `farm`.
    error OrderFarmRepeated(uint32 farm);
    /// @notice The nodes ask more in all than the caller would pay.
    error OrderRateAboveLimit(uint256 ratePerSecond, uint256 maxRatePerSecond);
    /// @notice The parent is not a live volume of the caller, or an order other than a mount names one.
    error OrderParentInvalid(uint64 parent);
    /// @notice Another mount that has not ended has this name on this node.
    error OrderMountExists(uint32 node, string name, uint64 mount);
    /// @notice The volume's list of mounts is full; release ended ones by {settle}.
    error OrderTooManyMounts(uint64 volume, uint256 max);
    /// @notice `caller` is not the tenant.
    error OrderNotTenant(uint64 order, address caller);
    /// @notice The order is `state`, in which this cannot be done.
    error OrderWrongState(uint64 order, OrderState state);
    /// @notice A mount stays on its node: its key is sealed to it.
    error OrderNotReplaceable(uint64 order, OrderKind kind);
    /// @notice The order has no such slot.
    error OrderSlotMissing(uint64 order, uint16 slot);
    /// @notice The slot is on this node already.
    error OrderSlotUnchanged(uint64 order, uint16 slot, uint32 node);
    /// @notice The slot's node has not drained for as long as its notice, `caller` does not speak for it, or it let go
    /// already.
    error OrderNoticeNotGiven(uint64 order, uint16 slot, address caller);
    /// @notice `caller` is neither the tenant nor the node that writes the volume.
    error OrderNotRepairer(uint64 order, address caller);
    /// @notice The slot's node is neither draining nor silent for long enough that its writer may move the slot.
    error OrderNodeNotLost(uint32 node, uint64 silentSince);
    /// @notice The new node asks more than the caller would pay, or, moved by a writer, more than twice what the tenant
    /// last agreed to for this slot.
    error OrderReplacementTooDear(uint256 ratePerSecond, uint256 max);
    /// @notice What the order holds would not pay for its grace at the new price: extend it first.
    error OrderRestTooLow(uint256 rest, uint256 needed);

    /// @notice Places an order, locks capacity and price on its nodes, and its price for `seconds_` in escrow.
    /// @param kind What to run; policy must allow it.
    /// @param parent For a mount, the caller's volume; else 0.
    /// @param spec `abi.encode(StoreSpec | VolumeSpec | MountSpec)`, at most 24,575 bytes.
    /// @param slots Store and mount: one. Volume: k + m data slots, then the metadata slots.
    /// @param seconds_ Time to pay for now; 0 streams from the caller's free balance for as long as that lasts.
    /// @param maxRatePerSecond Refused if the nodes ask more in all: guards against a price changed underway.
    /// @return order Its number, from 1.
    /// @dev Emits {OrderPlaced}. The grace after the end, in which the nodes still keep the bytes, is paid at once,
    /// beside `seconds_` or the stream. The price comes from the caller's free balance in the escrow, the rest from
    /// its wallet (approve the escrow). Placing a read-write mount raises the volume's `writerEpoch`.
    function place(
        OrderKind kind,
        uint64 parent,
        bytes calldata spec,
        SlotRequest[] calldata slots,
        uint64 seconds_,
        uint96 maxRatePerSecond
    ) external returns (uint64 order);

    /// @notice Pays for `seconds_` more of an order that is live or suspended. Anyone may.
    /// @dev Emits {OrderExtended}. Counts from the old end, so time in suspension is paid too. At most MaxSeconds
    /// ahead.
    /// @param seconds_ At least 1.
    function extend(uint64 order, uint64 seconds_) external;

    /// @notice Ends an order now; what its nodes have not earned goes back at once. By its tenant.
    /// @dev Emits {OrderCancelled}. The capacity stays locked, and paid, until the data may be deleted; then {settle}
    /// gives it back.
    function cancel(uint64 order) external;

    /// @notice Moves a slot to another node: by the tenant at any time; by the node that writes the volume (its newest
    /// read-write mount) only if the slot's node is draining or has been silent for longer than LostSeconds.
    /// @param maxRatePerSecond Refused if the node asks more for the slot: guards against a price changed underway.
    /// @dev Emits {SlotReplaced}. The old node is settled and its capacity given back. The price of the new node may
    /// differ: what the order holds is then spread over more or less time, so `paidUntil` moves and nothing is pulled.
    /// An order that costs nothing any more gives back what it holds and keeps its `paidUntil`.
    function replace(uint64 order, uint16 slot, uint32 node, uint96 maxRatePerSecond) external;

    /// @notice Lets a node go that has drained for NoticeSeconds: it is paid until now, earns nothing more, has its
    /// bytes back and keeps nothing. By the node or its farm's owner; the slot waits to be moved.
    /// @dev Emits {SlotReplaced} to the same node. What the order holds is spread over more time, as in {replace}.
    function resign(uint64 order, uint16 slot) external;

    /// @notice Pays the nodes of an order what they earned so far. Anyone may.
    /// @dev Pays up to each node's last heartbeat and refunds seconds in which a node was dead. Once the data of an
    /// ended
    /// order may be deleted, it also gives the capacity back and emits {OrderReleased}.
    function settle(uint64 order) external;

    /// @notice The number of the newest event.
    function sequence() external view returns (uint64);
    /// @notice What audits need of a slot; zeros if there is none.
    function slotOf(uint64 order, uint16 slot) external view returns (SlotFacts memory);
    /// @notice Which volume a mount may write, on which node, and until when it may or might; zeros if none.
    function writerOf(uint64 mount) external view returns (uint64 volume, uint32 node, uint64 until);
    /// @notice The registry that the order book locks capacity in.
    function registry() external view returns (address);
    /// @notice Whose order it is; zero if there is no such order.
    function tenantOf(uint64 order) external view returns (address);
    /// @notice Orders ever placed; the newest has this number.
    function orderCount() external view returns (uint64);
    /// @notice Orders by number, in the order asked; unknown numbers give an entry with state None.
    function get(uint64[] calldata ids) external view returns (OrderView[] memory);
    /// @notice When the money of an order ends, if nothing changes; for an ended one, when it ended. 0 if unknown.
    function paidUntil(uint64 order) external view returns (uint64);
    /// @notice What an order would still hold if it were settled now.
    function held(uint64 order) external view returns (uint256);
}
