// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Contracts, IGrid} from "./interfaces/IGrid.sol";
import {IPolicy} from "./interfaces/IPolicy.sol";

/// @title Grid: the one address that leads to all others.
/// @dev Invariants: nothing here ever changes, and every address had code when the grid was made.
contract Grid is IGrid {
    Contracts private _contracts;

    /// @param contracts_ All addresses; `deployedAtBlock` is ignored and read from the policy, which is made first.
    constructor(Contracts memory contracts_) {
        contracts_.deployedAtBlock = IPolicy(_withCode(contracts_.policy)).deployedAtBlock();
        _withCode(contracts_.token);
        _withCode(contracts_.governor);
        _withCode(contracts_.timelock);
        _withCode(contracts_.nodes);
        _withCode(contracts_.orders);
        _withCode(contracts_.escrow);
        _contracts = contracts_;
    }

    /// @inheritdoc IGrid
    function contracts() external view returns (Contracts memory) {
        return _contracts;
    }

    function _withCode(address where) private view returns (address) {
        require(where.code.length != 0, GridNoCode(where));
        return where;
    }
}
