/**
 * READ: the file system fills the reply itself, so that data is copied once.
 *
 * Reply buffers are few and large; the same one serves every read that is answered at once, so it stays in the cache of the
 * processor. Reads that wait for remote data hold one each, and wait for one when all are held: that bounds memory.
 */
import { NodeError } from '../../base/errors.ts'
import { then } from './operation.ts'
import type { FileSystem, Reply } from './ports.ts'
import { OUT_HEADER_BYTES, TRANSFER_BYTES_MAX } from './protocol.ts'
import type { RequestReader } from './request-reader.ts'

/** Buffers in use at most: 64 MiB of reads under way, as many as the kernel sends of background reads. */
export const READ_BUFFERS_MAX = 64
/** Buffers kept for later: what one reader with 4 MiB of read-ahead uses. */
const READ_BUFFERS_KEPT = 4

/** A filled reply; `done` gives the buffer back. */
export interface ReadReply {
  readonly bytes: Buffer
  readonly bodyBytes: number
  done(): void
}

/** Serves the reads of one connection. */
export class Reads {
  readonly #fileSystem: FileSystem
  readonly #free: Buffer[] = []
  readonly #waiting: ((buffer: Buffer) => void)[] = []
  #used = 0
  /** Not yet aborted, and known to nobody: a read that was answered at once has let go of it. */
  #spare = new AbortController()

  constructor(fileSystem: FileSystem) {
    this.#fileSystem = fileSystem
  }

  /**
   * Serves one read.
   *
   * @param reader - At the body of the request.
   * @param onWait - Called before this returns a promise, with what aborts the read.
   * @returns The filled reply.
   */
  begin(reader: RequestReader, onWait: (abort: AbortController) => void): Reply<ReadReply> {
    const handle = reader.u64()
    const offset = reader.extent()
    const lengthBytes = reader.u32()
    if (lengthBytes > TRANSFER_BYTES_MAX) throw new NodeError('INVALID', 'read beyond max_read')
    const abort = this.#spare
    const buffer = this.#take()
    const reply = then(buffer, (bytes) =>
      this.#fill(bytes, handle, offset, lengthBytes, abort.signal),
    )
    if (reply instanceof Promise) {
      this.#spare = new AbortController()
      onWait(abort)
    }
    return reply
  }

  #fill(
    bytes: Buffer,
    handle: number,
    offset: number,
    lengthBytes: number,
    signal: AbortSignal,
  ): Reply<ReadReply> {
    const done = (): void => this.#give(bytes)
    const failed = (caught: unknown): never => {
      done()
      throw caught
    }
    try {
      if (signal.aborted) throw new NodeError('INTERRUPTED', 'the reader left before its turn')
      const into = bytes.subarray(OUT_HEADER_BYTES, OUT_HEADER_BYTES + lengthBytes)
      const read = this.#fileSystem.read(handle, offset, into, signal)
      const filled = then(read, (bodyBytes): ReadReply => ({ bytes, bodyBytes, done }))
      return filled instanceof Promise ? filled.catch(failed) : filled
    } catch (caught) {
      return failed(caught)
    }
  }

  #take(): Reply<Buffer> {
    const free = this.#free.pop()
    if (free === undefined && this.#used >= READ_BUFFERS_MAX) {
      return new Promise((resolve) => this.#waiting.push(resolve))
    }
    this.#used++
    return free ?? Buffer.allocUnsafeSlow(OUT_HEADER_BYTES + TRANSFER_BYTES_MAX)
  }

  #give(buffer: Buffer): void {
    const waiting = this.#waiting.shift()
    if (waiting) {
      waiting(buffer)
      return
    }
    this.#used--
    if (this.#free.length < READ_BUFFERS_KEPT) this.#free.push(buffer)
  }
}
