// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {SlotRequest} from "./IOrders.sol";
import {NodeState} from "./INodes.sol";

/// @notice A time span of a slot whose pay is asked for.
/// @param from First second not yet settled.
/// @param to End of what may be settled, at most now.
struct Span {
    uint32 node;
    uint64 from;
    uint64 to;
}

/// @notice What is known of a span.
/// @param until From `from` to here everything is decided; the rest waits for the next heartbeat.
/// @param aliveSeconds Seconds of it in which the node lived.
/// @param payee Who is paid: the owner of the node's farm.
struct Earned {
    uint64 until;
    uint64 aliveSeconds;
    address payee;
}

/// @notice What `locked` says of a slot.
/// @param ratePerSecond Price of the slot, locked for its life.
struct Locked {
    uint64 ratePerSecond;
    uint32 farm;
}

/// @notice What audits need to know of a node.
/// @param owner Of its farm.
/// @param usedBytes Locked by its slots, each in whole units.
/// @param usedSince When it last went from no slot to one, or from one to none; 0 if it never had any.
struct Auditee {
    address account;
    address owner;
    uint32 farm;
    NodeState state;
    uint64 usedBytes;
    uint64 usedSince;
    uint64 maintenanceFrom;
    uint64 maintenanceUntil;
}

/// @title What the order book and the audits may ask of the registry.
interface INodeLedger {
    /// @notice Locks bytes on each node and says what they cost. Only the order book.
    /// @param slots Nodes that must be active, alive, roomy, and not dearer than policy allows now.
    /// @param maxPricePerGibSecond The cap of policy.
    /// @param lateSeconds Silence after which a node is not alive.
    function lock(SlotRequest[] calldata slots, uint64 maxPricePerGibSecond, uint64 lateSeconds)
        external
        returns (Locked[] memory);

    /// @notice Gives locked bytes back. Only the order book.
    function unlock(SlotRequest[] calldata slots) external;

    /// @notice How much of each span is decided and alive.
    /// @param isFinal True decides all of it: a node that is not late is taken to have lived until now.
    function earned(Span[] calldata spans, uint64 lateSeconds, bool isFinal) external view returns (Earned[] memory);

    /// @notice State of a node, and since when it is silent without excuse: its last heartbeat, or the end of an
    /// announced
    /// maintenance into which it went alive.
    function pulse(uint32 node) external view returns (NodeState state, uint64 silentSince);

    /// @notice True if `caller` is the node or its farm's owner, and the node has drained for NoticeSeconds.
    function mayResign(uint32 node, address caller) external view returns (bool);

    /// @notice Last heartbeats of nodes, in the order asked.
    function lastHeartbeats(uint32[] calldata nodes) external view returns (uint64[] memory);

    /// @notice Takes a share of a node's stake and sends it to the caller. Only the audits.
    /// @param basisPoints Hundredths of a percent of the stake, at most 10,000.
    /// @return taken Token units.
    function slash(uint32 node, uint256 basisPoints) external returns (uint256 taken);

    /// @notice Counts a node's seconds from `from` to `until` as dead: it missed its audit. Only the audits.
    /// @return done False if it is not yet known whether the node lived through all of it: ask again.
    function recordMiss(uint32 node, uint64 from, uint64 until) external returns (bool done);

    /// @notice A node, as audits see it.
    function auditee(uint32 node) external view returns (Auditee memory);
}
