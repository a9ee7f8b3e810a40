/**
 * Local sockets that carry open descriptors (SCM_RIGHTS), which Node's do not: messages keep their bounds (SOCK_SEQPACKET), every
 * call says at once or within its time how it went. Needs glibc on Linux.
 */
import { closeSync } from 'node:fs'
import koffi from 'koffi'
import { addressOf } from './buffer-address.ts'

const AF_UNIX = 1
const SOL_SOCKET = 1
const SCM_RIGHTS = 1
const SEQPACKET_CLOEXEC = 0x80005
const MSG_NOSIGNAL = 0x4000
const MSG_CMSG_CLOEXEC = 0x40000000
const SOCK_CLOEXEC = 0x80000
const POLLIN = 1
const BACKLOG = 4
/** `sockaddr_un`: a family and 108 bytes of path. */
const ADDRESS_BYTES = 110
/** `struct msghdr`, `struct iovec` and `struct cmsghdr` of 64-bit systems. */
const MESSAGE_HEADER_BYTES = 56
const VECTOR_BYTES = 16
const CONTROL_HEADER_BYTES = 16
const POLLFD_BYTES = 8
/** A message is a few hundred bytes of JSON. */
const MESSAGE_BYTES_MAX = 64 * 1024
/** Descriptors in one message: the connection, its memory, and room for backing files. */
const DESCRIPTORS_MAX = 64

const libc = koffi.load('libc.so.6')
const socket = libc.func('socket', 'int', ['int', 'int', 'int'])
const bind = libc.func('bind', 'int', ['int', 'void *', 'uint'])
const listen = libc.func('listen', 'int', ['int', 'int'])
const connect = libc.func('connect', 'int', ['int', 'void *', 'uint'])
const accept4 = libc.func('accept4', 'int', ['int', 'void *', 'void *', 'int'])
const sendmsg = libc.func('sendmsg', 'long', ['int', 'void *', 'int'])
const recvmsg = libc.func('recvmsg', 'long', ['int', 'void *', 'int'])
const poll = libc.func('poll', 'int', ['void *', 'ulong', 'int'])

/** One message. */
export interface DescriptorMessage {
  readonly bytes: Buffer
  /** `[n]` descriptors, now the receiver's: closed at exec, to be closed by the receiver. */
  readonly descriptors: readonly number[]
}

/** Listens at a path that is free. @returns The descriptor, or undefined. */
export function listenForDescriptors(path: string): number | undefined {
  return opened((fd) => bind(fd, address(path), ADDRESS_BYTES) === 0 && listen(fd, BACKLOG) === 0)
}

/** Connects to who listens at a path. @returns The descriptor, or undefined if nobody does. */
export function connectForDescriptors(path: string): number | undefined {
  return opened((fd) => connect(fd, address(path), ADDRESS_BYTES) === 0)
}

/** Takes a connection that waits. @returns The descriptor, or undefined. */
export function acceptForDescriptors(listener: number): number | undefined {
  const fd: number = accept4(listener, null, null, SOCK_CLOEXEC)
  return fd < 0 ? undefined : fd
}

/**
 * Sends a message; descriptors stay the sender's too.
 *
 * @returns False if the other end is gone.
 */
export function sendDescriptors(fd: number, { bytes, descriptors }: DescriptorMessage): boolean {
  const control = Buffer.alloc(controlBytes(descriptors.length))
  if (descriptors.length > 0) {
    control.writeBigUInt64LE(BigInt(CONTROL_HEADER_BYTES + 4 * descriptors.length), 0)
    control.writeInt32LE(SOL_SOCKET, 8)
    control.writeInt32LE(SCM_RIGHTS, 12)
    descriptors.forEach((one, at) => void control.writeInt32LE(one, CONTROL_HEADER_BYTES + 4 * at))
  }
  const vector = vectorOf(bytes)
  const used = descriptors.length === 0 ? 0 : control.length
  return Number(sendmsg(fd, headerOf(vector, control, used), MSG_NOSIGNAL)) === bytes.length
}

/**
 * Receives a message that {@link readable} said is there, or waits for one.
 *
 * @returns The message, or undefined at the end of the connection.
 */
export function receiveDescriptors(fd: number): DescriptorMessage | undefined {
  const bytes = Buffer.alloc(MESSAGE_BYTES_MAX)
  const control = Buffer.alloc(controlBytes(DESCRIPTORS_MAX))
  const vector = vectorOf(bytes)
  const header = headerOf(vector, control, control.length)
  const lengthBytes = Number(recvmsg(fd, header, MSG_CMSG_CLOEXEC))
  if (lengthBytes <= 0) return undefined
  const descriptors: number[] = []
  if (Number(header.readBigUInt64LE(40)) >= CONTROL_HEADER_BYTES) {
    const end = Number(control.readBigUInt64LE(0))
    for (let at = CONTROL_HEADER_BYTES; at + 4 <= end; at += 4) {
      descriptors.push(control.readInt32LE(at))
    }
  }
  return { bytes: bytes.subarray(0, lengthBytes), descriptors }
}

/**
 * Waits until one of some sockets has something to say, its end included.
 *
 * @param timeoutMs - At most so long; -1 for ever.
 * @returns Those that have; empty when the time passed.
 */
export function readable(fds: readonly number[], timeoutMs: number): number[] {
  const polled = Buffer.alloc(POLLFD_BYTES * fds.length)
  fds.forEach((fd, at) => {
    polled.writeInt32LE(fd, POLLFD_BYTES * at)
    polled.writeInt16LE(POLLIN, POLLFD_BYTES * at + 4)
  })
  if (poll(polled, fds.length, Math.ceil(timeoutMs)) <= 0) return []
  return fds.filter((_, at) => polled.readInt16LE(POLLFD_BYTES * at + 6) !== 0)
}

function opened(prepare: (fd: number) => boolean): number | undefined {
  const fd: number = socket(AF_UNIX, SEQPACKET_CLOEXEC, 0)
  if (fd < 0) return undefined
  if (prepare(fd)) return fd
  closeSync(fd)
  return undefined
}

function address(path: string): Buffer {
  const bytes = Buffer.alloc(ADDRESS_BYTES)
  bytes.writeUInt16LE(AF_UNIX, 0)
  bytes.write(path, 2)
  return bytes
}

const controlBytes = (count: number): number => CONTROL_HEADER_BYTES + ((4 * count + 7) & ~7)

function vectorOf(bytes: Buffer): Buffer {
  const vector = Buffer.alloc(VECTOR_BYTES)
  vector.writeBigUInt64LE(BigInt(addressOf(bytes)), 0)
  vector.writeBigUInt64LE(BigInt(bytes.length), 8)
  return vector
}

function headerOf(vector: Buffer, control: Buffer, controlUsed: number): Buffer {
  const header = Buffer.alloc(MESSAGE_HEADER_BYTES)
  header.writeBigUInt64LE(BigInt(addressOf(vector)), 16)
  header.writeBigUInt64LE(1n, 24)
  header.writeBigUInt64LE(controlUsed === 0 ? 0n : BigInt(addressOf(control)), 32)
  header.writeBigUInt64LE(BigInt(controlUsed), 40)
  return header
}
