// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CodeStore} from "../../contracts/libraries/CodeStore.sol";

/// @dev Makes contracts, so that their addresses can be foretold.
contract Maker {
    function write(bytes memory data) external returns (address) {
        return CodeStore.write(data);
    }
}

/// @title What is written is read, and where it is can be computed.
contract CodeStoreTest {
    function testFuzz_readsWhatWasWritten(bytes memory data) public {
        address where = CodeStore.write(data);
        require(keccak256(CodeStore.read(where)) == keccak256(data), "read back");
        bytes1 first = where.code[0];
        require(first == 0x00 || first == 0xfe, "never runs");
    }

    function testFuzz_readsWordsThatWerePacked(uint256[] memory words, uint8[] memory shifts) public {
        for (uint256 i = 0; i < words.length && i < shifts.length; ++i) {
            words[i] >>= shifts[i];
        }
        bytes memory data = abi.encode(words);
        address where = CodeStore.write(data);
        require(keccak256(CodeStore.read(where)) == keccak256(data), "read back");
        require(where.code.length <= data.length + 1, "never longer than plain");
    }

    function test_packsOnlyWhatGetsShorter() public {
        require(CodeStore.write(abi.encode(uint256(1), uint256(0))).code.length == 4, "packed");
        require(CodeStore.write(abi.encode(type(uint256).max)).code.length == 33, "plain");
        require(CodeStore.write(hex"0000").code.length == 3, "not whole words");
        require(CodeStore.write(abi.encode(type(uint256).max >> 8)).code.length == 33, "equal stays plain");
    }

    function test_takesTheLongestAndRefusesOneMore() public {
        Maker maker = new Maker();
        address where = maker.write(new bytes(CodeStore.MAX_BYTES));
        require(CodeStore.read(where).length == CodeStore.MAX_BYTES, "longest");
        try maker.write(new bytes(CodeStore.MAX_BYTES + 1)) {
            revert("took too much");
        } catch (bytes memory reason) {
            require(bytes4(reason) == CodeStore.CodeStoreTooLong.selector, "named");
        }
    }

    /// @dev A 63rd part of the gas is left to say so, when the rest did not suffice for the code.
    function test_saysWhenTheContractCannotBeMade() public {
        Maker maker = new Maker();
        bytes memory data = new bytes(CodeStore.MAX_BYTES);
        data[0] = 0x01;
        try maker.write{gas: 3_000_000}(data) {
            revert("made for too little gas");
        } catch (bytes memory reason) {
            require(bytes4(reason) == CodeStore.CodeStoreFailed.selector, "named");
        }
    }

    function test_readsNothingWhereNothingIs() public view {
        require(CodeStore.read(address(0xdead)).length == 0, "empty");
    }

    function test_foretellsEveryAddress() public {
        Maker maker = new Maker();
        for (uint64 nonce = 1; nonce <= 300; ++nonce) {
            require(maker.write("") == CodeStore.addressOf(address(maker), nonce), "address");
        }
    }

    /// @dev Nonces too large to reach by making contracts: known values of rlp([address, nonce]).
    function test_foretellsAddressesOfLargeNonces() public pure {
        address maker = 0x6AC7EA33F8831EA9dcC53393aAA88B25A785DBF0;
        require(CodeStore.addressOf(maker, 0x7f) == _reference(maker, hex"7f", 0xd6), "1 byte, small");
        require(CodeStore.addressOf(maker, 0x80) == _reference(maker, hex"8180", 0xd7), "1 byte");
        require(CodeStore.addressOf(maker, 0xffff) == _reference(maker, hex"82ffff", 0xd8), "2 bytes");
        require(CodeStore.addressOf(maker, 0x10000) == _reference(maker, hex"83010000", 0xd9), "3 bytes");
        require(CodeStore.addressOf(maker, 0xffffff) == _reference(maker, hex"83ffffff", 0xd9), "3 bytes, last");
        require(CodeStore.addressOf(maker, 0x1000000) == _reference(maker, hex"8401000000", 0xda), "4 bytes");
        require(CodeStore.addressOf(maker, 0xffffffff) == _reference(maker, hex"84ffffffff", 0xda), "4 bytes, last");
        require(CodeStore.addressOf(maker, 0x100000000) == _reference(maker, hex"850100000000", 0xdb), "5 bytes");
        require(CodeStore.addressOf(maker, 0xffffffffff) == _reference(maker, hex"85ffffffffff", 0xdb), "5 bytes, last");
        require(CodeStore.addressOf(maker, 0x10000000000) == _reference(maker, hex"86010000000000", 0xdc), "6 bytes");
    }

    function _reference(address maker, bytes memory nonce, uint8 head) private pure returns (address) {
        bytes memory rlp = abi.encodePacked(head, bytes1(0x94), maker, nonce);
        return address(uint160(uint256(keccak256(rlp))));
    }
}
