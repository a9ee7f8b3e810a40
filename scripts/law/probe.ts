/**
 * The library that woven contracts call: it asks, at run time, which mutant is on, and tells the chain's coverage recorder
 * what is passed.
 *
 * The choice is the balance of an account that nobody has, so one build holds every mutant and the chain's own snapshots
 * carry the choice. Its functions claim to be pure, by the cast that Hardhat's own coverage library uses, so that no
 * signature changes.
 */

/** Where the library is imported from. */
export const PROBE_FILE = 'varve-probe.sol'
/** Whose balance says which mutant is on; zero is the original. */
export const SELECTOR_ACCOUNT = '0x5e1ec7055e1ec7055e1ec7055e1ec7055e1ec705'
/** A balance at which every mutant that is reached is told, and none is on. */
export const RECORDING = 0xffff_ffff

/** Tells Solidity tests which mutant is on. */
export const MUTANT_VARIABLE = 'VARVE_MUTANT'

/** The name in the woven text; long enough not to meet another. */
export const PROBE = 'VarveProbe'

/** Written as a number, because the compiler takes an address only in mixed case. */
const selector = `address(uint160(${BigInt(SELECTOR_ACCOUNT)}))`

/** The library's source. */
export const PROBE_SOURCE = `// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

interface ProbeCheats {
    function deal(address account, uint256 balance) external;
    function envOr(string calldata name, uint256 otherwise) external view returns (uint256);
}

library ${PROBE} {
    ProbeCheats private constant CHEATS = ProbeCheats(0x7109709ECfa91a80626fF3989D68f67F5b1DD12D);
    address private constant RECORDER = 0xc0bEc0BEc0BeC0bEC0beC0bEC0bEC0beC0beC0BE;

    /// Whether this mutant is on.
    function on(uint256 mutant) internal pure returns (bool) {
        return _pureOn(_on)(mutant);
    }

    /// Tells which way a condition went.
    function saw(uint256 branch, bool outcome) internal pure returns (bool) {
        _pureTell(_tell)(2 * branch + (outcome ? 1 : 0));
        return outcome;
    }

    /// Tells that a place was reached.
    function passed(uint256 mark) internal pure {
        _pureTell(_tell)(mark);
    }

    /// For tests in Solidity: chooses what the environment says.
    function choose() internal {
        CHEATS.deal(${selector}, CHEATS.envOr("${MUTANT_VARIABLE}", uint256(0)));
    }

    function _on(uint256 mutant) private view returns (bool) {
        uint256 chosen = ${selector}.balance;
        if (chosen == ${RECORDING}) _tell(mutant);
        return chosen == mutant;
    }

    function _tell(uint256 mark) private view {
        address recorder = RECORDER;
        assembly ("memory-safe") {
            let place := mload(0x40)
            mstore(place, mark)
            pop(staticcall(gas(), recorder, place, 32, 0, 0))
        }
    }

    function _pureOn(function(uint256) internal view returns (bool) f)
        private pure returns (function(uint256) internal pure returns (bool) g)
    {
        assembly { g := f }
    }

    function _pureTell(function(uint256) internal view f)
        private pure returns (function(uint256) internal pure g)
    {
        assembly { g := f }
    }
}
`
