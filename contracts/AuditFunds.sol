// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {IAuditLedger} from "./interfaces/IAuditLedger.sol";
import {IAudits} from "./interfaces/IAudits.sol";
import {Auditee, INodeLedger} from "./interfaces/INodeLedger.sol";
import {IOrders} from "./interfaces/IOrders.sol";
import {IPolicy} from "./interfaces/IPolicy.sol";
import {WiredOnce} from "./libraries/WiredOnce.sol";

/// @title AuditFunds: what the audits hold: bonds, shares of slashes, and a repair pool for each faulty node.
/// @dev Invariants:
/// - `owed` is the sum of all credits, of the bonds of disputes that are open or not collected, and of all pools;
/// - the token balance of this contract is at least `owed` (more only if someone sent tokens unasked);
/// - a slash is divided without rest between its reporter and the pool; a pool pays only whoever takes over slots of
/// the node on another farm, and what is left goes to the treasury.
abstract contract AuditFunds is IAudits, IAuditLedger, WiredOnce {
    using SafeERC20 for IERC20;

    /// @dev `bytesLeft` of the slots that the node held when it was slashed are still to be taken over.
    struct Pool {
        uint128 amount;
        uint64 bytesLeft;
        uint40 until;
    }

    /// @dev Time to refill, and the most that a refill earns in prices of the slot: more than it costs to take over,
    /// less than what would make it worth while to be slashed and refill oneself.
    uint256 private constant POOL_SECONDS = 30 days;
    uint256 private constant BASIS_POINTS = 10_000;

    IERC20 private immutable _token;
    IPolicy internal immutable _policy;

    /// @inheritdoc IAudits
    uint256 public owed;
    INodeLedger internal _nodes;
    mapping(address account => uint256) private _credits;
    mapping(uint32 node => Pool) private _pools;

    /// @param token What bonds and stakes are held in.
    /// @param policy Terms of audits; its owner is the treasury.
    constructor(IERC20 token, IPolicy policy) {
        _token = token;
        _policy = policy;
    }

    /// @inheritdoc IAudits
    function withdrawCredit() external {
        uint256 amount = _credits[msg.sender];
        require(amount != 0, AuditNoCredit(msg.sender));
        _credits[msg.sender] = 0;
        emit CreditWithdrawn(msg.sender, amount);
        _send(msg.sender, amount);
    }

    /// @inheritdoc IAudits
    function sweep(uint32 node) external {
        Pool memory pool = _pools[node];
        require(pool.amount != 0 && block.timestamp >= pool.until, AuditPoolOpen(node, pool.until));
        delete _pools[node];
        emit PoolSwept(node, pool.amount);
        _send(Ownable(address(_policy)).owner(), pool.amount);
    }

    /// @inheritdoc IAuditLedger
    function refilled(uint32 from, uint32 to, uint64 sizeBytes, uint64 ratePerSecond) external {
        require(msg.sender == orders(), AuditOnlyOrders(msg.sender));
        Pool storage pool = _pools[from];
        uint256 left = pool.bytesLeft;
        if (left == 0) return;
        Auditee memory taker = _nodes.auditee(to);
        if (taker.farm == _nodes.auditee(from).farm) return;

        uint256 refilledBytes = Math.min(sizeBytes, left);
        uint256 share = Math.mulDiv(pool.amount, refilledBytes, left);
        uint256 reward = Math.min(share, uint256(ratePerSecond) * POOL_SECONDS);
        pool.amount -= uint128(reward);
        pool.bytesLeft = uint64(left - refilledBytes);
        _credits[taker.owner] += reward;
        emit SlotRefilled(from, to, taker.owner, reward);
    }

    /// @inheritdoc IAudits
    function creditOf(address account) external view returns (uint256) {
        return _credits[account];
    }

    /// @inheritdoc IAudits
    function poolOf(uint32 node) external view returns (uint256 amount, uint64 bytesLeft, uint64 until) {
        Pool memory pool = _pools[node];
        return (pool.amount, pool.bytesLeft, pool.until);
    }

    function _whenWired(address orders_) internal override {
        _nodes = INodeLedger(IOrders(orders_).registry());
    }

    /// @dev Takes from the stake, and divides what was taken.
    function _slash(uint32 node, uint256 usedBytes, uint256 basisPoints, uint256 shareBasisPoints, address reporter)
        internal
        returns (uint256 taken)
    {
        taken = _nodes.slash(node, basisPoints);
        uint256 share = taken * shareBasisPoints / BASIS_POINTS;
        owed += taken;
        _credits[reporter] += share;
        Pool storage pool = _pools[node];
        pool.amount += uint128(taken - share);
        pool.bytesLeft = uint64(usedBytes);
        pool.until = uint40(block.timestamp + POOL_SECONDS);
    }

    function _takeBond(uint256 amount) internal {
        owed += amount;
        if (amount != 0) _token.safeTransferFrom(msg.sender, address(this), amount);
    }

    function _creditBond(address account, uint256 amount) internal {
        _credits[account] += amount;
    }

    function _send(address to, uint256 amount) private {
        owed -= amount;
        _token.safeTransfer(to, amount);
    }
}
