// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {World} from "./support/World.sol";

/// @title What must hold after any sequence of acts of anybody.
contract InvariantsTest {
    World private world;

    function setUp() public {
        world = new World();
    }

    /// @dev Only the world acts; its own contracts are reached through it.
    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(world);
    }

    function invariant_moneyIsConserved() public {
        world.checkMoney();
    }

    function invariant_capacityIsTheSumOfSlots() public view {
        world.checkCapacity();
    }

    function invariant_groupsStandOnDistinctFarms() public view {
        world.checkDispersal();
    }

    function invariant_eventsAreNumberedWithoutGap() public view {
        world.checkSequence();
    }
}
