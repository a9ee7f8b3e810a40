// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IAuditLedger} from "./interfaces/IAuditLedger.sol";
import {IAudits} from "./interfaces/IAudits.sol";
import {INodeLedger} from "./interfaces/INodeLedger.sol";
import {IOrders} from "./interfaces/IOrders.sol";
import {IPolicy} from "./interfaces/IPolicy.sol";
import {WiredOnce} from "./libraries/WiredOnce.sol";

/// @title AuditFunds: what the audits hold: bonds, shares of slashes, and what the treasury gets of them.
/// @dev Invariants:
/// - `owed` is the sum of all credits, of the bonds of disputes that are open or not collected, and of what is the
///   treasury's;
/// - the token balance of this contract is at least `owed` (more only if someone sent tokens unasked);
/// - a slash is divided without rest between its reporter and the treasury: the reporter may be the farm's owner under
///   another name, so nobody else whom the owner could be gets any of it.
abstract contract AuditFunds is IAudits, IAuditLedger, WiredOnce {
    using SafeERC20 for IERC20;

    uint256 private constant BASIS_POINTS = 10_000;

    IERC20 private immutable _token;
    IPolicy internal immutable _policy;

    /// @inheritdoc IAudits
    uint256 public owed;
    INodeLedger internal _nodes;
    mapping(address account => uint256) private _credits;
    /// @inheritdoc IAudits
    uint256 public treasuryShare;

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
    function sweep() external {
        uint256 amount = treasuryShare;
        require(amount != 0, AuditNoCredit(Ownable(address(_policy)).owner()));
        treasuryShare = 0;
        emit TreasuryPaid(amount);
        _send(Ownable(address(_policy)).owner(), amount);
    }

    /// @inheritdoc IAudits
    function creditOf(address account) external view returns (uint256) {
        return _credits[account];
    }

    function _whenWired(address orders_) internal override {
        _nodes = INodeLedger(IOrders(orders_).registry());
    }

    /// @dev Takes from the stake, and divides what was taken.
    function _slash(uint32 node, uint256 basisPoints, uint256 shareBasisPoints, address reporter)
        internal
        returns (uint256 taken)
    {
        taken = _nodes.slash(node, basisPoints);
        uint256 share = taken * shareBasisPoints / BASIS_POINTS;
        owed += taken;
        _credits[reporter] += share;
        treasuryShare += taken - share;
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
