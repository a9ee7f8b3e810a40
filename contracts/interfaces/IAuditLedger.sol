// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title What the registry and the order book ask of the audits.
interface IAuditLedger {
    /// @notice Seconds before this time are judged: no miss of them can be marked any more. The end of time while
    /// audits are off.
    function judgedUntil() external view returns (uint64);

    /// @notice A slot moved: pays the new node's farm from the old one's repair pool. Only the order book.
    /// @param sizeBytes Of the slot. @param ratePerSecond Its new price.
    function refilled(uint32 from, uint32 to, uint64 sizeBytes, uint64 ratePerSecond) external;
}
