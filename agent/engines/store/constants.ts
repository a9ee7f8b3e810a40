/** Limits and sizes of the store, each with its reason. */
import { KIB, MIB } from '../../base/units.ts'

/** A key's length fits in one byte, as in 0-db. */
export const KEY_BYTES_MAX = 255
/** As in 0-db: a larger value would hold memory and the loop for too long. */
export const VALUE_BYTES_MAX = 8 * MIB
/** As in 0-db. */
export const NAME_BYTES_MAX = 128

/** A replica is made a primary now and then, not for ever: the oldest ancestors of a log are forgotten beyond this. */
export const ANCESTORS_MAX = 64

/** A segment of this size is read in well under a second at recovery, and gives compaction its grain. */
export const SEGMENT_BYTES_DEFAULT = 256 * MIB
/** Segments of a namespace with a small quota are an eighth of it, but no smaller than this. */
export const SEGMENT_BYTES_QUOTA_MIN = 1 * MIB

/** A segment is compacted by itself once half of it is dead: then each byte copied frees one. */
export const COMPACT_DEAD_SHARE = 0.5
/** A full namespace is compacted already at this share. */
export const COMPACT_FULL_DEAD_SHARE = 0.05
/** A full namespace that compaction cannot help is not tried again for so long. */
export const COMPACT_RETRY_MS = 1000

/** Records wait here for the end of the tick: large enough for one `writev` of many, small enough for the cache. */
export const ARENA_BYTES = 256 * KIB
/** Values beyond this go to the disk at once from where they were received, and are not copied. */
export const ARENA_VALUE_BYTES_MAX = 32 * KIB

/** Values longer than this carry one checksum a block, so that a range is verified by its own blocks. */
export const BLOCK_BYTES = 64 * KIB

/** Delay of `sync: group`: what a power loss may take. */
export const GROUP_DELAY_MS = 100

/** How often it is noted how far a growing log is durable; what a missing end can hide is what was written since. */
export const LOG_END_MS = 60_000

/**
 * Headers and keys may take the files of a namespace so far beyond its quota; the values alone may not pass it. With it small
 * quotas mean what they mean in 0-db, and large ones are exact to a constant.
 */
export const QUOTA_OVERHEAD_BYTES = 64 * KIB

/** What deletes may use beyond the quota, so that a full namespace can be emptied. */
export const DELETE_RESERVE_BYTES = 256 * KIB

/** Holds the hot part of most namespaces; 16 bytes of it a block are taken at once, the rest as blocks are loaded. */
export const BLOCK_CACHE_BYTES = 64 * MIB
