// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Escrow: tenants' balances, what orders hold of them, and what farms earned.
/// @dev Conservation, at every block: deposited = withdrawn + free balances + held by orders + earnings not yet collected.
interface IEscrow {
    event Deposited(address indexed account, address indexed by, uint256 amount);
    event Withdrawn(address indexed account, uint256 amount);

    /// @notice Adds to an account's free balance; pulls the token from the caller.
    function deposit(address account, uint256 amount) external;
    /// @notice The same with an EIP-2612 permit in one transaction.
    function depositWithPermit(address account, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external;
    /// @notice Takes from the caller's free balance, which earnings are credited to as well.
    function withdraw(uint256 amount) external;

    function freeBalance(address account) external view returns (uint256);
    /// @notice What an order still holds if settled now.
    function held(uint64 order) external view returns (uint256);
    function totals() external view returns (uint256 deposited, uint256 withdrawn, uint256 free, uint256 heldByOrders);
}
