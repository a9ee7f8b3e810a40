// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {IAudits} from "./interfaces/IAudits.sol";
import {ICapacityVotes} from "./interfaces/ICapacityVotes.sol";
import {Auditee, INodeLedger} from "./interfaces/INodeLedger.sol";
import {INodes} from "./interfaces/INodes.sol";
import {IPolicy, Parameter} from "./interfaces/IPolicy.sol";

/// @title CapacityVotes: votes of farms for the bytes they prove to keep.
/// @dev Invariants:
/// - the sum of all weights is the sum over all nodes, and an account's weight the sum over the nodes counted for it;
/// - all votes together are never more than `CapacityVotesPercent` of the token's supply, and are shared in proportion
/// to the
///   weights: who came first has no more of them than who came last;
/// - a past time has the votes that it had.
/// A farm can rent its own nodes and fill them with what it makes up; so the weight is bounded, and policy may make
/// it 0.
contract CapacityVotes is ICapacityVotes {
    using Checkpoints for Checkpoints.Trace208;

    struct Counted {
        address owner;
        uint208 weight;
    }

    /// @dev A week of audits at the shipped parameters.
    uint256 private constant PROBATION_EPOCHS = 28;
    uint256 private constant UNIT_BYTES = 32;
    uint256 private constant GIB = 1 << 30;

    IERC20 private immutable _token;
    IPolicy private immutable _policy;
    INodeLedger private immutable _nodes;
    IAudits private immutable _audits;

    Checkpoints.Trace208 private _total;
    Checkpoints.Trace208 private _limit;
    mapping(address account => Checkpoints.Trace208) private _weights;
    mapping(uint32 node => Counted) private _counted;

    /// @param token Whose supply bounds these votes.
    /// @param policy Weight and bound.
    /// @param nodes The registry.
    /// @param audits Who proved what.
    constructor(IERC20 token, IPolicy policy, INodeLedger nodes, IAudits audits) {
        _token = token;
        _policy = policy;
        _nodes = nodes;
        _audits = audits;
    }

    /// @inheritdoc ICapacityVotes
    function refresh(uint32 node) external {
        Auditee memory own = _nodes.auditee(node);
        Counted memory before = _counted[node];
        uint256 limit = Math.mulDiv(_token.totalSupply(), _policy.value(Parameter.CapacityVotesPercent), 100);
        uint256 earned = Math.mulDiv(_provenBytes(node, own), _policy.value(Parameter.VotesPerGib), GIB);
        uint208 weight = SafeCast.toUint208(earned);

        _set(_weights[before.owner], _weights[before.owner].latest() - before.weight);
        _set(_weights[own.owner], uint256(_weights[own.owner].latest()) + weight);
        _set(_total, uint256(_total.latest()) - before.weight + weight);
        if (_limit.latest() != limit) _set(_limit, limit);
        _counted[node] = Counted(own.owner, weight);
        emit CapacityVotesChanged(node, own.owner, weight);
    }

    /// @inheritdoc ICapacityVotes
    function getVotes(address account) external view returns (uint256) {
        return _share(_weights[account].latest(), _total.latest(), _limit.latest());
    }

    /// @inheritdoc ICapacityVotes
    function getPastVotes(address account, uint256 timepoint) external view returns (uint256) {
        uint48 time = _past(timepoint);
        uint256 weight = _weights[account].upperLookupRecent(time);
        return _share(weight, _total.upperLookupRecent(time), _limit.upperLookupRecent(time));
    }

    /// @inheritdoc ICapacityVotes
    function getPastTotalSupply(uint256 timepoint) external view returns (uint256) {
        uint48 time = _past(timepoint);
        return Math.min(_total.upperLookupRecent(time), _limit.upperLookupRecent(time));
    }

    /// @inheritdoc ICapacityVotes
    function votesOf(uint32 node) external view returns (uint256) {
        return _share(_counted[node].weight, _total.latest(), _limit.latest());
    }

    /// @notice The clock of votes: seconds since 1970 (ERC-6372), that of the token.
    function clock() public view returns (uint48) {
        return SafeCast.toUint48(block.timestamp);
    }

    function _provenBytes(uint32 node, Auditee memory own) private view returns (uint256) {
        uint256 newest = _audits.epoch();
        if (newest < 2 || !INodes(address(_nodes)).isAlive(node)) return 0;
        uint32 over = SafeCast.toUint32(newest - 1);
        (uint32 missed, uint32 slashed,) = _audits.proverOf(node);
        uint256 fault = Math.max(missed, slashed);
        if (fault != 0 && fault + PROBATION_EPOCHS > newest) return 0;
        if (!_audits.isProven(node, over)) return 0;
        return Math.min(_audits.accumulatorOf(node, over).units * UNIT_BYTES, own.usedBytes);
    }

    function _set(Checkpoints.Trace208 storage trace, uint256 value) private {
        trace.push(clock(), SafeCast.toUint208(value));
    }

    /// @dev All of its weight, or its share of what all may have.
    function _share(uint256 weight, uint256 total, uint256 limit) private pure returns (uint256) {
        return total <= limit ? weight : Math.mulDiv(weight, limit, total);
    }

    function _past(uint256 timepoint) private view returns (uint48) {
        uint48 current = clock();
        require(timepoint < current, CapacityVotesFuture(timepoint, current));
        return SafeCast.toUint48(timepoint);
    }
}
