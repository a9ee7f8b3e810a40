/** Limits of the file system, each with its reason. All can be seen here; those a mount may tune are in `VolumeOptions`. */
import { GIB, KIB, MIB, MINUTE_MS, SECOND_MS } from '../../base/units.ts'

/** Bytes of a name: what Linux allows (NAME_MAX). */
export const NAME_BYTES_MAX = 255
/** Bytes of a symlink's target: PATH_MAX without the NUL. */
export const TARGET_BYTES_MAX = 4095
/** Bytes of one file: 16 TiB, what ext4 allows; keeps every offset exact in a double. */
export const FILE_BYTES_MAX = 16 * 1024 * GIB
/** Hard links of one inode: what ext4 allows. */
export const LINKS_MAX = 65_000
/** Bytes of one extended attribute (XATTR_SIZE_MAX), and of all of one inode, so that a commit stays small. */
export const EXTENDED_BYTES_MAX = 64 * KIB
/** Open handles: each costs about 100 bytes, and the kernel's own limit (file-max) is of this order. */
export const HANDLES_MAX = 1_000_000
/** Inodes of a volume unless told otherwise: about 130 bytes each in memory, names not counted. */
export const INODES_MAX = 8_000_000

/** Nominal bytes of a journal segment: small enough to free disk soon, large enough to make new files rare. */
export const SEGMENT_BYTES = 64 * MIB
/** Distance of two segments' positions: a segment may exceed its nominal size by one record. */
export const SEGMENT_SPAN = 128 * MIB
/** Data bytes of one journal record: a write is split at this size. Above the kernel's largest write (1 MiB). */
export const RECORD_DATA_MAX = 4 * MIB
/** Bytes of a record that a reader believes: data, names and attributes at their limits fit. */
export const RECORD_BYTES_MAX = RECORD_DATA_MAX + 256 * KIB

/** Undispersed bytes that start a dispersal before its age does (docs/design/0001, section 6). */
export const DISPERSAL_BYTES = 64 * MIB
/** Changed inodes that start a dispersal: keeps the pause that encodes them near 100 ms. */
export const DISPERSAL_INODES = 65_536
/** Bytes handed to the chunk store in one call: bounds what it keeps in flight and what a failure repeats. */
export const STORE_BATCH_BYTES = 64 * MIB
/**
 * Undispersed bytes at which writers wait while dispersal makes progress: four rounds, about 5 s of a 50 MB/s uplink, so
 * that what a lost machine would lose stays small.
 */
export const BACKLOG_BYTES = 256 * MIB
/** Writers also wait when the oldest undispersed byte is this many times older than it should be, and a round is full. */
export const BACKLOG_AGE_FACTOR = 12
/** Journal bytes that may pile up while stores are away; then writes fail with NO_SPACE. */
export const JOURNAL_BYTES_MAX = 16 * GIB
/** What metadata operations may use beyond that, so that a full volume can still be tidied. */
export const JOURNAL_RESERVE_BYTES = 16 * MIB
/** Free bytes of the local disk below which data is refused: commits and checkpoints need room to free journal. */
export const DISK_RESERVE_BYTES = 128 * MIB
/** Journal bytes between two looks at the disk's free space. */
export const DISK_CHECK_BYTES = 16 * MIB

/** How long what was written may wait for the disk although nobody asked for a sync: the kernel does not tell us of `sync`. */
export const FLUSH_MS = SECOND_MS

/** First and longest wait after stores did not answer. */
export const RETRY_MS_MIN = 200
export const RETRY_MS_MAX = 15 * SECOND_MS

/** Runs shorter than this are stored again together with what was written next to them, so that logs do not crumble. */
export const SMALL_RUN_BYTES = 32 * KIB
/** Most bytes that one changed range takes in that way. */
export const COALESCE_BYTES_MAX = 256 * KIB

/** Commits after the last snapshot before another is thought of: fewer are read faster than a snapshot is made. */
export const SNAPSHOT_COMMITS_MIN = 64
/** Commits after which a snapshot is due whatever their size: bounds the reads of an opening. */
export const SNAPSHOT_COMMITS_MAX = 1024
/** A snapshot is due when the commits since reach this share of its size: so it costs at most four times the commits. */
export const SNAPSHOT_SHARE = 4
/** Local checkpoints kept: the newest, and one before it should the newest be damaged. */
export const CHECKPOINTS_KEPT = 2
/** Bytes of a snapshot copied before other work gets its turn. */
export const SNAPSHOT_SLICE_BYTES = 8 * MIB

/** Commits read at once while opening: hides round trips, bounds memory. */
export const COMMITS_READ_AHEAD = 16
/** Rival histories followed at once: more than there are metadata stores of any order, so only an attack meets it. */
export const BRANCHES_MAX = 64
/** Commits of rival histories held in memory while it is undecided which one wins. */
export const FORK_COMMITS_MAX = 4096
/** How often a new writer looks whether the one before ended. */
export const HANDOVER_LOOK_MS = 250
/** How often a read-only volume looks for new commits. */
export const FOLLOW_MS = 2 * SECOND_MS
/** Longest wait of a follower whose stores do not answer. */
export const FOLLOW_MS_MAX = MINUTE_MS

/** Plain bytes of chunks kept for the next read and for read-ahead; the chunk store has its own cache below. */
export const PLAIN_CACHE_BYTES = 32 * MIB
/**
 * How long a chunk that could not be had is not asked for again: the kernel asks a second time for a page whose read-ahead
 * failed, at once, and a program shall wait for the stores only once. Stores that come back are noticed as much later.
 */
export const FAILED_MS = 2 * SECOND_MS
/** A read that failed sooner is not remembered: asking again costs nobody anything. */
export const WAITED_MS_MIN = 250
/** Chunks remembered so: as many as a few dozen readers have under way. */
export const FAILED_CHUNKS_MAX = 4096
/** Bytes read ahead of a sequential reader. */
export const READ_AHEAD_BYTES = 2 * MIB
/** Chunks being read ahead at once in a volume. */
export const READ_AHEAD_CHUNKS_MAX = 32
