/**
 * The kernel's side of a FUSE connection, in memory: it sends any bytes as a request and keeps every reply.
 *
 * It checks what the kernel would check of a reply (length, an open request, a sane error number) and refuses others.
 */
import { assert } from '../../agent/base/assert.ts'
import { NodeError } from '../../agent/base/errors.ts'
import type { FuseDevice, RequestReceiver } from '../../agent/engines/fuse/ports.ts'

const IN_HEADER_BYTES = 40
const OUT_HEADER_BYTES = 16
const ERRNO_MAX = 511
/** FUSE_UNIQUE_RESEND. */
const RESENT = 1n << 63n

/** A reply as the kernel reads it. */
export interface FakeReply {
  /** 0 or the error number. */
  readonly errno: number
  readonly body: Buffer
}

/** What a request says in its header; root asks about the root unless told otherwise. */
export interface RequestFields {
  readonly ino?: number
  readonly uid?: number
  readonly gid?: number
  readonly pid?: number
  /** Sends a request of this number again, with the kernel's mark. */
  readonly again?: number
  /** Overrides the true length. */
  readonly statedBytes?: number
}

/** A device for tests. */
export class FakeFuseDevice implements FuseDevice {
  /** Replies by request. */
  readonly replies = new Map<number, FakeReply>()
  /** Requests whose buffer has not come back. */
  readonly held = new Set<number>()
  /** Codes of notifications that were sent. */
  readonly notifications: number[] = []
  /** Threads that are being killed. */
  readonly ending = new Set<number>()
  isPaused = false
  readAheadBytes = 0
  unmounts: string[] = []
  /** Makes `send` fail for successful replies. */
  refusesReplies = false
  #receiver: RequestReceiver | undefined
  #unique = 0
  readonly #open = new Set<number>()
  readonly #resent = new Set<number>()

  start(receiver: RequestReceiver): void {
    this.#receiver = receiver
  }

  send(bytes: Uint8Array): void {
    const reply = Buffer.from(bytes)
    if (reply.readBigUInt64LE(8) === 0n) {
      this.notifications.push(reply.readInt32LE(4))
      return
    }
    const unique = Number(reply.readBigUInt64LE(8) & ~RESENT)
    const isResent = (reply.readBigUInt64LE(8) & RESENT) !== 0n
    assert(isResent === this.#resent.has(unique), 'a reply carries the mark of its request')
    const errno = 0 - reply.readInt32LE(4)
    const isSound = reply.readUInt32LE(0) === reply.length && errno >= 0 && errno <= ERRNO_MAX
    if (!isSound || (this.refusesReplies && errno === 0)) {
      throw new NodeError('FUSE_REPLY_REFUSED', 'as the kernel would')
    }
    assert(errno === 0 || reply.length === OUT_HEADER_BYTES, 'an error has no body')
    assert(this.#open.delete(unique), 'a request is answered once')
    this.replies.set(unique, { errno, body: reply.subarray(OUT_HEADER_BYTES) })
  }

  isEnding(task: number): boolean {
    return this.ending.has(task)
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
  }

  setReadAhead(bytes: number): void {
    this.readAheadBytes = bytes
  }

  async unmount(how: 'clean' | 'detach' | 'abort'): Promise<void> {
    this.unmounts.push(how)
    this.disconnect()
  }

  /** The connection ends. */
  disconnect(reason?: NodeError): void {
    this.#receiver?.connectionClosed(reason)
  }

  /**
   * Sends a request.
   *
   * @param opcode - What is asked.
   * @param body - What follows the header.
   * @param fields - Header fields that matter to the test.
   * @returns Number of the request.
   */
  request(opcode: number, body: Uint8Array = Buffer.alloc(0), fields: RequestFields = {}): number {
    if (fields.again === undefined) this.#unique += 2
    const unique = fields.again ?? this.#unique
    const bytes = Buffer.alloc(IN_HEADER_BYTES + body.byteLength)
    bytes.writeUInt32LE(fields.statedBytes ?? bytes.length, 0)
    bytes.writeUInt32LE(opcode >>> 0, 4)
    bytes.writeBigUInt64LE(BigInt(unique) | (fields.again === undefined ? 0n : RESENT), 8)
    bytes.writeBigUInt64LE(BigInt(fields.ino ?? 1), 16)
    bytes.writeUInt32LE(fields.uid ?? 0, 24)
    bytes.writeUInt32LE(fields.gid ?? 0, 28)
    bytes.writeUInt32LE(fields.pid ?? 0, 32)
    bytes.set(body, IN_HEADER_BYTES)
    if (fields.again !== undefined) this.#resent.add(unique)
    this.deliver(bytes, unique)
    return unique
  }

  /** Sends bytes as they are. `unique` names them in `held`. */
  deliver(bytes: Buffer, unique: number): void {
    this.#open.add(unique)
    this.held.add(unique)
    const release = (): void => {
      assert(this.held.delete(unique), 'a buffer is given back once')
      bytes.fill(0xdd)
    }
    // As in a real device, older bytes follow the request.
    const padded = Buffer.concat([bytes, Buffer.alloc(64, 0xab)])
    const buffer = { bytes: padded, lengthBytes: bytes.length, release }
    assert(this.#receiver !== undefined, 'started')
    this.#receiver.request(buffer)
  }

  /** The answer to a request, which must be there. */
  reply(unique: number): FakeReply {
    const reply = this.replies.get(unique)
    assert(reply !== undefined, `request ${unique} is answered`)
    return reply
  }

  /** Sends a request and gives its answer, which must come at once. */
  ask(opcode: number, body?: Uint8Array, fields?: RequestFields): FakeReply {
    return this.reply(this.request(opcode, body, fields))
  }
}
