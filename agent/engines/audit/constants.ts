/** Numbers of the audits: those of the formats, which the contracts fix, and limits of this engine with their reasons. */
import { MIB } from '../../base/units.ts'

/** Bytes of a unit: what one sample shows. */
export const UNIT_BYTES = 32
/** Bytes of a level of a sum path: the sibling's sum and side, and its hash. */
export const SUM_LEVEL_BYTES = 38
/** Bytes of a sum on a path. */
export const SUM_BYTES = 6
/** Units of a tree at most: the highest bit of a sum on a path says on which side the sibling is. */
export const UNITS_MAX = 2 ** 47 - 1
/** Levels of a sum path at most: a tree of {@link UNITS_MAX} leaves is no deeper, and what strangers send must end. */
export const SUM_LEVELS_MAX = 48
/** Bytes of a digest or a group's root on chain. */
export const POSTED_BYTES = 28
/** Samples of an epoch at most: the contract counts them in a byte. */
export const SAMPLES_MAX = 255
/** Nodes whose digests go into one tree: a bitmap of them is one word. */
export const GROUP_NODES = 256
/** Levels of that tree. */
export const GROUP_LEVELS = 8

/** Bytes of a shard at most: it is read whole for a path, and stores take values of up to 8 MiB. */
export const SHARD_BYTES_MAX = 16 * MIB
/** Bytes of a shard's key at most: what stores take. */
export const SHARD_KEY_BYTES_MAX = 255
/** Shards asked for in one listing: some tens of KiB. */
export const LIST_SHARDS = 1024
/** Shards whose leaves are written together: at least so often a restarted node goes on from there. */
export const LEAVES_PER_WRITE = 256

/** Bytes of a signature on chain: r, s, v. */
export const SIGNATURE_BYTES = 65
/** Bytes of a transcript at most: 255 samples of the longest paths need half of it. */
export const TRANSCRIPT_BYTES_MAX = MIB

/** Seconds over which nodes spread what all of them could do at once: drawing, falling back to an own digest. */
export const SPREAD_SECONDS = 120
/** Short epochs are spread less: over at most this part of one. */
export const SPREAD_EPOCH_PART = 1 / 8
/** A node posts its own digest when this part of the window is left and its aggregator has not posted it. */
export const FALLBACK_WINDOW_PART = 1 / 3
/** A node commits anew after this part of an epoch, once: what came before is then audited from the next one on. */
export const COMMIT_EPOCH_PART = 1 / 2
