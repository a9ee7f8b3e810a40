// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {LogProof} from "./LogProof.sol";

/// @title AuditProof: checks of paths through the trees of audits.
/// @dev The trees are those of docs/design/0014-audits.md, section 2. The same checks in TypeScript are in
/// agent/engines/audit. Nothing here allocates: the hashes go through the scratch space, as a path has dozens of them.
library AuditProof {
    /// @notice The bytes are not whole levels, or fewer than the length of the shard asks for.
    error AuditPathMalformed(uint256 length);

    /// @dev Bytes of a level of a sum path: the sibling's sum and side, and its hash.
    uint256 private constant SUM_LEVEL = 38;
    uint256 private constant LEFT_SIBLING = 1 << 47;

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
        for (uint256 offset = 0; offset < path.length; offset += SUM_LEVEL) {
            uint256 word;
            bytes32 sibling;
            // solhint-disable-next-line no-inline-assembly
            assembly ("memory-safe") {
                word := shr(208, calldataload(add(path.offset, offset)))
                sibling := calldataload(add(path.offset, add(offset, 6)))
            }
            uint256 siblingSum = word & (LEFT_SIBLING - 1);
            if (word & LEFT_SIBLING != 0) {
                root = hash(hash(sibling, root), sums(siblingSum, total));
                before += siblingSum;
            } else {
                root = hash(hash(root, sibling), sums(total, siblingSum));
            }
            total += siblingSum;
        }
    }

    /// @notice Units left of a leaf, as a sum path says.
    function unitsBefore(bytes calldata path) internal pure returns (uint256 before) {
        for (uint256 offset = 0; offset < path.length; offset += SUM_LEVEL) {
            uint256 word;
            // solhint-disable-next-line no-inline-assembly
            assembly ("memory-safe") {
                word := shr(208, calldataload(add(path.offset, offset)))
            }
            if (word & LEFT_SIBLING != 0) before += word & (LEFT_SIBLING - 1);
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
        for (uint256 offset = 0; offset < path.length; offset += 32) {
            bytes32 sibling;
            // solhint-disable-next-line no-inline-assembly
            assembly ("memory-safe") {
                sibling := calldataload(add(path.offset, offset))
            }
            root = index & 1 == 1 ? hash(sibling, root) : hash(root, sibling);
            index >>= 1;
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
        while (1 << levels < leaves) ++levels;
    }

    /// @notice SHA-256 of a hash and a number as 8 little-endian bytes and 24 zeros.
    function mix(bytes32 node, uint256 number) internal view returns (bytes32) {
        return hash(node, LogProof.littleEndian(uint64(number)));
    }

    /// @notice Two numbers as 8 little-endian bytes each and 16 zeros.
    function sums(uint256 left, uint256 right) internal pure returns (bytes32) {
        return LogProof.littleEndian(uint64(left))
            | (LogProof.littleEndian(uint64(right)) >> 64);
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
