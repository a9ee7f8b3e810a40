// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Where everything is.
/// @param deployedAtBlock No event of the grid is in an older block.
struct Contracts {
    address token;
    address governor;
    address timelock;
    address policy;
    address nodes;
    address orders;
    address escrow;
    uint64 deployedAtBlock;
}

/// @notice Where the rest is, which agents need not know.
struct FurtherContracts {
    address rules;
    address desk;
    address contractors;
    address audits;
    address votes;
}

/// @title The one address that leads to all others.
interface IGrid {
    /// @notice One of the addresses given at deployment has no code.
    error GridNoCode(address where);

    /// @notice All contracts of the grid. Never changes: a grid with other contracts is another grid.
    function contracts() external view returns (Contracts memory);
    /// @notice The contracts that only clients and the DAO use. Never changes.
    function furtherContracts() external view returns (FurtherContracts memory);
}
