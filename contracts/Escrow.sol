// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IEscrow} from "./interfaces/IEscrow.sol";
import {IEscrowLedger} from "./interfaces/IEscrowLedger.sol";
import {IOrders} from "./interfaces/IOrders.sol";
import {WiredOnce} from "./libraries/WiredOnce.sol";

/// @title Escrow: tenants' balances, what orders hold of them, and what farms earned.
/// @dev Invariants:
/// - deposited = withdrawn + free balances + held by orders, at every block;
/// - the token balance of this contract is at least deposited - withdrawn (more only if someone sent tokens unasked);
/// - what a tenant's orders hold is moved only by the order book, and never to pay for another tenant's orders;
/// - nobody, the timelock included, can move a free balance but its account.
contract Escrow is IEscrow, IEscrowLedger, WiredOnce {
    using SafeERC20 for IERC20;

    struct Account {
        uint128 free;
        uint128 held;
    }

    IERC20 private immutable _token;

    uint128 private _deposited;
    uint128 private _withdrawn;
    uint128 private _held;
    mapping(address account => Account) private _accounts;

    /// @param token What is paid with; it must move exactly what it is told to.
    constructor(IERC20 token) {
        _token = token;
    }

    modifier onlyOrders() {
        require(msg.sender == orders(), EscrowOnlyOrders(msg.sender));
        _;
    }

    /// @inheritdoc IEscrow
    function deposit(address account, uint256 amount) external {
        _deposit(account, amount);
    }

    /// @inheritdoc IEscrow
    function depositWithPermit(address account, uint256 amount, uint256 deadline, uint8 v, bytes32 r, bytes32 s)
        external
    {
        // A permit that someone else already submitted must not stop the deposit: only the allowance counts.
        try IERC20Permit(address(_token)).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        _deposit(account, amount);
    }

    /// @inheritdoc IEscrow
    function withdraw(uint256 amount) external {
        Account storage account = _accounts[msg.sender];
        require(amount != 0, EscrowAmountInvalid(amount));
        require(amount <= account.free, EscrowBalanceTooLow(msg.sender, account.free, amount));
        account.free -= uint128(amount);
        _withdrawn += uint128(amount);
        emit Withdrawn(msg.sender, amount);
        _token.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IEscrowLedger
    function hold(address payer, address tenant, uint256 amount) external onlyOrders {
        require(amount <= type(uint128).max, EscrowAmountInvalid(amount));
        uint128 free = _accounts[payer].free;
        uint128 fromFree = amount < free ? uint128(amount) : free;
        uint128 pulled = uint128(amount) - fromFree;

        _accounts[payer].free = free - fromFree;
        _accounts[tenant].held += uint128(amount);
        _held += uint128(amount);
        if (pulled != 0) {
            _deposited += pulled;
            emit Deposited(payer, payer, pulled);
            _token.safeTransferFrom(payer, address(this), pulled);
        }
    }

    /// @inheritdoc IEscrowLedger
    function pay(address tenant, address[] calldata payees, uint256[] calldata amounts, uint256 refund)
        external
        onlyOrders
    {
        // Every amount is part of what is held, which fits in 128 bits: the checked sum and subtraction prove it.
        uint256 sum = refund;
        for (uint256 i = 0; i < payees.length; ++i) {
            if (amounts[i] == 0) continue;
            sum += amounts[i];
            _accounts[payees[i]].free += uint128(amounts[i]);
            emit Earned(payees[i], tenant, amounts[i]);
        }
        if (refund != 0) _accounts[tenant].free += uint128(refund);
        uint256 heldByTenant = _accounts[tenant].held;
        _accounts[tenant].held = uint128(heldByTenant - sum);
        _held -= uint128(sum);
    }

    /// @inheritdoc IEscrow
    function freeBalance(address account) external view returns (uint256) {
        return _accounts[account].free;
    }

    /// @inheritdoc IEscrow
    function heldOf(address tenant) external view returns (uint256) {
        return _accounts[tenant].held;
    }

    /// @inheritdoc IEscrow
    function held(uint64 order) external view returns (uint256) {
        return IOrders(orders()).held(order);
    }

    /// @inheritdoc IEscrow
    function totals()
        external
        view
        returns (uint256 deposited, uint256 withdrawn, uint256 free, uint256 heldByOrders)
    {
        return (_deposited, _withdrawn, _deposited - _withdrawn - _held, _held);
    }

    function _deposit(address account, uint256 amount) private {
        require(account != address(0), EscrowAccountZero());
        require(amount != 0 && amount <= type(uint128).max, EscrowAmountInvalid(amount));
        _accounts[account].free += uint128(amount);
        _deposited += uint128(amount);
        emit Deposited(account, msg.sender, amount);
        _token.safeTransferFrom(msg.sender, address(this), amount);
    }
}
