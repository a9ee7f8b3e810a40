// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {
    AgreementView,
    IContractors,
    Milestone,
    MilestoneState,
    MilestoneView
} from "./interfaces/IContractors.sol";
import {OwnedByVotes} from "./libraries/OwnedByVotes.sol";

/// @title Contractors: work agreed with outsiders, paid in milestones from the treasury.
/// @dev Invariants:
/// - the token balance of this contract is at least the sum of all milestones that are Open, Delivered or Accepted;
/// - each milestone pays once: to its contractor or back to the owner;
/// - Open -> Delivered (-> Open when rejected) -> Accepted -> Paid, and Returned from any but Paid; nothing is erased;
/// - only votes agree, only the reviewer or a vote accepts, and only a vote claws back.
contract Contractors is IContractors, OwnedByVotes {
    using SafeERC20 for IERC20;

    struct Agreement {
        address contractor;
        uint64 holdSeconds;
        bool cancelled;
        address reviewer;
        bytes32 terms;
        MilestoneView[] milestones;
    }

    /// @dev A cancellation goes through all of them.
    uint256 private constant MAX_MILESTONES = 64;

    IERC20 private immutable _token;
    Agreement[] private _agreements;

    /// @param token What is paid in.
    /// @param treasury The timelock: owner of this contract and of the money.
    constructor(IERC20 token, address treasury) OwnedByVotes(treasury) {
        _token = token;
    }

    /// @inheritdoc IContractors
    function agree(
        address contractor,
        address reviewer,
        bytes32 terms,
        uint64 holdSeconds,
        Milestone[] calldata milestones
    ) external onlyOwner returns (uint256 agreement) {
        bool valid = contractor != address(0) && milestones.length != 0 && milestones.length <= MAX_MILESTONES;
        require(valid, AgreementInvalid(milestones.length, MAX_MILESTONES));
        Agreement storage made = _agreements.push();
        agreement = _agreements.length;
        made.contractor = contractor;
        made.reviewer = reviewer;
        made.terms = terms;
        made.holdSeconds = holdSeconds;
        uint256 sum = 0;
        for (uint256 i = 0; i < milestones.length; ++i) {
            require(milestones[i].amount != 0, AgreementInvalid(milestones.length, MAX_MILESTONES));
            sum += milestones[i].amount;
            made.milestones.push(
                MilestoneView(milestones[i].amount, milestones[i].dueBy, MilestoneState.Open, 0, 0)
            );
        }
        emit AgreementMade(agreement, contractor, reviewer, terms);
        _token.safeTransferFrom(msg.sender, address(this), sum);
    }

    /// @inheritdoc IContractors
    function deliver(uint256 agreement, uint256 milestone, bytes32 evidence) external {
        MilestoneView storage found = _milestone(agreement, milestone, MilestoneState.Open);
        require(msg.sender == _of(agreement).contractor, AgreementNotParty(agreement, msg.sender));
        require(block.timestamp <= found.dueBy, MilestoneWrongTime(agreement, milestone, found.dueBy));
        found.evidence = evidence;
        _set(agreement, milestone, MilestoneState.Delivered, evidence);
    }

    /// @inheritdoc IContractors
    function accept(uint256 agreement, uint256 milestone) external {
        MilestoneView storage found = _milestone(agreement, milestone, MilestoneState.Delivered);
        _onlyJudge(agreement);
        found.payableAt = SafeCast.toUint64(block.timestamp) + _of(agreement).holdSeconds;
        _set(agreement, milestone, MilestoneState.Accepted, 0);
    }

    /// @inheritdoc IContractors
    function reject(uint256 agreement, uint256 milestone, bytes32 reason) external {
        _milestone(agreement, milestone, MilestoneState.Delivered);
        _onlyJudge(agreement);
        _set(agreement, milestone, MilestoneState.Open, reason);
    }

    /// @inheritdoc IContractors
    function collect(uint256 agreement, uint256 milestone) external {
        MilestoneView storage found = _milestone(agreement, milestone, MilestoneState.Accepted);
        require(block.timestamp >= found.payableAt, MilestoneWrongTime(agreement, milestone, found.payableAt));
        _set(agreement, milestone, MilestoneState.Paid, 0);
        _token.safeTransfer(_of(agreement).contractor, found.amount);
    }

    /// @inheritdoc IContractors
    function clawBack(uint256 agreement, uint256 milestone) external onlyOwner {
        MilestoneView storage found = _milestone(agreement, milestone, MilestoneState.Accepted);
        require(block.timestamp < found.payableAt, MilestoneWrongTime(agreement, milestone, found.payableAt));
        _set(agreement, milestone, MilestoneState.Returned, 0);
        _token.safeTransfer(owner(), found.amount);
    }

    /// @inheritdoc IContractors
    function lapse(uint256 agreement, uint256 milestone) external {
        MilestoneView storage found = _milestone(agreement, milestone, MilestoneState.Open);
        require(block.timestamp > found.dueBy, MilestoneWrongTime(agreement, milestone, found.dueBy));
        _set(agreement, milestone, MilestoneState.Returned, 0);
        _token.safeTransfer(owner(), found.amount);
    }

    /// @inheritdoc IContractors
    function cancel(uint256 agreement) external {
        Agreement storage own = _of(agreement);
        bool party = msg.sender == owner() || msg.sender == own.contractor;
        require(party && !own.cancelled, AgreementNotParty(agreement, msg.sender));
        own.cancelled = true;
        emit AgreementCancelled(agreement, msg.sender);
        uint256 sum = 0;
        for (uint256 i = 0; i < own.milestones.length; ++i) {
            MilestoneState state = own.milestones[i].state;
            if (state != MilestoneState.Open && state != MilestoneState.Delivered) continue;
            sum += own.milestones[i].amount;
            _set(agreement, i, MilestoneState.Returned, 0);
        }
        _token.safeTransfer(owner(), sum);
    }

    /// @inheritdoc IContractors
    function agreementCount() external view returns (uint256) {
        return _agreements.length;
    }

    /// @inheritdoc IContractors
    function agreements(uint256 agreement) external view returns (AgreementView memory) {
        Agreement storage own = _of(agreement);
        return AgreementView(
            own.contractor, own.reviewer, own.terms, own.holdSeconds, own.cancelled, own.milestones
        );
    }

    function _of(uint256 agreement) private view returns (Agreement storage) {
        require(agreement != 0 && agreement <= _agreements.length, MilestoneUnknown(agreement, 0));
        return _agreements[agreement - 1];
    }

    function _milestone(uint256 agreement, uint256 milestone, MilestoneState needed)
        private
        view
        returns (MilestoneView storage found)
    {
        MilestoneView[] storage all = _of(agreement).milestones;
        require(milestone < all.length, MilestoneUnknown(agreement, milestone));
        found = all[milestone];
        require(found.state == needed, MilestoneWrongState(agreement, milestone, found.state));
    }

    function _onlyJudge(uint256 agreement) private view {
        bool judge = msg.sender == owner() || msg.sender == _of(agreement).reviewer;
        require(judge, AgreementNotParty(agreement, msg.sender));
    }

    function _set(uint256 agreement, uint256 milestone, MilestoneState state, bytes32 note) private {
        _of(agreement).milestones[milestone].state = state;
        emit MilestoneChanged(agreement, milestone, state, note);
    }
}
