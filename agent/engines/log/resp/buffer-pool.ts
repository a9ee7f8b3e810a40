/**
 * Buffers that are used again, in sizes of powers of two: first touch of fresh memory costs more than the disk
 * (docs/design/0004-store.md), and with limits on what is kept, 10,000 idle connections cost nothing.
 */
import { assert } from '../../../base/assert.ts'
import { MIB } from '../../../base/units.ts'

/** Smallest size handed out: a page, and enough for the replies of one short burst. */
const SMALLEST_BYTES = 16 * 1024
/** Kept for reuse at most, over all sizes. */
const KEPT_BYTES_MAX = 64 * MIB

/** Hands out buffers and takes them back. */
export class BufferPool {
  readonly #free: Buffer[][] = Array.from({ length: 16 }, () => [])
  #keptBytes = 0
  /** Bytes handed out and not yet back. */
  outBytes = 0

  /**
   * Takes a buffer with unknown content.
   *
   * @param bytes - Least size.
   * @returns A buffer of the next power of two, at least 16 KiB.
   */
  take(bytes: number): Buffer {
    const size = classOf(bytes)
    const sizeBytes = SMALLEST_BYTES << size
    this.outBytes += sizeBytes
    const buffer = this.#free[size]?.pop()
    if (!buffer) return Buffer.allocUnsafeSlow(sizeBytes)
    this.#keptBytes -= sizeBytes
    return buffer
  }

  /** Takes a buffer back; nobody may use it any more. */
  give(buffer: Buffer): void {
    const sizeBytes = buffer.byteLength
    this.outBytes -= sizeBytes
    assert(this.outBytes >= 0, 'a buffer is given back once')
    if (this.#keptBytes + sizeBytes > KEPT_BYTES_MAX) return
    this.#keptBytes += sizeBytes
    this.#free[classOf(sizeBytes)]?.push(buffer)
  }
}

function classOf(bytes: number): number {
  let size = 0
  while (SMALLEST_BYTES << size < bytes) size++
  return size
}
