// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Escrow: tenants' balances, what orders hold of them, and what farms earned.
/// @dev Conservation, at every block: deposited = withdrawn + free balances + held by orders. Earnings are credited to
/// the free balance of the farm's owner when an order is settled; until then they are part of what the order holds.
///
/// Streaming: orders placed without a time are paid by the second from the tenant's free balance, which they share.
/// They all last until `paidUntil(tenant)`; a deposit moves that time, also during the grace after it. Each run of
/// streaming, from the first such order to the end of the balance, is an epoch.
interface IEscrow {
    /// @notice `account` has `amount` more, paid by `by`.
    event Deposited(address indexed account, address indexed by, uint256 amount);
    /// @notice `account` took `amount` out.
    event Withdrawn(address indexed account, uint256 amount);
    /// @notice `amount` of `payee`'s free balance are earnings of an order of `tenant`.
    event Earned(address indexed payee, address indexed tenant, uint256 amount);

    /// @notice What streams from a tenant's balance changed; `paidUntil` is when it would be used up.
    event StreamChanged(address indexed tenant, uint32 indexed epoch, uint256 ratePerSecond, uint64 paidUntil);
    /// @notice A tenant's balance was used up and not refilled within the grace: its streaming orders ended at
    /// `endedAt`.
    event StreamEnded(address indexed tenant, uint32 indexed epoch, uint64 endedAt);

    /// @notice The balance does not cover the streaming orders for the shortest time that policy allows.
    error EscrowStreamTooShort(address tenant, uint256 free, uint256 needed);
    /// @notice The balance is used up: refill it before streaming more.
    error EscrowStreamSuspended(address tenant);
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
    function depositWithPermit(address account, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external;
    /// @notice Takes from the caller's free balance, which earnings are credited to as well.
    function withdraw(uint256 amount) external;

    /// @notice What an account could withdraw or spend on orders now.
    function freeBalance(address account) external view returns (uint256);
    /// @notice When a tenant's balance will be used up by its streaming orders, or was; the end of time if nothing
    /// streams.
    function paidUntil(address tenant) external view returns (uint64);
    /// @notice What streams from a tenant's balance each second, and in which epoch.
    function streamOf(address tenant) external view returns (uint256 ratePerSecond, uint32 epoch, uint64 graceSeconds);
    /// @notice Moves what streamed so far from a tenant's free balance to what its orders hold. Anyone may; nothing
    /// depends on it.
    function accrue(address tenant) external;
    /// @notice What all orders of a tenant hold together.
    function heldOf(address tenant) external view returns (uint256);
    /// @notice What an order still holds if settled now.
    function held(uint64 order) external view returns (uint256);
    /// @notice Sums over all accounts; `deposited == withdrawn + free + heldByOrders`.
    function totals() external view returns (uint256 deposited, uint256 withdrawn, uint256 free, uint256 heldByOrders);
}
