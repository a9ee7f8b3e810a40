/**
 * An io_uring of the kernel for sockets: many receives and sends in one system call, which is what they cost most.
 *
 * Made for one thread. The kernel touches memory handed to it only inside {@link IoRing.enter} and until the completion
 * of the operation, so the caller keeps a buffer alive, in place and unchanged from the call until its completion.
 * Arrivals land in buffers that the ring owns and that all sockets share, so a silent connection costs no memory.
 */
import { closeSync } from 'node:fs'
import type { Socket } from 'node:net'
import { assert, required } from '../../base/assert.ts'
import { NodeError } from '../../base/errors.ts'
import { addressOf } from './buffer-address.ts'
import type { KernelErrorCode } from './errors.ts'
import type { MappedMemory, RingCalls } from './io-ring-calls.ts'
import * as uapi from './io-ring-layout.ts'
import {
  GATHER_BYTES,
  type IoRingInit,
  type MadeRing,
  makeRing,
  SEND_PARTS_MAX,
} from './io-ring-setup.ts'

const TWO_32 = 0x1_0000_0000
const SEND_FLAGS = uapi.MSG_NOSIGNAL | uapi.MSG_WAITALL
/** Where the vector of a gathered send follows its header. */
const VECTOR_AT = uapi.MSGHDR_BYTES + 8

/** Rings that failed, kept for their memory. */
const abandoned: IoRing[] = []

/** Takes completions. */
export interface CompletionReceiver {
  /**
   * One completion.
   *
   * @param owner - The `owner` of the operation.
   * @param kind - Its `kind`.
   * @param result - `>= 0` as the call would have given, or the negative error number.
   * @param flags - `CQE_*`.
   */
  completed(owner: number, kind: number, result: number, flags: number): void
}

/** Whose operation it is and which; comes back with its completion. Both below 2^32. */
export interface OperationName {
  readonly owner: number
  readonly kind: number
}

/** A ring. */
export class IoRing {
  /** Becomes readable when a completion arrives while {@link setWaking} is on; whoever uses it closes it. */
  readonly wake: Socket
  readonly #calls: RingCalls
  readonly #fd: number
  readonly #maps: Record<'ringMemory' | 'bufferMemory', readonly MappedMemory[]>
  readonly #offsets: uapi.RingOffsets
  #gather: Uint32Array
  readonly #gatherAddress: number
  readonly #arrivalAddress: number
  readonly #arrivalBytes: number
  #arrivals: readonly Buffer[]
  #rings: Uint32Array
  #sqes: Uint32Array
  #bufferRing: Uint32Array
  #bufferTail = 0
  #tail: number
  /** Operations in the queue, and those for which it had no room. */
  #queued = 0
  #late: (() => void)[] = []
  #isClosed = false

  private constructor(made: MadeRing) {
    const { calls, init } = made
    this.#calls = calls
    this.#fd = made.fd
    this.wake = made.wake
    this.#maps = {
      ringMemory: [made.rings, made.sqes],
      bufferMemory: [made.bufferRing, made.gather, made.arrivals, made.control],
    }
    this.#offsets = made.offsets
    this.#rings = new Uint32Array(calls.view(made.rings))
    this.#sqes = new Uint32Array(calls.view(made.sqes))
    this.#bufferRing = new Uint32Array(calls.view(made.bufferRing))
    this.#gather = new Uint32Array(calls.view(made.gather))
    this.#gatherAddress = made.gather.address
    this.#arrivalAddress = made.arrivals.address
    this.#arrivalBytes = init.bufferBytes
    const arrivals = Buffer.from(calls.view(made.arrivals))
    this.#arrivals = Array.from({ length: init.buffers }, (_, at) =>
      arrivals.subarray(at * init.bufferBytes, (at + 1) * init.bufferBytes),
    )
    this.#tail = this.#word(this.#offsets.sq.tail)
    const array = this.#offsets.sq.array >>> 2
    for (let at = 0; at < this.#offsets.sqEntries; at++) this.#rings[array + at] = at
    for (let at = 0; at < init.buffers; at++) this.#offer(at)
    this.#publishBuffers()
  }

  /**
   * Makes a ring and tries it.
   *
   * @param init - Sizes.
   * @returns The ring.
   * @throws NodeError `IO_RING_UNAVAILABLE` if this kernel has none, or none that this needs, or does not allow it.
   */
  static open(init: IoRingInit): IoRing {
    const ring = new IoRing(makeRing(init))
    try {
      ring.#probe()
    } catch (caught) {
      ring.close()
      throw caught
    }
    return ring
  }

  /** Operations queued and not yet handed over. */
  get queued(): number {
    return this.#queued + this.#late.length
  }

  /** Whether {@link enter} would find something at once. */
  get hasWork(): boolean {
    const { sq, cq } = this.#offsets
    const flags = Atomics.load(this.#rings, sq.flags >>> 2)
    return (
      (flags & (uapi.SQ_TASKRUN | uapi.SQ_CQ_OVERFLOW)) !== 0 ||
      Atomics.load(this.#rings, cq.tail >>> 2) !== this.#word(cq.head)
    )
  }

  /** Turns the descriptor that wakes on and off: off while the program looks by itself. */
  setWaking(isOn: boolean): void {
    const at = this.#offsets.cq.flags >>> 2
    Atomics.store(this.#rings, at, isOn ? 0 : uapi.CQ_EVENTFD_DISABLED)
  }

  /** Receives into the ring's buffers, one completion an arrival, until a completion says otherwise. */
  receive(fd: number, name: OperationName): void {
    if (this.#isFull) {
      this.#late.push(() => this.receive(fd, name))
      return
    }
    const opcode = uapi.OP_RECV | (uapi.SQE_BUFFER_SELECT << 8) | (uapi.RECV_MULTISHOT << 16)
    this.#queue(opcode, fd, 0, 0, 0, name)
  }

  /** Completes once a socket is readable, or ended, or broken. */
  poll(fd: number, name: OperationName): void {
    if (this.#isFull) {
      this.#late.push(() => this.poll(fd, name))
      return
    }
    this.#queue(uapi.OP_POLL_ADD, fd, 0, 0, uapi.POLLIN, name)
  }

  /** Sends bytes of a buffer as a whole: short only where the connection breaks. */
  send(fd: number, part: Buffer, name: OperationName): void {
    if (this.#isFull) {
      this.#late.push(() => this.send(fd, part, name))
      return
    }
    this.#queue(uapi.OP_SEND, fd, addressOf(part), part.byteLength, SEND_FLAGS, name)
  }

  /** Sends at most {@link SEND_PARTS_MAX} buffers in turn, as {@link send}. */
  sendAll(fd: number, parts: readonly Buffer[], name: OperationName): void {
    assert(parts.length <= SEND_PARTS_MAX, 'a gathered send has few parts')
    if (this.#isFull) {
      this.#late.push(() => this.sendAll(fd, parts, name))
      return
    }
    // The kernel copies header and vector when it takes the submission, so each place of the queue has its own.
    const place = this.#tail & (this.#offsets.sqEntries - 1)
    const words = this.#gather
    const from = place * (GATHER_BYTES / 4)
    const header = this.#gatherAddress + place * GATHER_BYTES
    let word = from + VECTOR_AT / 4
    words.fill(0, from, word)
    setAddress(words, from + 4, header + VECTOR_AT)
    words[from + 6] = parts.length
    for (const part of parts) {
      setAddress(words, word, addressOf(part))
      words[word + 2] = part.byteLength
      words[word + 3] = 0
      word += uapi.IOVEC_BYTES / 4
    }
    this.#queue(uapi.OP_SENDMSG, fd, header, 1, SEND_FLAGS, name)
  }

  /** Ends the operations of one name; each still completes, and so does this. */
  cancel(target: OperationName, name: OperationName): void {
    if (this.#isFull) {
      this.#late.push(() => this.cancel(target, name))
      return
    }
    const address = target.kind * TWO_32 + target.owner
    this.#queue(uapi.OP_ASYNC_CANCEL, uapi.NO_DESCRIPTOR, address, 0, uapi.ASYNC_CANCEL_ALL, name)
  }

  /** Ends every operation on a descriptor; each still completes, and so does this. */
  cancelAll(fd: number, name: OperationName): void {
    if (this.#isFull) {
      this.#late.push(() => this.cancelAll(fd, name))
      return
    }
    const flags = uapi.ASYNC_CANCEL_ALL | uapi.ASYNC_CANCEL_FD
    this.#queue(uapi.OP_ASYNC_CANCEL, fd, 0, 0, flags, name)
  }

  /** The buffer of an arrival, until it is given back. */
  arrival(flags: number): Buffer {
    return required(this.#arrivals[flags >>> uapi.CQE_BUFFER_SHIFT], 'a buffer of this ring')
  }

  /** Gives the buffer of an arrival back to the kernel. */
  giveBack(flags: number): void {
    this.#offer(flags >>> uapi.CQE_BUFFER_SHIFT)
    this.#publishBuffers()
  }

  /**
   * Hands over what is queued and lets what is due complete; waits for nothing.
   *
   * @throws NodeError `IO_RING_FAILED`: the ring is of no more use.
   */
  enter(): void {
    while (this.#late.length > 0) {
      this.#call()
      // Out of memory for the moment, or too much to reap.
      if (this.#isFull) return
      const late = this.#late
      this.#late = []
      for (const queue of late) queue()
    }
    this.#call()
  }

  /**
   * Tells of every completion there is.
   *
   * @returns How many.
   */
  reap(receiver: CompletionReceiver): number {
    const { cq, cqEntries } = this.#offsets
    const rings = this.#rings
    const headAt = cq.head >>> 2
    const first = cq.cqes >>> 2
    const start = rings[headAt] as number
    // Only `enter` adds completions, which nothing calls meanwhile.
    const end = Atomics.load(rings, cq.tail >>> 2)
    let head = start
    try {
      while (head !== end) {
        const at = first + (head & (cqEntries - 1)) * (uapi.CQE_BYTES / 4)
        // Before the call, so that one that throws is not told again.
        head = (head + 1) >>> 0
        const result = (rings[at + 2] as number) | 0
        const flags = rings[at + 3] as number
        receiver.completed(rings[at] as number, rings[at + 1] as number, result, flags)
      }
    } finally {
      if (!this.#isClosed) Atomics.store(rings, headAt, head)
    }
    return (head - start) >>> 0
  }

  /** Gives everything back to the system; nothing may be in flight. */
  close(): void {
    if (this.#isClosed) return
    this.#endRing()
    this.#arrivals = []
    for (const map of this.#maps.bufferMemory) this.#calls.unmap(map)
  }

  /** Ends the ring, whose operations then end some time, and keeps the memory that they may still touch. */
  abandon(): void {
    if (this.#isClosed) return
    abandoned.push(this)
    this.#endRing()
  }

  #endRing(): void {
    this.#isClosed = true
    // What touches these by mistake finds nothing, instead of memory that is gone.
    this.#rings = new Uint32Array(0)
    this.#sqes = new Uint32Array(0)
    this.#bufferRing = new Uint32Array(0)
    this.#gather = new Uint32Array(0)
    closeSync(this.#fd)
    // A ring lives as long as it is mapped.
    for (const map of this.#maps.ringMemory) this.#calls.unmap(map)
  }

  #word(offset: number): number {
    return this.#rings[offset >>> 2] as number
  }

  get #isFull(): boolean {
    return this.#queued >= this.#offsets.sqEntries
  }

  /** Fills the next place; the words that no operation here needs stay zero for good. */
  #queue(
    opcode: number,
    fd: number,
    address: number,
    lengthBytes: number,
    flags: number,
    name: OperationName,
  ): void {
    const at = (this.#tail & (this.#offsets.sqEntries - 1)) * (uapi.SQE_BYTES / 4)
    this.#tail = (this.#tail + 1) >>> 0
    this.#queued++
    const sqes = this.#sqes
    sqes[at] = opcode
    sqes[at + 1] = fd
    setAddress(sqes, at + 4, address)
    sqes[at + 6] = lengthBytes
    sqes[at + 7] = flags
    sqes[at + 8] = name.owner
    sqes[at + 9] = name.kind
  }

  #call(): void {
    assert(!this.#isClosed, 'a closed ring is not used')
    const { sq } = this.#offsets
    Atomics.store(this.#rings, sq.tail >>> 2, this.#tail)
    const result = this.#calls.enter(this.#fd, this.#queued, uapi.ENTER_GETEVENTS)
    this.#queued = (this.#tail - Atomics.load(this.#rings, sq.head >>> 2)) >>> 0
    if (result < 0 && !PASSING.has(-result)) throw failed(`io_uring_enter: errno ${-result}`)
  }

  #offer(buffer: number): void {
    const entries = this.#arrivals.length
    const at = (this.#bufferTail & (entries - 1)) * (uapi.BUFFER_ENTRY_BYTES / 4)
    const address = this.#arrivalAddress + buffer * this.#arrivalBytes
    setAddress(this.#bufferRing, at, address)
    this.#bufferRing[at + 2] = this.#arrivalBytes
    // The upper half of the first entry's last word is the tail, so it must survive.
    const kept = at === 0 ? (this.#bufferRing[3] as number) & 0xffff_0000 : 0
    this.#bufferRing[at + 3] = (buffer | kept) >>> 0
    this.#bufferTail = (this.#bufferTail + 1) & 0xffff
  }

  #publishBuffers(): void {
    const low = (this.#bufferRing[3] as number) & 0xffff
    Atomics.store(this.#bufferRing, 3, (low | (this.#bufferTail << 16)) >>> 0)
  }

  #probe(): void {
    this.#queue(uapi.OP_NOP, uapi.NO_DESCRIPTOR, 0, 0, 0, { owner: 0, kind: 1 })
    this.enter()
    let answers = 0
    this.reap({
      completed: (_owner, kind, result) => {
        if (kind === 1 && result === 0) answers++
      },
    })
    if (answers !== 1) throw unavailable('it does not complete')
  }
}

/** Results of io_uring_enter(2) that only say: later. */
const PASSING = new Set([uapi.EINTR, uapi.EAGAIN, uapi.EBUSY])

/** Stores both halves; the first is cut to its 32 bits by the array. */
function setAddress(words: Uint32Array, at: number, address: number): void {
  words[at] = address
  words[at + 1] = address / TWO_32
}

function unavailable(problem: string): NodeError<KernelErrorCode> {
  return new NodeError<KernelErrorCode>('IO_RING_UNAVAILABLE', problem)
}

function failed(problem: string): NodeError<KernelErrorCode> {
  return new NodeError<KernelErrorCode>('IO_RING_FAILED', problem)
}
