/**
 * The first exchange: what the kernel offers, what is taken.
 *
 * Not taken, and why: writeback cache (a crash of this process would lose writes that the kernel had acknowledged), export
 * (inode numbers are not kept for NFS), flock and POSIX locks (the kernel keeps them itself, which is right with one
 * mount a volume), POSIX ACLs (the port has none).
 */
import { NodeError } from '../../base/errors.ts'
import {
  INIT,
  PROTOCOL_MAJOR,
  PROTOCOL_MINOR_MAX,
  PROTOCOL_MINOR_MIN,
  TRANSFER_BYTES_MAX,
  TRANSFER_PAGES_MAX,
} from './protocol.ts'
import type { ReplyWriter } from './reply-writer.ts'
import type { RequestReader } from './request-reader.ts'

/**
 * Requests that no program waits for (read-ahead) in the kernel's hands at most: enough for 4 MiB of read-ahead of 16
 * readers; more would only pile up here.
 */
const BACKGROUND_REQUESTS_MAX = 64
const CONGESTION_REQUESTS = 48

/**
 * How long the kernel may believe what it was told.
 *
 * `exclusive`: only this mount changes the volume; `frozen`: nobody does (a snapshot); `shared`: another mount may
 * (a reader of a live volume), so the kernel asks again and drops pages of files that changed.
 */
export type CachePolicy = 'exclusive' | 'frozen' | 'shared'

/** What was agreed. */
export interface Agreement {
  readonly major: number
  readonly minor: number
  /** Bits as in {@link INIT}, those from 32 on included. */
  readonly flags: bigint
  readonly readAheadBytes: number
}

/** The fixed part of an INIT request. */
export interface InitRequest {
  readonly major: number
  readonly minor: number
  readonly readAheadBytes: number
  readonly flags: bigint
}

/** Reads `fuse_init_in`, of which 7.36 doubled the flags. */
export function decodeInit(reader: RequestReader): InitRequest {
  const major = reader.u32()
  const minor = reader.u32()
  const readAheadBytes = reader.u32()
  const low = BigInt(reader.u32())
  const extended = (low & bit(INIT.INIT_EXT)) !== 0n
  const high = extended ? BigInt(reader.u32()) : 0n
  return { major, minor, readAheadBytes, flags: low | (high << 32n) }
}

/**
 * Chooses among what the kernel offers.
 *
 * @param offer - The kernel's INIT.
 * @param policy - How long answers may be believed.
 * @returns What is taken; of a newer major version only the number, after which the kernel asks again.
 * @throws NodeError `FUSE_VERSION` if the kernel is older than 7.31.
 */
export function agree(offer: InitRequest, policy: CachePolicy): Agreement {
  if (offer.major > PROTOCOL_MAJOR) {
    return { major: PROTOCOL_MAJOR, minor: PROTOCOL_MINOR_MAX, flags: 0n, readAheadBytes: 0 }
  }
  if (offer.major < PROTOCOL_MAJOR || offer.minor < PROTOCOL_MINOR_MIN) {
    throw new NodeError('FUSE_VERSION', `the kernel offers FUSE ${offer.major}.${offer.minor}`)
  }
  return {
    major: PROTOCOL_MAJOR,
    minor: Math.min(offer.minor, PROTOCOL_MINOR_MAX),
    flags: wanted(policy) & offer.flags,
    readAheadBytes: offer.readAheadBytes,
  }
}

function wanted(policy: CachePolicy): bigint {
  const always = [
    INIT.ASYNC_READ,
    INIT.ATOMIC_O_TRUNC,
    INIT.BIG_WRITES,
    INIT.DO_READDIRPLUS,
    INIT.READDIRPLUS_AUTO,
    INIT.ASYNC_DIO,
    INIT.PARALLEL_DIROPS,
    INIT.ABORT_ERROR,
    INIT.MAX_PAGES,
    INIT.CACHE_SYMLINKS,
    INIT.HANDLE_KILLPRIV_V2,
    INIT.INIT_EXT,
    INIT.NO_EXPORT_SUPPORT,
    INIT.HAS_RESEND,
  ]
  const bits = policy === 'shared' ? [...always, INIT.AUTO_INVAL_DATA] : always
  return bits.reduce((flags, number) => flags | bit(number), 0n)
}

/** Writes `fuse_init_out`. */
export function encodeInit(out: ReplyWriter, agreement: Agreement): void {
  out.u32(agreement.major)
  out.u32(agreement.minor)
  out.u32(agreement.readAheadBytes)
  out.u32(Number(agreement.flags & 0xffffffffn))
  out.u32(BACKGROUND_REQUESTS_MAX | (CONGESTION_REQUESTS << 16))
  out.u32(TRANSFER_BYTES_MAX)
  out.u32(1) // time granularity: a nanosecond
  out.u32(TRANSFER_PAGES_MAX) // and, in the upper half, no alignment of mappings
  out.u32(Number(agreement.flags >> 32n))
  for (let spare = 0; spare < 7; spare++) out.u32(0)
}

const bit = (number: number): bigint => 1n << BigInt(number)
