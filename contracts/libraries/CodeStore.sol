// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title CodeStore: bytes kept as the code of a contract, written once and read with EXTCODECOPY.
/// @dev 200 gas a byte instead of 690 in storage words. The first byte is STOP, so that the data can never run.
library CodeStore {
    /// @notice More bytes than a contract's code may have beside the leading STOP.
    error CodeStoreTooLong(uint256 length, uint256 max);
    /// @notice The EVM refused to make the contract.
    error CodeStoreFailed();

    /// @dev EIP-170 allows 24,576 bytes of code; one is the STOP.
    uint256 internal constant MAX_BYTES = 24_575;

    /// @dev Init code before the data: push its length + 1 (two bytes), return that many bytes from offset 10.
    ///      61 len len | 80 | 60 0a | 3d | 39 | 3d | f3 | 00 (the STOP)
    bytes10 private constant PREFIX_HEAD = 0x61000080600a3d393df3;

    /// @notice Stores `data`.
    /// @param data At most {MAX_BYTES} bytes; may be empty.
    /// @return where The contract whose code it is.
    function write(bytes memory data) internal returns (address where) {
        require(data.length <= MAX_BYTES, CodeStoreTooLong(data.length, MAX_BYTES));
        bytes10 head = PREFIX_HEAD | (bytes10(uint80(data.length + 1)) << 56);
        bytes memory init = abi.encodePacked(head, hex"00", data);
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            where := create(0, add(init, 0x20), mload(init))
        }
        require(where != address(0), CodeStoreFailed());
    }

    /// @notice The bytes stored at `where`; empty if it has no code.
    function read(address where) internal view returns (bytes memory data) {
        uint256 size = where.code.length;
        if (size <= 1) return data;
        data = new bytes(size - 1);
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            extcodecopy(where, add(data, 0x20), 1, sub(size, 1))
        }
    }

    /// @notice Where the `nonce`th contract made by `maker` is (its first has nonce 1): saves storing the address.
    /// @dev CREATE addresses are keccak256(rlp([maker, nonce])); EIP-161 starts a contract's nonce at 1.
    function addressOf(address maker, uint64 nonce) internal pure returns (address) {
        bytes memory rlp;
        if (nonce < 0x80) rlp = abi.encodePacked(bytes1(0xd6), bytes1(0x94), maker, uint8(nonce));
        else if (nonce < 0x100) rlp = abi.encodePacked(bytes1(0xd7), bytes1(0x94), maker, bytes1(0x81), uint8(nonce));
        else if (nonce < 0x10000) rlp = abi.encodePacked(bytes1(0xd8), bytes1(0x94), maker, bytes1(0x82), uint16(nonce));
        else if (nonce < 0x1000000) rlp = abi.encodePacked(bytes1(0xd9), bytes1(0x94), maker, bytes1(0x83), uint24(nonce));
        else if (nonce < 0x100000000) rlp = abi.encodePacked(bytes1(0xda), bytes1(0x94), maker, bytes1(0x84), uint32(nonce));
        else if (nonce < 0x10000000000) rlp = abi.encodePacked(bytes1(0xdb), bytes1(0x94), maker, bytes1(0x85), uint40(nonce));
        else rlp = abi.encodePacked(bytes1(0xdc), bytes1(0x94), maker, bytes1(0x86), uint48(nonce));
        return address(uint160(uint256(keccak256(rlp))));
    }
}
