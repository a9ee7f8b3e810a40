// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

// Specs are ABI-encoded structs whose first field is their version; a reader refuses a version it does not know.

/// @notice One namespace of an append-only store on one node.
/// @param mode 0: keys chosen by the user. 1: keys in sequence.
/// @param writers Accounts (also overlay peers) that may read and write; readers may only read.
struct StoreSpec {
    uint8 version;
    uint8 mode;
    bool worm;
    address[] writers;
    address[] readers;
}

/// @notice A volume: k data and m parity slots, then metadata slots, under one key.
/// @param sizeBytes Plain bytes the tenant may keep in it.
/// @param keyCommitment SHA-256 of the volume key.
/// @param sameFarmAllowed True lifts the rule that slots of one group stand on distinct farms.
struct VolumeSpec {
    uint8 version;
    uint8 dataShards;
    uint8 parityShards;
    uint8 metaStores;
    bool sameFarmAllowed;
    uint64 sizeBytes;
    bytes32 keyCommitment;
}

/// @notice A volume shown as a directory of a node.
/// @param name Path below the node's mount root: segments of letters, digits, `.`, `_`, `-`, joined by `/`; no `.` or `..`.
/// @param sealedKey The volume key, sealed to the node's `sealingKey`.
struct MountSpec {
    uint8 version;
    bool readOnly;
    string name;
    bytes sealedKey;
}
