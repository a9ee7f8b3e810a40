// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IEscrow} from "./interfaces/IEscrow.sol";
import {IEscrowLedger} from "./interfaces/IEscrowLedger.sol";
import {IOrders} from "./interfaces/IOrders.sol";
import {WiredOnce} from "./libraries/WiredOnce.sol";

/// @title Escrow: tenants' balances, what orders hold of them, and what farms earned.
/// @dev Invariants:
/// - deposited = withdrawn + free balances + held by orders, at every block;
/// - the token balance of this contract is at least deposited - withdrawn (more only if someone sent tokens unasked);
/// - what a tenant's orders hold is moved only by the order book, and never to pay for another tenant's orders;
/// - nobody, the timelock included, can move a free balance but its account and the orders that stream from it;
/// - a stream never takes more than the balance: it ends at the last whole second that is covered.
contract Escrow is IEscrow, IEscrowLedger, WiredOnce {
    using SafeERC20 for IERC20;

    /// @dev `free` is as of the stream's `since`. The supply of the token fits in 120 bits.
    struct Account {
        uint120 free;
        uint120 held;
        bool streams;
    }

    /// @dev What streamed up to `since` is in the account's `held`. If the balance ended, `since` is where.
    struct Stream {
        uint96 ratePerSecond;
        uint40 since;
        uint24 graceSeconds;
        uint32 epoch;
    }

    IERC20 private immutable _token;

    uint128 private _deposited;
    uint128 private _withdrawn;
    uint128 private _held;
    mapping(address account => Account) private _accounts;
    mapping(address tenant => Stream) private _streams;
    mapping(address tenant => mapping(uint32 epoch => uint40)) private _endedAt;

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
        _accrue(msg.sender);
        Account storage account = _accounts[msg.sender];
        require(amount != 0, EscrowAmountInvalid(amount));
        require(amount <= account.free, EscrowBalanceTooLow(msg.sender, account.free, amount));
        account.free -= SafeCast.toUint120(amount);
        _withdrawn += SafeCast.toUint128(amount);
        emit Withdrawn(msg.sender, amount);
        _token.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IEscrowLedger
    function hold(address payer, address tenant, uint256 amount) external onlyOrders {
        require(amount <= type(uint120).max, EscrowAmountInvalid(amount));
        _accrue(payer);
        uint120 free = _accounts[payer].free;
        uint120 fromFree = amount < free ? SafeCast.toUint120(amount) : free;
        uint120 pulled = SafeCast.toUint120(amount) - fromFree;

        _accounts[payer].free = free - fromFree;
        _accounts[tenant].held += SafeCast.toUint120(amount);
        _held += SafeCast.toUint120(amount);
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
        // Every amount is part of what is held, which fits in 120 bits: the checked sum and subtraction prove it.
        _accrue(tenant);
        uint256 sum = refund;
        for (uint256 i = 0; i < payees.length; ++i) {
            if (amounts[i] == 0) continue;
            sum += amounts[i];
            _accrue(payees[i]);
            _accounts[payees[i]].free += SafeCast.toUint120(amounts[i]);
            emit Earned(payees[i], tenant, amounts[i]);
        }
        if (refund != 0) _accounts[tenant].free += SafeCast.toUint120(refund);
        uint256 heldByTenant = _accounts[tenant].held;
        _accounts[tenant].held = SafeCast.toUint120(heldByTenant - sum);
        _held -= SafeCast.toUint120(sum);
    }

    /// @inheritdoc IEscrowLedger
    function stream(address tenant, uint256 rate, uint24 graceSeconds, uint64 minSeconds)
        external
        onlyOrders
        returns (uint32, uint24)
    {
        _accrue(tenant);
        Stream storage own = _streams[tenant];
        if (!_accounts[tenant].streams) {
            _accounts[tenant].streams = true;
            own.since = SafeCast.toUint40(block.timestamp);
            own.graceSeconds = graceSeconds;
        }
        require(own.since == block.timestamp, EscrowStreamSuspended(tenant));
        uint256 newRate = own.ratePerSecond + rate;
        uint256 ofGrace = rate * own.graceSeconds;
        uint256 needed = newRate * minSeconds + ofGrace;
        uint256 free = _accounts[tenant].free;
        require(free >= needed, EscrowStreamTooShort(tenant, free, needed));
        _holdFree(tenant, ofGrace);
        _setRate(tenant, own, newRate);
        return (own.epoch, own.graceSeconds);
    }

    /// @inheritdoc IEscrowLedger
    function restream(address tenant, uint32 epoch, uint256 oldRate, uint256 newRate, uint256 ofGrace)
        external
        onlyOrders
    {
        _accrue(tenant);
        if (ofGrace != 0) _holdFree(tenant, ofGrace);
        Stream storage own = _streams[tenant];
        if (own.epoch == epoch) _setRate(tenant, own, own.ratePerSecond - oldRate + newRate);
    }

    /// @inheritdoc IEscrow
    function accrue(address tenant) external {
        _accrue(tenant);
    }

    /// @inheritdoc IEscrowLedger
    function streamEnd(address tenant, uint32 epoch) external view returns (uint40) {
        Stream memory own = _streams[tenant];
        return epoch < own.epoch ? _endedAt[tenant][epoch] : _paidUntil(own, _accounts[tenant].free);
    }

    /// @inheritdoc IEscrow
    function paidUntil(address tenant) external view returns (uint64) {
        return _paidUntil(_streams[tenant], _accounts[tenant].free);
    }

    /// @inheritdoc IEscrow
    function streamOf(address tenant)
        external
        view
        returns (uint256 ratePerSecond, uint32 epoch, uint64 graceSeconds)
    {
        Stream memory own = _streams[tenant];
        return (own.ratePerSecond, own.epoch, own.graceSeconds);
    }

    /// @inheritdoc IEscrow
    function freeBalance(address account) external view returns (uint256) {
        return _accounts[account].free - _streamedSince(account);
    }

    /// @inheritdoc IEscrow
    function heldOf(address tenant) external view returns (uint256) {
        return _accounts[tenant].held + _streamedSince(tenant);
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
        require(amount != 0 && amount <= type(uint120).max, EscrowAmountInvalid(amount));
        _accrue(account);
        _accounts[account].free += SafeCast.toUint120(amount);
        _deposited += SafeCast.toUint120(amount);
        emit Deposited(account, msg.sender, amount);
        _token.safeTransferFrom(msg.sender, address(this), amount);
    }

    // Streams

    /// @dev Moves what streamed since last time from free to held. A balance that ended more than its grace ago ends
    /// the epoch: what comes in afterwards belongs to the next, so an ended order can never come back.
    function _accrue(address tenant) private {
        Account storage account = _accounts[tenant];
        if (!account.streams) return;
        Stream storage own = _streams[tenant];
        uint40 end = _paidUntil(own, account.free);
        uint40 to = SafeCast.toUint40(Math.min(block.timestamp, end));
        uint120 streamed = SafeCast.toUint120(uint256(own.ratePerSecond) * (to - own.since));
        account.free -= streamed;
        account.held += streamed;
        _held += streamed;
        own.since = to;
        if (block.timestamp < uint256(end) + own.graceSeconds) return;
        _endedAt[tenant][own.epoch] = end;
        emit StreamEnded(tenant, own.epoch, end);
        account.streams = false;
        own.ratePerSecond = 0;
        ++own.epoch;
    }

    /// @dev Never from the wallet: who moves a slot need not be the tenant.
    function _holdFree(address tenant, uint256 amount) private {
        Account storage account = _accounts[tenant];
        require(amount <= account.free, EscrowBalanceTooLow(tenant, account.free, amount));
        uint120 moved = SafeCast.toUint120(amount);
        account.free -= moved;
        account.held += moved;
        _held += moved;
    }

    function _setRate(address tenant, Stream storage own, uint256 rate) private {
        own.ratePerSecond = SafeCast.toUint96(rate);
        emit StreamChanged(tenant, own.epoch, rate, _paidUntil(own, _accounts[tenant].free));
    }

    function _streamedSince(address tenant) private view returns (uint256) {
        Account memory account = _accounts[tenant];
        if (!account.streams) return 0;
        Stream memory own = _streams[tenant];
        return uint256(own.ratePerSecond) * (Math.min(block.timestamp, _paidUntil(own, account.free)) - own.since);
    }

    /// @dev The last whole second that the balance covers; the end of time if nothing is paid.
    function _paidUntil(Stream memory own, uint256 free) private pure returns (uint40) {
        if (own.ratePerSecond == 0) return type(uint40).max;
        return SafeCast.toUint40(Math.min(own.since + free / own.ratePerSecond, type(uint40).max));
    }
}
