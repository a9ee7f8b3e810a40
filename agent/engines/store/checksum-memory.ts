/**
 * Memory in which long checksums cost less than half: values that are received or read from the disk into it are verified by the
 * checksum kernel (scripts/wasm/checksum-fold.ts) where they are, which can look at no other memory.
 *
 * It is handed out in pages, first fit; whoever takes the most of it keeps what it took and reuses it (resp/buffer-pool.ts).
 */
import { compileKernel, type Kernel } from '../../base/kernel.ts'
import { KIB, MIB } from '../../base/units.ts'
import { BLOCK_BYTES } from './constants.ts'
import { crc32cTables } from './crc32c-tables.ts'
import { CHECKSUM_FOLD } from './kernel/checksum-fold-wasm.ts'

/** Grain of what is handed out. */
export const GRAIN_BYTES = 4 * KIB
/** Where the kernel can be used, if nothing else is said; touched only where it is in use. */
const SPACE_BYTES = 64 * MIB
/** Longest string that is shortened in one go: a block of a value. */
export const FOLD_BYTES_MAX = BLOCK_BYTES
/** From here on it pays to shorten a string before its end. */
export const FOLD_BYTES_MIN = 640
/** From here on the long relation of the kernel is worth its own tail of 5424 bytes. */
const FAR_BYTES_MIN = 8 * KIB
/** The reach of both relations with the kernel's step and slack, rounded up. */
const FAR_LEFT_BYTES = 6 * KIB
const NEAR_LEFT_BYTES = KIB

/** Bytes that the kernel takes at once at the end, each with a table. */
export const END_BYTES = 16
const TABLE_BYTES = 1024

/**
 * The tables, then where the kernel keeps what it moves, each after zeros of its reach, and what is left. Before
 * the last are zeros, too: what is not a multiple of {@link END_BYTES} begins with some of them.
 */
const FAR_AT = END_BYTES * TABLE_BYTES
const FAR_OUT_AT = FAR_AT + FAR_LEFT_BYTES + FOLD_BYTES_MAX + GRAIN_BYTES
const NEAR_AT = FAR_OUT_AT + FAR_LEFT_BYTES + GRAIN_BYTES
const NEAR_OUT_AT = NEAR_AT + NEAR_LEFT_BYTES + FAR_BYTES_MIN + GRAIN_BYTES
const SPACE_AT = NEAR_OUT_AT + GRAIN_BYTES
/** The kernel may read a few bytes beyond what it is given. */
const SLACK_BYTES = GRAIN_BYTES

type Fold = (
  data: number,
  lengthBytes: number,
  state: number,
  scratch: number,
  out: number,
) => number

type Finish = (data: number, end: number, register: number) => number

/** The memories there are, by their buffers. */
const memories = new WeakMap<ArrayBufferLike, ChecksumMemory>()
let kernel: Kernel | undefined

/** A free stretch. */
interface Extent {
  from: number
  to: number
}

/** Memory with a checksum kernel. */
export class ChecksumMemory {
  readonly #buffer: ArrayBuffer
  readonly #foldFar: Fold
  readonly #foldNear: Fold
  readonly #finish: Finish
  /** Ascending, never touching each other. */
  readonly #free: Extent[]

  private constructor(spaceBytes: number) {
    kernel ??= compileKernel([CHECKSUM_FOLD])
    const { memory, entry } = kernel.instantiate(SPACE_AT + spaceBytes + SLACK_BYTES)
    this.#free = [{ from: SPACE_AT, to: SPACE_AT + spaceBytes }]
    this.#buffer = memory
    this.#foldFar = entry('foldFar')
    this.#foldNear = entry('foldNear')
    this.#finish = entry('finish')
    const tables = crc32cTables(END_BYTES)
    new Int32Array(memory, 0, tables.length).set(tables)
    memories.set(memory, this)
  }

  /**
   * Makes one.
   *
   * @param spaceBytes - What can be taken of it at most, in whole grains. The garbage collector counts all of it, used or not.
   * @returns Undefined where the system gives the address space for none.
   */
  static make(spaceBytes = SPACE_BYTES): ChecksumMemory | undefined {
    try {
      return new ChecksumMemory(spaceBytes)
    } catch (caught) {
      if (caught instanceof RangeError) return undefined
      throw caught
    }
  }

  /** The one that a buffer lies in, if any. */
  static of(buffer: ArrayBufferLike): ChecksumMemory | undefined {
    return memories.get(buffer)
  }

  /** Whether a buffer is a piece of this memory. */
  holds(buffer: Buffer): boolean {
    return buffer.buffer === this.#buffer
  }

  /**
   * Takes a piece with unknown content.
   *
   * @param bytes - `>= 1`.
   * @returns A buffer of that many bytes, or undefined where no stretch is long enough.
   */
  take(bytes: number): Buffer | undefined {
    const size = grains(bytes)
    const at = this.#free.findIndex((extent) => extent.to - extent.from >= size)
    const extent = this.#free[at]
    if (!extent) return undefined
    const { from } = extent
    extent.from += size
    if (extent.from === extent.to) this.#free.splice(at, 1)
    return Buffer.from(this.#buffer, from, bytes)
  }

  /** Takes a piece back; nobody may use it any more. */
  give(piece: Buffer): void {
    const from = piece.byteOffset
    const to = from + grains(piece.byteLength)
    let at = this.#free.findIndex((extent) => extent.from >= to)
    if (at < 0) at = this.#free.length
    const before = this.#free[at - 1]
    const after = this.#free[at]
    const joinsAfter = after?.from === to
    if (before?.to === from) {
      before.to = joinsAfter ? after.to : to
      if (joinsAfter) this.#free.splice(at, 1)
    } else if (joinsAfter) after.from = from
    else this.#free.splice(at, 0, { from, to })
  }

  /**
   * Takes a string into a checksum.
   *
   * @param register - Of the checksum before the string.
   * @param start - Of the string in this memory's buffer.
   * @param lengthBytes - {@link FOLD_BYTES_MIN} to {@link FOLD_BYTES_MAX}, or less and a multiple of {@link END_BYTES}.
   * @returns The register after it.
   */
  advance(register: number, start: number, lengthBytes: number): number {
    if (lengthBytes < FOLD_BYTES_MIN) return this.#finish(start, start + lengthBytes, register)
    const left =
      lengthBytes < FAR_BYTES_MIN
        ? this.#foldNear(start, lengthBytes, register, NEAR_AT, NEAR_OUT_AT)
        : this.#foldBoth(register, start, lengthBytes)
    // The register went into the string, and is 0 before what is left, so zeros before that change nothing.
    const end = NEAR_OUT_AT + left
    return this.#finish(end - Math.ceil(left / END_BYTES) * END_BYTES, end, 0)
  }

  #foldBoth(register: number, start: number, lengthBytes: number): number {
    const left = this.#foldFar(start, lengthBytes, register, FAR_AT, FAR_OUT_AT)
    return this.#foldNear(FAR_OUT_AT, left, 0, NEAR_AT, NEAR_OUT_AT)
  }
}

function grains(bytes: number): number {
  return Math.ceil(bytes / GRAIN_BYTES) * GRAIN_BYTES
}
