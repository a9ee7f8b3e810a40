// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {vm} from "./support/Vm.sol";
import {World} from "./support/World.sol";

/// @title What must hold after any sequence of acts of anybody.
/// @dev Twice: as an invariant, where the fuzzer chooses each act and shortens what fails; and as long runs from one
/// seed, checked less often, which is how the number of acts gets large.
contract InvariantsTest {
    uint256 private constant ACTS = 400;
    uint256 private constant ACTS_BETWEEN_CHECKS = 40;

    World private world;

    function setUp() public {
        world = new World();
    }

    /// @dev Only the world acts; its own contracts are reached through it.
    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(world);
    }

    /// @dev All in one, so that every act of every run is checked against every law.
    function invariant_everyLawHolds() public {
        world.check();
    }

    function testFuzz_everyLawHoldsInLongRuns(uint256 seed) public {
        _run(seed);
    }

    /// @dev Seeds that the environment names: `npm run campaign -- law` has millions of acts done by this.
    function test_everyLawHoldsFromSeeds() public {
        uint256 first = vm.envOr("SEED", uint256(0));
        uint256 runs = vm.envOr("RUNS", uint256(1));
        for (uint256 seed = first; seed < first + runs; ++seed) {
            uint256 clean = vm.snapshotState();
            _run(seed);
            require(vm.revertToStateAndDelete(clean), "the next run begins as this one did");
        }
    }

    function _run(uint256 seed) private {
        for (uint256 i = 0; i < ACTS; ++i) {
            world.act(uint256(keccak256(abi.encode(seed, i))));
            if (i % ACTS_BETWEEN_CHECKS == ACTS_BETWEEN_CHECKS - 1) world.check();
        }
        require(world.acts() > world.refusals(), "nearly nothing was done");
    }
}
