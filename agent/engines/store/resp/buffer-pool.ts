/**
 * Buffers that are used again, in sizes of powers of two: first touch of fresh memory costs more than the disk
 * (docs/design/0004-store.md), and with limits on what is kept, 10,000 idle connections cost nothing.
 *
 * They lie in the memory of the checksum kernel as long as that has room, because what they hold is verified.
 */
import { assert } from '../../../base/assert.ts'
import { MIB } from '../../../base/units.ts'
import { ChecksumMemory, GRAIN_BYTES } from '../checksum-memory.ts'

/** Smallest size handed out: a page, and enough for the replies of one short burst. */
const SMALLEST_BYTES = 16 * 1024
/** Kept for reuse at most, over all sizes, beside the checksum memory. */
const KEPT_BYTES_MAX = 64 * MIB

/** Hands out buffers and takes them back. */
export class BufferPool {
  readonly #free: Buffer[][] = Array.from({ length: 16 }, () => [])
  readonly #memoryBytes: number | undefined
  #memory: ChecksumMemory | undefined
  #hasTriedMemory = false
  /** Idle bytes outside and inside the checksum memory. */
  #keptBytes = 0
  #idleBytes = 0
  /** Bytes handed out and not yet back. */
  outBytes = 0

  /** @param memoryBytes - Size of the checksum memory, if not the usual. */
  constructor(memoryBytes?: number) {
    this.#memoryBytes = memoryBytes
  }

  /**
   * Takes a buffer with unknown content.
   *
   * @param bytes - Least size.
   * @returns A buffer of a power of two and 4 KiB, which a value of such a size needs for what is around it.
   */
  take(bytes: number): Buffer {
    const size = classOf(bytes)
    const sizeBytes = bytesOf(size)
    this.outBytes += sizeBytes
    const buffer = this.#free[size]?.pop()
    if (!buffer) return this.#fresh(sizeBytes)
    if (this.#memory?.holds(buffer)) this.#idleBytes -= sizeBytes
    else this.#keptBytes -= sizeBytes
    return buffer
  }

  /** Takes a buffer back; nobody may use it any more. */
  give(buffer: Buffer): void {
    const sizeBytes = buffer.byteLength
    this.outBytes -= sizeBytes
    assert(this.outBytes >= 0, 'a buffer is given back once')
    if (this.#memory?.holds(buffer)) this.#idleBytes += sizeBytes
    else {
      if (this.#keptBytes + sizeBytes > KEPT_BYTES_MAX) return
      this.#keptBytes += sizeBytes
    }
    this.#free[classOf(sizeBytes)]?.push(buffer)
  }

  /** Lets go of what lies idle outside the checksum memory. */
  releaseIdle(): void {
    if (this.#keptBytes === 0) return
    for (const [size, free] of this.#free.entries()) {
      this.#free[size] = free.filter((idle) => this.#memory?.holds(idle))
    }
    this.#keptBytes = 0
  }

  #fresh(sizeBytes: number): Buffer {
    if (!this.#hasTriedMemory) {
      this.#hasTriedMemory = true
      this.#memory = ChecksumMemory.make(this.#memoryBytes)
    }
    const memory = this.#memory
    let buffer = memory?.take(sizeBytes)
    if (!buffer && memory && this.#idleBytes >= sizeBytes) {
      this.#giveIdleBack(memory)
      buffer = memory.take(sizeBytes)
    }
    return buffer ?? Buffer.allocUnsafeSlow(sizeBytes)
  }

  /** Pieces of other sizes that lie idle become whole stretches again. */
  #giveIdleBack(memory: ChecksumMemory): void {
    for (const [size, free] of this.#free.entries()) {
      for (const idle of free) if (memory.holds(idle)) memory.give(idle)
      this.#free[size] = free.filter((one) => !memory.holds(one))
    }
    this.#idleBytes = 0
  }
}

function classOf(bytes: number): number {
  let size = 0
  while (bytesOf(size) < bytes) size++
  return size
}

function bytesOf(size: number): number {
  return (SMALLEST_BYTES << size) + GRAIN_BYTES
}
