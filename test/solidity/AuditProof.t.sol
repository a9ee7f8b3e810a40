// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AuditProof} from "../../contracts/libraries/AuditProof.sol";
import {LogProof} from "../../contracts/libraries/LogProof.sol";
import {AuditProofVectors} from "./support/AuditProofVectors.sol";

/// @title The contract's verifier leads every path of the prover where the prover says, and no changed one.
contract AuditProofTest {
    function test_leadsWhereTheProverSays() public view {
        bytes[] memory proofs = AuditProofVectors.climbs();
        for (uint256 i = 0; i < proofs.length; ++i) {
            require(this.climbs(proofs[i]), "climb");
        }
        proofs = AuditProofVectors.shards();
        for (uint256 i = 0; i < proofs.length; ++i) {
            require(this.opens(proofs[i]), "shard");
        }
        proofs = AuditProofVectors.words();
        for (uint256 i = 0; i < proofs.length; ++i) {
            require(this.holds(proofs[i]), "word");
        }
    }

    function testFuzz_refusesAnyChangedBit(uint256 which, uint256 bit) public view {
        bytes[] memory proofs = AuditProofVectors.climbs();
        require(_refuses(this.climbs, _flipped(proofs[which % proofs.length], bit)), "changed climb");
        proofs = AuditProofVectors.shards();
        require(_refuses(this.opens, _flipped(proofs[which % proofs.length], bit)), "changed shard");
        proofs = AuditProofVectors.words();
        require(_refuses(this.holds, _flipped(proofs[which % proofs.length], bit)), "changed word");
    }

    function testFuzz_refusesAnyOtherLength(uint256 which, uint8 more) public view {
        bytes memory rest = new bytes(uint256(more) + 1);
        bytes[] memory proofs = AuditProofVectors.climbs();
        require(_refuses(this.climbs, bytes.concat(proofs[which % proofs.length], rest)), "longer climb");
        proofs = AuditProofVectors.shards();
        require(_refuses(this.opens, bytes.concat(proofs[which % proofs.length], rest)), "longer shard");
        proofs = AuditProofVectors.words();
        require(_refuses(this.holds, bytes.concat(proofs[which % proofs.length], rest)), "longer word");
    }

    function testFuzz_commitsToBothSumsLittleEndian(bytes32 leaf, uint48 sum, bytes32 sibling, uint48 other) public view {
        uint256 own = sum >> 1;
        uint256 siblings = other >> 1;
        bool isLeft = other & 1 == 1;
        bytes memory path = abi.encodePacked(uint48(siblings | (isLeft ? 1 << 47 : 0)), sibling);
        (bytes32 root, uint256 total, uint256 before) = this.climb(leaf, own, path);
        bytes32 pair = isLeft ? LogProof.hashPair(sibling, leaf) : LogProof.hashPair(leaf, sibling);
        bytes32 left = LogProof.littleEndian(uint64(isLeft ? siblings : own));
        bytes32 right = LogProof.littleEndian(uint64(isLeft ? own : siblings));
        require(root == LogProof.hashPair(pair, left | (right >> 64)), "root");
        require(total == own + siblings && before == (isLeft ? siblings : 0), "sums");
    }

    function climb(bytes32 leaf, uint256 sum, bytes calldata path) external view returns (bytes32, uint256, uint256) {
        return AuditProof.climb(leaf, sum, path);
    }

    function testFuzz_countsUnitsAndLevels(uint48 length) public pure {
        uint256 units = AuditProof.unitsOf(length);
        require(units >= 1 && units * 32 >= length, "units hold the bytes");
        require(units == 1 || (units - 1) * 32 < length, "no unit is empty");
        uint256 levels = AuditProof.depth(units);
        require(1 << levels >= units && (levels == 0 || 1 << (levels - 1) < units), "levels");
    }

    function climbs(bytes calldata proof) external view returns (bool) {
        (bytes32 root, uint256 total, uint256 before, bytes32 leaf, uint256 sum) =
            abi.decode(proof[:160], (bytes32, uint256, uint256, bytes32, uint256));
        (bytes32 top, uint256 units, uint256 left) = AuditProof.climb(leaf, sum, proof[160:]);
        require(left == AuditProof.unitsBefore(proof[160:]), "before");
        return top == root && units == total && left == before;
    }

    function opens(bytes calldata proof) external view returns (bool) {
        (bytes32 root, uint256 index, uint256 length, bytes32 unit) =
            abi.decode(proof[:128], (bytes32, uint256, uint256, bytes32));
        if (length > type(uint48).max || index >= AuditProof.unitsOf(length)) return false;
        if (proof.length != 128 + 32 * AuditProof.depth(AuditProof.unitsOf(length))) return false;
        return AuditProof.shardRoot(unit, index, length, proof[128:]) == root;
    }

    /// @dev The tree's depth is known to whoever checks; here it is that of the path as it was made.
    function holds(bytes calldata proof) external view returns (bool) {
        (bytes32 root, uint256 index, bytes32 word) = abi.decode(proof[:96], (bytes32, uint256, bytes32));
        if (proof.length % 32 != 0) return false;
        bytes32[] memory path = new bytes32[](proof.length / 32 - 3);
        for (uint256 i = 0; i < path.length; ++i) {
            path[i] = bytes32(proof[96 + 32 * i:]);
        }
        return this.binaryRoot(word, index, path) == root;
    }

    function binaryRoot(bytes32 word, uint256 index, bytes32[] calldata path) external view returns (bytes32) {
        return AuditProof.binaryRoot(word, index, path);
    }

    /// @dev A malformed path may also revert.
    function _refuses(function(bytes memory) external view returns (bool) check, bytes memory proof)
        private
        view
        returns (bool)
    {
        try check(proof) returns (bool accepted) {
            return !accepted;
        } catch {
            return true;
        }
    }

    function _flipped(bytes memory proof, uint256 bit) private pure returns (bytes memory) {
        uint256 place = bit % (proof.length * 8);
        proof[place / 8] ^= bytes1(uint8(1 << (place % 8)));
        return proof;
    }
}
