// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title What the order book alone may ask of the escrow.
interface IEscrowLedger {
    /// @notice Moves `amount` into what `tenant`'s orders hold: from `payer`'s free balance, the rest pulled from
    /// its wallet. Only the order book.
    function hold(address payer, address tenant, uint256 amount) external;

    /// @notice Moves what `tenant`'s orders held to those who earned it, and the refund to the tenant's free balance.
    /// Only the order book.
    /// @param payees `[n]` may repeat.
    /// @param amounts `[n]` what each earned.
    function pay(address tenant, address[] calldata payees, uint256[] calldata amounts, uint256 refund) external;

    /// @notice Starts paying `rate` more a second from the tenant's balance, and holds what the grace costs at once.
    /// Only the order book.
    /// @param graceSeconds Grace of a new epoch; one that runs keeps its own.
    /// @param minSeconds The balance must last this long.
    /// @return epoch The tenant's epoch. @return grace The grace of the epoch.
    function stream(address tenant, uint256 rate, uint24 graceSeconds, uint64 minSeconds)
        external
        returns (uint32 epoch, uint24 grace);

    /// @notice Changes what an order adds to the stream of an epoch; nothing if that epoch is over. Only the order
    /// book.
    /// @param ofGrace More to hold for its grace, from the free balance alone.
    function restream(address tenant, uint32 epoch, uint256 oldRate, uint256 newRate, uint256 ofGrace) external;

    /// @notice When the orders of an epoch are or were paid until.
    function streamEnd(address tenant, uint32 epoch) external view returns (uint40);
}
