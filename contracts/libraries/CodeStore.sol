// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title CodeStore: bytes kept as the code of a contract, written once and read with EXTCODECOPY.
/// @dev 200 gas a byte instead of 690 in storage words. The first byte stops any call at once, so the data can never
/// run, and says what follows: STOP for the data as they are, INVALID for words without their leading zeros, each as
/// its length in bytes and then those bytes. ABI-encoded structs are mostly zeros.
library CodeStore {
    /// @notice More bytes than a contract's code may have beside the leading STOP.
    error CodeStoreTooLong(uint256 length, uint256 max);
    /// @notice The EVM refused to make the contract.
    error CodeStoreFailed();

    /// @dev EIP-170 allows 24,576 bytes of code; one is the STOP.
    uint256 internal constant MAX_BYTES = 24_575;

    /// @dev Init code before the data: push its length + 1 (two bytes), return that many bytes from offset 10.
    ///      61 len len | 80 | 60 0a | 3d | 39 | 3d | f3
    bytes10 private constant PREFIX = 0x61000080600a3d393df3;
    bytes1 private constant PLAIN = 0x00;
    bytes1 private constant PACKED = 0xfe;

    /// @notice Stores `data`, packed if that is shorter.
    /// @param data At most {MAX_BYTES} bytes; may be empty.
    /// @return where The contract whose code it is.
    function write(bytes memory data) internal returns (address where) {
        require(data.length <= MAX_BYTES, CodeStoreTooLong(data.length, MAX_BYTES));
        bytes memory packed = _pack(data);
        bool shorter = packed.length != 0 && packed.length < data.length;
        bytes memory body = shorter ? packed : data;
        bytes10 head = PREFIX | (bytes10(uint80(body.length + 1)) << 56); // cuts: code is shorter
        bytes memory init = abi.encodePacked(head, shorter ? PACKED : PLAIN, body);
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            where := create(0, add(init, 0x20), mload(init))
        }
        require(where != address(0), CodeStoreFailed());
    }

    /// @notice The bytes stored at `where`; empty if it has no code.
    function read(address where) internal view returns (bytes memory) {
        bytes memory code = where.code;
        if (code.length <= 1) return "";
        return code[0] == PACKED ? _unpack(code) : _tail(code);
    }

    /// @dev Empty if the data are not whole words: they stay as they are.
    function _pack(bytes memory data) private pure returns (bytes memory packed) {
        if (data.length % 32 != 0) return packed;
        uint256 words = data.length / 32;
        // A length of up to 32 and as many bytes; the last store may write up to 31 bytes beyond.
        packed = new bytes(words * 33 + 32);
        uint256 length = 0;
        for (uint256 i = 1; i <= words; ++i) {
            uint256 word;
            // solhint-disable-next-line no-inline-assembly
            assembly ("memory-safe") {
                word := mload(add(data, mul(i, 0x20)))
            }
            uint256 size = word == 0 ? 0 : Math.log256(word) + 1;
            // solhint-disable-next-line no-inline-assembly
            assembly ("memory-safe") {
                let to := add(add(packed, 0x20), length)
                mstore8(to, size)
                mstore(add(to, 1), shl(sub(256, mul(size, 8)), word))
            }
            length += 1 + size;
        }
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            mstore(packed, length)
        }
    }

    /// @dev `code` is what {_pack} made, behind its first byte.
    function _unpack(bytes memory code) private pure returns (bytes memory data) {
        uint256 words = 0;
        for (uint256 position = 1; position < code.length; position += 1 + uint8(code[position])) { // cuts: a byte
            ++words;
        }
        data = new bytes(words * 32);
        uint256 from = 1;
        for (uint256 i = 1; i <= words; ++i) {
            uint256 size = uint8(code[from]); // cuts: a byte
            // A shift by 256 gives zero: a word of no bytes.
            // solhint-disable-next-line no-inline-assembly
            assembly ("memory-safe") {
                let word := mload(add(add(code, 0x21), from))
                mstore(add(data, mul(i, 0x20)), shr(sub(256, mul(size, 8)), word))
            }
            from += 1 + size;
        }
    }

    function _tail(bytes memory code) private pure returns (bytes memory data) {
        data = new bytes(code.length - 1);
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            mcopy(add(data, 0x20), add(code, 0x21), sub(mload(code), 1))
        }
    }

    /// @notice Where the `nonce`th contract made by `maker` is (its first has nonce 1): saves storing the address.
    /// @dev CREATE addresses are keccak256(rlp([maker, nonce])); EIP-161 starts a contract's nonce at 1.
    function addressOf(address maker, uint64 nonce) internal pure returns (address) {
        bytes memory rlp;
        if (nonce < 0x80) rlp = _rlp(0, maker, abi.encodePacked(uint8(nonce))); // cuts: below the limit of the branch
        else if (nonce < 0x100) rlp = _rlp(0x81, maker, abi.encodePacked(uint8(nonce))); // cuts: see the limit
        else if (nonce < 0x10000) rlp = _rlp(0x82, maker, abi.encodePacked(uint16(nonce))); // cuts: see the limit
        else if (nonce < 0x1000000) rlp = _rlp(0x83, maker, abi.encodePacked(uint24(nonce))); // cuts: see the limit
        else if (nonce < 0x100000000) rlp = _rlp(0x84, maker, abi.encodePacked(uint32(nonce))); // cuts: see the limit
        else if (nonce < 0x10000000000) rlp = _rlp(0x85, maker, abi.encodePacked(uint40(nonce))); // cuts: see the limit
        else rlp = _rlp(0x86, maker, abi.encodePacked(uint48(nonce))); // cuts: below the limit of the branch
        return address(uint160(uint256(keccak256(rlp)))); // cuts: a hash is longer than an address
    }

    /// @dev The list of an address and a number; a number of one small byte has no length before it.
    function _rlp(uint8 lengthByte, address maker, bytes memory number) private pure returns (bytes memory) {
        bytes memory item = lengthByte == 0 ? number : abi.encodePacked(lengthByte, number);
        return abi.encodePacked(uint8(0xc0 + 21 + item.length), bytes1(0x94), maker, item); // cuts: short
    }
}
