// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";

/// @title OwnedByVotes: an owner that may be followed by another, but never by none.
/// @dev The owner is the timelock. A vote that gave ownership up would end all votes on this contract for good, and a
/// slip of a proposal is enough to do it; a new timelock is named with {transferOwnership}.
abstract contract OwnedByVotes is Ownable {
    /// @notice The contract always has an owner.
    error OwnerNeeded();

    constructor(address owner_) Ownable(owner_) {}

    /// @notice Refused, whoever asks.
    function renounceOwnership() public pure override {
        revert OwnerNeeded();
    }
}
