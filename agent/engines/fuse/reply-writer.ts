/**
 * Writes the fields of one reply in order into a buffer that is used again for every reply.
 *
 * The kernel has copied a reply when the write to the device returns, so one buffer serves all small ones.
 */
import { bytesOfName } from '../../base/name-text.ts'
import type { Attributes } from './ports.ts'
import { OUT_HEADER_BYTES } from './protocol.ts'
import { writeUnique } from './unique.ts'

const HIGH_WORD = 2 ** 32
const NS_PER_SECOND = 1_000_000_000n
const BLOCK_BYTES = 512
/** What stat(2) shows as the good size for reads and writes: stdio buffers of this size suit small reads at the tail. */
const PREFERRED_BYTES = 4096

/** Room for the longest small reply: a list of directory entries or attributes. */
export const REPLY_BYTES_MAX = 128 * 1024

/** How long the kernel may believe an answer, in seconds. */
export interface Lifetimes {
  readonly entrySeconds: number
  readonly attributesSeconds: number
}

/** Writes one reply after another. */
export class ReplyWriter {
  readonly bytes: Buffer = Buffer.alloc(OUT_HEADER_BYTES + REPLY_BYTES_MAX)
  #at = OUT_HEADER_BYTES
  // The last time written: the three times of a file are often the same, and dividing bigints is slow.
  #timeNs = 0n
  #seconds = 0n
  #nanoseconds = 0

  /** Begins a reply; its body starts empty. */
  begin(): void {
    this.#at = OUT_HEADER_BYTES
  }

  /** Bytes that the body may still take. */
  get roomBytes(): number {
    return this.bytes.length - this.#at
  }

  get bodyBytes(): number {
    return this.#at - OUT_HEADER_BYTES
  }

  /** Forgets what came after the first `bodyBytes` bytes of the body. */
  cutTo(bodyBytes: number): void {
    this.#at = OUT_HEADER_BYTES + bodyBytes
  }

  u32(value: number): void {
    this.#at = this.bytes.writeUInt32LE(value, this.#at)
  }

  u64(value: number): void {
    this.bytes.writeUInt32LE(value % HIGH_WORD, this.#at)
    this.#at = this.bytes.writeUInt32LE(Math.floor(value / HIGH_WORD), this.#at + 4)
  }

  raw(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.#at)
    this.#at += bytes.byteLength
  }

  /** The bytes of a name. */
  text(text: string): void {
    if (text.isWellFormed()) this.#at += this.bytes.write(text, this.#at)
    else this.raw(bytesOfName(text))
  }

  /** Fills up with zeros to a multiple of 8. */
  align(): void {
    const end = (this.#at + 7) & ~7
    this.bytes.fill(0, this.#at, end)
    this.#at = end
  }

  /** `fuse_entry_out`. */
  entry(attributes: Attributes, lifetimes: Lifetimes): void {
    this.u64(attributes.ino)
    this.u64(0)
    this.u64(lifetimes.entrySeconds)
    this.u64(lifetimes.attributesSeconds)
    this.u64(0)
    this.attributes(attributes)
  }

  /** `fuse_entry_out` that says for `entrySeconds`: there is no such name. */
  absentEntry(entrySeconds: number): void {
    this.u64(0)
    this.u64(0)
    this.u64(entrySeconds)
    const end = this.#at + 104
    this.bytes.fill(0, this.#at, end)
    this.#at = end
  }

  /** `fuse_attr`. */
  attributes(of: Attributes): void {
    this.u64(of.ino)
    this.u64(of.sizeBytes)
    this.u64(Math.ceil(of.allocatedBytes / BLOCK_BYTES))
    const times = this.#at
    this.#time(of.accessedNs, times, times + 24)
    this.#time(of.modifiedNs, times + 8, times + 28)
    this.#time(of.changedNs, times + 16, times + 32)
    this.#at = times + 36
    this.u32(of.mode)
    this.u32(of.links)
    this.u32(of.uid)
    this.u32(of.gid)
    this.u32(of.device)
    this.u32(PREFERRED_BYTES)
    this.u32(0)
  }

  #time(ns: bigint, secondsAt: number, nanosecondsAt: number): void {
    if (ns !== this.#timeNs) {
      const rest = ns % NS_PER_SECOND
      const nanoseconds = rest < 0n ? rest + NS_PER_SECOND : rest
      this.#timeNs = ns
      this.#nanoseconds = Number(nanoseconds)
      this.#seconds = (ns - nanoseconds) / NS_PER_SECOND
    }
    this.bytes.writeBigInt64LE(this.#seconds, secondsAt)
    this.bytes.writeUInt32LE(this.#nanoseconds, nanosecondsAt)
  }

  /**
   * Ends a reply.
   *
   * @param unique - Of the request.
   * @param errno - 0, or the error number; the body is then dropped.
   * @returns The reply, valid until the next `begin`.
   */
  finish(unique: number, errno: number): Buffer {
    if (errno !== 0) this.#at = OUT_HEADER_BYTES
    writeOutHeader(this.bytes, this.#at, unique, errno)
    return this.bytes.subarray(0, this.#at)
  }
}

/**
 * Writes the header of a reply.
 *
 * @param bytes - Where, from its start.
 * @param lengthBytes - Of the whole reply.
 * @param unique - Of the request.
 * @param errno - 0, or the error number.
 */
export function writeOutHeader(
  bytes: Buffer,
  lengthBytes: number,
  unique: number,
  errno: number,
): void {
  bytes.writeUInt32LE(lengthBytes, 0)
  bytes.writeInt32LE(-errno, 4)
  writeUnique(bytes, 8, unique)
}
