// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title LogProof: checks of what an append-only store says of its log.
/// @dev Trees have the shape of RFC 9162, nodes are SHA-256 of their two children, and the root has the count of
/// records mixed in as 32 little-endian bytes. The count fixes the shape, so no node can pass for a leaf. The same
/// checks in TypeScript are in agent/engines/store/tree/log-proof.ts; both are run on the vectors of
/// test/solidity/support.
library LogProof {
    /// @notice Tells whether a record is in a log.
    /// @param root Root of the log.
    /// @param size Count of records of the log.
    /// @param index Position of the record, from 0.
    /// @param leaf Root of the record.
    /// @param path Siblings from the leaf up.
    /// @return True if it is. Never reverts.
    function isIncluded(bytes32 root, uint64 size, uint64 index, bytes32 leaf, bytes32[] memory path)
        internal
        pure
        returns (bool)
    {
        if (index >= size) return false;
        uint64 spot = index;
        uint64 last = size - 1;
        bytes32 node = leaf;
        for (uint256 i = 0; i < path.length; ++i) {
            if (last == 0) return false;
            if (spot & 1 == 1 || spot == last) {
                node = hashPair(path[i], node);
                (spot, last) = _climb(spot, last);
            } else {
                node = hashPair(node, path[i]);
            }
            spot >>= 1;
            last >>= 1;
        }
        return last == 0 && mixInLength(node, size) == root;
    }

    /// @notice Tells whether a log is the beginning of another.
    /// @param root1 Root of the older log.
    /// @param size1 Count of its records, at least 1.
    /// @param root2 Root of the newer log.
    /// @param size2 Count of its records.
    /// @param path Nodes as the store's CONSIST gives them.
    /// @return True if it is. Never reverts.
    function isConsistent(bytes32 root1, uint64 size1, bytes32 root2, uint64 size2, bytes32[] memory path)
        internal
        pure
        returns (bool)
    {
        if (size1 == 0 || size1 > size2) return false;
        if (size1 == size2) return path.length == 0 && root1 == root2;
        if (path.length == 0) return false;
        uint64 spot = size1 - 1;
        uint64 last = size2 - 1;
        while (spot & 1 == 1) {
            spot >>= 1;
            last >>= 1;
        }
        bytes32 older = path[0];
        bytes32 newer = path[0];
        for (uint256 i = 1; i < path.length; ++i) {
            if (last == 0) return false;
            if (spot & 1 == 1 || spot == last) {
                older = hashPair(path[i], older);
                newer = hashPair(path[i], newer);
                (spot, last) = _climb(spot, last);
            } else {
                newer = hashPair(newer, path[i]);
            }
            spot >>= 1;
            last >>= 1;
        }
        return last == 0 && mixInLength(older, size1) == root1 && mixInLength(newer, size2) == root2;
    }

    /// @notice The parent of two nodes.
    function hashPair(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(left, right));
    }

    /// @notice A tree's root with a count mixed in.
    function mixInLength(bytes32 node, uint64 length) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(node, littleEndian(length)));
    }

    /// @dev A node without a right sibling goes up unchanged.
    function _climb(uint64 spot, uint64 last) private pure returns (uint64, uint64) {
        while (spot & 1 == 0 && spot != 0) {
            spot >>= 1;
            last >>= 1;
        }
        return (spot, last);
    }

    /// @notice A number as 8 little-endian bytes and 24 zeros.
    function littleEndian(uint64 value) internal pure returns (bytes32) {
        uint64 swapped = ((value & 0xff00ff00ff00ff00) >> 8) | ((value & 0x00ff00ff00ff00ff) << 8);
        swapped = ((swapped & 0xffff0000ffff0000) >> 16) | ((swapped & 0x0000ffff0000ffff) << 16);
        swapped = (swapped >> 32) | (swapped << 32);
        return bytes32(bytes8(swapped));
    }
}
