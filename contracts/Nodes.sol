// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IAuditLedger} from "./interfaces/IAuditLedger.sol";
import {Auditee, Earned, INodeLedger, Locked, Span} from "./interfaces/INodeLedger.sol";
import {FarmView, INodes, NodeState, NodeView, Offer, Resources} from "./interfaces/INodes.sol";
import {SlotRequest} from "./interfaces/IOrders.sol";
import {IPolicy, Parameter} from "./interfaces/IPolicy.sol";
import {CodeStore} from "./libraries/CodeStore.sol";
import {Lifetime} from "./libraries/Lifetime.sol";
import {WiredOnce} from "./libraries/WiredOnce.sol";

/// @title Nodes: farms, their nodes, what these offer, and whether they live.
/// @dev Invariants:
/// - `usedBytes <= capacityBytes` of every node, and `usedBytes` is the sum of the slots that the order book locked;
/// - the token balance of this contract is at least the sum of all stakes, sponsorships included;
/// - a node's alive seconds never exceed the time from its registration to its last heartbeat, and fall
/// only when a missed audit is recorded;
/// - an account is at most one of: unknown, sponsored, node;
/// - a stake goes to the farm's owner, but for slashes and for the daily fee that was asked when the node registered;
/// - only the audits take from a stake, and a node whose stake does not cover its offer gets no further slots.
/// Time: a node lives from a heartbeat to the next if that comes within `Policy.lateSeconds`; otherwise the whole gap
/// between the two is dead, and so is an audit that it missed, from draw to draw ({Lifetime}).
/// A farm may speak for its nodes: a node in a batch has the later of its own last heartbeat and the batch's. Members
/// that stay cost nothing, so a batch of hundreds costs about as much as one heartbeat.
contract Nodes is INodes, INodeLedger, WiredOnce {
    using SafeERC20 for IERC20;
    using Lifetime for Lifetime.Log;

    /// @dev All that placing an order reads and writes of a node, in one word.
    struct Hot {
        NodeState state;
        uint8 flags;
        uint24 farm;
        uint56 capacityBytes;
        uint56 usedBytes;
        uint64 pricePerGibSecond;
        uint40 lastHeartbeat;
    }

    /// @dev Stands beside {Hot}. `feePerDay` is what policy asked when the node registered: no vote takes more of a
    /// stake that is there. `usedSince` is when the node last began to hold slots, or last let go of all.
    struct Cold {
        uint128 stake;
        uint40 registeredAt;
        uint40 usedSince;
        address account;
        uint40 maintenanceFrom;
        uint40 maintenanceUntil;
        address keys;
        uint64 feePerDay;
        address addresses;
        uint40 drainingSince;
    }

    /// @dev The newest batch of the nodes `group * GROUP_NODES + bit` of one farm.
    struct Batch {
        uint40 time;
        uint208 members;
    }

    struct Farm {
        address owner;
        address reporter;
        string name;
    }

    struct Sponsorship {
        uint24 farm;
        uint128 stake;
    }

    /// @dev Shown in lists.
    uint256 private constant MAX_NAME_BYTES = 64;
    /// @dev Each is tried in turn by whoever dials the node.
    uint256 private constant MAX_ADDRESSES = 8;
    /// @dev Longer than any multiaddr of a host.
    uint256 private constant MAX_ADDRESS_BYTES = 256;
    uint256 private constant PUBLIC_KEY_BYTES = 64;
    uint256 private constant SEALING_KEY_BYTES = 32 + 1184;
    uint256 private constant GIB = 1 << 30;
    uint256 private constant BASIS_POINTS = 10_000;
    /// @dev What audits count in.
    uint256 private constant UNIT_BYTES = 32;

    /// @dev Some second of its past is dead: only then is its {Lifetime} read.
    uint8 private constant HAS_DIED = 1;
    uint8 private constant BATCHED = 2;
    uint8 private constant UNDERSTAKED = 4;
    /// @dev As many bits as fit in a word beside the time of the batch.
    uint32 private constant GROUP_NODES = 208;

    /// @dev A writer must have the time to move its slots elsewhere first, if it wants to.
    uint256 private constant MAINTENANCE_NOTICE = 1 hours;
    /// @dev A reboot, a disk, an upgrade; what takes longer is draining.
    uint256 private constant MAINTENANCE_MAX = 1 days;
    /// @dev From the end of one to the start of the next: or a node could be silent for ever, excused.
    uint256 private constant MAINTENANCE_APART = 14 days;

    IERC20 private immutable _token;
    IPolicy private immutable _policy;
    IAuditLedger private immutable _audits;

    uint64 private _registryVersion;
    uint32 private _nodeCount;
    uint24 private _farmCount;

    mapping(uint32 node => Hot) private _hot;
    mapping(uint32 node => Cold) private _cold;
    mapping(uint32 node => Lifetime.Log) private _lives;
    mapping(uint32 node => Resources) private _resources;
    mapping(uint24 farm => Farm) private _farms;
    mapping(uint24 farm => mapping(uint32 group => Batch)) private _batches;
    mapping(address account => uint32 node) private _nodeOf;
    mapping(address account => Sponsorship) private _sponsorships;

    /// @param token What stakes are held in.
    /// @param policy_ Price cap, stake per byte, heartbeat.
    /// @param audits Who judges the nodes, wired to the order book.
    constructor(IERC20 token, IPolicy policy_, IAuditLedger audits) {
        _token = token;
        _policy = policy_;
        _audits = audits;
    }

    modifier onlyOrders() {
        require(msg.sender == orders(), NodesOnlyOrders(msg.sender));
        _;
    }

    modifier onlyAudits() {
        require(msg.sender == address(_audits), NodesOnlyAudits(msg.sender));
        _;
    }

    // Farms and sponsorships

    /// @inheritdoc INodes
    function createFarm(string calldata name) external returns (uint32 farm) {
        uint256 length = bytes(name).length;
        require(length != 0 && length <= MAX_NAME_BYTES, FarmNameLength(length, MAX_NAME_BYTES));
        farm = ++_farmCount;
        _farms[SafeCast.toUint24(farm)] = Farm(msg.sender, address(0), name);
        emit FarmCreated(farm, msg.sender, name);
    }

    /// @inheritdoc INodes
    function transferFarm(uint32 farm, address owner) external {
        _onlyFarmOwner(farm);
        require(owner != address(0), FarmOwnerZero(farm));
        _farms[SafeCast.toUint24(farm)].owner = owner;
        emit FarmOwnerChanged(farm, msg.sender, owner);
    }

    /// @inheritdoc INodes
    function sponsor(uint32 farm, address account, uint128 stake) external payable {
        _onlyFarmOwner(farm);
        bool known = account == address(0) || _nodeOf[account] != 0 || _sponsorships[account].farm != 0;
        require(!known, NodeAlreadyKnown(account));

        _sponsorships[account] = Sponsorship(SafeCast.toUint24(farm), stake);
        emit NodeSponsored(farm, account, stake);

        _token.safeTransferFrom(msg.sender, address(this), stake);
        if (msg.value != 0) {
            // The account is the farm's choice and is called last, with everything above in place.
            // solhint-disable-next-line avoid-low-level-calls
            (bool forwarded,) = account.call{value: msg.value}("");
            require(forwarded, NodeGasNotForwarded(account, msg.value));
        }
    }

    /// @inheritdoc INodes
    function unsponsor(uint32 farm, address account) external {
        _onlyFarmOwner(farm);
        Sponsorship memory sponsorship = _sponsorships[account];
        require(sponsorship.farm == farm, NodeNotSponsored(account, farm));

        delete _sponsorships[account];
        emit SponsorshipEnded(farm, account, sponsorship.stake);

        _token.safeTransfer(msg.sender, sponsorship.stake);
    }

    // A node's own acts

    /// @inheritdoc INodes
    function register(
        bytes calldata publicKey,
        bytes calldata sealingKey,
        Offer calldata offer,
        string[] calldata addresses
    ) external returns (uint32 node) {
        Sponsorship memory sponsorship = _sponsorships[msg.sender];
        require(sponsorship.farm != 0, NodeNotSponsored(msg.sender, 0));
        address keyAccount = address(uint160(uint256(keccak256(publicKey)))); // cuts: a hash
        require(
            publicKey.length == PUBLIC_KEY_BYTES && keyAccount == msg.sender,
            NodeKeyMismatch(msg.sender, keyAccount)
        );
        require(
            sealingKey.length == SEALING_KEY_BYTES, NodeSealingKeyLength(sealingKey.length, SEALING_KEY_BYTES)
        );
        _checkOffer(offer, sponsorship.stake);

        node = ++_nodeCount;
        delete _sponsorships[msg.sender];
        _nodeOf[msg.sender] = node;
        _hot[node] = Hot({
            state: NodeState.Active,
            flags: 0,
            farm: sponsorship.farm,
            capacityBytes: SafeCast.toUint56(offer.capacityBytes),
            usedBytes: 0,
            pricePerGibSecond: SafeCast.toUint64(offer.pricePerGibSecond),
            lastHeartbeat: SafeCast.toUint40(block.timestamp)
        });
        _cold[node] = Cold({
            stake: sponsorship.stake,
            registeredAt: SafeCast.toUint40(block.timestamp),
            usedSince: 0,
            account: msg.sender,
            maintenanceFrom: 0,
            maintenanceUntil: 0,
            keys: CodeStore.write(abi.encodePacked(publicKey, sealingKey)),
            feePerDay: SafeCast.toUint64(_policy.value(Parameter.NodeFeePerDay)),
            addresses: _storeAddresses(addresses),
            drainingSince: 0
        });
        ++_registryVersion;
        emit NodeRegistered(node, sponsorship.farm, msg.sender);
    }

    /// @inheritdoc INodes
    function setOffer(Offer calldata offer) external {
        uint32 node = _ownNode();
        _checkOffer(offer, _cold[node].stake);
        Hot storage hot = _hot[node];
        require(
            offer.capacityBytes >= hot.usedBytes, NodeCapacityInUse(node, offer.capacityBytes, hot.usedBytes)
        );
        hot.capacityBytes = SafeCast.toUint56(offer.capacityBytes);
        hot.pricePerGibSecond = SafeCast.toUint64(offer.pricePerGibSecond);
        hot.flags &= ~UNDERSTAKED;
        _changed(node);
    }

    /// @inheritdoc INodes
    function setResources(Resources calldata resources) external {
        uint32 node = _ownNode();
        _checkPrice(resources.pricePerCoreSecond, Parameter.MaxPricePerCoreSecond);
        _checkPrice(resources.pricePerMemoryGibSecond, Parameter.MaxPricePerMemoryGibSecond);
        _checkPrice(resources.pricePerEgressGib, Parameter.MaxPricePerEgressGib);
        _resources[node] = resources;
        _changed(node);
    }

    /// @inheritdoc INodes
    function setAddresses(string[] calldata addresses) external {
        uint32 node = _ownNode();
        _cold[node].addresses = _storeAddresses(addresses);
        _changed(node);
    }

    /// @inheritdoc INodes
    function heartbeat() external {
        uint32 node = _ownNode();
        _beat(node, _policy.lateSeconds());
    }

    // Acts of the farm

    /// @inheritdoc INodes
    function setReporter(uint32 farm, address reporter) external {
        _onlyFarmOwner(farm);
        _farms[SafeCast.toUint24(farm)].reporter = reporter;
        emit FarmReporterChanged(farm, reporter);
    }

    /// @inheritdoc INodes
    function heartbeats(uint32 farm, uint32[] calldata groups, uint208[] calldata members) external {
        require(groups.length == members.length, NodeBatchLength(groups.length, members.length));
        Farm storage own = _farms[SafeCast.toUint24(farm)];
        bool allowed = farm <= _farmCount && (msg.sender == own.owner || msg.sender == own.reporter);
        require(allowed, FarmNotOwner(farm, msg.sender));
        uint64 lateSeconds = _policy.lateSeconds();
        for (uint256 i = 0; i < groups.length; ++i) {
            _beatGroup(SafeCast.toUint24(farm), groups[i], members[i], lateSeconds);
        }
    }

    // Acts of the node or of its farm's owner

    /// @inheritdoc INodes
    function announceMaintenance(uint32 node, uint64 from, uint64 until) external {
        _onlyController(node);
        Cold storage cold = _cold[node];
        uint256 last = cold.maintenanceUntil;
        bool early = from >= block.timestamp + MAINTENANCE_NOTICE;
        bool short = until > from && until - from <= MAINTENANCE_MAX && until <= type(uint40).max;
        bool apart = last == 0 || from >= last + MAINTENANCE_APART;
        // Only one is remembered, so what the last one excuses must be judged before the next takes its place.
        bool over = last == 0 || (last < block.timestamp && last < _audits.judgedUntil());
        require(early && short && apart && over, NodeMaintenanceInvalid(node, from, until));
        cold.maintenanceFrom = SafeCast.toUint40(from);
        cold.maintenanceUntil = SafeCast.toUint40(until);
        ++_registryVersion;
        emit NodeMaintenance(node, from, until);
    }

    /// @inheritdoc INodes
    function addStake(uint32 node, uint128 amount) external {
        NodeState state = _hot[node].state;
        require(state == NodeState.Active || state == NodeState.Draining, NodeClosed(node, state));
        _setStake(node, SafeCast.toUint128(uint256(_cold[node].stake) + amount));
        _token.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc INodes
    function setDraining(uint32 node, bool draining) external {
        _onlyController(node);
        NodeState state = _hot[node].state;
        require(state != NodeState.Exited, NodeClosed(node, state));
        if (draining != (state == NodeState.Draining)) {
            _hot[node].state = draining ? NodeState.Draining : NodeState.Active;
            _cold[node].drainingSince = draining ? SafeCast.toUint40(block.timestamp) : 0;
        }
        _changed(node);
    }

    /// @inheritdoc INodes
    function exit(uint32 node) external {
        _onlyController(node);
        Hot storage hot = _hot[node];
        require(
            hot.state == NodeState.Draining && hot.usedBytes == 0, NodeNotEmpty(node, hot.state, hot.usedBytes)
        );
        require(_audits.isQuit(node, _cold[node].usedSince), NodeNotJudged(node, _cold[node].usedSince));
        uint256 fee = _feeDue(node);
        uint256 rest = _cold[node].stake - fee;
        _leave(node);
        _token.safeTransfer(_farms[hot.farm].owner, rest);
        if (fee != 0) _token.safeTransfer(Ownable(address(_policy)).owner(), fee);
    }

    /// @inheritdoc INodes
    function evict(uint32 node) external {
        Hot memory hot = _hot[node];
        bool open = hot.state == NodeState.Active || hot.state == NodeState.Draining;
        require(open && hot.usedBytes == 0, NodeNotEmpty(node, hot.state, hot.usedBytes));
        uint256 stake = _cold[node].stake;
        uint256 fee = _feeDue(node);
        require(fee == stake, NodeStakeLeft(node, stake - fee));
        _leave(node);
        _token.safeTransfer(Ownable(address(_policy)).owner(), stake);
    }

    // For the order book

    /// @inheritdoc INodeLedger
    function lock(SlotRequest[] calldata slots, uint64 maxPricePerGibSecond, uint64 lateSeconds)
        external
        onlyOrders
        returns (Locked[] memory locked)
    {
        locked = new Locked[](slots.length);
        for (uint256 i = 0; i < slots.length; ++i) {
            uint32 node = slots[i].node;
            uint256 asked = slots[i].sizeBytes;
            Hot memory hot = _hot[node];
            require(hot.state == NodeState.Active, NodeClosed(node, hot.state));
            require(hot.flags & UNDERSTAKED == 0, NodeUnderstaked(node));
            uint40 last = _lastHeartbeat(node, hot);
            require(!_isLate(last, lateSeconds), NodeNotAlive(node, last));
            require(
                hot.pricePerGibSecond <= maxPricePerGibSecond,
                NodePriceAboveCap(hot.pricePerGibSecond, maxPricePerGibSecond)
            );
            uint256 free = hot.capacityBytes - hot.usedBytes;
            uint256 taken = _whole(asked);
            require(taken <= free, NodeFull(node, asked, free));
            // Rounded up, so that no slot of a node that has a price is free. Below 2^56 * 2^64, so it cannot overflow.
            uint256 rate = (asked * hot.pricePerGibSecond + GIB - 1) / GIB;
            require(rate <= type(uint64).max, NodeRateTooHigh(node, rate));

            _hot[node].usedBytes = hot.usedBytes + SafeCast.toUint56(taken);
            if (hot.usedBytes == 0) _cold[node].usedSince = SafeCast.toUint40(block.timestamp);
            locked[i] = Locked(SafeCast.toUint64(rate), hot.farm);
        }
    }

    /// @inheritdoc INodeLedger
    function unlock(SlotRequest[] calldata slots) external onlyOrders {
        for (uint256 i = 0; i < slots.length; ++i) {
            uint32 node = slots[i].node;
            if (slots[i].sizeBytes == 0) continue; // its node gave notice and had its bytes back
            uint56 left = _hot[node].usedBytes - SafeCast.toUint56(_whole(slots[i].sizeBytes));
            _hot[node].usedBytes = left;
            if (left == 0) _cold[node].usedSince = SafeCast.toUint40(block.timestamp);
        }
    }

    /// @inheritdoc INodeLedger
    function earned(Span[] calldata spans, uint64 lateSeconds, bool isFinal)
        external
        view
        returns (Earned[] memory result)
    {
        uint64 judged = isFinal ? type(uint64).max : _audits.judgedUntil();
        result = new Earned[](spans.length);
        for (uint256 i = 0; i < spans.length; ++i) {
            result[i] = _earned(spans[i], _hot[spans[i].node], lateSeconds, judged, isFinal);
        }
    }

    /// @inheritdoc INodeLedger
    function pulse(uint32 node) external view returns (NodeState state, uint64 silentSince) {
        Hot memory hot = _hot[node];
        Cold storage cold = _cold[node];
        uint40 last = _lastHeartbeat(node, hot);
        bool excused = block.timestamp >= cold.maintenanceFrom && last + _policy.lateSeconds() >= cold.maintenanceFrom;
        return (hot.state, excused ? SafeCast.toUint64(Math.max(last, cold.maintenanceUntil)) : last);
    }

    /// @inheritdoc INodeLedger
    function mayResign(uint32 node, address caller) external view returns (bool) {
        Hot memory hot = _hot[node];
        Cold storage cold = _cold[node];
        bool speaks = caller == cold.account || caller == _farms[hot.farm].owner;
        uint256 from = cold.drainingSince + _policy.value(Parameter.NoticeSeconds);
        return speaks && hot.state == NodeState.Draining && block.timestamp >= from;
    }

    /// @inheritdoc INodeLedger
    function lastHeartbeats(uint32[] calldata which) external view returns (uint64[] memory times) {
        times = new uint64[](which.length);
        for (uint256 i = 0; i < which.length; ++i) {
            times[i] = _lastHeartbeat(which[i], _hot[which[i]]);
        }
    }

    // For the audits

    /// @inheritdoc INodeLedger
    function slash(uint32 node, uint256 basisPoints) external onlyAudits returns (uint256 taken) {
        uint128 stake = _cold[node].stake;
        taken = Math.mulDiv(stake, basisPoints, BASIS_POINTS);
        emit NodeSlashed(node, taken);
        _setStake(node, stake - SafeCast.toUint128(taken));
        _token.safeTransfer(msg.sender, taken);
    }

    /// @inheritdoc INodeLedger
    function recordMiss(uint32 node, uint64 from, uint64 until) external onlyAudits returns (bool done) {
        Hot memory hot = _hot[node];
        uint40 last = _lastHeartbeat(node, hot);
        if (until > last && !_isLate(last, _policy.lateSeconds())) return false;
        _lives[node].addMiss(SafeCast.toUint40(from), SafeCast.toUint40(until), last);
        _hot[node].flags = hot.flags | HAS_DIED;
        emit NodeMissed(node, from, until);
        return true;
    }

    /// @inheritdoc INodeLedger
    function auditee(uint32 node) external view returns (Auditee memory) {
        Hot memory hot = _hot[node];
        Cold storage cold = _cold[node];
        return Auditee({
            account: cold.account,
            owner: _farms[hot.farm].owner,
            farm: hot.farm,
            state: hot.state,
            usedBytes: hot.usedBytes,
            usedSince: cold.usedSince,
            maintenanceFrom: cold.maintenanceFrom,
            maintenanceUntil: cold.maintenanceUntil
        });
    }

    // Views

    /// @inheritdoc INodes
    function resourcesOf(uint32 node) external view returns (Resources memory) {
        return _resources[node];
    }

    /// @inheritdoc INodes
    function registryVersion() external view returns (uint64) {
        return _registryVersion;
    }

    /// @inheritdoc INodes
    function nodeCount() external view returns (uint32) {
        return _nodeCount;
    }

    /// @inheritdoc INodes
    function farmCount() external view returns (uint32) {
        return _farmCount;
    }

    /// @inheritdoc INodes
    function farmOf(uint32 node) external view returns (uint32) {
        return _hot[node].farm;
    }

    /// @inheritdoc INodes
    function nodeOf(address account) external view returns (uint32) {
        return _nodeOf[account];
    }

    /// @inheritdoc INodes
    function farmSponsoring(address account) external view returns (uint32 farm, uint128 stake) {
        return (_sponsorships[account].farm, _sponsorships[account].stake);
    }

    /// @inheritdoc INodes
    function feeDue(uint32 node) external view returns (uint256) {
        return _feeDue(node);
    }

    /// @inheritdoc INodes
    function nodes(uint32 from, uint32 limit) external view returns (NodeView[] memory views) {
        uint256 count = _pageLength(from, limit, _nodeCount);
        views = new NodeView[](count);
        for (uint256 i = 0; i < count; ++i) {
            views[i] = _view(SafeCast.toUint32(from + i));
        }
    }

    /// @inheritdoc INodes
    function farms(uint32 from, uint32 limit) external view returns (FarmView[] memory views) {
        uint256 count = _pageLength(from, limit, _farmCount);
        views = new FarmView[](count);
        for (uint256 i = 0; i < count; ++i) {
            Farm storage farm = _farms[SafeCast.toUint24(from + i)];
            views[i] = FarmView(SafeCast.toUint32(from + i), farm.owner, farm.name);
        }
    }

    /// @inheritdoc INodes
    function isAlive(uint32 node) external view returns (bool) {
        Hot memory hot = _hot[node];
        bool open = hot.state == NodeState.Active || hot.state == NodeState.Draining;
        return open && !_isLate(_lastHeartbeat(node, hot), _policy.lateSeconds());
    }

    /// @inheritdoc INodes
    function maintenanceOf(uint32 node) external view returns (uint64 from, uint64 until) {
        return (_cold[node].maintenanceFrom, _cold[node].maintenanceUntil);
    }

    /// @inheritdoc INodes
    function reporterOf(uint32 farm) external view returns (address) {
        return farm <= _farmCount ? _farms[SafeCast.toUint24(farm)].reporter : address(0);
    }

    // Rules

    function _onlyFarmOwner(uint32 farm) private view {
        bool owns = farm <= _farmCount && _farms[SafeCast.toUint24(farm)].owner == msg.sender;
        require(owns, FarmNotOwner(farm, msg.sender));
    }

    function _onlyController(uint32 node) private view {
        uint24 farm = _hot[node].farm;
        require(farm != 0, NodeMissing(node));
        require(
            msg.sender == _cold[node].account || msg.sender == _farms[farm].owner,
            NodeNotController(node, msg.sender)
        );
    }

    function _ownNode() private view returns (uint32 node) {
        node = _nodeOf[msg.sender];
        require(node != 0, NodeUnknown(msg.sender));
    }

    function _checkOffer(Offer calldata offer, uint256 stake) private view {
        uint256 capacity = offer.capacityBytes;
        require(
            capacity != 0 && capacity <= type(uint56).max, NodeCapacityOutOfRange(capacity, type(uint56).max)
        );
        _checkPrice(offer.pricePerGibSecond, Parameter.MaxPricePerGibSecond);
        uint256 needed = _neededStake(capacity, offer.pricePerGibSecond);
        require(stake >= needed, NodeStakeTooLow(stake, needed));
    }

    function _checkPrice(uint256 price, Parameter parameter) private view {
        uint256 cap = _policy.value(parameter);
        require(price <= cap, NodePriceAboveCap(price, cap));
    }

    /// @dev For the bytes, and for what they could earn: a stake of hours of revenue would be worth losing.
    function _neededStake(uint256 capacity, uint256 price) private view returns (uint256) {
        uint256 revenue = price * _policy.value(Parameter.StakeSeconds);
        uint256 perGib = Math.max(_policy.value(Parameter.StakePerGib), revenue);
        uint256 ofBytes = Math.mulDiv(capacity, perGib, GIB, Math.Rounding.Ceil);
        return Math.max(ofBytes, _policy.value(Parameter.MinNodeStake));
    }

    /// @dev What being listed has cost so far, at most the stake.
    function _feeDue(uint32 node) private view returns (uint256) {
        Cold storage cold = _cold[node];
        return Math.min(cold.stake, cold.feePerDay * (block.timestamp - cold.registeredAt) / 1 days);
    }

    function _leave(uint32 node) private {
        _hot[node].state = NodeState.Exited;
        _cold[node].stake = 0;
        delete _nodeOf[_cold[node].account];
        _changed(node);
    }

    function _setStake(uint32 node, uint128 stake) private {
        _cold[node].stake = stake;
        Hot storage hot = _hot[node];
        if (stake < _neededStake(hot.capacityBytes, hot.pricePerGibSecond)) hot.flags |= UNDERSTAKED;
        else hot.flags &= ~UNDERSTAKED;
        _changed(node);
    }

    function _storeAddresses(string[] calldata addresses) private returns (address) {
        bool valid = addresses.length <= MAX_ADDRESSES;
        for (uint256 i = 0; valid && i < addresses.length; ++i) {
            uint256 length = bytes(addresses[i]).length;
            valid = length != 0 && length <= MAX_ADDRESS_BYTES;
        }
        require(valid, NodeAddressesInvalid(addresses.length, MAX_ADDRESSES, MAX_ADDRESS_BYTES));
        return CodeStore.write(abi.encode(addresses));
    }

    function _changed(uint32 node) private {
        ++_registryVersion;
        emit NodeChanged(node);
    }

    // Time

    /// @dev The later of the node's own heartbeat and of the batch that speaks for it.
    function _lastHeartbeat(uint32 node, Hot memory hot) private view returns (uint40) {
        if (hot.flags & BATCHED == 0) return hot.lastHeartbeat;
        return SafeCast.toUint40(Math.max(hot.lastHeartbeat, _batches[hot.farm][node / GROUP_NODES].time));
    }

    /// @dev Records the silence before this heartbeat if it was too long.
    function _beat(uint32 node, uint64 lateSeconds) private {
        Hot memory hot = _hot[node];
        uint40 last = _lastHeartbeat(node, hot);
        uint40 time = SafeCast.toUint40(block.timestamp);
        if (_isLate(last, lateSeconds)) {
            _lives[node].addGap(last, time);
            hot.flags |= HAS_DIED;
        }
        hot.lastHeartbeat = time;
        _hot[node] = hot;
    }

    /// @dev Only nodes that join or leave are touched, and all of them when the batch itself is late.
    function _beatGroup(uint24 farm, uint32 group, uint208 members, uint64 lateSeconds) private {
        Batch memory last = _batches[farm][group];
        uint208 leaving = last.members & ~members;
        uint208 touched = _isLate(last.time, lateSeconds) ? members : members & ~last.members;
        for (uint32 bit = 0; (leaving | touched) >> bit != 0; ++bit) {
            uint32 node = group * GROUP_NODES + bit;
            if ((leaving >> bit) & 1 == 1) {
                Hot memory hot = _hot[node];
                hot.lastHeartbeat = _lastHeartbeat(node, hot);
                hot.flags &= ~BATCHED;
                _hot[node] = hot;
            } else if ((touched >> bit) & 1 == 1) {
                NodeState state = _hot[node].state;
                bool open = state == NodeState.Active || state == NodeState.Draining;
                require(open && _hot[node].farm == farm, NodeNotOfFarm(node, farm));
                _beat(node, lateSeconds);
                _hot[node].flags |= BATCHED;
            }
        }
        _batches[farm][group] = Batch(SafeCast.toUint40(block.timestamp), members);
    }

    /// @dev What a slot takes of its node: whole units, so that a node can never stand for more units than it has
    /// locked.
    function _whole(uint256 sizeBytes) private pure returns (uint256) {
        return (sizeBytes + UNIT_BYTES - 1) / UNIT_BYTES * UNIT_BYTES;
    }

    function _isLate(uint256 lastHeartbeat, uint256 lateSeconds) private view returns (bool) {
        return block.timestamp > lastHeartbeat + lateSeconds;
    }

    /// @dev Up to the last heartbeat all is known that is judged. Behind it: dead if the node is late; else it waits,
    /// or, at the end of a slot, the node has the benefit of the doubt, so that nobody is served free by leaving
    /// between heartbeats or before an audit is judged.
    function _earned(Span calldata span, Hot memory hot, uint64 lateSeconds, uint64 judged, bool isFinal)
        private
        view
        returns (Earned memory)
    {
        uint40 last = _lastHeartbeat(span.node, hot);
        uint64 decided = SafeCast.toUint64(Math.max(span.from, Math.min(span.to, judged)));
        uint64 known = SafeCast.toUint64(Math.min(decided, Math.max(span.from, last)));
        uint64 alive = known - span.from;
        if (hot.flags & HAS_DIED != 0) alive = SafeCast.toUint64(_lives[span.node].alive(span.from, known));
        uint64 until = known;
        if (_isLate(last, lateSeconds)) {
            until = decided;
        } else if (isFinal) {
            alive += decided - known;
            until = decided;
        }
        return Earned(until, alive, _farms[hot.farm].owner);
    }

    // Reading

    function _pageLength(uint256 from, uint256 limit, uint256 count) private pure returns (uint256) {
        if (from == 0 || from > count) return 0;
        return Math.min(limit, count - from + 1);
    }

    function _view(uint32 node) private view returns (NodeView memory result) {
        Hot memory hot = _hot[node];
        Cold memory cold = _cold[node];
        result.id = node;
        result.farm = hot.farm;
        result.account = cold.account;
        result.state = hot.state;
        result.capacityBytes = hot.capacityBytes;
        result.usedBytes = hot.usedBytes;
        result.pricePerGibSecond = hot.pricePerGibSecond;
        result.stake = cold.stake;
        result.registeredAt = cold.registeredAt;
        result.lastHeartbeat = _lastHeartbeat(node, hot);
        Lifetime.Log storage life = _lives[node];
        result.aliveSeconds = result.lastHeartbeat - cold.registeredAt - life.gapSeconds - life.missSeconds;
        (result.publicKey, result.sealingKey) = _splitKeys(CodeStore.read(cold.keys));
        result.addresses = abi.decode(CodeStore.read(cold.addresses), (string[]));
    }

    function _splitKeys(bytes memory keys) private pure returns (bytes memory publicKey, bytes memory sealingKey) {
        publicKey = new bytes(PUBLIC_KEY_BYTES);
        sealingKey = new bytes(SEALING_KEY_BYTES);
        for (uint256 i = 0; i < PUBLIC_KEY_BYTES; ++i) {
            publicKey[i] = keys[i];
        }
        for (uint256 i = 0; i < SEALING_KEY_BYTES; ++i) {
            sealingKey[i] = keys[PUBLIC_KEY_BYTES + i];
        }
    }
}
