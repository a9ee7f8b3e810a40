// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice What a tenant lets another key do with its orders.
enum Right {
    None,
    Extend,
    Manage
}

/// @notice An act on the order book, signed by the tenant or by a key that it lets act (EIP-712).
/// @param tenant Whose act it is, and whose money.
/// @param signer The tenant, or a key with a right that covers the act.
/// @param call Calldata of `place`, `extend`, `cancel` or `replace` of the order book.
/// @param nonce 192 bits of a key of the signer's choice, then 64 bits that count up for that key: requests of
/// different keys do not wait for each other.
/// @param deadline Last second at which it may be submitted.
struct OrderRequest {
    address tenant;
    address signer;
    bytes call;
    uint256 nonce;
    uint256 deadline;
}

/// @title The order desk: takes orders that others bring, signed by the tenant or made by keys that it trusts.
interface IOrderDesk {
    /// @notice `key` may act for `tenant` as `right` says, until `until`.
    event RightChanged(address indexed tenant, address indexed key, Right right, uint64 until);

    /// @notice `key` has no right to this act of `tenant`, or it ended.
    error DeskNoRight(address tenant, address key, bytes4 act);
    /// @notice The desk does not pass on calls of this function.
    error DeskActUnknown(bytes4 act);
    /// @notice A key that may only extend can do so only for orders of its tenant.
    error DeskForeignOrder(address tenant, uint64 order);
    /// @notice The request is past its deadline.
    error DeskRequestLate(uint256 deadline);
    /// @notice The signature is not the signer's.
    error DeskSignatureInvalid(address signer);

    /// @notice Lets a key act for the caller; `Right.None` takes it back.
    function allow(address key, Right right, uint64 until) external;

    /// @notice Acts for a tenant that allowed the caller to.
    /// @param call Calldata of `place`, `extend`, `cancel` or `replace` of the order book.
    /// @return result What the order book returned.
    function actFor(address tenant, bytes calldata call) external returns (bytes memory result);

    /// @notice Submits a signed request. Anyone may; the tenant's money pays the order, the submitter the gas.
    /// @param signature Of the signer, over the request as EIP-712 typed data; contracts sign by ERC-1271.
    function submit(OrderRequest calldata request, bytes calldata signature) external returns (bytes memory result);

    /// @notice Uses up the caller's next nonce of a key, so that a request signed with it is void.
    function skip(uint192 key) external;

    /// @notice What a key may do for a tenant now.
    function rightOf(address tenant, address key) external view returns (Right right, uint64 until);
}
