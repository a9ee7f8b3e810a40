// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {NoncesKeyed} from "@openzeppelin/contracts/utils/NoncesKeyed.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {IOrderDesk, OrderRequest, Right} from "./interfaces/IOrderDesk.sol";
import {IOrders} from "./interfaces/IOrders.sol";
import {WiredOnce} from "./libraries/WiredOnce.sol";

/// @title OrderDesk: takes orders that others bring, signed by the tenant or made by keys that it trusts.
/// @dev Invariants:
/// - the order book is told a tenant only if the tenant signed, or a key to which it gave a right that covers the act;
/// - a signature counts once, and not after its deadline;
/// - a key that may only extend can spend the tenant's money on nothing but longer life of the tenant's own orders.
/// The order book reads the tenant from the last 20 bytes of the calldata when the desk calls, as in ERC-2771.
contract OrderDesk is IOrderDesk, WiredOnce, EIP712, NoncesKeyed {
    struct Grant {
        Right right;
        uint64 until;
    }

    bytes32 private constant REQUEST_TYPE =
        keccak256("OrderRequest(address tenant,address signer,bytes call,uint256 nonce,uint256 deadline)");

    mapping(address tenant => mapping(address key => Grant)) private _grants;

    constructor() EIP712("Varve OrderDesk", "1") {}

    /// @inheritdoc IOrderDesk
    function allow(address key, Right right, uint64 until) external {
        _grants[msg.sender][key] = Grant(right, until);
        emit RightChanged(msg.sender, key, right, until);
    }

    /// @inheritdoc IOrderDesk
    function actFor(address tenant, bytes calldata call) external returns (bytes memory) {
        return _act(tenant, msg.sender, call);
    }

    /// @inheritdoc IOrderDesk
    function submit(OrderRequest calldata request, bytes calldata signature) external returns (bytes memory) {
        require(block.timestamp <= request.deadline, DeskRequestLate(request.deadline));
        bytes32 hash = _hashTypedDataV4(
            keccak256(
                abi.encode(
                    REQUEST_TYPE,
                    request.tenant,
                    request.signer,
                    keccak256(request.call),
                    request.nonce,
                    request.deadline
                )
            )
        );
        require(
            SignatureChecker.isValidSignatureNow(request.signer, hash, signature),
            DeskSignatureInvalid(request.signer)
        );
        _useCheckedNonce(request.signer, request.nonce);
        return _act(request.tenant, request.signer, request.call);
    }

    /// @inheritdoc IOrderDesk
    function skip(uint192 key) external {
        _useNonce(msg.sender, key);
    }

    /// @inheritdoc IOrderDesk
    function rightOf(address tenant, address key) public view returns (Right right, uint64 until) {
        Grant memory grant = _grants[tenant][key];
        return block.timestamp <= grant.until ? (grant.right, grant.until) : (Right.None, grant.until);
    }

    function _act(address tenant, address by, bytes calldata call) private returns (bytes memory) {
        bytes4 act = bytes4(call);
        bool known = act == IOrders.place.selector || act == IOrders.extend.selector
            || act == IOrders.cancel.selector || act == IOrders.replace.selector;
        require(known, DeskActUnknown(act));
        if (by != tenant) {
            (Right right,) = rightOf(tenant, by);
            bool extends = right == Right.Extend && act == IOrders.extend.selector;
            require(right == Right.Manage || extends, DeskNoRight(tenant, by, act));
            if (extends) {
                uint64 order = abi.decode(call[4:], (uint64));
                require(IOrders(orders()).tenantOf(order) == tenant, DeskForeignOrder(tenant, order));
            }
        }
        return Address.functionCall(orders(), abi.encodePacked(call, tenant));
    }
}
