/**
 * Calls on a socket that Node does not offer, for large values: receiving into a given place, saying how much is worth
 * waking for, and sending at once.
 */
import koffi from 'koffi'
import { addressOf } from './buffer-address.ts'
import { MSG_DONTWAIT, MSG_NOSIGNAL } from './io-ring-layout.ts'

const SOL_SOCKET = 1
const SO_RCVLOWAT = 18
const INT_BYTES = 4

/** The calls. */
export interface SocketCalls {
  /**
   * Receives what is there, without waiting.
   *
   * @param fd - Descriptor of a stream socket.
   * @param into - Where the bytes go; not empty.
   * @returns Bytes received, 0 at the end of the stream; or the negative error number.
   */
  receive(fd: number, into: Buffer): number
  /**
   * Sends what the socket has room for, without waiting.
   *
   * @param bytes - Not empty; the caller's again after the call.
   * @returns Bytes sent, or the negative error number.
   */
  send(fd: number, bytes: Buffer): number
  /**
   * Sets SO_RCVLOWAT: below so many bytes the socket is not readable, unless no more can come. Sockets of other kinds than TCP
   * may not heed it.
   *
   * @param bytes - `>= 1`.
   */
  setLowWater(fd: number, bytes: number): void
}

/**
 * Loads the calls.
 *
 * @returns Them.
 * @throws Error - Where there is no glibc.
 */
export function socketCalls(): SocketCalls {
  const libc = koffi.load('libc.so.6')
  const recv = libc.func('recv', 'long', ['int', 'uintptr_t', 'size_t', 'int'])
  const send = libc.func('send', 'long', ['int', 'uintptr_t', 'size_t', 'int'])
  const setsockopt = libc.func('setsockopt', 'int', ['int', 'int', 'int', 'uintptr_t', 'uint32_t'])
  const option = Buffer.alloc(INT_BYTES)
  const optionAddress = addressOf(option)
  return {
    receive(fd, into) {
      const result: number = recv(fd, addressOf(into), into.byteLength, MSG_DONTWAIT)
      return result >= 0 ? result : -koffi.errno()
    },
    send(fd, bytes) {
      const flags = MSG_DONTWAIT | MSG_NOSIGNAL
      const result: number = send(fd, addressOf(bytes), bytes.byteLength, flags)
      return result >= 0 ? result : -koffi.errno()
    },
    setLowWater(fd, bytes) {
      option.writeInt32LE(bytes)
      setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, optionAddress, INT_BYTES)
    },
  }
}
