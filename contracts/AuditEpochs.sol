// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {AuditFunds} from "./AuditFunds.sol";
import {IAuditLedger} from "./interfaces/IAuditLedger.sol";
import {AccumulatorView, Entry, EpochView, IAudits, SlotCommitment} from "./interfaces/IAudits.sol";
import {Auditee} from "./interfaces/INodeLedger.sol";
import {INodes, NodeState} from "./interfaces/INodes.sol";
import {IOrders, OrderKind, SlotFacts} from "./interfaces/IOrders.sol";
import {AuditTerms} from "./interfaces/IPolicy.sol";
import {StoreSpec} from "./interfaces/Specs.sol";
import {AuditProof} from "./libraries/AuditProof.sol";
import {CodeStore} from "./libraries/CodeStore.sol";

/// @title AuditEpochs: seeds, what nodes stand for, what they posted, and who missed an epoch.
/// @dev Invariants:
/// - epochs are numbered without gap, and what one needs is fixed when it is drawn: seed, window, samples, odds;
/// - what a node is audited for in an epoch was committed before its seed was known;
/// - a node is marked for an epoch at most once, only in the next one, and only if its window passed without what it
///   had to post: every node that held a slot since before the draw must have committed, if only that it holds nothing
///   that anybody signed, and post;
/// - a node stands for at most as many units as it has locked;
/// - what is posted after the window of an epoch counts for nothing.
/// Words that are written often hold all that is read with them: a digest is one word, so posting one costs one store.
abstract contract AuditEpochs is AuditFunds, EIP712 {
    /// @dev An epoch in one word.
    struct Epoch {
        uint112 seed;
        uint40 drawnAt;
        uint40 dueAt;
        uint40 dueBlock;
        uint8 samples;
        uint16 openOdds;
    }

    /// @dev `exists` tells what was committed in epoch 0 from what never was.
    struct Version {
        bytes32 root;
        uint64 units;
        uint32 epoch;
        bool exists;
    }

    /// @dev `current` is the newest of the node's versions, a ring: a dispute may go on into the next epoch, in which a
    /// further version is committed for the one after it.
    /// `disputedUntil` is in steps of {TIME_STEP}: by then every dispute about it has ended, or could have been.
    struct Prover {
        address aggregator;
        uint32 missedEpoch;
        uint32 slashedEpoch;
        uint8 current;
        uint24 disputedUntil;
    }

    uint256 private constant VERSIONS = 3;
    /// @dev Sums of paths have 47 bits.
    uint64 private constant MAX_UNITS = (1 << 47) - 1;
    uint256 private constant UNIT_BYTES = 32;
    uint256 internal constant GROUP_NODES = 256;
    uint256 internal constant TIME_STEP = 256 seconds;
    /// @dev Of an opening, before its paths: unit, number of the unit, length of the shard.
    uint256 private constant OPENING_HEAD = 44;

    bytes32 private constant COMMITMENT_TYPE = keccak256(
        "SlotCommitment(uint32 node,uint64 order,uint16 slot,uint16 generation,uint64 units,bytes32 root,uint32 epoch)"
    );

    /// @inheritdoc IAudits
    uint32 public epoch;
    mapping(uint32 epoch => Epoch) internal _epochs;
    mapping(uint32 node => Prover) internal _provers;
    mapping(uint32 node => Version[VERSIONS]) private _versions;
    /// @dev By parity of the epoch, for the one before the newest is still asked for. 28 bytes, then the epoch.
    mapping(address account => bytes32[2]) private _digests;
    mapping(address aggregator => mapping(uint32 group => bytes32[2])) private _groupRoots;
    mapping(address aggregator => mapping(uint32 group => uint256[2])) private _groupMembers;
    mapping(uint32 node => uint32[2]) private _opened;

    // Epochs

    /// @inheritdoc IAudits
    function draw() external {
        AuditTerms memory terms = _policy.auditTerms();
        require(terms.epochSeconds != 0, AuditOff());
        uint32 newest = epoch;
        Epoch memory last = _epochs[newest];
        uint256 from = last.drawnAt + terms.epochSeconds;
        require(block.timestamp >= from, AuditTooEarly(SafeCast.toUint64(from)));
        require(!_isOpen(last), AuditPending(newest));
        // Every call in this block would draw the same, so a caller has nothing to choose.
        uint112 seed = uint112(uint256(keccak256(abi.encode(block.prevrandao, last.seed, newest)))); // cuts: a hash
        epoch = ++newest;
        _epochs[newest] = Epoch({
            seed: seed,
            drawnAt: SafeCast.toUint40(block.timestamp),
            dueAt: SafeCast.toUint40(block.timestamp + terms.windowSeconds),
            dueBlock: SafeCast.toUint40(block.number + terms.windowBlocks),
            samples: SafeCast.toUint8(terms.samples),
            openOdds: SafeCast.toUint16(terms.openOdds)
        });
        emit EpochDrawn(newest, seed);
    }

    // Acts of nodes and of aggregators

    /// @inheritdoc IAudits
    function commit(bytes32 root, uint64 units) external {
        require((root == 0) == (units == 0) && units <= MAX_UNITS, AuditUnitsInvalid(units, MAX_UNITS));
        uint32 node = _callingNode();
        uint256 locked = _nodes.auditee(node).usedBytes / UNIT_BYTES;
        require(units <= locked, AuditUnitsInvalid(units, SafeCast.toUint64(locked)));
        Prover storage prover = _provers[node];
        uint256 current = prover.current;
        if (_versions[node][current].epoch != epoch) {
            current = (current + 1) % VERSIONS;
            prover.current = SafeCast.toUint8(current);
        }
        _versions[node][current] = Version(root, units, epoch, true);
        emit AccumulatorCommitted(node, root, units);
    }

    /// @inheritdoc IAudits
    function setAggregator(address aggregator) external {
        uint32 node = _callingNode();
        _provers[node].aggregator = aggregator;
        emit AggregatorChosen(node, aggregator);
    }

    /// @inheritdoc IAudits
    function postDigest(uint32 epoch_, bytes28 digest) external {
        require(_isOpen(_epochs[epoch_]), AuditLate(epoch_));
        _digests[msg.sender][epoch_ & 1] = _tagged(digest, epoch_);
        emit DigestPosted(epoch_, msg.sender, digest);
    }

    /// @inheritdoc IAudits
    function postDigests(uint32 epoch_, uint32 group, bytes28 root, uint256 members) external {
        Epoch memory own = _epochs[epoch_];
        // The second half of the window is the nodes' own: to put right what was posted for them.
        bool early = block.timestamp - own.drawnAt <= (own.dueAt - own.drawnAt) / 2;
        require(early && own.drawnAt != 0, AuditLate(epoch_));
        _groupRoots[msg.sender][group][epoch_ & 1] = _tagged(root, epoch_);
        _groupMembers[msg.sender][group][epoch_ & 1] = members;
        emit DigestsPosted(epoch_, msg.sender, group, root, members);
    }

    /// @inheritdoc IAudits
    function openSample(uint32 epoch_, uint32 node, Entry calldata entry, bytes calldata opening) external {
        require(_isOpen(_epochs[epoch_]), AuditLate(epoch_));
        require(isDrawn(node, epoch_), AuditNotDrawn(node, epoch_));
        uint256 unit = _unitInSlot(node, epoch_, _firstState(node, epoch_), entry);
        bytes26 shown = _shown(opening);
        bytes26 wanted = _target(entry.commitment.root, bytes32(opening[:UNIT_BYTES]), unit);
        require(shown == wanted, AuditPathWrong());
        _opened[node][epoch_ & 1] = epoch_;
        emit SampleOpened(epoch_, node);
    }

    // Acts of keepers

    /// @inheritdoc IAudits
    function markMissed(uint32 epoch_, uint32[] calldata nodes) external {
        require(epoch_ != 0 && epoch_ + 1 == epoch, AuditWrongEpoch(epoch_, epoch));
        AuditTerms memory terms = _policy.auditTerms();
        for (uint256 i = 0; i < nodes.length; ++i) {
            _mark(epoch_, nodes[i], terms);
        }
    }

    // Views

    /// @inheritdoc IAuditLedger
    function isQuit(uint32 node, uint64 since) external view returns (bool) {
        return block.timestamp > _provers[node].disputedUntil * TIME_STEP && since < judgedUntil();
    }

    /// @inheritdoc IAuditLedger
    function judgedUntil() public view returns (uint64) {
        uint32 newest = epoch;
        if (newest == 0 || _policy.auditTerms().epochSeconds == 0) return type(uint64).max;
        return _epochs[newest == 1 ? 1 : newest - 1].drawnAt;
    }

    /// @inheritdoc IAudits
    function epochs(uint32 which) external view returns (EpochView memory) {
        Epoch memory own = _epochs[which];
        return EpochView(own.seed, own.drawnAt, own.dueAt, own.dueBlock, own.samples, own.openOdds);
    }

    /// @inheritdoc IAudits
    function accumulatorOf(uint32 node, uint32 inEpoch) external view returns (AccumulatorView memory) {
        Version memory version = _versionFor(node, inEpoch);
        return AccumulatorView(version.root, version.units, version.epoch, version.exists);
    }

    /// @inheritdoc IAudits
    function proverOf(uint32 node)
        external
        view
        returns (uint32 missedEpoch, uint32 slashedEpoch, address aggregator)
    {
        Prover memory prover = _provers[node];
        return (prover.missedEpoch, prover.slashedEpoch, prover.aggregator);
    }

    /// @inheritdoc IAudits
    function isProven(uint32 node, uint32 inEpoch) external view returns (bool) {
        return _isProven(node, inEpoch, _nodes.auditee(node).account);
    }

    /// @inheritdoc IAudits
    function owes(uint32 node, uint32 inEpoch) public view returns (bool) {
        Auditee memory own = _nodes.auditee(node);
        if (own.state != NodeState.Active && own.state != NodeState.Draining) return false;
        Epoch memory then = _epochs[inEpoch];
        bool held = own.usedBytes != 0 && own.usedSince < then.drawnAt;
        if (!held && _versionFor(node, inEpoch).units == 0) return false;
        if (own.maintenanceFrom <= then.dueAt && own.maintenanceUntil >= then.drawnAt) return false;
        return !_isProven(node, inEpoch, own.account);
    }

    /// @inheritdoc IAudits
    function claimOf(uint32 node, uint32 inEpoch) external view returns (bytes28 claim, bool batched) {
        bytes32 word;
        (word, batched) = _claim(node, inEpoch, _nodes.auditee(node).account);
        return (bytes28(word), batched);
    }

    /// @inheritdoc IAudits
    function isDrawn(uint32 node, uint32 inEpoch) public view returns (bool) {
        Epoch memory own = _epochs[inEpoch];
        if (own.openOdds == 0) return false;
        uint256 lot = uint256(keccak256(abi.encode(own.seed, node))) >> 192;
        return lot % own.openOdds == 0;
    }

    /// @inheritdoc IAudits
    function commitmentHash(SlotCommitment calldata commitment) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(COMMITMENT_TYPE, commitment)));
    }

    // Rules

    function _mark(uint32 epoch_, uint32 node, AuditTerms memory terms) private {
        Prover storage prover = _provers[node];
        if (prover.missedEpoch == epoch_ || !owes(node, epoch_)) return;
        Epoch memory then = _epochs[epoch_];
        if (!_nodes.recordMiss(node, then.drawnAt, _epochs[epoch_ + 1].drawnAt)) return;

        prover.missedEpoch = epoch_;
        uint256 taken = 0;
        if (prover.slashedEpoch != epoch_) {
            prover.slashedEpoch = epoch_;
            taken = _slash(node, terms.missSlash, terms.reporterShare, msg.sender);
        }
        emit EpochMissed(epoch_, node, taken);
    }

    /// @dev A node that lost a dispute about the epoch has not proven it.
    function _isProven(uint32 node, uint32 inEpoch, address account) private view returns (bool) {
        if (_provers[node].slashedEpoch == inEpoch) return false;
        Version memory version = _versionFor(node, inEpoch);
        if (!version.exists) return false;
        bool opens = version.units != 0 && isDrawn(node, inEpoch);
        if (opens && _opened[node][inEpoch & 1] != inEpoch) return false;
        (bytes32 claim,) = _claim(node, inEpoch, account);
        return claim != 0;
    }

    /// @dev What a node posted for an epoch, itself or else through its aggregator; zero if nothing.
    function _claim(uint32 node, uint32 inEpoch, address account) internal view returns (bytes32 claim, bool batched) {
        claim = _digests[account][inEpoch & 1];
        if (_epochOf(claim) == inEpoch) return (claim, false);
        address aggregator = _provers[node].aggregator;
        uint32 group = SafeCast.toUint32(node / GROUP_NODES);
        claim = _groupRoots[aggregator][group][inEpoch & 1];
        bool member = (_groupMembers[aggregator][group][inEpoch & 1] >> (node % GROUP_NODES)) & 1 == 1;
        if (aggregator == address(0) || !member || _epochOf(claim) != inEpoch) claim = 0;
        return (claim, true);
    }

    /// @dev The newest that was committed before the epoch began.
    function _versionFor(uint32 node, uint32 inEpoch) internal view returns (Version memory version) {
        uint256 current = _provers[node].current;
        for (uint256 i = 0; i < VERSIONS; ++i) {
            version = _versions[node][(current + VERSIONS - i) % VERSIONS];
            if (version.epoch < inEpoch) return version;
        }
        delete version;
    }

    function _isOpen(Epoch memory own) internal view returns (bool) {
        return block.timestamp <= own.dueAt || block.number <= own.dueBlock;
    }

    function _callingNode() private view returns (uint32 node) {
        node = INodes(address(_nodes)).nodeOf(msg.sender);
        require(node != 0, AuditNotNode(msg.sender));
    }

    // Trees and signatures

    function _firstState(uint32 node, uint32 inEpoch) internal view returns (bytes32) {
        bytes32 who = bytes32((uint256(node) << 32) | inEpoch);
        return AuditProof.hash(bytes32(uint256(_epochs[inEpoch].seed)), who);
    }

    /// @dev Which unit of the entry's slot a state draws; the entry must be in what the node committed, of a slot that
    /// it held when the epoch before began, and hold the unit.
    function _unitInSlot(uint32 node, uint32 inEpoch, bytes32 state, Entry calldata entry)
        internal
        view
        returns (uint256)
    {
        Version memory version = _versionFor(node, inEpoch);
        require(version.units != 0, AuditNothingClaimed(node, inEpoch));
        uint256 unit = uint256(state) % version.units;
        uint256 before = _checkEntry(node, version, entry);
        // Or a node could fill up with orders of its own that are long gone.
        bool held = _checkWriter(entry).deletableAt >= _epochs[inEpoch - 1].drawnAt;
        require(held, AuditCommitmentInvalid(entry.commitment.order, entry.commitment.slot));
        uint256 units = entry.commitment.units;
        require(
            unit >= before && unit - before < units,
            AuditUnitWrong(SafeCast.toUint64(before), SafeCast.toUint64(unit))
        );
        return unit - before;
    }

    /// @dev Returns how many units are left of the entry.
    function _checkEntry(uint32 node, Version memory version, Entry calldata entry)
        internal
        view
        returns (uint256 before)
    {
        SlotCommitment calldata own = entry.commitment;
        require(own.node == node && own.units != 0, AuditCommitmentInvalid(own.order, own.slot));
        bytes32 leaf = AuditProof.hash(_key(own), own.root);
        bytes32 root;
        uint256 total;
        (root, total, before) = AuditProof.climb(AuditProof.mix(leaf, own.units), own.units, entry.path);
        require(root == version.root && total == version.units, AuditPathWrong());
    }

    /// @dev The tenant signs, or an account in a store's spec, or the node of a mount that might write the volume when
    /// the epoch that it names began.
    function _checkWriter(Entry calldata entry) internal view returns (SlotFacts memory slot) {
        SlotCommitment calldata own = entry.commitment;
        IOrders book = IOrders(orders());
        slot = book.slotOf(own.order, own.slot);
        // A shard's last unit may be filled up with zeros, so only whole units must fit.
        bool fits = (own.units - 1) * UNIT_BYTES < slot.sizeBytes && own.epoch <= epoch;
        require(fits, AuditCommitmentInvalid(own.order, own.slot));
        bytes32 hash = commitmentHash(own);
        if (entry.mount != 0) {
            (uint64 volume, uint32 node, uint64 until) = book.writerOf(entry.mount);
            address signer = _signer(hash, entry.signature);
            bool writes = volume == own.order && _nodes.auditee(node).account == signer
                && _epochs[own.epoch].drawnAt < until;
            require(writes, AuditNotWriter(own.order, signer));
            return slot;
        }
        // Never by asking a contract: what one says may change after the node has committed to the signature.
        address other = _signer(hash, entry.signature);
        bool may = other == slot.tenant || (slot.kind == OrderKind.Store && _isStoreWriter(own.order, other));
        require(may && other != address(0), AuditNotWriter(own.order, other));
    }

    function _isStoreWriter(uint64 order, address account) private view returns (bool) {
        StoreSpec memory spec =
            abi.decode(CodeStore.read(CodeStore.addressOf(orders(), order)), (StoreSpec));
        for (uint256 i = 0; i < spec.writers.length; ++i) {
            if (spec.writers[i] == account) return true;
        }
        return false;
    }

    /// @dev The zero address if the bytes are no signature.
    function _signer(bytes32 hash, bytes calldata signature) internal pure returns (address signer) {
        (signer,,) = ECDSA.tryRecoverCalldata(hash, signature);
    }

    /// @dev What an opening shows, as {_target}: its paths lead from the unit to the root of a slot.
    function _shown(bytes calldata opening) internal view returns (bytes26) {
        require(opening.length >= OPENING_HEAD, AuditProof.AuditPathMalformed(opening.length));
        uint256 number = uint48(bytes6(opening[32:38])); // cuts: six bytes
        uint256 length = uint48(bytes6(opening[38:44])); // cuts: six bytes
        uint256 units = AuditProof.unitsOf(length);
        uint256 split = OPENING_HEAD + 32 * AuditProof.depth(units);
        require(opening.length >= split, AuditProof.AuditPathMalformed(opening.length));
        uint256 before = AuditProof.unitsBefore(opening[split:]);
        require(
            number >= before && number - before < units,
            AuditUnitWrong(SafeCast.toUint64(before), SafeCast.toUint64(number))
        );
        bytes32 unit = bytes32(opening[:UNIT_BYTES]);
        bytes32 shard = AuditProof.shardRoot(unit, number - before, length, opening[OPENING_HEAD:split]);
        (bytes32 root,,) = AuditProof.climb(AuditProof.mix(shard, units), units, opening[split:]);
        return _target(root, unit, number);
    }

    /// @dev What an answer must show: these bytes are this unit of the slot with this root.
    function _target(bytes32 root, bytes32 unit, uint256 number) internal pure returns (bytes26) {
        return bytes26(keccak256(abi.encodePacked(root, unit, uint48(number)))); // cuts: sums have 47 bits
    }

    /// @dev A slot's place in the world, as one word.
    function _key(SlotCommitment calldata own) internal pure returns (bytes32) {
        return bytes32((uint256(own.order) << 32) | (uint256(own.slot) << 16) | own.generation);
    }

    function _tagged(bytes28 value, uint32 epoch_) private pure returns (bytes32) {
        return bytes32(value) | bytes32(uint256(epoch_));
    }

    function _epochOf(bytes32 word) internal pure returns (uint32) {
        return uint32(uint256(word)); // cuts: the epoch is its last four bytes
    }
}
