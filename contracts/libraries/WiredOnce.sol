// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title WiredOnce: tells a contract the order book it trusts, once, and then forgets who told it.
/// @dev The contracts name each other, so one of them must learn an address after it was made. The deployer does
/// this in the deployment itself; from then on nobody has any power here.
abstract contract WiredOnce {
    /// @notice `caller` may not wire, or the contract is wired already.
    error WiringRefused(address caller);

    address private _orders;
    address private _wirer = msg.sender;

    /// @notice Sets the order book. Only the deployer, and only once.
    function wire(address orders_) external {
        require(msg.sender == _wirer && orders_.code.length != 0, WiringRefused(msg.sender));
        _orders = orders_;
        _wirer = address(0);
        _whenWired(orders_);
    }

    /// @dev For what else must be learned of the order book at that moment.
    function _whenWired(address orders_) internal virtual {}

    /// @notice The order book; zero until wired.
    function orders() public view returns (address) {
        return _orders;
    }
}
