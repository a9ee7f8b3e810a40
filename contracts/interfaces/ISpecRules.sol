// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {MountSpec, StoreSpec, VolumeSpec} from "./Specs.sol";

/// @title Which specs are well-formed. Stateless; the order book asks it, and so may anyone before ordering.
interface ISpecRules {
    /// @notice The bytes are not the canonical ABI encoding of the kind's struct.
    error SpecMalformed();
    /// @notice The version of the spec is not one this contract knows.
    error SpecVersionUnknown(uint8 version);
    /// @notice A store's mode is neither 0 nor 1.
    error SpecModeUnknown(uint8 mode);
    /// @notice A store has no writers, or too many writers or readers.
    error SpecAccessInvalid(uint256 writers, uint256 readers, uint256 max);
    /// @notice A volume needs `k >= 1`, `k + m <= 255` and two metadata stores.
    error SpecShardsInvalid(uint8 dataShards, uint8 parityShards, uint8 metaStores);
    /// @notice A volume's size is zero.
    error SpecSizeZero();
    /// @notice A mount's name is not a safe relative path of 1 to 255 bytes.
    error SpecNameInvalid(string name);
    /// @notice A mount's sealed key is empty.
    error SpecKeyMissing();

    /// @notice Decodes the spec of a store.
    function readStore(bytes calldata spec) external view returns (StoreSpec memory);
    /// @notice Decodes the spec of a volume.
    function readVolume(bytes calldata spec) external view returns (VolumeSpec memory);
    /// @notice Decodes the spec of a mount.
    function readMount(bytes calldata spec) external view returns (MountSpec memory);
}
