// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Escrow: tenants' balances, what orders hold of them, and what farms earned.
/// @dev Conservation, at every block: deposited = withdrawn + free balances + held by orders. Earnings are credited to
/// the free balance of the farm's owner when an order is settled; until then they are part of what the order holds.
interface IEscrow {
    /// @notice `account` has `amount` more, paid by `by`.
    event Deposited(address indexed account, address indexed by, uint256 amount);
    /// @notice `account` took `amount` out.
    event Withdrawn(address indexed account, uint256 amount);
    /// @notice `amount` of `payee`'s free balance are earnings of an order of `tenant`.
    event Earned(address indexed payee, address indexed tenant, uint256 amount);

    /// @notice The amount is zero or more than 128 bits hold.
    error EscrowAmountInvalid(uint256 amount);
    /// @notice The account has less free than asked.
    error EscrowBalanceTooLow(address account, uint256 free, uint256 asked);
    /// @notice Only the order book may call this.
    error EscrowOnlyOrders(address caller);
    /// @notice The address zero cannot hold a balance.
    error EscrowAccountZero();

    /// @notice Adds to an account's free balance; pulls the token from the caller.
    /// @param account Whose balance.
    /// @param amount In smallest units; the caller approved this contract for it.
    function deposit(address account, uint256 amount) external;
    /// @notice The same with an EIP-2612 permit in one transaction.
    function depositWithPermit(address account, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s) external;
    /// @notice Takes from the caller's free balance, which earnings are credited to as well.
    function withdraw(uint256 amount) external;

    /// @notice What an account could withdraw or spend on orders now.
    function freeBalance(address account) external view returns (uint256);
    /// @notice What all orders of a tenant hold together.
    function heldOf(address tenant) external view returns (uint256);
    /// @notice What an order still holds if settled now.
    function held(uint64 order) external view returns (uint256);
    /// @notice Sums over all accounts; `deposited == withdrawn + free + heldByOrders`.
    function totals() external view returns (uint256 deposited, uint256 withdrawn, uint256 free, uint256 heldByOrders);
}
