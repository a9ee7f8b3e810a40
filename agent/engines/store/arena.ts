/** Where the records of one burst wait for its end, so that they reach the disk in one write. */
import { ARENA_BYTES } from './constants.ts'

/** A buffer of fixed size, taken with the first record, with how much of it is in use. */
export class Arena {
  /** Bytes in use, from the front: whole records. */
  usedBytes = 0
  #bytes: Buffer | undefined
  #words: Uint32Array = new Uint32Array(0)

  get bytes(): Buffer {
    return this.#bytes ?? this.#take()
  }

  /** The same memory as 32-bit words: headers are written by words. */
  get words(): Uint32Array {
    return this.#words
  }

  /** What is in use. */
  get pending(): Buffer {
    return this.bytes.subarray(0, this.usedBytes)
  }

  #take(): Buffer {
    this.#bytes = Buffer.allocUnsafeSlow(ARENA_BYTES)
    this.#words = new Uint32Array(this.#bytes.buffer)
    return this.#bytes
  }
}
