/** Makes what an {@link IoRing} consists of: descriptors and mapped memory, or nothing of it where the kernel refuses a part. */
import { closeSync } from 'node:fs'
import type { Socket } from 'node:net'
import { describeError, NodeError } from '../../base/errors.ts'
import type { KernelErrorCode } from './errors.ts'
import { loadRingCalls, type MappedMemory, type RingCalls } from './io-ring-calls.ts'
import * as uapi from './io-ring-layout.ts'
import { wakeSocket } from './wake-socket.ts'

/** Parts of one gathered send at most; the rest goes with the next. */
export const SEND_PARTS_MAX = 32
/** What one submission may need for its gathered send: header, padding, vector. */
export const GATHER_BYTES = uapi.MSGHDR_BYTES + 8 + SEND_PARTS_MAX * uapi.IOVEC_BYTES
const CONTROL_BYTES = 4096
/** What a kernel must tell of; those that have DEFER_TASKRUN (6.1) tell all. */
const FEATURES =
  uapi.FEAT_SINGLE_MMAP | uapi.FEAT_NODROP | uapi.FEAT_SUBMIT_STABLE | uapi.FEAT_FAST_POLL
/** Completions run only when this thread asks, so memory is touched only then and nothing interrupts it. */
const SETUP =
  uapi.SETUP_CQSIZE |
  uapi.SETUP_CLAMP |
  uapi.SETUP_SUBMIT_ALL |
  uapi.SETUP_TASKRUN_FLAG |
  uapi.SETUP_SINGLE_ISSUER |
  uapi.SETUP_DEFER_TASKRUN

/** Sizes of a ring, each a power of two. */
export interface IoRingInit {
  /** Operations that one system call can hand over; more take more calls. */
  readonly submissions: number
  /** Completions that wait for the program without costing kernel memory. */
  readonly completions: number
  /** Buffers for arrivals, at most 32768. */
  readonly buffers: number
  readonly bufferBytes: number
}

/** The parts of a ring. */
export interface MadeRing {
  readonly calls: RingCalls
  readonly init: IoRingInit
  readonly fd: number
  readonly wake: Socket
  readonly offsets: uapi.RingOffsets
  readonly rings: MappedMemory
  readonly sqes: MappedMemory
  readonly bufferRing: MappedMemory
  readonly control: MappedMemory
  readonly gather: MappedMemory
  readonly arrivals: MappedMemory
}

/**
 * Makes the parts.
 *
 * @param init - Sizes.
 * @returns The parts.
 * @throws NodeError `IO_RING_UNAVAILABLE`; nothing is left behind.
 */
export function makeRing(init: IoRingInit): MadeRing {
  const undo: (() => void)[] = []
  try {
    return makeParts(init, undo)
  } catch (caught) {
    for (const one of undo.reverse()) one()
    throw caught
  }
}

function makeParts(init: IoRingInit, undo: (() => void)[]): MadeRing {
  const calls = loaded()
  const params = Buffer.alloc(uapi.PARAMS_BYTES)
  params.writeUInt32LE(init.completions, 4)
  params.writeUInt32LE(SETUP, 8)
  const fd = granted(calls.setup(init.submissions, params), 'io_uring_setup')
  undo.push(() => closeSync(fd))
  const offsets = uapi.readOffsets(params)
  if ((offsets.features & FEATURES) !== FEATURES) throw unavailable('features are missing')

  const map = (of: number, lengthBytes: number, offset: number) => {
    const memory = calls.map(of, lengthBytes, offset)
    if (!memory) throw unavailable('memory cannot be mapped')
    undo.push(() => calls.unmap(memory))
    return memory
  }
  const rings = map(fd, offsets.lengthBytes, uapi.OFF_RINGS)
  const sqes = map(fd, offsets.sqEntries * uapi.SQE_BYTES, uapi.OFF_SQES)
  const bufferRing = map(-1, init.buffers * uapi.BUFFER_ENTRY_BYTES, 0)
  const control = map(-1, CONTROL_BYTES, 0)
  const gather = map(-1, offsets.sqEntries * GATHER_BYTES, 0)
  const arrivals = map(-1, init.buffers * init.bufferBytes, 0)

  registerBuffers(calls, fd, { bufferRing, control, entries: init.buffers })
  const wakeFd = granted(calls.eventfd(), 'eventfd')
  undo.push(() => closeSync(wakeFd))
  new DataView(calls.view(control)).setInt32(0, wakeFd, true)
  granted(calls.register(fd, uapi.REGISTER_EVENTFD, control, 1), 'IORING_REGISTER_EVENTFD')
  const wake = wakeSocket(calls, wakeFd)
  if (!wake) throw unavailable('no wake-up can be made')
  closeSync(wakeFd)
  undo.pop()
  undo.push(() => wake.destroy())
  return {
    calls,
    init,
    fd,
    wake,
    offsets,
    rings,
    sqes,
    bufferRing,
    control,
    gather,
    arrivals,
  }
}

/** `struct io_uring_buf_reg`: address, entries, group 0. */
function registerBuffers(
  calls: RingCalls,
  fd: number,
  of: { bufferRing: MappedMemory; control: MappedMemory; entries: number },
): void {
  const argument = new DataView(calls.view(of.control))
  argument.setBigUint64(0, BigInt(of.bufferRing.address), true)
  argument.setUint32(8, of.entries, true)
  granted(calls.register(fd, uapi.REGISTER_PBUF_RING, of.control, 1), 'IORING_REGISTER_PBUF_RING')
}

function loaded(): RingCalls {
  try {
    return loadRingCalls()
  } catch (caught) {
    throw unavailable(describeError(caught))
  }
}

function granted(result: number, call: string): number {
  if (result < 0) throw unavailable(`${call}: errno ${-result}`)
  return result
}

function unavailable(problem: string): NodeError<KernelErrorCode> {
  return new NodeError<KernelErrorCode>('IO_RING_UNAVAILABLE', problem)
}
