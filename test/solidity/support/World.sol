// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Audits} from "../../../contracts/Audits.sol";
import {CapacityVotes} from "../../../contracts/CapacityVotes.sol";
import {Escrow} from "../../../contracts/Escrow.sol";
import {GridToken} from "../../../contracts/GridToken.sol";
import {Nodes} from "../../../contracts/Nodes.sol";
import {OrderDesk} from "../../../contracts/OrderDesk.sol";
import {Orders} from "../../../contracts/Orders.sol";
import {Policy} from "../../../contracts/Policy.sol";
import {SpecRules} from "../../../contracts/SpecRules.sol";
import {DisputeState, DisputeView} from "../../../contracts/interfaces/IAudits.sol";
import {NodeState, NodeView, Offer} from "../../../contracts/interfaces/INodes.sol";
import {OrderKind, OrderState, OrderView, SlotRequest} from "../../../contracts/interfaces/IOrders.sol";
import {Parameter} from "../../../contracts/interfaces/IPolicy.sol";
import {MountSpec, StoreSpec, VolumeSpec} from "../../../contracts/interfaces/Specs.sol";
import {vm} from "./Vm.sol";

/// @title A small grid with everybody in it: tenants, farms, nodes, an attacker, a keeper, the DAO, and time.
/// @dev Every function with a seed is an act that the fuzzer may choose. An act may be refused, but only by a custom
/// error: a panic or an empty revert is a bug and fails the run.
contract World {
    uint256 public constant TENANTS = 3;
    uint256 public constant FARMS = 5;
    uint256 public constant NODES = 7;
    uint256 public constant GIB = 1 << 30;
    uint256 private constant ROUNDS = 20;

    GridToken public token;
    Policy public policy;
    Nodes public nodes;
    Escrow public escrow;
    Audits public audits;
    CapacityVotes public votes;
    Orders public orders;

    address[] public tenants;
    address[] public farmers;
    address[] public accounts;

    /// @dev What each order was seen as last, to check its life.
    mapping(uint64 order => OrderState) public seenState;
    mapping(uint64 order => uint64) public seenEnd;
    mapping(uint64 order => bool) public released;
    uint64 public events;
    uint256 public acts;
    uint256 public refusals;

    constructor() {
        vm.warp(1_000_000);
        token = new GridToken(address(this), 1e27);
        policy = new Policy(address(this), _values());
        audits = new Audits(token, policy);
        nodes = new Nodes(token, policy, audits);
        escrow = new Escrow(token);
        orders = new Orders(policy, address(nodes), escrow, new SpecRules(), address(new OrderDesk()));
        nodes.wire(address(orders));
        escrow.wire(address(orders));
        audits.wire(address(orders));
        votes = new CapacityVotes(token, policy, nodes, audits);
        for (uint256 i = 0; i < TENANTS; ++i) {
            tenants.push(_person(100 + i));
        }
        for (uint256 i = 0; i < FARMS; ++i) {
            farmers.push(_person(200 + i));
            vm.prank(farmers[i]);
            nodes.createFarm("farm");
        }
        for (uint256 i = 0; i < NODES; ++i) {
            _register(i);
        }
    }

    /// @dev One act of somebody, chosen by the seed.
    function act(uint256 seed) external {
        uint256 a = uint256(keccak256(abi.encode(seed, "a")));
        uint256 b = uint256(keccak256(abi.encode(seed, "b")));
        uint256 c = uint256(keccak256(abi.encode(seed, "c")));
        uint256 which = seed % 36;
        if (which < 2) placeStore(a, b, c);
        else if (which < 4) placeVolume(a, b, c);
        else if (which < 6) placeMount(a, b, c);
        else if (which == 6) extend(a, b);
        else if (which == 7) cancel(a);
        else if (which < 10) replace(a);
        else if (which == 10) deposit(a, b);
        else if (which == 11) withdraw(a, b);
        else if (which < 14) settle(a);
        else if (which == 14) heartbeat(a);
        else if (which == 15) heartbeatOfMany(a);
        else if (which < 18) heartbeatOfFarm(a);
        else if (which == 18) setOffer(a, b, c);
        else if (which == 19) drain(a);
        else if (which == 20) exit(a);
        else if (which == 21) attack(a);
        else if (which == 22) pass(a);
        else if (which == 23 && a % 4 == 0) passLong(b);
        else if (which == 23) vote(a, b);
        else if (which < 26) drawEpoch(a);
        else if (which == 26) commit(a, b);
        else if (which < 29) postDigest(a);
        else if (which == 29) postDigests(a);
        else if (which == 30) chooseAggregator(a);
        else if (which == 31) markMissed(a);
        else if (which == 32) challenge(a);
        else if (which == 33) endDispute(a);
        else if (which == 34) takeOut(a);
        else refreshVotes(a);
    }

    // Acts of tenants

    function placeStore(uint256 seed, uint256 size, uint256 time) public {
        address tenant = tenants[seed % TENANTS];
        address[] memory writers = new address[](1);
        bytes memory spec = abi.encode(StoreSpec(1, 0, false, writers, new address[](0)));
        _place(tenant, OrderKind.Store, 0, spec, _slots(1, seed >> 8, size), time);
    }

    function placeVolume(uint256 seed, uint256 size, uint256 time) public {
        bool sameFarm = seed & 1 == 1;
        bytes memory spec = abi.encode(VolumeSpec(1, 2, 1, 2, sameFarm, 1, 0));
        _place(tenants[seed % TENANTS], OrderKind.Volume, 0, spec, _slots(5, seed >> 8, size), time);
    }

    function placeMount(uint256 seed, uint256 size, uint256 time) public {
        uint64 volume = _order(seed >> 8);
        address tenant = _view(volume).tenant;
        if (seed & 7 == 0) tenant = tenants[0];
        bytes memory spec = abi.encode(MountSpec(1, seed & 1 == 1, seed & 2 == 0 ? "a" : "b", hex"01"));
        _place(tenant, OrderKind.Mount, volume, spec, _slots(1, seed >> 16, size), time);
    }

    function extend(uint256 seed, uint256 time) public {
        uint64 order = _order(seed >> 8);
        _act(
            tenants[seed % TENANTS], address(orders), abi.encodeCall(orders.extend, (order, uint64(1 + time % 2000))), 1
        );
    }

    function cancel(uint256 seed) public {
        uint64 order = _order(seed >> 8);
        address by = seed & 3 == 0 ? tenants[0] : _view(order).tenant;
        _act(by, address(orders), abi.encodeCall(orders.cancel, (order)), 1);
    }

    function replace(uint256 seed) public {
        uint64 order = _order(seed >> 8);
        address by = seed & 3 == 0 ? accounts[(seed >> 40) % NODES] : _view(order).tenant;
        uint16 slot = uint16((seed >> 16) % 6);
        uint32 node = uint32(1 + (seed >> 32) % NODES);
        _act(by, address(orders), abi.encodeCall(orders.replace, (order, slot, node, type(uint96).max)), 1);
    }

    function deposit(uint256 seed, uint256 amount) public {
        address by = tenants[seed % TENANTS];
        _act(by, address(escrow), abi.encodeCall(escrow.deposit, (tenants[(seed >> 8) % TENANTS], amount % 1e7)), 0);
    }

    function withdraw(uint256 seed, uint256 amount) public {
        address by = seed & 1 == 0 ? tenants[(seed >> 8) % TENANTS] : farmers[(seed >> 8) % FARMS];
        uint256 free = escrow.freeBalance(by);
        _act(by, address(escrow), abi.encodeCall(escrow.withdraw, (amount % (free + 2))), 0);
    }

    // Acts of keepers, nodes, farmers

    function settle(uint256 seed) public {
        _settle(_order(seed));
    }

    function heartbeat(uint256 seed) public {
        _act(accounts[seed % NODES], address(nodes), abi.encodeCall(nodes.heartbeat, ()), 0);
    }

    function heartbeatOfMany(uint256 seed) public {
        for (uint256 i = 0; i < NODES; ++i) {
            if ((seed >> i) & 1 == 1) {
                _act(accounts[i], address(nodes), abi.encodeCall(nodes.heartbeat, ()), 0);
            }
        }
    }

    /// @dev Farm 1 has nodes 1 and 6, farm 2 has 2 and 7, the others one each; some batches name strangers.
    function heartbeatOfFarm(uint256 seed) public {
        uint32 farm = uint32(1 + seed % FARMS);
        uint32[] memory groups = new uint32[](1);
        uint208[] memory members = new uint208[](1);
        uint256 all = (1 << farm) | (farm <= NODES - FARMS ? 1 << (farm + FARMS) : 0);
        members[0] = uint208((seed >> 8) & (seed & 0xf000 == 0 ? 0xff : all));
        address by = farmers[farm - 1];
        _act(by, address(nodes), abi.encodeCall(nodes.heartbeats, (farm, groups, members)), 0);
    }

    function setOffer(uint256 seed, uint256 capacity, uint256 price) public {
        Offer memory offer = Offer(uint64(capacity % (20 * GIB)), uint96(price % 1200));
        _act(accounts[seed % NODES], address(nodes), abi.encodeCall(nodes.setOffer, (offer)), 0);
    }

    function drain(uint256 seed) public {
        uint32 node = uint32(1 + (seed >> 8) % NODES);
        _act(accounts[node - 1], address(nodes), abi.encodeCall(nodes.setDraining, (node, seed & 3 == 0)), 0);
    }

    function exit(uint256 seed) public {
        uint32 node = uint32(1 + seed % NODES);
        // Rarely, or the world runs out of nodes.
        if (seed & 0xf00 == 0) _act(farmers[(node - 1) % FARMS], address(nodes), abi.encodeCall(nodes.exit, (node)), 0);
    }

    // Acts of audits

    function drawEpoch(uint256 seed) public {
        _act(_anybody(seed), address(audits), abi.encodeCall(audits.draw, ()), 0);
    }

    function commit(uint256 seed, uint256 units) public {
        uint64 count = seed & 0xf00 == 0 ? 0 : uint64(units % (12 * GIB / 32));
        bytes32 root = count == 0 ? bytes32(0) : keccak256(abi.encode(seed));
        _act(accounts[seed % NODES], address(audits), abi.encodeCall(audits.commit, (root, count)), 0);
    }

    function postDigest(uint256 seed) public {
        bytes memory data = abi.encodeCall(audits.postDigest, (audits.epoch(), bytes28(keccak256(abi.encode(seed)))));
        _act(accounts[seed % NODES], address(audits), data, 0);
    }

    function postDigests(uint256 seed) public {
        bytes28 root = bytes28(keccak256(abi.encode(seed)));
        bytes memory data = abi.encodeCall(audits.postDigests, (audits.epoch(), 0, root, seed >> 8));
        _act(farmers[seed % FARMS], address(audits), data, 0);
    }

    function chooseAggregator(uint256 seed) public {
        address aggregator = seed & 0x300 == 0 ? address(0) : farmers[(seed >> 16) % FARMS];
        _act(accounts[seed % NODES], address(audits), abi.encodeCall(audits.setAggregator, (aggregator)), 0);
    }

    function markMissed(uint256 seed) public {
        uint32[] memory all = new uint32[](NODES);
        for (uint256 i = 0; i < NODES; ++i) {
            all[i] = uint32(i + 1);
        }
        uint32 newest = audits.epoch();
        uint32 which = seed & 0xf0 == 0 || newest == 0 ? newest : newest - 1;
        _act(_anybody(seed), address(audits), abi.encodeCall(audits.markMissed, (which, all)), 0);
    }

    function challenge(uint256 seed) public {
        bytes memory data =
            abi.encodeCall(audits.challenge, (uint32(1 + seed % NODES), audits.epoch(), uint16((seed >> 8) % 6)));
        _act(_anybody(seed >> 16), address(audits), data, 0);
    }

    /// @dev Nobody here has the bytes, so a dispute can only be lost.
    function endDispute(uint256 seed) public {
        uint64 count = audits.disputeCount();
        uint64 which = count == 0 ? 0 : uint64(1 + seed % count);
        bool collects = seed & 0x700 == 0;
        bytes memory data =
            collects ? abi.encodeCall(audits.collect, (which)) : abi.encodeCall(audits.expire, (which));
        _act(_anybody(seed >> 16), address(audits), data, 0);
    }

    function takeOut(uint256 seed) public {
        bytes memory data = seed & 0x100 == 0
            ? abi.encodeCall(audits.withdrawCredit, ())
            : abi.encodeCall(audits.sweep, ());
        _act(_anybody(seed), address(audits), data, 0);
    }

    function refreshVotes(uint256 seed) public {
        _act(_anybody(seed), address(votes), abi.encodeCall(votes.refresh, (uint32(1 + seed % NODES))), 0);
    }

    // Acts of the attacker: none of these may ever succeed

    function attack(uint256 seed) public {
        address attacker = address(0xa77ac);
        uint64 order = _order(seed >> 8);
        bytes[] memory tries = new bytes[](8);
        tries[0] = abi.encodeCall(orders.cancel, (order));
        tries[1] = abi.encodeCall(orders.replace, (order, 0, uint32(1 + seed % NODES), type(uint96).max));
        tries[2] = abi.encodeCall(escrow.withdraw, (1));
        tries[3] = abi.encodeCall(escrow.hold, (tenants[0], attacker, 1));
        tries[4] = abi.encodeCall(nodes.unlock, (new SlotRequest[](1)));
        tries[5] = abi.encodeCall(nodes.exit, (uint32(1 + seed % NODES)));
        tries[6] = abi.encodeCall(policy.set, (Parameter.MaxSlots, 1));
        tries[7] = abi.encodeCall(nodes.slash, (1, 10_000));
        uint256 which = seed % tries.length;
        address target = which < 2
            ? address(orders)
            : which < 4 ? address(escrow) : which < 6 || which == 7 ? address(nodes) : address(policy);
        require(!_act(attacker, target, tries[which], 0), "an attack succeeded");
    }

    // Acts of the DAO and of time

    function vote(uint256 seed, uint256 value) public {
        Parameter parameter = Parameter(seed % (uint256(type(Parameter).max) + 1));
        if (parameter == Parameter.WorkloadsAllowed) value |= 14;
        if (parameter == Parameter.HeartbeatSeconds) value = 50 + value % 200;
        else value = value % 6000;
        _act(address(this), address(policy), abi.encodeCall(policy.set, (parameter, value)), 0);
    }

    function pass(uint256 time) public {
        vm.warp(block.timestamp + time % 400);
        vm.roll(block.number + 1 + time % 4);
        _look(_views());
    }

    function passLong(uint256 time) public {
        vm.warp(block.timestamp + time % 5000);
        vm.roll(block.number + 1 + time % 400);
        _look(_views());
    }

    // Checks

    /// @dev Every law. Orders are read once: reading them costs more than all the rest.
    function check() external {
        OrderView[] memory all = _views();
        _look(all);
        _checkCapacity(all);
        _checkDispersal(all);
        _checkSequence();
        _checkAudits();
        _checkMoney(all);
    }

    /// @dev Every order moves only along the arrows of its state machine, and an end once seen stays where it is.
    function _look(OrderView[] memory all) private {
        for (uint256 i = 0; i < all.length; ++i) {
            OrderView memory seen = all[i];
            uint64 order = uint64(i + 1);
            OrderState before = seenState[order];
            require(seen.state != OrderState.None, "an order vanished");
            if (before == OrderState.Ended) {
                require(seen.state == OrderState.Ended, "an ended order came back");
                require(seen.endedAt == seenEnd[order], "an end moved");
            }
            if (seen.state == OrderState.Ended) {
                require(seen.endedAt != 0 && seen.endedAt <= block.timestamp, "an end is not in the past");
                require(seen.deletableAt >= seen.endedAt, "data may go before the end");
                seenEnd[order] = seen.endedAt;
            } else {
                require(seen.endedAt == 0 && seen.deletableAt == 0, "an open order has an end");
                bool paid = block.timestamp < seen.paidUntil;
                require(paid == (seen.state == OrderState.Live), "live is paid");
            }
            seenState[order] = seen.state;
        }
    }

    /// @dev Money: all that came in is out, free or held, and the token is there.
    function _checkMoney(OrderView[] memory all) private {
        for (uint256 i = 0; i < TENANTS; ++i) {
            escrow.accrue(tenants[i]);
        }
        (uint256 deposited, uint256 withdrawn, uint256 free, uint256 held) = escrow.totals();
        require(deposited == withdrawn + free + held, "totals");
        require(token.balanceOf(address(escrow)) == deposited - withdrawn, "the escrow's tokens");
        uint256 sumFree = 0;
        uint256 sumHeld = 0;
        for (uint256 i = 0; i < TENANTS; ++i) {
            sumFree += escrow.freeBalance(tenants[i]);
            sumHeld += escrow.heldOf(tenants[i]);
        }
        for (uint256 i = 0; i < FARMS; ++i) {
            sumFree += escrow.freeBalance(farmers[i]);
        }
        require(sumFree == free && sumHeld == held, "sums of accounts");

        // Settling changes who has it, never how much there is; and then each tenant's orders hold exactly what is
        // held.
        for (uint256 i = 0; i < all.length; ++i) {
            _settle(uint64(i + 1));
        }
        for (uint256 i = 0; i < TENANTS; ++i) {
            _checkHeld(all, tenants[i]);
        }
    }

    /// @dev A refund into a stream that had run dry makes it last longer, so a settlement can leave something to the
    /// next, and where all of it is refunded, as of dead nodes, to very many: then it is left at that. All others must
    /// come out even.
    function _checkHeld(OrderView[] memory all, address tenant) private {
        for (uint256 round = 0; round < ROUNDS; ++round) {
            uint256 ofOrders = 0;
            for (uint256 i = 0; i < all.length; ++i) {
                if (all[i].tenant == tenant) ofOrders += orders.held(uint64(i + 1));
            }
            uint256 ofAccount = escrow.heldOf(tenant);
            if (ofOrders == ofAccount) return;
            (uint256 streaming,,) = escrow.streamOf(tenant);
            require(streaming != 0 && ofOrders < ofAccount, "orders hold what the tenant's account holds");
            for (uint256 i = 0; i < all.length; ++i) {
                if (all[i].tenant == tenant) _settle(uint64(i + 1));
            }
        }
    }

    /// @dev Capacity: what is used is the sum of the slots, and never more than there is. Stakes are all there.
    function _checkCapacity(OrderView[] memory all) private view {
        uint256[] memory used = new uint256[](NODES + 1);
        for (uint256 i = 0; i < all.length; ++i) {
            if (released[uint64(i + 1)]) continue;
            for (uint256 j = 0; j < all[i].slots.length; ++j) {
                used[all[i].slots[j].node] += (all[i].slots[j].sizeBytes + 31) / 32 * 32;
            }
        }
        uint256 stakes = 0;
        NodeView[] memory registered = nodes.nodes(1, uint32(NODES));
        for (uint256 i = 0; i < NODES; ++i) {
            NodeView memory one = registered[i];
            require(one.usedBytes == used[i + 1], "used bytes");
            require(one.usedBytes <= one.capacityBytes, "overcommitted");
            require(one.lastHeartbeat <= block.timestamp, "a heartbeat from the future");
            require(one.aliveSeconds <= one.lastHeartbeat - one.registeredAt, "more life than time");
            require(one.state != NodeState.Exited || used[i + 1] == 0, "left with slots");
            stakes += one.stake;
        }
        require(token.balanceOf(address(nodes)) == stakes, "stakes");
    }

    /// @dev Dispersal: in no group of a volume do two slots share a farm, unless its spec says so.
    function _checkDispersal(OrderView[] memory all) private view {
        for (uint256 i = 0; i < all.length; ++i) {
            OrderView memory seen = all[i];
            if (seen.kind != OrderKind.Volume) continue;
            if (abi.decode(seen.spec, (VolumeSpec)).sameFarmAllowed) continue;
            _checkApart(seen, 0, 3);
            _checkApart(seen, 3, 5);
        }
    }

    /// @dev Audits: what they owe is what they have, and is the sum of its parts; votes are the sum over the nodes.
    function _checkAudits() private view {
        uint256 parts = 0;
        for (uint64 dispute = 1; dispute <= audits.disputeCount(); ++dispute) {
            DisputeView memory seen = audits.disputes(dispute);
            if (seen.state != DisputeState.Lost && seen.state != DisputeState.Collected) parts += seen.bond;
        }
        uint256 sumVotes = 0;
        parts += audits.treasuryShare();
        for (uint32 node = 1; node <= NODES; ++node) {
            sumVotes += votes.votesOf(node);
        }
        uint256 sumOwners = 0;
        for (uint256 i = 0; i < FARMS; ++i) {
            parts += audits.creditOf(farmers[i]);
            sumOwners += votes.getVotes(farmers[i]);
        }
        for (uint256 i = 0; i < TENANTS; ++i) {
            parts += audits.creditOf(tenants[i]);
        }
        require(parts == audits.owed(), "what the audits owe");
        require(token.balanceOf(address(audits)) == parts, "the audits' tokens");
        // Each share is rounded down.
        require(sumOwners >= sumVotes && sumOwners <= sumVotes + NODES, "votes of nodes are votes of their farms");
    }

    function _checkSequence() private view {
        require(orders.sequence() == events, "one event for each change");
    }

    function _checkApart(OrderView memory seen, uint256 from, uint256 to) private view {
        for (uint256 i = from; i < to; ++i) {
            for (uint256 j = from; j < i; ++j) {
                require(nodes.farmOf(seen.slots[i].node) != nodes.farmOf(seen.slots[j].node), "farm repeated");
            }
        }
    }

    // Machinery

    /// @dev Does it; counts the events that the order book must have sent; refusals must have a name.
    function _act(address by, address target, bytes memory data, uint64 sends) private returns (bool done) {
        ++acts;
        vm.prank(by);
        bytes memory reason;
        (done, reason) = target.call(data);
        if (done) {
            events += sends;
        } else {
            ++refusals;
            bytes4 panic = 0x4e487b71;
            require(reason.length >= 4 && bytes4(reason) != panic, "refused without a name");
        }
    }

    function _settle(uint64 order) private {
        if (order == 0) return;
        uint64 before = orders.sequence();
        orders.settle(order);
        if (orders.sequence() != before) {
            ++events;
            released[order] = true;
        }
    }

    function _place(
        address tenant,
        OrderKind kind,
        uint64 parent,
        bytes memory spec,
        SlotRequest[] memory slots,
        uint256 time
    ) private {
        // One in four streams.
        uint64 paid = time & 3 == 0 ? 0 : uint64(time % 3000);
        bytes memory data = abi.encodeCall(orders.place, (kind, parent, spec, slots, paid, type(uint96).max));
        _act(tenant, address(orders), data, 1);
    }

    function _slots(uint256 count, uint256 seed, uint256 size) private pure returns (SlotRequest[] memory slots) {
        slots = new SlotRequest[](count);
        for (uint256 i = 0; i < count; ++i) {
            slots[i] = SlotRequest(uint32(1 + (seed + i) % NODES), uint64(size % (2 * GIB)));
        }
    }

    function _anybody(uint256 seed) private view returns (address) {
        return seed & 1 == 0 ? tenants[(seed >> 8) % TENANTS] : farmers[(seed >> 8) % FARMS];
    }

    function _order(uint256 seed) private view returns (uint64) {
        uint64 count = orders.orderCount();
        return count == 0 ? 0 : uint64(1 + seed % count);
    }

    function _views() private view returns (OrderView[] memory) {
        uint64[] memory every = new uint64[](orders.orderCount());
        for (uint256 i = 0; i < every.length; ++i) {
            every[i] = uint64(i + 1);
        }
        return orders.get(every);
    }

    function _view(uint64 order) private view returns (OrderView memory) {
        uint64[] memory one = new uint64[](1);
        one[0] = order;
        return orders.get(one)[0];
    }

    function _person(uint256 number) private returns (address person) {
        person = address(uint160(number));
        token.transfer(person, 1e24);
        vm.prank(person);
        token.approve(address(escrow), type(uint256).max);
        vm.prank(person);
        token.approve(address(nodes), type(uint256).max);
        vm.prank(person);
        token.approve(address(audits), type(uint256).max);
    }

    function _register(uint256 i) private {
        bytes memory key = abi.encode(i, "a node's public key");
        key = abi.encodePacked(keccak256(key), keccak256(abi.encode(key)));
        address account = address(uint160(uint256(keccak256(key))));
        accounts.push(account);
        uint256 farm = i % FARMS;
        vm.prank(farmers[farm]);
        nodes.sponsor(uint32(farm + 1), account, 1e21);
        vm.prank(account);
        nodes.register(key, new bytes(1216), Offer(uint64(10 * GIB), uint96(100 + 37 * i)), new string[](0));
    }

    function _values() private pure returns (uint256[] memory values) {
        values = new uint256[](uint256(type(Parameter).max) + 1);
        values[uint256(Parameter.HeartbeatSeconds)] = 100;
        values[uint256(Parameter.LostSeconds)] = 600;
        values[uint256(Parameter.GraceSeconds)] = 500;
        values[uint256(Parameter.StakePerGib)] = 1e18;
        values[uint256(Parameter.MaxPricePerGibSecond)] = 1000;
        values[uint256(Parameter.WorkloadsAllowed)] = 14;
        values[uint256(Parameter.MaxSlots)] = 10;
        values[uint256(Parameter.MinSeconds)] = 10;
        values[uint256(Parameter.MaxSeconds)] = 5000;
        values[uint256(Parameter.DispersalAgeSeconds)] = 5;
        values[uint256(Parameter.ScrubSeconds)] = 60;
        values[uint256(Parameter.AuditEpochSeconds)] = 700;
        values[uint256(Parameter.AuditWindowSeconds)] = 300;
        values[uint256(Parameter.AuditWindowBlocks)] = 1;
        values[uint256(Parameter.AuditSamples)] = 5;
        values[uint256(Parameter.AuditOpenOdds)] = 9;
        values[uint256(Parameter.AuditAnswerSeconds)] = 200;
        values[uint256(Parameter.AuditBond)] = 1e6;
        values[uint256(Parameter.AuditMissSlash)] = 100;
        values[uint256(Parameter.AuditFraudSlash)] = 2000;
        values[uint256(Parameter.AuditReporterShare)] = 1000;
        values[uint256(Parameter.VotesPerGib)] = 1e18;
        values[uint256(Parameter.CapacityVotesPercent)] = 20;
        values[uint256(Parameter.MaxPricePerCoreSecond)] = 1000;
        values[uint256(Parameter.MaxPricePerMemoryGibSecond)] = 1000;
        values[uint256(Parameter.MaxPricePerEgressGib)] = 1000;
    }
}
