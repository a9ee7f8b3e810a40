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
}
