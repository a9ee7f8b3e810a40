// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

// Specs are ABI-encoded structs whose first field is their version; a reader refuses a version it does not know.
// Only the canonical encoding is taken: `abi.encode` of the decoded struct must give the same bytes.

/// @notice One namespace of an append-only store on one node.
/// @param version 1.
/// @param mode 0: keys chosen by the user. 1: keys in sequence.
/// @param worm True: nothing in it is ever overwritten or deleted while the order lives.
/// @param writers Accounts (also links peers) that may read and write; 1 to 64.
/// @param readers Accounts that may only read; at most 64.
struct StoreSpec {
    uint8 version;
    uint8 mode;
    bool worm;
    address[] writers;
    address[] readers;
}

/// @notice A volume: k data and m parity slots, then metadata slots, under one key.
/// @param version 1.
/// @param dataShards k, at least 1.
/// @param parityShards m; k + m at most 255.
/// @param metaStores At least 2.
/// @param sameFarmAllowed True lifts the rule that slots of one group stand on distinct farms.
/// @param sizeBytes Plain bytes the tenant may keep in it; not zero.
/// @param keyCommitment SHA-256 of the volume key.
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
/// @param version 1.
/// @param readOnly False makes it the volume's writer, in place of any earlier one.
/// @param name Path below the node's mount root, 1 to 255 bytes: segments of letters, digits, `.`, `_`, `-`, joined by
/// `/`; no `.` or `..`.
/// @param sealedKey The volume key, sealed to the node's `sealingKey`.
struct MountSpec {
    uint8 version;
    bool readOnly;
    string name;
    bytes sealedKey;
}
