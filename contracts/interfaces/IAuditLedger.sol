// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title What the registry and the order book ask of the audits.
interface IAuditLedger {
    /// @notice Seconds before this time are judged: no miss of them can be marked any more. The end of time while
    /// audits are off.
    function judgedUntil() external view returns (uint64);

    /// @notice True if nothing that a node did until `since` can be held against it any more: its epochs are judged and
    /// no dispute about it is open, nor was in the last day.
    function isQuit(uint32 node, uint64 since) external view returns (bool);
}
