// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Where everything is.
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

/// @title The one address that leads to all others.
interface IGrid {
    function contracts() external view returns (Contracts memory);
}
