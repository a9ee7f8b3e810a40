// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {AuditTerms, IPolicy, OrderTerms, Parameter, Release} from "./interfaces/IPolicy.sol";
import {OwnedByVotes} from "./libraries/OwnedByVotes.sol";

/// @title Policy: bounded parameters that every agent obeys, and the approved releases.
/// @dev Invariants:
/// - every value is within its bounds, and the pairs of {_checkTogether} agree;
/// - `version` equals one plus the number of changes since deployment;
/// - a release is never removed, and one that was revoked stays so;
/// - only the owner (the timelock) changes anything, but for one pause an appointment by a guardian that it appointed;
/// - there always is an owner;
/// - a pause ends by itself within {MAX_PAUSE_SECONDS}.
/// The values are 64-bit so that four share a word: placing an order reads what it needs in three.
contract Policy is IPolicy, OwnedByVotes {
    /// @dev Members of {Parameter}; an array's length must be a literal. Checked in the constructor.
    uint256 private constant PARAMETERS = 31;

    /// @dev Read in one call by every agent: decades of releases. Whatever is older is not run any more.
    uint256 private constant SHOWN_RELEASES = 256;

    /// @dev Time for a vote to follow.
    uint64 private constant MAX_PAUSE_SECONDS = 7 days;

    uint256 private constant TEN_YEARS = 10 * 365 days;

    /// @dev Orders keep their grace in 24 bits: 194 days.
    uint256 private constant MAX_GRACE_SECONDS = type(uint24).max;

    /// @inheritdoc IPolicy
    uint64 public immutable deployedAtBlock;

    /// @inheritdoc IPolicy
    uint64 public version = 1;

    /// @inheritdoc IPolicy
    uint64 public pausedUntil;
    uint64 private _guardianUntil;
    bool private _guardianUnused;
    address private _guardian;

    uint64[PARAMETERS] private _values;
    Release[] private _releases;
    /// @dev Index + 1 in `_releases`.
    mapping(bytes32 imageDigest => uint256) private _releaseAt;

    /// @param owner_ The timelock.
    /// @param initial One value for each parameter, in the order of the enum.
    constructor(address owner_, uint256[] memory initial) OwnedByVotes(owner_) {
        assert(PARAMETERS == uint256(type(Parameter).max) + 1);
        require(initial.length == PARAMETERS, PolicyValueCount(initial.length, PARAMETERS));
        for (uint256 i = 0; i < PARAMETERS; ++i) {
            Parameter parameter = Parameter(i);
            _checkBounds(parameter, initial[i]);
            _values[i] = SafeCast.toUint64(initial[i]);
        }
        _checkTogether(Parameter.FinalityDepth);
        deployedAtBlock = SafeCast.toUint64(block.number);
    }

    /// @inheritdoc IPolicy
    function set(Parameter parameter, uint256 value_) external onlyOwner {
        _checkBounds(parameter, value_);
        uint256 from = _values[uint256(parameter)];
        _values[uint256(parameter)] = SafeCast.toUint64(value_);
        _checkTogether(parameter);
        emit ParameterChanged(++version, parameter, from, value_);
    }

    /// @inheritdoc IPolicy
    function approveRelease(bytes32 imageDigest, string calldata name, uint64 activatesAt) external onlyOwner {
        require(_releaseAt[imageDigest] == 0, PolicyReleaseExists(imageDigest));
        _releases.push(Release(imageDigest, name, activatesAt, false));
        _releaseAt[imageDigest] = _releases.length;
        emit ReleaseApproved(++version, imageDigest, name, activatesAt);
    }

    /// @inheritdoc IPolicy
    function revokeRelease(bytes32 imageDigest) external onlyOwner {
        uint256 place = _releaseAt[imageDigest];
        require(place != 0 && !_releases[place - 1].revoked, PolicyReleaseUnknown(imageDigest));
        _releases[place - 1].revoked = true;
        emit ReleaseRevoked(++version, imageDigest);
    }

    /// @inheritdoc IPolicy
    function appointGuardian(address guardian_, uint64 until) external onlyOwner {
        _guardian = guardian_;
        _guardianUntil = until;
        _guardianUnused = true;
        emit GuardianAppointed(++version, guardian_, until);
    }

    /// @inheritdoc IPolicy
    function pause(uint64 seconds_) external {
        bool may = msg.sender == _guardian && block.timestamp < _guardianUntil && _guardianUnused;
        require(may, PolicyNotGuardian(msg.sender));
        require(
            seconds_ != 0 && seconds_ <= MAX_PAUSE_SECONDS, PolicyPauseTooLong(seconds_, MAX_PAUSE_SECONDS)
        );
        _guardianUnused = false;
        pausedUntil = SafeCast.toUint64(block.timestamp) + seconds_;
        emit PauseChanged(++version, pausedUntil);
    }

    /// @inheritdoc IPolicy
    function unpause() external {
        bool may = msg.sender == owner() || (msg.sender == _guardian && block.timestamp < _guardianUntil);
        require(may, PolicyNotGuardian(msg.sender));
        pausedUntil = 0;
        emit PauseChanged(++version, 0);
    }

    /// @inheritdoc IPolicy
    function guardian() external view returns (address account, uint64 until, bool unused) {
        return (_guardian, _guardianUntil, _guardianUnused);
    }

    /// @inheritdoc IPolicy
    function value(Parameter parameter) external view returns (uint256) {
        return _values[uint256(parameter)];
    }

    /// @inheritdoc IPolicy
    function all() external view returns (uint64 version_, uint256[] memory values) {
        values = new uint256[](PARAMETERS);
        for (uint256 i = 0; i < PARAMETERS; ++i) {
            values[i] = _values[i];
        }
        return (version, values);
    }

    /// @inheritdoc IPolicy
    function releases() external view returns (Release[] memory shown) {
        uint256 count = _releases.length;
        uint256 skipped = count > SHOWN_RELEASES ? count - SHOWN_RELEASES : 0;
        shown = new Release[](count - skipped);
        for (uint256 i = 0; i < shown.length; ++i) {
            shown[i] = _releases[skipped + i];
        }
    }

    /// @inheritdoc IPolicy
    function orderTerms() external view returns (OrderTerms memory) {
        return OrderTerms({
            workloadsAllowed: _values[uint256(Parameter.WorkloadsAllowed)],
            maxSlots: _values[uint256(Parameter.MaxSlots)],
            minSeconds: _values[uint256(Parameter.MinSeconds)],
            maxSeconds: _values[uint256(Parameter.MaxSeconds)],
            graceSeconds: _values[uint256(Parameter.GraceSeconds)],
            maxPricePerGibSecond: _values[uint256(Parameter.MaxPricePerGibSecond)],
            lateSeconds: lateSeconds(),
            pausedUntil: pausedUntil
        });
    }

    /// @inheritdoc IPolicy
    function auditTerms() external view returns (AuditTerms memory) {
        return AuditTerms({
            epochSeconds: _values[uint256(Parameter.AuditEpochSeconds)],
            windowSeconds: _values[uint256(Parameter.AuditWindowSeconds)],
            windowBlocks: _values[uint256(Parameter.AuditWindowBlocks)],
            samples: _values[uint256(Parameter.AuditSamples)],
            openOdds: _values[uint256(Parameter.AuditOpenOdds)],
            answerSeconds: _values[uint256(Parameter.AuditAnswerSeconds)],
            bond: _values[uint256(Parameter.AuditBond)],
            missSlash: _values[uint256(Parameter.AuditMissSlash)],
            fraudSlash: _values[uint256(Parameter.AuditFraudSlash)],
            reporterShare: _values[uint256(Parameter.AuditReporterShare)]
        });
    }

    /// @inheritdoc IPolicy
    function lateSeconds() public view returns (uint64) {
        return 2 * _values[uint256(Parameter.HeartbeatSeconds)];
    }

    /// @inheritdoc IPolicy
    function bounds(Parameter parameter) public pure returns (uint256 min, uint256 max) {
        if (parameter == Parameter.FinalityDepth) return (0, 1024);
        if (parameter == Parameter.HeartbeatSeconds) return (1, 1 days);
        if (parameter == Parameter.LostSeconds) return (2, 90 days);
        if (parameter == Parameter.GraceSeconds) return (0, MAX_GRACE_SECONDS);
        if (parameter == Parameter.StakePerGib) return (0, type(uint64).max);
        if (parameter == Parameter.MaxPricePerGibSecond) return (0, type(uint64).max);
        if (parameter == Parameter.WorkloadsAllowed) return (0, 126); // bits 1 to 6: the kinds that exist
        if (parameter == Parameter.MaxSlots) return (1, 511); // 255 shards and as many metadata stores
        if (parameter == Parameter.MinSeconds) return (1, TEN_YEARS);
        if (parameter == Parameter.MaxSeconds) return (1, TEN_YEARS);
        if (parameter == Parameter.DispersalAgeSeconds) return (1, 1 days);
        if (parameter == Parameter.ScrubSeconds) return (60, 365 days);
        if (parameter == Parameter.VotesPerGib) return (0, type(uint64).max);
        if (parameter == Parameter.CapacityVotesPercent) return (0, 50); // never more than the token's own
        if (parameter == Parameter.StakeSeconds) return (0, 365 days);
        if (parameter == Parameter.NoticeSeconds) return (0, 365 days);
        if (parameter >= Parameter.MaxPricePerCoreSecond) return (0, type(uint64).max);
        return _auditBounds(parameter);
    }

    function _auditBounds(Parameter parameter) private pure returns (uint256 min, uint256 max) {
        if (parameter == Parameter.AuditEpochSeconds) return (0, 7 days);
        if (parameter == Parameter.AuditWindowSeconds) return (1, 7 days);
        if (parameter == Parameter.AuditWindowBlocks) return (1, 7200);
        if (parameter == Parameter.AuditSamples) return (1, type(uint8).max);
        if (parameter == Parameter.AuditOpenOdds) return (0, type(uint16).max);
        if (parameter == Parameter.AuditAnswerSeconds) return (1, 7 days);
        if (parameter == Parameter.AuditBond) return (0, type(uint64).max);
        if (parameter == Parameter.AuditReporterShare) return (0, 5000); // or farms would report themselves
        return (0, 10_000); // AuditMissSlash, AuditFraudSlash
    }

    function _checkBounds(Parameter parameter, uint256 value_) private pure {
        (uint256 min, uint256 max) = bounds(parameter);
        require(value_ >= min && value_ <= max, PolicyOutOfBounds(parameter, value_, min, max));
    }

    /// @dev A node that is alive must not count as lost, there must be a time that an order can be paid for, and an
    /// audit must be over, disputes included, before the one after the next.
    function _checkTogether(Parameter parameter) private view {
        uint256 late = lateSeconds();
        uint256 lost = _values[uint256(Parameter.LostSeconds)];
        require(late <= lost, PolicyInconsistent(parameter, late, lost));

        uint256 shortest = _values[uint256(Parameter.MinSeconds)];
        uint256 longest = _values[uint256(Parameter.MaxSeconds)];
        require(shortest <= longest, PolicyInconsistent(parameter, shortest, longest));

        uint256 epoch = _values[uint256(Parameter.AuditEpochSeconds)];
        if (epoch == 0) return;
        uint256 window = _values[uint256(Parameter.AuditWindowSeconds)];
        require(window <= epoch, PolicyInconsistent(parameter, window, epoch));
        uint256 reply = _values[uint256(Parameter.AuditAnswerSeconds)];
        require(reply <= epoch, PolicyInconsistent(parameter, reply, epoch));
    }
}
