// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title CapacityVotes: votes of farms for the bytes they prove to keep.
/// @dev The governor adds them to the votes of tokens. They cannot be delegated: who owns the farm votes.
interface ICapacityVotes {
    /// @notice `owner` has `votes` for `node` from now on.
    event CapacityVotesChanged(uint32 indexed node, address indexed owner, uint256 votes);

    /// @notice Votes are known only for times before now (ERC-6372 seconds).
    error CapacityVotesFuture(uint256 timepoint, uint48 clock);

    /// @notice Counts a node anew: what it proved in the last epoch that is over, at the weight that policy says.
    /// @dev Anyone, for any node: whoever gained will do it for itself, and anybody else for whoever lost. A node
    /// counts if it is alive, proved that epoch, and has neither missed one nor lost a dispute for 28 epochs.
    function refresh(uint32 node) external;

    /// @notice Votes of an account for the nodes of its farms, now.
    function getVotes(address account) external view returns (uint256);
    /// @notice The same at a past time.
    function getPastVotes(address account, uint256 timepoint) external view returns (uint256);
    /// @notice All these votes at a past time; they count towards the quorum.
    function getPastTotalSupply(uint256 timepoint) external view returns (uint256);
    /// @notice Votes that a node gives its farm's owner.
    function votesOf(uint32 node) external view returns (uint256);
}
