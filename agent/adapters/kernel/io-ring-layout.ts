/** What `linux/io_uring.h` fixes: operations, flags and where the fields are. Names are the kernel's, without their prefix. */

/** Flags of io_uring_setup(2). */
export const SETUP_CQSIZE = 1 << 3
export const SETUP_CLAMP = 1 << 4
export const SETUP_SUBMIT_ALL = 1 << 7
export const SETUP_TASKRUN_FLAG = 1 << 9
export const SETUP_SINGLE_ISSUER = 1 << 12
export const SETUP_DEFER_TASKRUN = 1 << 13

/** Features a kernel tells of. */
export const FEAT_SINGLE_MMAP = 1 << 0
export const FEAT_NODROP = 1 << 1
export const FEAT_SUBMIT_STABLE = 1 << 2
export const FEAT_FAST_POLL = 1 << 5

/** Where the parts of a ring are mapped. */
export const OFF_RINGS = 0
export const OFF_SQES = 0x1000_0000

/** Flags of io_uring_enter(2). */
export const ENTER_GETEVENTS = 1 << 0

/** Operations of io_uring_register(2). */
export const REGISTER_EVENTFD = 4
export const REGISTER_PBUF_RING = 22

/** Flags in the shared memory. */
export const SQ_CQ_OVERFLOW = 1 << 1
export const SQ_TASKRUN = 1 << 2
export const CQ_EVENTFD_DISABLED = 1 << 0

/** Operations. */
export const OP_NOP = 0
export const OP_POLL_ADD = 6
export const OP_SENDMSG = 9
export const OP_ASYNC_CANCEL = 14
export const OP_SEND = 26
export const OP_RECV = 27

/** Flags of an operation; those of receives are in the field the kernel calls ioprio. */
export const SQE_BUFFER_SELECT = 1 << 5
export const RECV_MULTISHOT = 1 << 1
export const ASYNC_CANCEL_ALL = 1 << 0
export const ASYNC_CANCEL_FD = 1 << 1
/** Where an operation has no file. */
export const NO_DESCRIPTOR = 0xffff_ffff
export const MSG_DONTWAIT = 0x40
export const MSG_WAITALL = 0x100
export const MSG_NOSIGNAL = 0x4000

/** Event of a poll, here and in a completion. */
export const POLLIN = 1

/** Flags of a completion; the number of the buffer is in the upper half. */
export const CQE_BUFFER = 1 << 0
export const CQE_MORE = 1 << 1
export const CQE_BUFFER_SHIFT = 16

/** Sizes of structures, in bytes. */
export const PARAMS_BYTES = 120
export const SQE_BYTES = 64
export const CQE_BYTES = 16
export const BUFFER_ENTRY_BYTES = 16
export const IOVEC_BYTES = 16
export const MSGHDR_BYTES = 56

/** Error numbers of Linux on every architecture of Node. */
export const EINTR = 4
export const EAGAIN = 11
export const EBUSY = 16
export const ENOBUFS = 105
export const ECANCELED = 125

/** Where the fields of a ring are, out of what io_uring_setup(2) filled in. */
export interface RingOffsets {
  readonly sqEntries: number
  readonly cqEntries: number
  readonly features: number
  readonly sq: {
    readonly head: number
    readonly tail: number
    readonly flags: number
    readonly array: number
  }
  readonly cq: {
    readonly head: number
    readonly tail: number
    readonly cqes: number
    readonly flags: number
  }
  /** Bytes of the mapping that holds both. */
  readonly lengthBytes: number
}

/**
 * Reads `struct io_uring_params`.
 *
 * @param params - `[120]` bytes, filled in by the kernel.
 * @returns Byte offsets into the mapping, and counts.
 */
export function readOffsets(params: Buffer): RingOffsets {
  const at = (offset: number) => params.readUInt32LE(offset)
  const sqEntries = at(0)
  const cqEntries = at(4)
  const sq = { head: at(40), tail: at(44), flags: at(56), array: at(64) }
  const cq = { head: at(80), tail: at(84), cqes: at(100), flags: at(104) }
  const lengthBytes = Math.max(sq.array + 4 * sqEntries, cq.cqes + CQE_BYTES * cqEntries)
  return { sqEntries, cqEntries, features: at(20), sq, cq, lengthBytes }
}
