// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";

/// @title GridToken: what tenants pay with and owners vote with.
/// @dev Invariants: the supply is made once, at deployment, and never changes; nobody can mint, pause or take.
/// Votes are counted by time (ERC-6372), because the grid may live on chains whose block times differ or change.
contract GridToken is ERC20, ERC20Permit, ERC20Votes {
    /// @notice The escrow keeps amounts in 120 bits, so the supply must fit.
    error TokenSupplyTooLarge(uint256 supply, uint256 max);

    /// @param holder Who gets the whole supply.
    /// @param supply In smallest units, 10^-18 of a token.
    constructor(address holder, uint256 supply) ERC20("Varve Grid", "VARVE") ERC20Permit("Varve Grid") {
        require(supply <= type(uint120).max, TokenSupplyTooLarge(supply, type(uint120).max));
        _mint(holder, supply);
    }

    /// @notice The clock of votes: seconds since 1970 (ERC-6372).
    function clock() public view override returns (uint48) {
        return SafeCast.toUint48(block.timestamp);
    }

    /// @notice Says of {clock} that it counts seconds (ERC-6372).
    // solhint-disable-next-line func-name-mixedcase
    function CLOCK_MODE() public pure override returns (string memory) {
        return "mode=timestamp";
    }

    /// @notice The next nonce of `owner` for permits and for delegations by signature.
    function nonces(address owner) public view override(ERC20Permit, Nonces) returns (uint256) {
        return super.nonces(owner);
    }

    function _update(address from, address to, uint256 value) internal override(ERC20, ERC20Votes) {
        super._update(from, to, value);
    }
}
