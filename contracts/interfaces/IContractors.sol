// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice A piece of work and its pay.
/// @param amount Token units, not zero.
/// @param dueBy Last second at which it may be delivered.
struct Milestone {
    uint128 amount;
    uint64 dueBy;
}

/// @notice Life of a milestone. Accepted is payable once the hold has passed; Returned went back to the treasury.
enum MilestoneState {
    Open,
    Delivered,
    Accepted,
    Paid,
    Returned
}

/// @notice A milestone as it is now.
/// @param evidence Hash of what was delivered, by the contractor's own account.
/// @param payableAt When an accepted milestone may be collected; 0 before.
struct MilestoneView {
    uint128 amount;
    uint64 dueBy;
    MilestoneState state;
    uint64 payableAt;
    bytes32 evidence;
}

/// @notice An agreement as it is now.
/// @param reviewer Accepts beside the DAO; zero if only votes do.
/// @param terms Hash of the text agreed.
/// @param holdSeconds Between acceptance and pay, in which a vote may claw back.
struct AgreementView {
    address contractor;
    address reviewer;
    bytes32 terms;
    uint64 holdSeconds;
    bool cancelled;
    MilestoneView[] milestones;
}

/// @title Work agreed with outsiders: milestones paid from the treasury by vote.
interface IContractors {
    /// @notice The DAO agreed with a contractor, and the whole pay is set aside.
    event AgreementMade(uint256 indexed agreement, address indexed contractor, address indexed reviewer, bytes32 terms);
    /// @notice A milestone changed its state; `note` is evidence when delivered, a reason when rejected, else zero.
    event MilestoneChanged(uint256 indexed agreement, uint256 indexed milestone, MilestoneState state, bytes32 note);
    /// @notice No more is accepted under this agreement.
    event AgreementCancelled(uint256 indexed agreement, address indexed by);

    /// @notice An agreement needs a contractor and 1 to `max` milestones that each pay something.
    error AgreementInvalid(uint256 milestones, uint256 max);
    /// @notice There is no such agreement or milestone.
    error MilestoneUnknown(uint256 agreement, uint256 milestone);
    /// @notice `caller` has no part in this step.
    error AgreementNotParty(uint256 agreement, address caller);
    /// @notice The milestone is `state`, or the agreement cancelled, so this step cannot be taken.
    error MilestoneWrongState(uint256 agreement, uint256 milestone, MilestoneState state);
    /// @notice The time of the milestone has passed, or has not come.
    error MilestoneWrongTime(uint256 agreement, uint256 milestone, uint64 time);

    /// @notice Makes an agreement and pulls its whole pay from the owner, the treasury. Only the owner.
    function agree(
        address contractor,
        address reviewer,
        bytes32 terms,
        uint64 holdSeconds,
        Milestone[] calldata milestones
    ) external returns (uint256 agreement);
    /// @notice Says that a milestone is done. Only the contractor, in time.
    function deliver(uint256 agreement, uint256 milestone, bytes32 evidence) external;
    /// @notice Accepts what was delivered. Only the reviewer or the owner.
    function accept(uint256 agreement, uint256 milestone) external;
    /// @notice Sends what was delivered back for more work. Only the reviewer or the owner.
    function reject(uint256 agreement, uint256 milestone, bytes32 reason) external;
    /// @notice Pays an accepted milestone to the contractor after the hold. Anyone may.
    function collect(uint256 agreement, uint256 milestone) external;
    /// @notice Takes an accepted milestone's pay back within the hold. Only the owner.
    function clawBack(uint256 agreement, uint256 milestone) external;
    /// @notice Returns a milestone not delivered in time to the treasury. Anyone may.
    function lapse(uint256 agreement, uint256 milestone) external;
    /// @notice Ends an agreement: all that is not accepted goes back to the treasury. Only the owner or the contractor.
    function cancel(uint256 agreement) external;

    /// @notice Agreements ever made; the newest has this number.
    function agreementCount() external view returns (uint256);
    /// @notice An agreement and all its milestones.
    function agreements(uint256 agreement) external view returns (AgreementView memory);
}
