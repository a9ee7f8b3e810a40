/**
 * The beginning of a command that has not come whole, and the place where the rest of it is received.
 *
 * Memory for all of them together is bounded. Where a connection can receive into a place that it is lent, a large command is
 * copied nowhere: the rest of it lands behind its beginning, and after one large command the next is expected to be like it.
 */
import { assert } from '../../../base/assert.ts'
import { KIB, MIB } from '../../../base/units.ts'
import { COMMAND_BYTES_PER_MS, COMMAND_MS_MAX, COMMAND_SILENCE_MS_MAX } from './limits.ts'
import type { MemoryOwner } from './receive-memory.ts'
import type { RespServer } from './server.ts'

/** First size of the buffer for an incomplete command whose length is not known. */
export const CARRY_BYTES_MIN = 16 * KIB
/** A shorter rest, or a shorter command, is cheaper to copy than to receive apart. */
const PLACE_BYTES_MIN = 32 * KIB
/** A command that is expected to be this long at most is received at once, if it is there; of a longer one first what shows its length. */
const AT_ONCE_BYTES_MAX = 128 * KIB
const HEAD_BYTES = 4 * KIB
/** A value that is longer is received in parts of this, which the kernel can hold for each connection. */
const AWAITED_BYTES_MAX = MIB

/** What came of a command so far; of the commands behind it too, once it is complete. */
export class IncompleteCommand {
  /** Bytes that came. */
  lengthBytes = 0
  /** Bytes that are needed to get on, as far as is known. */
  neededBytes = 0
  readonly #server: RespServer
  #buffer: Buffer | undefined
  /** The connection may write to the buffer. */
  #isLent = false
  readonly #ownerNow: () => MemoryOwner
  /** Who pays for the buffer: whoever it was when it was taken. */
  #owner: MemoryOwner | undefined
  /** When the first and the last bytes came, by the clock that only goes on. */
  #begunMs = -1
  #cameMs = 0

  /** @param ownerNow - Whose command one would be that begins now. */
  constructor(server: RespServer, ownerNow: () => MemoryOwner) {
    this.#server = server
    this.#ownerNow = ownerNow
  }

  /** Where it is, from the first byte on. */
  get buffer(): Buffer {
    assert(this.#buffer, 'what came is somewhere')
    return this.#buffer
  }

  /** Whether enough came to get on. */
  get isReady(): boolean {
    return this.lengthBytes > 0 && this.lengthBytes >= this.neededBytes
  }

  /**
   * Adds what was received elsewhere.
   *
   * @returns False where all such commands together hold too much: nothing is kept of this one.
   */
  keep(input: Buffer, from: number, to: number): boolean {
    const bytes = to - from
    if (!this.#reserve(Math.max(this.lengthBytes + bytes, this.#trustedNeed()))) return false
    input.copy(this.buffer, this.lengthBytes, from, to)
    this.lengthBytes += bytes
    this.#came()
    return true
  }

  /** Whether the rest of it does not come, or takes too long. */
  isLate(nowMs: number): boolean {
    if (this.lengthBytes === 0 || this.isReady) return false
    const msMax = COMMAND_MS_MAX + this.neededBytes / COMMAND_BYTES_PER_MS
    return nowMs - this.#cameMs > COMMAND_SILENCE_MS_MAX || nowMs - this.#begunMs > msMax
  }

  /** Time begins anew: it was not the client that let it wait. */
  forgive(nowMs: number): void {
    this.#begunMs = nowMs
    this.#cameMs = nowMs
  }

  /** The first bytes were made use of. */
  consumed(bytes: number): void {
    if (bytes > 0) {
      this.buffer.copyWithin(0, bytes, this.lengthBytes)
      this.#begunMs = this.#cameMs
    }
    this.lengthBytes -= bytes
    if (this.lengthBytes === 0) this.drop()
  }

  /**
   * How many bytes should have come before {@link IncompleteCommand.lend}, so that the place is taken when it is used and is
   * still in the cache from its last use.
   *
   * @param lastBytes - Length of the command before; the next is expected to be like it.
   * @returns 0 where receiving into a place is not worth it, or memory is short.
   */
  awaitedBytes(lastBytes: number): number {
    if (this.#placeEnd(lastBytes) === 0) return 0
    const missing = this.#trustedNeed() - this.lengthBytes
    return this.lengthBytes === 0 ? 1 : Math.min(missing, AWAITED_BYTES_MAX)
  }

  /**
   * Lends the place of what comes next, until {@link IncompleteCommand.cameBack}.
   *
   * @param lastBytes - As for {@link IncompleteCommand.awaitedBytes}.
   * @returns Undefined where that is 0.
   */
  lend(lastBytes: number): Buffer | undefined {
    const end = this.#placeEnd(lastBytes)
    if (end === 0 || !this.#reserve(end)) return undefined
    this.#isLent = true
    return this.buffer.subarray(this.lengthBytes, end)
  }

  /** The place is no longer the connection's, and holds this many bytes. */
  cameBack(bytes: number): void {
    this.#isLent = false
    this.lengthBytes += bytes
    if (this.lengthBytes === 0) this.drop()
    else if (bytes > 0) this.#came()
  }

  /** Forgets everything. */
  drop(): void {
    assert(!this.#isLent, 'memory that a connection writes to is not given away')
    if (this.#buffer) {
      this.#count(-this.#buffer.byteLength)
      this.#server.pool.give(this.#buffer)
    }
    this.#buffer = undefined
    this.#owner = undefined
    this.lengthBytes = 0
    this.neededBytes = 0
    this.#begunMs = -1
  }

  /** Where the place ends that is worth lending, or 0. */
  #placeEnd(lastBytes: number): number {
    const { lengthBytes } = this
    const isLarge = lastBytes >= PLACE_BYTES_MIN
    let end = lastBytes <= AT_ONCE_BYTES_MAX ? lastBytes : HEAD_BYTES
    if (lengthBytes > 0) {
      const need = this.#trustedNeed()
      // Where little is missing, or it is not known how much, what is behind it may come along.
      end = Math.max(need, Math.min(lengthBytes + HEAD_BYTES, this.buffer.byteLength))
      if (need <= lengthBytes) return 0
    }
    const isWorth = isLarge || end - lengthBytes >= PLACE_BYTES_MIN
    return isWorth && this.#canReserve(end) ? end : 0
  }

  /** What an incomplete command says it needs is believed while memory is plentiful; then as much as came, doubled. */
  #trustedNeed(): number {
    return this.#server.memory.isPlentiful(this.#owner ?? this.#ownerNow())
      ? this.neededBytes
      : Math.min(this.neededBytes, this.lengthBytes * 2)
  }

  #canReserve(bytes: number): boolean {
    if (this.#buffer && this.#buffer.byteLength >= bytes) return true
    return this.#server.memory.canHold(this.#owner ?? this.#ownerNow(), bytes)
  }

  /** Makes the buffer as long as asked, or drops all. */
  #reserve(bytes: number): boolean {
    const server = this.#server
    const old = this.#buffer
    if (old && old.byteLength >= bytes) return true
    if (!this.#canReserve(bytes)) {
      this.drop()
      return false
    }
    const larger = server.pool.take(Math.max(bytes, CARRY_BYTES_MIN))
    this.#owner ??= this.#ownerNow()
    this.#count(larger.byteLength)
    if (old) {
      old.copy(larger, 0, 0, this.lengthBytes)
      this.#count(-old.byteLength)
      server.pool.give(old)
    }
    this.#buffer = larger
    return true
  }

  #came(): void {
    this.#cameMs = this.#server.store.ports.clock.monotonic()
    if (this.#begunMs < 0) this.#begunMs = this.#cameMs
  }

  #count(bytes: number): void {
    if (this.#owner) this.#server.memory.count(this.#owner, bytes)
  }
}
