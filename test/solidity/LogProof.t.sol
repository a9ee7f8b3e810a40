// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {LogProof} from "../../contracts/libraries/LogProof.sol";
import {LogProofVectors} from "./support/LogProofVectors.sol";

/// @title The contract's verifier accepts what the store proves, and nothing that was changed.
contract LogProofTest {
    function test_acceptsWhatTheStoreProves() public pure {
        bytes[] memory proofs = LogProofVectors.inclusions();
        for (uint256 i = 0; i < proofs.length; ++i) {
            require(_inclusion(proofs[i]), "inclusion");
        }
        proofs = LogProofVectors.consistencies();
        for (uint256 i = 0; i < proofs.length; ++i) {
            require(_consistency(proofs[i]), "consistency");
        }
    }

    function testFuzz_refusesAnyChangedBit(uint256 which, uint256 bit) public pure {
        bytes[] memory proofs = LogProofVectors.inclusions();
        bytes memory proof = proofs[which % proofs.length];
        _flip(proof, bit);
        require(!_inclusion(proof), "changed inclusion");

        proofs = LogProofVectors.consistencies();
        proof = proofs[which % proofs.length];
        _flip(proof, bit);
        require(!_consistency(proof), "changed consistency");
    }

    function testFuzz_refusesAnyOtherLength(uint256 which, bool longer) public pure {
        bytes[] memory proofs = LogProofVectors.inclusions();
        bytes memory proof = proofs[which % proofs.length];
        if (longer) {
            require(!_inclusion(bytes.concat(proof, bytes32(uint256(1)))), "longer");
        } else if (proof.length > 128) {
            require(!_inclusion(_shorter(proof)), "shorter");
        }
    }

    function test_knowsTheEdges() public pure {
        bytes32[] memory none = new bytes32[](0);
        require(!LogProof.isIncluded(bytes32(0), 0, 0, bytes32(0), none), "nothing is in an empty log");
        require(!LogProof.isConsistent(bytes32(0), 0, bytes32(0), 5, none), "an empty log proves nothing");
        require(!LogProof.isConsistent(bytes32(0), 0, bytes32(0), 0, none), "nor that it is itself");
        require(!LogProof.isConsistent(bytes32(0), 0, bytes32(0), 5, _longer(none)), "nor by a path");
        require(!LogProof.isConsistent(bytes32(0), 3, bytes32(0), 5, none), "a path is needed");
        require(!LogProof.isConsistent(bytes32(0), 6, bytes32(0), 5, none), "older is not larger");
    }

    /// @dev Five records became six: their trees share a node that goes up unchanged in the older one.
    function test_followsANodeThatGoesUpUnchanged() public pure {
        bytes32[3] memory nodes = [bytes32(uint256(4)), bytes32(uint256(5)), bytes32(uint256(0x0123))];
        bytes32 five = LogProof.mixInLength(LogProof.hashPair(nodes[2], nodes[0]), 5);
        bytes32 pair = LogProof.hashPair(nodes[0], nodes[1]);
        bytes32 six = LogProof.mixInLength(LogProof.hashPair(nodes[2], pair), 6);
        bytes32[] memory path = new bytes32[](3);
        for (uint256 i = 0; i < 3; ++i) {
            path[i] = nodes[i];
        }
        require(LogProof.isConsistent(five, 5, six, 6, path), "five begin six");
        require(!LogProof.isConsistent(six, 6, six, 6, path), "no path between equals");
        require(!LogProof.isConsistent(five, 5, six, 6, _longer(path)), "a node too many");
        require(!LogProof.isIncluded(six, 6, 4, nodes[0], _longer(path)), "a node too many");
    }

    function _longer(bytes32[] memory path) private pure returns (bytes32[] memory longer) {
        longer = new bytes32[](path.length + 1);
        for (uint256 i = 0; i < path.length; ++i) {
            longer[i] = path[i];
        }
    }

    function _inclusion(bytes memory proof) private pure returns (bool) {
        (bytes32 root, uint256 size, uint256 index, bytes32 leaf) =
            abi.decode(proof, (bytes32, uint256, uint256, bytes32));
        if (size > type(uint64).max || index > type(uint64).max) return false;
        return LogProof.isIncluded(root, uint64(size), uint64(index), leaf, _path(proof));
    }

    function _consistency(bytes memory proof) private pure returns (bool) {
        (bytes32 root1, uint256 size1, bytes32 root2, uint256 size2) =
            abi.decode(proof, (bytes32, uint256, bytes32, uint256));
        if (size1 > type(uint64).max || size2 > type(uint64).max) return false;
        return LogProof.isConsistent(root1, uint64(size1), root2, uint64(size2), _path(proof));
    }

    function _path(bytes memory proof) private pure returns (bytes32[] memory path) {
        path = new bytes32[](proof.length / 32 - 4);
        for (uint256 i = 0; i < path.length; ++i) {
            bytes32 node;
            // solhint-disable-next-line no-inline-assembly
            assembly ("memory-safe") {
                node := mload(add(add(proof, 0xa0), mul(i, 0x20)))
            }
            path[i] = node;
        }
    }

    function _flip(bytes memory proof, uint256 bit) private pure {
        uint256 place = bit % (proof.length * 8);
        proof[place / 8] ^= bytes1(uint8(1 << (place % 8)));
    }

    function _shorter(bytes memory proof) private pure returns (bytes memory cut) {
        cut = new bytes(proof.length - 32);
        for (uint256 i = 0; i < cut.length; ++i) {
            cut[i] = proof[i];
        }
    }
}
