// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ISpecRules} from "./interfaces/ISpecRules.sol";
import {MountSpec, StoreSpec, VolumeSpec} from "./interfaces/Specs.sol";

/// @title SpecRules: which specs are well-formed.
/// @dev Invariants: no state; whatever is returned re-encodes to the bytes that were given. Apart from the order book,
/// because a decoder that fails must be caught by its caller to become a named refusal: `decode...` are called by
/// this contract on itself, and are of no other use.
contract SpecRules is ISpecRules {
    uint8 private constant VERSION = 1;
    /// @dev Each is a rule that the node's store checks at every connection.
    uint256 private constant MAX_ACCOUNTS = 64;
    /// @dev Shards are elements of GF(2^8) but zero.
    uint256 private constant MAX_SHARDS = 255;
    uint256 private constant MIN_META_STORES = 2;
    /// @dev NAME_MAX of the file systems that it may be shown on.
    uint256 private constant MAX_NAME_BYTES = 255;

    /// @inheritdoc ISpecRules
    function readStore(bytes calldata spec) external view returns (StoreSpec memory result) {
        try this.decodeStore(spec) returns (StoreSpec memory decoded) {
            result = decoded;
        } catch {
            revert SpecMalformed();
        }
        _check(result.version, spec, abi.encode(result));
        require(result.mode <= 1, SpecModeUnknown(result.mode));
        uint256 writers = result.writers.length;
        uint256 readers = result.readers.length;
        require(
            writers != 0 && writers <= MAX_ACCOUNTS && readers <= MAX_ACCOUNTS,
            SpecAccessInvalid(writers, readers, MAX_ACCOUNTS)
        );
    }

    /// @inheritdoc ISpecRules
    function readVolume(bytes calldata spec) external view returns (VolumeSpec memory result) {
        try this.decodeVolume(spec) returns (VolumeSpec memory decoded) {
            result = decoded;
        } catch {
            revert SpecMalformed();
        }
        _check(result.version, spec, abi.encode(result));
        uint256 shards = uint256(result.dataShards) + result.parityShards;
        require(
            result.dataShards != 0 && shards <= MAX_SHARDS && result.metaStores >= MIN_META_STORES,
            SpecShardsInvalid(result.dataShards, result.parityShards, result.metaStores)
        );
        require(result.sizeBytes != 0, SpecSizeZero());
    }

    /// @inheritdoc ISpecRules
    function readMount(bytes calldata spec) external view returns (MountSpec memory result) {
        try this.decodeMount(spec) returns (MountSpec memory decoded) {
            result = decoded;
        } catch {
            revert SpecMalformed();
        }
        _check(result.version, spec, abi.encode(result));
        require(_isSafePath(bytes(result.name)), SpecNameInvalid(result.name));
        require(result.sealedKey.length != 0, SpecKeyMissing());
    }

    /// @notice Decodes or reverts without a reason.
    function decodeStore(bytes calldata spec) external pure returns (StoreSpec memory) {
        return abi.decode(spec, (StoreSpec));
    }

    /// @notice Decodes or reverts without a reason.
    function decodeVolume(bytes calldata spec) external pure returns (VolumeSpec memory) {
        return abi.decode(spec, (VolumeSpec));
    }

    /// @notice Decodes or reverts without a reason.
    function decodeMount(bytes calldata spec) external pure returns (MountSpec memory) {
        return abi.decode(spec, (MountSpec));
    }

    function _check(uint8 version, bytes calldata spec, bytes memory canonical) private pure {
        require(keccak256(spec) == keccak256(canonical), SpecMalformed());
        require(version == VERSION, SpecVersionUnknown(version));
    }

    /// @dev Segments of letters, digits, `.`, `_`, `-`, none empty, none only one or two dots, joined by `/`.
    function _isSafePath(bytes memory name) private pure returns (bool) {
        if (name.length > MAX_NAME_BYTES) return false;
        uint256 segmentLength = 0;
        uint256 dots = 0;
        for (uint256 i = 0; i <= name.length; ++i) {
            bytes1 char = i == name.length ? bytes1("/") : name[i];
            if (char == "/") {
                if (segmentLength == 0 || (dots == segmentLength && dots <= 2)) return false;
                segmentLength = 0;
                dots = 0;
            } else {
                if (!_isNameChar(char)) return false;
                ++segmentLength;
                if (char == ".") ++dots;
            }
        }
        return true;
    }

    function _isNameChar(bytes1 char) private pure returns (bool) {
        bool letter = (char >= "a" && char <= "z") || (char >= "A" && char <= "Z");
        bool digit = char >= "0" && char <= "9";
        return letter || digit || char == "." || char == "_" || char == "-";
    }
}
