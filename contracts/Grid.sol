// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Contracts, FurtherContracts, IGrid} from "./interfaces/IGrid.sol";
import {IPolicy} from "./interfaces/IPolicy.sol";

/// @title Grid: the one address that leads to all others.
/// @dev Invariants: nothing here ever changes, and every address had code when the grid was made.
contract Grid is IGrid {
    Contracts private _contracts;
    FurtherContracts private _further;

    /// @param contracts_ All addresses; `deployedAtBlock` is ignored and read from the policy, which is made first.
    /// @param further Addresses that only clients and the DAO need.
    constructor(Contracts memory contracts_, FurtherContracts memory further) {
        contracts_.deployedAtBlock = IPolicy(_withCode(contracts_.policy)).deployedAtBlock();
        _withCode(contracts_.token);
        _withCode(contracts_.governor);
        _withCode(contracts_.timelock);
        _withCode(contracts_.nodes);
        _withCode(contracts_.orders);
        _withCode(contracts_.escrow);
        _withCode(further.rules);
        _withCode(further.desk);
        _withCode(further.contractors);
        _withCode(further.audits);
        _withCode(further.votes);
        _contracts = contracts_;
        _further = further;
    }

    /// @inheritdoc IGrid
    function contracts() external view returns (Contracts memory) {
        return _contracts;
    }

    /// @inheritdoc IGrid
    function furtherContracts() external view returns (FurtherContracts memory) {
        return _further;
    }

    function _withCode(address where) private view returns (address) {
        require(where.code.length != 0, GridNoCode(where));
        return where;
    }
}
