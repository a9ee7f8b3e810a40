// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Governor} from "@openzeppelin/contracts/governance/Governor.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {GovernorCountingSimple} from "@openzeppelin/contracts/governance/extensions/GovernorCountingSimple.sol";
import {GovernorSettings} from "@openzeppelin/contracts/governance/extensions/GovernorSettings.sol";
import {GovernorTimelockControl} from "@openzeppelin/contracts/governance/extensions/GovernorTimelockControl.sol";
import {GovernorVotes} from "@openzeppelin/contracts/governance/extensions/GovernorVotes.sol";
import {
    GovernorVotesQuorumFraction
} from "@openzeppelin/contracts/governance/extensions/GovernorVotesQuorumFraction.sol";
import {IVotes} from "@openzeppelin/contracts/governance/utils/IVotes.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {ICapacityVotes} from "./interfaces/ICapacityVotes.sol";

/// @notice How proposals pass; fixed at deployment, changed later only by a proposal.
/// @param votingDelaySeconds From proposal to the snapshot of votes and their start.
/// @param votingPeriodSeconds How long votes are taken.
/// @param proposalThreshold Votes needed to propose.
/// @param quorumPercent Share of the supply that must vote for or abstain, in percent.
struct GovernorParameters {
    uint48 votingDelaySeconds;
    uint32 votingPeriodSeconds;
    uint256 proposalThreshold;
    uint256 quorumPercent;
}

/// @title GridGovernor: owners of the token propose and vote; what passes goes through the timelock.
/// @dev The OpenZeppelin Governor, so that every front end for it works, with one addition: farms also vote with what
/// they prove to keep, in {getVotes} and in the quorum. Invariants: only the governor proposes to the timelock; a
/// proposal executes only after it succeeded and its delay passed; votes and quorum are those of the proposal's
/// snapshot.
contract GridGovernor is
    Governor,
    GovernorSettings,
    GovernorCountingSimple,
    GovernorVotes,
    GovernorVotesQuorumFraction,
    GovernorTimelockControl
{
    ICapacityVotes private immutable _capacity;

    /// @param token Whose delegated units are votes.
    /// @param timelock Who executes; it must have made this contract a proposer.
    /// @param capacity Votes of farms, on the token's clock.
    /// @param parameters How proposals pass.
    constructor(
        IVotes token,
        TimelockController timelock,
        ICapacityVotes capacity,
        GovernorParameters memory parameters
    )
        Governor("GridGovernor")
        GovernorSettings(
            parameters.votingDelaySeconds, parameters.votingPeriodSeconds, parameters.proposalThreshold
        )
        GovernorVotes(token)
        GovernorVotesQuorumFraction(parameters.quorumPercent)
        GovernorTimelockControl(timelock)
    {
        _capacity = capacity;
    }

    /// @notice Votes needed for or abstaining: the same share of the votes of tokens and of farms at `timepoint`.
    function quorum(uint256 timepoint) public view override(Governor, GovernorVotesQuorumFraction) returns (uint256) {
        uint256 ofFarms = _capacity.getPastTotalSupply(timepoint);
        return super.quorum(timepoint) + Math.mulDiv(ofFarms, quorumNumerator(timepoint), quorumDenominator());
    }

    // What two parents define must be said again here; none of it adds behaviour.

    /// @inheritdoc GovernorTimelockControl
    function state(uint256 proposalId)
        public
        view
        override(Governor, GovernorTimelockControl)
        returns (ProposalState)
    {
        return super.state(proposalId);
    }

    /// @inheritdoc GovernorTimelockControl
    function proposalNeedsQueuing(uint256 proposalId)
        public
        view
        override(Governor, GovernorTimelockControl)
        returns (bool)
    {
        return super.proposalNeedsQueuing(proposalId);
    }

    /// @inheritdoc GovernorSettings
    function proposalThreshold() public view override(Governor, GovernorSettings) returns (uint256) {
        return super.proposalThreshold();
    }

    function _getVotes(address account, uint256 timepoint, bytes memory params)
        internal
        view
        override(Governor, GovernorVotes)
        returns (uint256)
    {
        return super._getVotes(account, timepoint, params) + _capacity.getPastVotes(account, timepoint);
    }

    function _queueOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint48) {
        return super._queueOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _executeOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) {
        super._executeOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _cancel(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint256) {
        return super._cancel(targets, values, calldatas, descriptionHash);
    }

    function _executor() internal view override(Governor, GovernorTimelockControl) returns (address) {
        return super._executor();
    }
}
