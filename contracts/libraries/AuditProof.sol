// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {LogProof} from "./LogProof.sol";

/// @title AuditProof: checks of paths through the trees of audits.
/// @dev The trees are those of docs/design/0014-audits.md, section 2. The same checks in TypeScript are in
/// agent/engines/audit. Nothing here allocates: the hashes go through the scratch space, as a path has dozens of them.
library AuditProof {
    /// @notice The bytes are not whole levels, or fewer than the length of the shard asks for.
    error AuditPathMalformed(uint256 length);

    /// @dev Bytes of a level of a sum path: the sibling's sum and side, and its hash.
    uint256 private constant SUM_LEVEL = 38;
    uint256 private constant LEFT_SIBLING = 0x800000000000;
    /// @dev The lower of each two bytes, of each two pairs, of each two fours.
    uint256 private constant LOW_BYTES = 0x00ff00ff00ff00ff00ff00ff00ff00ff;
    uint256 private constant LOW_PAIRS = 0x0000ffff0000ffff0000ffff0000ffff;
    uint256 private constant LOW_FOURS = 0x00000000ffffffff00000000ffffffff;

    /// @notice Root, sum and place of a leaf, as a sum path says.
    /// @param node Hash of the leaf.
    /// @param sum Units of the leaf.
    /// @param path Levels from the bottom, 38 bytes each.
    /// @return root Hash at the top. @return total Units below it. @return before Units left of the leaf.
    function climb(bytes32 node, uint256 sum, bytes calldata path)
        internal
        view
        returns (bytes32 root, uint256 total, uint256 before)
    {
        require(path.length % SUM_LEVEL == 0, AuditPathMalformed(path.length));
        root = node;
        total = sum;
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            let level := path.offset
            for { let end := add(level, path.length) } lt(level, end) { level := add(level, SUM_LEVEL) } {
                let word := shr(208, calldataload(level))
                let siblingSum := and(word, sub(LEFT_SIBLING, 1))
                // 32 where the sibling is on the left, and so this node's hash goes to the second half.
                let side := shl(5, shr(47, word))
                let left := total
                let right := siblingSum
                if side {
                    before := add(before, siblingSum)
                    left := siblingSum
                    right := total
                }
                mstore(side, root)
                mstore(sub(0x20, side), calldataload(add(level, 6)))
                // The precompile at 2 fails only without gas, and then so does the rest of the call.
                if iszero(staticcall(gas(), 0x02, 0x00, 0x40, 0x00, 0x20)) { revert(0, 0) }
                // Both sums at once, the bytes of each turned round.
                let pair := or(shl(64, left), right)
                pair := or(shl(8, and(pair, LOW_BYTES)), and(shr(8, pair), LOW_BYTES))
                pair := or(shl(16, and(pair, LOW_PAIRS)), and(shr(16, pair), LOW_PAIRS))
                pair := or(shl(32, and(pair, LOW_FOURS)), and(shr(32, pair), LOW_FOURS))
                mstore(0x20, shl(128, pair))
                if iszero(staticcall(gas(), 0x02, 0x00, 0x40, 0x00, 0x20)) { revert(0, 0) }
                root := mload(0x00)
                total := add(total, siblingSum)
            }
        }
    }

    /// @notice Units left of a leaf, as a sum path says.
    function unitsBefore(bytes calldata path) internal pure returns (uint256 before) {
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            let level := path.offset
            for { let end := add(level, path.length) } lt(level, end) { level := add(level, SUM_LEVEL) } {
                let word := shr(208, calldataload(level))
                before := add(before, mul(shr(47, word), and(word, sub(LEFT_SIBLING, 1))))
            }
        }
    }

    /// @notice Root of a shard of which one unit is shown.
    /// @param unit Its 32 bytes. @param index Its number in the shard.
    /// @param length Bytes of the shard.
    /// @param path Siblings from the unit up, 32 bytes each, as many as {depth} says.
    function shardRoot(bytes32 unit, uint256 index, uint256 length, bytes calldata path)
        internal
        view
        returns (bytes32 root)
    {
        root = unit;
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            let level := path.offset
            for { let end := add(level, path.length) } lt(level, end) { level := add(level, 0x20) } {
                let side := shl(5, and(index, 1))
                mstore(side, root)
                mstore(sub(0x20, side), calldataload(level))
                if iszero(staticcall(gas(), 0x02, 0x00, 0x40, 0x00, 0x20)) { revert(0, 0) }
                root := mload(0x00)
                index := shr(1, index)
            }
        }
        root = mix(root, length);
    }

    /// @notice Root of a full binary tree in which `node` is leaf `index`; `index` must be below 2^path.length.
    function binaryRoot(bytes32 node, uint256 index, bytes32[] calldata path) internal view returns (bytes32 root) {
        require(index >> path.length == 0, AuditPathMalformed(path.length));
        root = node;
        for (uint256 i = 0; i < path.length; ++i) {
            root = (index >> i) & 1 == 1 ? hash(path[i], root) : hash(root, path[i]);
        }
    }

    /// @notice Units of a shard: one for each 32 bytes begun, at least one.
    function unitsOf(uint256 length) internal pure returns (uint256) {
        return length <= 32 ? 1 : (length + 31) / 32;
    }

    /// @notice Levels of the tree over so many leaves.
    function depth(uint256 leaves) internal pure returns (uint256 levels) {
        return leaves <= 1 ? 0 : Math.log2(leaves - 1) + 1;
    }

    /// @notice SHA-256 of a hash and a number as 8 little-endian bytes and 24 zeros.
    function mix(bytes32 node, uint256 number) internal view returns (bytes32) {
        return hash(node, LogProof.littleEndian(uint64(number))); // cuts: sums have 47 bits
    }

    /// @notice SHA-256 of 64 bytes.
    function hash(bytes32 left, bytes32 right) internal view returns (bytes32 result) {
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            mstore(0x00, left)
            mstore(0x20, right)
            // The precompile at 2 fails only without gas, and then so does the rest of the call.
            if iszero(staticcall(gas(), 0x02, 0x00, 0x40, 0x00, 0x20)) { revert(0, 0) }
            result := mload(0x00)
        }
    }
}
