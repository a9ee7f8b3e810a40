// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IEscrowLedger} from "./interfaces/IEscrowLedger.sol";
import {Earned, INodeLedger, Locked, Span} from "./interfaces/INodeLedger.sol";
import {INodes, NodeState} from "./interfaces/INodes.sol";
import {
    IOrders,
    OrderKind,
    OrderState,
    OrderView,
    SlotFacts,
    SlotRequest,
    SlotView
} from "./interfaces/IOrders.sol";
import {IPolicy, OrderTerms, Parameter} from "./interfaces/IPolicy.sol";
import {ISpecRules} from "./interfaces/ISpecRules.sol";
import {MountSpec, VolumeSpec} from "./interfaces/Specs.sol";
import {CodeStore} from "./libraries/CodeStore.sol";

/// @dev A {Orders.Slot} in one word, packed by hand so that it is written by one store instead of one a field:
/// node 32, sizeBytes 64, generation 16, assignedAt 40, settledAt 40, ratePerSecond 64 bits, from the lowest.
type SlotWord is uint256;

/// @title Orders: what tenants want, where, and until when it is paid.
/// @dev Invariants:
/// - state: None -> Live -> (Suspended <-> Live) -> Ended; Ended is final. The state is computed from the times stored
///   and the time of the block, so it is right in a call at any block although nobody sent a transaction;
/// - money: an order holds exactly the sum over its slots of rate * (paidUntil + grace - settledAt), a streaming one
///   rate * (min(now, paidUntil) + grace - settledAt): the grace, in which nodes keep its bytes, is paid from the
/// start;
///   what leaves it goes to the farm of the slot (seconds alive) or back to the tenant (seconds dead, or not to be paid
///   any more), to the last unit;
/// - price: a writer can never lift a slot above twice the price that its tenant last agreed to, however often it
/// moves;
/// - capacity: a slot's bytes are locked on exactly one node from `place` or `replace` until `replace` or release;
/// - dispersal: unless its spec says otherwise, no two data slots and no two metadata slots of a volume share a farm;
/// - every change emits one event, and `sequence` counts them without gap;
/// - the spec of order n is the code of the nth contract made here, and never changes.
contract Orders is IOrders {
    /// @dev Two words. Times are seconds since 1970. While it streams, `paidUntil` is the epoch of its tenant's stream.
    struct Order {
        address tenant;
        OrderKind kind;
        uint8 flags;
        uint16 slotCount;
        uint40 placedAt;
        uint24 graceSeconds;
        uint72 ratePerSecond;
        uint40 paidUntil;
        uint40 endedAt;
        uint32 writerEpoch;
        uint64 parent;
        bool released;
    }

    /// @dev A slot as it is worked with; `resigned` is the highest bit of the size: its node gave notice, has its
    /// bytes back and earns nothing, until the slot is moved; stored as one {SlotWord}. All before `settledAt` is paid
    /// or refunded.
    struct Slot {
        uint32 node;
        uint64 sizeBytes;
        uint16 generation;
        uint40 assignedAt;
        uint40 settledAt;
        uint64 ratePerSecond;
        bool resigned;
    }

    /// @dev What reading a spec yields for placing it.
    struct Shape {
        uint256 slotCount;
        uint256 dataSlots;
        uint8 flags;
    }

    uint8 private constant READ_ONLY = 1;
    uint8 private constant SAME_FARM = 2;
    uint8 private constant STREAMS = 4;
    uint64 private constant RESIGNED = 1 << 63;

    /// @dev Read in one call with the volume; more readers of one volume than this are better served by datasets.
    uint256 private constant MAX_MOUNTS = 256;

    /// @dev Bounds what a writer that colludes with a farm can spend of a tenant's money.
    uint256 private constant MAX_REPLACEMENT_FACTOR = 2;

    IPolicy private immutable _policy;
    address private immutable _nodes;
    IEscrowLedger private immutable _escrow;
    ISpecRules private immutable _rules;
    /// @dev Says for whom it acts in the last 20 bytes of the calldata.
    address private immutable _desk;

    uint64 private _orderCount;
    uint64 private _sequence;
    mapping(uint64 order => Order) private _orders;
    mapping(uint256 orderAndSlot => SlotWord) private _slots;
    /// @dev Price a second that the tenant last agreed to, of slots that a writer has moved since; else the slot's own.
    mapping(uint256 orderAndSlot => uint64) private _agreedRates;
    mapping(uint64 volume => uint64[] mounts) private _mounts;
    mapping(bytes32 nodeAndName => uint64 mount) private _mountNamed;

    /// @param policy Limits and grace.
    /// @param nodes The registry, wired to this contract.
    /// @param escrow The money, wired to this contract.
    /// @param rules Which specs are well-formed.
    /// @param desk Brings acts of others, wired to this contract.
    constructor(
        IPolicy policy,
        address nodes,
        IEscrowLedger escrow,
        ISpecRules rules,
        address desk
    ) {
        _policy = policy;
        _nodes = nodes;
        _escrow = escrow;
        _rules = rules;
        _desk = desk;
    }

    // Placing

    /// @inheritdoc IOrders
    function place(
        OrderKind kind,
        uint64 parent,
        bytes calldata spec,
        SlotRequest[] calldata slots,
        uint64 seconds_,
        uint96 maxRatePerSecond
    ) external returns (uint64 order) {
        OrderTerms memory terms = _policy.orderTerms();
        require(block.timestamp >= terms.pausedUntil, OrderPaused(terms.pausedUntil));
        require(terms.workloadsAllowed & (1 << uint256(kind)) != 0, OrderKindNotAllowed(kind));
        require(
            seconds_ == 0 || (seconds_ >= terms.minSeconds && seconds_ <= terms.maxSeconds),
            OrderDurationOutOfRange(seconds_, terms.minSeconds, terms.maxSeconds)
        );
        order = ++_orderCount;
        Shape memory shape = _shape(kind, order, parent, spec, slots);
        require(slots.length == shape.slotCount, OrderSlotCount(slots.length, shape.slotCount));
        require(slots.length <= terms.maxSlots, OrderTooManySlots(slots.length, terms.maxSlots));

        uint256 rate = _assign(order, slots, shape, terms);
        require(rate <= maxRatePerSecond, OrderRateAboveLimit(rate, maxRatePerSecond));
        _orders[order] = Order({
            tenant: _actor(),
            kind: kind,
            flags: shape.flags,
            slotCount: SafeCast.toUint16(slots.length),
            placedAt: SafeCast.toUint40(block.timestamp),
            graceSeconds: SafeCast.toUint24(terms.graceSeconds),
            ratePerSecond: SafeCast.toUint72(rate),
            paidUntil: SafeCast.toUint40(block.timestamp + seconds_),
            endedAt: 0,
            writerEpoch: 0,
            parent: parent,
            released: false
        });
        CodeStore.write(spec);
        emit OrderPlaced(++_sequence, order, _actor(), kind);
        if (seconds_ == 0) _startStream(order, rate, terms);
        else _escrow.hold(_actor(), _actor(), rate * (seconds_ + terms.graceSeconds));
    }

    // Living

    /// @inheritdoc IOrders
    function extend(uint64 order, uint64 seconds_) external {
        Order storage head = _orders[order];
        _onlyOpen(order, head);
        require(head.flags & STREAMS == 0, OrderStreams(order));
        uint256 until = uint256(head.paidUntil) + seconds_;
        uint256 limit = block.timestamp + _policy.value(Parameter.MaxSeconds);
        require(
            seconds_ != 0 && until <= limit,
            OrderDurationOutOfRange(seconds_, 1, Math.saturatingSub(limit, head.paidUntil))
        );
        head.paidUntil = SafeCast.toUint40(until);
        emit OrderExtended(++_sequence, order, SafeCast.toUint64(until));
        _escrow.hold(_actor(), head.tenant, uint256(head.ratePerSecond) * seconds_);
    }

    /// @inheritdoc IOrders
    function cancel(uint64 order) external {
        Order storage head = _orders[order];
        require(head.tenant == _actor(), OrderNotTenant(order, _actor()));
        _onlyOpen(order, head);
        uint40 end = SafeCast.toUint40(Math.min(block.timestamp, _end(head)));
        uint256 unused = 0;
        if (head.flags & STREAMS != 0) {
            _stopStream(head, end);
        } else {
            unused = uint256(head.ratePerSecond) * (head.paidUntil - end);
            head.paidUntil = end;
        }
        head.endedAt = end;
        uint256 refund = _settleSlots(order, head, unused, _isOver(head));
        emit OrderCancelled(++_sequence, order, refund);
    }

    /// @inheritdoc IOrders
    function settle(uint64 order) external {
        Order storage head = _orders[order];
        OrderState state = _state(head);
        require(state != OrderState.None, OrderUnknown(order));
        if (head.released) return;
        if (state == OrderState.Ended && head.endedAt == 0) {
            if (head.flags & STREAMS != 0) _stopStream(head, _end(head));
            head.endedAt = head.paidUntil;
        }
        bool isOver = _isOver(head);
        _settleSlots(order, head, 0, isOver);
        if (isOver) _release(order, head);
    }

    /// @inheritdoc IOrders
    function replace(uint64 order, uint16 slot, uint32 node, uint96 maxRatePerSecond) external {
        Order storage head = _orders[order];
        OrderState state = _state(head);
        require(state == OrderState.Live, OrderWrongState(order, state));
        require(
            head.kind == OrderKind.Store || head.kind == OrderKind.Volume, OrderNotReplaceable(order, head.kind)
        );
        require(slot < head.slotCount, OrderSlotMissing(order, slot));
        Slot memory old = _slot(order, slot);
        require(old.node != node, OrderSlotUnchanged(order, slot, node));
        uint256 maxRate = Math.min(maxRatePerSecond, _maxReplacementRate(order, head.tenant, slot, old));

        Locked memory taken = _lockOne(SlotRequest(node, old.sizeBytes));
        require(taken.ratePerSecond <= maxRate, OrderReplacementTooDear(taken.ratePerSecond, maxRate));
        if (head.flags & SAME_FARM == 0) _checkApart(order, head, slot, taken.farm);
        _move(order, head, slot, node, taken.ratePerSecond);
        emit SlotReplaced(++_sequence, order, slot, old.node, node);
    }

    /// @inheritdoc IOrders
    function resign(uint64 order, uint16 slot) external {
        Order storage head = _orders[order];
        _onlyOpen(order, head);
        require(slot < head.slotCount, OrderSlotMissing(order, slot));
        Slot[] memory old = new Slot[](1);
        old[0] = _slot(order, slot);
        bool may = !old[0].resigned && INodeLedger(_nodes).mayResign(old[0].node, msg.sender);
        require(may, OrderNoticeNotGiven(order, slot, msg.sender));

        (address[] memory payees, uint256[] memory amounts, uint256 refund) = _due(old, _settleableUntil(head), true);
        uint64 rate = old[0].ratePerSecond;
        refund += _reprice(head, uint256(head.ratePerSecond) - rate);
        INodeLedger(_nodes).unlock(_requests(old));
        uint256 key = _key(order, slot);
        if (_agreedRates[key] == 0) _agreedRates[key] = rate;
        old[0].ratePerSecond = 0;
        old[0].settledAt = SafeCast.toUint40(block.timestamp);
        old[0].resigned = true;
        _slots[key] = _pack(old[0]);
        emit SlotReplaced(++_sequence, order, slot, old[0].node, old[0].node);
        _escrow.pay(head.tenant, payees, amounts, refund);
    }

    // Views

    /// @inheritdoc IOrders
    function tenantOf(uint64 order) external view returns (address) {
        return _orders[order].tenant;
    }

    /// @inheritdoc IOrders
    function slotOf(uint64 order, uint16 slot)
        external
        view
        returns (SlotFacts memory)
    {
        Order memory head = _orders[order];
        Slot memory one = _slot(order, slot);
        OrderState state = _state(head);
        uint64 until = state == OrderState.Ended ? _end(head) + head.graceSeconds : type(uint64).max;
        return SlotFacts({
            kind: head.kind,
            state: state,
            tenant: head.tenant,
            node: one.resigned ? 0 : one.node,
            generation: one.generation,
            sizeBytes: one.sizeBytes,
            deletableAt: until
        });
    }

    /// @inheritdoc IOrders
    function writerOf(uint64 mount) external view returns (uint64 volume, uint32 node, uint64 until) {
        Order memory head = _orders[mount];
        if (head.kind != OrderKind.Mount || head.flags & READ_ONLY != 0) return (0, 0, 0);
        return (head.parent, _slot(mount, 0).node, _end(head));
    }

    /// @inheritdoc IOrders
    function registry() external view returns (address) {
        return _nodes;
    }

    /// @inheritdoc IOrders
    function sequence() external view returns (uint64) {
        return _sequence;
    }

    /// @inheritdoc IOrders
    function orderCount() external view returns (uint64) {
        return _orderCount;
    }

    /// @inheritdoc IOrders
    function get(uint64[] calldata ids) external view returns (OrderView[] memory views) {
        views = new OrderView[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            views[i] = _view(ids[i]);
        }
    }

    /// @inheritdoc IOrders
    function paidUntil(uint64 order) external view returns (uint64) {
        return _end(_orders[order]);
    }

    /// @inheritdoc IOrders
    function held(uint64 order) external view returns (uint256 amount) {
        Order memory head = _orders[order];
        if (head.slotCount == 0) return 0;
        Slot[] memory slots = _readSlots(order, head.slotCount);
        Earned[] memory earned = _earned(slots, _settleableUntil(head), _isOver(head));
        uint256 end = _end(head);
        if (head.flags & STREAMS != 0) end = Math.min(end, block.timestamp);
        end += head.graceSeconds;
        for (uint256 i = 0; i < slots.length; ++i) {
            amount += uint256(slots[i].ratePerSecond) * (end - earned[i].until);
        }
    }

    /// @dev The caller, or whoever the desk acts for.
    function _actor() private view returns (address) {
        return msg.sender == _desk ? address(bytes20(msg.data[msg.data.length - 20:])) : msg.sender;
    }

    // Streaming

    /// @dev The grace is that of the tenant's stream, which all its orders share.
    function _startStream(uint64 order, uint256 rate, OrderTerms memory terms) private {
        Order storage head = _orders[order];
        (uint32 epoch, uint24 grace) =
            _escrow.stream(_actor(), rate, SafeCast.toUint24(terms.graceSeconds), terms.minSeconds);
        head.flags |= STREAMS;
        head.paidUntil = epoch;
        head.graceSeconds = grace;
    }

    /// @dev From here on it is like an order that was paid until `end`.
    function _stopStream(Order storage head, uint40 end) private {
        uint32 epoch = SafeCast.toUint32(head.paidUntil);
        head.flags &= ~STREAMS;
        head.paidUntil = end;
        _escrow.restream(head.tenant, epoch, head.ratePerSecond, 0, 0);
    }

    function _end(Order memory head) private view returns (uint40) {
        if (head.flags & STREAMS == 0) return head.paidUntil;
        return _escrow.streamEnd(head.tenant, SafeCast.toUint32(head.paidUntil));
    }

    // Rules of placing

    function _shape(
        OrderKind kind,
        uint64 order,
        uint64 parent,
        bytes calldata spec,
        SlotRequest[] calldata slots
    ) private returns (Shape memory) {
        if (kind == OrderKind.Mount) return _mountShape(order, parent, spec, slots);
        require(parent == 0, OrderParentInvalid(parent));
        if (kind == OrderKind.Volume) return _volumeShape(_rules.readVolume(spec));
        require(kind == OrderKind.Store, OrderKindUnknown(kind));
        _rules.readStore(spec);
        return Shape(1, 1, 0);
    }

    function _volumeShape(VolumeSpec memory spec) private pure returns (Shape memory) {
        uint256 dataSlots = uint256(spec.dataShards) + spec.parityShards;
        return Shape(dataSlots + spec.metaStores, dataSlots, spec.sameFarmAllowed ? SAME_FARM : 0);
    }

    /// @dev Also enters the mount under its volume and under its name, which nothing after this can refuse but a
    /// revert.
    function _mountShape(uint64 order, uint64 parent, bytes calldata spec, SlotRequest[] calldata slots)
        private
        returns (Shape memory)
    {
        MountSpec memory mount = _rules.readMount(spec);
        require(slots.length == 1, OrderSlotCount(slots.length, 1));
        Order storage volume = _orders[parent];
        bool ownVolume = volume.kind == OrderKind.Volume && volume.tenant == _actor();
        require(ownVolume && _state(volume) == OrderState.Live, OrderParentInvalid(parent));
        require(_mounts[parent].length < MAX_MOUNTS, OrderTooManyMounts(parent, MAX_MOUNTS));

        bytes32 key = keccak256(abi.encode(slots[0].node, mount.name));
        uint64 other = _mountNamed[key];
        bool taken = other != 0 && _state(_orders[other]) != OrderState.Ended;
        require(!taken, OrderMountExists(slots[0].node, mount.name, other));

        _mountNamed[key] = order;
        _mounts[parent].push(order);
        if (!mount.readOnly) ++volume.writerEpoch;
        return Shape(1, 1, mount.readOnly ? READ_ONLY : 0);
    }

    /// @dev Locks the nodes and writes the slots. Returns the sum of their rates.
    function _assign(uint64 order, SlotRequest[] calldata slots, Shape memory shape, OrderTerms memory terms)
        private
        returns (uint256 rate)
    {
        Locked[] memory locked = INodeLedger(_nodes).lock(slots, terms.maxPricePerGibSecond, terms.lateSeconds);
        if (shape.flags & SAME_FARM == 0) {
            _checkDistinctFarms(locked, 0, shape.dataSlots);
            _checkDistinctFarms(locked, shape.dataSlots, slots.length);
        }
        uint40 time = SafeCast.toUint40(block.timestamp);
        for (uint256 i = 0; i < slots.length; ++i) {
            require(slots[i].sizeBytes != 0, OrderSlotEmpty(i));
            Slot memory slot = Slot({
                node: slots[i].node,
                sizeBytes: slots[i].sizeBytes,
                generation: 0,
                assignedAt: time,
                settledAt: time,
                ratePerSecond: locked[i].ratePerSecond,
                resigned: false
            });
            _slots[_key(order, i)] = _pack(slot);
            rate += locked[i].ratePerSecond;
        }
    }

    /// @dev A farm whose bit was not set is new; only on a collision are the earlier ones compared.
    function _checkDistinctFarms(Locked[] memory locked, uint256 from, uint256 to) private pure {
        uint256 seen = 0;
        for (uint256 i = from; i < to; ++i) {
            uint32 farm = locked[i].farm;
            uint256 bit = 1 << (farm % 256);
            if (seen & bit != 0) {
                for (uint256 j = from; j < i; ++j) {
                    require(locked[j].farm != farm, OrderFarmRepeated(farm));
                }
            }
            seen |= bit;
        }
    }

    // Rules of replacing

    /// @dev The tenant agrees to a new price by moving the slot itself; a writer may not spend the tenant's money
    /// freely, and all its moves together not more than one.
    function _maxReplacementRate(uint64 order, address tenant, uint16 slot, Slot memory old)
        private
        returns (uint256)
    {
        uint256 key = _key(order, slot);
        uint64 agreed = _agreedRates[key];
        if (_actor() == tenant) {
            if (agreed != 0) delete _agreedRates[key];
            return type(uint256).max;
        }
        uint32 caller = INodes(_nodes).nodeOf(_actor());
        require(caller != 0 && caller == _writerNode(order), OrderNotRepairer(order, _actor()));
        (NodeState state, uint64 silentSince) = INodeLedger(_nodes).pulse(old.node);
        bool lost = block.timestamp > silentSince + _policy.value(Parameter.LostSeconds);
        require(lost || state == NodeState.Draining, OrderNodeNotLost(old.node, silentSince));
        if (agreed == 0) {
            agreed = old.ratePerSecond;
            _agreedRates[key] = agreed;
        }
        return MAX_REPLACEMENT_FACTOR * agreed;
    }

    /// @dev The node of the newest mount that is live and may write; 0 if there is none.
    function _writerNode(uint64 volume) private view returns (uint32) {
        uint64[] storage mounts = _mounts[volume];
        for (uint256 i = mounts.length; i > 0; --i) {
            Order memory mount = _orders[mounts[i - 1]];
            if (mount.flags & READ_ONLY == 0 && _state(mount) == OrderState.Live) {
                return _slot(mounts[i - 1], 0).node;
            }
        }
        return 0;
    }

    /// @dev No other slot of the same group may stand on `farm`.
    function _checkApart(uint64 order, Order memory head, uint256 slot, uint32 farm) private view {
        if (head.kind != OrderKind.Volume) return;
        uint256 dataSlots = _volumeShape(_rules.readVolume(_spec(order))).dataSlots;
        uint256 from = slot < dataSlots ? 0 : dataSlots;
        uint256 to = slot < dataSlots ? dataSlots : head.slotCount;
        for (uint256 i = from; i < to; ++i) {
            if (i == slot) continue;
            require(INodes(_nodes).farmOf(_slot(order, i).node) != farm, OrderFarmRepeated(farm));
        }
    }

    function _lockOne(SlotRequest memory request) private returns (Locked memory) {
        SlotRequest[] memory one = new SlotRequest[](1);
        one[0] = request;
        OrderTerms memory terms = _policy.orderTerms();
        return INodeLedger(_nodes).lock(one, terms.maxPricePerGibSecond, terms.lateSeconds)[0];
    }

    /// @dev Pays off the old node, hands the slot on, and spreads what is held over the time it now lasts.
    function _move(uint64 order, Order storage head, uint16 slot, uint32 node, uint64 rate) private {
        Slot[] memory old = new Slot[](1);
        old[0] = _slot(order, slot);
        (address[] memory payees, uint256[] memory amounts, uint256 refund) =
            _due(old, SafeCast.toUint40(block.timestamp), true);
        refund += _reprice(head, uint256(head.ratePerSecond) - old[0].ratePerSecond + rate);
        Slot memory moved = Slot({
            node: node,
            sizeBytes: old[0].sizeBytes,
            generation: old[0].generation + 1,
            assignedAt: SafeCast.toUint40(block.timestamp),
            settledAt: SafeCast.toUint40(block.timestamp),
            ratePerSecond: rate,
            resigned: false
        });
        _slots[_key(order, slot)] = _pack(moved);

        INodeLedger(_nodes).unlock(_requests(old));
        _escrow.pay(head.tenant, payees, amounts, refund);
    }

    /// @dev Sets an order's price a second, and returns what it holds too much then. The grace stays paid at any price.
    function _reprice(Order storage head, uint256 newRate) private returns (uint256 refund) {
        uint256 oldRate = head.ratePerSecond;
        uint256 grace = head.graceSeconds;
        head.ratePerSecond = SafeCast.toUint72(newRate);
        if (head.flags & STREAMS != 0) {
            uint256 more = Math.saturatingSub(newRate, oldRate) * grace;
            _escrow.restream(head.tenant, SafeCast.toUint32(head.paidUntil), oldRate, newRate, more);
            return Math.saturatingSub(oldRate, newRate) * grace;
        }
        if (newRate == oldRate) return 0;
        uint256 rest = oldRate * (head.paidUntil + grace - block.timestamp);
        // What costs nothing lasts as long as it was paid for, and all that was paid is given back.
        if (newRate == 0) return rest;
        require(rest >= newRate * grace, OrderRestTooLow(rest, newRate * grace));
        uint256 latest = Math.max(head.paidUntil, block.timestamp + _policy.value(Parameter.MaxSeconds));
        uint256 end = Math.min(block.timestamp + rest / newRate - grace, latest);
        head.paidUntil = SafeCast.toUint40(end);
        return rest - newRate * (end + grace - block.timestamp);
    }

    // Money

    /// @dev Pays and refunds all that is decided of an order; returns the refund, `unused` included.
    function _settleSlots(uint64 order, Order storage head, uint256 unused, bool isFinal)
        private
        returns (uint256 refund)
    {
        Slot[] memory slots = _readSlots(order, head.slotCount);
        uint40[] memory before = new uint40[](slots.length);
        for (uint256 i = 0; i < slots.length; ++i) {
            before[i] = slots[i].settledAt;
        }
        address[] memory payees;
        uint256[] memory amounts;
        (payees, amounts, refund) = _due(slots, _settleableUntil(head), isFinal);
        refund += unused;
        for (uint256 i = 0; i < slots.length; ++i) {
            if (slots[i].settledAt != before[i]) _slots[_key(order, i)] = _pack(slots[i]);
        }
        _escrow.pay(head.tenant, payees, amounts, refund);
    }

    /// @dev What slots have earned up to `to`; moves `settledAt` of the copies in memory.
    function _due(Slot[] memory slots, uint40 to, bool isFinal)
        private
        view
        returns (address[] memory payees, uint256[] memory amounts, uint256 refund)
    {
        Earned[] memory earned = _earned(slots, to, isFinal);
        payees = new address[](slots.length);
        amounts = new uint256[](slots.length);
        for (uint256 i = 0; i < slots.length; ++i) {
            payees[i] = earned[i].payee;
            uint256 back;
            (amounts[i], back) = _take(slots[i], earned[i]);
            refund += back;
        }
    }

    /// @dev What a slot earned, and what goes back for it; moves `settledAt` of the copy in memory.
    function _take(Slot memory slot, Earned memory span) private pure returns (uint256 earned, uint256 back) {
        earned = uint256(slot.ratePerSecond) * span.aliveSeconds;
        back = uint256(slot.ratePerSecond) * (span.until - slot.settledAt - span.aliveSeconds);
        slot.settledAt = SafeCast.toUint40(span.until);
    }

    function _earned(Slot[] memory slots, uint40 to, bool isFinal) private view returns (Earned[] memory) {
        Span[] memory spans = new Span[](slots.length);
        for (uint256 i = 0; i < slots.length; ++i) {
            uint64 from = slots[i].settledAt;
            spans[i] = Span(slots[i].node, from, to > from ? to : from);
        }
        return INodeLedger(_nodes).earned(spans, _policy.lateSeconds(), isFinal);
    }

    function _settleableUntil(Order memory head) private view returns (uint40) {
        return SafeCast.toUint40(Math.min(block.timestamp, uint256(_end(head)) + head.graceSeconds));
    }

    /// @dev Ended, and its data may be deleted.
    function _isOver(Order memory head) private view returns (bool) {
        return _state(head) == OrderState.Ended && block.timestamp >= uint256(_end(head)) + head.graceSeconds;
    }

    /// @dev Gives the nodes their bytes back and forgets the mount under its volume.
    function _release(uint64 order, Order storage head) private {
        head.released = true;
        if (head.kind == OrderKind.Mount) _forgetMount(head.parent, order);
        emit OrderReleased(++_sequence, order);
        INodeLedger(_nodes).unlock(_requests(_readSlots(order, head.slotCount)));
    }

    /// @dev Keeps the order of the others: the newest is last.
    function _forgetMount(uint64 volume, uint64 mount) private {
        uint64[] storage mounts = _mounts[volume];
        uint256 last = mounts.length - 1;
        bool found = false;
        for (uint256 i = 0; i < last; ++i) {
            if (mounts[i] == mount) found = true;
            if (found) mounts[i] = mounts[i + 1];
        }
        mounts.pop();
    }

    // Reading

    function _onlyOpen(uint64 order, Order memory head) private view {
        OrderState state = _state(head);
        require(state == OrderState.Live || state == OrderState.Suspended, OrderWrongState(order, state));
    }

    function _state(Order memory head) private view returns (OrderState) {
        if (head.kind == OrderKind.None) return OrderState.None;
        if (head.endedAt != 0) return OrderState.Ended;
        uint256 end = _end(head);
        if (block.timestamp < end) return OrderState.Live;
        if (block.timestamp < end + head.graceSeconds) return OrderState.Suspended;
        return OrderState.Ended;
    }

    function _key(uint64 order, uint256 slot) private pure returns (uint256) {
        return (uint256(order) << 16) | slot;
    }

    function _pack(Slot memory slot) private pure returns (SlotWord) {
        uint256 word = uint256(slot.ratePerSecond) << 192;
        word |= uint256(slot.settledAt) << 152 | uint256(slot.assignedAt) << 112;
        uint256 size = slot.resigned ? slot.sizeBytes | RESIGNED : slot.sizeBytes;
        word |= uint256(slot.generation) << 96 | size << 32 | slot.node;
        return SlotWord.wrap(word);
    }

    function _slot(uint64 order, uint256 slot) private view returns (Slot memory) {
        uint256 word = SlotWord.unwrap(_slots[_key(order, slot)]);
        return Slot({
            node: uint32(word), // cuts: fields of a packed word
            sizeBytes: uint64(word >> 32) & ~RESIGNED, // cuts: fields of a packed word
            generation: uint16(word >> 96), // cuts: fields of a packed word
            assignedAt: uint40(word >> 112), // cuts: fields of a packed word
            settledAt: uint40(word >> 152), // cuts: fields of a packed word
            ratePerSecond: uint64(word >> 192), // cuts: fields of a packed word
            resigned: (word >> 32) & RESIGNED != 0
        });
    }

    function _readSlots(uint64 order, uint256 count) private view returns (Slot[] memory slots) {
        slots = new Slot[](count);
        for (uint256 i = 0; i < count; ++i) {
            slots[i] = _slot(order, i);
        }
    }

    function _requests(Slot[] memory slots) private pure returns (SlotRequest[] memory requests) {
        requests = new SlotRequest[](slots.length);
        for (uint256 i = 0; i < slots.length; ++i) {
            requests[i] = SlotRequest(slots[i].node, slots[i].resigned ? 0 : slots[i].sizeBytes);
        }
    }

    function _spec(uint64 order) private view returns (bytes memory) {
        return CodeStore.read(CodeStore.addressOf(address(this), order));
    }

    function _view(uint64 order) private view returns (OrderView memory result) {
        Order memory head = _orders[order];
        result.id = order;
        result.state = _state(head);
        if (result.state == OrderState.None) return result;
        result.kind = head.kind;
        result.tenant = head.tenant;
        result.parent = head.parent;
        result.placedAt = head.placedAt;
        result.paidUntil = _end(head);
        if (result.state == OrderState.Ended) {
            result.endedAt = result.paidUntil;
            result.deletableAt = result.endedAt + head.graceSeconds;
        }
        result.writerEpoch = head.writerEpoch;
        result.ratePerSecond = head.ratePerSecond;
        result.spec = _spec(order);
        result.slots = _slotViews(_readSlots(order, head.slotCount));
        result.children = _mounts[order];
    }

    function _slotViews(Slot[] memory slots) private view returns (SlotView[] memory views) {
        uint32[] memory nodes = new uint32[](slots.length);
        for (uint256 i = 0; i < slots.length; ++i) {
            nodes[i] = slots[i].node;
        }
        uint64[] memory seen = INodeLedger(_nodes).lastHeartbeats(nodes);
        views = new SlotView[](slots.length);
        for (uint256 i = 0; i < slots.length; ++i) {
            Slot memory slot = slots[i];
            views[i] = SlotView(slot.node, slot.sizeBytes, slot.assignedAt, seen[i], slot.generation);
        }
    }
}
