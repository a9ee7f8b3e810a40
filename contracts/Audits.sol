// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {AuditEpochs} from "./AuditEpochs.sol";
import {AuditFunds} from "./AuditFunds.sol";
import {DisputeState, DisputeView, Entry, IAudits, Location, SlotCommitment} from "./interfaces/IAudits.sol";
import {Auditee} from "./interfaces/INodeLedger.sol";
import {OrderState, SlotFacts} from "./interfaces/IOrders.sol";
import {AuditTerms, IPolicy} from "./interfaces/IPolicy.sol";
import {AuditProof} from "./libraries/AuditProof.sol";

/// @title Audits: nodes prove that they keep what they are paid for; this part settles doubts.
/// @dev Invariants:
/// - a dispute moves only along Challenged -> Located -> Answered -> Collected, Demanded -> Answered, and from each
/// that waits for the node to Lost, after its deadline and never before;
/// - a node loses only what it could have shown: each wait is for something that a node with its data has;
/// - a node is slashed at most once an epoch, for missing it or for a dispute about it.
/// Epochs and what is posted in them are in {AuditEpochs}, money is in {AuditFunds}.
contract Audits is AuditEpochs {
    /// @dev The first word is all that an answer reads and writes: `target` is what must be opened, or which slot be
    /// shown. `claim` is what was posted: 28 bytes, then the epoch.
    struct Dispute {
        bytes26 target;
        uint40 deadline;
        DisputeState state;
        address challenger;
        uint32 node;
        uint16 sample;
        bool batched;
        bytes32 claim;
        uint128 bond;
        uint64 units;
        uint32 signedAt;
    }

    /// @dev Time for anybody to end a dispute that was lost, before the node could leave with its stake.
    uint256 private constant EXPIRY_SECONDS = 1 days;

    /// @inheritdoc IAudits
    uint64 public disputeCount;
    mapping(uint64 dispute => Dispute) private _disputes;

    /// @param token What bonds and stakes are held in.
    /// @param policy Terms of audits; its owner is the treasury.
    constructor(IERC20 token, IPolicy policy) AuditFunds(token, policy) EIP712("Varve Audits", "1") {}

    // Samples

    /// @inheritdoc IAudits
    function challenge(uint32 node, uint32 epoch_, uint16 sample) external returns (uint64 dispute) {
        dispute = _challenge(node, epoch_, sample);
    }

    /// @inheritdoc IAudits
    function challengeLocated(uint32 node, uint32 epoch_, uint16 sample, Location calldata location)
        external
        returns (uint64 dispute)
    {
        dispute = _challenge(node, epoch_, sample);
        _locate(dispute, location);
    }

    /// @inheritdoc IAudits
    function locate(uint64 dispute, Location calldata location) external {
        _locate(dispute, location);
    }

    /// @inheritdoc IAudits
    function answer(uint64 dispute, bytes calldata opening) external {
        Dispute storage own = _await(dispute, DisputeState.Located);
        require(_shown(opening) == own.target, AuditPathWrong());
        own.state = DisputeState.Answered;
        emit DisputeAnswered(dispute);
    }

    /// @inheritdoc IAudits
    function proveBroken(
        uint32 node,
        uint32 epoch_,
        uint16 sample,
        Location calldata location,
        bytes32 prior,
        bytes32[] calldata priorPath
    ) external {
        Auditee memory auditee = _nodes.auditee(node);
        (bytes32 claim, bool batched) = _checkSample(node, epoch_, sample, auditee.account);
        require(_provers[node].slashedEpoch != epoch_, AuditAlreadySlashed(node, epoch_));
        _checkState(node, epoch_, sample, claim, batched, location);
        bytes32 expected = _firstState(node, epoch_);
        if (sample > 1) {
            _checkDigest(prior, sample - 1, epoch_, location.digest, priorPath);
            expected = prior;
        }
        require(expected != location.earlier, AuditChainSound());
        emit ChainBroken(epoch_, node, _convict(node, epoch_, msg.sender));
    }

    /// @inheritdoc IAudits
    function proveRepeated(uint32 node, uint32 epoch_, Entry calldata one, Entry calldata other) external {
        require(epoch_ != 0 && epoch_ + 1 >= epoch && epoch_ <= epoch, AuditWrongEpoch(epoch_, epoch));
        require(_provers[node].slashedEpoch < epoch_, AuditAlreadySlashed(node, epoch_));
        Version memory version = _versionFor(node, epoch_);
        uint256 first = _checkEntry(node, version, one);
        uint256 second = _checkEntry(node, version, other);
        bool repeated = _key(one.commitment) == _key(other.commitment) && first != second;
        require(repeated, AuditSlotsDistinct());
        emit SlotRepeated(epoch_, node, _convict(node, epoch_, msg.sender));
    }

    // Slots

    /// @inheritdoc IAudits
    function demand(Entry calldata entry, bytes calldata countersignature) external returns (uint64 dispute) {
        SlotCommitment calldata own = entry.commitment;
        bool due = uint256(own.epoch) + 2 <= epoch && own.units != 0;
        require(due, AuditDemandInvalid(own.node, own.order, own.slot));
        SlotFacts memory slot = _checkWriter(entry);
        uint32 node = slot.node;
        // Whoever held the slot before, or holds what has ended, owes nothing.
        bool held = slot.state == OrderState.Live || slot.state == OrderState.Suspended;
        require(
            held && node == own.node && slot.generation == own.generation,
            AuditDemandInvalid(own.node, own.order, own.slot)
        );
        address signer = _signer(commitmentHash(own), countersignature);
        Auditee memory auditee = _nodes.auditee(node);
        require(signer == auditee.account, AuditNotCountersigned(node, signer));
        dispute = _open(node, epoch, 0, DisputeState.Demanded, auditee);
        _disputes[dispute].claim = bytes32(uint256(epoch));
        _disputes[dispute].target = bytes26(keccak256(abi.encode(_key(own))));
        _disputes[dispute].units = own.units;
        _disputes[dispute].signedAt = own.epoch;
        emit SlotDemanded(dispute, own.order, own.slot, own.generation, own.units);
    }

    /// @inheritdoc IAudits
    function show(uint64 dispute, Entry calldata entry) external {
        Dispute storage own = _await(dispute, DisputeState.Demanded);
        SlotCommitment calldata shown = entry.commitment;
        bool demanded = bytes26(keccak256(abi.encode(_key(shown)))) == own.target;
        // What a writer signed later stands for what it wants kept, though it be less: stores are compacted. What was
        // signed earlier does not, however much: its writer may have been another.
        bool kept =
            shown.epoch > own.signedAt || (shown.epoch == own.signedAt && shown.units >= own.units);
        require(demanded && kept, AuditCommitmentInvalid(shown.order, shown.slot));
        _checkEntry(own.node, _versionFor(own.node, _epochOf(own.claim)), entry);
        _checkWriter(entry);
        own.state = DisputeState.Answered;
        emit DisputeAnswered(dispute);
    }

    // Ends

    /// @inheritdoc IAudits
    function expire(uint64 dispute) external {
        Dispute memory own = _disputes[dispute];
        bool waits = own.state == DisputeState.Challenged || own.state == DisputeState.Located
            || own.state == DisputeState.Demanded;
        require(waits, AuditDisputeState(dispute, own.state));
        require(block.timestamp > own.deadline, AuditDeadline(dispute, own.deadline));
        _disputes[dispute].state = DisputeState.Lost;
        _creditBond(own.challenger, own.bond);
        uint32 about = _epochOf(own.claim);
        uint256 taken = 0;
        // Of several who found the same fault the first is paid, and all get their bonds back.
        if (_provers[own.node].slashedEpoch < about) {
            taken = _convict(own.node, about, own.challenger);
        }
        emit DisputeLost(dispute, own.node, taken);
    }

    /// @inheritdoc IAudits
    function collect(uint64 dispute) external {
        Dispute storage own = _disputes[dispute];
        require(own.state == DisputeState.Answered, AuditDisputeState(dispute, own.state));
        own.state = DisputeState.Collected;
        _creditBond(_nodes.auditee(own.node).owner, own.bond);
    }

    // Views

    /// @inheritdoc IAudits
    function disputes(uint64 dispute) external view returns (DisputeView memory) {
        Dispute memory own = _disputes[dispute];
        return DisputeView({
            state: own.state,
            node: own.node,
            epoch: _epochOf(own.claim),
            sample: own.sample,
            deadline: own.deadline,
            challenger: own.challenger,
            bond: own.bond
        });
    }

    // Rules

    function _challenge(uint32 node, uint32 epoch_, uint16 sample) private returns (uint64 dispute) {
        Auditee memory auditee = _nodes.auditee(node);
        (bytes32 claim, bool batched) = _checkSample(node, epoch_, sample, auditee.account);
        dispute = _open(node, epoch_, sample, DisputeState.Challenged, auditee);
        _disputes[dispute].claim = claim;
        _disputes[dispute].batched = batched;
    }

    function _open(uint32 node, uint32 epoch_, uint16 sample, DisputeState state, Auditee memory auditee)
        private
        returns (uint64 dispute)
    {
        AuditTerms memory terms = _policy.auditTerms();
        uint256 deadline = block.timestamp + terms.answerSeconds;
        // The first reply and the one after it, for a location gives the node its time again.
        bool away = auditee.maintenanceFrom <= deadline + terms.answerSeconds
            && auditee.maintenanceUntil >= block.timestamp;
        require(!away, AuditExcused(node));
        dispute = ++disputeCount;
        // A location, if one comes, gives the node its time again.
        uint256 over = deadline + terms.answerSeconds + EXPIRY_SECONDS;
        _provers[node].disputedUntil = SafeCast.toUint24(over / TIME_STEP + 1);
        Dispute storage own = _disputes[dispute];
        own.challenger = msg.sender;
        own.deadline = SafeCast.toUint40(deadline);
        own.node = node;
        own.sample = sample;
        own.state = state;
        own.bond = terms.bond;
        emit DisputeOpened(dispute, node, epoch_, sample);
        _takeBond(terms.bond);
    }

    function _locate(uint64 dispute, Location calldata location) private {
        Dispute storage own = _await(dispute, DisputeState.Challenged);
        uint32 node = own.node;
        uint32 about = _epochOf(own.claim);
        _checkState(node, about, own.sample, own.claim, own.batched, location);
        if (own.sample == 1) {
            require(location.earlier == _firstState(node, about), AuditPathWrong());
        }
        uint256 unit = _unitInSlot(node, about, location.earlier, location.entry);
        SlotCommitment calldata slot = location.entry.commitment;
        own.target = _target(slot.root, location.unit, unit);
        own.state = DisputeState.Located;
        own.deadline = SafeCast.toUint40(block.timestamp + _policy.auditTerms().answerSeconds);
        emit DisputeLocated(dispute, slot.order, slot.slot, SafeCast.toUint64(unit));
    }

    /// @dev What can be doubted: a sample of the newest epoch for which something was posted.
    function _checkSample(uint32 node, uint32 epoch_, uint16 sample, address account)
        private
        view
        returns (bytes32 claim, bool batched)
    {
        require(epoch_ == epoch, AuditWrongEpoch(epoch_, epoch));
        // Until then a node may still put right what its aggregator posted for it.
        require(!_isOpen(_epochs[epoch_]), AuditPending(epoch_));
        uint16 samples = _epochs[epoch_].samples;
        require(sample != 0 && sample <= samples, AuditSampleInvalid(sample, samples));
        (claim, batched) = _claim(node, epoch_, account);
        // Who stands for nothing has no sample that could be doubted; a slot that is missing is demanded.
        require(claim != 0 && _versionFor(node, epoch_).units != 0, AuditNothingClaimed(node, epoch_));
    }

    /// @dev The state after the sample is in the digest, and the digest is what was posted.
    function _checkState(
        uint32 node,
        uint32 epoch_,
        uint16 sample,
        bytes32 claim,
        bool batched,
        Location calldata location
    ) private view {
        bytes32 posted = location.digest;
        if (batched) {
            require(1 << location.groupPath.length == GROUP_NODES, AuditPathWrong());
            posted = AuditProof.binaryRoot(posted, node % GROUP_NODES, location.groupPath);
        }
        require(bytes28(posted) == bytes28(claim), AuditPathWrong());
        bytes32 state = AuditProof.hash(location.earlier, location.unit);
        _checkDigest(state, sample, epoch_, location.digest, location.statePath);
    }

    function _checkDigest(
        bytes32 state,
        uint256 sample,
        uint32 epoch_,
        bytes32 digest,
        bytes32[] calldata path
    ) private view {
        bool whole = path.length == AuditProof.depth(_epochs[epoch_].samples);
        require(whole && AuditProof.binaryRoot(state, sample - 1, path) == digest, AuditPathWrong());
    }

    function _await(uint64 dispute, DisputeState state) private view returns (Dispute storage own) {
        own = _disputes[dispute];
        require(own.state == state, AuditDisputeState(dispute, own.state));
        require(block.timestamp <= own.deadline, AuditDeadline(dispute, own.deadline));
    }

    function _convict(uint32 node, uint32 about, address reporter) private returns (uint256) {
        AuditTerms memory terms = _policy.auditTerms();
        _provers[node].slashedEpoch = about;
        return _slash(node, terms.fraudSlash, terms.reporterShare, reporter);
    }
}
