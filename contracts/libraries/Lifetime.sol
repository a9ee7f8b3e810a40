// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title Lifetime: which seconds of a node's past count as alive.
/// @dev A node lives but for gaps between heartbeats and for audits it missed. Both are rare and come in the order of
/// time, so each is one word in a list with the sum of all before it, and any past span is judged by binary search.
/// A miss counts only seconds that are in no gap, so that no second is dead twice.
library Lifetime {
    /// @dev Dead from `from` to `until`; `before` is the sum of all earlier ones of its list.
    struct Span {
        uint40 from;
        uint40 until;
        uint40 before;
    }

    /// @dev `gapSeconds` and `missSeconds` are the sums of the lists.
    struct Log {
        uint40 gapSeconds;
        uint40 missSeconds;
        Span[] gaps;
        Span[] misses;
    }

    /// @notice Adds a gap: from the last heartbeat before a silence to the first after it.
    function addGap(Log storage log, uint40 from, uint40 until) internal {
        log.gaps.push(Span(from, until, log.gapSeconds));
        log.gapSeconds += until - from;
    }

    /// @notice Adds a missed audit that began after all earlier ones ended.
    /// @param heardAt The node's last heartbeat; what is after it is dead already, or will be.
    function addMiss(Log storage log, uint40 from, uint40 until, uint40 heardAt) internal {
        uint40 before = log.missSeconds;
        log.misses.push(Span(from, until, before));
        uint256 heard = Math.max(from, Math.min(until, heardAt));
        log.missSeconds = SafeCast.toUint40(before + _outsideGaps(log, from, heard));
    }

    /// @notice Seconds alive between two times, `from <= to`, `to` not after the last heartbeat.
    function alive(Log storage log, uint256 from, uint256 to) internal view returns (uint256) {
        return _outsideGaps(log, from, to) - (_missedBefore(log, to) - _missedBefore(log, from));
    }

    function _outsideGaps(Log storage log, uint256 from, uint256 to) private view returns (uint256) {
        return to - from - (_gapsBefore(log, to) - _gapsBefore(log, from));
    }

    function _gapsBefore(Log storage log, uint256 time) private view returns (uint256) {
        (bool found, Span memory span) = _lastBefore(log.gaps, time);
        return found ? span.before + Math.min(time, span.until) - span.from : 0;
    }

    function _missedBefore(Log storage log, uint256 time) private view returns (uint256) {
        (bool found, Span memory span) = _lastBefore(log.misses, time);
        return found ? span.before + _outsideGaps(log, span.from, Math.min(time, span.until)) : 0;
    }

    /// @dev The newest span that began before `time`.
    function _lastBefore(Span[] storage spans, uint256 time) private view returns (bool, Span memory span) {
        uint256 low = 0;
        uint256 high = spans.length;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (spans[middle].from < time) low = middle + 1;
            else high = middle;
        }
        if (low == 0) return (false, span);
        return (true, spans[low - 1]);
    }
}
