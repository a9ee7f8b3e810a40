/**
 * The system calls behind {@link IoRing}, and what the kernel's header `linux/io_uring.h` calls them. Loaded only when a
 * ring is wanted, because they need glibc on Linux and the store also runs where that is missing.
 */
import koffi from 'koffi'

/** Numbers of the calls, the same on every architecture. */
const SYS_IO_URING_SETUP = 425
const SYS_IO_URING_ENTER = 426
const SYS_IO_URING_REGISTER = 427

const PROT_READ_WRITE = 3
const MAP_SHARED_POPULATE = 0x8001
const MAP_PRIVATE_ANONYMOUS = 0x22
const EFD_CLOEXEC_NONBLOCK = 0x80800
const O_CLOEXEC = 0x80000

/** Memory outside the heap, at an address that never moves. */
export interface MappedMemory {
  /** Exact, because user space has 47 bits. */
  readonly address: number
  readonly lengthBytes: number
}

/** What a call that fails gives, instead of throwing: the negative error number. */
export type CallResult = number

/** The calls. Every result is `>= 0`, or the negative error number. */
export interface RingCalls {
  setup(entries: number, params: Uint8Array): CallResult
  /** Waits for nothing. */
  enter(fd: number, submit: number, flags: number): CallResult
  register(fd: number, operation: number, argument: MappedMemory, count: number): CallResult
  /** Maps a part of a ring, or anonymous memory where `fd` is -1. */
  map(fd: number, lengthBytes: number, offset: number): MappedMemory | undefined
  unmap(memory: MappedMemory): void
  /** The mapped bytes; not to be touched once unmapped. */
  view(memory: MappedMemory): ArrayBuffer
  /** A counter that can be polled, non-blocking. */
  eventfd(): CallResult
  /** Both ends of a pipe, or undefined. */
  pipe(): { readonly readFd: number; readonly writeFd: number } | undefined
  /** Makes `to` another name of `from`. */
  duplicate(from: number, to: number): CallResult
}

/**
 * Loads the calls.
 *
 * @returns The calls.
 * @throws Whatever the loader says where there is no glibc.
 */
export function loadRingCalls(): RingCalls {
  const libc = koffi.load('libc.so.6')
  const setup = libc.func('syscall', 'long', ['long', 'uint', 'void *'])
  const enter = libc.func('syscall', 'long', [
    ...['long', 'int', 'uint', 'uint', 'uint'],
    ...['uintptr_t', 'size_t'],
  ])
  const register = libc.func('syscall', 'long', ['long', 'int', 'uint', 'uintptr_t', 'uint'])
  const mmap = libc.func('mmap', 'intptr_t', [
    ...['uintptr_t', 'size_t', 'int', 'int', 'int'],
    'long',
  ])
  const munmap = libc.func('munmap', 'int', ['uintptr_t', 'size_t'])
  const eventfd = libc.func('eventfd', 'int', ['uint', 'int'])
  const pipe2 = libc.func('pipe2', 'int', ['void *', 'int'])
  const dup3 = libc.func('dup3', 'int', ['int', 'int', 'int'])
  const orErrno = (result: number): CallResult => (result < 0 ? -koffi.errno() : result)

  return {
    setup: (entries, params) => orErrno(setup(SYS_IO_URING_SETUP, entries, params)),
    enter: (fd, submit, flags) => orErrno(enter(SYS_IO_URING_ENTER, fd, submit, 0, flags, 0, 0)),
    register: (fd, operation, argument, count) =>
      orErrno(register(SYS_IO_URING_REGISTER, fd, operation, argument.address, count)),
    map(fd, lengthBytes, offset) {
      const flags = fd < 0 ? MAP_PRIVATE_ANONYMOUS : MAP_SHARED_POPULATE
      const address: number = mmap(0, lengthBytes, PROT_READ_WRITE, flags, fd, offset)
      return address === -1 ? undefined : { address, lengthBytes }
    },
    unmap(memory) {
      munmap(memory.address, memory.lengthBytes)
    },
    view: (memory) => koffi.view(memory.address, memory.lengthBytes),
    eventfd: () => orErrno(eventfd(0, EFD_CLOEXEC_NONBLOCK)),
    pipe() {
      const ends = Buffer.alloc(8)
      if (pipe2(ends, O_CLOEXEC) < 0) return undefined
      return { readFd: ends.readInt32LE(0), writeFd: ends.readInt32LE(4) }
    },
    duplicate: (from, to) => orErrno(dup3(from, to, O_CLOEXEC)),
  }
}
