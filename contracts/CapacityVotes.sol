// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {IAudits} from "./interfaces/IAudits.sol";
import {ICapacityVotes} from "./interfaces/ICapacityVotes.sol";
import {Auditee, INodeLedger} from "./interfaces/INodeLedger.sol";
import {INodes} from "./interfaces/INodes.sol";
import {IPolicy, Parameter} from "./interfaces/IPolicy.sol";

/// @title CapacityVotes: votes of farms for the bytes they prove to keep.
/// @dev Invariants:
/// - the total is the sum over all nodes, and an account's votes the sum over the nodes counted for it;
/// - counting a node never lifts the total above `CapacityVotesPercent` of the token's supply;
/// - a past time has the votes that it had.
/// A farm can rent its own nodes and fill them with what it makes up; so the weight is bounded, and policy may make
/// it 0.
contract CapacityVotes is ICapacityVotes {
    using Checkpoints for Checkpoints.Trace208;

    struct Counted {
        address owner;
        uint208 votes;
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
    mapping(address account => Checkpoints.Trace208) private _votes;
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
        uint256 others = _total.latest() - before.votes;
        uint256 limit = Math.mulDiv(_token.totalSupply(), _policy.value(Parameter.CapacityVotesPercent), 100);
        uint256 earned = Math.mulDiv(_provenBytes(node, own), _policy.value(Parameter.VotesPerGib), GIB);
        uint208 votes = uint208(Math.min(earned, Math.saturatingSub(limit, others)));

        _add(before.owner, -int256(uint256(before.votes)));
        _add(own.owner, int256(uint256(votes)));
        _total.push(clock(), uint208(others + votes));
        _counted[node] = Counted(own.owner, votes);
        emit CapacityVotesChanged(node, own.owner, votes);
    }

    /// @inheritdoc ICapacityVotes
    function getVotes(address account) external view returns (uint256) {
        return _votes[account].latest();
    }

    /// @inheritdoc ICapacityVotes
    function getPastVotes(address account, uint256 timepoint) external view returns (uint256) {
        return _votes[account].upperLookupRecent(_past(timepoint));
    }

    /// @inheritdoc ICapacityVotes
    function getPastTotalSupply(uint256 timepoint) external view returns (uint256) {
        return _total.upperLookupRecent(_past(timepoint));
    }

    /// @inheritdoc ICapacityVotes
    function votesOf(uint32 node) external view returns (uint256) {
        return _counted[node].votes;
    }

    /// @notice The clock of votes: seconds since 1970 (ERC-6372), that of the token.
    function clock() public view returns (uint48) {
        return uint48(block.timestamp);
    }

    function _provenBytes(uint32 node, Auditee memory own) private view returns (uint256) {
        uint256 newest = _audits.epoch();
        if (newest < 2 || !INodes(address(_nodes)).isAlive(node)) return 0;
        uint32 over = uint32(newest - 1);
        (uint32 missed, uint32 slashed,) = _audits.proverOf(node);
        uint256 fault = Math.max(missed, slashed);
        if (fault != 0 && fault + PROBATION_EPOCHS > newest) return 0;
        if (!_audits.isProven(node, over)) return 0;
        return Math.min(_audits.accumulatorOf(node, over).units * UNIT_BYTES, own.usedBytes);
    }

    function _add(address account, int256 change) private {
        Checkpoints.Trace208 storage trace = _votes[account];
        trace.push(clock(), uint208(uint256(int256(uint256(trace.latest())) + change)));
    }

    function _past(uint256 timepoint) private view returns (uint48) {
        uint48 current = clock();
        require(timepoint < current, CapacityVotesFuture(timepoint, current));
        return uint48(timepoint);
    }
}
